package cache_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/testkit"
)

func numbered(tenant string, n int) cache.Key {
	return cache.KeyOf([]byte(tenant), binary.BigEndian.AppendUint32(nil, uint32(n)))
}

func of(c *cache.Cache, tenant string) []*cache.Table {
	return []*cache.Table{c.Table(cache.Tag{Tenant: tenant, Conn: "default", Table: "t"})}
}

// fill reads n values of size bytes each for a tenant.
func fill(t testing.TB, c *cache.Cache, tenant string, n, size int) {
	t.Helper()
	for i := range n {
		_, _, err := c.Get(t.Context(), numbered(tenant, i), of(c, tenant), 0,
			func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{'x'}, size), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
}

func held(t testing.TB, c *cache.Cache, tenant string, n int) bool {
	t.Helper()
	_, status, err := c.Get(t.Context(), numbered(tenant, n), of(c, tenant), 0, value("again"))
	if err != nil {
		t.Fatal(err)
	}
	return status == cache.Hit
}

func TestTenantLimit(t *testing.T) {
	c := newCache(t, cache.Config{})
	c.Limit("greedy", 64<<10)
	fill(t, c, "modest", 10, 1000)
	fill(t, c, "greedy", 1000, 1000)
	greedy, modest := c.TenantStat("greedy"), c.TenantStat("modest")
	if greedy.Bytes > 64<<10 || greedy.Bytes < 60<<10 || greedy.LimitBytes != 64<<10 {
		t.Errorf("greedy = %+v, want just below 65536 bytes", greedy)
	}
	if modest.Entries != 10 {
		t.Errorf("modest = %+v, want its ten entries", modest)
	}
	if s := c.Stat(); s.Evicted == 0 || s.Entries != greedy.Entries+modest.Entries {
		t.Errorf("Stat = %+v", s)
	}
	if !held(t, c, "greedy", 999) || held(t, c, "greedy", 0) {
		t.Error("the oldest should have gone, the newest stayed")
	}
	c.Limit("greedy", 4<<10)
	if now := c.TenantStat("greedy"); now.Bytes > 4<<10 || now.Entries == 0 {
		t.Errorf("under a lower limit: %+v", now)
	}
	c.ClearTenant("greedy")
	if now := c.TenantStat("greedy"); now.Bytes != 0 || now.Entries != 0 {
		t.Errorf("after ClearTenant: %+v", now)
	}
	if now := c.TenantStat("modest"); now.Entries != 10 {
		t.Errorf("ClearTenant of another: %+v", now)
	}
	c.ClearTenant("nobody")
}

func TestSecondChance(t *testing.T) {
	c := newCache(t, cache.Config{})
	c.Limit("a", 16<<10)
	fill(t, c, "a", 8, 1000)
	for range 5 {
		if !held(t, c, "a", 0) {
			t.Fatal("what is hit again and again went")
		}
		for i := range 8 {
			_, _, err := c.Get(t.Context(), cache.KeyOf(binary.BigEndian.AppendUint64(nil, rand.Uint64())), of(c, "a"), 0,
				func(context.Context) ([]byte, error) { return make([]byte, 1000), nil })
			if err != nil {
				t.Fatal(i, err)
			}
		}
	}
}

func TestTooLarge(t *testing.T) {
	c := newCache(t, cache.Config{MaxEntryBytes: 100})
	fill(t, c, "a", 1, 100)
	fill(t, c, "b", 1, 101)
	if !held(t, c, "a", 0) || c.Stat().TooLarge != 1 || c.TenantStat("b").Entries != 0 {
		t.Errorf("Stat = %+v", c.Stat())
	}
	c.Limit("c", 100) // less than one entry takes
	fill(t, c, "c", 5, 100)
	if now := c.TenantStat("c"); now.Entries != 0 || now.Bytes != 0 || held(t, c, "c", 4) {
		t.Errorf("a tenant without room: %+v", now)
	}
	if c.Stat().Entries != 1 {
		t.Errorf("Stat = %+v, want one entry", c.Stat())
	}
}

func TestMaxBytes(t *testing.T) {
	const most = 1 << 20
	c := newCache(t, cache.Config{MaxBytes: most})
	fill(t, c, "a", 10_000, 1000)
	testkit.Eventually(t, "the cache is within its bound", func() bool { return c.Stat().Bytes <= most })
	if s := c.Stat(); s.Bytes < most/2 || s.Evicted == 0 {
		t.Errorf("Stat = %+v", s)
	}
}

// TestLimitHammer: whatever happens at once, what a tenant is said to hold is what is held.
func TestLimitHammer(t *testing.T) {
	c := newCache(t, cache.Config{MaxBytes: 256 << 10})
	c.Limit("a", 32<<10)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			tenant := []string{"a", "b"}[n%2]
			for i := range 3000 {
				size := rand.IntN(2000)
				_, _, err := c.Get(t.Context(), numbered(tenant, rand.IntN(200)), of(c, tenant), 0,
					func(context.Context) ([]byte, error) { return make([]byte, size), nil })
				if err != nil {
					t.Error(err)
				}
				switch i % 100 {
				case 0:
					c.Invalidate(of(c, tenant)...)
				case 1:
					c.Limit("a", int64(16+i%32)<<10)
				case 2:
					c.ClearTenant(tenant)
				}
			}
		})
	}
	wg.Wait()
	c.Limit("a", 16<<10)
	if a := c.TenantStat("a"); a.Bytes > 16<<10 {
		t.Errorf("a holds %+v", a)
	}
	if s := c.Stat(); s.Entries != c.Stored() {
		t.Errorf("the tenants hold %d entries, the memory tier %d", s.Entries, c.Stored())
	}
	c.Clear()
	if s := c.Stat(); s.Entries != 0 || s.Bytes != 0 || c.Stored() != 0 {
		t.Errorf("after Clear: %+v", s)
	}
}
