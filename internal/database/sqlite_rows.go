package database

import (
	"context"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// sqliteRows is a select that is stepped through page by page, with a prepared statement of its own.
type sqliteRows struct {
	run
	standing bool // on a row that was not answered yet
	over     bool // no row is left
}

func (c *sqliteConn) stream(ctx context.Context, st *statement, q *abi.Query) (_ rows, err error) {
	defer c.guard(&err)
	c.underway(ctx)
	r := &sqliteRows{run: run{answer: newAnswer(st, Budget{}, nil), conn: c, ctx: ctx, q: q}}
	err = r.within(func() error {
		stmt, _, err := c.db.Prepare(st.sql)
		if err != nil {
			return r.fail(err)
		}
		r.stmt = &prepared{Stmt: stmt}
		if err := r.bindAll(); err != nil {
			_ = stmt.Close() // was never stepped
			return err
		}
		// To its first row: that tables have changed since it was compiled is said now, when it can be begun again, and it sees what is there now.
		if r.step(); r.over {
			if err := r.fail(stmt.Err()); err != nil {
				_ = stmt.Close() // tells it again
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.q = nil
	return r, nil
}

// within runs f with what the statement may do.
func (r *sqliteRows) within(f func() error) error {
	if r.st.raw == nil {
		return f()
	}
	return r.conn.underRaw(&rawScope{catalog: r.st.catalog, text: r.st.raw, reach: r.st.reach}, f)
}

func (r *sqliteRows) next(ctx context.Context, b Budget, dst []byte) (out []byte, done bool, err error) {
	defer func() {
		if err != nil {
			out = dst
		}
	}()
	defer r.conn.guard(&err)
	if err := ended(ctx); err != nil {
		return dst, false, err
	}
	r.conn.underway(ctx)
	r.ctx, r.budget, r.Out, r.start, r.Rows = ctx, b, dst, len(dst), 0
	err = r.within(func() error {
		done, err = r.page()
		return err
	})
	return r.Out, done, err
}

// step goes on to the next row, unless it stands on one or there is none.
func (r *sqliteRows) step() bool {
	if !r.standing && !r.over {
		r.standing = r.conn.next(r.stmt)
		r.over = !r.standing
	}
	return r.standing
}

// page appends rows until they are at an end or over the budget.
func (r *sqliteRows) page() (done bool, err error) {
	r.run.open(3)
	for r.step() {
		if r.Rows >= r.budget.MaxRows {
			break
		}
		whole := r.Out
		if err := r.line(); err != nil {
			if r.Rows == 1 {
				return false, err // one row that is over the budget by itself
			}
			r.Out, r.Rows = whole, r.Rows-1
			break
		}
		r.standing = false
	}
	if !r.standing {
		if err := r.fail(r.stmt.Err()); err != nil {
			return false, err
		}
	}
	r.Close()
	r.Out = msgp.AppendBool(append(r.Out, 0xa1, 'd'), !r.standing)
	return !r.standing, nil
}

func (r *sqliteRows) close() {
	var err error
	defer r.conn.guard(&err)
	if r.stmt != nil && r.conn.db != nil {
		_ = r.stmt.Close() // tells the error of its last step again
	}
	r.stmt = nil
}
