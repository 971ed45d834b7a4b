package host

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

func newShares(max int64, tenants int) (*shares, []*share) {
	all := &shares{max: max}
	parts := make([]*share, tenants)
	for i := range parts {
		parts[i] = &share{all: all}
	}
	return all, parts
}

// fill has a tenant start as many calls as it may.
func (s *share) fill() (n int) {
	for s.try() {
		n++
	}
	return n
}

// One tenant alone gets three quarters, and what is left is shared by those who come.
func TestShareThresholds(t *testing.T) {
	_, parts := newShares(100, 3)
	if n := parts[0].fill(); n != 75 {
		t.Errorf("alone: %d calls of 100, want 75", n)
	}
	if n := parts[1].fill(); n != 18 && n != 19 {
		t.Errorf("the second: %d calls, want three quarters of the 25 that are left", n)
	}
	if parts[0].try() {
		t.Error("the first got more although others are there")
	}
	for range 60 {
		parts[0].leave()
	}
	if a, b := parts[1].fill(), parts[2].fill(); a < 10 || b < 15 {
		t.Errorf("after 60 calls of the first ended, the second got %d more and the third %d", a, b)
	}
}

// Places that come free go to the tenant with the fewest calls, and in it to who waits longest.
func TestShareOrder(t *testing.T) {
	all, parts := newShares(4, 2)
	if n := parts[0].fill(); n != 3 {
		t.Fatalf("alone: %d calls of 4, want 3", n)
	}
	admitted := make(chan string)
	enter := func(s *share, name string) {
		before := all.waiting.Load()
		go func() {
			if err := s.wait(t.Context(), nil); err != nil {
				t.Error(err)
			}
			admitted <- name
		}()
		testkit.Eventually(t, name+" waits", func() bool { return all.waiting.Load() > before })
	}
	if !parts[1].try() {
		t.Fatal("the second has no place")
	}
	enter(parts[0], "first 1")
	enter(parts[0], "first 2")
	enter(parts[1], "second 1")
	for _, want := range []string{"second 1", "first 1", "first 2"} {
		parts[0].leave()
		if got := <-admitted; got != want {
			t.Errorf("admitted %s, want %s", got, want)
		}
	}
	if all.waiting.Load() != 0 || len(all.queues) != 0 {
		t.Errorf("afterwards %d wait in %d queues", all.waiting.Load(), len(all.queues))
	}
}

func TestShareGivesUp(t *testing.T) {
	all, parts := newShares(1, 1)
	if !parts[0].try() {
		t.Fatal("no place for the first call")
	}
	late := make(chan time.Time, 1)
	late <- time.Time{}
	if err := parts[0].wait(t.Context(), late); !errors.Is(err, ErrBusy) {
		t.Errorf("late: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := parts[0].wait(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	parts[0].leave()
	if all.running.Load() != 0 || all.waiting.Load() != 0 || !parts[0].try() {
		t.Errorf("afterwards %d run, %d wait", all.running.Load(), all.waiting.Load())
	}
}

// Many at once, with some that give up: never are more admitted than there may be, all are in the end, and nothing is left.
func TestShareHammer(t *testing.T) {
	const max = 5
	all, parts := newShares(max, 3)
	var running, served atomic.Int64
	var wg sync.WaitGroup
	const n, calls = 24, 300
	for g := range n {
		s := parts[g%len(parts)]
		wg.Go(func() {
			for i := range calls {
				if !s.try() {
					ctx, cancel := context.WithCancel(context.Background())
					if i%5 == 0 {
						go cancel()
					}
					err := s.wait(ctx, nil)
					cancel()
					if err != nil {
						continue
					}
				}
				if now := running.Add(1); now > max {
					t.Errorf("%d calls run, at most %d may", now, max)
				}
				served.Add(1)
				running.Add(-1)
				s.leave()
			}
		})
	}
	wg.Wait()
	if all.running.Load() != 0 || all.waiting.Load() != 0 || len(all.queues) != 0 || served.Load() < n*calls*4/5 {
		t.Errorf("afterwards %d run, %d wait in %d queues; %d were served", all.running.Load(), all.waiting.Load(), len(all.queues), served.Load())
	}
}

// BenchmarkShare is what the share costs a call that need not wait.
func BenchmarkShare(b *testing.B) {
	_, parts := newShares(1024, 1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !parts[0].try() {
				b.Error("no place")
			}
			parts[0].leave()
		}
	})
}
