package ws

import (
	"errors"
	"fmt"
)

// Sentinels, to be told apart with errors.Is.
var (
	// ErrClosed is returned when the connection, or the hub, is closing or closed.
	ErrClosed = errors.New("ws: closed")
	// ErrNotFound is returned for an id that no live connection of the scope has.
	ErrNotFound = errors.New("ws: no live connection has this id in this scope")
	// ErrQueueFull is returned when the peer reads too slowly and the slow policy closed the connection.
	ErrQueueFull = errors.New("ws: send queue full: the peer reads too slowly")
	// ErrTooLarge is returned for a message that can never fit the send queue, or data above 64 KiB.
	ErrTooLarge = errors.New("ws: too large")
	// ErrTooManyConns is wrapped by a HandshakeError when a limit on connections is reached.
	ErrTooManyConns = errors.New("ws: too many connections")
	// ErrTooManyRooms is returned by Join when the connection is in as many rooms as it may be.
	ErrTooManyRooms = errors.New("ws: too many rooms for one connection")
	// ErrInvalidText is returned for a text message or a close reason that is not valid UTF-8.
	ErrInvalidText = errors.New("ws: text is not valid UTF-8: send it as binary")
	// ErrInvalidType is returned for a message that is neither Text nor Binary.
	ErrInvalidType = errors.New("ws: message type must be Text or Binary")
	// ErrInvalidCode is returned for a close code that may not be on the wire.
	ErrInvalidCode = errors.New("ws: close code must be 1000-1003, 1007-1014 or 3000-4999")
)

// HandshakeError says why an upgrade was refused. The answer has been written.
type HandshakeError struct {
	// Status is the HTTP status of the answer: 400, 403, 405, 426, 429, 500 or 503.
	Status int
	// Reason is the text of the answer.
	Reason string
	// Err is the sentinel behind it, or the error of the socket, or nil.
	Err error
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("ws: upgrade refused with %d: %s", e.Status, e.Reason)
}

// Unwrap returns the sentinel behind the refusal.
func (e *HandshakeError) Unwrap() error { return e.Err }

// ConfigError names the field of Config or Options that is wrong.
type ConfigError struct {
	Field  string
	Reason string
}

func (e *ConfigError) Error() string { return "ws: " + e.Field + " " + e.Reason }

// frameError ends a connection with a close code; its text is the close reason.
type frameError struct {
	code   int
	reason string
}

func (e *frameError) Error() string { return fmt.Sprintf("ws: %s (close code %d)", e.reason, e.code) }
