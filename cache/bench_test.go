package cache_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/odac-run/odachost/cache"
)

var kilobyte = bytes.Repeat([]byte{'x'}, 1024)

func loadKilobyte(context.Context) ([]byte, error) { return kilobyte, nil }

func mustHit(b *testing.B, c *cache.Cache, key cache.Key, tables []*cache.Table) {
	got, status, err := c.Get(context.Background(), key, tables, 0, loadKilobyte)
	if err != nil || status != cache.Hit || len(got) != len(kilobyte) {
		b.Fatalf("Get = %d bytes, %v, %v", len(got), status, err)
	}
}

// BenchmarkHit is a hit of 1 KiB that depends on one table.
func BenchmarkHit(b *testing.B) {
	c := newCache(b, cache.Config{})
	tables := of(c, "acme")
	fill(b, c, "acme", 1, 1024)
	key := numbered("acme", 0)
	b.ReportAllocs()
	for b.Loop() {
		mustHit(b, c, key, tables)
	}
}

// BenchmarkHitParallel is that on all processors, over a thousand keys.
func BenchmarkHitParallel(b *testing.B) {
	c := newCache(b, cache.Config{})
	tables := of(c, "acme")
	fill(b, c, "acme", 1000, 1024)
	keys := make([]cache.Key, 1000)
	for i := range keys {
		keys[i] = numbered("acme", i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.IntN(1000); pb.Next(); i = (i + 1) % 1000 {
			mustHit(b, c, keys[i], tables)
		}
	})
}

// BenchmarkHitTables is a hit that depends on eight tables.
func BenchmarkHitTables(b *testing.B) {
	c := newCache(b, cache.Config{})
	tables := make([]*cache.Table, 0, 8)
	for i := range 8 {
		tables = append(tables, c.Table(cache.Tag{Tenant: "acme", Conn: "default", Table: string(rune('a' + i))}))
	}
	if _, _, err := c.Get(b.Context(), key, tables, 0, loadKilobyte); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		mustHit(b, c, key, tables)
	}
}

// BenchmarkMiss is a miss whose load costs nothing, stored.
func BenchmarkMiss(b *testing.B) {
	c := newCache(b, cache.Config{})
	tables := of(c, "acme")
	b.ReportAllocs()
	for b.Loop() {
		c.Invalidate(tables...)
		if _, status, err := c.Get(b.Context(), key, tables, 0, loadKilobyte); err != nil || status != cache.Miss {
			b.Fatal(status, err)
		}
	}
}

// BenchmarkMissStorm is a thousand readers of one key that is not there. It reports how many loads they made.
func BenchmarkMissStorm(b *testing.B) {
	c := newCache(b, cache.Config{})
	tables := of(c, "acme")
	before := c.Stat().Misses
	for b.Loop() {
		c.Invalidate(tables...)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if _, _, err := c.Get(b.Context(), key, tables, 0, loadKilobyte); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(c.Stat().Misses-before)/float64(b.N), "loads/op")
}

func BenchmarkWrite(b *testing.B) {
	c := newCache(b, cache.Config{})
	tables := of(c, "acme")
	b.ReportAllocs()
	for b.Loop() {
		c.BeginWrite(tables...).End()
	}
}

func BenchmarkTable(b *testing.B) {
	c := newCache(b, cache.Config{})
	tag := cache.Tag{Tenant: "acme", Conn: "default", Table: "posts"}
	for b.Loop() {
		c.Table(tag)
	}
}

// BenchmarkKeyOf is the key of a query of 120 bytes by a plugin whose own key is known.
func BenchmarkKeyOf(b *testing.B) {
	plugin, query := cache.KeyOf([]byte("acme"), []byte("board")), make([]byte, 120)
	b.ReportAllocs()
	for b.Loop() {
		cache.KeyOf(plugin[:], query)
	}
}
