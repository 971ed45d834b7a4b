package buffer

import "context"

// Buffer accepts writes. All methods are safe for use by several goroutines.
type Buffer struct{}

// Open opens or creates the log in cfg.Dir, recovers what is in it and starts to apply it. It does not wait for the
// database. Errors: ErrLocked, *CorruptError, ErrDiskFull, a bad Config.
func Open(cfg Config) (*Buffer, error) { panic("soon") }

// Node gives the name of this log in the ledger: Config.Node and the log's identity.
func (b *Buffer) Node() string { panic("soon") }

// Write queues ops as one unit: all of them are stored or none, and they are applied in one transaction.
func (b *Buffer) Write(ctx context.Context, lane Lane, level Level, ops ...Op) (LSN, error) {
	panic("soon")
}

// Insert adds a row: key and set together are its columns. See Op.
func (b *Buffer) Insert(ctx context.Context, lane Lane, level Level, key, set []Column) (LSN, error) {
	panic("soon")
}

// Set gives columns of the row new values.
func (b *Buffer) Set(ctx context.Context, lane Lane, level Level, key, set []Column) (LSN, error) {
	panic("soon")
}

// Increment adds to integer columns of the row.
func (b *Buffer) Increment(ctx context.Context, lane Lane, level Level, key []Column, add []Delta) (LSN, error) {
	panic("soon")
}

// Delete removes the row.
func (b *Buffer) Delete(ctx context.Context, lane Lane, level Level, key []Column) (LSN, error) {
	panic("soon")
}

// Pending gives what is acknowledged for one row and not known to be applied.
func (b *Buffer) Pending(ctx context.Context, lane Lane, key []Column) (Pending, error) {
	panic("soon")
}

// Flush waits until everything that was acknowledged in the lanes (all lanes, if none is named) at the call is applied.
func (b *Buffer) Flush(ctx context.Context, lanes ...Lane) error { panic("soon") }

// Close refuses new writes, flushes until ctx ends, and releases the directory.
func (b *Buffer) Close(ctx context.Context) error { panic("soon") }

// Stat gives counters and what is pending.
func (b *Buffer) Stat() Stat { panic("soon") }

// Pending is what the buffer holds for one row. To read a row with what is pending: first call Pending, then read
// the row and the ledger's applied LSN (node b.Node(), lane) in one statement or snapshot, then ask Above(applied).
// In this order the result is exact, and never goes back.
type Pending struct{}

// Above gives the effect of the writes with a LSN above applied, folded.
func (p Pending) Above(applied LSN) Effect { panic("soon") }

// Effect is what pending writes will do to a row. The zero Effect is nothing.
type Effect struct {
	Inserted bool     // the row will be made; Set holds its columns, key included
	Deleted  bool     // the row will be gone; the rest is empty
	Set      []Column // new values
	Add      []Delta  // to be added to what the database holds (NULL counts as 0)
}

// Stat is a snapshot for people and metrics.
type Stat struct {
	Lanes         []LaneStat // those with something pending, or with an error
	PendingBytes  int64
	Durable       LSN   // the last LSN on disk
	Segments      int   // files
	LogBytes      int64 // of the segment files
	Writes        int64 // accepted since Open
	Groups        int64 // group commits since Open
	AppliedWrites int64 // since Open
	Batches       int64 // applied since Open
	DeadLetters   int64 // changes set aside since Open
	Dropped       int64 // changes of missing rows dropped since Open
	Lost          int64 // writes of level Memory that never became durable
}

// LaneStat is a lane's part of Stat.
type LaneStat struct {
	Lane    Lane
	Pending int64 // writes
	Applied LSN   // as last read or written; 0 also if not yet known
	Err     error // the last error, nil after a success
}
