package database

import (
	"context"
	"sync"

	"github.com/odac-run/odachost/abi"
)

// Cursor is a select whose answer is fetched in pages, each within a budget. Outside of a transaction it has a connection to itself until it is
// closed, and sees one moment. Its methods may be called by any goroutine, in turn.
type Cursor struct {
	db *DB
	tx *Tx // nil outside of a transaction
	// level is how many savepoints were open when it was.
	level int

	mu      sync.Mutex // guards what follows; of a transaction's, the transaction's turn does
	session session
	rows    rows // nil when closed
}

// Cursor begins a select. Half of the connections that read can be held by cursors; when they are, it is [abi.ErrnoBusy]. Close it.
func (db *DB) Cursor(ctx context.Context, q *abi.Query) (*Cursor, error) {
	st, err := db.selected(ctx, q)
	if err != nil {
		return nil, err
	}
	if st.lock {
		return nil, invalidf("a lock lasts as long as its transaction: begin one for the select from %s", st.table.Name)
	}
	select {
	case db.cursors <- struct{}{}:
	default:
		return nil, failf(abi.ErrnoBusy, "all %d cursors of the database are open: close one, or read by keyset", cap(db.cursors))
	}
	s, err := db.engine.acquire(ctx, false)
	if err != nil {
		<-db.cursors
		return nil, err
	}
	r, err := s.stream(ctx, st, q)
	if err != nil {
		s.release()
		<-db.cursors
		return nil, err
	}
	return &Cursor{db: db, session: s, rows: r}, nil
}

func (db *DB) selected(ctx context.Context, q *abi.Query) (*statement, error) {
	db.queries.Add(1)
	st, err := db.statement(ctx, q)
	if err != nil {
		return nil, err
	}
	if st.verb != abi.VerbSelect {
		return nil, invalidf("a cursor is of a select")
	}
	return st, nil
}

// Cursor begins a select in the transaction. It ends with it.
func (tx *Tx) Cursor(ctx context.Context, q *abi.Query) (*Cursor, error) {
	st, err := tx.db.selected(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := tx.enter(ctx, st); err != nil {
		return nil, err
	}
	defer tx.root.give()
	r, err := tx.root.session.stream(either{ctx, tx.root.scope}, st, q)
	if err != nil {
		return nil, tx.root.lost(err)
	}
	c := &Cursor{db: tx.db, tx: tx.root, level: len(tx.root.open), rows: r}
	tx.root.cursors = append(tx.root.cursors, c)
	return c, nil
}

// Next appends an encoded [abi.Page]. With done, or an error, the cursor is closed.
func (c *Cursor) Next(ctx context.Context, budget Budget, dst []byte) (out []byte, done bool, err error) {
	budget = budget.withDefaults()
	if c.tx != nil {
		if err := c.tx.take(ctx); err != nil {
			return dst, false, err
		}
		defer c.tx.give()
		ctx = either{ctx, c.tx.scope}
	} else {
		c.mu.Lock()
		defer c.mu.Unlock()
		ctx = either{ctx, c.db.ctx}
	}
	if c.rows == nil {
		return dst, false, errCursorClosed
	}
	out, done, err = c.rows.next(ctx, budget, dst)
	if done || err != nil {
		c.closeLocked()
	}
	if err != nil && c.tx != nil {
		err = c.tx.lost(err)
	}
	return out, done, err
}

// Close ends the cursor. A second Close does nothing.
func (c *Cursor) Close() {
	if c.tx != nil {
		c.tx.turn <- struct{}{}
		defer c.tx.give()
	} else {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	c.closeLocked()
}

func (c *Cursor) closeLocked() {
	if c.rows == nil {
		return
	}
	c.rows.close()
	c.rows = nil
	if c.session != nil {
		c.session.release()
		c.session = nil
		<-c.db.cursors
	}
}
