package cache

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Tag names a table of a tenant's connection. Names are compared byte for byte: give them as the database's catalog spells them,
// never an alias. An empty Table is the whole connection: a write to it makes every read of the connection stale, and a read
// of it, one that does not know its tables, is not cached. Tenants and connections are the operator's and their number is not
// bounded here; tables may be a plugin's, see Config.MaxTables.
type Tag struct {
	Tenant string
	Conn   string
	Table  string
}

// A table's word holds the number of writes in flight in its low bits and the generation above them, so that the end of a
// write is one addition. More than a million writes in flight on one table do not fit in memory; the generation
// wraps after 2^44 writes, which is no matter: no entry lives that long.
const (
	inFlight   = 1
	generation = 1 << 20
	flightMask = generation - 1
)

// Table is the handle of a [Tag]: get it once for a query and keep it. The same tag has the same handle for the life of the cache.
type Table struct {
	word  atomic.Uint64
	space *space
	name  string
	_     [96]byte // two cache lines of its own: writers of one table do not slow readers of another
}

// whole is true for the handle of a whole connection.
func (t *Table) whole() bool { return t == t.space.whole }

type spaceName struct{ tenant, conn string }

// space is a tenant's connection.
type space struct {
	tenant *tenant
	whole  *Table // for what is unknown
	rest   *Table // shared by all names beyond Config.MaxTables
	tables atomic.Pointer[map[string]*Table]

	mu sync.Mutex // guards writing to tables
}

// Table returns the handle of a tag. It takes no lock once the tag is known.
func (c *Cache) Table(tag Tag) *Table {
	s := c.space(spaceName{tag.Tenant, tag.Conn})
	if tag.Table == "" {
		return s.whole
	}
	if t := (*s.tables.Load())[tag.Table]; t != nil {
		return t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := *s.tables.Load()
	if t := known[tag.Table]; t != nil {
		return t
	}
	if len(known) >= c.cfg.MaxTables {
		return s.rest // for ever: no handle is given up
	}
	t := &Table{space: s, name: tag.Table}
	more := maps.Clone(known)
	more[tag.Table] = t
	s.tables.Store(&more)
	return t
}

func (c *Cache) space(name spaceName) *space {
	if s := (*c.spaces.Load())[name]; s != nil {
		return s
	}
	tenant := c.tenant(name.tenant)
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *c.spaces.Load()
	if s := known[name]; s != nil {
		return s
	}
	s := &space{tenant: tenant}
	s.whole, s.rest = &Table{space: s}, &Table{space: s}
	s.tables.Store(&map[string]*Table{})
	more := maps.Clone(known)
	more[name] = s
	c.spaces.Store(&more)
	return s
}

// stamp is a table's word as it was when a read began.
type stamp struct {
	table *Table
	word  uint64
}

// stampsOf notes the words of tables, and last of their connection. It is false when nothing that is read now can be kept:
// a write is in flight, or the tables are not known.
func stampsOf(tables []*Table, buf []stamp) (stamps []stamp, quiet bool) {
	stamps, quiet = buf[:0], true
	for _, t := range tables {
		stamps = append(stamps, stamp{t, t.word.Load()})
	}
	whole := tables[0].space.whole
	stamps = append(stamps, stamp{whole, whole.word.Load()})
	for _, s := range stamps {
		quiet = quiet && s.word&flightMask == 0
	}
	return stamps, quiet
}

// hold is true while no table has moved since its stamp.
func hold(stamps []stamp) bool {
	for _, s := range stamps {
		if s.table.word.Load() != s.word {
			return false
		}
	}
	return true
}

// of is true if the stamps are those of exactly these tables. Handles differ between tenants, so that not even a collision of
// keys shows one tenant what another read.
func of(tables []*Table, stamps []stamp) bool {
	if len(stamps) != len(tables)+1 {
		return false
	}
	for i, t := range tables {
		if stamps[i].table != t {
			return false
		}
	}
	return true
}
