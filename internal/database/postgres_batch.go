package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/odac-run/odachost/abi"
)

// postgresBatch is the statements of a batch, sent together: one trip, and one more for the end where it has to wait until the answers were
// seen to be within the budget.
type postgresBatch struct {
	conn  *postgresConn
	ctx   context.Context
	stop  context.CancelFunc // of ctx
	runs  []postgresRun
	keys  [][]abi.Value
	write bool
	begin string // what begins it
	end   string // what ends it, "" where that comes later

	sent bool
	at   int // the statement that failed, -1 is none of them
}

// ends says whether a batch can be ended without a look at its answers: none of them can be over the budget when something was written.
func (b *postgresBatch) ends(statements []*statement) bool {
	if !b.write {
		return true
	}
	for _, st := range statements {
		if len(st.out) > 0 {
			return false
		}
	}
	return true
}

// together says whether the statements of a batch can all be prepared at once. SQL text goes by itself: what comes before it may change what it means.
func together(statements []*statement) bool {
	return len(statements) <= maxPrepared/2 && !slices.ContainsFunc(statements, func(st *statement) bool { return st.raw != nil })
}

// batch implements pipeliner: all or none, in a transaction of their own, or of level n in the one that is open.
func (c *postgresConn) batch(ctx context.Context, statements []*statement, queries []abi.Query, write bool, n int, budget Budget, dst []byte) ([]byte, error) {
	scope, free := merge(ctx)
	defer free()
	for attempt := 0; ; attempt++ {
		b := &postgresBatch{conn: c, write: write, at: -1}
		b.ctx, b.stop = context.WithCancel(scope)
		if n > 0 {
			b.begin = postgresSavepoint(savepointSet, n)
		} else if b.begin = "BEGIN"; !write {
			b.begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
		}
		if n > 0 && b.ends(statements) {
			b.end = postgresSavepoint(savepointRelease, n)
		} else if b.ends(statements) {
			b.end = "COMMIT"
		}
		out, err := b.do(statements, queries, budget, dst)
		if err == nil {
			err = b.finish(ctx, n)
		}
		b.stop()
		if err == nil {
			return out, nil
		}
		if n > 0 {
			b.undo(err, n)
		} else if again, failed := b.again(ctx, err, attempt); failed != nil {
			return dst, failed
		} else if again {
			continue
		}
		return dst, b.fail(ctx, err, statements)
	}
}

// postgresSavepoint is what an operation on the n-th savepoint says.
func postgresSavepoint(op savepointOp, n int) string { return fmt.Sprintf(postgresSavepoints[op], n) }

// do binds, prepares, sends and reads.
func (b *postgresBatch) do(statements []*statement, queries []abi.Query, budget Budget, dst []byte) ([]byte, error) {
	s := b.conn.state
	s.data, s.ends = s.data[:0], s.ends[:0]
	b.runs, b.keys = make([]postgresRun, len(statements)), make([][]abi.Value, len(statements))
	for i, st := range statements {
		b.at = i
		b.runs[i] = postgresRun{answer: newAnswer(st, budget, nil), conn: b.conn, ctx: b.ctx, q: &queries[i], base: len(s.ends)}
		if err := b.bind(i); err != nil {
			return dst, err
		}
	}
	for i := range b.runs {
		b.at = i
		r := &b.runs[i]
		if err := r.prepare(); err != nil {
			return dst, err
		}
		if err := r.prepareWide(len(b.keys[i])); err != nil {
			return dst, err
		}
	}
	b.at = -1
	b.sent = true
	p := b.conn.conn.StartPipeline(b.ctx)
	out, err := b.exchange(p, budget, dst)
	if err != nil {
		b.stop() // what the server still does of it, it need not
	}
	if done := p.Close(); err == nil {
		err = done
	}
	return out, err
}

func (b *postgresBatch) bind(i int) error {
	r := &b.runs[i]
	now := time.Now()
	if r.st.verb != abi.VerbInsert {
		return bindAll(r, r.st, r.q, &now)
	}
	for row := range r.q.Rows {
		key, err := bindRow(r, r.st, r.q, row, now)
		if err != nil {
			return err
		}
		b.keys[i] = append(b.keys[i], key)
	}
	return nil
}

// times is how often a statement is executed: an insert for each row.
func (b *postgresBatch) times(i int) int {
	if b.runs[i].st.verb == abi.VerbInsert {
		return len(b.keys[i])
	}
	return 1
}

// own is the statements of the program's own within the pipeline, which takes one at a time.
func own(p *pgconn.Pipeline, sql string) (n int) {
	for part := range strings.SplitSeq(sql, "; ") {
		p.SendQueryParams(part, nil, nil, nil, nil)
		n++
	}
	return n
}

func (b *postgresBatch) exchange(p *pgconn.Pipeline, budget Budget, dst []byte) ([]byte, error) {
	if !b.conn.tx {
		b.conn.tx = true // until it is known to be over
	}
	before, after := own(p, b.begin), 0
	for i := range b.runs {
		if err := b.runs[i].sendAll(p, b.times(i)); err != nil {
			return dst, err
		}
	}
	if b.end != "" {
		after = own(p, b.end)
	}
	if err := p.Sync(); err != nil {
		return dst, err
	}
	if err := skip(p, before); err != nil {
		return dst, err
	}
	out := openBatch(dst, len(b.runs))
	for i := range b.runs {
		b.at = i
		r := &b.runs[i]
		left := budget
		left.MaxBytes -= int64(len(out) - len(dst))
		r.answer = newAnswer(r.st, left, out)
		if err := r.answerTo(p, b.times(i), b.keys[i]); err != nil {
			return dst, err
		}
		out = r.Out
	}
	b.at = -1
	return out, skip(p, after)
}

// skip reads the answers to n statements of the program's own.
func skip(p *pgconn.Pipeline, n int) error {
	for range n {
		result, err := p.GetResults()
		if err != nil {
			return err
		}
		if rows, ok := result.(*pgconn.ResultReader); ok {
			if _, err := rows.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// answerTo reads the answers to one statement of a batch.
func (r *postgresRun) answerTo(p *pgconn.Pipeline, times int, keys []abi.Value) error {
	if r.st.verb == abi.VerbSelect {
		r.open(2)
	} else {
		r.openWrite()
	}
	if err := r.results(p, times, false, keys); err != nil {
		return err
	}
	if r.st.verb == abi.VerbSelect {
		r.Close()
	} else {
		r.closeWrite(r.affected, r.last)
	}
	return nil
}

// finish ends a batch whose answers are all there.
func (b *postgresBatch) finish(ctx context.Context, n int) error {
	switch {
	case b.end != "":
		b.conn.tx = n > 0
		return nil
	case n > 0:
		return b.conn.savepoint(ctx, savepointRelease, n)
	}
	return b.conn.commit(ctx)
}

// undo takes back a batch that failed within a transaction, or all of that where the server has done so already.
func (b *postgresBatch) undo(err error, n int) {
	if !b.sent {
		if b.conn.tx && b.at >= 0 && b.runs[b.at].sent {
			b.conn.undo(err) // a statement that could not be prepared
		}
		return
	}
	var answer *pgconn.PgError
	if isLost(err) || errors.As(err, &answer) && (answer.Code == serializationFailure || answer.Code == deadlockDetected) {
		b.conn.rollback()
		return
	}
	_ = b.conn.savepoint(context.Background(), savepointRollback, n) // rolls all back where it fails
}

// again says whether a batch with a transaction of its own, of which nothing has happened, is sent once more; failed is why that cannot be.
func (b *postgresBatch) again(ctx context.Context, err error, attempt int) (again bool, failed error) {
	c := b.conn
	again = attempt < maxAttempts && ended(ctx) == nil
	if isLost(err) {
		c.tx = false // went with the connection
		if again = again && (!b.write || !b.sent || pgconn.SafeToRetry(err)); again {
			failed = c.renew(ctx)
		}
		return again, failed
	}
	c.rollback()
	var answer *pgconn.PgError
	if again = again && errors.As(err, &answer) && answer.Code != serializationFailure && answer.Code != deadlockDetected && passes(err); again {
		for i := range b.runs { // plans may be of tables as they were
			if failed = c.forget(ctx, b.runs[i].st); failed != nil {
				return false, c.engine.fail(ctx, failed, "the batch", false)
			}
		}
	}
	return again, nil
}

// fail says which statement failed. That a connection was lost leaves open what became of a batch with its end.
func (b *postgresBatch) fail(ctx context.Context, err error, statements []*statement) error {
	unknown := b.write && b.sent && b.end == "COMMIT"
	if b.at < 0 {
		return b.conn.engine.fail(ctx, err, "the batch", unknown)
	}
	return ofBatch(b.at, b.conn.engine.fail(ctx, err, statements[b.at].table.Name, unknown))
}
