package host

import (
	"context"
	"fmt"
	"slices"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
)

// odac:db/v1: statements and transactions on the tenant's own databases, table by table and verb by verb as granted.

func dbModule() hostModule {
	return hostModule{abi.ModuleDB, []hostFunction{
		{abi.FuncQuery, dbQuery},
		{abi.FuncBegin, dbBegin},
		{abi.FuncCommit, dbCommit},
		{abi.FuncRollback, dbRollback},
		{abi.FuncBatch, dbBatch},
		{abi.FuncOpen, dbOpen},
		{abi.FuncNext, dbNext},
		{abi.FuncFree, dbFree},
		{abi.FuncNotify, dbNotify},
	}}
}

// maxTxs is how many transactions, savepoints among them, one call may begin.
const maxTxs = 256

// openTx is a transaction of the call, or a savepoint of one.
type openTx struct {
	*database.Tx
	conn     *connection
	readOnly bool
	root     *openTx        // itself if it is no savepoint
	parent   *openTx        // of a savepoint
	notes    []note         // of the root: said when it commits
	written  []*cache.Table // of the root: in flight while it commits
}

// commit tells the cache which tables are in flight for as long as the commit takes, whatever comes of it.
func (tx *openTx) commit(ctx context.Context) error {
	if tx != tx.root {
		return tx.Commit(ctx)
	}
	if err := tx.speak(ctx, false); err != nil {
		return err
	}
	if err := tx.commitWrites(ctx); err != nil {
		return err
	}
	return tx.speak(ctx, true)
}

func (tx *openTx) commitWrites(ctx context.Context) error {
	defer tx.conn.cache.BeginWrite(tx.written...).End()
	return tx.Commit(ctx)
}

// access finds a statement's connection, and the database as the plugin may reach it, and checks the plugin's grants for all that it names or, if it is SQL
// text, reaches for.
func (c *call) access(name string, q *abi.Query) (*connection, *database.DB, database.Description, error) {
	conn, err := c.rev.tenant.conn(c.context(), name)
	if err != nil {
		return nil, nil, database.Description{}, err
	}
	// Grants first, so that a table that was not granted answers the same whether or not it exists.
	if err := c.grantedNames(q); err != nil {
		return nil, nil, database.Description{}, err
	}
	db, err := conn.as(c.rev)
	if err != nil {
		return nil, nil, database.Description{}, err
	}
	what, err := db.Describe(c.context(), q)
	for _, t := range what.Touches {
		if t.Indirect {
			continue
		}
		if err := c.granted(t.Table, t.Verb); err != nil {
			return nil, nil, what, err
		}
	}
	return conn, db, what, err
}

// grantedNames checks the tables that a query names, wherever in it.
func (c *call) grantedNames(q *abi.Query) error {
	if q.SQL != "" {
		if err := c.rev.grants.Raw(); err != nil {
			return abi.NewError(abi.ErrnoDenied, err.Error())
		}
		return nil
	}
	if q.From == 0 {
		if err := c.granted(q.Table, q.Verb); err != nil {
			return err
		}
	}
	if err := c.grantedJoins(q.Joins); err != nil {
		return err
	}
	for i := range q.Subs {
		s := &q.Subs[i]
		if s.From == 0 {
			if err := c.granted(s.Table, abi.VerbSelect); err != nil {
				return err
			}
		}
		if err := c.grantedJoins(s.Joins); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) grantedJoins(joins []abi.Join) error {
	for i := range joins {
		if joins[i].From != 0 {
			continue
		}
		if err := c.granted(joins[i].Table, abi.VerbSelect); err != nil {
			return err
		}
	}
	return nil
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
	q := c.blank()
	if err := decode(req, q); err != nil {
		return nil, err
	}
	conn, err := c.rev.tenant.conn(c.context(), q.Conn)
	if err != nil {
		return nil, err
	}
	resp = c.room(resp)
	return c.again(conn, q.Tx, func() ([]byte, error) { return c.query(q, resp) })
}

// again runs a statement outside of a transaction once more if it failed because the tables changed meanwhile: nothing came of the first.
func (c *call) again(conn *connection, tx uint32, run func() ([]byte, error)) ([]byte, error) {
	changes := conn.changes.Load()
	out, err := run()
	if tx == 0 && err != nil && conn.overtaken(c.context(), changes, err) {
		return run()
	}
	return out, err
}

func (c *call) query(q *abi.Query, resp []byte) ([]byte, error) {
	conn, db, what, err := c.access(q.Conn, q)
	if err != nil {
		return nil, err
	}
	if err := c.mayGrow(conn, what); err != nil {
		return nil, err
	}
	if q.Tx != 0 {
		tx, err := c.txOn(q.Tx, conn)
		if err != nil {
			return nil, err
		}
		tx.root.written = append(tx.root.written, conn.tables(what.Touches, true)...)
		return tx.Run(c.context(), what, q, c.budget(), resp)
	}
	if !what.Write {
		return db.Run(c.context(), what, q, c.budget(), resp)
	}
	if err := c.mayWrite(conn); err != nil {
		return nil, err
	}
	if err := c.flushBefore(conn, q, what); err != nil {
		return nil, err
	}
	defer conn.cache.BeginWrite(conn.tables(what.Touches, true)...).End()
	return db.Run(c.context(), what, q, c.budget(), resp)
}

// flushBefore applies what is buffered for the table that a statement writes: a direct write must not be overtaken by an older buffered
// one.
func (c *call) flushBefore(conn *connection, q *abi.Query, what database.Description) error {
	if q.SQL == "" {
		return bufferError(c.rev.host.buffer.Flush(c.context(), conn.lane(q.Table)))
	}
	for _, t := range what.Touches {
		if t.Verb == abi.VerbSelect {
			continue
		}
		if err := c.rev.host.buffer.Flush(c.context(), conn.lane(t.Table)); err != nil {
			return bufferError(err)
		}
	}
	return nil
}

func dbBatch(c *call, req, resp []byte) ([]byte, error) {
	var in abi.Batch
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	resp = c.room(resp)
	conn, err := c.rev.tenant.conn(c.context(), in.Conn)
	if err != nil {
		return nil, err
	}
	return c.again(conn, in.Tx, func() ([]byte, error) { return c.batch(conn, &in, resp) })
}

func (c *call) batch(conn *connection, in *abi.Batch, resp []byte) ([]byte, error) {
	var db *database.DB
	var written []*cache.Table
	write := false
	all := make([]database.Description, len(in.Queries))
	for i := range in.Queries {
		q := &in.Queries[i]
		var what database.Description
		var err error
		_, db, what, err = c.access(in.Conn, q)
		if err != nil {
			errno, text := errnoOf(err)
			return nil, abi.NewError(errno, fmt.Sprintf("query %d of the batch: %s", i, text))
		}
		if err := c.mayGrow(conn, what); err != nil {
			return nil, err
		}
		all[i] = what
		written = append(written, conn.tables(what.Touches, true)...)
		if write = write || what.Write; !what.Write || in.Tx != 0 {
			continue
		}
		if err := c.mayWrite(conn); err != nil {
			return nil, err
		}
		if err := c.flushBefore(conn, q, what); err != nil {
			return nil, err
		}
	}
	if in.Tx != 0 {
		tx, err := c.txOn(in.Tx, conn)
		if err != nil {
			return nil, err
		}
		tx.root.written = append(tx.root.written, written...)
		return tx.RunBatch(c.context(), all, in.Queries, c.budget(), resp)
	}
	if db == nil {
		return nil, invalid("a batch of no statement")
	}
	if write {
		defer conn.cache.BeginWrite(written...).End()
	}
	return db.RunBatch(c.context(), all, in.Queries, c.budget(), resp)
}

// maxCursors is how many cursors one call may have open.
const maxCursors = 8

func dbOpen(c *call, req, resp []byte) ([]byte, error) {
	var q abi.Query
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	conn, err := c.rev.tenant.conn(c.context(), q.Conn)
	if err != nil {
		return nil, err
	}
	return c.again(conn, q.Tx, func() ([]byte, error) { return c.open(&q, resp) })
}

func (c *call) open(q *abi.Query, resp []byte) ([]byte, error) {
	conn, db, _, err := c.access(q.Conn, q)
	if err != nil {
		return nil, err
	}
	slot := slices.Index(c.cursors, nil)
	if slot < 0 {
		if len(c.cursors) >= maxCursors {
			return nil, abi.NewError(abi.ErrnoLimit, fmt.Sprintf("one call has at most %d cursors open: close one", maxCursors))
		}
		slot, c.cursors = len(c.cursors), append(c.cursors, nil)
	}
	var cursor *database.Cursor
	if q.Tx != 0 {
		tx, err := c.txOn(q.Tx, conn)
		if err != nil {
			return nil, err
		}
		cursor, err = tx.Cursor(c.context(), q)
		if err != nil {
			return nil, err
		}
	} else if cursor, err = db.Cursor(c.context(), q); err != nil {
		return nil, err
	}
	c.cursors[slot] = cursor
	return reply(resp, &abi.Cursor{ID: uint32(slot + 1)})
}

func (c *call) cursor(req []byte) (in abi.Cursor, cursor *database.Cursor, err error) {
	if err := decode(req, &in); err != nil {
		return in, nil, err
	}
	if in.ID == 0 || int(in.ID) > len(c.cursors) || c.cursors[in.ID-1] == nil {
		return in, nil, abi.NewError(abi.ErrnoClosed, fmt.Sprintf("this call has no open cursor %d: open one", in.ID))
	}
	return in, c.cursors[in.ID-1], nil
}

func dbNext(c *call, req, resp []byte) ([]byte, error) {
	in, cursor, err := c.cursor(req)
	if err != nil {
		return nil, err
	}
	if in.Rows < 0 {
		return nil, invalid("a page has %d rows: ask for 1 or more, or 0 for what fits", in.Rows)
	}
	budget := c.budget()
	if in.Rows > 0 && (budget.MaxRows <= 0 || in.Rows < budget.MaxRows) {
		budget.MaxRows = in.Rows
	}
	out, done, err := cursor.Next(c.context(), budget, c.room(resp))
	if done || err != nil {
		c.cursors[in.ID-1] = nil
	}
	return out, err
}

func dbFree(c *call, req, resp []byte) ([]byte, error) {
	in, cursor, err := c.cursor(req)
	if err != nil {
		return nil, err
	}
	cursor.Close()
	c.cursors[in.ID-1] = nil
	return resp, nil
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
	if in.Parent != 0 {
		return c.savepoint(in.Parent, resp)
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
	db, err := conn.as(c.rev)
	if err != nil {
		return nil, err
	}
	tx, err := db.Begin(c.context(), database.TxOptions{ReadOnly: in.ReadOnly, Isolation: in.Isolation})
	if err != nil {
		return nil, err
	}
	open := &openTx{Tx: tx, conn: conn, readOnly: in.ReadOnly}
	open.root = open
	c.txs = append(c.txs, open)
	return reply(resp, &abi.Tx{ID: uint32(len(c.txs))})
}

// savepoint begins a transaction within a transaction.
func (c *call) savepoint(parent uint32, resp []byte) ([]byte, error) {
	outer, err := c.tx(parent)
	if err != nil {
		return nil, err
	}
	inner, err := outer.Begin(c.context())
	if err != nil {
		return nil, err
	}
	c.txs = append(c.txs, &openTx{Tx: inner, conn: outer.conn, readOnly: outer.readOnly, root: outer.root, parent: outer})
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

// txOn is a transaction that must be on that connection.
func (c *call) txOn(id uint32, conn *connection) (*openTx, error) {
	tx, err := c.tx(id)
	if err == nil && tx.conn != conn {
		err = invalid("the transaction is on database %q, the statement on %q", tx.conn.name, conn.name)
	}
	return tx, err
}

func dbCommit(c *call, req, resp []byte) ([]byte, error) {
	return endTx(c, req, resp, func(tx *openTx) error { return tx.commit(c.context()) })
}

func dbRollback(c *call, req, resp []byte) ([]byte, error) {
	return endTx(c, req, resp, func(tx *openTx) error {
		tx.unsay()
		return tx.Rollback()
	})
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
