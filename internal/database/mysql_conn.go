package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/puddle/v2"

	"github.com/odac-run/odachost/abi"
)

// mysqlConn is a connection that its holder has to himself.
type mysqlConn struct {
	engine   *mysqlEngine
	resource *puddle.Resource[*mysqlLink]
	link     *mysqlLink
	tx       bool
}

func (c *mysqlConn) inTx() bool { return c.tx }

// do runs statements of the program's own, until ctx ends.
func (c *mysqlConn) do(ctx context.Context, statements ...string) error {
	scope, free := merge(ctx)
	defer free()
	over := c.engine.watch(scope, c.link)
	defer over()
	for _, sql := range statements {
		if err := c.link.exec(sql); err != nil {
			return err
		}
	}
	return nil
}

var mysqlIsolations = [...]string{abi.IsolationReadCommitted: "READ COMMITTED", abi.IsolationRepeatableRead: "REPEATABLE READ", abi.IsolationSerializable: "SERIALIZABLE"}

func (c *mysqlConn) begin(ctx context.Context, o TxOptions) error {
	start := "START TRANSACTION"
	if o.ReadOnly {
		if o.Isolation == abi.IsolationDefault {
			o.Isolation = abi.IsolationRepeatableRead
		}
		start += " READ ONLY"
		if o.Isolation == abi.IsolationRepeatableRead {
			start = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
		}
	}
	var statements []string
	if o.Isolation != abi.IsolationDefault {
		statements = append(statements, "SET TRANSACTION ISOLATION LEVEL "+mysqlIsolations[o.Isolation])
	}
	statements = append(statements, start)
	for attempt := 0; ; attempt++ {
		err := c.do(ctx, statements...)
		if err == nil {
			c.tx = true
			return nil
		}
		if attempt == maxAttempts || !mysqlLost(err) || ended(ctx) != nil {
			c.link.broken = true
			return c.engine.fail(ctx, err, "the transaction", false)
		}
		if err := c.renew(ctx); err != nil { // nothing has happened yet
			return err
		}
	}
}

// commit is not interrupted once it has begun: then it would not be known what it did.
func (c *mysqlConn) commit(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := c.do(last, "COMMIT"); err != nil {
		return c.engine.fail(last, err, "the transaction", true)
	}
	c.tx = false
	return nil
}

// mysqlSavepoints are the statements of each operation.
var mysqlSavepoints = [...][]string{
	savepointSet:      {"SAVEPOINT odac_%d"},
	savepointRelease:  {"RELEASE SAVEPOINT odac_%d"},
	savepointRollback: {"ROLLBACK TO SAVEPOINT odac_%d", "RELEASE SAVEPOINT odac_%d"},
}

func (c *mysqlConn) savepoint(ctx context.Context, op savepointOp, n int) error {
	if err := ended(ctx); err != nil {
		return err
	}
	var statements []string
	for _, sql := range mysqlSavepoints[op] {
		statements = append(statements, fmt.Sprintf(sql, n))
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout) // once begun it is done
	defer cancel()
	err := c.do(last, statements...)
	if err != nil {
		c.rollback()
	}
	return c.engine.fail(last, err, "the transaction", false)
}

func (c *mysqlConn) rollback() {
	if !c.tx {
		return
	}
	c.tx = false
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if err := c.do(ctx, "ROLLBACK"); err != nil {
		c.link.broken = true // closing it rolls back
	}
}

// renew gives up a connection that was lost and takes a new one.
func (c *mysqlConn) renew(ctx context.Context) error {
	c.drop()
	return c.connect(ctx)
}

// release gives the connection back. An open transaction is undone.
func (c *mysqlConn) release() {
	defer c.engine.slots.give()
	if c.resource == nil {
		return
	}
	c.rollback()
	if c.link.broken || !c.link.conn.IsValid() {
		c.drop()
		return
	}
	c.resource.Release()
	c.resource = nil
}

// drop takes the connection out of the pool and closes it.
func (c *mysqlConn) drop() {
	c.engine.replaced.Add(1)
	c.resource.Hijack()
	c.resource = nil
	c.link.close()
}

// prepare returns the statement, ready to be executed.
func (c *mysqlConn) prepare(st *statement) (*mysqlStatement, error) {
	l := c.link
	l.clock++
	if p, ok := l.prepared[st]; ok {
		p.used = l.clock
		return p, nil
	}
	if len(l.prepared) >= maxPrepared {
		var oldest *statement
		for key, p := range l.prepared {
			if oldest == nil || p.used < l.prepared[oldest].used {
				oldest = key
			}
		}
		c.forget(oldest)
	}
	prepared, err := l.conn.Prepare(st.sql)
	if err != nil {
		return nil, err
	}
	p := &mysqlStatement{prepared, l.clock}
	l.prepared[st] = p
	return p, nil
}

// forget drops a prepared statement.
func (c *mysqlConn) forget(st *statement) {
	if p, ok := c.link.prepared[st]; ok {
		delete(c.link.prepared, st)
		_ = p.Close() // an error of the connection comes again
	}
}

// run executes one statement and appends the encoded abi.Result to dst.
func (c *mysqlConn) run(ctx context.Context, st *statement, q *abi.Query, b Budget, dst []byte) ([]byte, error) {
	scope, free := merge(ctx)
	defer free()
	for attempt := 0; ; attempt++ {
		r := mysqlRun{answer: newAnswer(st, b, dst), conn: c, q: q}
		over := c.engine.watch(scope, c.link)
		err := r.do()
		over()
		if err == nil {
			return r.Out, nil
		}
		lost := mysqlLost(err)
		if c.tx {
			if lost || mysqlNumber(err) == mysqlDeadlock {
				c.tx, c.link.broken = false, true // the server has undone all of it
			}
			return dst, c.engine.fail(ctx, err, st.table.Name, false)
		}
		again := attempt < maxAttempts && ended(ctx) == nil
		if lost {
			again = again && (st.verb == abi.VerbSelect || !r.sent || errors.Is(err, driver.ErrBadConn))
		} else {
			again = again && mysqlPasses(err)
		}
		if !again {
			if mysqlNumber(err) == 1054 && len(q.Subs) > 0 {
				return dst, failf(abi.ErrnoUnsupported, "this database cannot see an outer query from within a sub-query that stands as a table; or the tables changed meanwhile")
			}
			return dst, c.engine.fail(ctx, err, st.table.Name, st.verb != abi.VerbSelect && r.sent)
		}
		if lost {
			if err := c.renew(ctx); err != nil {
				return dst, err
			}
			continue
		}
		c.forget(st)
	}
}

// mysqlRun is one execution.
type mysqlRun struct {
	answer
	conn *mysqlConn
	stmt *mysqlStatement
	q    *abi.Query
	sent bool // something that the server would have to undo

	affected int64
	last     abi.Value // the key of the last row inserted
}

func (r *mysqlRun) do() (err error) {
	l := r.conn.link
	l.values = l.values[:0]
	if r.st.raw != nil {
		return r.text()
	}
	if r.st.verb == abi.VerbInsert {
		return r.inserts()
	}
	var now time.Time
	if err := bindAll(r, r.st, r.q, &now); err != nil {
		return err
	}
	if r.stmt, err = r.conn.prepare(r.st); err != nil {
		return err
	}
	r.sent = true
	if r.st.verb == abi.VerbSelect {
		r.open(2)
		if err := r.query(r.stmt, l.values); err != nil {
			return err
		}
		r.Close()
		return nil
	}
	r.openWrite()
	if len(r.st.out) == 0 {
		err = r.exec(r.stmt, l.values)
	} else {
		err = r.whole(func() error { return r.query(r.stmt, l.values) })
		r.affected = r.Rows
	}
	if err != nil {
		return err
	}
	r.closeWrite(r.affected, abi.Null())
	return nil
}

// whole runs what consists of several statements, or may be over its budget when it has already written, so that it can be undone.
func (r *mysqlRun) whole(run func() error) error {
	before, after, undo := "START TRANSACTION", "COMMIT", "ROLLBACK"
	if r.conn.tx {
		before, after, undo = "SAVEPOINT odac", "RELEASE SAVEPOINT odac", "ROLLBACK TO SAVEPOINT odac"
	}
	l := r.conn.link
	if err := l.exec(before); err != nil {
		return err
	}
	err := run()
	if err == nil {
		return l.exec(after)
	}
	if mysqlLost(err) || mysqlNumber(err) == mysqlDeadlock {
		return err // the server has undone it
	}
	if failed := l.exec(undo); failed != nil {
		l.broken = true
		if r.conn.tx {
			r.conn.tx = false
			_ = l.exec("ROLLBACK") // closing it rolls back too
		}
	}
	return err
}

func (r *mysqlRun) inserts() (err error) {
	var keys []abi.Value
	now := time.Now()
	for i := range r.q.Rows {
		key, err := bindRow(r, r.st, r.q, i, now)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	r.openWrite()
	if len(keys) > 0 {
		if r.stmt, err = r.conn.prepare(r.st); err != nil {
			return err
		}
		r.sent = true
		all := func() error { return r.insertRows(keys) }
		if len(keys) > 1 || len(r.st.out) > 0 {
			err = r.whole(all)
		} else {
			err = all()
		}
		if err != nil {
			return err
		}
	}
	r.closeWrite(r.affected, r.last)
	return nil
}

func (r *mysqlRun) insertRows(keys []abi.Value) error {
	n, values := len(r.st.params), r.conn.link.values
	var many *mysqlStatement
	if len(keys) >= rowsAtOnce {
		if st := r.st.wide(r.conn.engine.dialect(), r.q); st != nil {
			var err error
			if many, err = r.conn.prepare(st); err != nil {
				return err
			}
		}
	}
	for len(keys) > 0 {
		st, rows := r.stmt, 1
		if many != nil && len(keys) >= rowsAtOnce {
			st, rows = many, rowsAtOnce
		}
		if err := r.insert(st, values[:rows*n], keys[:rows]); err != nil {
			return err
		}
		values, keys = values[rows*n:], keys[rows:]
	}
	return nil
}

// insert sends rows, and finds out the key of the last of them that is new.
func (r *mysqlRun) insert(st *mysqlStatement, values []driver.Value, keys []abi.Value) error {
	l := r.conn.link
	if r.q.Conflict != nil {
		if err := l.exec("SET " + duplicates + " = 0"); err != nil {
			return err
		}
	}
	made := int64(0)
	if len(r.st.out) > 0 {
		before := r.Rows
		if err := r.query(st, values); err != nil {
			return err
		}
		r.affected += r.Rows - before
		if r.st.key != nil && !r.st.known() {
			var id string
			if err := l.text("SELECT last_insert_id()", &id); err != nil {
				return err
			}
			made, _ = strconv.ParseInt(id, 10, 64) // a key that is no number is 0
		}
	} else {
		result, err := st.Exec(values)
		if err != nil {
			return err
		}
		made, _ = result.LastInsertId() // never fails
		r.affected += int64(len(keys))
	}
	if r.q.Conflict != nil {
		var count string
		if err := l.text("SELECT "+duplicates, &count); err != nil || count != "0" {
			if err == nil && len(r.q.Conflict.Update)+len(r.q.Conflict.Add) == 0 && len(r.st.out) == 0 {
				r.affected -= int64(len(keys))
			}
			return err
		}
	}
	switch {
	case r.st.key == nil:
	case r.st.known():
		r.last = keys[len(keys)-1]
	case made != 0: // the first of them
		r.last = abi.Int(made + int64(len(keys)-1)*l.step)
	}
	return nil
}

func (r *mysqlRun) exec(st *mysqlStatement, values []driver.Value) error {
	result, err := st.Exec(values)
	if err != nil {
		return err
	}
	r.affected, err = result.RowsAffected()
	return err
}

// query reads the rows that a statement answers with.
func (r *mysqlRun) query(st *mysqlStatement, values []driver.Value) error {
	rows, err := st.Query(values)
	if err != nil {
		return err
	}
	l := r.conn.link
	l.meter.start()
	defer l.meter.stop()
	var over error
	if r.st.raw != nil {
		over = r.columns(rows)
		if r.st.verb == abi.VerbSelect {
			r.open(2)
		} else {
			r.openWrite()
		}
	}
	for len(l.dest) < len(r.st.out) {
		l.dest = append(l.dest, nil)
	}
	dest := l.dest[:len(r.st.out)]
	clear(dest)
	for drained := 0; ; {
		if err = rows.Next(dest); err != nil {
			break
		}
		l.meter.start()
		if over == nil {
			over = r.line(dest)
			continue
		}
		drained++
		for _, v := range dest {
			if text, ok := v.([]byte); ok {
				drained += len(text) / drainedBytes
			}
		}
		if drained > maxDrained {
			l.broken, r.conn.tx = true, false
			_ = l.net.Close() // the next read says so
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if l.meter.over() {
		l.broken, r.conn.tx = true, false
	}
	switch {
	case over != nil:
		return over
	case l.meter.over():
		return errRowTooLarge
	}
	return errors.Join(err, rows.Close())
}

func (r *mysqlRun) line(values []driver.Value) error {
	if err := r.row(); err != nil {
		return err
	}
	for i, v := range values {
		if !r.value(v, r.st.out[i].Type) {
			return invalidf("the sum of %s is over 64 bits", r.st.out[i].Name)
		}
	}
	return r.end()
}

// mysqlLost says whether err is the end of a connection rather than the server's answer.
func mysqlLost(err error) bool {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		switch answer.Number {
		case 1053, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013:
			return true
		}
		return false
	}
	var ours *abi.Error
	return err != nil && !errors.As(err, &ours)
}

func mysqlNumber(err error) uint16 {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return answer.Number
	}
	return 0
}

// mysqlPasses says whether the same statement may succeed when it is sent again.
func mysqlPasses(err error) bool {
	switch mysqlNumber(err) {
	case mysqlDeadlock, 1020, 1243, 1412, 1615: // another was first; the statement or the table is not as it was
		return true
	}
	return false
}
