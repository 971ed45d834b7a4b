package ws

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	wheelTick  = 100 * time.Millisecond
	wheelSlots = 256
)

// wheel is the timer of all connections: one goroutine, one entry for each connection, filed under the time of its
// next deadline. Deadlines are met within a tick, so 0.1 s late at most.
type wheel struct {
	start time.Time
	clock atomic.Int64 // hub clock in ns, as of the last tick
	stop  chan struct{}
	done  chan struct{}

	mu    sync.Mutex // taken alone
	slots [wheelSlots]*Conn
	at    int64 // the last tick that was served
}

func newWheel() *wheel {
	w := &wheel{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// now is the hub clock: nanoseconds since the hub began, never 0.
func (w *wheel) now() int64 { return int64(time.Since(w.start)) + 1 }

// file asks for a look at c at due, or earlier if it is filed so already.
func (w *wheel) file(c *Conn, due int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.retired || c.filed && c.due <= due {
		return
	}
	w.unlinkLocked(c)
	tick := min(max((due+int64(wheelTick)-1)/int64(wheelTick), w.at+1), w.at+wheelSlots-1)
	c.due, c.slot, c.filed = due, int(tick%wheelSlots), true
	c.prev, c.next = nil, w.slots[c.slot]
	if c.next != nil {
		c.next.prev = c
	}
	w.slots[c.slot] = c
}

func (w *wheel) retire(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlinkLocked(c)
	c.retired = true
}

func (w *wheel) unlinkLocked(c *Conn) {
	if !c.filed {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.slots[c.slot] = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next, c.filed = nil, nil, false
}

func (w *wheel) run() {
	defer close(w.done)
	ticker := time.NewTicker(wheelTick)
	defer ticker.Stop()
	var due []*Conn
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		now := w.now()
		w.clock.Store(now)
		due = w.advance(now, due[:0])
		for _, c := range due {
			if next := c.tick(now); next > 0 {
				w.file(c, next)
			}
		}
		clear(due)
	}
}

// advance takes out all whose slot has come, those of missed ticks too.
func (w *wheel) advance(now int64, due []*Conn) []*Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := now / int64(wheelTick)
	for from := max(w.at+1, to-wheelSlots+1); from <= to; from++ {
		for c := w.slots[from%wheelSlots]; c != nil; c = w.slots[from%wheelSlots] {
			w.unlinkLocked(c)
			due = append(due, c)
		}
	}
	w.at = max(w.at, to)
	return due
}

func (w *wheel) close() {
	close(w.stop)
	<-w.done
}

// tick does what is due and returns when to look again, 0 for never.
func (c *Conn) tick(now int64) int64 {
	c.mu.Lock()
	closeBy, paused := c.closeBy, c.paused
	if closeBy != 0 && now >= closeBy && c.answerCode != 0 {
		c.queueCloseLocked(c.answerCode, c.answerReason) // the handler is too slow to wait for
		return 0
	}
	c.mu.Unlock()
	if c.State() == Closed {
		return 0
	}
	if closeBy != 0 {
		if now < closeBy {
			return closeBy
		}
		c.abort("the closing handshake took too long")
		return 0
	}
	idleBy := c.lastMessage.Load() + int64(c.opts.IdleTimeout)
	if now >= idleBy {
		_ = c.shut(GoingAway, "idle for too long") // closing already: what was wanted
		return 0
	}
	pingBy, alive := c.heartbeat(now, paused)
	if !alive {
		c.abort("no pong came in time")
		return 0
	}
	return min(idleBy, pingBy)
}

// heartbeat pings a silent peer and returns when to look again, or that the peer is dead. Whatever came after the ping is as
// good as a pong. While reads are paused nothing can come, so nobody is declared dead.
func (c *Conn) heartbeat(now int64, paused bool) (next int64, alive bool) {
	last := c.lastRead.Load()
	if c.pinged != 0 && last < c.pinged {
		by := c.pinged + int64(c.opts.PongTimeout)
		if now < by {
			return by, true
		}
		return now + int64(c.opts.PongTimeout), paused
	}
	c.pinged = 0
	if by := last + int64(c.opts.PingInterval); now < by {
		return by, true
	}
	c.pinged = now
	c.enqueueControl(opPing, nil)
	return now + min(int64(c.opts.PongTimeout), int64(c.opts.PingInterval)), true
}
