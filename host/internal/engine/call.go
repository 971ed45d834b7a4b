package engine

import (
	"context"
	"errors"
	"sync"
	"time"
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
	// inHost says that a host function of the program is running.
	inHost bool
	lines  [2]lineBuffer

	// mu guards what Close of the instance may touch while the call runs.
	mu      sync.Mutex
	derived context.Context
	cancel  context.CancelCauseFunc
	release context.CancelFunc
	closing bool
}

func (c *Call) begin(ctx context.Context, data any, deadline time.Time) {
	c.Data, c.parent, c.done, c.deadline = data, ctx, ctx.Done(), deadline
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
	c.flushLines()
	c.Data, c.parent, c.done, c.inHost = nil, nil, nil, false
	c.mu.Lock()
	if c.cancel != nil {
		c.cancel(nil)
		c.release()
		c.derived, c.cancel, c.release = nil, nil, nil
	}
	c.mu.Unlock()
}

// interrupt ends what waits on the call's context; the guest itself is ended by its next tick.
func (c *Call) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	if c.cancel != nil {
		c.cancel(ErrCanceled)
	}
}

// Context ends at the call's deadline or cancellation; its values are those of the caller's context. It is made on first use.
func (c *Call) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.derived == nil {
		ctx := c.parent
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, c.release = context.WithDeadlineCause(ctx, c.latest(), ErrDeadline)
		c.derived, c.cancel = context.WithCancelCause(ctx)
		if c.closing {
			c.cancel(ErrCanceled)
		}
	}
	return c.derived
}

// latest is the deadline, or a time so far away that it makes no difference.
func (c *Call) latest() time.Time {
	if c.ends == 0 {
		return c.instance.program.engine.base.Add(100 * 365 * 24 * time.Hour)
	}
	return c.deadline
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

// sleep waits, but not beyond the call's end.
func (c *Call) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.Context().Done():
		c.stop()
	}
}

// Memory returns the guest's linear memory, all of it. It is valid until the guest runs again.
func (c *Call) Memory() []byte { return c.instance.bytes() }

// Read returns a view of the guest's memory; false if it is out of bounds.
func (c *Call) Read(ptr, n uint32) ([]byte, bool) {
	if m := c.instance.linear; m != nil {
		return m.Read(ptr, n)
	}
	return nil, false
}

// Write copies p into the guest's memory; false, and nothing written, if it would be out of bounds.
func (c *Call) Write(ptr uint32, p []byte) bool {
	if m := c.instance.linear; m != nil {
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
