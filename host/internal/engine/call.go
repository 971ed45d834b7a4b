package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Call is what a host function sees of the call it serves.
type Call struct {
	// Data is what [Instance.Call] was given.
	Data any

	instance *Instance
	parent   context.Context
	// done is the parent's channel, nil if it cannot be cancelled.
	done     <-chan struct{}
	deadline time.Time
	// ends is the deadline on the engine's clock, 0 if there is none.
	ends int64
	// linear is the memory that host functions see: that of the module that called them.
	linear api.Memory
	// inHost says that a host function of the program is running.
	inHost bool
	// ticks and crossed count the guest's ticks and its calls of host functions.
	ticks   int
	crossed uint32
	lines   [2]lineBuffer

	// mu guards what Close of the instance may touch while the call runs.
	mu      sync.Mutex
	waiting *waiting
	closing bool
}

func (c *Call) begin(ctx context.Context, data any, deadline time.Time) {
	c.ticks = 0
	c.Data, c.parent, c.done, c.deadline = data, ctx, ctx.Done(), deadline
	c.linear = c.instance.linear
	c.ends = 0
	if !deadline.IsZero() {
		// Never 0, which means none; before the engine was made counts as just after.
		c.ends = max(int64(deadline.Sub(c.instance.program.engine.base)), 1)
	}
	if latest := c.instance.latest; latest != 0 && (c.ends == 0 || c.ends > latest) {
		c.ends = latest
		c.deadline = c.instance.program.engine.base.Add(time.Duration(latest))
	}
}

func (c *Call) end() {
	c.Data, c.parent, c.done, c.inHost = nil, nil, nil, false
	c.mu.Lock()
	if c.waiting != nil {
		c.waiting.stop(context.Canceled)
		c.waiting = nil
	}
	c.mu.Unlock()
}

// interrupt ends what waits on the call's context; the guest itself is ended by its next tick.
func (c *Call) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	if c.waiting != nil {
		c.waiting.stop(ErrCanceled)
	}
}

// Context ends at the call's deadline or cancellation, and with the call; its values are those of the caller's context. It has [Call.Wait] as a
// method, for code that does not know this package: a goroutine that is not the call's uses a context that is derived from it.
func (c *Call) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = &waiting{call: c, parent: c.parent, deadline: c.deadline, engine: c.instance.program.engine, ends: c.ends}
		if c.parent == nil {
			c.waiting.parent = context.Background()
		}
		if c.closing {
			c.waiting.stop(ErrCanceled)
		}
	}
	return c.waiting
}

// Deadline returns the call's deadline; ok is false if it has none.
func (c *Call) Deadline() (t time.Time, ok bool) { return c.deadline, c.ends != 0 }

// Err returns nil, [ErrDeadline] or [ErrCanceled], without making a context.
func (c *Call) Err() error {
	if c.ends != 0 && c.instance.program.engine.now() >= c.ends {
		return ErrDeadline
	}
	if c.instance.state.Load() == closing {
		return ErrCanceled
	}
	if c.done != nil {
		select {
		case <-c.done:
			if errors.Is(c.parent.Err(), context.DeadlineExceeded) {
				return ErrDeadline
			}
			return ErrCanceled
		default:
		}
	}
	return nil
}

// stop ends the call from inside a host function if it is over.
func (c *Call) stop() {
	if err := c.Err(); err != nil {
		panic(&ending{err})
	}
}

// End ends the guest from inside a host function: [Instance.Call] returns err, or why the call is over if it is. It does not
// return.
func (c *Call) End(err error) {
	c.stop()
	panic(&ending{err})
}

// sleep waits, but not beyond the call's end.
func (c *Call) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	c.Wait()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.Context().Done():
		c.stop()
	}
}

// Wait is for a host function that is about to wait for longer than some microseconds. Without it the wait costs two more switches
// between threads, with it the next [Instance.Reset] costs some microseconds more.
func (c *Call) Wait() { c.instance.eachMemory(memory.wait) }

// Linked returns the instance's copy of a linked module; nil if nobody imports that.
func (c *Call) Linked(name string) *Copy {
	for _, l := range c.instance.linked {
		if l.of.Name == name {
			return l
		}
	}
	return nil
}

// caller makes the memory of the module that called the host the one that host functions see. It matters only where there
// are linked modules.
func (c *Call) caller(m api.Module) {
	c.linear = c.instance.linear
	for _, l := range c.instance.linked {
		if l.module == m {
			c.linear = l.linear
		}
	}
}

// Memory returns the guest's linear memory, all of it. It is valid until the guest runs again.
func (c *Call) Memory() []byte {
	if m := c.linear; m != nil {
		b, _ := m.Read(0, m.Size())
		return b
	}
	return nil
}

// Read returns a view of the guest's memory; false if it is out of bounds.
func (c *Call) Read(ptr, n uint32) ([]byte, bool) {
	if m := c.linear; m != nil {
		return m.Read(ptr, n)
	}
	return nil, false
}

// Write copies p into the guest's memory; false, and nothing written, if it would be out of bounds.
func (c *Call) Write(ptr uint32, p []byte) bool {
	if m := c.linear; m != nil {
		return m.Write(ptr, p)
	}
	return false
}

// callContext is what wazero carries through a call. It never reports being done, because nothing that receives it waits,
// and has no values, because wazero's own must not come from the caller.
type callContext struct{ *Call }

func (callContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (callContext) Done() <-chan struct{}       { return nil }
func (callContext) Err() error                  { return nil }
func (callContext) Value(any) any               { return nil }

// ending is the panic with which a host function ends the guest on purpose.
type ending struct{ err error }

func (e *ending) Error() string { return e.err.Error() }
