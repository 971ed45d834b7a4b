package database

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

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
	c.underway(ctx)
	r := &c.running
	*r = run{answer: newAnswer(st, b, dst), conn: c, ctx: ctx, q: q}
	defer func() { *r = run{} }()
	if st.raw != nil {
		err = c.underRaw(&rawScope{catalog: st.catalog, text: st.raw, reach: st.reach}, r.do)
	} else {
		err = r.do()
	}
	return r.Out, err
}

// run is one execution.
type run struct {
	answer
	conn *sqliteConn
	ctx  context.Context
	stmt *prepared
	q    *abi.Query

	bound int // bytes bound
	now   time.Time

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
		err = r.write(r.st.empties, r.changes)
	}
	if r.bound > 64<<10 {
		_ = r.stmt.ClearBindings() // keeps memory, no more
	}
	return err
}

func (r *run) fail(err error) error {
	if r.st.raw != nil && errors.Is(err, sqlite3.ERROR) {
		if _, words, ok := strings.Cut(err.Error(), "SQL logic error: "); ok && !strings.Contains(words, "no such ") {
			return invalidf("the SQL text failed: %s", words) // its author may read why
		}
	}
	return r.conn.fail(r.ctx, err, r.st.table.Name)
}

func (r *run) selects() error {
	if err := r.bindAll(); err != nil {
		return err
	}
	r.open(2)
	if err := r.step(); err != nil {
		return err
	}
	r.Close()
	return nil
}

// changes runs an update or a delete.
func (r *run) changes() error {
	if err := r.bindAll(); err != nil {
		return err
	}
	if r.st.raw != nil {
		r.conn.db.SetLastInsertRowID(0)
	}
	if err := r.step(); err != nil {
		return err
	}
	r.affected = r.conn.db.Changes()
	if r.st.raw != nil {
		if id := r.conn.db.LastInsertRowID(); id != 0 {
			r.last = abi.Int(id)
		}
	}
	if r.st.empties {
		return r.conn.restart(r.ctx, r.st.table.Name)
	}
	return nil
}

// inserts runs one prepared statement for each row.
func (r *run) inserts() error {
	r.now = time.Now()
	for i := range r.q.Rows {
		key, err := bindRow(r, r.st, r.q, i, r.now)
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
	r.openWrite()
	var err error
	if several || len(r.st.out) > 0 {
		err = r.conn.atomically(r.ctx, statements)
	} else {
		err = statements()
	}
	if err != nil {
		return err
	}
	r.conn.engine.full.Store(false)
	r.closeWrite(r.affected, r.last)
	return nil
}

// step runs the bound statement to its end and appends its rows.
func (r *run) step() error {
	var err error
	for r.conn.next(r.stmt) {
		if err = r.line(); err != nil {
			break
		}
	}
	if err == nil {
		err = r.fail(r.stmt.Err())
	}
	_ = r.stmt.Reset() // tells the error of the last step again
	return err
}

// line appends the row on which the statement stands.
func (r *run) line() error {
	if err := r.row(); err != nil {
		return err
	}
	for i, column := range r.st.out {
		r.column(r.stmt.Stmt, i, column.Type)
	}
	if err := r.stmt.Err(); err != nil {
		return r.fail(err)
	}
	return r.end()
}
