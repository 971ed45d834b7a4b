package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	sqlitedriver "github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/migrate"
)

// migrateTables is how many tables the plan that is timed looks at.
const migrateTables = 500

// migrateServers open an empty database of each kind.
var migrateServers = []struct {
	name string
	open func(t testing.TB, b *bench) (*sql.DB, error)
}{
	{"sqlite", func(_ testing.TB, b *bench) (*sql.DB, error) {
		return sqlitedriver.Open("file:" + filepath.ToSlash(filepath.Join(b.dir, "plan.db")) + "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)")
	}},
	{"pg", func(t testing.TB, _ *bench) (*sql.DB, error) {
		_, url := testkit.PostgresServer(t)
		return sql.Open("pgx", url)
	}},
	{"mariadb", func(t testing.TB, _ *bench) (*sql.DB, error) {
		_, dsn := testkit.MariaDBServer(t)
		return sql.Open("mysql", dsn)
	}},
}

// suiteMigrate is how long a plan takes that finds nothing to do, and for how long a writer of a large table waits while a plan is applied.
func suiteMigrate(ctx context.Context, b *bench) error {
	for _, s := range migrateServers {
		if err := withServer(ctx, func(t testing.TB) error { return b.plan500(ctx, t, s.name, s.open) }); err != nil {
			return err
		}
	}
	return withServer(ctx, func(t testing.TB) error { return migrateBlock(ctx, t) })
}

const migrateTable = `
columns:
  id: increments
  a: {type: integer, unique: true}
  b: {type: string, default: x}
  c: text
  d: {type: decimal, default: 1.5}
  e: {type: enum, values: [x, y], nullable: false, default: x}
  next: {type: integer, references: {table: t%03d}, onDelete: cascade}
  times: {type: timestamps}
indexes:
  - {columns: [b]}
  - {columns: [c], where: "c IS NOT NULL"}
`

func (b *bench) plan500(ctx context.Context, t testing.TB, name string, open func(testing.TB, *bench) (*sql.DB, error)) error {
	db, err := open(t, b)
	if err != nil {
		return err
	}
	defer db.Close()
	table := migrateTable
	if name == "mariadb" { // which has no index over some rows, nor over texts
		table = strings.Replace(table, "{columns: [c], where: \"c IS NOT NULL\"}", "{columns: [d]}", 1)
	}
	files := fstest.MapFS{}
	for i := range migrateTables {
		files[fmt.Sprintf("t%03d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, table, (i+1)%migrateTables)}
	}
	schema, err := migrate.LoadFS(files, ".")
	if err != nil {
		return err
	}
	if _, err := migrateTo(ctx, db, schema, nil); err != nil {
		return err
	}
	var took []float64
	for range 5 {
		began := time.Now()
		plan, err := migrateStatus(ctx, db, schema)
		if err != nil {
			return err
		}
		if !plan.Empty() {
			return fmt.Errorf("the second plan is not empty: %s", plan)
		}
		took = append(took, ms(began))
	}
	figure("migrate."+name+".plan500_ms", median(took), "ms")
	return nil
}

func migrateStatus(ctx context.Context, db *sql.DB, schema *migrate.Schema) (*migrate.Plan, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return migrate.Status(ctx, conn, schema, migrate.Options{})
}

// migrateTo applies a schema, with approval of what needs it.
func migrateTo(ctx context.Context, db *sql.DB, schema *migrate.Schema, progress func(migrate.Event)) (*migrate.Plan, error) {
	plan, err := migrateStatus(ctx, db, schema)
	if err != nil {
		return nil, err
	}
	_, err = plan.Apply(ctx, db, migrate.ApplyOptions{Approve: plan.Hash, Progress: progress})
	return plan, err
}

// serverTB lends testkit what it needs of a test, outside of one.
type serverTB struct {
	testing.TB
	ctx  context.Context // of the suite
	ends []func()
}

// serverError is what testkit could not do.
type serverError string

func (t *serverTB) Helper()                      {}
func (t *serverTB) Failed() bool                 { return false }
func (t *serverTB) Context() context.Context     { return t.ctx }
func (t *serverTB) Cleanup(end func())           { t.ends = append(t.ends, end) }
func (t *serverTB) Logf(format string, a ...any) { fmt.Printf("# "+format+"\n", a...) }
func (t *serverTB) Fatalf(format string, a ...any) {
	panic(serverError(fmt.Sprintf(format, a...)))
}
func (t *serverTB) Skipf(format string, a ...any) { t.Fatalf(format, a...) }

// withServer runs do, and ends the servers that it started.
func withServer(ctx context.Context, do func(t testing.TB) error) (err error) {
	t := &serverTB{ctx: ctx}
	defer func() {
		for _, end := range t.ends {
			end()
		}
		if what := recover(); what != nil {
			said, ok := what.(serverError)
			if !ok {
				panic(what)
			}
			err = fmt.Errorf("start a server: %s", said)
		}
	}()
	return do(t)
}
