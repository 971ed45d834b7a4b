package database

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// run executes one statement and appends the encoded abi.Result to dst.
func (c *sqliteConn) run(ctx context.Context, st *statement, q *abi.Query, b Budget, dst []byte) (out []byte, err error) {
	out = dst
	defer func() {
		if err != nil {
			out = dst
		}
	}()
	defer c.guard(&err)
	c.db.SetInterrupt(ctx)
	r := run{conn: c, ctx: ctx, st: st, q: q, budget: b, out: dst, start: len(dst)}
	err = r.do()
	return r.out, err
}

// run is one execution.
type run struct {
	conn   *sqliteConn
	ctx    context.Context
	st     *statement
	stmt   *prepared
	q      *abi.Query
	budget Budget

	out   []byte
	start int   // of our message in out
	rows  int64 // in the answer
	at    int   // where in out their number stands
	param int   // bound so far
	bound int   // bytes bound

	affected int64
	last     abi.Value // the key of the last row inserted
}

// do executes the statement. The caller guards the connection and has set its interrupt.
func (r *run) do() (err error) {
	if r.stmt, err = r.conn.prepare(r.st); err != nil {
		return r.fail(err)
	}
	switch r.st.verb {
	case abi.VerbSelect:
		err = r.selects()
	case abi.VerbInsert:
		err = r.write(len(r.q.Rows) > 1, r.inserts)
	default:
		err = r.write(false, r.changes)
	}
	if r.bound > 64<<10 {
		_ = r.stmt.ClearBindings() // keeps memory, no more
	}
	return err
}

func (r *run) fail(err error) error { return r.conn.fail(r.ctx, err, r.st.table.Name) }

func (r *run) selects() error {
	if err := r.bindSelect(); err != nil {
		return err
	}
	r.open(2)
	if err := r.step(); err != nil {
		return err
	}
	r.close()
	return nil
}

// changes runs an update or a delete.
func (r *run) changes() error {
	if err := r.bindChange(); err != nil {
		return err
	}
	if err := r.step(); err != nil {
		return err
	}
	r.affected = r.conn.db.Changes()
	return nil
}

// inserts runs one prepared statement for each row.
func (r *run) inserts() error {
	now := time.Now()
	for i, row := range r.q.Rows {
		key, err := r.bindRow(i, row, now)
		if err != nil {
			return err
		}
		r.conn.db.SetLastInsertRowID(0)
		if err := r.step(); err != nil {
			return err
		}
		r.affected += r.conn.db.Changes()
		// A row id, of which there is one for every row but those of tables without, says that a row was inserted and not ignored or
		// updated.
		switch id := r.conn.db.LastInsertRowID(); {
		case r.st.key == nil, id == 0 && r.q.Conflict != nil:
		case !key.IsNull():
			r.last = key
		case id != 0 && r.st.key.Type == TypeInt:
			r.last = abi.Int(id)
		}
	}
	return nil
}

// write runs what changes rows and writes its answer. Several statements, and one whose answer may be over the budget when it has already
// written, are wrapped so that they can be undone.
func (r *run) write(several bool, statements func() error) error {
	answers := len(r.st.out) > 0
	if answers {
		r.open(4)
	} else {
		r.out = append(r.out, 0x80|2)
	}
	var err error
	if several || answers {
		err = r.conn.atomically(r.ctx, statements)
	} else {
		err = statements()
	}
	if err != nil {
		return err
	}
	if answers {
		r.close()
	}
	r.out = msgp.AppendInt64(append(r.out, 0xa1, 'n'), r.affected)
	r.out = r.last.AppendMsg(append(r.out, 0xa2, 'i', 'd'))
	return nil
}

// step runs the bound statement to its end and appends its rows.
func (r *run) step() error {
	var err error
	for r.stmt.Step() {
		if err = r.row(); err != nil {
			break
		}
	}
	if err == nil {
		err = r.fail(r.stmt.Err())
	}
	_ = r.stmt.Reset() // tells the error of the last step again
	r.param = 0
	return err
}

// row appends the row on which the statement stands.
func (r *run) row() error {
	if r.rows >= r.budget.MaxRows {
		return failf(abi.ErrnoLimit, "the answer has more rows than the budget max_rows, %d: use a limit", r.budget.MaxRows)
	}
	r.rows++
	out := msgp.AppendArrayHeader(r.out, uint32(len(r.st.out)))
	for i, column := range r.st.out {
		out = appendColumn(out, r.stmt.Stmt, i, column.Type)
	}
	r.out = out
	if int64(len(out)-r.start) > r.budget.MaxBytes {
		return failf(abi.ErrnoLimit, "the answer is larger than the budget max_bytes, %d: select fewer rows or columns", r.budget.MaxBytes)
	}
	return nil
}

// open begins a message of n pairs with the names of the columns and the rows, whose number close fills in.
func (r *run) open(n byte) {
	r.out = append(append(r.out, 0x80|n), r.st.header...)
	r.out = append(r.out, 0xa1, 'r', 0xdd, 0, 0, 0, 0)
	r.at = len(r.out) - 4
}

func (r *run) close() { binary.BigEndian.PutUint32(r.out[r.at:], uint32(r.rows)) }
