package host

import (
	"strings"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/host/internal/kernel"
)

// extism:host/user: the host functions of the granted capabilities for Extism's PDKs, whose functions take and give handles of
// blocks. odac_db_query is query of odac:db/v1, and so on, with the same messages.

const userPrefix = "odac_"

// userName is the name of a module's function in extism:host/user, without the function: odac_db_.
func userName(module string) string {
	short, _, _ := strings.Cut(strings.TrimPrefix(module, "odac:"), "/")
	return userPrefix + short + "_"
}

// userModule is the host module that a function of extism:host/user comes from, "" if it comes from none.
func userModule(name string) string {
	for _, m := range []string{abi.ModuleDB, abi.ModuleCache, abi.ModuleBuffer, abi.ModuleWS, abi.ModuleHTTP} {
		if strings.HasPrefix(name, userName(m)) {
			return m
		}
	}
	return ""
}

func extismUser(granted []hostModule) engine.Module {
	out := engine.Module{Name: abi.ModuleExtismUser}
	for _, m := range granted {
		for _, f := range m.funcs {
			out.Funcs = append(out.Funcs, engine.Func{
				Name: userName(m.name) + f.name, Params: []engine.ValueType{engine.I64}, Results: []engine.ValueType{engine.I64},
				Call: extismCall(userName(m.name)+f.name, func(c *call, b kernel.Blocks, args []uint64) (uint64, error) {
					return c.user(f, b, args[0])
				}),
			})
		}
	}
	return out
}

// user runs a host function for a request in a block. The answer is errno and handle, as abi.Pack packs errno and length.
func (c *call) user(f hostFunction, b kernel.Blocks, handle uint64) (uint64, error) {
	var req []byte
	if handle != 0 {
		var ok bool
		if req, ok = b.Block(handle); !ok {
			return 0, invalid("the request's handle %d is no block", handle)
		}
	}
	answer, err := c.invoke(f.name, f.call, req, nil)
	errno := abi.ErrnoOK
	if err != nil {
		var text string
		errno, text = c.explain(err, f.name)
		answer = []byte(text)
	}
	out, err := put(b, answer)
	return abi.Pack(errno, int(out)), err
}
