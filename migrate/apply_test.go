package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	sqlitedriver "github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("apply", applyChild), testkit.Child("twin", twinChild), testkit.Child("apply-mariadb", applyMariaDBChild), testkit.Child("apply-postgres", pgApplyChild))
}

// files makes a schema of name, text, name, text.
func files(t testing.TB, pairs ...string) *Schema {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys["schema/"+pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	schema, err := LoadFS(fsys, "schema")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func open(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := openFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func run(t testing.TB, db *sql.DB, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func query(t testing.TB, db *sql.DB, q string) string {
	t.Helper()
	var b strings.Builder
	if err := printRows(&b, db, q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return b.String()
}

func planFor(t testing.TB, db *sql.DB, schema *Schema) *Plan {
	t.Helper()
	plan, err := planOn(db, schema, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func apply(t testing.TB, db *sql.DB, schema *Schema) *Report {
	t.Helper()
	plan := planFor(t, db, schema)
	report, err := plan.Apply(t.Context(), db, ApplyOptions{Approve: plan.Hash})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

const tenSteps = `
columns:
  id: {type: increments}
  a: {type: integer, unique: true}
  b: {type: string, default: x}
  c: {type: text}
indexes:
  - {columns: [b]}
  - {columns: [c], where: "c IS NOT NULL"}
seedKey: a
seed:
  - {a: 1}
  - {a: 2}
`

// Case 27: eight processes' worth of runners on an empty database: applied once, eight successes.
func TestApplyConcurrently(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.db")
	schema := files(t, "t.yaml", tenSteps, "u.yaml", strings.Replace(tenSteps, "increments", "nanoid, primary: true", 1))
	plan := planFor(t, open(t, file), schema)
	applied := make([]bool, 8)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range applied {
		db := open(t, file) // a pool each, as processes have
		wg.Go(func() {
			report, err := plan.Apply(t.Context(), db, ApplyOptions{})
			errs[i] = err
			applied[i] = err == nil && report.Applied
		})
	}
	wg.Wait()
	n := 0
	for i := range applied {
		if errs[i] != nil {
			t.Errorf("runner %d: %v", i, errs[i])
		}
		if applied[i] {
			n++
		}
	}
	if n != 1 {
		t.Errorf("applied %d times, want once", n)
	}
	db := open(t, file)
	if got := query(t, db, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u)"); got != "2|2\n" {
		t.Errorf("rows %q", got)
	}
	if p := planFor(t, db, schema); !p.Empty() {
		t.Errorf("second plan: %s", p)
	}
}

const beforeKill = "columns: {id: increments, a: integer, b: integer}"

// applyChild applies tenSteps to the file and says each step that is done.
func applyChild(args []string) int {
	ctx := context.Background()
	db, err := openFile(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer db.Close()
	schema, err := LoadFS(fstest.MapFS{"s/t.yaml": {Data: []byte(tenSteps)}, "s/u.yaml": {Data: []byte(tenSteps)}}, "s")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	plan, err := planOn(db, schema, Options{})
	if err == nil {
		_, err = plan.Apply(ctx, db, ApplyOptions{Approve: plan.Hash, afterStep: func(n int) {
			fmt.Println("step", n)
			if fmt.Sprint(n) == args[1] {
				select {} // hold the lock until killed
			}
		}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("done")
	return 0
}

// Cases 26 and 27: killed after any step, the database is as before; the next run finishes, and no lock is left.
func TestApplyKilled(t *testing.T) {
	dump := "SELECT name, sql FROM sqlite_schema ORDER BY 1"
	target := files(t, "t.yaml", tenSteps, "u.yaml", tenSteps)
	steps := 0
	for step := 1; step == 1 || step <= steps; step++ {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", step))
		db := open(t, file)
		apply(t, db, files(t, "t.yaml", beforeKill))
		run(t, db, "INSERT INTO t (a, b) VALUES (7, 8)")
		before := query(t, db, dump)
		steps = len(planFor(t, db, target).Steps)
		child := testkit.Spawn(t, "apply", file, fmt.Sprint(step))
		for {
			line, ok := child.Line()
			if !ok {
				t.Fatalf("child ended before step %d", step)
			}
			if line == fmt.Sprintf("step %d", step) {
				break
			}
		}
		child.Kill()
		if after := query(t, db, dump); after != before {
			t.Fatalf("killed after step %d, the database is not as before:\n%s\nbefore:\n%s", step, after, before)
		}
		if got := query(t, db, "SELECT a, b FROM t"); got != "7|8\n" {
			t.Fatalf("rows after the kill: %q", got)
		}
		if report := apply(t, db, target); !report.Applied {
			t.Fatal("the rerun did nothing")
		}
		if got := query(t, db, "SELECT count(*) FROM t"); got != "3\n" {
			t.Fatalf("rows after the rerun: %q", got)
		}
	}
	if steps < 8 {
		t.Fatalf("only %d steps were tried", steps)
	}
}

// Case 23, its end: an open transaction is refused, and pragmas are as before.
func TestApplyOpenTransaction(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	db.SetMaxOpenConns(1)
	schema := files(t, "t.yaml", beforeKill)
	plan := planFor(t, db, schema)
	run(t, db, "PRAGMA legacy_alter_table = 1", "PRAGMA busy_timeout = 77", "BEGIN")
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); !errors.Is(err, ErrBusyConnection) {
		t.Fatalf("error %v, want ErrBusyConnection", err)
	}
	run(t, db, "ROLLBACK", "PRAGMA foreign_keys = 0", "BEGIN")
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); !errors.Is(err, ErrBusyConnection) {
		t.Fatalf("error %v, want ErrBusyConnection", err)
	}
	run(t, db, "ROLLBACK", "PRAGMA foreign_keys = 1")
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	got := query(t, db, "SELECT foreign_keys, legacy_alter_table, timeout FROM pragma_foreign_keys, pragma_legacy_alter_table, pragma_busy_timeout")
	if got != "1|1|77\n" {
		t.Errorf("pragmas after: %q", got)
	}
}

// The lock is given up when the context ends, and the plan stays valid.
func TestApplyLockTimeout(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.db")
	db, writer := open(t, file), open(t, file)
	plan := planFor(t, db, files(t, "t.yaml", beforeKill))
	tx, err := writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("CREATE TABLE busy (x)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = plan.Apply(ctx, db, ApplyOptions{Progress: func(e Event) {
		if e.Step == 0 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{LockTimeout: 1}); err == nil {
		t.Error("applied while another wrote")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if report, err := plan.Apply(t.Context(), db, ApplyOptions{}); err != nil || !report.Applied {
		t.Errorf("after the writer: %v, %v", report, err)
	}
}

// Case 28: a long reader stops nothing where there is a write-ahead log, and without one the commit waits for it: over budget the apply
// ends, and the plan stays valid.
func TestApplyLongReader(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "test.db")
			db := open(t, file)
			run(t, db, "PRAGMA journal_mode = "+mode)
			apply(t, db, files(t, "t.yaml", beforeKill))
			run(t, db, "INSERT INTO t (a) VALUES (1)")
			reader, err := open(t, file).Begin()
			if err != nil {
				t.Fatal(err)
			}
			if err := reader.QueryRow("SELECT count(*) FROM t").Scan(new(int)); err != nil {
				t.Fatal(err)
			}
			wider := files(t, "t.yaml", "columns: {id: increments, a: integer, b: integer, c: text}")
			plan := planFor(t, db, wider)
			report, err := plan.Apply(t.Context(), db, ApplyOptions{LockTimeout: time.Second})
			if got := query(t, open(t, file), "SELECT count(*) FROM t"); got != "1\n" {
				t.Errorf("another reader: %q", got)
			}
			if mode == "wal" && (err != nil || !report.Applied) {
				t.Errorf("beside a reader: %v, %v", report, err)
			}
			if mode == "delete" && (err == nil || !strings.Contains(err.Error(), "other connections held a lock for longer than 1s")) {
				t.Errorf("error %v, want one of the budget", err)
			}
			if err := reader.Rollback(); err != nil {
				t.Fatal(err)
			}
			if mode == "delete" {
				if report, err := plan.Apply(t.Context(), db, ApplyOptions{}); err != nil || !report.Applied {
					t.Errorf("after the reader: %v, %v", report, err)
				}
			}
			if p := planFor(t, db, wider); !p.Empty() {
				t.Errorf("second plan: %s", p)
			}
		})
	}
}

// A plan that went stale is made again under the lock, and an approval holds only for what was approved.
func TestApplyStalePlan(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	apply(t, db, files(t, "t.yaml", "columns: {id: increments, a: integer, b: integer}"))
	target := files(t, "t.yaml", "columns: {id: increments}")
	plan := planFor(t, db, target)
	apply(t, db, files(t, "t.yaml", "columns: {id: increments, a: integer, b: integer, c: text}"))
	run(t, db, "INSERT INTO t (c) VALUES ('precious')")
	_, err := plan.Apply(t.Context(), db, ApplyOptions{Approve: plan.Hash})
	var approval *ApprovalError
	if !errors.As(err, &approval) || approval.Hash == plan.Hash || len(approval.Hazards) != 3 {
		t.Fatalf("error %v, want an ApprovalError of another hash over three columns", err)
	}
	report, err := plan.Apply(t.Context(), db, ApplyOptions{Approve: approval.Hash})
	if err != nil || !report.Applied {
		t.Fatalf("approved: %v", err)
	}
}

func TestInMemory(t *testing.T) {
	db, err := sqlitedriver.Open("file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	apply(t, db, files(t, "t.yaml", tenSteps))
	if p := planFor(t, db, files(t, "t.yaml", tenSteps)); !p.Empty() {
		t.Errorf("second plan: %s", p)
	}
}

func BenchmarkPlan500(b *testing.B) {
	benchmarkPlan500(b, open(b, filepath.Join(b.TempDir(), "test.db")))
}

func benchmarkPlan500(b *testing.B, db *sql.DB) {
	b.Helper()
	var pairs []string
	for i := range 500 {
		pairs = append(pairs, fmt.Sprintf("t%03d.yaml", i), strings.Replace(tenSteps, "c: {type: text}",
			fmt.Sprintf("c: {type: text}\n  p: {type: integer, references: {table: t%03d}}", (i+1)%500), 1))
	}
	schema := files(b, pairs...)
	apply(b, db, schema)
	b.ResetTimer()
	for b.Loop() {
		if p := planFor(b, db, schema); !p.Empty() {
			b.Fatal(p)
		}
	}
}
