package host

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/internal/testkit"
)

// poolModule has a function that returns at once, one that traps and one that grows the memory.
var poolModule = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + // type 0: no parameters, no results
	"\x03\x04\x03\x00\x00\x00" +
	"\x05\x03\x01\x00\x01" + // a page of memory
	"\x07\x15\x03\x03run\x00\x00\x04trap\x00\x01\x04grow\x00\x02" +
	"\x0a\x10\x03\x02\x00\x0b\x03\x00\x00\x0b\x07\x00\x41\x01\x40\x00\x1a\x0b")

func newTestPool(t testing.TB, max int, change ...func(*pool)) *pool {
	t.Helper()
	e, err := engine.New(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	program, err := e.Load(testkit.Context(t), poolModule, engine.LoadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_, parts := newShares(0, 1)
	p := &pool{program: program, log: slog.Default(), fresh: true, wait: time.Minute, max: max, maxWaiting: 100, share: parts[0]}
	for _, f := range change {
		f(p)
	}
	t.Cleanup(func() {
		p.Close()
		if err := errors.Join(program.Close(), e.Close()); err != nil {
			t.Error(err)
		}
		p.fills.Wait()
	})
	return p
}

func (p *pool) take(t testing.TB) pooled {
	t.Helper()
	in, err := p.Acquire(testkit.Context(t), false)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// settled waits until nothing is made in the background.
func (p *pool) settled(t testing.TB) {
	t.Helper()
	p.fills.Wait()
}

// A burst finds as many instances as were in use at once before, and a quarter more; they go when they are not needed for
// some periods.
func TestPoolKeepsThePeak(t *testing.T) {
	p := newTestPool(t, 100)
	burst := func(n int) {
		var all []pooled
		for range n {
			all = append(all, p.take(t))
		}
		p.settled(t)
		for _, in := range all {
			p.Release(in, false)
		}
	}
	burst(8)
	p.Shrink()
	if s := p.Stat(); s.Idle < 8 || s.Idle > 10 {
		t.Errorf("after 8 at once: %+v", s)
	}
	created := p.Stat().Created
	burst(8)
	if s := p.Stat(); s.Created != created {
		t.Errorf("the second burst made %d instances", s.Created-created)
	}
	burst(3)
	for i := range peaks {
		p.Shrink()
		if s := p.Stat(); i < peaks-1 && s.Idle < 8 {
			t.Errorf("%d periods after the burst: %+v", i+1, s)
		}
	}
	p.Shrink()
	p.Shrink()
	if s := p.Stat(); s.Idle != 1 || s.Shrunk == 0 || s.Discarded != 0 {
		t.Errorf("long after: %+v", s)
	}
}

// Waiters are served in order, the queue has an end, and who gives up leaves no trace.
func TestPoolQueue(t *testing.T) {
	p := newTestPool(t, 1, func(p *pool) { p.maxWaiting = 2 })
	in := p.take(t)
	served := make(chan int)
	wait := func(i int, patient bool) {
		before := p.Stat().Waiting
		go func() {
			got, err := p.Acquire(context.Background(), patient)
			if err != nil {
				t.Error(err)
			}
			served <- i
			p.Release(got, false)
		}()
		testkit.Eventually(t, "it waits", func() bool { return p.Stat().Waiting > before })
	}
	wait(0, false)
	wait(1, false)
	if _, err := p.Acquire(t.Context(), false); !errors.Is(err, ErrBusy) {
		t.Errorf("the third that waits: %v", err)
	}
	wait(2, true) // a patient one may
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := p.Acquire(ctx, true)
		gone <- err
	}()
	testkit.Eventually(t, "it waits", func() bool { return p.Stat().Waiting == 4 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	p.Release(in, false)
	for want := range 3 {
		if got := <-served; got != want {
			t.Errorf("served %d, want %d", got, want)
		}
	}
	testkit.Eventually(t, "all is given back", func() bool { return p.Stat().InUse == 0 })
	if s := p.Stat(); s.Idle != 1 || s.Waiting != 0 || s.Busy != 1 || s.Waited != 4 || s.WaitTime <= 0 || s.Created != 1 {
		t.Errorf("afterwards: %+v", s)
	}
}

// The reasons for which an instance is thrown away are counted; one that trapped is restored instead.
func TestPoolReasons(t *testing.T) {
	p := newTestPool(t, 1)
	use := func(export string) {
		in := p.take(t)
		_, err := in.Call(t.Context(), nil, time.Time{}, export)
		p.Release(in, err != nil)
	}
	use("trap")
	if s := p.Stat(); s.Discarded != 0 || s.Idle != 1 {
		t.Errorf("after a trap: %+v", s)
	}
	use("grow")
	if s := p.Stat(); s.Unrestorable != 1 || s.Discarded != 1 || s.Idle != 0 {
		t.Errorf("after growing: %+v", s)
	}
	warm := newTestPool(t, 1, func(p *pool) { p.fresh = false })
	in := warm.take(t)
	in.uses = warmUses
	warm.Release(in, false)
	if s := warm.Stat(); s.Worn != 1 || s.Discarded != 1 || s.Idle != 0 {
		t.Errorf("worn: %+v", s)
	}
	in = warm.take(t)
	if _, err := in.Call(t.Context(), nil, time.Time{}, "grow"); err != nil {
		t.Fatal(err)
	}
	warm.Release(in, true)
	if s := warm.Stat(); s.Failed != 1 || s.Discarded != 2 {
		t.Errorf("failed: %+v", s)
	}
}

// A call that waits for its tenant's share holds an instance, and gives it back when it waits in vain.
func TestPoolShare(t *testing.T) {
	all, parts := newShares(1, 2)
	p := newTestPool(t, 4, func(p *pool) { p.share, p.wait = parts[0], time.Millisecond })
	if !parts[1].try() {
		t.Fatal("no place")
	}
	if _, err := p.Acquire(t.Context(), false); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	p.settled(t)
	if s := p.Stat(); s.InUse != 0 || s.Waiting != 0 || s.Idle == 0 || s.Busy != 1 || s.Waited != 1 {
		t.Errorf("afterwards: %+v", s)
	}
	parts[1].leave()
	p.Release(p.take(t), false)
	if all.running.Load() != 0 {
		t.Errorf("%d calls run", all.running.Load())
	}
}

// Everything at once, and a close in the middle of it.
func TestPoolHammer(t *testing.T) {
	for _, max := range []int{1, 3, 16} {
		_, parts := newShares(4, 2)
		p := newTestPool(t, max, func(p *pool) { p.share = parts[0] })
		var wg sync.WaitGroup
		var inUse, served atomic.Int64
		stop := make(chan struct{})
		for g := range 12 {
			wg.Go(func() {
				for i := range 200 {
					ctx, cancel := context.WithCancel(context.Background())
					if i%7 == g%7 {
						go cancel()
					}
					in, err := p.Acquire(ctx, g%2 == 0)
					if err == nil {
						if n := inUse.Add(1); n > int64(max) {
							t.Errorf("%d instances in use, at most %d may", n, max)
						}
						_, err := in.Call(context.Background(), nil, time.Time{}, []string{"run", "trap", "grow"}[i%3])
						inUse.Add(-1)
						p.Release(in, err != nil)
						served.Add(1)
					}
					cancel()
				}
			})
		}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.Shrink()
					if p.Sleep() {
						return
					}
				}
			}
		})
		testkit.Eventually(t, "some are served", func() bool { return served.Load() > 50 || p.Stat().InUse == 0 })
		p.Close()
		close(stop)
		wg.Wait()
		p.fills.Wait()
		if s := p.Stat(); s.Idle != 0 || s.InUse != 0 || s.Waiting != 0 || p.filling != 0 {
			t.Errorf("afterwards: %+v", s)
		}
		if n := parts[0].running.Load(); n != 0 {
			t.Errorf("%d calls run", n)
		}
	}
}

// However calls come, give up, fail and go, while the pool shrinks: no instance is had by two, none is lost, and nobody waits for ever.
func TestPoolLosesNobody(t *testing.T) {
	for _, max := range []int{1, 3} {
		p := newTestPool(t, max, func(p *pool) { p.wait, p.maxWaiting = time.Hour, 1000 })
		var mu sync.Mutex
		had := map[*engine.Instance]bool{}
		var calls, shrinks sync.WaitGroup
		for g := range 12 {
			calls.Go(func() {
				for i := range 300 {
					ctx, cancel := context.WithCancel(t.Context())
					if (i+g)%5 == 0 {
						go cancel() // at any moment
					}
					in, err := p.Acquire(ctx, g%2 == 0)
					cancel()
					if err != nil {
						continue
					}
					mu.Lock()
					if had[in.Instance] {
						t.Error("an instance was given to two")
					}
					had[in.Instance] = true
					mu.Unlock()
					_, err = in.Call(t.Context(), nil, time.Time{}, []string{"run", "run", "trap", "grow"}[i%4])
					mu.Lock()
					delete(had, in.Instance)
					mu.Unlock()
					p.Release(in, err != nil)
				}
			})
		}
		done := make(chan struct{})
		shrinks.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					p.Shrink()
					runtime.Gosched()
				}
			}
		})
		calls.Wait()
		close(done)
		shrinks.Wait()
		p.settled(t)
		if s := p.Stat(); s.InUse != 0 || s.Waiting != 0 || s.Idle > max || p.filling != 0 {
			t.Errorf("afterwards: %+v", s)
		}
	}
}

// BenchmarkPool is an instance taken and given back by a call that does nothing and restores nothing.
func BenchmarkPool(b *testing.B) {
	for name, max := range map[string]int64{"shared": 1024, "alone": 0} {
		b.Run(name, func(b *testing.B) {
			_, parts := newShares(max, 1)
			p := newTestPool(b, 64, func(p *pool) { p.fresh, p.share = false, parts[0] })
			ctx := context.Background()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					in, err := p.Acquire(ctx, false)
					if err != nil {
						b.Error(err)
						return
					}
					in.uses = 0
					p.Release(in, false)
				}
			})
		})
	}
}
