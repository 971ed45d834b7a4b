package database

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// flush is one try of a batch.
type flush struct {
	target   *sqliteTarget
	ctx      context.Context
	batch    *buffer.Batch
	refused  map[*buffer.Change]string // found in earlier tries
	careful  bool                      // every row alone, deferred foreign keys checked after it
	reloaded bool                      // the catalog, before something unknown is held against a row

	conn   *sqliteConn
	result buffer.Result
	q      changeQuery // of the change at hand
	out    []byte
}

func (f *flush) run(c *sqliteConn) error {
	f.conn = c
	b := f.batch
	if err := c.execArgs(moveLedger, int64(b.To), b.Node, b.Lane.String(), int64(b.From)); err != nil {
		return err
	}
	if c.db.Changes() != 1 {
		return fmt.Errorf("%w: the ledger of %s %s is not at %d", buffer.ErrFenced, b.Node, b.Lane, b.From)
	}
	for _, phase := range [...]struct {
		kind    buffer.Kind
		changes []buffer.Change
		make    func(*buffer.Change) error
	}{{buffer.KindInsert, b.Inserts, f.insert}, {buffer.KindSet, b.Updates, f.update}, {buffer.KindDelete, b.Deletes, f.delete}} {
		for i := range phase.changes {
			if err := f.change(phase.kind, &phase.changes[i], phase.make); err != nil {
				return err
			}
		}
	}
	return nil
}

// change makes one change or sets it aside.
func (f *flush) change(kind buffer.Kind, c *buffer.Change, apply func(*buffer.Change) error) error {
	reason, refused := f.refused[c]
	if !refused {
		err := f.alone(func() error { return apply(c) })
		switch {
		case err == nil:
			return nil
		case !poison(err):
			return err // passes by itself
		case !f.conn.inTx():
			return &lostError{c, err.Error()}
		}
		if reason = err.Error(); errnoIs(err, abi.ErrnoNotFound) {
			reason = noSuchRow
		}
	}
	document, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f.result.Dead = append(f.result.Dead, buffer.Dead{Kind: kind, Key: c.Key, First: c.First, Last: c.Last, Reason: reason})
	return f.conn.execArgs(insertDead, f.batch.Node, f.batch.Lane.String(), int64(c.First), int64(c.Last), kind.String(), string(document), reason)
}

// alone runs a change so that it is whole or not at all. A single statement is that anyway.
func (f *flush) alone(apply func() error) error {
	if !f.careful {
		return apply()
	}
	return f.conn.atomically(f.ctx, func() error {
		if err := apply(); err != nil {
			return err
		}
		open, _, err := f.conn.db.Status(sqlite3.DBSTATUS_DEFERRED_FKS, false)
		if err == nil && open != 0 {
			return failf(abi.ErrnoConflict, "foreign key: a row of %s points to one that is not there", f.batch.Lane.Table)
		}
		return err
	})
}

func (f *flush) insert(c *buffer.Change) error {
	f.q.insert(c)
	_, err := f.exec()
	return err
}

func (f *flush) update(c *buffer.Change) error {
	f.q.update(c)
	n, err := f.exec()
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

func (f *flush) delete(c *buffer.Change) error {
	f.q.delete(c)
	_, err := f.exec()
	return err
}

// exec runs the query and says how many rows it reached.
func (f *flush) exec() (int64, error) {
	st, err := f.compile()
	if err != nil {
		return 0, err
	}
	if err := exact(st); err != nil {
		return 0, err
	}
	f.conn.trusted = false // the row is a plugin's
	defer func() { f.conn.trusted = true }()
	r := run{answer: newAnswer(st, Budget{}, f.out[:0]), conn: f.conn, ctx: f.ctx, q: &f.q.Query}
	err = r.do()
	f.out = r.Out
	return r.affected, err
}

// compile reads the catalog again before it holds something unknown against the row.
func (f *flush) compile() (*statement, error) {
	return f.target.db.compileFresh(f.ctx, &f.q.Query, &f.reloaded)
}
