package cache_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/odac-run/odachost/cache"
)

// inBubble runs f with a clock of its own, on a cache that is closed at the end.
func inBubble(t *testing.T, cfg cache.Config, f func(*testing.T, *cache.Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := cache.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f(t, c)
	})
}

func TestMissStorm(t *testing.T) {
	inBubble(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		const readers = 1000
		var loads, sharedBy atomic.Int64
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				got, status, err := c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) {
					loads.Add(1)
					<-release
					return []byte("once"), nil
				})
				if err != nil || string(got) != "once" {
					t.Errorf("Get = %q, %v", got, err)
				}
				if status == cache.Shared {
					sharedBy.Add(1)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if loads.Load() != 1 || sharedBy.Load() != readers-1 {
			t.Errorf("loads = %d, shared by %d", loads.Load(), sharedBy.Load())
		}
		if s := c.Stat(); s.Misses != 1 || s.Shared != readers-1 {
			t.Errorf("Stat = %+v", s)
		}
	})
}

func TestCallerLeaves(t *testing.T) {
	inBubble(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		gone := errors.New("the client went")
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), ctxKey{}, "trace"))
		release := make(chan struct{})
		go func() {
			synctest.Wait()
			cancel(gone)
		}()
		_, _, err := c.Get(ctx, key, posts(c), 0, func(ctx context.Context) ([]byte, error) {
			<-release
			if ctx.Err() != nil || ctx.Value(ctxKey{}) != "trace" {
				t.Errorf("the load's context: %v, value %v", ctx.Err(), ctx.Value(ctxKey{}))
			}
			return []byte("kept"), nil
		})
		if !errors.Is(err, gone) {
			t.Fatalf("error = %v, want the caller's", err)
		}
		close(release)
		synctest.Wait()
		expect(t, c, key, posts(c), never(t), "kept", cache.Hit)
	})
}

type ctxKey struct{}

func TestLoadTimeout(t *testing.T) {
	inBubble(t, cache.Config{LoadTimeout: time.Second}, func(t *testing.T, c *cache.Cache) {
		_, _, err := c.Get(t.Context(), key, posts(c), 0, func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if !errors.Is(err, cache.ErrLoadTimeout) {
			t.Errorf("error = %v", err)
		}
		release := make(chan struct{})
		_, _, err = c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) {
			<-release // deaf
			return []byte("late"), nil
		})
		if !errors.Is(err, cache.ErrLoadTimeout) {
			t.Errorf("error = %v", err)
		}
		expect(t, c, key, posts(c), value("another"), "another", cache.Miss)
		close(release)
	})
}

func TestFailedLoad(t *testing.T) {
	inBubble(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		refused := errors.New("refused")
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, status, err := c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) {
				<-release
				return nil, refused
			})
			if !errors.Is(err, refused) || status != cache.Miss {
				t.Errorf("who loaded: %v, %v", status, err)
			}
		})
		synctest.Wait()
		var retries atomic.Int64
		for range 100 {
			wg.Go(func() {
				got, _, err := c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) {
					retries.Add(1)
					return []byte("mine works"), nil
				})
				if err != nil || string(got) != "mine works" {
					t.Errorf("who shared: %q, %v", got, err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if retries.Load() != 1 {
			t.Errorf("a hundred who shared a failure loaded %d times, want once", retries.Load())
		}
	})
}

func TestLoadPanics(t *testing.T) {
	c := newCache(t, cache.Config{})
	_, _, err := c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) { panic("out of range") })
	if err == nil || !strings.Contains(err.Error(), "panicked: out of range") {
		t.Errorf("error = %v", err)
	}
	_, _, err = c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) { runtime.Goexit(); return nil, nil })
	if err == nil || !strings.Contains(err.Error(), "ended its goroutine") {
		t.Errorf("error = %v", err)
	}
	expect(t, c, key, posts(c), value("fine"), "fine", cache.Miss)
}

func TestClose(t *testing.T) {
	c := newCache(t, cache.Config{})
	loading := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		_, _, err := c.Get(context.Background(), key, posts(c), 0, func(ctx context.Context) ([]byte, error) {
			close(loading)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		failed <- err
	}()
	<-loading
	c.Close()
	c.Close()
	if err := <-failed; !errors.Is(err, cache.ErrClosed) {
		t.Errorf("error = %v", err)
	}
	expect(t, c, key, posts(c), value("direct"), "direct", cache.Bypass)
}

func TestTTL(t *testing.T) {
	inBubble(t, cache.Config{DefaultTTL: time.Minute, Jitter: -1, Early: -1}, func(t *testing.T, c *cache.Cache) {
		expect(t, c, key, posts(c), value("one"), "one", cache.Miss)
		time.Sleep(time.Minute - time.Second) // the bubble's clock: no real time passes
		expect(t, c, key, posts(c), never(t), "one", cache.Hit)
		time.Sleep(2 * time.Second)
		expect(t, c, key, posts(c), value("two"), "two", cache.Miss)
		// What nobody asks for goes too.
		time.Sleep(5 * time.Minute)
		if s := c.Stat(); s.Entries != 0 || s.Bytes != 0 || s.Evicted == 0 {
			t.Errorf("Stat = %+v, want nothing kept", s)
		}
	})
}

func TestMaxTTL(t *testing.T) {
	inBubble(t, cache.Config{DefaultTTL: time.Minute, MaxTTL: time.Hour, Jitter: -1, Early: -1}, func(t *testing.T, c *cache.Cache) {
		if _, _, err := c.Get(t.Context(), key, posts(c), 1000*time.Hour, value("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Second)
		expect(t, c, key, posts(c), value("y"), "y", cache.Miss)
	})
}

func TestJitter(t *testing.T) {
	inBubble(t, cache.Config{DefaultTTL: 100 * time.Second, Jitter: 0.1, Early: -1}, func(t *testing.T, c *cache.Cache) {
		const entries = 1000
		for i := range entries {
			expectAny(t, c, cache.KeyOf([]byte{byte(i), byte(i >> 8)}), posts(c))
		}
		count := func() (n int) {
			before := c.Stat().Hits
			for i := range entries {
				// A reader without a TTL of its own would store what it misses: this one's tables are never quiet.
				_, _, _ = c.Get(t.Context(), cache.KeyOf([]byte{byte(i), byte(i >> 8)}), posts(c), 1, value("x"))
			}
			return int(c.Stat().Hits - before)
		}
		time.Sleep(90*time.Second - time.Millisecond)
		if n := count(); n != entries {
			t.Fatalf("before 90 s %d of %d are left", n, entries)
		}
		time.Sleep(5 * time.Second)
		if n := count(); n < entries/3 || n > entries*2/3 {
			t.Errorf("after 95 s %d of %d are left, want about half", n, entries)
		}
		time.Sleep(5*time.Second + time.Millisecond)
		if n := count(); n != 0 {
			t.Errorf("after 100 s %d are left", n)
		}
	})
}

func TestEarly(t *testing.T) {
	inBubble(t, cache.Config{DefaultTTL: 100 * time.Second, Jitter: -1, Early: 0.1}, func(t *testing.T, c *cache.Cache) {
		expect(t, c, key, posts(c), value("one"), "one", cache.Miss)
		time.Sleep(89 * time.Second)
		expect(t, c, key, posts(c), never(t), "one", cache.Hit)
		time.Sleep(2 * time.Second)
		release := make(chan struct{})
		expect(t, c, key, posts(c), func(context.Context) ([]byte, error) { // in the background
			<-release
			return []byte("two"), nil
		}, "one", cache.Hit)
		expect(t, c, key, posts(c), never(t), "one", cache.Hit)
		close(release)
		synctest.Wait()
		expect(t, c, key, posts(c), never(t), "two", cache.Hit)
		time.Sleep(80 * time.Second)
		expect(t, c, key, posts(c), never(t), "two", cache.Hit)
		if s := c.Stat(); s.Early != 1 || s.Misses != 1 || s.Hits != 5 {
			t.Errorf("Stat = %+v", s)
		}
	})
}

func TestEndAfter(t *testing.T) {
	inBubble(t, cache.Config{}, func(t *testing.T, c *cache.Cache) {
		c.BeginWrite(posts(c)...).EndAfter(30 * time.Second)
		expect(t, c, key, posts(c), value("before"), "before", cache.Miss)
		time.Sleep(29 * time.Second)
		expect(t, c, key, posts(c), value("applied late"), "applied late", cache.Miss)
		time.Sleep(2 * time.Second)
		expect(t, c, key, posts(c), value("after"), "after", cache.Miss)
		expect(t, c, key, posts(c), never(t), "after", cache.Hit)
	})
}
