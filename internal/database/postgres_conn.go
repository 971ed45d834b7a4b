package database

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/odac-run/odachost/abi"
)

// postgresConn is a connection that its holder has to himself. In a transaction a savepoint is always open: every statement ends by setting
// it anew, so that one that fails, while it is prepared or while it runs, undoes itself and nothing else.
type postgresConn struct {
	engine *postgres
	pooled *pgxpool.Conn
	conn   *pgconn.PgConn
	state  *postgresState
	tx     bool
}

// stateKey is where a connection keeps its state, which lives as long as it does.
const stateKey = "odachost"

// postgresState is what we know of one connection of the pool.
type postgresState struct {
	canceler *canceler
	prepared map[*statement]*postgresStatement
	clock    uint64 // counts uses of prepared
	names    uint64 // counts names of statements

	// Memory that is used again: see postgresRun.bind.
	data    []byte
	ends    []int
	values  [][]byte
	scratch []byte
}

// postgresStatement is a statement, prepared on one connection.
type postgresStatement struct {
	*pgconn.StatementDescription
	used     uint64
	params   []int16 // their formats
	results  []int16 // formats of the columns
	decoders []decoder
}

const (
	setSavepoint = "SAVEPOINT odac"
	moveOn       = "RELEASE odac; SAVEPOINT odac"
	undo         = "ROLLBACK TO odac"
)

var isolations = [...]string{
	abi.IsolationDefault: "", abi.IsolationReadCommitted: " ISOLATION LEVEL READ COMMITTED", abi.IsolationRepeatableRead: " ISOLATION LEVEL REPEATABLE READ",
	abi.IsolationSerializable: " ISOLATION LEVEL SERIALIZABLE",
}

func (c *postgresConn) inTx() bool { return c.tx }

// exec runs statements of the program's own and returns the tag of the last.
func (c *postgresConn) exec(ctx context.Context, sql string) (pgconn.CommandTag, error) {
	results, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return pgconn.CommandTag{}, err
	}
	return results[len(results)-1].CommandTag, results[len(results)-1].Err
}

func (c *postgresConn) begin(ctx context.Context, o TxOptions) error {
	sql := "BEGIN" + isolations[o.Isolation]
	if o.ReadOnly {
		if o.Isolation == abi.IsolationDefault {
			sql += isolations[abi.IsolationRepeatableRead]
		}
		sql += " READ ONLY"
	}
	for attempt := 0; ; attempt++ {
		_, err := c.exec(ctx, sql+"; "+setSavepoint)
		if err == nil {
			c.tx = true
			return nil
		}
		if attempt == maxAttempts || !isLost(err) || ended(ctx) != nil {
			return c.engine.fail(ctx, err, "the transaction", false)
		}
		if err := c.renew(ctx); err != nil { // nothing has happened yet
			return err
		}
	}
}

// commit is not interrupted once it has begun: then it would not be known what it did.
func (c *postgresConn) commit(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	tag, err := c.exec(last, "COMMIT")
	if err != nil {
		return c.engine.fail(last, err, "the transaction", true)
	}
	c.tx = false
	if tag.String() != "COMMIT" {
		return failf(abi.ErrnoClosed, "the transaction was rolled back by an error: begin a new one")
	}
	return nil
}

// savepoints are the statements of each operation. The savepoint of statements, odac, is always the innermost.
var postgresSavepoints = [...]string{
	savepointSet:      "RELEASE odac; SAVEPOINT odac_%[1]d; SAVEPOINT odac",
	savepointRelease:  "RELEASE odac_%[1]d; SAVEPOINT odac",
	savepointRollback: "ROLLBACK TO odac_%[1]d; RELEASE odac_%[1]d; SAVEPOINT odac",
}

func (c *postgresConn) savepoint(ctx context.Context, op savepointOp, n int) error {
	if err := ended(ctx); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout) // once begun it is done
	defer cancel()
	_, err := c.exec(last, postgresSavepoint(op, n))
	if err != nil {
		c.rollback()
	}
	return c.engine.fail(last, err, "the transaction", false)
}

func (c *postgresConn) rollback() {
	if !c.tx {
		return
	}
	c.tx = false
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if _, err := c.exec(ctx, "ROLLBACK"); err != nil {
		c.drop() // which rolls back
	}
}

// undo takes back a statement that failed within the transaction, or the whole of it where that cannot be.
func (c *postgresConn) undo(cause error) {
	var answer *pgconn.PgError
	if errors.As(cause, &answer) && (answer.Code == serializationFailure || answer.Code == deadlockDetected) {
		c.rollback()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if _, err := c.exec(ctx, undo); err != nil {
		c.rollback()
	}
}

// drop closes the connection, whatever state it is in.
func (c *postgresConn) drop() {
	if !c.conn.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		_ = c.conn.Close(ctx) // it goes in any case
	}
	c.engine.replaced.Add(1)
}

// renew gives up a connection that was lost, with those that lie idle, which were lost with it, and takes a new one.
func (c *postgresConn) renew(ctx context.Context) error {
	c.drop()
	c.pooled.Release()
	c.pooled = nil
	c.engine.pool.Reset()
	return c.connect(ctx)
}

// release gives the connection back. An open transaction is undone.
func (c *postgresConn) release() {
	defer c.engine.slots.give()
	if c.pooled == nil {
		return
	}
	c.rollback()
	switch {
	case c.conn.IsClosed():
		c.engine.replaced.Add(1)
	case c.state.canceler.used:
		c.drop() // should the request still be on its way, it meets nobody
	}
	c.pooled.Release()
	c.pooled = nil
}

// prepare returns the statement, ready to be executed.
func (c *postgresConn) prepare(ctx context.Context, st *statement) (*postgresStatement, error) {
	s := c.state
	s.clock++
	if p, ok := s.prepared[st]; ok {
		p.used = s.clock
		return p, nil
	}
	if len(s.prepared) >= maxPrepared {
		var oldest *statement
		for key, p := range s.prepared {
			if oldest == nil || p.used < s.prepared[oldest].used {
				oldest = key
			}
		}
		if err := c.forget(ctx, oldest); err != nil {
			return nil, err
		}
	}
	p := &postgresStatement{used: s.clock}
	oids := make([]uint32, len(st.params))
	p.params = make([]int16, len(st.params))
	for i := range st.params {
		oids[i], p.params[i] = parameter(&st.params[i])
	}
	s.names++
	var err error
	if p.StatementDescription, err = c.conn.Prepare(ctx, "odac"+strconv.FormatUint(s.names, 10), st.sql, oids); err != nil {
		return nil, err
	}
	for i, field := range p.Fields {
		d := decoderOf(field.DataTypeOID)
		if i < len(st.out) && st.out[i].Type == TypeArray {
			d = decoder{kind: decodeArray, elem: st.out[i].Elem}
		}
		p.decoders = append(p.decoders, d)
		p.results = append(p.results, d.format())
	}
	if s.prepared == nil {
		s.prepared = map[*statement]*postgresStatement{}
	}
	s.prepared[st] = p
	return p, nil
}

// forget drops a prepared statement.
func (c *postgresConn) forget(ctx context.Context, st *statement) error {
	p, ok := c.state.prepared[st]
	if !ok {
		return nil
	}
	delete(c.state.prepared, st)
	return c.conn.Deallocate(ctx, p.Name)
}

// maxAttempts is how often a statement outside of a transaction is tried again after a fault that passes.
const maxAttempts = 3

// run executes one statement and appends the encoded abi.Result to dst.
func (c *postgresConn) run(ctx context.Context, st *statement, q *abi.Query, b Budget, dst []byte) ([]byte, error) {
	scope, free := merge(ctx)
	defer free()
	for attempt := 0; ; attempt++ {
		r := postgresRun{answer: newAnswer(st, b, dst), conn: c, ctx: scope, q: q}
		err := r.do()
		switch {
		case err == nil:
			return r.Out, nil
		case c.tx:
			if r.sent {
				c.undo(err)
			}
			return dst, c.engine.fail(ctx, err, st.table.Name, false)
		}
		again, lost := attempt < maxAttempts && ended(ctx) == nil && passes(err), isLost(err)
		if lost {
			again = attempt < maxAttempts && ended(ctx) == nil && (st.verb == abi.VerbSelect || !r.sent || pgconn.SafeToRetry(err))
		}
		if !again {
			return dst, c.engine.fail(ctx, err, st.table.Name, st.verb != abi.VerbSelect && r.sent)
		}
		if lost {
			if err := c.renew(ctx); err != nil {
				return dst, err
			}
			continue
		}
		if err := c.forget(scope, st); err != nil { // its plan may be of tables as they were
			return dst, c.engine.fail(ctx, err, st.table.Name, false)
		}
	}
}

// passes says whether the same statement may succeed when it is sent again: it lost against another, or its plan was out of date.
func passes(err error) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code {
	case serializationFailure, deadlockDetected, "26000":
		return true
	case "0A000":
		return answer.Routine == "RevalidateCachedQuery"
	}
	return false
}

// postgresRun is one execution.
type postgresRun struct {
	answer
	conn *postgresConn
	ctx  context.Context
	stmt *postgresStatement
	wide *postgresStatement // for rowsAtOnce rows; nil is none
	q    *abi.Query
	base int      // where in the connection's memory its arguments begin
	sent bool     // something that the server would have to undo
	each *[]int64 // gets the rows that each execution reached

	affected int64
	last     abi.Value // the key of the last row inserted
}

func (r *postgresRun) do() (err error) {
	s := r.conn.state
	s.data, s.ends = s.data[:0], s.ends[:0]
	if cap(s.data) > 1<<20 {
		s.data = nil // one large statement does not keep memory for ever
	}
	if r.st.verb != abi.VerbInsert {
		var now time.Time
		if err := bindAll(r, r.st, r.q, &now); err != nil {
			return err
		}
	}
	if r.st.verb == abi.VerbSelect {
		return r.selects()
	}
	return r.write()
}

func (r *postgresRun) prepare() (err error) {
	if r.conn.tx {
		r.sent = true // a statement that cannot be prepared breaks the transaction too
	}
	r.stmt, err = r.conn.prepare(r.ctx, r.st)
	return err
}

// prepareWide prepares the statement for many rows, if that many are to come.
func (r *postgresRun) prepareWide(rows int) (err error) {
	if rows < rowsAtOnce {
		return nil
	}
	if st := r.st.wide(postgresDialect{}, r.q); st != nil {
		r.wide, err = r.conn.prepare(r.ctx, st)
	}
	return err
}

func (r *postgresRun) selects() error {
	if err := r.prepare(); err != nil {
		return err
	}
	r.sent = true
	r.open(2)
	if r.conn.tx {
		if err := r.pipeline(1, false); err != nil {
			return err
		}
	} else if err := r.read(r.conn.conn.ExecStatement(r.ctx, r.stmt.StatementDescription, r.arguments(0, 1), r.stmt.params, r.stmt.results), abi.Null()); err != nil {
		return err
	}
	r.Close()
	return nil
}

// write runs what changes rows and writes its answer. What answers with rows may be over its budget when it has already written, so it
// runs in a transaction.
func (r *postgresRun) write() error {
	times := 1
	var keys []abi.Value
	if r.st.verb == abi.VerbInsert {
		times = len(r.q.Rows)
		now := time.Now()
		for i := range r.q.Rows {
			key, err := bindRow(r, r.st, r.q, i, now)
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
	}
	r.openWrite()
	if times > 0 {
		if err := r.prepare(); err != nil {
			return err
		}
		if err := r.prepareWide(times); err != nil {
			return err
		}
		r.sent = true
		if err := r.send(times, keys); err != nil {
			return err
		}
	}
	r.closeWrite(r.affected, r.last)
	return nil
}

func (r *postgresRun) send(times int, keys []abi.Value) error {
	if times == 1 && len(r.st.out) == 0 && !r.conn.tx {
		key := abi.Null()
		if len(keys) > 0 {
			key = keys[0]
		}
		return r.read(r.conn.conn.ExecStatement(r.ctx, r.stmt.StatementDescription, r.arguments(0, 1), r.stmt.params, r.stmt.results), key)
	}
	own := len(r.st.out) > 0 && !r.conn.tx // a transaction of the statement's own
	err := r.pipeline(times, own, keys...)
	if !own {
		return err
	}
	if err == nil {
		_, err = r.conn.exec(r.ctx, "COMMIT")
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if _, undo := r.conn.exec(ctx, "ROLLBACK"); undo != nil {
		r.conn.drop()
	}
	return err
}

// pipeline sends the statement as often as it has arguments, and reads the answers: one trip, all or nothing. Within a transaction the
// savepoint moves on, at once or, where rows may be over the budget, after they were read.
func (r *postgresRun) pipeline(times int, own bool, keys ...abi.Value) error {
	later := len(r.st.out) > 0 && r.st.verb != abi.VerbSelect
	p := r.conn.conn.StartPipeline(r.ctx)
	if own {
		p.SendQueryParams("BEGIN", nil, nil, nil, nil)
	}
	if err := r.sendAll(p, times); err != nil {
		return errors.Join(err, p.Close())
	}
	if r.conn.tx && !later {
		p.SendQueryParams("RELEASE odac", nil, nil, nil, nil)
		p.SendQueryParams(setSavepoint, nil, nil, nil, nil)
	}
	if err := p.Sync(); err != nil {
		return errors.Join(err, p.Close())
	}
	err := r.results(p, times, own, keys)
	if done := p.Close(); err == nil {
		err = done
	}
	if err == nil && r.conn.tx && later {
		_, err = r.conn.exec(r.ctx, moveOn)
	}
	return err
}

// sendAll sends the statement as often as it has arguments.
func (r *postgresRun) sendAll(p *pgconn.Pipeline, times int) error {
	for i := 0; i < times; {
		st, n := r.stmt, 1
		if r.wide != nil && times-i >= rowsAtOnce {
			st, n = r.wide, rowsAtOnce
		}
		p.SendQueryStatement(st.StatementDescription, r.arguments(i, n), st.params, st.results)
		if i += n; i%256 == 0 {
			if err := p.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *postgresRun) results(p *pgconn.Pipeline, times int, own bool, keys []abi.Value) error {
	if own {
		if _, err := p.GetResults(); err != nil {
			return err
		}
	}
	for i := 0; i < times; i++ {
		if r.wide != nil && times-i >= rowsAtOnce {
			i += rowsAtOnce - 1 // the key that counts is the last row's
		}
		result, err := p.GetResults()
		if err != nil {
			return err
		}
		rows, ok := result.(*pgconn.ResultReader)
		if !ok {
			return errors.New("the server's answers are out of step") // a defect of the driver: the connection is dropped
		}
		key := abi.Null()
		if i < len(keys) {
			key = keys[i]
		}
		if err := r.read(rows, key); err != nil {
			return err
		}
	}
	return nil
}

// maxDrained is how many rows over a budget are read and thrown away before the connection is given up instead; of large rows, every drainedBytes
// count as one.
const (
	maxDrained   = 4096
	drainedBytes = 1 << 10
)

// read reads the answer to one execution. key is the key of the row that it inserts, null if the database makes it.
func (r *postgresRun) read(rows *pgconn.ResultReader, key abi.Value) error {
	var over error
	for drained := 0; rows.NextRow(); {
		if over == nil {
			over = r.line(rows.Values(), key)
			continue
		}
		drained++
		for _, v := range rows.Values() {
			drained += len(v) / drainedBytes
		}
		if drained > maxDrained {
			_ = r.conn.conn.Conn().Close() // the next read says so
		}
	}
	tag, err := rows.Close()
	switch {
	case over != nil:
		return over
	case err != nil:
		return err
	}
	r.affected += tag.RowsAffected()
	if r.each != nil {
		*r.each = append(*r.each, tag.RowsAffected())
	}
	if r.st.verb == abi.VerbInsert && !r.st.hiddenKey && !r.st.hiddenNew && r.st.key != nil && tag.RowsAffected() > 0 {
		r.last = key
	}
	return nil
}

// line appends a row, and finds in it the key of what was inserted.
func (r *postgresRun) line(values [][]byte, key abi.Value) error {
	shown := len(r.st.out)
	if len(values) != len(r.stmt.decoders) || len(values) < shown {
		return errors.New("the server's rows have other columns than its description")
	}
	hidden := values[shown:]
	if r.st.hiddenKey {
		key = r.stmt.decoders[shown].value(hidden[0], r.conn.state)
		hidden = hidden[1:]
	}
	if (r.st.hiddenKey || r.st.hiddenNew) && (!r.st.hiddenNew || len(hidden) > 0 && len(hidden[0]) == 1 && hidden[0][0] == 1) {
		r.last = key
	}
	if shown == 0 {
		return nil
	}
	if err := r.row(); err != nil {
		return err
	}
	for i, v := range values[:shown] {
		r.stmt.decoders[i].write(&r.RowWriter, v, r.conn.state)
	}
	return r.end()
}
