package database

import (
	"context"
	"slices"

	"github.com/odac-run/odachost/abi"
)

// TxOptions say what kind of transaction begins.
type TxOptions struct {
	ReadOnly bool
	// Isolation is the least that is asked for. SQLite's transactions are always serializable, those that read see one moment.
	Isolation abi.Isolation
}

// Tx is a transaction, or a savepoint of one. Its statements run in turn; one that is given a context of its own also ends with the
// transaction's.
type Tx struct {
	db   *DB
	root *Tx // the transaction; itself if it is no savepoint

	// The rest is the transaction's.
	readOnly bool
	scope    either
	unhook   [2]func() bool

	turn    chan struct{} // holds a token while somebody uses what is below
	session session       // nil when the transaction is over
	over    *abi.Error    // why
	open    []*Tx         // savepoints, the innermost last
	cursors []*Cursor
}

// either is done when one of two contexts is. SQLite asks for Err only; merge makes a context of it for who waits for Done.
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

// merge is a context that is done when ctx is, both halves of it if it is an either. Call the function when it is not needed any more.
func merge(ctx context.Context) (context.Context, context.CancelFunc) {
	e, ok := ctx.(either)
	if !ok {
		return ctx, func() {}
	}
	first, free := merge(e.Context)
	second, release := merge(e.other)
	merged, cancel := context.WithCancel(first)
	stop := context.AfterFunc(second, cancel)
	return merged, func() {
		stop()
		cancel()
		free()
		release()
	}
}

// Begin starts a transaction. One that writes holds the writer until it ends. When ctx ends, or the DB is closed, it is rolled back.
func (db *DB) Begin(ctx context.Context, o TxOptions) (*Tx, error) {
	if o.Isolation > abi.IsolationSerializable {
		return nil, invalidf("isolation level %d is unknown", o.Isolation)
	}
	s, err := db.engine.acquire(ctx, !o.ReadOnly)
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx, o); err != nil {
		s.release()
		return nil, err
	}
	tx := &Tx{db: db, readOnly: o.ReadOnly, scope: either{ctx, db.ctx}, turn: make(chan struct{}, 1), session: s}
	tx.root = tx
	tx.turn <- struct{}{} // the hooks below may run at once: they wait until both are kept
	tx.unhook = [2]func() bool{context.AfterFunc(ctx, tx.abandon), context.AfterFunc(db.ctx, tx.abandon)}
	<-tx.turn
	return tx, nil
}

// Query is like [DB.Query], within the transaction. In a read-only one a write is [abi.ErrnoInvalid].
func (tx *Tx) Query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	st, err := tx.db.statement(ctx, q)
	if err != nil {
		return dst, tx.db.counted(err)
	}
	return tx.Run(ctx, Description{statement: st}, q, budget, dst)
}

// Run is Query of what [DB.Describe] described without an error.
func (tx *Tx) Run(ctx context.Context, what Description, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	out, err := tx.run(ctx, what.statement, q, budget, dst)
	return out, tx.db.counted(err)
}

func (tx *Tx) run(ctx context.Context, st *statement, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	if err := tx.enter(ctx, st); err != nil {
		return dst, err
	}
	defer tx.root.give()
	out, err := tx.root.session.run(either{ctx, tx.root.scope}, st, q, budget.withDefaults(), dst)
	if err != nil {
		return out, tx.root.lost(err)
	}
	return out, nil
}

// enter waits for the turn to run statements, and refuses what the transaction cannot run.
func (tx *Tx) enter(ctx context.Context, statements ...*statement) error {
	for _, st := range statements {
		if tx.root.readOnly && (st.verb != abi.VerbSelect || st.lock) {
			return invalidf("the transaction is read-only: begin one that writes for a %s of %s", st.verb, st.table.Name)
		}
	}
	if err := tx.root.take(ctx); err != nil {
		return err
	}
	if err := tx.innermost(); err != nil {
		tx.root.give()
		return err
	}
	return nil
}

// innermost refuses to go on while a savepoint within is open. The caller has the turn.
func (tx *Tx) innermost() error {
	open := tx.root.open
	switch {
	case tx != tx.root && !slices.Contains(open, tx):
		return errTxClosed
	case len(open) > 0 && open[len(open)-1] != tx:
		return invalidf("a savepoint of the transaction is open: go on with it, or end it first")
	}
	return nil
}

// lost ends a transaction that the database has ended after an error. The caller has the turn.
func (tx *Tx) lost(err error) error {
	if tx.session != nil && !tx.session.inTx() {
		tx.finish(errTxLost)
	}
	return err
}

// maxSavepoints is how deep savepoints nest.
const maxSavepoints = 32

// Begin sets a savepoint: a transaction within this one. Until it ends this one runs no statement. Its Rollback undoes what came after, its Commit
// leaves that to this one.
func (tx *Tx) Begin(ctx context.Context) (*Tx, error) {
	if err := tx.enter(ctx); err != nil {
		return nil, err
	}
	root := tx.root
	defer root.give()
	if len(root.open) >= maxSavepoints {
		return nil, failf(abi.ErrnoLimit, "transactions are nested deeper than %d", maxSavepoints)
	}
	if err := root.session.savepoint(either{ctx, root.scope}, savepointSet, len(root.open)+1); err != nil {
		return nil, root.lost(err)
	}
	inner := &Tx{db: tx.db, root: root}
	root.open = append(root.open, inner)
	return inner, nil
}

// Commit makes the transaction durable. After an error nothing of it is in the database, unless the text says that it is not known. Savepoints
// that are open are committed with it.
func (tx *Tx) Commit(ctx context.Context) error {
	root := tx.root
	if err := root.take(ctx); err != nil {
		return err
	}
	defer root.give()
	if tx != root {
		return tx.endSavepoint(savepointRelease)
	}
	root.closeCursors(0)
	err := tx.session.commit(either{ctx, tx.scope})
	if err != nil {
		tx.session.rollback()
	}
	tx.finish(errTxClosed)
	return err
}

// Rollback undoes the transaction and frees its connection. After Commit or Rollback it does nothing. It returns nil, or for a
// savepoint what went wrong.
func (tx *Tx) Rollback() error {
	if tx == tx.root {
		tx.end(errTxClosed)
		return nil
	}
	root := tx.root
	root.turn <- struct{}{}
	defer root.give()
	if root.session == nil || !slices.Contains(root.open, tx) {
		return nil
	}
	return tx.endSavepoint(savepointRollback)
}

// endSavepoint ends the savepoint and those within. The caller has the turn.
func (tx *Tx) endSavepoint(op savepointOp) error {
	root := tx.root
	i := slices.Index(root.open, tx)
	if i < 0 {
		return errTxClosed
	}
	if op == savepointRollback {
		root.closeCursors(i + 1) // they may stand on rows that go
	}
	root.open = root.open[:i]
	err := root.session.savepoint(context.Background(), op, i+1)
	if err != nil {
		return root.lost(err)
	}
	return nil
}

func (tx *Tx) abandon() { tx.end(errTxLost) }

func (tx *Tx) end(why *abi.Error) {
	tx.turn <- struct{}{}
	defer tx.give()
	if tx.session != nil {
		tx.closeCursors(0)
		tx.session.rollback()
		tx.finish(why)
	}
}

// closeCursors closes the cursors of the transaction that were opened at that level of savepoints or deeper. The caller has the turn.
func (tx *Tx) closeCursors(level int) {
	tx.cursors = slices.DeleteFunc(tx.cursors, func(c *Cursor) bool {
		if c.level >= level {
			c.closeLocked()
		}
		return c.rows == nil
	})
}

// take waits for the turn of a transaction that is still open.
func (tx *Tx) take(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	select {
	case tx.turn <- struct{}{}:
	default: // to be told when a context ends may take a timer, which is made only for who waits
		select {
		case tx.turn <- struct{}{}:
		case <-ctx.Done():
			return ended(ctx)
		}
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
	tx.closeCursors(0)
	tx.session.release()
	tx.session, tx.over, tx.open = nil, why, nil
}
