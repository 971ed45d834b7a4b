package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/odac-run/odachost/abi"
)

// postgres is the engine over one schema of a PostgreSQL database, reached as one login role by a pool of its own.
type postgres struct {
	cfg    Config
	where  string // for the log: host, database, schema, user
	number string // of the version
	pool   *pgxpool.Pool

	slots    *slots
	replaced atomic.Uint64 // connections given up after a fault

	std     func() (*sql.DB, error)
	stdOpen atomic.Pointer[sql.DB]
}

const (
	connectTimeout = 5 * time.Second
	// cancelTimeout is how long the server may take to end a statement that was canceled, before its connection is cut.
	cancelTimeout = 2 * time.Second
	// commitTimeout bounds a commit, which the end of its call does not interrupt.
	commitTimeout = 30 * time.Second
	// maxIdleTx is how long the server keeps a transaction that nobody uses. Those of ours end with their call, unless this process hangs.
	maxIdleTx = 5 * time.Minute
	// idleTime is how long a connection may be idle before it is closed: a server has few, and tenants are many.
	idleTime = time.Minute
)

// newPostgres makes the engine, which connects when it is used.
func newPostgres(ctx context.Context, cfg Config) (*postgres, error) {
	pool, err := postgresPool(cfg)
	if err != nil {
		return nil, err
	}
	e := &postgres{cfg: cfg, slots: newSlots(cfg)}
	e.where = fmt.Sprintf("%s@%s:%d/%s, schema %s", cfg.User, cfg.Host, cfg.Port, cfg.Database, cfg.Schema)
	e.std = sync.OnceValues(e.openStd)
	if e.pool, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return nil, e.openError(err)
	}
	return e, nil
}

func (e *postgres) as(cfg Config) (engine, error) {
	out, err := newPostgres(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	out.number = e.number
	return out, nil
}

func openPostgres(ctx context.Context, cfg Config) (*postgres, error) {
	e, err := newPostgres(ctx, cfg)
	if err != nil {
		return nil, err
	}
	err = e.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		e.number = c.Conn().PgConn().ParameterStatus("server_version")
		var found bool
		err := c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)", cfg.Schema).Scan(&found)
		if err == nil && !found {
			return fmt.Errorf("there is no schema %q: create it, or name another", cfg.Schema)
		}
		return err
	})
	if err != nil {
		e.pool.Close()
		return nil, e.openError(err)
	}
	return e, nil
}

// openError is for the operator who starts the program: it may say everything but the password, which pgx leaves out.
func (e *postgres) openError(err error) error {
	return fmt.Errorf("database: open %s: %w", e.where, err)
}

// connConfig is how every connection of ours is made. Sessions begin alike whatever the server's or the role's settings are, because the
// form of values hangs on them.
func (c *Config) connConfig() (*pgx.ConnConfig, error) {
	// What the environment says (PGHOST and so on) is for psql: all that it could set is set below.
	out, err := pgx.ParseConfig("host=localhost user=x password=x dbname=x sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("database: PostgreSQL's environment variables: %w", err)
	}
	if out.TLSConfig, err = c.tlsConfig(); err != nil {
		return nil, err
	}
	out.Host, out.Port, out.User, out.Password, out.Database = c.Host, uint16(c.Port), c.User, c.Password, c.Database
	out.Fallbacks, out.ConnectTimeout = nil, connectTimeout
	out.RuntimeParams = map[string]string{
		"application_name": "odachost",
		// The temporary tables of a session come last, so that none can take the place of a real one.
		"search_path":                 postgresDialect{}.quote(c.Schema) + ", pg_temp",
		"timezone":                    "UTC",
		"datestyle":                   "ISO, YMD",
		"intervalstyle":               "postgres",
		"bytea_output":                "hex",
		"extra_float_digits":          "1",
		"standard_conforming_strings": "on",
		"client_encoding":             "UTF8",
		"synchronous_commit":          "on",
		// Compiling a plan takes longer than statements here may, and cannot be interrupted.
		"jit":          "off",
		"lock_timeout": strconv.FormatInt(max(c.BusyTimeout.Milliseconds(), 1), 10),
	}
	return out, nil
}

func postgresPool(cfg Config) (*pgxpool.Config, error) {
	conn, err := cfg.connConfig()
	if err != nil {
		return nil, err
	}
	conn.RuntimeParams["statement_timeout"] = strconv.FormatInt(cfg.StatementTimeout.Milliseconds(), 10)
	conn.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(maxIdleTx.Milliseconds(), 10)
	conn.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		w := &canceler{conn: c}
		c.CustomData()[stateKey] = &postgresState{canceler: w}
		return w
	}
	conn.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxRowBytes)
		return f
	}
	out, err := pgxpool.ParseConfig("host=localhost user=x password=x dbname=x sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("database: PostgreSQL's environment variables: %w", err)
	}
	out.ConnConfig = conn
	out.MaxConns, out.MinConns, out.MinIdleConns = int32(cfg.ConnectionLimit), 0, 0
	out.MaxConnIdleTime, out.HealthCheckPeriod, out.PingTimeout = idleTime, idleTime/2, connectTimeout
	return out, nil
}

func (e *postgres) dialect() dialect { return postgresDialect{} }

func (e *postgres) version() string { return "postgres " + e.number }

func (e *postgres) acquire(ctx context.Context, _ bool) (session, error) {
	c, err := e.take(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// take waits for a connection, in order of arrival, no longer than the busy timeout.
func (e *postgres) take(ctx context.Context) (*postgresConn, error) {
	if err := e.slots.take(ctx); err != nil {
		return nil, err
	}
	c := &postgresConn{engine: e}
	if err := c.connect(ctx); err != nil {
		e.slots.give()
		return nil, err
	}
	return c, nil
}

// connect takes a connection from the pool. The caller has a slot.
func (c *postgresConn) connect(ctx context.Context) error {
	e := c.engine
	pooled, err := e.pool.Acquire(ctx)
	if err == nil {
		c.pooled, c.conn = pooled, pooled.Conn().PgConn()
		c.state, _ = c.conn.CustomData()[stateKey].(*postgresState)
		return nil
	}
	if over := e.slots.open(ctx); over != nil {
		return over
	}
	return e.fail(ctx, err, "the connection", false)
}

func (e *postgres) checkpoint(context.Context) error { return nil }

func (e *postgres) stat(s *Stat) {
	pool := e.pool.Stat()
	s.Readers, s.ReadersInUse = int(pool.MaxConns()), int(pool.AcquiredConns())
	// Who has got a connection is not counted any more; who is about to connect is.
	s.Waiting, s.Reopened = int(e.slots.waiting.Load()), e.replaced.Load()
}

func (e *postgres) sql() (*sql.DB, error) { return e.std() }

// openStd is the operator's, for migrations: no timeout of statements, and nothing prepared, because tables change under it.
func (e *postgres) openStd() (*sql.DB, error) {
	if e.slots.isClosed() {
		return nil, errClosed
	}
	conn, err := e.cfg.connConfig()
	if err != nil {
		return nil, err
	}
	conn.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	db := stdlib.OpenDB(*conn)
	db.SetMaxIdleConns(1)
	db.SetConnMaxIdleTime(idleTime)
	e.stdOpen.Store(db)
	return db, nil
}

func (e *postgres) close() error {
	e.slots.close()
	var err error
	if db := e.stdOpen.Load(); db != nil {
		err = db.Close()
	}
	e.pool.Close() // waits for the connections that are out
	return err
}

// canceler ends a statement on the server when its context ends, and waits until the server was told, so that the request cannot meet a
// later statement. It is called by pgconn.
type canceler struct {
	conn *pgconn.PgConn
	used bool // since it was last asked
	done chan struct{}
}

// HandleCancel implements ctxwatch.Handler.
func (w *canceler) HandleCancel(context.Context) {
	w.used, w.done = true, make(chan struct{})
	deadline := time.Now().Add(cancelTimeout)
	_ = w.conn.Conn().SetDeadline(deadline) // a connection without deadlines waits for the server's own timeout
	go func() {
		defer close(w.done)
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		_ = w.conn.CancelRequest(ctx) // where it does not arrive, the deadline ends the connection
	}()
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler.
func (w *canceler) HandleUnwatchAfterCancel() {
	<-w.done
	_ = w.conn.Conn().SetDeadline(time.Time{}) // as above
}

// isLost says whether err is the end of a connection rather than the server's answer.
func isLost(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return strings.HasPrefix(answer.Code, "57P") || strings.HasPrefix(answer.Code, "08")
	}
	var ours *abi.Error
	var large *pgproto3.ExceededMaxBodyLenErr // sent again it is as large
	return err != nil && !errors.As(err, &ours) && !errors.As(err, &large)
}
