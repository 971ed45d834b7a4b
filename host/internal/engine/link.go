package engine

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// linkable says whether every import of the module is a function that was granted, with the same signature.
func (p *Program) linkable() error {
	var missing []MissingImport
	look := func(imports []instrument.Import, linked []*linkedModule) {
		for _, imp := range imports {
			if reason := p.missing(imp, linked); reason != "" {
				missing = append(missing, MissingImport{Module: imp.Module, Name: imp.Name, Reason: reason})
			}
		}
	}
	for i, l := range p.linked {
		look(l.info.Imports, p.linked[:i])
	}
	look(p.info.Imports, p.linked)
	if missing != nil {
		return &LinkError{Missing: missing}
	}
	return nil
}

func (p *Program) missing(imp instrument.Import, linked []*linkedModule) LinkReason {
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
	if l := slices.IndexFunc(linked, func(l *linkedModule) bool { return l.Name == imp.Module }); l >= 0 {
		exports := linked[l].info.Exports
		f := slices.IndexFunc(exports, func(x instrument.Export) bool { return x.Name == imp.Name && x.Kind == instrument.KindFunc })
		switch {
		case f < 0:
			return NewerThanHost
		case !bytes.Equal(exports[f].Type.Params, imp.Type.Params), !bytes.Equal(exports[f].Type.Results, imp.Type.Results):
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

// yieldEvery is how many ticks, about half a millisecond, a call has before it looks whether others wait for the processor.
const yieldEvery = 16

// tick is called by the guest each time its budget is spent. A guest that computes for long steps back for whoever else is
// ready: Go itself would let it keep its processor for 10 ms, and as many times that as there are guests of the kind.
func tick(ctx context.Context, _ api.Module, stack []uint64) {
	c := ctx.(callContext).Call
	c.stop()
	if c.ticks++; c.ticks%yieldEvery == 0 && c.instance.crowded() {
		c.Wait() // a goroutine that holds its thread would take the thread along
		runtime.Gosched()
	}
	if c.instance.running.stackBytes() > maxStackBytes {
		panic(&ending{&TrapError{Reason: StackOverflow}})
	}
	stack[0] = uint64(uint32(c.instance.fuel.tick(int32(uint32(stack[0])))))
}

// crowded says whether goroutines wait for a processor. To step back without need is dear: a processor that is idle wakes up to take
// the call over.
func (in *Instance) crowded() bool {
	metrics.Read(in.runnable[:])
	v := in.runnable[0].Value
	return v.Kind() != metrics.KindUint64 || v.Uint64() > 0
}

// runnable is the metric of package runtime that counts them.
const runnable = "/sched/goroutines/runnable:goroutines"

// hostFunc lets wazero call a host function.
type hostFunc func(c *Call, stack []uint64)

// Call implements api.GoModuleFunction.
func (f hostFunc) Call(ctx context.Context, m api.Module, stack []uint64) {
	c := ctx.(callContext).Call
	c.caller(m)
	c.inHost = true
	f(c, stack)
	c.inHost = false
	// One that waited may have been ended, and has told the guest so; others are looked at now and then, so that a loop of them ends.
	if c.crossed++; c.crossed%lookEvery == 0 || c.waiting != nil && c.waiting.used.Load() {
		c.stop()
	}
}

// lookEvery is after how many calls of host functions a call's deadline is looked at.
const lookEvery = 8
