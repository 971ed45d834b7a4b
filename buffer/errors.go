package buffer

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

var nan = math.NaN()

// Sentinels, for errors.Is.
var (
	// ErrBufferFull: the context ended while the write waited for room. Retry later; the database is behind or away.
	ErrBufferFull = errors.New("buffer: full, the database has not taken what is pending: retry later")
	// ErrTooLarge: the write can never fit MaxWriteBytes, MaxBatchRows, MaxBatchBytes or the pending limits. Split it.
	ErrTooLarge = errors.New("buffer: write too large: split it")
	// ErrInvalid: the operation is malformed. Not retryable.
	ErrInvalid = errors.New("buffer: invalid write")
	// ErrNeedsRedis: level "replicated" on a buffer without Redis.
	ErrNeedsRedis = errors.New("buffer: level replicated needs redis: configure redis or use disk or applied")
	// ErrDiskFull: the log's disk is full; nothing of the write is stored. Writing resumes when there is room.
	ErrDiskFull = errors.New("buffer: the disk of the log is full: free space, then retry")
	// ErrReadOnly: a write or fsync of the log failed, so no more writes are taken. Restart on a sound disk.
	ErrReadOnly = errors.New("buffer: the log failed and is read-only: check the disk and restart")
	// ErrFenced: the ledger in the database has moved without this log. Another copy of the directory is or was in use.
	ErrFenced = errors.New("buffer: fenced, another copy of this log has written to the database: stop this node or give it a new directory")
	// ErrLocked: another process has the directory open.
	ErrLocked = errors.New("buffer: directory is in use by another process")
	// ErrClosed: the buffer is closed or closing.
	ErrClosed = errors.New("buffer: closed")
)

// CorruptError is damage in the log that is not a torn tail. Acknowledged writes may be lost: restore the file from a
// copy, or move the whole directory away to start a new log without the writes in it.
type CorruptError struct {
	File   string
	Offset int64
	Reason string
}

// Error names the file and the offset.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("buffer: log %s is corrupt at offset %d: %s: restore the file, or move the directory away to start a new log without its writes",
		e.File, e.Offset, e.Reason)
}

// DeadLetterError is returned for writes of level Applied whose row the database refused: the change is in the dead-letter
// table.
type DeadLetterError struct{ Dead []Dead }

// Error gives the first refusal.
func (e *DeadLetterError) Error() string {
	return fmt.Sprintf("buffer: %d of the write's rows set aside in %s: %s", len(e.Dead), DeadLetterTable, e.Dead[0].Reason)
}

// UnflushedError is returned by Close when writes are left in the log. They are safe there and are applied after the
// next Open of the same directory.
type UnflushedError struct {
	Writes int64
	Lanes  []Lane
	Err    error // why: the context's error, or the last one of a lane
}

// Error names the lanes.
func (e *UnflushedError) Error() string {
	names := make([]string, 0, len(e.Lanes))
	for _, l := range e.Lanes {
		names = append(names, l.String())
	}
	return fmt.Sprintf("buffer: %d writes not applied, kept in the log for the next start (%s): %v",
		e.Writes, strings.Join(names, ", "), e.Err)
}

// Unwrap gives the cause.
func (e *UnflushedError) Unwrap() error { return e.Err }
