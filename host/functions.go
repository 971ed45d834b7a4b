package host

import (
	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
)

// hostFunc is one host function: it reads req, appends its answer to resp and returns it, or an error that errnoOf
// knows. req and resp are views of guest memory: neither may be kept.
type hostFunc func(c *call, req, resp []byte) ([]byte, error)

// hostFunction is a host function under its name, hostModule those that are granted together.
type (
	hostFunction struct {
		name string
		call hostFunc
	}
	hostModule struct {
		name  string
		funcs []hostFunction
	}
)

// linked is the module in the ABI's calling convention.
func (m hostModule) linked() engine.Module {
	out := engine.Module{Name: m.name}
	for _, f := range m.funcs {
		out.Funcs = append(out.Funcs, function(f.name, f.call))
	}
	return out
}

// invoke runs a host function for the guest, within its budget.
func (c *call) invoke(name string, f hostFunc, req, resp []byte) ([]byte, error) {
	if len(req) > abi.MaxMessageBytes {
		return nil, abi.NewError(abi.ErrnoTooLarge, "the request is over 16 MiB: send less at a time")
	}
	if c.starting && name != abi.FuncTake {
		return nil, abi.NewError(abi.ErrnoUnavailable, "host functions answer from odac_register on: not in init, not for a package's variables")
	}
	c.hostCalls++
	if c.hostCalls > c.rev.limits.MaxHostCalls {
		return nil, abi.NewError(abi.ErrnoLimit, "over limits.host_calls: do more in one query, or raise it in plugin.yaml")
	}
	c.roomy = false
	return f(c, req, resp)
}

// function gives a hostFunc the ABI's calling convention: pointers checked, budget counted, the answer written or
// kept, the error turned into errno and text.
func function(name string, f hostFunc) engine.Func {
	i32 := engine.I32
	return engine.Func{
		Name:    name,
		Params:  []engine.ValueType{i32, i32, i32, i32},
		Results: []engine.ValueType{engine.I64},
		Call: func(ec *engine.Call, stack []uint64) {
			c := ec.Data.(*call)
			c.ec = ec
			req, ok1 := ec.Read(uint32(stack[0]), uint32(stack[1]))
			resp, ok2 := ec.Read(uint32(stack[2]), uint32(stack[3]))
			if !ok1 || !ok2 {
				stack[0] = c.fail(nil, abi.NewError(abi.ErrnoFault, "a pointer or length lies outside the plugin's memory"), name)
				return
			}
			answer, err := c.invoke(name, f, req, resp[:0])
			if err != nil {
				stack[0] = c.fail(resp, err, name)
				return
			}
			stack[0] = c.answer(abi.ErrnoOK, resp, answer)
		},
	}
}

// answer puts an answer where the guest can read it: it may be in resp already, fit there, or be kept for take.
func (c *call) answer(errno abi.Errno, resp, answer []byte) uint64 {
	switch {
	case len(answer) > len(resp):
		c.kept, c.keptRoom = answer, c.roomy
		if c.roomy {
			c.spare = nil // it may be what the answer is in
		}
	case len(answer) > 0 && &answer[0] != &resp[0]:
		copy(resp, answer)
	}
	return abi.Pack(errno, len(answer))
}

func (c *call) fail(resp []byte, err error, name string) uint64 {
	errno, text := c.explain(err, name)
	return c.answer(errno, resp, []byte(text))
}

// explain is what the guest is told of an error; the rest goes to the log.
func (c *call) explain(err error, name string) (abi.Errno, string) {
	errno, text := errnoOf(err)
	if errno == abi.ErrnoInternal {
		c.rev.log.Error("host function failed", "function", name, "id", c.id, "error", err)
		text = "internal error: the host's log has the details"
	}
	if len(text) > abi.MaxTextBytes {
		text = text[:abi.MaxTextBytes]
	}
	return errno, text
}

// decode reads a request message; what follows it is ignored.
func decode(req []byte, m msgp.Unmarshaler) error {
	if _, err := m.UnmarshalMsg(req); err != nil {
		return invalid("malformed request: %v: build the plugin with an SDK of this ABI version", err)
	}
	return nil
}

// reply appends an answer's message.
func reply(resp []byte, m msgp.Marshaler) ([]byte, error) { return m.MarshalMsg(resp) }

func coreModule() hostModule {
	return hostModule{abi.ModuleCore, []hostFunction{
		{abi.FuncInput, func(c *call, _, resp []byte) ([]byte, error) { return append(resp, c.input...), nil }},
		{abi.FuncOutput, func(c *call, req, resp []byte) ([]byte, error) {
			c.output = append(c.output[:0], req...)
			return resp, nil
		}},
		{abi.FuncTake, func(c *call, _, resp []byte) ([]byte, error) {
			kept := c.kept
			if kept == nil {
				return nil, invalid("nothing is kept: take comes right after an answer that did not fit")
			}
			if len(kept) <= cap(resp) {
				c.kept = nil
				if c.keptRoom {
					c.spare = kept[:0]
				}
			}
			return append(resp, kept...), nil
		}},
	}}
}

// granted are the host modules that the plugin's capabilities ask for, and no others.
func (r *revision) granted() []hostModule {
	capabilities := r.manifest.Capabilities
	modules := []hostModule{}
	if capabilities.DB != nil {
		modules = append(modules, dbModule())
	}
	if capabilities.Cache != nil {
		modules = append(modules, cacheModule())
	}
	if capabilities.Buffer != nil {
		modules = append(modules, bufferModule())
	}
	if capabilities.WS != nil {
		modules = append(modules, wsModule())
	}
	if capabilities.HTTP != nil {
		modules = append(modules, httpModule())
	}
	return modules
}

// modules are what the plugin's module is linked to: the granted host modules in the form that its ABI wants, and extism:host/env.
func (r *revision) modules() ([]engine.Module, engine.Linked) {
	env, kernel := r.extismHost()
	modules := []engine.Module{env}
	if r.manifest.Extism != nil {
		modules = append(modules, extismUser(r.granted()))
	} else {
		for _, m := range append(r.granted(), coreModule()) {
			modules = append(modules, m.linked())
		}
	}
	for _, m := range modules {
		for i, f := range m.Funcs {
			m.Funcs[i].Call = func(ec *engine.Call, stack []uint64) {
				r.callOf(ec)
				f.Call(ec, stack)
			}
		}
	}
	return modules, kernel
}

// callOf is the state of the call that runs. _initialize has none: it gets one that can do little more than log and read
// the configuration, so that nothing it holds has to be given back.
func (r *revision) callOf(ec *engine.Call) *call {
	c, ok := ec.Data.(*call)
	if !ok {
		c = &call{rev: r, id: "start", starting: true}
		ec.Data = c
	}
	return c
}
