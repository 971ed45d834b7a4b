package cache

import (
	"math/rand/v2"
	"sync/atomic"
)

// Stat is what a cache has done since it was made, and what it holds now.
type Stat struct {
	Hits     uint64 // reads answered from memory
	Misses   uint64 // reads that loaded
	Shared   uint64 // reads that waited for another's load
	Bypassed uint64 // reads that passed the cache by
	Early    uint64 // loads of entries that were soon to expire
	Stale    uint64 // entries found that a write had made old; their reads count as Misses or Shared
	Refused  uint64 // loads that were not kept because of a write meanwhile
	TooLarge uint64 // loads that were not kept because of their size
	Failed   uint64 // loads that returned an error
	Evicted  uint64 // entries that went for want of room or because their time was over

	Entries int   // stale ones that were not asked for since included
	Bytes   int64 // what they take, overhead included
	Tables  int   // handles of tables
}

// TenantStat is what a cache holds for one tenant.
type TenantStat struct {
	Entries    int
	Bytes      int64
	LimitBytes int64 // 0 is none
}

// Stat returns the counters. They are read one after another, while others count on.
func (c *Cache) Stat() Stat {
	s := Stat{
		Hits: c.counts.sum(hits), Misses: c.counts.sum(misses), Shared: c.counts.sum(shared), Bypassed: c.counts.sum(bypassed),
		Early: c.counts.sum(early),
		Stale: c.counts.sum(stale), Refused: c.counts.sum(refused), TooLarge: c.counts.sum(tooLarge), Failed: c.counts.sum(failed),
		Evicted: c.counts.sum(evicted),
	}
	for _, space := range *c.spaces.Load() {
		s.Tables += len(*space.tables.Load())
	}
	c.mu.Lock()
	tenants := make([]*tenant, 0, len(c.tenants))
	for _, t := range c.tenants {
		tenants = append(tenants, t)
	}
	c.mu.Unlock()
	for _, t := range tenants {
		one := t.stat()
		s.Entries += one.Entries
		s.Bytes += one.Bytes
	}
	return s
}

// TenantStat returns what is held for a tenant.
func (c *Cache) TenantStat(name string) TenantStat {
	c.mu.Lock()
	t := c.tenants[name]
	c.mu.Unlock()
	if t == nil {
		return TenantStat{}
	}
	return t.stat()
}

func (t *tenant) stat() TenantStat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return TenantStat{Entries: t.count, Bytes: t.bytes, LimitBytes: t.limit}
}

type counter int

const (
	hits counter = iota
	misses
	shared
	bypassed
	early
	stale
	refused
	tooLarge
	failed
	evicted
	numCounters
)

// counters are spread over stripes, so that many processors that count hits do not wait for one another.
type counters [16]struct {
	n [numCounters]atomic.Uint64
	_ [128 - numCounters*8%128]byte
}

func (cs *counters) add(which counter) { cs[rand.Uint32()%uint32(len(cs))].n[which].Add(1) }

func (cs *counters) sum(which counter) (n uint64) {
	for i := range cs {
		n += cs[i].n[which].Load()
	}
	return n
}
