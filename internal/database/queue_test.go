package database

import (
	"context"
	"sync"
	"testing"
	"time"
)

// TestQueueHammer: however takers come, give up and go, no connection is had by two, none is lost, and nobody waits for ever.
func TestQueueHammer(t *testing.T) {
	const size, takers, rounds = 3, 24, 2000
	q := newQueue(size)
	for range size {
		q.give(&sqliteConn{})
	}
	var mu sync.Mutex
	inUse := map[*sqliteConn]bool{}
	var all sync.WaitGroup
	for i := range takers {
		all.Go(func() {
			for n := range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if (n+i)%7 == 0 {
					go cancel() // at any moment
				}
				c, err := q.take(ctx, time.Minute)
				cancel()
				if err != nil {
					continue
				}
				mu.Lock()
				if inUse[c] {
					t.Error("a connection was given to two")
				}
				inUse[c] = true
				mu.Unlock()
				mu.Lock()
				delete(inUse, c)
				mu.Unlock()
				q.give(c)
			}
		})
	}
	all.Wait()
	if n := q.inUse(); n != 0 {
		t.Errorf("%d connections are lost", n)
	}
	if len(q.line) != 0 {
		t.Errorf("%d places are left in the line", len(q.line))
	}
}

// TestQueueFirstInLine: who has waited for long gets the next connection, whoever asks meanwhile.
func TestQueueFirstInLine(t *testing.T) {
	q := newQueue(1)
	c := &sqliteConn{}
	p := &place{time.Now().Add(-2 * handOver), make(chan *sqliteConn, 1)}
	if q.try(p) != nil {
		t.Fatal("an empty queue gave a connection")
	}
	q.give(c)
	if q.try(nil) != nil {
		t.Error("a newcomer got the connection of who was first in line")
	}
	if got := q.try(p); got != c {
		t.Errorf("the first in line got %p, want %p", got, c)
	}
}
