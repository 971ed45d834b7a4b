package cache

import (
	"slices"
	"sync/atomic"
	"time"
)

// Write is a write in flight. While it is, reads of its tables are loaded and not kept.
type Write struct {
	tables []*Table
	ended  atomic.Bool
}

// BeginWrite marks tables as being written. Call it before the statement is sent, or for a transaction before its COMMIT
// with every table that it wrote (cascades and triggers too), and see to it that [Write.End] follows on every path.
func (c *Cache) BeginWrite(tables ...*Table) *Write {
	w := &Write{tables: slices.Clone(tables)}
	for _, t := range w.tables {
		t.word.Add(inFlight)
	}
	return w
}

// End makes older reads of the tables stale and the write no longer in flight. Call it when the outcome is there, whatever it is, and before
// the write is acknowledged. A second End does nothing, so that a deferred one is a safety net.
func (w *Write) End() {
	if w.ended.Swap(true) {
		return
	}
	for _, t := range w.tables {
		t.word.Add(generation - inFlight)
	}
}

// EndAfter is for a write whose outcome is unknown and may still come, such as a COMMIT whose answer was lost: its tables stay
// in flight, and their reads uncached, until the time is over in which the server can still apply it (its statement timeout).
func (w *Write) EndAfter(d time.Duration) { time.AfterFunc(d, w.End) }

// Invalidate makes older reads of the tables stale, and keeps those from being stored that are being loaded. It is for changes that
// are done: those of other nodes, of other programs, of migrations.
func (c *Cache) Invalidate(tables ...*Table) {
	for _, t := range tables {
		t.word.Add(generation)
	}
}
