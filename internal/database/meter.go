package database

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/odac-run/odachost/abi"
)

const (
	// maxRowBytes is the largest row that is read from a server, in bytes of its protocol. A larger one fits no budget; its connection is given up
	// before its memory is taken.
	maxRowBytes = abi.MaxMessageBytes + 1<<20
	// pageBytes is how much of a cursor's rows is fetched ahead.
	pageBytes = 4 << 20
)

var errRowTooLarge = failf(abi.ErrnoLimit, "one row of the answer is larger than 16 MiB: select less of it")

// meter is a connection that gives up while a row is read that is larger than any budget.
type meter struct {
	net.Conn
	left atomic.Int64 // bytes, 0 is no bound
}

// start gives the next row its room.
func (m *meter) start() { m.left.Store(maxRowBytes) }

// stop lifts the bound, unless it was passed.
func (m *meter) stop() {
	if !m.over() {
		m.left.Store(0)
	}
}

func (m *meter) over() bool { return m.left.Load() < 0 }

var errMeter = errors.New("database: a row is larger than any budget")

// Read implements net.Conn.
func (m *meter) Read(b []byte) (int, error) {
	left := m.left.Load()
	if left < 0 {
		return 0, errMeter
	}
	n, err := m.Conn.Read(b)
	if left > 0 && m.left.Add(-int64(n)) <= 0 {
		m.left.Store(-1)
	}
	return n, err
}

// SyscallConn implements syscall.Conn: the driver looks at the socket before it uses a connection that was idle.
func (m *meter) SyscallConn() (syscall.RawConn, error) {
	if c, ok := m.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
