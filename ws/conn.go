package ws

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Conn is one socket. It comes from [Hub.Upgrade]; its methods may be called at any time from anywhere.
type Conn struct {
	hub     *Hub
	scope   *scope
	opts    Options // without what only the handshake needs
	id      string
	proto   string
	net     net.Conn
	raw     *rawWriter // nil where there is none
	deflate bool       // permessage-deflate was negotiated
	keys    []string   // counted against limits
	state   atomic.Int32

	lastRead    atomic.Int64 // hub clock, of any bytes
	lastMessage atomic.Int64 // hub clock, in either direction

	// read side, of the reading goroutine only
	decoder  decoder
	messages bucket
	bytes    bucket
	controls bucket
	stopped  bool // nothing that comes is looked at any more

	mu       sync.Mutex // guards what follows; taken last of all locks
	inbox    fifo[call]
	inBytes  int64
	running  bool      // a goroutine serves the inbox
	paused   bool      // the reader waits for space in the inbox
	space    sync.Cond // what the reading goroutine waits for
	panicked bool

	out          fifo[outFrame]
	outBytes     int64
	writing      bool // somebody writes to the socket, and will look at out again
	closeQueued  bool
	closeWritten bool
	aborted      bool
	halfClose    bool  // once the close frame is written there is nothing to wait for but the end of input
	closeBy      int64 // hub clock, 0 for no hurry
	answerCode   int   // of a close frame that waits for the handler to be done, or 0
	answerReason string
	endCode      int // of whoever closed first, 0 for nobody
	endReason    string

	data []byte
	done chan struct{} // made on demand, closed when the Close handler has returned
	over bool

	joined []*room // guarded by scope.mu
	left   bool    // guarded by scope.mu

	// guarded by wheel.mu
	prev, next *Conn
	slot       int
	due        int64
	filed      bool
	retired    bool

	pinged int64 // hub clock, of the wheel's goroutine only; 0 for no ping out
}

// ID is the connection's name inside its scope: 128 random bits, 22 characters of [A-Za-z0-9_-].
func (c *Conn) ID() string { return c.id }

// Scope is the name given in Options.
func (c *Conn) Scope() string { return c.opts.Scope }

// Route is the one given in Options.
func (c *Conn) Route() string { return c.opts.Route }

// Meta is what the composer gave in Options.
func (c *Conn) Meta() any { return c.opts.Meta }

// Subprotocol is the chosen one, or "".
func (c *Conn) Subprotocol() string { return c.proto }

// RemoteAddr is Options.Address, by default the host and port of the socket's peer.
func (c *Conn) RemoteAddr() string {
	if c.opts.Address != "" {
		return c.opts.Address
	}
	return c.net.RemoteAddr().String()
}

// State is the ready state.
func (c *Conn) State() State { return State(c.state.Load()) }

// Send queues one message and does not wait for the peer. Errors: ErrClosed, ErrQueueFull (the connection is being
// closed), ErrTooLarge (above Options.QueueBytes), ErrInvalidText, ErrInvalidType.
func (c *Conn) Send(m Message) error {
	p, err := prepare(m)
	if err != nil {
		return err
	}
	return c.enqueue(&p, nil, true)
}

// Close begins the closing handshake: what was queued is written, then the close frame; the peer has 2 s to answer. The
// messages that came before are still handled, later ones are discarded, and then the handler's Close is called.
// Errors: ErrClosed, ErrInvalidCode, ErrInvalidText. The reason is cut to 123 bytes.
func (c *Conn) Close(code int, reason string) error {
	if !validCode(code) {
		return ErrInvalidCode
	}
	if !utf8.ValidString(reason) {
		return ErrInvalidText
	}
	return c.shut(code, cutReason(reason))
}

// SetData keeps up to 64 KiB with the connection, which survive a swap of what is behind the handler. The bytes are
// copied. Errors: ErrTooLarge.
func (c *Conn) SetData(data []byte) error {
	if len(data) > maxDataBytes {
		return ErrTooLarge
	}
	data = slices.Clone(data)
	c.mu.Lock()
	c.data = data
	c.mu.Unlock()
	return nil
}

// Data is what SetData kept. It must not be changed.
func (c *Conn) Data() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data
}

// shut closes locally, politely.
func (c *Conn) shut(code int, reason string) error {
	c.mu.Lock()
	if c.closeQueued || c.State() >= Closing {
		c.mu.Unlock()
		return ErrClosed
	}
	c.endLocked(code, reason)
	c.queueCloseLocked(code, reason)
	return nil
}

// fail closes because the peer broke a rule or a limit, or the handler broke: what comes is not looked at any more. With
// drop, what was queued is not sent either.
func (c *Conn) fail(code int, reason string, drop bool) {
	c.mu.Lock()
	if c.State() == Closed {
		c.mu.Unlock()
		return
	}
	c.endLocked(code, reason)
	if drop {
		c.out.reset()
		c.outBytes = 0
	}
	c.halfClose = true
	c.queueCloseLocked(code, reason)
}

// failOrderly closes because of what the peer sent: its close frame, or a broken rule. The handler first answers what came
// before, for 2 s at most; answer is the reason in our close frame.
func (c *Conn) failOrderly(code int, reason, answer string) {
	c.mu.Lock()
	if c.State() == Closed {
		c.mu.Unlock()
		return
	}
	c.endLocked(code, reason)
	c.halfClose = true
	if c.closeQueued || !c.running {
		c.queueCloseLocked(code, answer)
		return
	}
	c.answerCode, c.answerReason = code, answer
	due := c.hub.wheel.now() + int64(closeTimeout)
	c.closeBy = due
	c.mu.Unlock()
	c.hub.wheel.file(c, due)
}

// endLocked moves to Closing and keeps the first reason.
func (c *Conn) endLocked(code int, reason string) {
	if c.State() != Closed {
		c.state.Store(int32(Closing))
	}
	if c.endCode == 0 {
		c.endCode, c.endReason = code, reason
	}
	c.space.Signal()
}

// queueCloseLocked queues the one close frame and unlocks.
func (c *Conn) queueCloseLocked(code int, reason string) {
	if c.closeQueued {
		finish := c.halfClose && c.closeWritten
		c.mu.Unlock()
		if finish {
			c.finishWrites()
		}
		return
	}
	c.closeQueued, c.answerCode = true, 0
	c.out.push(outFrame{b: encodeClose(code, reason), kind: closeFrame})
	due := c.hub.wheel.now() + int64(closeTimeout)
	c.closeBy = due
	c.startFlushLocked() // does nothing before the 101 is out
	c.mu.Unlock()
	c.hub.wheel.file(c, due)
}

// abort closes the socket at once. The reading goroutine notices and does the rest.
func (c *Conn) abort(reason string) {
	c.mu.Lock()
	c.aborted = true
	c.endLocked(AbnormalClosure, reason)
	c.closeQueued = true
	c.mu.Unlock()
	closeHard(c.net)
}

// finishWrites tells the peer that nothing more comes. The socket is closed when the peer has closed its side, so that no
// reset overtakes the close frame.
func (c *Conn) finishWrites() {
	if half, ok := c.net.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	_ = c.net.Close() // the peer is gone, or there is no half close
}

// closeHard closes with a reset, so that the kernel keeps nothing for a peer that does not read.
func closeHard(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn() // TLS would wait to say goodbye
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails only when it is closed already
	}
	_ = conn.Close() // closed already: what was wanted
}

// finished is closed when the handler's Close has returned.
func (c *Conn) finished() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.over {
			close(c.done)
		}
	}
	return c.done
}

// asFrameError finds the close code in an error of the decoder.
func asFrameError(err error) *frameError {
	var fe *frameError
	if errors.As(err, &fe) {
		return fe
	}
	return &frameError{InternalError, "internal error"}
}
