package host

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// greed is how many calls a tenant may have running for each that the host could still take.
const greed = 3

// shares divides the calls that may run at once on the host between its tenants. A tenant may have up to three times as
// many running as are still free (the dynamic threshold of Choudhury and Hahne, 1998): one tenant alone gets three
// quarters, n tenants that all want more get the same each, and a little is always free for who comes next. A place that
// comes free goes to the waiting tenant with the fewest calls, and within a tenant to the first that waits.
type shares struct {
	max     int64 // calls at once; 0 is no bound, and nothing is counted
	running atomic.Int64
	waiting atomic.Int64

	mu     sync.Mutex
	queues []*share // of tenants whose calls wait, who was served last comes last
}

// share is one tenant's part.
type share struct {
	all     *shares
	running atomic.Int64
	waiting atomic.Int64
	queue   []*place // guarded by all.mu
}

// place is what one call waits for.
type place struct {
	admitted bool // guarded by shares.mu
	ready    chan struct{}
}

// try enters without waiting. A call that follows must leave.
func (s *share) try() bool {
	if s.all.max == 0 {
		return true
	}
	return s.waiting.Load() == 0 && s.take()
}

// take counts a call, unless that would be too many. Who fails may have made another fail: it must then dispatch.
func (s *share) take() bool {
	mine, all := s.running.Add(1), s.all.running.Add(1)
	if all <= s.all.max && mine <= greed*(s.all.max-all+1) {
		return true
	}
	s.all.running.Add(-1)
	s.running.Add(-1)
	return false
}

// wait enters when its turn comes; ErrBusy when late fires before, ctx's error when that ends.
func (s *share) wait(ctx context.Context, late <-chan time.Time) error {
	p := &place{ready: make(chan struct{})}
	a := s.all
	a.mu.Lock()
	if len(s.queue) == 0 {
		a.queues = append(a.queues, s)
	}
	s.queue = append(s.queue, p)
	s.waiting.Add(1)
	a.waiting.Add(1)
	a.dispatchLocked()
	a.mu.Unlock()
	var err error
	select {
	case <-p.ready:
		return nil
	case <-late:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.admitted { // at the last moment
		return nil
	}
	for i, other := range s.queue {
		if other == p {
			s.dropLocked(i)
			break
		}
	}
	return err
}

// leave ends a call.
func (s *share) leave() {
	a := s.all
	if a.max == 0 {
		return
	}
	s.running.Add(-1)
	a.running.Add(-1)
	if a.waiting.Load() > 0 {
		a.mu.Lock()
		a.dispatchLocked()
		a.mu.Unlock()
	}
}

// dispatchLocked admits who waits, as far as there is room.
func (a *shares) dispatchLocked() {
	for len(a.queues) > 0 {
		best := a.queues[0]
		for _, s := range a.queues[1:] {
			if s.running.Load() < best.running.Load() {
				best = s
			}
		}
		if !best.take() {
			return // nor has another room: those with more calls may have less
		}
		p := best.queue[0]
		best.dropLocked(0)
		if len(best.queue) > 0 { // to the end
			a.removeLocked(best)
			a.queues = append(a.queues, best)
		}
		p.admitted = true
		close(p.ready)
	}
}

// dropLocked takes a waiting call out.
func (s *share) dropLocked(i int) {
	copy(s.queue[i:], s.queue[i+1:])
	s.queue[len(s.queue)-1] = nil
	s.queue = s.queue[:len(s.queue)-1]
	s.waiting.Add(-1)
	s.all.waiting.Add(-1)
	if len(s.queue) == 0 {
		s.all.removeLocked(s)
	}
}

func (a *shares) removeLocked(s *share) {
	for i, other := range a.queues {
		if other == s {
			a.queues = append(a.queues[:i], a.queues[i+1:]...)
			return
		}
	}
}
