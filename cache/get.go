package cache

import (
	"context"
	"time"
)

// Status says where a value came from.
type Status uint8

// The ways of a read.
const (
	// Miss is a value that this read loaded.
	Miss Status = iota
	// Hit is a value from memory.
	Hit
	// Shared is a value that another read was already loading.
	Shared
	// Bypass is a value that this read loaded without the cache.
	Bypass
)

// String is the status in lower case, as for a header or a log.
func (s Status) String() string {
	switch s {
	case Miss:
		return "miss"
	case Hit:
		return "hit"
	case Shared:
		return "shared"
	default:
		return "bypass"
	}
}

// Load reads a value from where it comes. It runs in a goroutine of its own, may outlive the call of [Cache.Get] that it was given
// to, and must use nothing of that call's. ctx has the call's values and not its end: it is done after Config.LoadTimeout, and
// [Cache.Close] waits for the load to heed it.
// What it returns belongs to the cache, and nil is a value.
type Load func(ctx context.Context) ([]byte, error)

// Get returns the value of key: from memory if it is there and no table has been written since it was read, else by load. It
// is kept for ttl: zero is Config.DefaultTTL, more than Config.MaxTTL is MaxTTL, below zero the cache is passed by.
//
// The tables are all those that the value depends on, of one tenant's connection, in the same order for the same key. Without
// tables, with the handle of a whole connection, or with tables of two connections the cache is passed by.
//
// The value is shared: do not write to it. The error is that of the load, [ErrLoadTimeout], [ErrClosed], or ctx's when it is done first.
// An error is not kept. A caller that shared a load that failed tries once more, with its own load or that of another who tries again.
func (c *Cache) Get(ctx context.Context, key Key, tables []*Table, ttl time.Duration, load Load) ([]byte, Status, error) {
	if ttl < 0 || !cacheable(tables) {
		c.counts.add(bypassed)
		value, err := load(ctx)
		return value, Bypass, err
	}
	e, soon := c.lookup(key, tables)
	if e == nil {
		return c.miss(ctx, key, tables, ttl, load)
	}
	if soon {
		c.loadEarly(ctx, e, ttl, load)
	}
	return e.value, Hit, nil
}

// Peek returns the value of key if [Cache.Get] with the same tables would return it from memory and do no more: false also when the
// value is to be loaded again soon. It is for who knows key and tables before it knows how to load.
func (c *Cache) Peek(key Key, tables []*Table) ([]byte, bool) {
	if !cacheable(tables) {
		return nil, false
	}
	if e, soon := c.lookup(key, tables); e != nil && !soon {
		return e.value, true
	}
	return nil, false
}

// lookup finds an entry that may be served, nil if there is none, and says whether it expires soon.
func (c *Cache) lookup(key Key, tables []*Table) (e *entry, soon bool) {
	found, ok := c.entries.GetEntry(key)
	switch {
	case !ok:
		return nil, false
	case !of(tables, found.Value.stamps) || !hold(found.Value.stamps):
		c.counts.add(stale)
		return nil, false
	}
	found.Value.used()
	c.counts.add(hits)
	return found.Value, found.ExpiresAtNano-found.SnapshotAtNano < found.Value.early
}

func cacheable(tables []*Table) bool {
	if len(tables) == 0 {
		return false
	}
	for _, t := range tables {
		if t.whole() || t.space != tables[0].space {
			return false
		}
	}
	return true
}

func (c *Cache) miss(ctx context.Context, key Key, tables []*Table, ttl time.Duration, load Load) ([]byte, Status, error) {
	var buf [4]stamp
	for again := false; ; again = true {
		// The stamps come before the load: what is written from here on shows in them.
		stamps, quiet := stampsOf(tables, buf[:])
		f, mine := c.flights.join(ctx, key, stamps, c.cfg.LoadTimeout)
		if f == nil { // closed
			c.counts.add(bypassed)
			value, err := load(ctx)
			return value, Bypass, err
		}
		status := Shared
		if mine {
			// Another may have landed between the look at the entries and here.
			if found, ok := c.entries.GetEntryQuietly(key); ok && of(tables, found.Value.stamps) && hold(found.Value.stamps) {
				f.value = found.Value.value
				c.flights.land(f)
				c.counts.add(hits)
				return f.value, Hit, nil
			}
			status = Miss
			c.counts.add(misses)
			go c.fly(f, quiet, ttl, load)
		}
		value, err := f.wait(ctx)
		if err != nil && !mine && !again && ctx.Err() == nil {
			continue
		}
		if !mine {
			c.counts.add(shared)
		}
		return value, status, err
	}
}

// loadEarly has an entry that soon expires loaded anew, by one of those who hit it.
func (c *Cache) loadEarly(ctx context.Context, e *entry, ttl time.Duration, load Load) {
	if e.reloading.Swap(true) {
		return
	}
	tables := make([]*Table, 0, len(e.stamps)-1)
	for _, s := range e.stamps[:len(e.stamps)-1] {
		tables = append(tables, s.table)
	}
	stamps, quiet := stampsOf(tables, nil)
	if f, mine := c.flights.join(ctx, e.key, stamps, c.cfg.LoadTimeout); mine {
		c.counts.add(early)
		go c.fly(f, quiet, ttl, load)
	}
}

// keep stores what a flight brought, if it may be.
func (c *Cache) keep(f *flight, ttl time.Duration) {
	if int64(len(f.value)) > c.cfg.MaxEntryBytes {
		c.counts.add(tooLarge)
		return
	}
	ttl = c.ttlOf(ttl)
	e := &entry{key: f.key, value: f.value, stamps: f.stamps, tenant: f.stamps[0].table.space.tenant, ttl: ttl}
	if c.cfg.Early > 0 {
		e.early = int64(c.cfg.Early * float64(ttl))
	}
	e.weight = uint32(len(f.value) + entryOverhead + len(f.stamps)*stampBytes)
	c.giveUp(e.tenant.link(e))
	// A write that happens between here and Set is no matter: the entry's stamps no longer hold, so it is not served.
	c.entries.Set(f.key, e)
	if !e.tenant.linked(e) {
		c.drop(e) // given up before it was in
	}
}
