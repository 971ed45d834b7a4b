package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// The states of an instance.
const (
	ready int32 = iota
	running
	failed
	// closing: closed while a call was running, which frees it when it ends.
	closing
	closed
)

// Instance is one live sandbox. It runs one call at a time; a second one is refused with [ErrUnusable].
type Instance struct {
	program *Program
	module  api.Module
	// linear is wazero's view of the memory, nil if the module has none.
	linear    api.Memory
	memory    memory
	globals   []api.MutableGlobal
	marks     api.MutableGlobal
	functions map[string]*function
	call      Call
	state     atomic.Int32
	// latest, if not 0, bounds every deadline: while the program is initialised.
	latest int64
	// dirty says that something changed that the image cannot restore.
	dirty bool
}

// function is an export, ready to be called again and again.
type function struct {
	api.Function
	Export
	stack []uint64
}

// Call calls an export with no or one result (0 if none) and waits for it to end, at the latest shortly after the deadline
// (the zero time means none) or when ctx is done. data is handed to host functions as [Call.Data]. After an error other
// than [*ExportError], [ErrUnusable] or [ErrClosed] the instance must be reset or closed.
func (in *Instance) Call(ctx context.Context, data any, deadline time.Time, export string, args ...uint64) (uint64, error) {
	if !in.state.CompareAndSwap(ready, running) {
		if in.state.Load() >= closing {
			return 0, ErrClosed
		}
		return 0, ErrUnusable
	}
	next := failed
	defer func() { in.finish(next) }()
	f, err := in.function(export, len(args))
	if err != nil {
		next = ready
		return 0, err
	}
	c := &in.call
	c.begin(ctx, data, deadline)
	if err := c.Err(); err != nil {
		next = ready
		return 0, err
	}
	copy(f.stack, args)
	err = f.CallWithStack(callContext{c}, f.stack)
	marks := in.marks.Get()
	if marks != 0 {
		in.marks.Set(0)
		in.dirty = in.dirty || marks&(instrument.MarkTable|instrument.MarkSegment) != 0
	}
	if err != nil {
		return 0, in.failure(err, marks)
	}
	next = ready
	if len(f.Results) == 0 {
		return 0, nil
	}
	return f.stack[0], nil
}

// finish ends a call, and frees the instance if it was closed meanwhile.
func (in *Instance) finish(next int32) {
	in.call.end()
	if !in.state.CompareAndSwap(running, next) {
		in.state.Store(closed)
		_ = in.free()
	}
}

func (in *Instance) function(name string, args int) (*function, error) {
	f := in.functions[name]
	if f == nil {
		x, ok := in.program.byName[name]
		switch {
		case name == instrument.StartExport:
		case !ok:
			return nil, &ExportError{Name: name, Reason: "the module has no such function"}
		case len(x.Results) > 1:
			return nil, &ExportError{Name: name, Reason: "more than one result"}
		}
		for _, t := range slices.Concat(x.Params, x.Results) {
			if t < F64 || t > I32 {
				return nil, &ExportError{Name: name, Reason: "a parameter or result is not a number"}
			}
		}
		f = &function{Function: in.module.ExportedFunction(name), Export: x}
		f.stack = make([]uint64, max(len(x.Params), len(x.Results)))
		in.functions[name] = f
	}
	if len(f.Params) != args {
		return nil, &ExportError{Name: name, Reason: fmt.Sprintf("called with %d arguments, it takes %d", args, len(f.Params))}
	}
	return f, nil
}

// Reset restores the image, whether the last call succeeded or failed. [ErrDiscard] (by errors.Is) means that it cannot:
// close the instance.
func (in *Instance) Reset() error {
	state := in.state.Load()
	if state >= closing {
		return ErrClosed
	}
	if state == running || !in.state.CompareAndSwap(state, running) {
		return ErrUnusable
	}
	next := failed
	defer func() { in.finish(next) }()
	if err := in.restore(); err != nil {
		return err
	}
	next = ready
	return nil
}

func (in *Instance) restore() error {
	p := in.program
	switch {
	case p.image == nil:
		return fmt.Errorf("%w: the program has no image", ErrDiscard)
	case in.dirty:
		return fmt.Errorf("%w: a table or segment changed, or the stack overflowed", ErrDiscard)
	case in.MemoryBytes() != p.ImageBytes():
		return fmt.Errorf("%w: memory grew from %d to %d bytes", ErrDiscard, p.ImageBytes(), in.MemoryBytes())
	}
	if err := in.memory.reset(p.image, in.bytes()); err != nil {
		in.dirty = true
		return fmt.Errorf("%w: %w", ErrDiscard, err)
	}
	in.restoreGlobals(p.imageGlobals)
	return nil
}

// adopt brings an instance that ran nothing to the image.
func (in *Instance) adopt() error {
	image := in.program.image
	if m := in.linear; m != nil {
		grow := (len(image.bytes()) - int(m.Size())) / pageBytes
		if err := in.memory.adopt(image); err != nil {
			return fmt.Errorf("engine: image: %w", err)
		}
		if _, ok := m.Grow(uint32(grow)); !ok {
			return errors.New("engine: image: memory cannot grow to the image's size")
		}
		if err := in.memory.adopted(image, in.bytes()); err != nil {
			return fmt.Errorf("engine: image: %w", err)
		}
	}
	in.restoreGlobals(in.program.imageGlobals)
	return nil
}

func (in *Instance) saveGlobals() []uint64 {
	values := make([]uint64, len(in.globals))
	for i, g := range in.globals {
		values[i] = g.Get()
	}
	return values
}

func (in *Instance) restoreGlobals(values []uint64) {
	for i, g := range in.globals {
		g.Set(values[i])
	}
}

// bytes is the instance's memory, nil if it has none.
func (in *Instance) bytes() []byte {
	m := in.linear
	if m == nil {
		return nil
	}
	b, _ := m.Read(0, m.Size())
	return b
}

// MemoryBytes is the size of the instance's linear memory. It must not be asked for while a call runs or after Close.
func (in *Instance) MemoryBytes() int64 {
	if m := in.linear; m != nil {
		return int64(m.Size())
	}
	return 0
}

// Close frees the instance. A call that is running is interrupted and frees it when it ends.
func (in *Instance) Close() error {
	for {
		switch state := in.state.Load(); state {
		case closing, closed:
			return nil
		case running:
			if in.state.CompareAndSwap(running, closing) {
				in.call.interrupt()
				return nil
			}
		default:
			if in.state.CompareAndSwap(state, closed) {
				return in.free()
			}
		}
	}
}

func (in *Instance) free() error {
	err := in.module.Close(context.Background())
	in.memory.Free()
	in.program.forget(in)
	return err
}
