package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// flights are the loads that run.
type flights struct {
	base context.Context // done when the cache is closed
	stop context.CancelCauseFunc
	wg   sync.WaitGroup // one for each flight

	mu      sync.Mutex // guards what follows, and wg.Add against closed
	running map[Key]*flight
	closed  bool
}

// flight is one load. Its result may be read when done is closed.
type flight struct {
	key    Key
	stamps []stamp
	ctx    context.Context // done at its deadline, when the cache is closed, or after its end
	cancel context.CancelCauseFunc
	done   chan struct{}
	value  []byte
	err    error
}

// wait returns what the flight brings, or why it is not waited for any longer. A load that does not heed its context is left
// alone at its deadline.
func (f *flight) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-f.ctx.Done():
		select {
		case <-f.done:
		default:
			return nil, context.Cause(f.ctx)
		}
	}
	return f.value, f.err
}

// join returns the flight to wait for. It is one's own to fly if none with the same stamps runs: a flight that began before
// a write was acknowledged is not for those who ask after it. It is nil when the cache is closed. A new flight's context has the values of
// caller and an end of its own.
func (fs *flights) join(caller context.Context, key Key, stamps []stamp, timeout time.Duration) (f *flight, mine bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed {
		return nil, false
	}
	if f := fs.running[key]; f != nil && slices.Equal(f.stamps, stamps) && f.ctx.Err() == nil {
		return f, false
	}
	f = &flight{key: key, stamps: slices.Clone(stamps), done: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(caller))
	deadline := time.AfterFunc(timeout, func() { cancel(ErrLoadTimeout) })
	closing := context.AfterFunc(fs.base, func() { cancel(ErrClosed) })
	f.ctx, f.cancel = ctx, func(cause error) {
		deadline.Stop()
		closing()
		cancel(cause)
	}
	fs.running[key] = f // the older one, if there is one, ends unlisted
	fs.wg.Add(1)
	return f, true
}

// land makes a flight's result known.
func (fs *flights) land(f *flight) {
	fs.mu.Lock()
	if fs.running[f.key] == f {
		delete(fs.running, f.key)
	}
	fs.mu.Unlock()
	close(f.done)
	f.cancel(nil)
	fs.wg.Done()
}

func (fs *flights) close() {
	fs.mu.Lock()
	fs.closed = true
	fs.mu.Unlock()
	fs.stop(ErrClosed)
	fs.wg.Wait()
}

// fly runs a load and stores what it brings.
func (c *Cache) fly(f *flight, quiet bool, ttl time.Duration, load Load) {
	defer c.flights.land(f)
	f.err = errExit // unless it returns
	f.value, f.err = protect(f.ctx, load)
	switch {
	case f.err != nil:
		c.counts.add(failed)
		if cause := context.Cause(f.ctx); cause != nil && !errors.Is(f.err, cause) {
			f.err = fmt.Errorf("%w: %w", cause, f.err)
		}
	case !quiet || !hold(f.stamps):
		c.counts.add(refused)
	default:
		c.keep(f, ttl)
	}
}

var errExit = errors.New("cache: the load ended its goroutine")

// protect runs a load. A panic in it is an error: there is no caller's stack to unwind.
func protect(ctx context.Context, load Load) (value []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			value, err = nil, fmt.Errorf("cache: the load panicked: %v\n%s", p, debug.Stack())
		}
	}()
	value, err = load(ctx)
	if err != nil {
		return nil, err
	}
	if cap(value)-len(value) > len(value)/4+64 {
		value = append(make([]byte, 0, len(value)), value...) // do not keep a large buffer for a small value
	}
	return value[:len(value):len(value)], nil // to append to it makes a copy
}
