package abi

import "strconv"

// Errno is the class of a failure, as data in errno.json: 0 is success. It is what crosses the boundary; the text
// beside it is for people.
type Errno uint32

// Kind is the errno's stable name: "not_found", "denied", ...
func (e Errno) Kind() string {
	if int(e) < len(errnos) {
		return errnos[e].kind
	}
	return "errno_" + strconv.FormatUint(uint64(e), 10)
}

// Status is the HTTP status that an error of this class becomes when nothing else was decided.
func (e Errno) Status() int {
	if int(e) < len(errnos) {
		return errnos[e].status
	}
	return 500
}

// Error is a failure with its class and a text for people. Both sides use it: the host to answer, the SDK to return.
type Error struct {
	Errno Errno
	Text  string
}

// NewError is a failure of class errno. The text is complete, says what to do, and carries no secret.
func NewError(errno Errno, text string) *Error { return &Error{Errno: errno, Text: text} }

// Error is the text, or the kind when there is none.
func (e *Error) Error() string {
	if e.Text == "" {
		return e.Errno.Kind()
	}
	return e.Text
}

// Pack is the i64 that a host function returns: errno above, length of the answer below.
func Pack(errno Errno, length int) uint64 { return uint64(errno)<<32 | uint64(uint32(length)) }

// Unpack is the reverse of [Pack].
func Unpack(r uint64) (Errno, int) { return Errno(r >> 32), int(uint32(r)) }
