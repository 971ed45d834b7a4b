package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/odac-run/odachost/host/internal/engine"
)

// pool keeps the instances of one revision: at most max at a time, waiters served in the order they came, idle ones
// reused last in first out so that the rest can be let go.
type pool struct {
	program *engine.Program
	log     *slog.Logger
	fresh   bool          // restore the image after each call
	wait    time.Duration // for an instance
	tokens  chan struct{} // one for each instance in use

	mu     sync.Mutex
	idle   []pooled
	closed bool
	stat   PoolStat
}

type pooled struct {
	*engine.Instance
	uses  int
	since time.Time // idle since
}

// PoolStat counts what a revision's pool did.
type PoolStat struct {
	Idle      int    // instances that wait for a call
	InUse     int    // instances in a call
	Created   uint64 // instances made
	Discarded uint64 // instances thrown away after a call: a trap, a deadline, grown memory, age
	Busy      uint64 // calls refused because none came free in time
}

// warmUses is after how many calls an instance whose memory stays is retired.
const warmUses = 1 << 20

func newPool(program *engine.Program, instances int64, wait time.Duration, fresh bool, log *slog.Logger) *pool {
	return &pool{program: program, log: log, fresh: fresh, wait: wait, tokens: make(chan struct{}, instances)}
}

// Acquire waits for an instance: until one is free, the queue time passed (ErrBusy), or ctx ended. patient waits for
// ctx alone: a socket's message must not be lost to a full house.
func (p *pool) Acquire(ctx context.Context, patient bool) (pooled, error) {
	select {
	case p.tokens <- struct{}{}:
	default:
		if err := p.queue(ctx, patient); err != nil {
			return pooled{}, err
		}
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.tokens
		return pooled{}, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		in := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return in, nil
	}
	p.stat.Created++
	p.mu.Unlock()
	in, err := p.program.New(ctx)
	if err != nil {
		<-p.tokens
		if errors.Is(err, engine.ErrClosed) {
			return pooled{}, ErrClosed
		}
		return pooled{}, err
	}
	return pooled{Instance: in}, nil
}

func (p *pool) queue(ctx context.Context, patient bool) error {
	var late <-chan time.Time
	if !patient {
		timer := time.NewTimer(p.wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case p.tokens <- struct{}{}:
		return nil
	case <-late:
		p.mu.Lock()
		p.stat.Busy++
		p.mu.Unlock()
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release takes an instance back after a call that ended well, restored if this pool does that, or throws it away.
func (p *pool) Release(in pooled) {
	in.uses++
	if p.fresh {
		if in.Reset() != nil {
			p.Discard(in)
			return
		}
	} else if in.uses >= warmUses {
		p.Discard(in)
		return
	}
	in.since = time.Now()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.Discard(in)
		return
	}
	p.idle = append(p.idle, in)
	p.mu.Unlock()
	<-p.tokens
}

// Discard closes an instance whose state cannot be trusted.
func (p *pool) Discard(in pooled) {
	p.free(in)
	p.mu.Lock()
	p.stat.Discarded++
	p.mu.Unlock()
	<-p.tokens
}

func (p *pool) free(in pooled) {
	if err := in.Close(); err != nil {
		p.log.Error("close instance", "error", err)
	}
}

// Shrink closes instances that were idle since before, but for one.
func (p *pool) Shrink(before time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle)-1 && p.idle[n].since.Before(before) {
		n++
	}
	old := append([]pooled(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.mu.Unlock()
	for _, in := range old {
		p.free(in)
	}
}

// Close closes the idle instances and refuses new calls; those in a call are closed when they are released.
func (p *pool) Close() {
	p.mu.Lock()
	old := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, in := range old {
		p.free(in)
	}
}

// Stat is a snapshot.
func (p *pool) Stat() PoolStat {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stat
	s.Idle, s.InUse = len(p.idle), len(p.tokens)
	return s
}
