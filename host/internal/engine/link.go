package engine

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// linkable says whether every import of the module is a function that was granted, with the same signature.
func (p *Program) linkable() error {
	var missing []MissingImport
	for _, imp := range p.info.Imports {
		if reason := p.missing(imp); reason != "" {
			missing = append(missing, MissingImport{Module: imp.Module, Name: imp.Name, Reason: reason})
		}
	}
	if missing != nil {
		return &LinkError{Missing: missing}
	}
	return nil
}

func (p *Program) missing(imp instrument.Import) LinkReason {
	if imp.Kind != instrument.KindFunc {
		return NotAFunction
	}
	if imp.Module == wasiModule {
		f := p.wasi.ExportedFunctions()[imp.Name]
		switch {
		case f == nil:
			return NewerThanHost
		case !bytes.Equal(f.ParamTypes(), imp.Type.Params), !bytes.Equal(f.ResultTypes(), imp.Type.Results):
			return SignatureDiffers
		}
		return ""
	}
	m := slices.IndexFunc(p.cfg.Modules, func(m Module) bool { return m.Name == imp.Module })
	if m < 0 {
		return NotGranted
	}
	funcs := p.cfg.Modules[m].Funcs
	f := slices.IndexFunc(funcs, func(f Func) bool { return f.Name == imp.Name })
	switch {
	case f < 0:
		return NewerThanHost
	case !bytes.Equal(funcs[f].Params, imp.Type.Params), !bytes.Equal(funcs[f].Results, imp.Type.Results):
		return SignatureDiffers
	}
	return ""
}

// link gives the runtime the host modules, the granted ones and the engine's own.
func (p *Program) link() error {
	ctx := context.Background()
	modules := append(slices.Clone(p.cfg.Modules), Module{Name: instrument.TickModule, Funcs: []Func{
		{Name: instrument.TickName, Params: []ValueType{I32}, Results: []ValueType{I32}},
	}})
	for _, m := range modules {
		if m.Name == wasiModule {
			return fmt.Errorf("engine: host module %s is the engine's own", wasiModule)
		}
		b := p.runtime.NewHostModuleBuilder(m.Name)
		for _, f := range m.Funcs {
			var call api.GoModuleFunction
			if m.Name == instrument.TickModule {
				call = api.GoModuleFunc(tick)
			} else {
				call = hostFunc(f.Call)
			}
			b.NewFunctionBuilder().WithGoModuleFunction(call, f.Params, f.Results).Export(f.Name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("engine: host module %s: %w", m.Name, err)
		}
	}
	return p.linkWASI(ctx)
}

// tick is called by the guest each time its budget is spent.
func tick(ctx context.Context, _ api.Module, stack []uint64) {
	ctx.(callContext).stop()
	stack[0] = instrument.Budget
}

// hostFunc lets wazero call a host function.
type hostFunc func(c *Call, stack []uint64)

// Call implements api.GoModuleFunction.
func (f hostFunc) Call(ctx context.Context, _ api.Module, stack []uint64) {
	c := ctx.(callContext).Call
	c.inHost = true
	f(c, stack)
	c.inHost = false
	// A function may have waited without heeding the context; a guest that calls it in a loop is to end nevertheless.
	c.stop()
}
