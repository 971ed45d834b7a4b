package host

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

// Who comes while a guest falls asleep has one that is awake: only a revision that is closed says so.
func TestAcquireWhileItFallsAsleep(t *testing.T) {
	first := newTestPool(t, 4)
	r := &revision{}
	r.guest.Store(&guest{rev: r, pool: first})
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				g, in, err := r.acquire(testkit.Context(t), false)
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				g.pool.Release(in, false)
			}
		})
	}
	for slept := 0; slept < 200 && !t.Failed(); {
		r.mu.Lock() // as sleep does, but for the next guest that is there at once
		if g := r.guest.Load(); g.pool.Sleep() {
			runtime.Gosched()
			next := &pool{program: first.program, log: first.log, fresh: true, wait: first.wait, max: first.max, maxWaiting: first.maxWaiting, share: first.share}
			r.guest.Store(&guest{rev: r, pool: next})
			slept++
		}
		r.mu.Unlock()
		runtime.Gosched()
	}
	done.Store(true)
	wg.Wait()
	g := r.guest.Load()
	g.pool.Close()
	g.pool.fills.Wait()
}
