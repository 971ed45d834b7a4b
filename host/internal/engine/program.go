package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// Program is a loaded module with its image. Its methods may be called concurrently.
type Program struct {
	engine   *Engine
	cfg      LoadConfig
	info     *instrument.Info
	imports  []Import
	exports  []Export
	byName   map[string]Export
	maxPages uint32

	runtime wazero.Runtime
	code    wazero.CompiledModule
	wasi    wazero.CompiledModule
	// image is nil if the module's state after initialisation cannot be copied.
	image        image
	imageGlobals []uint64

	mu        sync.Mutex
	closed    bool
	instances map[*Instance]struct{}
	live      sync.WaitGroup
	done      chan struct{}
}

// Imports returns the functions that the module imports, in order.
func (p *Program) Imports() []Import { return slices.Clone(p.imports) }

// Exports returns the functions that the module exports, in order.
func (p *Program) Exports() []Export { return slices.Clone(p.exports) }

// Export returns the exported function of that name.
func (p *Program) Export(name string) (Export, bool) {
	x, ok := p.byName[name]
	return x, ok
}

// HasImage says whether instances are made from an image. If not, because initialisation changed a table or dropped a
// segment, each is initialised and warmed up anew, and Reset always answers [ErrDiscard].
func (p *Program) HasImage() bool { return p.image != nil }

// ImageBytes is the size of the image's memory; 0 without an image.
func (p *Program) ImageBytes() int64 {
	if p.image == nil {
		return 0
	}
	return int64(len(p.image.bytes()))
}

// New makes an instance that is at the image.
func (p *Program) New(ctx context.Context) (*Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: new instance: %w", err)
	}
	if p.image == nil {
		return p.initialised(ctx)
	}
	in, err := p.instantiate()
	if err != nil {
		return nil, err
	}
	if err := in.adopt(); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// instantiate makes an instance that ran nothing yet.
func (p *Program) instantiate() (*Instance, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	p.live.Add(1)
	p.mu.Unlock()
	in, err := p.newInstance()
	if err != nil {
		p.live.Done()
		return nil, err
	}
	p.mu.Lock()
	p.instances[in] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil, errors.Join(ErrClosed, in.Close())
	}
	return in, nil
}

func (p *Program) newInstance() (in *Instance, err error) {
	memory, err := p.engine.memories.make(int64(p.maxPages) * pageBytes)
	if err != nil {
		return nil, fmt.Errorf("engine: memory of an instance: %w", err)
	}
	ctx := context.Background()
	if a := memory.allocator(); a != nil {
		ctx = experimental.WithMemoryAllocator(ctx, a)
	}
	mod, err := p.runtime.InstantiateModule(ctx, p.code, p.moduleConfig())
	if err != nil {
		memory.Free()
		return nil, &TrapError{Reason: "instantiation: " + err.Error()}
	}
	in = &Instance{program: p, module: mod, memory: memory, globals: p.mutable(mod), functions: map[string]*function{}}
	if p.info.HasMemory {
		in.linear = mod.Memory()
	}
	in.marks = mod.ExportedGlobal(instrument.StateExport).(api.MutableGlobal)
	in.call.instance = in
	return in, nil
}

// forget is called by an instance when it is freed.
func (p *Program) forget(in *Instance) {
	p.mu.Lock()
	delete(p.instances, in)
	p.mu.Unlock()
	p.live.Done()
}

// Close interrupts running calls, waits for them to end, and frees all instances and the program's code. It must not be
// called from a host function of the program.
func (p *Program) Close() error {
	p.mu.Lock()
	if p.closed {
		done := p.done
		p.mu.Unlock()
		<-done
		return nil
	}
	p.closed = true
	p.done = make(chan struct{})
	defer close(p.done)
	open := make([]*Instance, 0, len(p.instances))
	for in := range p.instances {
		open = append(open, in)
	}
	p.mu.Unlock()
	var errs []error
	for _, in := range open {
		errs = append(errs, in.Close())
	}
	p.live.Wait()
	ctx := context.Background()
	if p.code != nil {
		errs = append(errs, p.code.Close(ctx))
	}
	if p.wasi != nil {
		errs = append(errs, p.wasi.Close(ctx))
	}
	if p.runtime != nil {
		errs = append(errs, p.runtime.Close(ctx))
	}
	if p.image != nil {
		errs = append(errs, p.image.close())
	}
	p.engine.unregister()
	return errors.Join(errs...)
}
