package database

import (
	"context"

	"github.com/odac-run/odachost/abi"
)

// Tx is a transaction. Its statements run in turn; one that is given a context of its own also ends with the transaction's.
type Tx struct {
	db       *DB
	readOnly bool
	scope    either
	unhook   [2]func() bool

	turn    chan struct{} // holds a token while somebody uses what is below
	session session       // nil when the transaction is over
	over    *abi.Error    // why
}

// either is done when one of two contexts is. SQLite asks for Err only.
type either struct {
	context.Context
	other context.Context
}

func (e either) Err() error {
	if err := e.Context.Err(); err != nil {
		return err
	}
	return e.other.Err()
}

// Begin starts a transaction. One that writes holds the writer until it ends. When ctx ends, or the DB is closed, it is rolled back.
func (db *DB) Begin(ctx context.Context, readOnly bool) (*Tx, error) {
	s, err := db.engine.acquire(ctx, !readOnly)
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		s.release()
		return nil, err
	}
	tx := &Tx{db: db, readOnly: readOnly, scope: either{ctx, db.ctx}, turn: make(chan struct{}, 1), session: s}
	tx.turn <- struct{}{} // the hooks below may run at once: they wait until both are kept
	tx.unhook = [2]func() bool{context.AfterFunc(ctx, tx.abandon), context.AfterFunc(db.ctx, tx.abandon)}
	<-tx.turn
	return tx, nil
}

// Query is like [DB.Query], within the transaction. In a read-only one a write is [abi.ErrnoInvalid].
func (tx *Tx) Query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	tx.db.queries.Add(1)
	out, err := tx.query(ctx, q, budget, dst)
	if err != nil {
		tx.db.errors.Add(1)
	}
	return out, err
}

func (tx *Tx) query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	st, err := tx.db.Catalog().compile(tx.db.engine.dialect(), q)
	switch {
	case err != nil:
		return dst, err
	case tx.readOnly && st.verb != abi.VerbSelect:
		return dst, invalidf("the transaction is read-only: begin one that writes for %s of %s", st.verb, st.table.Name)
	}
	if err := tx.take(ctx); err != nil {
		return dst, err
	}
	defer tx.give()
	out, err := tx.session.run(either{ctx, tx.scope}, st, q, budget.withDefaults(), dst)
	if err != nil && !tx.session.inTx() {
		tx.finish(errTxLost)
	}
	return out, err
}

// Commit makes the transaction durable. After an error nothing of it is in the database, unless the text says that it is not known.
func (tx *Tx) Commit(ctx context.Context) error {
	if err := tx.take(ctx); err != nil {
		return err
	}
	defer tx.give()
	err := tx.session.commit(either{ctx, tx.scope})
	if err != nil {
		tx.session.rollback()
	}
	tx.finish(errTxClosed)
	return err
}

// Rollback undoes the transaction and frees its connection. After Commit or Rollback it does nothing. It returns nil.
func (tx *Tx) Rollback() error {
	tx.end(errTxClosed)
	return nil
}

func (tx *Tx) abandon() { tx.end(errTxLost) }

func (tx *Tx) end(why *abi.Error) {
	tx.turn <- struct{}{}
	defer tx.give()
	if tx.session != nil {
		tx.session.rollback()
		tx.finish(why)
	}
}

// take waits for the turn of a transaction that is still open.
func (tx *Tx) take(ctx context.Context) error {
	select {
	case tx.turn <- struct{}{}:
	case <-ctx.Done():
		return ended(ctx)
	}
	if tx.session == nil {
		tx.give()
		return tx.over
	}
	return nil
}

func (tx *Tx) give() { <-tx.turn }

// finish gives the connection back. The caller has the turn.
func (tx *Tx) finish(why *abi.Error) {
	for _, unhook := range tx.unhook {
		unhook()
	}
	tx.session.release()
	tx.session, tx.over = nil, why
}
