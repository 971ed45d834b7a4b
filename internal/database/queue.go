package database

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/odac-run/odachost/abi"
)

// handOver is how long the first in the line waits before the next connection is kept for it.
const handOver = time.Millisecond

// queue hands out connections. Of those that nobody uses it gives the one used last, whose pages and statements are still in the processor's
// cache. Who finds none waits in line. A connection that comes free is for the first in the line if that has waited for long; before,
// for whoever takes it first: to stop a goroutine that runs so that one that waited for microseconds runs in its place would make
// every later one wait as well.
type queue struct {
	size    int
	closed  chan struct{}
	waiting atomic.Int64

	mu   sync.Mutex
	once sync.Once
	free []*sqliteConn
	line []*place
}

// place is somebody's in the line.
type place struct {
	since time.Time
	ready chan *sqliteConn // takes one item without blocking: a connection to have, or nil: look again
}

func newQueue(n int) *queue { return &queue{size: n, closed: make(chan struct{})} }

func (q *queue) close() { q.once.Do(func() { close(q.closed) }) }

func (q *queue) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

// give makes a connection free.
func (q *queue) give(c *sqliteConn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.line) > 0 {
		first := q.line[0]
		if time.Since(first.since) >= handOver {
			q.line = slices.Delete(q.line, 0, 1)
			select {
			case <-first.ready: // the hint that it has not seen yet
			default:
			}
			first.ready <- c
			return
		}
	}
	q.free = append(q.free, c)
	q.hintLocked()
}

// hintLocked has the first in the line look again if there is something to have.
func (q *queue) hintLocked() {
	if len(q.free) > 0 && len(q.line) > 0 {
		select {
		case q.line[0].ready <- nil:
		default:
		}
	}
}

// try gives a free connection, and ends p's waiting, or makes sure that p, if there is one, is in the line.
func (q *queue) try(p *place) *sqliteConn {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p != nil {
		select {
		case c := <-p.ready:
			if c != nil { // kept for it since it was told to look again
				return c
			}
		default:
		}
	}
	i := slices.Index(q.line, p)
	n := len(q.free)
	switch {
	case n == 0 && i < 0 && p != nil:
		q.line = append(q.line, p)
		return nil
	case n == 0:
		return nil
	case i >= 0:
		q.line = slices.Delete(q.line, i, i+1)
	}
	c := q.free[n-1]
	q.free = q.free[:n-1]
	q.hintLocked()
	return c
}

// leave gives up a place, and passes on what has arrived there.
func (q *queue) leave(p *place) {
	q.mu.Lock()
	if i := slices.Index(q.line, p); i >= 0 {
		q.line = slices.Delete(q.line, i, i+1)
	}
	q.mu.Unlock()
	var c *sqliteConn
	select {
	case c = <-p.ready:
	default:
		return
	}
	if c != nil {
		q.give(c)
		return
	}
	q.mu.Lock() // a hint that was for the first in the line
	defer q.mu.Unlock()
	q.hintLocked()
}

// take waits for a connection, at most for timeout.
func (q *queue) take(ctx context.Context, timeout time.Duration) (*sqliteConn, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	if q.isClosed() {
		return nil, errClosed
	}
	if c := q.try(nil); c != nil {
		return c, nil
	}
	waits(ctx)
	q.waiting.Add(1)
	defer q.waiting.Add(-1)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	p := &place{time.Now(), make(chan *sqliteConn, 1)}
	for {
		if c := q.try(p); c != nil {
			return c, nil
		}
		var err error
		select {
		case c := <-p.ready:
			if c != nil {
				return c, nil
			}
			continue
		case <-ctx.Done():
			err = ended(ctx)
		case <-q.closed:
			err = errClosed
		case <-timer.C:
			err = failf(abi.ErrnoBusy, "all %d connections were in use for %v: try again later", q.size, timeout)
		}
		q.leave(p)
		return nil, err
	}
}

// last takes a connection for good, however long that is: the queue is closed.
func (q *queue) last() *sqliteConn {
	p := &place{time.Now(), make(chan *sqliteConn, 1)}
	for {
		if c := q.try(p); c != nil {
			return c
		}
		if c := <-p.ready; c != nil {
			return c
		}
	}
}

// inUse is how many connections are not free.
func (q *queue) inUse() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size - len(q.free)
}

// waits tells a context that wants to know, such as that of a guest's call, that its goroutine is about to wait. It goes for the context itself
// and none derived from it, which may be another goroutine's.
func waits(ctx context.Context) {
	if w, ok := ctx.(interface{ Wait() }); ok {
		w.Wait()
	}
}
