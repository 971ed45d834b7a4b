package ws

import "sync/atomic"

// Stat is a snapshot of the hub: gauges first, then counters since the hub began.
type Stat struct {
	Conns  int // live
	Scopes int // with a live connection
	Rooms  int // named, with a member

	Opened      int64
	Closed      int64
	Broken      int64 // of Closed: without a closing handshake (1006)
	Refused     int64 // handshakes
	MessagesIn  int64
	MessagesOut int64 // queued, one for each receiver
	BytesIn     int64 // on the wire
	BytesOut    int64 // on the wire
	Pauses      int64 // times that reads paused because a handler was behind
	Dropped     int64 // messages, by SlowDropOldest and SlowLatest
	SlowClosed  int64 // connections, by SlowClose
	Violations  int64 // connections that broke the protocol or a size limit
	Panics      int64 // of handlers
}

type counters struct {
	opened, closedAll, broken, refused              atomic.Int64
	messagesIn, messagesOut, bytesIn, bytesOut      atomic.Int64
	pauses, dropped, slowClosed, violations, panics atomic.Int64
}

func (s *counters) closed(code int) {
	s.closedAll.Add(1)
	if code == AbnormalClosure {
		s.broken.Add(1)
	}
}

// Stat returns a snapshot.
func (h *Hub) Stat() Stat {
	s := Stat{
		Opened: h.stat.opened.Load(), Closed: h.stat.closedAll.Load(), Broken: h.stat.broken.Load(), Refused: h.stat.refused.Load(),
		MessagesIn: h.stat.messagesIn.Load(), MessagesOut: h.stat.messagesOut.Load(),
		BytesIn: h.stat.bytesIn.Load(), BytesOut: h.stat.bytesOut.Load(), Pauses: h.stat.pauses.Load(), Dropped: h.stat.dropped.Load(),
		SlowClosed: h.stat.slowClosed.Load(), Violations: h.stat.violations.Load(), Panics: h.stat.panics.Load(),
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	s.Conns, s.Scopes = h.conns, len(h.scopes)
	for _, sc := range h.scopes {
		sc.mu.RLock()
		for key := range sc.rooms {
			if key.Name != "" {
				s.Rooms++
			}
		}
		sc.mu.RUnlock()
	}
	return s
}
