package ws

// Type tells text from binary. The values are the opcodes of RFC 6455 section 5.6.
type Type uint8

// The message types.
const (
	// Text messages are valid UTF-8, in both directions.
	Text Type = 1
	// Binary messages are any bytes.
	Binary Type = 2
)

// String returns "text" or "binary".
func (t Type) String() string {
	if t == Text {
		return "text"
	}
	return "binary"
}

// Message is one whole message. Data of a received message belongs to the handler; data given to Send or Broadcast is
// copied before the call returns.
type Message struct {
	Type Type
	Data []byte
}

// Handler sees the events of connections. Calls for one connection come one at a time and in order: Open, Message...,
// Close; calls for different connections come at once from different goroutines. A panic closes that connection with 1011.
type Handler interface {
	// Open is called once, before any message. It may Send, Join and Close.
	Open(c *Conn)
	// Message is called for each whole message.
	Message(c *Conn, m Message)
	// Close is called exactly once, last, when the socket is gone and the connection has left its rooms
	// ([Conn.Rooms] still names them, [Conn.Data] still answers). The code and reason are those of the side that closed
	// first: the peer's close frame (1005 when it had no code), or the local Close, or 1006 with the error as the
	// reason when the connection broke. Send and Join return [ErrClosed].
	Close(c *Conn, code int, reason string)
}

// State is the ready state of a connection, as in the browser's WebSocket.readyState.
type State int32

// The ready states.
const (
	// Connecting is before the 101 was written.
	Connecting State = iota
	// Open can send and receive.
	Open
	// Closing has sent or received a close frame, or is being closed. After the peer's close frame Send still works until
	// the messages before it have been handled.
	Closing
	// Closed has no socket any more.
	Closed
)

// String returns the name as browsers spell it: "CONNECTING", "OPEN", "CLOSING", "CLOSED".
func (s State) String() string {
	switch s {
	case Connecting:
		return "CONNECTING"
	case Open:
		return "OPEN"
	case Closing:
		return "CLOSING"
	default:
		return "CLOSED"
	}
}

// Close codes of RFC 6455 section 7.4 and the IANA registry. An application's own are 4000 to 4999.
const (
	NormalClosure    = 1000
	GoingAway        = 1001
	ProtocolError    = 1002
	UnsupportedData  = 1003
	NoStatus         = 1005 // never on the wire: the peer's close frame had no code
	AbnormalClosure  = 1006 // never on the wire: no close frame came
	InvalidPayload   = 1007
	PolicyViolation  = 1008
	MessageTooBig    = 1009
	InternalError    = 1011
	ServiceRestart   = 1012
	TryAgainLater    = 1013
	maxReasonBytes   = 123
	firstPrivateCode = 3000
	lastPrivateCode  = 4999
)

// validCode reports whether a close frame may carry the code.
func validCode(code int) bool {
	switch {
	case code >= firstPrivateCode:
		return code <= lastPrivateCode
	case code >= 1007:
		return code <= 1014
	default:
		return code >= 1000 && code <= 1003
	}
}
