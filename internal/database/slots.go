package database

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/odac-run/odachost/abi"
)

// slots are the connections that may be out of a pool to a server at once. Who has one finds a connection in the pool, or makes one, without a
// wait for others, so that the usual way needs no timer, which would wake another thread. They are given in order of arrival.
type slots struct {
	held    chan struct{} // a token for each that is taken
	timeout time.Duration
	closed  chan struct{}
	waiting atomic.Int64
}

func newSlots(cfg Config) *slots {
	return &slots{held: make(chan struct{}, cfg.ConnectionLimit), timeout: max(cfg.BusyTimeout, time.Millisecond), closed: make(chan struct{})}
}

// take waits for a slot, no longer than the busy timeout.
func (s *slots) take(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	waits(ctx) // for the server, if for nobody else
	select {
	case s.held <- struct{}{}:
		return nil
	default:
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	select {
	case s.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	case <-s.closed:
		return errClosed
	case <-timer.C:
		return failf(abi.ErrnoBusy, "all %d connections were in use for %v: try again later", cap(s.held), s.timeout)
	}
}

func (s *slots) give() { <-s.held }

func (s *slots) close() { close(s.closed) }

// open says why no connection is to be had.
func (s *slots) open(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	if s.isClosed() {
		return errClosed
	}
	return nil
}

func (s *slots) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}
