package odac

import (
	"slices"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Durability is how far a buffered write has come when it is acknowledged.
type Durability = abi.Durability

// The levels of durability.
const (
	Disk       = abi.DurabilityDisk       // in the host's log, synced; the default
	Memory     = abi.DurabilityMemory     // in the host's memory, lost when it dies
	Replicated = abi.DurabilityReplicated // in Redis too
	Applied    = abi.DurabilityApplied    // committed by the database
)

// Buffered writes behind: the host acknowledges the write at its durability and applies it with others, exactly once.
type Buffered struct {
	q     Query
	level Durability
}

// Buffer makes a write go through the buffer. Its condition is plain equality on the columns of the primary key, each once:
// DB("posts").Where("id", id).Buffer().Increment("views", 1).
func (q Query) Buffer(level ...Durability) Buffered {
	b := Buffered{q: q}
	if len(level) > 0 {
		b.level = level[0]
	}
	if q.q.Tx != 0 {
		b.q = q.fail("Buffer does not go with a transaction")
	}
	return b
}

// Insert writes rows, as [Query.Insert]. A nanoid column that is left out is filled now, and answered as Result.LastID.
func (b Buffered) Insert(rows ...any) (Result, error) {
	fields, values, err := rowsOf(rows)
	if err != nil {
		return Result{}, b.q.fail(err.Error()).err
	}
	if b.q.where.depth > 0 {
		b.q = b.q.fail("Insert does not go with Where")
	}
	return b.write(abi.BufferWrite{Op: abi.BufferInsert, Fields: fields, Rows: values})
}

// Update writes columns of the row, as [Query.Update]. Of several writes to one column the last wins.
func (b Buffered) Update(set any) error {
	fields, values, err := rowsOf([]any{set})
	if err != nil {
		return b.q.fail(err.Error()).err
	}
	return b.byKey(abi.BufferWrite{Op: abi.BufferSet, Fields: fields, Rows: values})
}

// Increment adds to a column of the row, as [Query.Increment].
func (b Buffered) Increment(column string, by any) error {
	v, err := abi.Of(by)
	if err != nil {
		return b.q.fail(err.Error()).err
	}
	return b.byKey(abi.BufferWrite{Op: abi.BufferIncrement, Increments: []abi.Delta{{Column: column, By: v}}})
}

// Delete removes the row.
func (b Buffered) Delete() error { return b.byKey(abi.BufferWrite{Op: abi.BufferDelete}) }

func (b Buffered) byKey(w abi.BufferWrite) error {
	for _, c := range b.q.where.list {
		if c.Op != abi.CondEq || c.Other != "" || len(c.Values) != 1 || slices.Contains(w.KeyColumns, c.Column) {
			b.q = b.q.fail("a buffered write names its row by equality on the primary key's columns, each once")
			break
		}
		w.KeyColumns = append(w.KeyColumns, c.Column)
		w.Key = append(w.Key, c.Values[0])
	}
	if len(w.KeyColumns) == 0 {
		b.q = b.q.fail("a buffered write wants Where on the primary key")
	}
	_, err := b.write(w)
	return err
}

func (b Buffered) write(w abi.BufferWrite) (Result, error) {
	if b.q.err != nil {
		return Result{}, b.q.err
	}
	w.Conn, w.Table, w.Level = b.q.q.Conn, b.q.q.Table, b.level
	answer, err := hostCall(wire.BufferWrite, &w)
	if err != nil {
		return Result{}, err
	}
	return decodeResult(answer)
}

// FlushBuffer waits until what is buffered now for a table is in the database; "" is every table.
func FlushBuffer(table string) error { return On("").FlushBuffer(table) }

// FlushBuffer waits until what is buffered now for a table of the connection is in the database; "" is every table.
func (d Database) FlushBuffer(table string) error {
	_, err := hostCall(wire.BufferFlush, abi.Table{Conn: d.conn, Name: table})
	return err
}

// ClearCache forgets what was cached from a table; "" is every table. Writes do so by themselves: this is for data
// that changed in other ways.
func ClearCache(table string) error { return On("").ClearCache(table) }

// ClearCache forgets what was cached from a table of the connection; "" is every table.
func (d Database) ClearCache(table string) error {
	_, err := hostCall(wire.CacheClear, abi.Table{Conn: d.conn, Name: table})
	return err
}
