package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/metrics"
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
	sandbox
	// linked are the copies of linked modules, in their order.
	linked    []*Copy
	functions map[string]*function
	runnable  [1]metrics.Sample
	call      Call
	// running is the export that a call runs.
	running *function
	fuel    fuel
	state   atomic.Int32
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
	// native is the stack of the guest's own calls.
	native reflect.Value
}

// Call calls an export with no or one result (0 if none) and waits for it to end, at the latest shortly after the deadline
// (the zero time means none) or when ctx is done. data is handed to host functions as [Call.Data]. After an error other
// than [*ExportError], [ErrUnusable] or [ErrClosed] the instance must be reset or closed.
func (in *Instance) Call(ctx context.Context, data any, deadline time.Time, export string, args ...uint64) (uint64, error) {
	return in.run(ctx, data, deadline, nil, export, args)
}

// run calls f, or the export of that name if f is nil.
func (in *Instance) run(ctx context.Context, data any, deadline time.Time, f *function, export string, args []uint64) (_ uint64, err error) {
	if !in.state.CompareAndSwap(ready, running) {
		if in.state.Load() >= closing {
			return 0, ErrClosed
		}
		return 0, ErrUnusable
	}
	next := failed
	defer func() { in.finish(next) }()
	if f == nil {
		if f, err = in.function(export, len(args)); err != nil {
			next = ready
			return 0, err
		}
	}
	in.fuel.used = 0
	c := &in.call
	c.begin(ctx, data, deadline)
	if err := c.Err(); err != nil {
		next = ready
		return 0, err
	}
	// From here to end, whoever has c may write to the memories.
	in.eachMemory(memory.begin)
	if begin := in.program.cfg.Begin; begin != nil {
		begin(c)
	}
	copy(f.stack, args)
	in.running = f
	in.fuel.begin(in.fuelLimit())
	err = f.CallWithStack(callContext{c}, f.stack)
	in.fuel.end()
	if f.stackBytes() > keepStackBytes {
		delete(in.functions, export) // the next call begins with a small one
	}
	marks := in.takeMarks()
	for _, l := range in.linked {
		marks |= l.takeMarks()
	}
	in.dirty = in.dirty || marks&(instrument.MarkTable|instrument.MarkSegment) != 0
	if end := in.program.cfg.End; end != nil {
		end(c)
	}
	c.flushLines()
	in.eachMemory(memory.end)
	in.resetLinked()
	if err != nil {
		return 0, in.failure(err, marks)
	}
	next = ready
	if len(f.Results) == 0 {
		return 0, nil
	}
	return f.stack[0], nil
}

// eachMemory is for what the memories that have an image are told about a call.
func (in *Instance) eachMemory(tell func(memory)) {
	tell(in.memory)
	for _, c := range in.linked {
		if c.of.Reset == nil {
			tell(c.memory)
		}
	}
}

// fuelLimit is that of calls; initialisation has none but its time.
func (in *Instance) fuelLimit() int64 {
	if in.latest != 0 {
		return 0
	}
	return max(in.program.cfg.Fuel, 0)
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
		f.native = stackOf(f.Function)
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

// Trim gives back the memory that the instance wrote to and that differs from the image no more: call it on one that was
// reset and is to stay idle. The error is [ErrUnusable], [ErrClosed], or the system's, after which it must be closed.
func (in *Instance) Trim() error {
	return in.hold(func() error {
		if in.program.image == nil || in.MemoryBytes() != in.program.ImageBytes() {
			return nil
		}
		return in.memory.trim(in.bytes())
	})
}

// hold keeps Close from freeing an instance that is ready while f works on it.
func (in *Instance) hold(f func() error) error {
	if !in.state.CompareAndSwap(ready, running) {
		if in.state.Load() >= closing {
			return ErrClosed
		}
		return ErrUnusable
	}
	next := failed
	defer func() { in.finish(next) }()
	if err := f(); err != nil {
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
	case len(p.cfg.Files) > 0:
		return fmt.Errorf("%w: it may have open files", ErrDiscard)
	case in.dirty:
		return fmt.Errorf("%w: a table or segment changed", ErrDiscard)
	}
	in.resetLinked()
	err := in.restoreImage(p.image, p.imageGlobals)
	for _, c := range in.linked {
		if c.of.Reset == nil && err == nil {
			err = c.restoreImage(c.of.image, c.of.globals)
		}
	}
	if err != nil {
		in.dirty = true
		return fmt.Errorf("%w: %w", ErrDiscard, err)
	}
	return nil
}

// resetLinked resets the copies that hold nothing beyond a call.
func (in *Instance) resetLinked() {
	for _, c := range in.linked {
		if c.of.Reset != nil {
			c.of.Reset(c)
		}
	}
}

// adopt brings an instance that ran nothing to the image.
func (in *Instance) adopt() error {
	for _, c := range in.linked {
		if c.of.Reset == nil {
			if err := c.adoptImage(c.of.image, c.of.globals); err != nil {
				return err
			}
		}
	}
	return in.adoptImage(in.program.image, in.program.imageGlobals)
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
	err := in.freeModules()
	in.program.forget(in)
	return err
}

// freeModules frees the instance's own module before those that it imports from.
func (in *Instance) freeModules() error {
	var errs []error
	if in.module != nil {
		errs = append(errs, in.sandbox.free())
	}
	for _, c := range slices.Backward(in.linked) {
		errs = append(errs, c.free())
	}
	return errors.Join(errs...)
}
