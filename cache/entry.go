package cache

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// What an entry takes beside its value: itself, otter's node and its place in the hash table.
const (
	entryOverhead = int(unsafe.Sizeof(entry{})) + 144
	stampBytes    = int(unsafe.Sizeof(stamp{}))
)

// entry is what is kept of a read. It does not change, but for its marks and its place in its tenant's list.
type entry struct {
	key    Key
	value  []byte
	stamps []stamp // of the tables, and last of the connection
	tenant *tenant
	ttl    time.Duration
	early  int64 // ns before its end from which it is loaded anew
	weight uint32

	recent    atomic.Bool // hit since its tenant last looked for something to give up
	reloading atomic.Bool

	prev, next *entry // guarded by tenant.mu; both nil when not in the list
}

func (e *entry) used() {
	if !e.recent.Load() { // mostly it is: do not write to a line that others read
		e.recent.Store(true)
	}
}

// tenant holds what one tenant's entries take, in a list from the oldest to the newest.
type tenant struct {
	mu    sync.Mutex
	list  entry // its next is the oldest, its prev the newest; it points to itself when empty
	count int
	bytes int64
	limit int64 // 0 is none
}

func (c *Cache) tenant(name string) *tenant {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenants[name]
	if t == nil {
		t = &tenant{}
		t.list.prev, t.list.next = &t.list, &t.list
		c.tenants[name] = t
	}
	return t
}

// Limit bounds what a tenant's entries take, in bytes; 0 is no bound but Config.MaxBytes. What is over a lower bound than before
// goes at once. Over its bound a tenant gives up its own oldest entries that were not hit of late, nobody else's.
func (c *Cache) Limit(name string, maxBytes int64) {
	t := c.tenant(name)
	t.mu.Lock()
	t.limit = max(maxBytes, 0)
	over := t.overLocked()
	t.mu.Unlock()
	c.giveUp(over)
}

// giveUp drops entries that were unlinked for want of room.
func (c *Cache) giveUp(over []*entry) {
	for _, e := range over {
		c.drop(e)
		c.counts.add(evicted)
	}
}

// link adds an entry and returns those that must go for it, itself among them if it alone is too large.
func (t *tenant) link(e *entry) (over []*entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pushLocked(e)
	t.count++
	t.bytes += int64(e.weight)
	return t.overLocked()
}

// unlink takes an entry out. It may be out already.
func (t *tenant) unlink(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unlinkLocked(e)
}

func (t *tenant) linked(e *entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return e.next != nil
}

func (t *tenant) entries() []*entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*entry, 0, t.count)
	for e := t.list.next; e != &t.list; e = e.next {
		all = append(all, e)
	}
	return all
}

// overLocked unlinks what is over the limit: the oldest first, but one that was hit since it was last passed gets another round.
func (t *tenant) overLocked() (over []*entry) {
	if t.limit == 0 {
		return nil
	}
	rounds := t.count // each entry gets one at the most, however often it is hit meanwhile
	for t.bytes > t.limit {
		e := t.list.next
		if rounds > 0 && e.recent.Swap(false) {
			rounds--
			t.cutLocked(e)
			t.pushLocked(e)
			continue
		}
		t.unlinkLocked(e)
		over = append(over, e)
	}
	return over
}

func (t *tenant) unlinkLocked(e *entry) {
	if e.next == nil {
		return
	}
	t.cutLocked(e)
	t.count--
	t.bytes -= int64(e.weight)
}

func (t *tenant) pushLocked(e *entry) {
	e.prev, e.next = t.list.prev, &t.list
	e.prev.next, e.next.prev = e, e
}

func (t *tenant) cutLocked(e *entry) {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
}
