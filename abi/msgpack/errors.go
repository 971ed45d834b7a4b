package msgpack

import (
	"errors"
	"strconv"
)

// The errors of readers.
var (
	// ErrShortBytes says that the input ends inside a value, or that a value claims more than the input holds.
	ErrShortBytes = errors.New("msgpack: too few bytes")
	// ErrLimitExceeded says that a value is over a limit of its message.
	ErrLimitExceeded = errors.New("msgpack: over a limit")
	// ErrOverflow says that a number is out of the range of what reads it.
	ErrOverflow = errors.New("msgpack: number out of range")
	errType     = errors.New("msgpack: a value of another type")
)

// WrapError says where in a message an error is.
func WrapError(err error, ctx ...any) error {
	if len(ctx) == 0 {
		return err
	}
	at := ""
	for i, c := range ctx {
		if i > 0 {
			at += "/"
		}
		switch c := c.(type) {
		case string:
			at += c
		case int:
			at += strconv.Itoa(c)
		}
	}
	return &placed{err, at}
}

type placed struct {
	err error
	at  string
}

func (e *placed) Error() string { return e.err.Error() + " at " + e.at }
func (e *placed) Unwrap() error { return e.err }
