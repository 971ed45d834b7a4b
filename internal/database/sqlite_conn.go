package database

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

// maxPrepared is how many statements a connection keeps prepared; the one used longest ago makes room.
const maxPrepared = 96

// sqliteConn is one connection. Who took it from its queue has it to himself.
type sqliteConn struct {
	engine *sqlite
	queue  *queue
	write  bool

	db       *sqlite3.Conn // nil before the first use
	broken   bool          // to be opened anew before the next use
	prepared map[*statement]*prepared
	fixed    map[string]*sqlite3.Stmt
	clock    uint64 // counts uses of prepared

	ending interrupts
	// running is memory for the execution of a statement, of which there is one at a time.
	running run

	// trusted: the statement being prepared is the program's own, so that the authorizer lets it reach reserved tables and pragmas.
	trusted bool
	// record sees what a statement reaches for while it is prepared; nil otherwise.
	record func(action sqlite3.AuthorizerActionCode, table string)
	// walls are of the statement prepared last.
	walls map[string]*wall
	// raw is set while text of a plugin's is prepared and run.
	raw *rawScope
}

// interrupts is the context of a statement. Of rows, only each eighth's step asks the call's own, which takes as long as many a step, and the first does not
// if the connection only reads: who took it has just asked. The instructions of the statement ask it besides, a thousand at a time.
type interrupts struct {
	context.Context
	steps  uint8
	spared bool // the next who asks is a step that need not
}

// step is told of each.
func (i *interrupts) step() {
	i.spared = i.steps&7 != 0
	i.steps++
}

// Err implements [context.Context].
func (i *interrupts) Err() error {
	if i.spared {
		i.spared = false
		return nil
	}
	return i.Context.Err()
}

// underway has what the statement does from here on end with ctx.
func (c *sqliteConn) underway(ctx context.Context) {
	c.ending = interrupts{Context: ctx}
	if !c.write {
		c.ending.steps = 1
	}
	c.db.SetInterrupt(&c.ending)
}

// next goes on to the statement's next row.
func (c *sqliteConn) next(st *prepared) bool {
	c.ending.step()
	return st.Step()
}

type prepared struct {
	*sqlite3.Stmt
	used uint64
}

type limit struct {
	category sqlite3.LimitCategory
	value    int
}

// limits are SQLite's, lowered: at least as tight as a statement of ours can need.
var limits = []limit{
	{sqlite3.LIMIT_LENGTH, abi.MaxMessageBytes},
	{sqlite3.LIMIT_SQL_LENGTH, 1 << 20},
	{sqlite3.LIMIT_COLUMN, 2000},
	{sqlite3.LIMIT_EXPR_DEPTH, 200},
	{sqlite3.LIMIT_COMPOUND_SELECT, 8},
	{sqlite3.LIMIT_VDBE_OP, 1 << 20},
	{sqlite3.LIMIT_FUNCTION_ARG, 16},
	{sqlite3.LIMIT_ATTACHED, 0},
	{sqlite3.LIMIT_LIKE_PATTERN_LENGTH, maxPattern},
	{sqlite3.LIMIT_VARIABLE_NUMBER, 32766},
	{sqlite3.LIMIT_TRIGGER_DEPTH, 100},
	{sqlite3.LIMIT_WORKER_THREADS, 0},
}

func (c *sqliteConn) limit(list []limit) {
	for _, l := range list {
		c.db.Limit(l.category, l.value)
	}
}

// open connects and sets everything that a connection of ours has.
func (c *sqliteConn) open(ctx context.Context) (err error) {
	mode := "mode=ro"
	if c.write {
		mode = "mode=rw"
	}
	db, err := sqlite3.OpenContext(sqlite3.WithMaxMemory(ctx, maxMemory), c.engine.dsn(mode))
	if err != nil {
		return err
	}
	c.db, c.broken, c.trusted = db, false, true
	c.prepared, c.fixed = map[*statement]*prepared{}, map[string]*sqlite3.Stmt{}
	defer func() {
		if c.trusted = false; err != nil {
			_ = c.close() // the first error says what is wrong
		}
	}()
	if err := db.BusyTimeout(c.engine.cfg.BusyTimeout); err != nil {
		return err
	}
	db.SetInterrupt(ctx)
	if c.write {
		if err := c.setWAL(); err != nil {
			return err
		}
	}
	if err := db.Exec(c.pragmas()); err != nil {
		return err
	}
	if err := limitPages(db, c.engine.cfg); err != nil {
		return err
	}
	c.limit(limits)
	return errors.Join(register(db), registerText(db), defend(db), db.SetAuthorizer(c.authorize))
}

func (c *sqliteConn) pragmas() string {
	p := "PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA cache_size=-4000; PRAGMA temp_store=MEMORY;"
	if c.write {
		return p + "PRAGMA journal_size_limit=67108864;"
	}
	return p + "PRAGMA query_only=ON;"
}

// setWAL puts the file into write-ahead mode, where readers and the writer do not wait for each other, and makes sure that it is.
func (c *sqliteConn) setWAL() error {
	mode, err := c.text("PRAGMA journal_mode=WAL")
	if err == nil && !strings.EqualFold(mode, "wal") {
		err = fmt.Errorf("its folder does not do write-ahead logging (journal mode is %s): use a local disk", mode)
	}
	return err
}

func defend(db *sqlite3.Conn) error {
	for op, on := range map[sqlite3.DBConfig]bool{
		sqlite3.DBCONFIG_DEFENSIVE:       true,
		sqlite3.DBCONFIG_ENABLE_FKEY:     true,
		sqlite3.DBCONFIG_TRUSTED_SCHEMA:  false,
		sqlite3.DBCONFIG_WRITABLE_SCHEMA: false,
		sqlite3.DBCONFIG_DQS_DML:         false,
		sqlite3.DBCONFIG_DQS_DDL:         false,
	} {
		if is, err := db.Config(op, on); err != nil || is != on {
			return errors.Join(fmt.Errorf("database option %d cannot be set to %t", op, on), err)
		}
	}
	return nil
}

// prepareStd sets up a connection of database/sql: it is the operator's, for migrations, so it keeps SQLite's own limits.
func prepareStd(db *sqlite3.Conn, cfg Config) error {
	if err := db.BusyTimeout(cfg.BusyTimeout); err != nil {
		return err
	}
	if err := db.Exec("PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL"); err != nil {
		return err
	}
	if err := limitPages(db, cfg); err != nil {
		return err
	}
	return register(db)
}

// authorize is asked while a statement is prepared. A query gets rows of tables, and nothing else: no schema, no pragma, no
// other file, no reserved table. Not through a view either: SQLite tells a view here as it tells a WITH of the query's own. Tables that
// a migration has set aside can be reached by the foreign keys that they still have.
func (c *sqliteConn) authorize(action sqlite3.AuthorizerActionCode, name, second, _, inner string) sqlite3.AuthorizerReturnCode {
	if c.record != nil {
		c.record(action, name)
	}
	if c.trusted {
		return sqlite3.AUTH_OK
	}
	if c.raw != nil {
		return c.raw.authorize(action, name, second, inner)
	}
	switch action {
	case sqlite3.AUTH_READ, sqlite3.AUTH_INSERT, sqlite3.AUTH_UPDATE, sqlite3.AUTH_DELETE:
		if reserved(name) && !strings.HasPrefix(name, "_odac_trash_") {
			return sqlite3.AUTH_DENY
		}
		// What a trigger does is not the statement's.
		if w := c.walls[name]; w != nil && inner == "" && second != "" &&
			(action == sqlite3.AUTH_READ && !w.read[second] || action == sqlite3.AUTH_UPDATE && !w.update[second]) {
			return sqlite3.AUTH_DENY
		}
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_FUNCTION, sqlite3.AUTH_TRANSACTION, sqlite3.AUTH_SAVEPOINT, sqlite3.AUTH_RECURSIVE:
		return sqlite3.AUTH_OK
	}
	return sqlite3.AUTH_DENY
}

func (c *sqliteConn) reopen(ctx context.Context) error {
	if c.db != nil {
		c.engine.reopened.Add(1)
		_ = c.close() // it failed before: that is why it goes
	}
	return c.fail(ctx, c.open(ctx), "the file")
}

// close ends the connection. Statements that were not finished are given up.
func (c *sqliteConn) close() (err error) {
	if c.db == nil {
		return nil
	}
	db := c.db
	c.db, c.prepared, c.fixed = nil, nil, nil
	defer c.guard(&err)
	db.SetInterrupt(context.Background())
	for {
		var open *sqlite3.Stmt
		for st := range db.Stmts() {
			open = st
			break
		}
		if open == nil {
			return db.Close()
		}
		_ = open.Close() // tells the error of its last step again
	}
}

// guard turns a panic of the driver, which it raises when SQLite is out of memory, into an error, and the connection away.
func (c *sqliteConn) guard(err *error) {
	if r := recover(); r != nil {
		c.broken = true
		cause, ok := r.(error)
		if !ok || !strings.Contains(cause.Error(), "out of memory") {
			c.engine.cfg.Logger.Error("database driver failed", "file", c.engine.path, "panic", r)
			*err = failf(abi.ErrnoInternal, "the database driver failed: see the host's log")
			return
		}
		*err = failf(abi.ErrnoLimit, "%s", sqliteTexts[sqlite3.NOMEM])
	}
}

// release gives the connection back. An open transaction is undone.
func (c *sqliteConn) release() {
	if c.db != nil && !c.broken && c.inTx() {
		c.rollback()
	}
	c.queue.give(c)
}

// prepare returns the statement, ready to be bound.
func (c *sqliteConn) prepare(st *statement) (*prepared, error) {
	c.walls = st.walls
	c.clock++
	if p, ok := c.prepared[st]; ok {
		p.used = c.clock
		return p, nil
	}
	if len(c.prepared) >= maxPrepared {
		var oldest *statement
		for key, p := range c.prepared {
			if oldest == nil || p.used < c.prepared[oldest].used {
				oldest = key
			}
		}
		_ = c.prepared[oldest].Close() // tells the error of its last step again
		delete(c.prepared, oldest)
	}
	stmt, tail, err := c.db.PrepareFlags(st.sql, sqlite3.PREPARE_PERSISTENT)
	if err == nil && (stmt == nil || tail != "") {
		err = sqlite3.MISUSE
	}
	if err != nil {
		return nil, err
	}
	p := &prepared{stmt, c.clock}
	c.prepared[st] = p
	return p, nil
}

// own returns a statement of the program's own, kept prepared for good. It is to be run while trusted.
func (c *sqliteConn) own(sql string) (*sqlite3.Stmt, error) {
	if st, ok := c.fixed[sql]; ok {
		return st, nil
	}
	raw := c.raw
	c.raw = nil // a transaction around a plugin's text is ours
	st, _, err := c.db.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	c.raw = raw
	if err != nil {
		return nil, err
	}
	c.fixed[sql] = st
	return st, nil
}

// exec runs a statement of the program's own without an answer.
func (c *sqliteConn) exec(sql string) error {
	st, err := c.own(sql)
	if err != nil {
		return err
	}
	return st.Exec()
}

// text runs a statement of the program's own once and returns the first column of its first row.
func (c *sqliteConn) text(sql string) (string, error) {
	st, _, err := c.db.Prepare(sql)
	if err != nil {
		return "", err
	}
	value := ""
	if st.Step() {
		value = st.ColumnText(0)
	}
	return value, errors.Join(st.Err(), st.Close())
}

func (c *sqliteConn) inTx() bool { return c.db != nil && !c.db.GetAutocommit() }

// begin gives more than any isolation level asks for: who writes is alone, who reads sees one moment.
func (c *sqliteConn) begin(ctx context.Context, _ TxOptions) (err error) {
	defer c.guard(&err)
	c.db.SetInterrupt(ctx)
	sql := "BEGIN"
	if c.write {
		sql = "BEGIN IMMEDIATE"
	}
	return c.fail(ctx, c.exec(sql), "the file")
}

// commit is not interrupted once it has begun: then it would not be known what it did.
func (c *sqliteConn) commit(ctx context.Context) (err error) {
	defer c.guard(&err)
	if err := ended(ctx); err != nil {
		return err
	}
	c.db.SetInterrupt(context.Background())
	return c.fail(ctx, c.exec("COMMIT"), "the transaction")
}

func (c *sqliteConn) rollback() {
	var err error
	defer c.guard(&err)
	c.db.SetInterrupt(context.Background())
	if c.inTx() {
		if err := c.exec("ROLLBACK"); err != nil {
			c.broken = true // closing it rolls back
		}
	}
}

// atomically runs what consists of several statements as one: in a transaction, or in a savepoint of the one that is open.
func (c *sqliteConn) atomically(ctx context.Context, run func() error) error {
	if !c.inTx() {
		if err := c.begin(ctx, TxOptions{}); err != nil {
			return err
		}
		err := run()
		if err == nil {
			err = c.commit(ctx)
		}
		if err != nil {
			c.rollback()
		}
		return err
	}
	if err := c.exec("SAVEPOINT odac"); err != nil {
		return c.fail(ctx, err, "the transaction")
	}
	err := run()
	c.db.SetInterrupt(context.Background())
	defer c.db.SetInterrupt(ctx)
	if err != nil && c.inTx() {
		if undo := c.exec("ROLLBACK TO odac"); undo != nil {
			c.rollback() // the whole of it: half a statement must not stay
		}
	}
	if c.inTx() {
		if done := c.exec("RELEASE odac"); done != nil && err == nil {
			err = c.fail(ctx, done, "the transaction")
		}
	}
	return err
}

// savepoints are the statements of a savepoint, in the order of savepointOp.
var savepoints = [...][]string{{"SAVEPOINT odac_%d"}, {"RELEASE odac_%d"}, {"ROLLBACK TO odac_%d", "RELEASE odac_%d"}}

func (c *sqliteConn) savepoint(ctx context.Context, op savepointOp, n int) (err error) {
	defer c.guard(&err)
	c.db.SetInterrupt(ctx)
	if op != savepointSet {
		c.db.SetInterrupt(context.Background()) // once begun it is done
	}
	for _, sql := range savepoints[op] {
		if err := c.exec(fmt.Sprintf(sql, n)); err != nil {
			return c.fail(ctx, err, "the transaction")
		}
	}
	return nil
}

// bindArgs binds strings and int64s of a statement of the program's own.
func bindArgs(st *sqlite3.Stmt, args []any) error {
	var errs []error
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			errs = append(errs, st.BindText(i+1, arg))
		case int64:
			errs = append(errs, st.BindInt64(i+1, arg))
		}
	}
	return errors.Join(errs...)
}

// execArgs is exec with parameters.
func (c *sqliteConn) execArgs(sql string, args ...any) error {
	st, err := c.own(sql)
	if err != nil {
		return err
	}
	if err := bindArgs(st, args); err != nil {
		return err
	}
	return st.Exec()
}

// rows runs a statement of the program's own and calls row for every row.
func (c *sqliteConn) rows(sql string, row func(st *sqlite3.Stmt) error, args ...any) error {
	st, err := c.own(sql)
	if err != nil {
		return err
	}
	if err := bindArgs(st, args); err != nil {
		return err
	}
	for err == nil && st.Step() {
		err = row(st)
	}
	err = errors.Join(err, st.Err())
	_ = st.Reset() // tells the error of the last step again
	return err
}
