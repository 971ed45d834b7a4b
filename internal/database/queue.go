package database

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/odac-run/odachost/abi"
)

// queue hands out connections in order of arrival: receivers of a channel are served first come, first served.
type queue struct {
	free    chan *sqliteConn
	closed  chan struct{}
	once    *sync.Once
	waiting *atomic.Int64
}

func newQueue(n int) queue {
	return queue{make(chan *sqliteConn, n), make(chan struct{}), new(sync.Once), new(atomic.Int64)}
}

func (q *queue) close() { q.once.Do(func() { close(q.closed) }) }

func (q *queue) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

func (q *queue) take(ctx context.Context, timeout time.Duration) (*sqliteConn, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	if q.isClosed() {
		return nil, errClosed
	}
	select {
	case c := <-q.free: // nobody waits if one is free
		return c, nil
	default:
	}
	q.waiting.Add(1)
	defer q.waiting.Add(-1)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case c := <-q.free:
		return c, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	case <-q.closed:
		return nil, errClosed
	case <-timer.C:
		return nil, failf(abi.ErrnoBusy, "all %d connections were in use for %v: try again later", cap(q.free), timeout)
	}
}
