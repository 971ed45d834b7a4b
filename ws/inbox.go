package ws

import (
	"fmt"
	"runtime/debug"
)

// call is one event on its way to the handler.
type call struct {
	kind callKind
	msg  Message
}

type callKind uint8

const (
	callOpen callKind = iota
	callMessage
	callClose
)

// deliver gives a message to the handler's queue. While the queue is full it waits, and with it the reading of the
// socket. A connection that was closed locally takes no more.
func (c *Conn) deliver(m Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inbox.len() >= c.opts.PendingMessages || c.inBytes >= c.opts.PendingBytes {
		c.hub.stat.pauses.Add(1)
		c.paused = true
		for c.fullLocked() && c.State() == Open {
			c.space.Wait()
		}
		c.paused = false
		c.lastRead.Store(c.hub.wheel.clock.Load())
	}
	if c.State() != Open {
		return
	}
	c.inBytes += int64(len(m.Data))
	c.callLocked(call{callMessage, m})
}

// fullLocked is true until the queue is half empty, so that a paused reader is not woken for each message.
func (c *Conn) fullLocked() bool {
	return c.inbox.len() > c.opts.PendingMessages/2 || c.inBytes > c.opts.PendingBytes/2
}

func (c *Conn) callLocked(ev call) {
	c.inbox.push(ev)
	if !c.running {
		c.running = true
		go c.serve()
	}
}

// serve calls the handler until its queue is empty.
func (c *Conn) serve() {
	for {
		c.mu.Lock()
		if c.inbox.len() == 0 {
			c.running = false
			if c.answerCode != 0 {
				c.queueCloseLocked(c.answerCode, c.answerReason)
				return
			}
			c.mu.Unlock()
			return
		}
		ev := c.inbox.pop()
		c.inBytes -= int64(len(ev.msg.Data))
		if c.paused && !c.fullLocked() {
			c.space.Signal()
		}
		skip := c.panicked && ev.kind == callMessage
		c.mu.Unlock()
		if !skip {
			c.dispatch(ev)
		}
		if ev.kind == callClose {
			return
		}
	}
}

// dispatch makes one call. A handler that panics, or ends its goroutine, ends its connection and nothing else.
func (c *Conn) dispatch(ev call) {
	returned := false
	defer func() {
		if !returned {
			p := recover()
			c.handlerBroke(p)
			if p == nil && ev.kind != callClose {
				go c.serve() // runtime.Goexit takes this goroutine away
			}
		}
		if ev.kind == callClose {
			c.retire()
		}
	}()
	switch h := c.opts.Handler; ev.kind {
	case callOpen:
		h.Open(c)
	case callMessage:
		h.Message(c, ev.msg)
	case callClose:
		h.Close(c, c.endCode, c.endReason) // nobody writes them after Closed
	}
	returned = true
}

func (c *Conn) handlerBroke(p any) {
	c.hub.stat.panics.Add(1)
	c.hub.cfg.Logger.Error("ws: handler panicked", "scope", c.opts.Scope, "route", c.opts.Route, "conn", c.id,
		"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.mu.Lock()
	c.panicked = true
	c.mu.Unlock()
	c.fail(InternalError, "internal error", false)
}

// retire ends the connection's life in the hub.
func (c *Conn) retire() {
	c.mu.Lock()
	c.over = true
	if c.done != nil {
		close(c.done)
	}
	c.mu.Unlock()
	c.hub.live.Done()
}
