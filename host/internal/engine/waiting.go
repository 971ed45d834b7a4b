package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// waiting is the context of a call, for host functions. Most of them look at it and do not wait, so that the timer and the tie to
// the caller's context, which cost more than a cached read, are made when somebody waits.
type waiting struct {
	call     *Call
	parent   context.Context
	engine   *Engine
	deadline time.Time
	ends     int64 // the deadline on the engine's clock, 0 if there is none

	used atomic.Bool // somebody waits, or has waited

	mu     sync.Mutex
	err    error // why it ended, if stop ended it
	full   context.Context
	cancel context.CancelCauseFunc
}

// made is the context that can be waited for.
func (w *waiting) made() context.Context {
	w.used.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full == nil {
		ctx, release := w.parent, context.CancelFunc(func() {})
		if w.ends != 0 {
			ctx, release = context.WithDeadlineCause(ctx, w.deadline, ErrDeadline)
		}
		full, cancel := context.WithCancelCause(ctx)
		w.full, w.cancel = full, func(cause error) {
			cancel(cause)
			release()
		}
		if w.err != nil {
			w.cancel(w.err)
		}
	}
	return w.full
}

// stop ends the context, if it has not ended yet.
func (w *waiting) stop(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = cause
	}
	if w.cancel != nil {
		w.cancel(cause)
	}
}

// Wait is [Call.Wait].
func (w *waiting) Wait() { w.call.Wait() }

// Done implements context.Context.
func (w *waiting) Done() <-chan struct{} { return w.made().Done() }

// Value implements context.Context. Package context asks it for the context to be cancelled with.
func (w *waiting) Value(key any) any { return w.made().Value(key) }

// Deadline implements context.Context.
func (w *waiting) Deadline() (time.Time, bool) {
	deadline, ok := w.parent.Deadline()
	if w.ends != 0 && (!ok || w.deadline.Before(deadline)) {
		return w.deadline, true
	}
	return deadline, ok
}

// Err implements context.Context.
func (w *waiting) Err() error {
	w.mu.Lock()
	full, stopped := w.full, w.err != nil
	w.mu.Unlock()
	switch {
	case full != nil:
		return full.Err()
	case stopped:
		return context.Canceled
	case w.ends != 0 && w.engine.now() >= w.ends:
		return context.DeadlineExceeded
	}
	return w.parent.Err()
}
