package host

import (
	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
)

// hostFunc is one host function: it reads req, appends its answer to resp and returns it, or an error that errnoOf
// knows. req and resp are views of guest memory: neither may be kept.
type hostFunc func(c *call, req, resp []byte) ([]byte, error)

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
			if len(req) > abi.MaxMessageBytes {
				stack[0] = c.fail(resp, abi.NewError(abi.ErrnoTooLarge, "the request is over 16 MiB: send less at a time"), name)
				return
			}
			if c.starting && name != abi.FuncTake {
				stack[0] = c.fail(resp, abi.NewError(abi.ErrnoUnavailable, "host functions answer from odac_register on: not in init, not for a package's variables"), name)
				return
			}
			c.hostCalls++
			if c.hostCalls > c.rev.limits.MaxHostCalls {
				stack[0] = c.fail(resp, abi.NewError(abi.ErrnoLimit, "over limits.host_calls: do more in one query, or raise it in plugin.yaml"), name)
				return
			}
			answer, err := f(c, req, resp[:0])
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
		c.kept = answer
	case len(answer) > 0 && &answer[0] != &resp[0]:
		copy(resp, answer)
	}
	return abi.Pack(errno, len(answer))
}

func (c *call) fail(resp []byte, err error, name string) uint64 {
	errno, text := errnoOf(err)
	if errno == abi.ErrnoInternal {
		c.rev.log.Error("host function failed", "function", name, "id", c.id, "error", err)
		text = "internal error: the host's log has the details"
	}
	if len(text) > abi.MaxTextBytes {
		text = text[:abi.MaxTextBytes]
	}
	return c.answer(errno, resp, []byte(text))
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

func coreModule() engine.Module {
	return engine.Module{Name: abi.ModuleCore, Funcs: []engine.Func{
		function(abi.FuncInput, func(c *call, _, resp []byte) ([]byte, error) { return append(resp, c.input...), nil }),
		function(abi.FuncOutput, func(c *call, req, resp []byte) ([]byte, error) {
			c.output = append(c.output[:0], req...)
			return resp, nil
		}),
		function(abi.FuncTake, func(c *call, _, resp []byte) ([]byte, error) {
			kept := c.kept
			if kept == nil {
				return nil, invalid("nothing is kept: take comes right after an answer that did not fit")
			}
			if len(kept) <= cap(resp) {
				c.kept = nil
			}
			return append(resp, kept...), nil
		}),
	}}
}

// grantedModules are the host modules that the plugin's capabilities ask for, and no others.
func (r *revision) grantedModules() []engine.Module {
	capabilities := r.manifest.Capabilities
	modules := []engine.Module{coreModule(), extismModule(abi.ModuleExtism)}
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
	for _, m := range modules {
		for i, f := range m.Funcs {
			m.Funcs[i].Call = func(ec *engine.Call, stack []uint64) {
				r.callOf(ec)
				f.Call(ec, stack)
			}
		}
	}
	return modules
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
