package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"time"

	"github.com/odac-run/odachost/abi"
)

// stream outside of a transaction reads from the connection as it goes. In one the connection has other statements to run, and the protocol no
// cursor that the driver knows, so the answer is read whole, up to the size of a message.
func (c *mysqlConn) stream(ctx context.Context, st *statement, q *abi.Query) (rows, error) {
	scope, free := merge(ctx)
	defer free()
	r := &mysqlRun{answer: newAnswer(st, Budget{MaxRows: -1}.withDefaults(), nil), conn: c, q: q}
	over := c.engine.watch(scope, c.link)
	result, err := r.start()
	over()
	if err != nil {
		if c.tx && (mysqlLost(err) || mysqlNumber(err) == mysqlDeadlock) {
			c.tx, c.link.broken = false, true
		}
		return nil, c.engine.fail(ctx, err, st.table.Name, false)
	}
	if st.raw != nil {
		if err := r.columns(result); err != nil {
			c.link.broken = true // the rows stay unread
			return nil, err
		}
		st = r.st
	}
	p := &paged{st: st}
	dest := make([]driver.Value, len(st.out))
	p.fetch = func(ctx context.Context) (bool, error) { return r.fetch(ctx, p, result, dest, fetchRows) }
	p.end = func() {
		c.link.broken = true // what was not read stays unread
		_ = c.link.net.Close()
		_ = result.Close() // the connection is gone
	}
	if !c.tx {
		return p, nil
	}
	for more := true; more; {
		if more, err = r.fetch(ctx, p, result, dest, fetchRows); err != nil {
			return nil, err
		}
		if len(p.data) > abi.MaxMessageBytes {
			p.close()
			c.tx = false
			return nil, failf(abi.ErrnoLimit, "a cursor in a transaction holds at most 16 MiB on MySQL: read by keyset")
		}
	}
	p.over, p.end = true, nil
	return p, nil
}

func (r *mysqlRun) start() (driver.Rows, error) {
	r.conn.link.values = r.conn.link.values[:0]
	var now time.Time
	if err := bindAll(r, r.st, r.q, &now); err != nil {
		return nil, err
	}
	st, err := r.conn.prepare(r.st)
	if err != nil {
		return nil, err
	}
	return st.Query(r.conn.link.values)
}

// fetch reads up to n rows. At the end the connection is free again.
func (r *mysqlRun) fetch(ctx context.Context, p *paged, result driver.Rows, dest []driver.Value, n int) (bool, error) {
	scope, free := merge(ctx)
	defer free()
	over := r.conn.engine.watch(scope, r.conn.link)
	defer over()
	defer r.conn.link.meter.stop()
	before := len(p.data)
	for range n {
		if len(p.data)-before > pageBytes {
			break
		}
		r.conn.link.meter.start()
		err := result.Next(dest)
		if r.conn.link.meter.over() {
			r.conn.link.broken, r.conn.tx = true, false
			return false, errRowTooLarge
		}
		if errors.Is(err, io.EOF) {
			p.end = nil
			return false, r.conn.engine.fail(ctx, result.Close(), p.st.table.Name, false)
		}
		if err == nil {
			r.Out, r.Rows = r.Out[:0], 0
			err = r.line(dest)
		}
		if err != nil {
			r.conn.tx = r.conn.tx && !mysqlLost(err)
			return false, r.conn.engine.fail(ctx, err, p.st.table.Name, false)
		}
		p.add(r.Out)
	}
	return true, nil
}
