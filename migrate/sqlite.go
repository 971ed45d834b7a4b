package migrate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"
	sqlitedriver "github.com/ncruces/go-sqlite3/driver"
)

// sqlite is the dialect of SQLite 3.35 and later.
type sqlite struct{}

// scratch opens a private in-memory database.
func (sqlite) scratch(ctx context.Context) (*sql.DB, *sql.Conn, error) {
	db, err := sqlitedriver.Open("file::memory:?_pragma=foreign_keys(0)")
	if err != nil {
		return nil, nil, fmt.Errorf("migrate: open the shadow database: %w", err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("migrate: open the shadow database: %w", err), db.Close())
	}
	return db, conn, nil
}

// shadowBatch is how many tables go into one scratch database: SQLite reads all of sqlite_schema again for each CREATE.
const shadowBatch = 64

func (s sqlite) shadow(ctx context.Context, _ *sql.Conn, tables []*Table) (*Database, error) {
	out := &Database{Dialect: dialectSQLite, Tables: map[string]*TableInfo{}}
	for batch := range slices.Chunk(tables, shadowBatch) {
		part, err := s.shadowPart(ctx, batch)
		if err != nil {
			return nil, err
		}
		maps.Copy(out.Tables, part.Tables)
	}
	return out, nil
}

func (s sqlite) shadowPart(ctx context.Context, tables []*Table) (*Database, error) {
	db, conn, err := s.scratch(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = conn.Close(), db.Close() }()
	if err := execOne(ctx, conn, "BEGIN"); err != nil {
		return nil, err
	}
	for _, t := range tables {
		if err := execOne(ctx, conn, sqliteTable(t)); err != nil {
			return nil, fmt.Errorf("migrate: %s: SQLite refuses the table: %w", t.Pos, err)
		}
		for _, x := range t.Indexes {
			if err := execOne(ctx, conn, sqliteIndex(t.Name, x)); err != nil {
				return nil, fmt.Errorf("migrate: %s: SQLite refuses index %s: %w", x.Pos, x.Name, err)
			}
		}
	}
	out, err := s.inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		info := out.Tables[fold(t.Name)]
		info.def = t
		for _, c := range t.Columns {
			info.Column(c.Name).def = c
		}
		for i := range info.Indexes {
			for _, x := range t.Indexes {
				if strings.EqualFold(x.Name, info.Indexes[i].Name) {
					info.Indexes[i].named = x.Named
				}
			}
		}
	}
	return out, nil
}

// execOne runs exactly one statement: preparing refuses a second one, so that text of a schema file cannot bring its own.
func execOne(ctx context.Context, conn *sql.Conn, query string) error {
	_, err := execCount(ctx, conn, query)
	return err
}

func execCount(ctx context.Context, conn *sql.Conn, query string) (int64, error) {
	stmt, err := conn.PrepareContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer stmt.Close() //nolint:errcheck // the statement ran
	res, err := stmt.ExecContext(ctx)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// ErrBusyConnection says that Apply was given a connection with an open transaction: a rebuild could not switch foreign keys off
// there, and dropping the old table would delete the rows of its children.
var ErrBusyConnection = errors.New("migrate: the connection has an open transaction: give Apply a pool of its own")

// pragmas that apply changes for the transaction and puts back.
var pragmas = []struct {
	name  string
	value int
}{{"busy_timeout", 200}, {"foreign_keys", 0}, {"legacy_alter_table", 0}}

// snapshot begins a read transaction: SQLite takes its snapshot at the first read.
func (s sqlite) snapshot(ctx context.Context, conn *sql.Conn) (func() error, error) {
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	return func() error { return s.end(context.WithoutCancel(ctx), conn, false) }, nil
}

// lock only sets the connection up: the lock itself is the write lock that begin takes.
func (s sqlite) lock(ctx context.Context, conn *sql.Conn) (func() error, error) {
	before := make([]int, len(pragmas))
	for i, p := range pragmas {
		if err := conn.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&before[i]); err != nil {
			return nil, fmt.Errorf("migrate: read pragma %s: %w", p.name, err)
		}
	}
	restore := func() error {
		for i, p := range pragmas {
			if err := setPragma(context.WithoutCancel(ctx), conn, p.name, before[i]); err != nil {
				// Whoever gets this connection next must not find foreign keys off.
				_ = conn.Raw(func(any) error { return driver.ErrBadConn })
				return fmt.Errorf("migrate: restore the connection: %w", err)
			}
		}
		return nil
	}
	for _, p := range pragmas {
		if err := setPragma(ctx, conn, p.name, p.value); err != nil {
			return nil, errors.Join(err, restore())
		}
	}
	return restore, nil
}

// busy is what a commit says that a reader stands in the way of, where there is no write-ahead log.
func (sqlite) busy(err error) bool { return errors.Is(err, sqlite3.BUSY) }

func (sqlite) syntax() *syntax { return sqliteSyntax }

var sqliteSyntax = &syntax{
	name: quoteName,
	text: quoteText,
	same: func(x, value string) string { return x + " IS " + value },
	show: func(x string) string { return "quote(" + x + ")" },
	hex:  func(x string) string { return "hex(" + x + ")" },
	twin: sqliteTwin,
	state: []string{
		`CREATE TABLE IF NOT EXISTS "_odac_schema" (
  "table_name" TEXT NOT NULL PRIMARY KEY,
  "owner" TEXT NOT NULL,
  "definition" TEXT NOT NULL
)`,
		`CREATE TABLE IF NOT EXISTS "_odac_plan" (
  "owner" TEXT NOT NULL PRIMARY KEY,
  "hash" TEXT NOT NULL,
  "steps" TEXT NOT NULL
)`,
	},
}

// setPragma sets a pragma and reads it back: inside a transaction SQLite ignores some of them without a word.
func setPragma(ctx context.Context, conn *sql.Conn, name string, value int) error {
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA %s = %d", name, value)); err != nil {
		return fmt.Errorf("migrate: set pragma %s: %w", name, err)
	}
	var got int
	if err := conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&got); err != nil {
		return fmt.Errorf("migrate: read pragma %s: %w", name, err)
	}
	if got != value {
		return ErrBusyConnection
	}
	return nil
}

// begin waits for the write lock until ctx ends.
func (sqlite) begin(ctx context.Context, conn *sql.Conn) error {
	for {
		_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("migrate: wait for the write lock of another connection: %w", ctx.Err())
		case errors.Is(err, sqlite3.BUSY):
			continue
		case strings.Contains(err.Error(), "within a transaction"):
			return ErrBusyConnection
		}
		return fmt.Errorf("migrate: take the write lock: %w", err)
	}
}

func (sqlite) end(ctx context.Context, conn *sql.Conn, commit bool) error {
	if commit {
		_, err := conn.ExecContext(ctx, "COMMIT")
		if err == nil {
			return nil
		}
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
		return fmt.Errorf("migrate: commit: %w", err)
	}
	// An error may have rolled back already, in which case there is nothing left to do.
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		return fmt.Errorf("migrate: roll back: %w", err)
	}
	return nil
}

// health counts what is wrong: rows under a foreign key with no parent, and views that do not compile.
func (s sqlite) health(ctx context.Context, q querier, db *Database) (map[string]int, error) {
	problems := map[string]int{}
	for _, t := range db.Tables {
		if len(t.ForeignKeys) == 0 {
			continue
		}
		if err := orphans(ctx, q, t, problems); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			problems[fmt.Sprintf("foreign keys of %s: %s", t.Name, err)] = 1
		}
	}
	for _, v := range db.Views {
		err := compiles(ctx, q, v)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			problems[fmt.Sprintf("view %s: %s", v.Name, err)] = 1
		}
	}
	return problems, nil
}

func compiles(ctx context.Context, q querier, view Object) error {
	rows, err := q.QueryContext(ctx, "SELECT * FROM "+quoteName(view.Name)+" LIMIT 0")
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	rows.Next()
	return rows.Err()
}

func orphans(ctx context.Context, q querier, t *TableInfo, into map[string]int) error {
	rows, err := q.QueryContext(ctx, "SELECT parent, count(*) FROM pragma_foreign_key_check(?) GROUP BY parent", t.Name)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	for rows.Next() {
		var parent string
		var n int
		if err := rows.Scan(&parent, &n); err != nil {
			return err
		}
		into[fmt.Sprintf("rows of %s without their parent in %s", t.Name, parent)] = n
	}
	return rows.Err()
}
