package odac

import (
	"encoding/json"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// SocketHandler says what a plugin does with the WebSockets of one route. Nil functions do nothing.
type SocketHandler struct {
	// Upgrade decides before the socket is opened. Nil admits; an error or a written answer refuses with its status.
	Upgrade func(c *Ctx) error
	// Open sees the socket first; an error closes it.
	Open func(c *Conn) error
	// Message sees each message of the socket, in order.
	Message func(c *Conn, m Message) error
	// Close sees the end: a code of RFC 6455 section 7.4 and the reason. The socket cannot be written to any more.
	Close func(c *Conn, code int, reason string) error
	// Subprotocols are offered in order of preference.
	Subprotocols []string
	// Origins are hosts from which browsers may open the socket, besides the own; "*" is any.
	Origins []string
}

type socket struct {
	abi.Socket
	handler SocketHandler
	upgrade Handler
}

// Socket registers a route that opens WebSockets. The pattern is as in [Handle]. It is called from init.
func Socket(pattern string, h SocketHandler, mw ...Middleware) {
	checkPattern("socket "+pattern, pattern)
	s := socket{
		Socket:  abi.Socket{Pattern: pattern, Upgrade: h.Upgrade != nil || len(mw) > 0, Subprotocols: h.Subprotocols, Origins: h.Origins},
		handler: h,
		upgrade: h.Upgrade,
	}
	if s.upgrade == nil {
		s.upgrade = func(*Ctx) error { return nil }
	}
	s.upgrade = wrap(s.upgrade, mw)
	current.sockets = append(current.sockets, s)
	for _, kind := range []abi.EventKind{abi.EventSocketUpgrade, abi.EventSocketOpen, abi.EventSocketMessage, abi.EventSocketClose} {
		current.servers[kind] = serveSocket
	}
}

// Message is one message of a socket.
type Message struct {
	// Data is the message; text is valid UTF-8.
	Data []byte
	// Binary tells a binary message from a text one.
	Binary bool
}

// Text is the message as text.
func (m Message) Text() string { return string(m.Data) }

// JSON decodes the message, as encoding/json does. The error is of kind [Invalid].
func (m Message) JSON(v any) error { return decodeJSON(m.Data, v) }

// Conn is a socket as its handlers see it.
type Conn struct {
	Peer
	ev      message
	data    []byte
	pattern string
}

// ID is the socket's id, unique over all nodes.
func (c *Conn) ID() string { return string(c.Peer) }

// Param is the value of a wildcard of the pattern, "" if there is none of that name.
func (c *Conn) Param(name string) string { return c.ev.param(c.pattern, name) }

// Query is a parameter of the URL's query, the first of that name.
func (c *Conn) Query(name string) string { return queryValue(c.ev.str(fieldQuery), name) }

// Header is a header of the opening request, in Open only.
func (c *Conn) Header(name string) string { return c.ev.header(name) }

// Remote is the client's address without port.
func (c *Conn) Remote() string { return c.ev.str(fieldRemote) }

// Data is what the plugin keeps with the socket. It survives swaps and, unlike variables, fresh isolation.
func (c *Conn) Data() []byte { return c.data }

// SetData replaces what the plugin keeps with the socket, at most 64 KiB.
func (c *Conn) SetData(data []byte) error {
	if err := c.Peer.SetData(data); err != nil {
		return err
	}
	c.data = data
	return nil
}

// Peer is a socket of the plugin by its id, from anywhere: odac.Peer(id).SendText("hello"). A socket that is gone is a [NotFound]
// error.
type Peer string

// Send sends a binary message.
func (p Peer) Send(data []byte) error {
	return call(wire.SocketSend, &abi.SocketSend{ID: string(p), Binary: true, Body: data})
}

// SendText sends a text message.
func (p Peer) SendText(text string) error {
	return call(wire.SocketSend, &abi.SocketSend{ID: string(p), Body: []byte(text)})
}

// SendJSON sends a value as a text message of JSON.
func (p Peer) SendJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return Errorf(Invalid, "odac: send JSON: %w", err)
	}
	return call(wire.SocketSend, &abi.SocketSend{ID: string(p), Body: data})
}

// Join adds the socket to a room.
func (p Peer) Join(room string) error {
	return call(wire.SocketJoin, &abi.SocketRoom{ID: string(p), Room: room})
}

// Leave takes the socket out of a room.
func (p Peer) Leave(room string) error {
	return call(wire.SocketLeave, &abi.SocketRoom{ID: string(p), Room: room})
}

// Close closes the socket with a code, 1000 to 1011 or 3000 to 4999; 0 is 1000.
func (p Peer) Close(code int, reason string) error {
	return call(wire.SocketClose, &abi.SocketClose{ID: string(p), Code: code, Reason: reason})
}

// SetData replaces what the plugin keeps with the socket.
func (p Peer) SetData(data []byte) error {
	return call(wire.SocketData, &abi.SocketData{ID: string(p), Data: data})
}

// Send sends a text message to the socket with that id.
func Send(id, text string) error { return Peer(id).SendText(text) }

func serveSocket(kind abi.EventKind, msg, out []byte) ([]byte, error) {
	if kind == abi.EventSocketUpgrade {
		return serveUpgrade(msg, out)
	}
	c := &Conn{}
	if err := c.ev.open(msg); err != nil {
		return nil, err
	}
	s := socketOf(&c.ev)
	if s == nil {
		return nil, newError(NotFound, "odac: no such socket route")
	}
	c.Peer, c.pattern, c.data = Peer(c.ev.str(fieldID)), s.Pattern, c.ev.bytes(fieldData)
	h := &s.handler
	switch {
	case kind == abi.EventSocketOpen && h.Open != nil:
		return out, h.Open(c)
	case kind == abi.EventSocketMessage && h.Message != nil:
		return out, h.Message(c, Message{Data: c.ev.bytes(fieldBody), Binary: c.ev.flag(fieldBinary)})
	case kind == abi.EventSocketClose && h.Close != nil:
		return out, h.Close(c, c.ev.number(fieldCode), c.ev.str(fieldReason))
	}
	return out, nil
}

func serveUpgrade(msg, out []byte) ([]byte, error) {
	c := contexts.One()
	if err := c.ev.open(msg); err != nil {
		return nil, err
	}
	s := socketOf(&c.ev)
	if s == nil {
		return nil, newError(NotFound, "odac: no such socket route")
	}
	c.pattern = s.Pattern
	return c.serve(func(c *Ctx) error {
		err := s.upgrade(c)
		if err == nil && !c.written {
			c.status = 101
		}
		return err
	}, out)
}

func socketOf(m *message) *socket {
	if i := m.number(fieldRoute); i >= 0 && i < len(current.sockets) {
		return &current.sockets[i]
	}
	return nil
}
