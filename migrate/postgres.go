package migrate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgres is the dialect of PostgreSQL 12 and later. All of it is about the connection's current_schema.
type postgres struct{}

// pgCode returns the SQLSTATE of an error of the server, "" for any other.
func pgCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// The SQLSTATEs that this package knows (postgresql.org/docs/current/errcodes-appendix.html).
const (
	pgNoTransaction   = "25P01"
	pgLockTimeout     = "55P03"
	pgDeadlock        = "40P01"
	pgSerialization   = "40001"
	pgNotPermitted    = "42501"
	pgDataException   = "22" // class
	pgCannotCoerce    = "42846"
	pgSyntaxClass     = "42" // class
	pgDiskFull        = "53100"
	pgConnectionClass = "08" // class
)

func (postgres) busy(err error) bool {
	code := pgCode(err)
	return code == pgLockTimeout || code == pgDeadlock || code == pgSerialization
}

// pgSavepoint sets a savepoint, if conn is in a transaction.
func pgSavepoint(ctx context.Context, conn *sql.Conn, name string) (inside bool, err error) {
	_, err = conn.ExecContext(ctx, "SAVEPOINT "+name)
	if pgCode(err) == pgNoTransaction {
		return false, nil
	}
	return err == nil, err
}

// scratch runs do so that nothing of what it makes stays.
func (p postgres) scratch(ctx context.Context, conn *sql.Conn, do func() error) error {
	inside, err := pgSavepoint(ctx, conn, "_odac_scratch")
	undo := []string{"ROLLBACK TO SAVEPOINT _odac_scratch", "RELEASE SAVEPOINT _odac_scratch"}
	if err == nil && !inside {
		if _, err = conn.ExecContext(ctx, "BEGIN"); err == nil {
			_, err = conn.ExecContext(ctx, "SAVEPOINT _odac_scratch")
		}
		undo = []string{"ROLLBACK"}
	}
	if err != nil {
		return fmt.Errorf("migrate: begin the scratch transaction: %w", err)
	}
	err = do()
	for _, query := range undo {
		if _, end := conn.ExecContext(context.WithoutCancel(ctx), query); end != nil {
			return errors.Join(err, fmt.Errorf("migrate: end the scratch transaction: %w", end))
		}
	}
	return err
}

// snapshot is not READ ONLY: the shadow makes a table, and takes it back.
func (p postgres) snapshot(ctx context.Context, conn *sql.Conn) (func() error, error) {
	if _, err := conn.ExecContext(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return nil, err
	}
	return func() error { return p.end(context.WithoutCancel(ctx), conn, false) }, nil
}

// pgSettings are those of the session while a plan is applied. Every wait for a lock that stands in the way of others is short:
// who waits for a lock makes all wait that come after. The first is lock_timeout. pgWait is how long a step may wait that nobody waits for.
var pgSettings = [][2]string{
	{"lock_timeout", "200ms"},
	{"statement_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"standard_conforming_strings", "on"},
	{pgWait, ""},
	{"client_connection_check_interval", "1s"}, // so that the lock of a runner that was killed while it built an index comes free
}

const pgWait = "odac.lock_wait"

// pgLockKey is of the schema: tenants in schemas of one database do not wait for each other.
const pgLockKey = "pg_catalog.hashtextextended('odachost migrate ' || pg_catalog.current_schema(), 0)"

// lock polls: one that waits inside the server holds a snapshot, for which an index that is built concurrently waits in turn.
func (p postgres) lock(ctx context.Context, conn *sql.Conn) (func() error, error) {
	inside, err := pgSavepoint(ctx, conn, "_odac_probe")
	if err != nil {
		return nil, fmt.Errorf("migrate: look for an open transaction: %w", err)
	}
	if inside {
		_, err := conn.ExecContext(ctx, "RELEASE SAVEPOINT _odac_probe")
		return nil, errors.Join(ErrBusyConnection, err)
	}
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_catalog.pg_try_advisory_lock("+pgLockKey+")").Scan(&got); err != nil {
			return nil, fmt.Errorf("migrate: take the migration lock: %w", err)
		}
		if got {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("migrate: wait for another migration of this schema: %w", ctx.Err())
		}
	}
	before, err := pgConfigure(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, p.unlock(ctx, conn, before))
	}
	return func() error { return p.unlock(ctx, conn, before) }, nil
}

// pgConfigure sets pgSettings and returns what they were.
func pgConfigure(ctx context.Context, conn *sql.Conn) (before [][2]string, err error) {
	for _, s := range pgSettings {
		name, value := s[0], s[1]
		if name == pgWait {
			value = "60000"
			if end, ok := ctx.Deadline(); ok {
				value = fmt.Sprint(max(1, time.Until(end).Milliseconds()))
			}
		}
		var was sql.NullString
		err := conn.QueryRowContext(ctx, "SELECT pg_catalog.current_setting($1, true)", name).Scan(&was)
		if err == nil && !was.Valid && name != pgWait {
			continue // the server does not have it
		}
		if err == nil {
			err = pgSet(ctx, conn, name, value)
		}
		if err != nil {
			return before, fmt.Errorf("migrate: set %s: %w", name, err)
		}
		before = append(before, [2]string{name, was.String})
	}
	return before, nil
}

func pgSet(ctx context.Context, conn *sql.Conn, name, value string) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_catalog.set_config($1, $2, false)", name, value)
	return err
}

// unlock puts the session back as it was. One that cannot be is closed, which gives the lock back as well.
func (postgres) unlock(ctx context.Context, conn *sql.Conn, before [][2]string) error {
	ctx = context.WithoutCancel(ctx)
	var err error
	for _, s := range before {
		if err == nil {
			err = pgSet(ctx, conn, s[0], s[1])
		}
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "SELECT pg_catalog.pg_advisory_unlock("+pgLockKey+")")
	}
	if err == nil {
		return nil
	}
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	if pgCode(err) == "" { // the connection is gone, and the session with it
		return nil
	}
	return fmt.Errorf("migrate: restore the connection: %w", err)
}

func (postgres) begin(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("migrate: begin: %w", err)
	}
	return nil
}

func (postgres) end(ctx context.Context, conn *sql.Conn, commit bool) error {
	if commit {
		if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
			return fmt.Errorf("migrate: commit: %w", err)
		}
		return nil
	}
	// Without a connection there is no transaction either.
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); pgCode(err) != "" {
		return fmt.Errorf("migrate: roll back: %w", err)
	}
	return nil
}

// health counts what a run must not leave: indexes that are not valid and constraints that were not validated. Views cannot
// break: the server knows what they need.
func (postgres) health(_ context.Context, _ querier, db *Database) (map[string]int, error) {
	problems := map[string]int{}
	for _, t := range db.Tables {
		if t.pg == nil {
			continue
		}
		for _, name := range t.pg.invalid {
			problems[fmt.Sprintf("index %s of %s is not valid", name, t.Name)]++
		}
		for _, fk := range t.ForeignKeys {
			if fk.invalid {
				problems[fmt.Sprintf("foreign key %s of %s is not validated", fk.name, t.Name)]++
			}
		}
		for _, c := range t.pg.checks {
			if c.invalid {
				problems[fmt.Sprintf("check %s of %s is not validated", c.name, t.Name)]++
			}
		}
	}
	return problems, nil
}

func (postgres) syntax() *syntax { return pgSyntax }

var pgSyntax = &syntax{
	twin: pgTwin,
	name: quoteName,
	text: pgText,
	same: func(x, value string) string { return x + " IS NOT DISTINCT FROM " + value },
	show: func(x string) string {
		return "CASE WHEN " + x + " IS NULL THEN 'NULL' WHEN pg_catalog.pg_typeof(" + x + ")::text IN ('smallint', 'integer', 'bigint', 'numeric', " +
			"'double precision', 'boolean') THEN " + x + "::text ELSE pg_catalog.quote_literal(" + x + "::text) END"
	},
	hex: func(x string) string {
		return "pg_catalog.encode(pg_catalog.convert_to(" + x + "::text, 'UTF8'), 'hex')"
	},
	state: []string{
		`CREATE TABLE IF NOT EXISTS "_odac_schema" (
  "table_name" text NOT NULL PRIMARY KEY,
  "owner" text NOT NULL,
  "definition" text NOT NULL
)`,
		`CREATE TABLE IF NOT EXISTS "_odac_plan" (
  "owner" text NOT NULL PRIMARY KEY,
  "hash" text NOT NULL,
  "steps" text NOT NULL
)`,
	},
}

// pgText quotes a text so that it is read the same whether or not standard_conforming_strings is on.
func pgText(s string) string {
	if !strings.Contains(s, `\`) {
		return quoteText(s)
	}
	return " E" + quoteText(strings.ReplaceAll(s, `\`, `\\`))
}
