package ws

import (
	"fmt"
	"sync"
	"time"
	"unicode/utf8"
)

// outFrame is one whole frame on its way to the socket. The bytes of a broadcast are shared by all its receivers.
type outFrame struct {
	b    []byte
	room *room // of a broadcast, for SlowLatest
	kind frameKind
}

type frameKind uint8

const (
	dataFrame frameKind = iota
	controlFrame
	closeFrame
)

// flushBytes is how much is gathered for one write; a frame of at least half of it is written from where it lies.
const flushBytes = 32 << 10

var flushBuffers = sync.Pool{New: func() any { return new([flushBytes]byte) }}

// prepared is a message that becomes frames on demand, once for all receivers. It belongs to one goroutine.
type prepared struct {
	msg      Message
	plain    []byte
	deflated []byte
	tried    bool
}

func prepare(m Message) (prepared, error) {
	if m.Type != Text && m.Type != Binary {
		return prepared{}, ErrInvalidType
	}
	if m.Type == Text && !utf8.Valid(m.Data) {
		return prepared{}, ErrInvalidText
	}
	return prepared{msg: m}, nil
}

func (p *prepared) frame(c *Conn) []byte {
	if c.deflate && len(p.msg.Data) >= c.opts.CompressBytes {
		if !p.tried {
			p.tried, p.deflated = true, deflateFrame(byte(p.msg.Type), p.msg.Data)
		}
		if p.deflated != nil {
			return p.deflated
		}
	}
	if p.plain == nil {
		p.plain = encodeFrame(byte(p.msg.Type), false, p.msg.Data)
	}
	return p.plain
}

// enqueue queues a data frame. Inline writes at once what the kernel takes without waiting, if nothing is in the way and
// the handler has no more to do: else the frame waits a moment for others to be written with.
func (c *Conn) enqueue(p *prepared, r *room, inline bool) error {
	if n := len(p.msg.Data); int64(n) > c.opts.QueueBytes {
		return fmt.Errorf("%w: a message of %d bytes for a queue of %d", ErrTooLarge, n, c.opts.QueueBytes)
	}
	b := p.frame(c)
	c.mu.Lock()
	if c.closeQueued {
		c.mu.Unlock()
		return ErrClosed
	}
	if inline && !c.writing && c.raw != nil && c.inbox.len() == 0 {
		c.writing = true
		c.mu.Unlock()
		c.writeInline(b)
	} else {
		if c.overLocked(len(b)) && !c.makeRoomLocked(len(b), r) {
			c.mu.Unlock()
			c.hub.stat.slowClosed.Add(1)
			c.fail(TryAgainLater, "the peer reads too slowly", true)
			return ErrQueueFull
		}
		c.out.push(outFrame{b: b, room: r})
		c.outBytes += int64(len(b))
		c.startFlushLocked()
		c.mu.Unlock()
	}
	c.hub.stat.messagesOut.Add(1)
	c.lastMessage.Store(c.hub.wheel.clock.Load())
	return nil
}

// enqueueControl queues a ping or pong, or drops it when the queue is full: the peer does not read.
func (c *Conn) enqueueControl(op byte, payload []byte) {
	b := encodeFrame(op, false, payload)
	c.mu.Lock()
	switch {
	case c.closeQueued || c.overLocked(len(b)):
		c.mu.Unlock()
	case c.writing || c.raw == nil:
		c.out.push(outFrame{b: b, kind: controlFrame})
		c.outBytes += int64(len(b))
		c.startFlushLocked()
		c.mu.Unlock()
	default:
		c.writing = true
		c.mu.Unlock()
		c.writeInline(b)
	}
}

// overLocked says that n more bytes are too many. An empty queue takes any message.
func (c *Conn) overLocked(n int) bool {
	return c.out.len() > 0 && (c.out.len() >= c.opts.QueueMessages || c.outBytes+int64(n) > c.opts.QueueBytes)
}

// makeRoomLocked drops what the slow policy allows until n bytes fit. It reports false if the policy is to close.
func (c *Conn) makeRoomLocked(n int, r *room) bool {
	if c.opts.Slow == SlowClose {
		return false
	}
	if c.opts.Slow == SlowLatest {
		c.out.filter(func(f *outFrame) bool { return !(f.kind == dataFrame && f.room == r && c.droppedLocked(f)) })
	}
	for c.overLocked(n) && c.out.len() > 0 && c.out.peek().kind == dataFrame {
		f := c.out.pop()
		c.droppedLocked(&f)
	}
	if c.overLocked(n) {
		c.out.filter(func(f *outFrame) bool { return !(f.kind == dataFrame && c.overLocked(n) && c.droppedLocked(f)) })
	}
	return true
}

func (c *Conn) droppedLocked(f *outFrame) bool {
	c.outBytes -= int64(len(f.b))
	c.hub.stat.dropped.Add(1)
	return true
}

// writeInline writes what the kernel takes at once; a goroutine takes over what is left. The caller has set writing.
func (c *Conn) writeInline(b []byte) {
	n, err := c.raw.write(b)
	c.hub.stat.bytesOut.Add(int64(n))
	if err != nil {
		c.abort("the socket broke")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.State() == Closed {
		return
	}
	if n == len(b) && c.out.len() == 0 {
		c.writing = false
		return
	}
	c.hub.live.Add(1)
	go c.flush(b[n:])
}

func (c *Conn) startFlushLocked() {
	if !c.writing {
		c.writing = true
		c.hub.live.Add(1)
		go c.flush(nil)
	}
}

// flush writes rest and then the queue until it is empty, many frames in one write.
func (c *Conn) flush(rest []byte) {
	defer c.hub.live.Done()
	if len(rest) > 0 && !c.write(rest) {
		return
	}
	buf := flushBuffers.Get().(*[flushBytes]byte)
	defer flushBuffers.Put(buf)
	for {
		b, closing := c.gather(buf[:0])
		if b == nil || !c.write(b) {
			return
		}
		if closing {
			c.closeFrameWritten()
			return
		}
	}
}

// gather takes frames off the queue. It returns nil, and ends the writing, when there are none. A close frame is last.
func (c *Conn) gather(buf []byte) (b []byte, closing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.len() == 0 {
		c.writing = false
		return nil, false
	}
	for c.out.len() > 0 && !closing {
		f := c.out.peek()
		if len(buf) > 0 && len(buf)+len(f.b) > cap(buf) {
			break
		}
		closing = f.kind == closeFrame
		if !closing {
			c.outBytes -= int64(len(f.b))
		}
		if len(f.b) > cap(buf) || len(buf) == 0 && len(f.b) >= flushBytes/2 {
			return c.out.pop().b, closing
		}
		buf = append(buf, f.b...)
		c.out.pop()
	}
	return buf, closing
}

// write writes all of b. Only when the kernel takes no more does it set a deadline and wait. It reports false when the
// connection is broken.
func (c *Conn) write(b []byte) bool {
	total := len(b)
	if c.raw != nil {
		n, err := c.raw.write(b)
		if err != nil {
			c.abort("the socket broke")
			return false
		}
		b = b[n:]
	}
	if len(b) > 0 {
		if err := c.writeSlowly(b); err != nil {
			c.abort("the peer took nothing for 10 s, or reset the socket")
			return false
		}
	}
	c.hub.stat.bytesOut.Add(int64(total))
	return true
}

func (c *Conn) writeSlowly(b []byte) error {
	if err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := c.net.Write(b); err != nil {
		return err
	}
	return c.net.SetWriteDeadline(time.Time{})
}

func (c *Conn) closeFrameWritten() {
	c.mu.Lock()
	c.closeWritten = true
	finish := c.halfClose
	c.space.Signal()
	c.mu.Unlock()
	if finish {
		c.finishWrites()
	}
}
