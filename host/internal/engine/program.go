package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"slices"
	"sync"

	"github.com/tetratelabs/wazero"

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
	// linked are the linked modules that are imported.
	linked []*linkedModule
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

// New makes an instance that is at the image. The error is [ErrClosed] if the program is closed before it is made.
func (p *Program) New(ctx context.Context) (*Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: new instance: %w", err)
	}
	in, err := p.imaged(ctx)
	if err == nil {
		return in, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed { // err tells where Close interrupted
		return nil, ErrClosed
	}
	return nil, err
}

// imaged makes an instance from the image, or, without one, initialises it anew.
func (p *Program) imaged(ctx context.Context) (*Instance, error) {
	if p.image == nil {
		return p.initialised(ctx)
	}
	in, err := p.instantiate()
	if err != nil {
		return nil, err
	}
	if err := in.hold(in.adopt); err != nil {
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
	in = &Instance{program: p, runnable: [1]metrics.Sample{{Name: runnable}}, functions: map[string]*function{}}
	in.call.instance = in
	for _, l := range p.linked {
		c := &Copy{of: l}
		if c.sandbox, err = p.newSandbox(l.code, l.info, l.maxBytes, in.linked); err != nil {
			return nil, errors.Join(err, in.freeModules())
		}
		in.linked = append(in.linked, c)
	}
	if in.sandbox, err = p.newSandbox(p.code, p.info, int64(p.maxPages)*pageBytes, in.linked); err != nil {
		return nil, errors.Join(err, in.freeModules())
	}
	if p.cfg.Fuel != 0 {
		in.fuel.count(in.module)
		for _, c := range in.linked {
			in.fuel.count(c.module)
		}
	}
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
	for _, l := range p.linked {
		if l.code != nil {
			errs = append(errs, l.code.Close(ctx))
		}
		if l.image != nil {
			errs = append(errs, l.image.close())
		}
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
