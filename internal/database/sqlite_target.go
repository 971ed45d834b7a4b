package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// sqliteTarget flushes row by row with prepared statements in one transaction. A row that is refused undoes itself and nothing else, so there
// is no need to bisect.
type sqliteTarget struct {
	db     *DB
	engine *sqlite
}

func (e *sqlite) target(db *DB) buffer.Target { return &sqliteTarget{db, e} }

const (
	createLedger = `CREATE TABLE IF NOT EXISTS odac_buffer_ledger (
		node TEXT NOT NULL, lane TEXT NOT NULL, applied BIGINT NOT NULL, PRIMARY KEY (node, lane)) WITHOUT ROWID`
	createDead = `CREATE TABLE IF NOT EXISTS odac_buffer_dead (
		id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, lane TEXT NOT NULL, first_lsn BIGINT NOT NULL, last_lsn BIGINT NOT NULL,
		kind TEXT NOT NULL, change TEXT NOT NULL, reason TEXT NOT NULL, at TIMESTAMP NOT NULL)`
	createDeadIndex = `CREATE INDEX IF NOT EXISTS odac_buffer_dead_lane ON odac_buffer_dead (node, lane, last_lsn)`
	insertLedger    = `INSERT OR IGNORE INTO odac_buffer_ledger (node, lane, applied) VALUES (?, ?, 0)`
	selectLedger    = `SELECT applied FROM odac_buffer_ledger WHERE node = ? AND lane = ?`
	moveLedger      = `UPDATE odac_buffer_ledger SET applied = ? WHERE node = ? AND lane = ? AND applied = ?`
	insertDead      = `INSERT INTO odac_buffer_dead (node, lane, first_lsn, last_lsn, kind, change, reason, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%f000000Z', 'now'))`
	selectDead = `SELECT kind, change, first_lsn, last_lsn, reason FROM odac_buffer_dead
		WHERE node = ? AND lane = ? AND last_lsn > ? AND last_lsn <= ? ORDER BY id`
)

// with runs f on a connection, trusted, in a transaction if it writes.
func (t *sqliteTarget) with(ctx context.Context, write bool, f func(c *sqliteConn) error) (err error) {
	c, err := t.engine.take(ctx, write)
	if err != nil {
		return err
	}
	defer c.release()
	defer c.guard(&err)
	c.trusted = true
	defer func() { c.trusted = false }()
	c.db.SetInterrupt(ctx)
	if !write {
		return ownError(ctx, c, f(c))
	}
	if err := c.begin(ctx, TxOptions{}); err != nil {
		return err
	}
	if err := f(c); err != nil {
		err = ownError(ctx, c, err) // before the rollback: it may be replaced
		c.rollback()
		return err
	}
	return c.commit(ctx)
}

// ownError maps what the driver said and leaves the rest: ErrFenced, lostError.
func ownError(ctx context.Context, c *sqliteConn, err error) error {
	var typed *sqlite3.Error
	var code sqlite3.ExtendedErrorCode
	if errors.As(err, &typed) || errors.As(err, &code) {
		return c.fail(ctx, err, buffer.LedgerTable)
	}
	return err
}

// Applied implements buffer.Target. It takes the write lock, so that it waits for a transaction of a process that was killed.
func (t *sqliteTarget) Applied(ctx context.Context, node string, lane buffer.Lane) (lsn buffer.LSN, err error) {
	err = t.with(ctx, true, func(c *sqliteConn) error {
		for _, sql := range [...]string{createLedger, createDead, createDeadIndex} {
			if err := c.exec(sql); err != nil {
				return err
			}
		}
		if err := c.execArgs(insertLedger, node, lane.String()); err != nil {
			return err
		}
		return c.rows(selectLedger, func(st *sqlite3.Stmt) error {
			lsn = buffer.LSN(st.ColumnInt64(0))
			return nil
		}, node, lane.String())
	})
	return lsn, err
}

// Dead implements buffer.Target.
func (t *sqliteTarget) Dead(ctx context.Context, node string, lane buffer.Lane, from, to buffer.LSN) (dead []buffer.Dead, err error) {
	err = t.with(ctx, false, func(c *sqliteConn) error {
		return c.rows(selectDead, func(st *sqlite3.Stmt) error {
			var change buffer.Change
			if err := json.Unmarshal(st.ColumnRawText(1), &change); err != nil {
				return fmt.Errorf("read %s: %w", buffer.DeadLetterTable, err)
			}
			dead = append(dead, buffer.Dead{
				Kind: kindOf(st.ColumnText(0)), Key: change.Key, First: buffer.LSN(st.ColumnInt64(2)), Last: buffer.LSN(st.ColumnInt64(3)), Reason: st.ColumnText(4),
			})
			return nil
		}, node, lane.String(), int64(from), int64(to))
	})
	return dead, err
}

// Apply implements buffer.Target.
func (t *sqliteTarget) Apply(ctx context.Context, batch *buffer.Batch) (buffer.Result, error) {
	f := &flush{target: t, ctx: ctx, batch: batch, q: changeQuery{table: batch.Lane.Table}, refused: map[*buffer.Change]string{}}
	for {
		f.result = buffer.Result{}
		err := t.with(ctx, true, f.run)
		var lost *lostError
		switch {
		case err == nil:
			return f.result, nil
		case errors.As(err, &lost):
			// The row took the whole transaction with it: once more, without the row.
			f.refused[lost.change] = lost.reason
		case !f.careful && errnoIs(err, abi.ErrnoConflict):
			// The commit was refused by a deferred foreign key: once more, with a look at every row.
			f.careful = true
		default:
			if errnoIs(err, abi.ErrnoRetry) {
				err = errors.Join(err, t.db.Reload(ctx, nil))
			}
			return buffer.Result{}, err
		}
	}
}

// lostError is a change whose refusal ended the transaction.
type lostError struct {
	change *buffer.Change
	reason string
}

func (e *lostError) Error() string {
	return "database: the transaction was lost to a refused row: " + e.reason
}
