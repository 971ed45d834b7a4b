package host

import (
	"context"
	"fmt"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
)

// odac:db/v1: statements and transactions on the tenant's own databases, table by table and verb by verb as granted.

func dbModule() engine.Module {
	return engine.Module{Name: abi.ModuleDB, Funcs: []engine.Func{
		function(abi.FuncQuery, dbQuery),
		function(abi.FuncBegin, dbBegin),
		function(abi.FuncCommit, dbCommit),
		function(abi.FuncRollback, dbRollback),
	}}
}

// maxTxs is how many transactions one call may begin.
const maxTxs = 64

// openTx is a transaction of the call.
type openTx struct {
	*database.Tx
	conn     *connection
	readOnly bool
	written  []*cache.Table // in flight while it commits
}

// commit tells the cache which tables are in flight for as long as the commit takes, whatever comes of it.
func (tx *openTx) commit(ctx context.Context) error {
	defer tx.conn.cache.BeginWrite(tx.written...).End()
	return tx.Commit(ctx)
}

// access finds a statement's connection and checks the plugin's grants for all that it names.
func (c *call) access(q *abi.Query) (*connection, []database.Touch, error) {
	conn, err := c.rev.tenant.conn(c.context(), q.Conn)
	if err != nil {
		return nil, nil, err
	}
	// Grants first, so that a table that was not granted answers the same whether or not it exists.
	if err := c.granted(q.Table, q.Verb); err != nil {
		return nil, nil, err
	}
	for _, j := range q.Joins {
		if err := c.granted(j.Table, abi.VerbSelect); err != nil {
			return nil, nil, err
		}
	}
	touches, err := conn.db.Touches(q)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range touches {
		if t.Indirect {
			continue
		}
		if err := c.granted(t.Table, t.Verb); err != nil {
			return nil, nil, err
		}
	}
	return conn, touches, nil
}

func (c *call) granted(table string, verb abi.Verb) error {
	if err := c.rev.grants.Table(table, plugins.Verb(verb.String())); err != nil {
		return abi.NewError(abi.ErrnoDenied, err.Error())
	}
	return nil
}

func (c *call) budget() database.Budget {
	return database.Budget{MaxRows: c.rev.limits.MaxRows, MaxBytes: c.rev.limits.ResultBytes}
}

func dbQuery(c *call, req, resp []byte) ([]byte, error) {
	var q abi.Query
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	conn, touches, err := c.access(&q)
	if err != nil {
		return nil, err
	}
	if q.Tx != 0 {
		tx, err := c.tx(q.Tx)
		if err != nil {
			return nil, err
		}
		if tx.conn != conn {
			return nil, invalid("the transaction is on database %q, the statement on %q", tx.conn.name, conn.name)
		}
		tx.written = append(tx.written, conn.tables(touches, true)...)
		return tx.Query(c.context(), &q, c.budget(), resp)
	}
	if q.Verb == abi.VerbSelect {
		return conn.db.Query(c.context(), &q, c.budget(), resp)
	}
	if err := c.mayWrite(conn); err != nil {
		return nil, err
	}
	// What is buffered for the table comes first: a direct write must not be overtaken by an older buffered one.
	if err := c.rev.host.buffer.Flush(c.context(), conn.lane(q.Table)); err != nil {
		return nil, bufferError(err)
	}
	defer conn.cache.BeginWrite(conn.tables(touches, true)...).End()
	return conn.db.Query(c.context(), &q, c.budget(), resp)
}

// mayWrite refuses a write that would wait for a transaction which this very call holds open.
func (c *call) mayWrite(conn *connection) error {
	for _, tx := range c.txs {
		if tx != nil && tx.conn == conn && !tx.readOnly {
			return invalid("this call has a transaction open on database %q: write through it, or commit it first", conn.name)
		}
	}
	return nil
}

func dbBegin(c *call, req, resp []byte) ([]byte, error) {
	var in abi.Begin
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	if len(c.txs) >= maxTxs {
		return nil, abi.NewError(abi.ErrnoLimit, fmt.Sprintf("one call begins at most %d transactions", maxTxs))
	}
	conn, err := c.rev.tenant.conn(c.context(), in.Conn)
	if err != nil {
		return nil, err
	}
	if !in.ReadOnly {
		if err := c.mayWrite(conn); err != nil {
			return nil, err
		}
		if err := c.flushWritable(conn); err != nil {
			return nil, err
		}
	}
	tx, err := conn.db.Begin(c.context(), in.ReadOnly)
	if err != nil {
		return nil, err
	}
	c.txs = append(c.txs, &openTx{Tx: tx, conn: conn, readOnly: in.ReadOnly})
	return reply(resp, &abi.Tx{ID: uint32(len(c.txs))})
}

// flushWritable applies what is buffered for the tables that the plugin may write, before a transaction takes the
// writer: inside it, nothing can be flushed.
func (c *call) flushWritable(conn *connection) error {
	for table := range c.rev.manifest.Capabilities.DB.Tables {
		if err := c.rev.host.buffer.Flush(c.context(), conn.lane(table)); err != nil {
			return bufferError(err)
		}
	}
	return nil
}

func (c *call) tx(id uint32) (*openTx, error) {
	if id == 0 || int(id) > len(c.txs) {
		return nil, abi.NewError(abi.ErrnoNotFound, fmt.Sprintf("this call has no transaction %d: begin one", id))
	}
	tx := c.txs[id-1]
	if tx == nil {
		return nil, abi.NewError(abi.ErrnoClosed, fmt.Sprintf("transaction %d is over", id))
	}
	return tx, nil
}

func dbCommit(c *call, req, resp []byte) ([]byte, error) {
	return endTx(c, req, resp, func(tx *openTx) error { return tx.commit(c.context()) })
}

func dbRollback(c *call, req, resp []byte) ([]byte, error) {
	return endTx(c, req, resp, func(tx *openTx) error { return tx.Rollback() })
}

func endTx(c *call, req, resp []byte, end func(*openTx) error) ([]byte, error) {
	var in abi.Tx
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	tx, err := c.tx(in.ID)
	if err != nil {
		return nil, err
	}
	err = end(tx)
	_ = tx.Rollback() // after a failed commit; after a good one it does nothing
	c.txs[in.ID-1] = nil
	return resp, err
}
