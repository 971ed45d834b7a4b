//go:build unix

package ws

import (
	"errors"
	"net"
	"syscall"
)

// rawWriter writes to a socket what its kernel buffer takes, without waiting. One goroutine at a time may use it.
type rawWriter struct {
	conn syscall.RawConn
	call func(fd uintptr) bool // made once, so that a write allocates nothing
	p    []byte
	n    int
	err  error
}

// newRawWriter returns nil for what is not a plain socket, such as TLS.
func newRawWriter(conn net.Conn) *rawWriter {
	var raw syscall.RawConn
	var err error
	switch s := conn.(type) {
	case *net.TCPConn:
		raw, err = s.SyscallConn()
	case *net.UnixConn:
		raw, err = s.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	w := &rawWriter{conn: raw}
	w.call = w.try
	return w
}

func (w *rawWriter) write(p []byte) (int, error) {
	w.p, w.n, w.err = p, 0, nil
	err := w.conn.Write(w.call)
	w.p = nil
	return w.n, errors.Join(err, w.err)
}

// try always returns true: it never asks to wait until the socket takes more.
func (w *rawWriter) try(fd uintptr) bool {
	for w.n < len(w.p) {
		n, err := syscall.Write(int(fd), w.p[w.n:])
		switch {
		case err == nil && n > 0:
			w.n += n
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return true
		default:
			w.err = err
			return true
		}
	}
	return true
}
