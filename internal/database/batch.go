package database

import (
	"context"
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// pipeliner is a session that sends the statements of a batch together.
type pipeliner interface {
	// batch runs statements all or none and appends their results: in a transaction of their own if level is 0, else in a savepoint of that
	// level. write says whether one of them changes or locks rows.
	batch(ctx context.Context, statements []*statement, queries []abi.Query, write bool, level int, b Budget, dst []byte) ([]byte, error)
}

// Batch runs several statements in a transaction of their own, all or none, and appends an encoded [abi.BatchResult]: one result for each.
// The rows of each are within the budget, the bytes of all. An error says which statement it is of.
func (db *DB) Batch(ctx context.Context, queries []abi.Query, budget Budget, dst []byte) ([]byte, error) {
	what, err := db.describeAll(ctx, queries)
	if err != nil {
		return dst, err
	}
	return db.RunBatch(ctx, what, queries, budget, dst)
}

// RunBatch is Batch of what [DB.Describe] described without an error, one by one.
func (db *DB) RunBatch(ctx context.Context, what []Description, queries []abi.Query, budget Budget, dst []byte) ([]byte, error) {
	statements, write, err := db.all(what)
	if err != nil {
		return dst, err
	}
	s, err := db.engine.acquire(ctx, write)
	if err != nil {
		return dst, err
	}
	defer s.release()
	var out []byte
	if p, ok := s.(pipeliner); ok && together(statements) {
		out, err = p.batch(ctx, statements, queries, write, 0, budget.withDefaults(), dst)
	} else if err = s.begin(ctx, TxOptions{ReadOnly: !write}); err == nil {
		if out, err = runAll(ctx, s, statements, queries, budget, dst); err == nil {
			err = s.commit(ctx)
		}
	}
	if err != nil {
		db.errors.Add(1)
		s.rollback()
		return dst, err
	}
	return out, nil
}

// Batch is like [DB.Batch], within the transaction, which goes on after an error as after that of one statement.
func (tx *Tx) Batch(ctx context.Context, queries []abi.Query, budget Budget, dst []byte) ([]byte, error) {
	what, err := tx.db.describeAll(ctx, queries)
	if err != nil {
		return dst, err
	}
	return tx.RunBatch(ctx, what, queries, budget, dst)
}

// RunBatch is Batch of what [DB.Describe] described without an error, one by one.
func (tx *Tx) RunBatch(ctx context.Context, what []Description, queries []abi.Query, budget Budget, dst []byte) ([]byte, error) {
	statements, write, err := tx.db.all(what)
	if err != nil {
		return dst, err
	}
	if err := tx.enter(ctx, statements...); err != nil {
		return dst, err
	}
	root := tx.root
	defer root.give()
	ctx = either{ctx, root.scope}
	n := len(root.open) + 1
	if p, ok := root.session.(pipeliner); ok && together(statements) {
		out, err := p.batch(ctx, statements, queries, write, n, budget.withDefaults(), dst)
		if err != nil {
			return dst, root.lost(err)
		}
		return out, nil
	}
	if err := root.session.savepoint(ctx, savepointSet, n); err != nil {
		return dst, root.lost(err)
	}
	out, err := runAll(ctx, root.session, statements, queries, budget, dst)
	end := savepointRelease
	if err != nil {
		end, out, ctx = savepointRollback, dst, context.WithoutCancel(ctx) // what was done is undone however the call ended
	}
	if root.session.inTx() {
		err = errors.Join(err, root.session.savepoint(ctx, end, n))
	}
	if err != nil {
		return dst, root.lost(err)
	}
	return out, nil
}

func (db *DB) describeAll(ctx context.Context, queries []abi.Query) (list []Description, err error) {
	for i := range queries {
		what, err := db.Describe(ctx, &queries[i])
		if err != nil {
			return nil, ofBatch(i, err)
		}
		list = append(list, what)
	}
	return list, nil
}

// all are the statements of a batch, and whether one of them writes.
func (db *DB) all(what []Description) (list []*statement, write bool, err error) {
	if len(what) == 0 {
		return nil, false, invalidf("a batch of no statement")
	}
	db.queries.Add(uint64(len(what)))
	list = make([]*statement, len(what))
	for i := range what {
		list[i], write = what[i].statement, write || what[i].Write
	}
	return list, write, nil
}

func runAll(ctx context.Context, s session, statements []*statement, queries []abi.Query, budget Budget, dst []byte) ([]byte, error) {
	budget = budget.withDefaults()
	out := openBatch(dst, len(statements))
	for i, st := range statements {
		left := budget
		left.MaxBytes -= int64(len(out) - len(dst))
		var err error
		if out, err = s.run(ctx, st, &queries[i], left, out); err != nil {
			return dst, ofBatch(i, err)
		}
	}
	return out, nil
}

// openBatch begins the message of n results.
func openBatch(dst []byte, n int) []byte {
	return msgp.AppendArrayHeader(append(dst, 0x81, 0xa1, 'r'), uint32(n))
}

func ofBatch(i int, err error) error {
	var e *abi.Error
	if !errors.As(err, &e) {
		return err
	}
	return abi.NewError(e.Errno, fmt.Sprintf("query %d of the batch: %s", i, e.Text))
}
