package ws

import (
	"slices"
	"sync"
)

// Room names a set of connections inside a scope. With Route and Name it is that room of that route; without Route it is
// a room that spans routes; without Name it is everyone on that route, and the zero Room is everyone in the scope.
type Room struct {
	Route string
	Name  string
}

// Scope reaches the connections that were upgraded with one Options.Scope. It is a name, not a resource: it may be kept, and
// is empty while it has no connections.
type Scope struct {
	hub  *Hub
	name string
}

// Scope returns the scope of that name.
func (h *Hub) Scope(name string) *Scope { return &Scope{hub: h, name: name} }

// scope is what a Scope reaches while it has connections. Lock order: room.order, Hub.mu, scope.mu, Conn.mu, each of which
// may be left out.
type scope struct {
	name string

	mu    sync.RWMutex
	conns map[string]*Conn
	rooms map[Room]*room
}

type room struct {
	key   Room
	order sync.Mutex // held while a broadcast is queued everywhere, so that all members see one order

	// guarded by scope.mu
	members map[*Conn]struct{}
	list    []*Conn // members, nil after a change; never written to
}

func (s *Scope) find() *scope {
	s.hub.mu.RLock()
	defer s.hub.mu.RUnlock()
	return s.hub.scopes[s.name]
}

// Conn returns the live connection with that id, or ErrNotFound.
func (s *Scope) Conn(id string) (*Conn, error) {
	if sc := s.find(); sc != nil {
		sc.mu.RLock()
		defer sc.mu.RUnlock()
		if c := sc.conns[id]; c != nil {
			return c, nil
		}
	}
	return nil, ErrNotFound
}

// Conns returns the live connections, in no order.
func (s *Scope) Conns() []*Conn { return slices.Clone(s.list(Room{})) }

// Members returns the connections in a room, in no order.
func (s *Scope) Members(r Room) []*Conn { return slices.Clone(s.list(r)) }

// Count is how many connections are in a room.
func (s *Scope) Count(key Room) int {
	sc := s.find()
	if sc == nil {
		return 0
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if r := sc.rooms[key]; r != nil {
		return len(r.members)
	}
	return 0
}

// Rooms returns the named rooms that have members, in no order.
func (s *Scope) Rooms() []Room {
	sc := s.find()
	if sc == nil {
		return nil
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	var keys []Room
	for key := range sc.rooms {
		if key.Name != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// Broadcast queues one message for each member of a room but those whose ids are in except, and returns for how many.
// Those that are closing, or too slow, are left out and no error. Errors: ErrInvalidText, ErrInvalidType.
func (s *Scope) Broadcast(key Room, m Message, except ...string) (int, error) {
	p, err := prepare(m)
	if err != nil {
		return 0, err
	}
	sc := s.find()
	if sc == nil {
		return 0, nil
	}
	r := sc.room(key)
	if r == nil {
		return 0, nil
	}
	r.order.Lock()
	defer r.order.Unlock()
	list := sc.listOf(r)
	n := 0
	for _, c := range list {
		if slices.Contains(except, c.id) {
			continue
		}
		if c.enqueue(&p, r, len(list) == 1) == nil {
			n++
		}
	}
	return n, nil
}

func (s *Scope) list(key Room) []*Conn {
	sc := s.find()
	if sc == nil {
		return nil
	}
	r := sc.room(key)
	if r == nil {
		return nil
	}
	return sc.listOf(r)
}

func (sc *scope) room(key Room) *room {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	return sc.rooms[key]
}

// listOf is shared: it must not be changed.
func (sc *scope) listOf(r *room) []*Conn {
	sc.mu.RLock()
	list := r.list
	sc.mu.RUnlock()
	if list != nil {
		return list
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if r.list == nil {
		r.list = make([]*Conn, 0, len(r.members))
		for c := range r.members {
			r.list = append(r.list, c)
		}
	}
	return r.list
}

func (sc *scope) enterLocked(c *Conn, key Room) *room {
	r := sc.rooms[key]
	if r == nil {
		r = &room{key: key, members: map[*Conn]struct{}{}}
		sc.rooms[key] = r
	}
	r.members[c] = struct{}{}
	r.list = nil
	return r
}

func (sc *scope) exitLocked(c *Conn, r *room) {
	delete(r.members, c)
	r.list = nil
	if len(r.members) == 0 {
		delete(sc.rooms, r.key)
	}
}

// everyone are the rooms without a name that a connection is in by itself.
func (c *Conn) everyone() []Room {
	if c.opts.Route == "" {
		return []Room{{}}
	}
	return []Room{{}, {Route: c.opts.Route}}
}

func (sc *scope) add(c *Conn) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.conns[c.id] = c
	for _, key := range c.everyone() {
		sc.enterLocked(c, key)
	}
}

// remove takes c out and reports whether nobody is left.
func (sc *scope) remove(c *Conn) bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	c.left = true
	delete(sc.conns, c.id)
	for _, key := range c.everyone() {
		sc.exitLocked(c, sc.rooms[key])
	}
	for _, r := range c.joined {
		sc.exitLocked(c, r)
	}
	return len(sc.conns) == 0
}

// Join enters a room. Being in it already is no error. Errors: ErrClosed, ErrTooManyRooms, and a *ConfigError for a room
// without a name, which everyone is in or out of by route.
func (c *Conn) Join(key Room) error {
	if key.Name == "" {
		return &ConfigError{"Room.Name", "is required to join"}
	}
	c.scope.mu.Lock()
	defer c.scope.mu.Unlock()
	if c.left {
		return ErrClosed
	}
	if r := c.scope.rooms[key]; r != nil {
		if _, in := r.members[c]; in {
			return nil
		}
	}
	if len(c.joined) >= c.hub.cfg.MaxRoomsPerConn {
		return ErrTooManyRooms
	}
	c.joined = append(c.joined, c.scope.enterLocked(c, key))
	return nil
}

// Leave leaves a room. Not being in it is no error.
func (c *Conn) Leave(key Room) {
	c.scope.mu.Lock()
	defer c.scope.mu.Unlock()
	i := slices.Index(c.joined, c.scope.rooms[key])
	if i < 0 || c.left {
		return
	}
	c.scope.exitLocked(c, c.joined[i])
	c.joined = slices.Delete(c.joined, i, i+1)
}

// Rooms returns the rooms that the connection joined, in order; of a closed one, those that it was in.
func (c *Conn) Rooms() []Room {
	c.scope.mu.RLock()
	defer c.scope.mu.RUnlock()
	keys := make([]Room, len(c.joined))
	for i, r := range c.joined {
		keys[i] = r.key
	}
	return keys
}
