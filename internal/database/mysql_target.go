package database

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// mysqlTarget flushes inserts by many rows in one statement and all else one by one, because the protocol has no pipeline. InnoDB undoes a
// statement that fails and nothing else; where it was of many rows, they go one by one.
type mysqlTarget struct {
	db     *DB
	engine *mysqlEngine
}

func (e *mysqlEngine) target(db *DB) buffer.Target { return &mysqlTarget{db, e} }

const (
	// Names are compared byte by byte. A key in utf8mb4 has at most 768 characters.
	mysqlCreateLedger = `CREATE TABLE IF NOT EXISTS odac_buffer_ledger (node VARCHAR(190) NOT NULL, lane VARCHAR(500) NOT NULL, applied BIGINT NOT NULL,
		PRIMARY KEY (node, lane)) ENGINE InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`
	mysqlCreateDead = `CREATE TABLE IF NOT EXISTS odac_buffer_dead (id BIGINT AUTO_INCREMENT PRIMARY KEY, node VARCHAR(190) NOT NULL, lane VARCHAR(500) NOT NULL,
		first_lsn BIGINT NOT NULL, last_lsn BIGINT NOT NULL, kind VARCHAR(16) NOT NULL, ` + "`change`" + ` LONGTEXT NOT NULL, reason TEXT NOT NULL,
		at DATETIME(6) NOT NULL DEFAULT current_timestamp(6), INDEX odac_buffer_dead_lane (node, lane, last_lsn)) ENGINE InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`
	mysqlInsertLedger = `INSERT IGNORE INTO odac_buffer_ledger (node, lane, applied) VALUES (?, ?, 0)`
	mysqlSelectLedger = `SELECT applied FROM odac_buffer_ledger WHERE node = ? AND lane = ? FOR UPDATE`
	mysqlMoveLedger   = `UPDATE odac_buffer_ledger SET applied = ? WHERE node = ? AND lane = ? AND applied = ?`
	mysqlInsertDead   = `INSERT INTO odac_buffer_dead (node, lane, first_lsn, last_lsn, kind, ` + "`change`" + `, reason) VALUES (?, ?, ?, ?, ?, ?, ?)`
	mysqlSelectDead   = `SELECT kind, ` + "`change`" + `, first_lsn, last_lsn, reason FROM odac_buffer_dead WHERE node = ? AND lane = ? AND last_lsn > ? AND last_lsn <= ? ORDER BY id`
)

// own runs a statement of the program's own and returns how many rows it found.
func (l *mysqlLink) own(sql string, args ...driver.Value) (int64, error) {
	st, err := l.conn.Prepare(sql)
	if err != nil {
		return 0, err
	}
	defer func() { _ = st.Close() }() // an error of the connection comes again
	result, err := st.Exec(args)      //nolint:staticcheck // without a context
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// with runs f in a transaction, until ctx ends.
func (t *mysqlTarget) with(ctx context.Context, f func(c *mysqlConn) error) error {
	c, err := t.engine.take(ctx)
	if err != nil {
		return err
	}
	defer c.release()
	if err := c.begin(ctx, TxOptions{Isolation: abi.IsolationReadCommitted}); err != nil {
		return err
	}
	scope, free := merge(ctx)
	defer free()
	over := t.engine.watch(scope, c.link)
	err = f(c)
	over()
	if err != nil {
		if errors.Is(err, buffer.ErrFenced) {
			return err
		}
		return t.engine.fail(ctx, err, buffer.LedgerTable, false)
	}
	return c.commit(ctx)
}

// Applied implements buffer.Target. FOR UPDATE waits for a transaction of a process that was killed.
func (t *mysqlTarget) Applied(ctx context.Context, node string, lane buffer.Lane) (lsn buffer.LSN, err error) {
	err = t.create(ctx)
	if err != nil {
		return 0, err
	}
	err = t.with(ctx, func(c *mysqlConn) error {
		if _, err := c.link.own(mysqlInsertLedger, node, lane.String()); err != nil {
			return err
		}
		return c.link.rows(mysqlSelectLedger, 1, func(v []driver.Value) error {
			n, err := strconv.ParseInt(mysqlText(v[0]), 10, 64)
			lsn = buffer.LSN(n)
			return err
		}, node, lane.String())
	})
	return lsn, err
}

// create makes the tables, outside of a transaction, which MySQL would commit.
func (t *mysqlTarget) create(ctx context.Context) error {
	c, err := t.engine.take(ctx)
	if err != nil {
		return err
	}
	defer c.release()
	if err := c.do(ctx, mysqlCreateLedger, mysqlCreateDead); err != nil {
		c.link.broken = true
		return t.engine.fail(ctx, err, buffer.LedgerTable, false)
	}
	return nil
}

// Dead implements buffer.Target.
func (t *mysqlTarget) Dead(ctx context.Context, node string, lane buffer.Lane, from, to buffer.LSN) (dead []buffer.Dead, err error) {
	err = t.with(ctx, func(c *mysqlConn) error {
		return c.link.rows(mysqlSelectDead, 5, func(v []driver.Value) error {
			var change buffer.Change
			if err := json.Unmarshal([]byte(mysqlText(v[1])), &change); err != nil {
				return err
			}
			dead = append(dead, buffer.Dead{Kind: kindOf(mysqlText(v[0])), Key: change.Key, First: change.First, Last: change.Last, Reason: mysqlText(v[4])})
			return nil
		}, node, lane.String(), int64(from), int64(to))
	})
	return dead, err
}

// Apply implements buffer.Target.
func (t *mysqlTarget) Apply(ctx context.Context, batch *buffer.Batch) (buffer.Result, error) {
	f := &mysqlFlush{target: t, ctx: ctx, batch: batch, q: changeQuery{table: batch.Lane.Table}}
	err := t.with(ctx, f.run)
	if err != nil {
		if errnoIs(err, abi.ErrnoRetry) {
			err = errors.Join(err, t.db.Reload(ctx, nil))
		}
		return buffer.Result{}, err
	}
	return f.result, nil
}

// mysqlFlush is one try of a batch.
type mysqlFlush struct {
	target   *mysqlTarget
	ctx      context.Context
	batch    *buffer.Batch
	conn     *mysqlConn
	reloaded bool // the catalog, before something unknown is held against a row
	result   buffer.Result
	q        changeQuery
}

func (f *mysqlFlush) run(c *mysqlConn) error {
	f.conn = c
	b := f.batch
	n, err := c.link.own(mysqlMoveLedger, int64(b.To), b.Node, b.Lane.String(), int64(b.From))
	switch {
	case err != nil:
		return err
	case n != 1:
		return fmt.Errorf("%w: the ledger of %s %s is not at %d", buffer.ErrFenced, b.Node, b.Lane, b.From)
	}
	for _, group := range groups(b.Inserts) {
		for len(group) > 0 {
			n := min(len(group), flushChunk)
			if err := f.inserts(group[:n]); err != nil {
				return err
			}
			group = group[n:]
		}
	}
	for i := range b.Updates {
		if err := f.change(buffer.KindSet, &b.Updates[i], f.update); err != nil {
			return err
		}
	}
	for i := range b.Deletes {
		if err := f.change(buffer.KindDelete, &b.Deletes[i], f.delete); err != nil {
			return err
		}
	}
	return nil
}

// inserts sends rows that name the same columns together, and one by one where that is refused.
func (f *mysqlFlush) inserts(changes []*buffer.Change) error {
	if len(changes) >= rowsAtOnce {
		f.q.insert(changes[0])
		q := f.q.Query
		q.Rows = nil
		for _, c := range changes {
			f.q.insert(c)
			q.Rows = append(q.Rows, append(abi.Values{}, f.q.Rows[0]...))
		}
		_, err := f.exec(&q)
		if err == nil || !poison(err) {
			return err
		}
	}
	for _, c := range changes {
		if err := f.change(buffer.KindInsert, c, f.insert); err != nil {
			return err
		}
	}
	return nil
}

// change makes one change or sets it aside.
func (f *mysqlFlush) change(kind buffer.Kind, c *buffer.Change, apply func(*buffer.Change) error) error {
	err := apply(c)
	if err == nil || !poison(err) || !f.conn.tx {
		return err
	}
	reason := err.Error()
	if errnoIs(err, abi.ErrnoNotFound) {
		reason = noSuchRow
	}
	document, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f.result.Dead = append(f.result.Dead, buffer.Dead{Kind: kind, Key: c.Key, First: c.First, Last: c.Last, Reason: reason})
	_, err = f.conn.link.own(mysqlInsertDead, f.batch.Node, f.batch.Lane.String(), int64(c.First), int64(c.Last), kind.String(), string(document), reason)
	return err
}

func (f *mysqlFlush) insert(c *buffer.Change) error {
	f.q.insert(c)
	_, err := f.exec(&f.q.Query)
	return err
}

func (f *mysqlFlush) update(c *buffer.Change) error {
	f.q.update(c)
	n, err := f.exec(&f.q.Query)
	if err != nil || n > 0 {
		return err
	}
	switch f.batch.Missing {
	case buffer.MissingUpsert:
		return f.insert(c)
	case buffer.MissingDrop:
		f.result.Dropped++
		return nil
	}
	return failf(abi.ErrnoNotFound, "%s", noSuchRow)
}

func (f *mysqlFlush) delete(c *buffer.Change) error {
	f.q.delete(c)
	_, err := f.exec(&f.q.Query)
	return err
}

// exec runs the query and says how many rows it reached. Its error is an *abi.Error.
func (f *mysqlFlush) exec(q *abi.Query) (int64, error) {
	st, err := f.target.db.compileFresh(f.ctx, q, &f.reloaded)
	if err == nil {
		err = exact(st)
	}
	if err != nil {
		return 0, err
	}
	r := mysqlRun{answer: newAnswer(st, Budget{}, nil), conn: f.conn, q: q}
	if err := r.do(); err != nil {
		if mysqlLost(err) || mysqlNumber(err) == mysqlDeadlock {
			f.conn.tx, f.conn.link.broken = false, true
		}
		return 0, f.target.engine.fail(f.ctx, err, f.batch.Lane.Table, false)
	}
	return r.affected, nil
}
