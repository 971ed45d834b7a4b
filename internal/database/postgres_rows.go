package database

import (
	"context"
	"fmt"
	"time"

	"github.com/odac-run/odachost/abi"
)

const (
	// fetchRows is how many rows a cursor fetches at a time, at most; firstRows is with how many it begins, before their size is known.
	fetchRows = 256
	firstRows = 32
	// maxPortion bounds the rows that are fetched at a time, in bytes, where they are of very different size.
	maxPortion = 4 * abi.MaxMessageBytes
)

// stream declares a cursor of the server's. Outside of a transaction it begins one, which release rolls back.
func (c *postgresConn) stream(ctx context.Context, st *statement, q *abi.Query) (rows, error) {
	own := !c.tx
	if own {
		if err := c.begin(ctx, TxOptions{ReadOnly: true}); err != nil {
			return nil, err
		}
	}
	scope, free := merge(ctx)
	defer free()
	c.state.names++
	name := fmt.Sprintf("odac_cursor%d", c.state.names)
	r := postgresRun{answer: newAnswer(st, Budget{}, nil), conn: c, ctx: scope, q: q}
	err := r.declare(name)
	if err != nil {
		if r.sent {
			c.undo(err)
		}
		return nil, c.engine.fail(ctx, err, st.table.Name, false)
	}
	p := &paged{st: st, portion: firstRows}
	p.fetch = func(ctx context.Context) (bool, error) { return c.fetch(ctx, p, r.stmt, name) }
	p.end = func() {
		if c.tx && !c.conn.IsClosed() {
			last, cancel := context.WithTimeout(context.Background(), connectTimeout)
			defer cancel()
			if _, err := c.exec(last, "CLOSE "+name); err != nil {
				c.undo(err)
			}
		}
	}
	return p, nil
}

func (r *postgresRun) declare(name string) error {
	s := r.conn.state
	s.data, s.ends = s.data[:0], s.ends[:0]
	var now time.Time
	if err := bindAll(r, r.st, r.q, &now); err != nil {
		return err
	}
	if err := r.prepare(); err != nil { // for the types of its columns
		return err
	}
	oids := make([]uint32, len(r.st.params))
	for i := range r.st.params {
		oids[i], _ = parameter(&r.st.params[i])
	}
	if _, err := r.conn.conn.ExecParams(r.ctx, "DECLARE "+name+" NO SCROLL CURSOR FOR "+r.st.sql, r.arguments(0, 1), oids, r.stmt.params, nil).Close(); err != nil {
		return err
	}
	_, err := r.conn.exec(r.ctx, moveOn)
	return err
}

func (c *postgresConn) fetch(ctx context.Context, p *paged, st *postgresStatement, name string) (bool, error) {
	scope, free := merge(ctx)
	defer free()
	r := postgresRun{answer: newAnswer(p.st, Budget{}.withDefaults(), nil), conn: c, ctx: scope, stmt: st}
	asked := p.portion
	result := c.conn.ExecParams(scope, fmt.Sprintf("FETCH %d FROM %s", asked, name), nil, nil, nil, st.results)
	n := 0
	var over error
	for result.NextRow() {
		n++
		if over != nil {
			continue
		}
		r.Out, r.Rows = r.Out[:0], 0
		if over = r.line(result.Values(), abi.Null()); over == nil {
			p.add(r.Out)
			if len(p.data) > maxPortion {
				over = failf(abi.ErrnoLimit, "the rows of the cursor are too large to be fetched together: read by keyset")
			}
		}
	}
	_, err := result.Close()
	if err == nil {
		err = over
	}
	if err != nil {
		c.undo(err)
		return false, c.engine.fail(ctx, err, p.st.table.Name, false)
	}
	p.portion = max(1, min(fetchRows, 2*asked, int(int64(asked)*pageBytes/int64(len(p.data)+1))))
	return n == asked, nil
}
