package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/puddle/v2"
)

// mysqlEngine is the engine over one database of a MySQL or MariaDB server, reached as one user by a pool of its own.
type mysqlEngine struct {
	cfg     Config
	where   string // for the log
	number  string // of the version
	mariadb bool
	pool    *puddle.Pool[*mysqlLink]

	catalog  *atomic.Pointer[Catalog] // the last that was read, for the names of keys
	slots    *slots
	replaced atomic.Uint64  // connections given up after a fault
	idle     sync.WaitGroup // the goroutine that closes idle connections

	std     func() (*sql.DB, error)
	stdOpen atomic.Pointer[sql.DB]
}

// mysqlLink is one connection of the pool, with what is known of it.
type mysqlLink struct {
	conn     mysqlDriver
	net      net.Conn
	meter    *meter
	id       int64 // as KILL calls it
	step     int64 // auto_increment_increment
	prepared map[*statement]*mysqlStatement
	clock    uint64 // counts uses of prepared
	broken   bool   // to be closed, not used again

	values []driver.Value // used again: see mysqlRun.bind
	dest   []driver.Value
}

// mysqlDriver is what the driver's connection can do. Its methods without a context start no goroutine.
type mysqlDriver interface {
	driver.Conn
	driver.Execer  //nolint:staticcheck // the one without a context
	driver.Queryer //nolint:staticcheck // as above
	driver.SessionResetter
	driver.Validator
}

// mysqlStatement is a statement, prepared on one connection.
type mysqlStatement struct {
	driver.Stmt
	used uint64
}

// newMySQL makes the engine, which connects when it is used.
func newMySQL(cfg Config) (*mysqlEngine, error) {
	e := &mysqlEngine{cfg: cfg, slots: newSlots(cfg), catalog: new(atomic.Pointer[Catalog])}
	e.where = fmt.Sprintf("%s@%s:%d/%s", cfg.User, cfg.Host, cfg.Port, cfg.Database)
	e.std = sync.OnceValues(e.openStd)
	if _, err := e.connConfig(); err != nil {
		return nil, err
	}
	var err error
	e.pool, err = puddle.NewPool(&puddle.Config[*mysqlLink]{
		MaxSize: int32(cfg.ConnectionLimit), Constructor: e.dial, Destructor: func(l *mysqlLink) { l.close() },
	})
	if err != nil {
		return nil, e.openError(err)
	}
	e.idle.Go(e.closeIdle)
	return e, nil
}

func (e *mysqlEngine) as(cfg Config) (engine, error) {
	out, err := newMySQL(cfg)
	if err != nil {
		return nil, err
	}
	out.number, out.mariadb = e.number, e.mariadb
	out.catalog = e.catalog
	return out, nil
}

func openMySQL(ctx context.Context, cfg Config) (*mysqlEngine, error) {
	e, err := newMySQL(cfg)
	if err != nil {
		return nil, err
	}
	l, err := e.pool.Acquire(ctx)
	if err != nil {
		_ = e.close() // the first error says what is wrong
		return nil, e.openError(err)
	}
	version, durable := "", ""
	if err = l.Value().text("SELECT version()", &version); err == nil {
		err = l.Value().text("SELECT @@global.innodb_flush_log_at_trx_commit", &durable)
	}
	l.Release()
	if err != nil {
		_ = e.close() // the first error says what is wrong
		return nil, e.openError(err)
	}
	if durable != "1" {
		cfg.Logger.Warn("the server does not make commits durable: set innodb_flush_log_at_trx_commit to 1", "database", e.where, "innodb_flush_log_at_trx_commit", durable)
	}
	e.number, _, e.mariadb = strings.Cut(version, "-MariaDB")
	return e, nil
}

func (e *mysqlEngine) openError(err error) error {
	return fmt.Errorf("database: open %s: %w", e.where, err)
}

func (e *mysqlEngine) connConfig() (*mysql.Config, error) {
	out := mysql.NewConfig()
	var err error
	if out.TLS, err = e.cfg.tlsConfig(); err != nil {
		return nil, err
	}
	out.Net, out.Addr = e.cfg.address()
	out.User, out.Passwd, out.DBName = e.cfg.User, e.cfg.Password, e.cfg.Database
	out.Collation, out.Timeout = "utf8mb4_bin", connectTimeout
	out.ClientFoundRows = true // an update counts the rows that it finds, as on the other databases
	out.MaxAllowedPacket = 0   // ask the server
	out.Logger = &mysql.NopLogger{}
	return out, nil
}

// session is how every session begins, whatever the server's settings are.
func (e *mysqlEngine) session() []string {
	wait := strconv.FormatInt(max(int64(e.cfg.BusyTimeout/time.Second), 1), 10)
	return []string{
		"SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY', " +
			"time_zone = '+00:00', innodb_lock_wait_timeout = " + wait + ", lock_wait_timeout = " + wait + ", div_precision_increment = 12, autocommit = 1",
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
	}
}

// dial makes a connection. It is the pool's.
func (e *mysqlEngine) dial(ctx context.Context) (l *mysqlLink, err error) {
	cfg, err := e.connConfig()
	if err != nil {
		return nil, err
	}
	l = &mysqlLink{prepared: map[*statement]*mysqlStatement{}}
	cfg.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		l.meter = &meter{Conn: c}
		l.net = l.meter
		return l.meter, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	l.conn = conn.(mysqlDriver) //nolint:forcetypeassert // a test would not get this far
	for _, sql := range e.session() {
		if err == nil {
			err = l.exec(sql)
		}
	}
	// MariaDB's timeout is of all statements, in seconds; MySQL's of reads, in milliseconds.
	if err == nil && l.exec(fmt.Sprintf("SET SESSION max_statement_time = %f", e.cfg.StatementTimeout.Seconds())) != nil {
		err = l.exec(fmt.Sprintf("SET SESSION max_execution_time = %d", e.cfg.StatementTimeout.Milliseconds()))
	}
	for _, limit := range []string{"max_session_mem_used", "max_tmp_session_space_usage"} { // MariaDB, and MariaDB 11.5
		if err == nil {
			_ = l.exec(fmt.Sprintf("SET SESSION %s = %d", limit, maxTempBytes))
		}
	}
	var id, step string
	if err == nil {
		err = l.text("SELECT connection_id()", &id)
	}
	if err == nil {
		err = l.text("SELECT @@auto_increment_increment", &step)
	}
	if err == nil {
		if l.id, err = strconv.ParseInt(id, 10, 64); err == nil {
			l.step, err = strconv.ParseInt(step, 10, 64)
		}
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *mysqlLink) close() {
	_ = l.conn.Close() // it goes in any case
}

// exec runs a statement of the program's own.
func (l *mysqlLink) exec(sql string) error {
	_, err := l.conn.Exec(sql, nil)
	return err
}

// text runs a query of the program's own and returns the first column of its first row.
func (l *mysqlLink) text(sql string, out *string) error {
	return l.rows(sql, 1, func(row []driver.Value) error {
		*out = mysqlText(row[0])
		return nil
	})
}

// rows runs a query of the program's own, of that many columns, and calls row for each row.
func (l *mysqlLink) rows(sql string, columns int, row func([]driver.Value) error, args ...driver.Value) error {
	var rows driver.Rows
	var err error
	if len(args) == 0 {
		rows, err = l.conn.Query(sql, nil)
	} else {
		var st driver.Stmt
		if st, err = l.conn.Prepare(sql); err != nil {
			return err
		}
		defer func() { _ = st.Close() }() // an error of the connection comes again
		rows, err = st.Query(args)        //nolint:staticcheck // without a context
	}
	if err != nil {
		return err
	}
	dest := make([]driver.Value, columns)
	for err == nil {
		if err = rows.Next(dest); err == nil {
			err = row(dest)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

func mysqlText(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	}
	return fmt.Sprint(v)
}

// closeIdle closes connections that nobody used for a while.
func (e *mysqlEngine) closeIdle() {
	tick := time.NewTicker(idleTime / 2)
	defer tick.Stop()
	for {
		select {
		case <-e.slots.closed:
			return
		case <-tick.C:
			for _, r := range e.pool.AcquireAllIdle() {
				if r.IdleDuration() > idleTime {
					r.Destroy()
				} else {
					r.ReleaseUnused()
				}
			}
		}
	}
}

func (e *mysqlEngine) dialect() dialect { return mysqlDialect{mariadb: e.mariadb} }

func (e *mysqlEngine) version() string {
	if e.mariadb {
		return "mariadb " + e.number
	}
	return "mysql " + e.number
}

func (e *mysqlEngine) acquire(ctx context.Context, _ bool) (session, error) {
	c, err := e.take(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// take waits for a connection, in order of arrival, no longer than the busy timeout.
func (e *mysqlEngine) take(ctx context.Context) (*mysqlConn, error) {
	if err := e.slots.take(ctx); err != nil {
		return nil, err
	}
	c := &mysqlConn{engine: e}
	if err := c.connect(ctx); err != nil {
		e.slots.give()
		return nil, err
	}
	return c, nil
}

// connect takes a connection from the pool. The caller has a slot.
func (c *mysqlConn) connect(ctx context.Context) error {
	e := c.engine
	for {
		r, err := e.pool.Acquire(ctx)
		switch {
		case err == nil && r.Value().conn.ResetSession(ctx) == nil && r.Value().conn.IsValid():
			c.resource, c.link = r, r.Value()
			return nil
		case err == nil: // it was lost while it was idle
			e.replaced.Add(1)
			r.Destroy()
			continue
		}
		if over := e.slots.open(ctx); over != nil {
			return over
		}
		return e.fail(ctx, err, "the connection", false)
	}
}

func (e *mysqlEngine) checkpoint(context.Context) error { return nil }

func (e *mysqlEngine) stat(s *Stat) {
	pool := e.pool.Stat()
	s.Readers, s.ReadersInUse = int(pool.MaxResources()), int(pool.AcquiredResources())
	s.Waiting, s.Reopened = int(e.slots.waiting.Load()), e.replaced.Load()
}

func (e *mysqlEngine) sql() (*sql.DB, error) { return e.std() }

// openStd is the operator's, for migrations: no timeout of statements.
func (e *mysqlEngine) openStd() (*sql.DB, error) {
	if e.slots.isClosed() {
		return nil, errClosed
	}
	cfg, err := e.connConfig()
	if err != nil {
		return nil, err
	}
	cfg.Params = map[string]string{
		"sql_mode":  "'STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY'",
		"time_zone": "'+00:00'",
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, e.openError(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(1)
	db.SetConnMaxIdleTime(idleTime)
	e.stdOpen.Store(db)
	return db, nil
}

func (e *mysqlEngine) close() error {
	e.slots.close()
	var err error
	if db := e.stdOpen.Load(); db != nil {
		err = db.Close()
	}
	e.idle.Wait()
	e.pool.Close() // waits for the connections that are out
	return err
}

// watch ends the statement that runs on l when ctx ends: by KILL QUERY from another connection, and where that does not come through
// by cutting the connection. The function that it returns says that the statement is over, and waits for a kill on its way, so
// that it cannot meet a later statement.
func (e *mysqlEngine) watch(ctx context.Context, l *mysqlLink) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		deadline := time.Now().Add(cancelTimeout)
		_ = l.net.SetDeadline(deadline) // a connection without deadlines waits for the server's own timeout
		if err := e.kill(l.id, deadline); err != nil {
			e.cfg.Logger.Warn("a statement could not be canceled: its connection is cut", "database", e.where, "error", err)
			_ = l.net.SetDeadline(time.Unix(1, 0)) // as above
		}
	})
	return func() {
		if !stop() {
			<-done
			l.broken = true
			_ = l.net.SetDeadline(time.Time{}) // as above
		}
	}
}

// kill is done on a connection beside the pool, which may be exhausted by what is to be killed.
func (e *mysqlEngine) kill(id int64, deadline time.Time) error {
	cfg, err := e.connConfig()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // was used once
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, "KILL QUERY "+strconv.FormatInt(id, 10), nil)
	return err
}
