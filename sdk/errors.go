package odac

import (
	"errors"
	"fmt"

	"github.com/odac-run/odachost/abi"
)

// Kind is the class of an error. It has a stable name, [abi.Errno.Kind], and an HTTP status, [abi.Errno.Status].
type Kind = abi.Errno

// The kinds of error. The comment says when the host answers with it.
const (
	Invalid     = abi.ErrnoInvalid     // the call is malformed: an unknown column, a value of the wrong type
	NotFound    = abi.ErrnoNotFound    // no such row, socket or connection
	Denied      = abi.ErrnoDenied      // not granted; the text names the line that plugin.yaml would need
	Conflict    = abi.ErrnoConflict    // a constraint refused the write
	Busy        = abi.ErrnoBusy        // all of something is in use; try later
	Timeout     = abi.ErrnoTimeout     // a deadline passed
	Canceled    = abi.ErrnoCanceled    // the caller went away
	Limit       = abi.ErrnoLimit       // a budget is used up
	TooLarge    = abi.ErrnoTooLarge    // over a size limit
	Unavailable = abi.ErrnoUnavailable // the database or the remote server cannot be reached
	Unsupported = abi.ErrnoUnsupported // this host or database cannot do it
	Retry       = abi.ErrnoRetry       // the transaction lost against another; Tx runs it again
	Closed      = abi.ErrnoClosed      // the socket or the transaction is closed
	Internal    = abi.ErrnoInternal    // a defect
)

// Error is a failure with its kind.
type Error struct {
	// Kind is its class.
	Kind Kind
	// Text is for the author and the log. It is never shown to a visitor.
	Text string
	// Public is what a visitor reads when a handler returns the error; "" is the standard text of the kind.
	Public string
	// Err is the cause, if there is one.
	Err error
}

// Error is the text and the cause, or what there is of them, else the public text, else the kind.
func (e *Error) Error() string {
	switch {
	case e.Text != "" && e.Err != nil:
		return e.Text + ": " + e.Err.Error()
	case e.Text != "":
		return e.Text
	case e.Err != nil:
		return e.Err.Error()
	case e.Public != "":
		return e.Public
	}
	return e.Kind.Kind()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail is an error whose text a visitor may read: odac.Fail(odac.Invalid, "The name is too long.").
func Fail(kind Kind, public string) error { return &Error{Kind: kind, Public: public} }

// Errorf is an error whose text is for the log, formatted as by fmt.Errorf; %w keeps the cause.
func Errorf(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// KindOf is the kind of an error: that of the [*Error] or [*abi.Error] in its chain, [Internal] if there is none, and 0 for nil.
func KindOf(err error) Kind {
	if err == nil {
		return abi.ErrnoOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if e, ok := errors.AsType[*abi.Error](err); ok {
		return e.Errno
	}
	return Internal
}

// IsInvalid says whether the error is of kind [Invalid].
func IsInvalid(err error) bool { return KindOf(err) == Invalid }

// IsNotFound says whether the error is of kind [NotFound].
func IsNotFound(err error) bool { return KindOf(err) == NotFound }

// IsDenied says whether the error is of kind [Denied].
func IsDenied(err error) bool { return KindOf(err) == Denied }

// IsConflict says whether the error is of kind [Conflict].
func IsConflict(err error) bool { return KindOf(err) == Conflict }

// IsBusy says whether the error is of kind [Busy].
func IsBusy(err error) bool { return KindOf(err) == Busy }

// IsTimeout says whether the error is of kind [Timeout].
func IsTimeout(err error) bool { return KindOf(err) == Timeout }

// IsLimit says whether the error is of kind [Limit].
func IsLimit(err error) bool { return KindOf(err) == Limit }

// IsTooLarge says whether the error is of kind [TooLarge].
func IsTooLarge(err error) bool { return KindOf(err) == TooLarge }

// IsUnavailable says whether the error is of kind [Unavailable].
func IsUnavailable(err error) bool { return KindOf(err) == Unavailable }

// IsRetry says whether the error is of kind [Retry].
func IsRetry(err error) bool { return KindOf(err) == Retry }

// IsClosed says whether the error is of kind [Closed].
func IsClosed(err error) bool { return KindOf(err) == Closed }

// newError is Errorf without package fmt, which not every plugin has to carry.
func newError(kind Kind, text string) error { return &Error{Kind: kind, Text: text} }

// StatusText is what a visitor reads for an HTTP status when nothing else was said.
func StatusText(status int) string {
	switch status {
	case 400:
		return "Bad request"
	case 401:
		return "Please sign in"
	case 403:
		return "Not allowed"
	case 404:
		return "Not found"
	case 405:
		return "Method not allowed"
	case 409:
		return "That is already there, or still in use"
	case 410:
		return "Gone"
	case 413:
		return "Too large"
	case 415:
		return "Unsupported media type"
	case 429:
		return "Too much at once; try again later"
	case 501:
		return "Not supported"
	case 503:
		return "Busy; try again in a moment"
	case 504:
		return "That took too long"
	}
	if status < 500 {
		return "The request failed"
	}
	return "Something went wrong"
}
