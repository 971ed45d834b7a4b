package ws

import (
	"errors"
	"io"
	"net"
	"syscall"
)

const readBufferBytes = 1024

// read is the connection's own goroutine: it reads until the socket ends and then buries the connection.
func (c *Conn) read() {
	buf := make([]byte, readBufferBytes)
	err := c.readAll(buf)
	c.awaitAnswer()
	c.bury(err)
}

// awaitAnswer lets the answer to a close frame out, when the peer has closed its side right after it.
func (c *Conn) awaitAnswer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.halfClose && !c.closeWritten && !c.aborted {
		c.space.Wait()
	}
}

func (c *Conn) readAll(buf []byte) error {
	for {
		p, direct := buf, false
		if !c.stopped {
			if room := c.decoder.room(len(buf)); room != nil {
				p, direct = room, true
			}
		}
		n, err := c.net.Read(p)
		if n > 0 {
			c.lastRead.Store(c.hub.wheel.clock.Load())
			c.hub.stat.bytesIn.Add(int64(n))
			c.feed(p[:n], direct)
		}
		if err != nil {
			return err
		}
	}
}

// feed takes in what was read, unless the end of the conversation has come.
func (c *Conn) feed(p []byte, direct bool) {
	if c.stopped {
		return
	}
	if !c.bytes.take(float64(len(p)), c.hub.wheel.clock.Load()) {
		c.stop(PolicyViolation, "too many bytes a second")
		return
	}
	if direct {
		ev, err := c.decoder.tookRoom(len(p))
		c.handle(ev, err)
		return
	}
	for len(p) > 0 && !c.stopped {
		n, ev, err := c.decoder.next(p)
		p = p[n:]
		c.handle(ev, err)
	}
}

func (c *Conn) handle(ev event, err error) {
	if err != nil {
		fe := asFrameError(err)
		c.hub.stat.violations.Add(1)
		c.stop(fe.code, fe.reason)
		return
	}
	switch ev.op {
	case opText, opBinary:
		if !c.messages.take(1, c.hub.wheel.clock.Load()) {
			c.stop(PolicyViolation, "too many messages a second")
			return
		}
		c.hub.stat.messagesIn.Add(1)
		c.lastMessage.Store(c.hub.wheel.clock.Load())
		c.deliver(Message{Type(ev.op), ev.data})
	case opPing, opPong:
		if !c.controls.take(1, c.hub.wheel.clock.Load()) {
			c.stop(PolicyViolation, "too many control frames a second")
			return
		}
		if ev.op == opPing {
			c.enqueueControl(opPong, ev.data)
		}
	case opClose:
		c.stopped = true
		c.failOrderly(ev.code, ev.reason, "")
	}
}

func (c *Conn) stop(code int, reason string) {
	c.stopped = true
	c.decoder = decoder{}
	c.failOrderly(code, reason, reason)
}

// stillborn ends a connection whose 101 could not be written. No handler has heard of it.
func (c *Conn) stillborn() {
	closeHard(c.net)
	c.hub.wheel.retire(c)
	c.hub.remove(c)
	c.mu.Lock()
	c.endLocked(AbnormalClosure, "the peer went away before the handshake was answered")
	c.state.Store(int32(Closed))
	c.closeQueued = true
	c.out.reset()
	c.mu.Unlock()
	c.retire()
}

// bury is called once, when the socket has ended: it leaves the rooms and makes Close the handler's last event.
func (c *Conn) bury(err error) {
	_ = c.net.Close() // read has ended: nothing to lose
	c.hub.wheel.retire(c)
	c.hub.remove(c)
	c.decoder = decoder{}
	c.mu.Lock()
	c.endLocked(AbnormalClosure, readError(err))
	c.state.Store(int32(Closed))
	c.closeQueued = true
	c.out.reset()
	c.outBytes = 0
	c.hub.stat.closed(c.endCode)
	c.callLocked(call{kind: callClose})
	c.mu.Unlock()
}

// readError says how a connection ended, without addresses.
func readError(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "the peer closed the socket without a close frame"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the peer reset the socket"
	case errors.Is(err, net.ErrClosed):
		return "the socket was closed"
	default:
		return "the socket broke"
	}
}
