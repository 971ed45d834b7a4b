package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

// Case 27: eight runners on an empty schema: applied once, eight successes, no lock left.
func TestPostgresConcurrently(t *testing.T) {
	db, url := pgOpen(t)
	schema := files(t, "t.yaml", tenSteps, "u.yaml", strings.Replace(tenSteps, "increments", "nanoid, primary: true", 1))
	plan := planFor(t, db, schema)
	applied := make([]bool, 8)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range applied {
		db := pgConnect(t, url) // a pool each, as processes have
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
	if got := query(t, db, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"); got != "2|2|0\n" {
		t.Errorf("rows and locks %q", got)
	}
	if p := planFor(t, db, schema); !p.Empty() {
		t.Errorf("second plan: %s", p)
	}
}

// A runner of another schema does not wait.
func TestPostgresLockIsOfTheSchema(t *testing.T) {
	url := testkit.Postgres(t)
	var dbs []*sql.DB
	for range 2 {
		own, err := pgSchema(url)
		if err != nil {
			t.Fatal(err)
		}
		dbs = append(dbs, pgConnect(t, own))
	}
	plan := planFor(t, dbs[1], files(t, "t.yaml", beforeKill))
	outer := planFor(t, dbs[0], files(t, "t.yaml", beforeKill))
	var inner error
	_, err := outer.Apply(t.Context(), dbs[0], ApplyOptions{Progress: func(e Event) {
		if e.Step == 1 && !e.Done {
			_, inner = plan.Apply(t.Context(), dbs[1], ApplyOptions{LockTimeout: time.Second})
		}
	}})
	if err != nil || inner != nil {
		t.Fatalf("outer %v, inner %v", err, inner)
	}
	again := planFor(t, dbs[0], files(t, "t.yaml", tenSteps))
	_, err = again.Apply(t.Context(), dbs[0], ApplyOptions{Progress: func(e Event) {
		if e.Step == 1 && !e.Done && inner == nil {
			_, inner = again.Apply(t.Context(), pgConnect(t, dsnOf(t, dbs[0], url)), ApplyOptions{LockTimeout: 50 * time.Millisecond})
		}
	}})
	if err != nil || !errors.Is(inner, context.DeadlineExceeded) {
		t.Fatalf("of the same schema: outer %v, inner %v", err, inner)
	}
}

func dsnOf(t *testing.T, db *sql.DB, url string) string {
	t.Helper()
	return url + "&search_path=" + strings.TrimSpace(query(t, db, "SELECT current_schema()"))
}

// The plan that is killed has steps of both kinds. The rows of before are there.
const (
	pgBefore = `
columns:
  id: increments
  a: integer
  b: integer
  s: string
indexes:
  - {columns: [b]}
`
	pgAfter = `
columns:
  id: increments
  a: {type: integer, nullable: false, backfill: 5, unsigned: true}
  b: {type: bigInteger}
  s: {type: string, unique: true}
  e: {type: enum, values: [x, y], default: x}
  f: {type: string, backfill: {expression: "'f' || id"}}
  u: {type: integer, references: {table: u}}
indexes:
  - {columns: [a]}
seedKey: s
seed:
  - {s: seed, a: 1}
`
	pgParents = "columns: {id: increments, n: {type: integer, unique: true}}\nseedKey: n\nseed: [{n: 1}]"
)

func pgTarget() fstest.MapFS {
	return fstest.MapFS{"s/t.yaml": {Data: []byte(pgAfter)}, "s/u.yaml": {Data: []byte(pgParents)}}
}

func pgFill(t testing.TB, db *sql.DB) {
	t.Helper()
	apply(t, db, files(t, "t.yaml", pgBefore))
	run(t, db, "INSERT INTO t (a, b, s) SELECT CASE WHEN i % 2 = 0 THEN i END, i, 's' || i FROM generate_series(1, 20) i")
}

func pgApplyChild(args []string) int {
	db, err := sql.Open("pgx", args[0])
	if err == nil {
		defer db.Close()
		err = pgApplyChildOn(db, args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("done")
	return 0
}

func pgApplyChildOn(db *sql.DB, stop string) error {
	schema, err := LoadFS(pgTarget(), "s")
	if err != nil {
		return err
	}
	plan, err := planOn(db, schema, Options{})
	if err != nil {
		return err
	}
	_, err = plan.Apply(context.Background(), db, ApplyOptions{Approve: plan.Hash, afterStep: func(n int) {
		fmt.Println("step", n)
		if fmt.Sprint(n) == stop {
			select {} // hold the lock until killed
		}
	}})
	return err
}

// pgDefinitions prints the definitions and rows of a schema, without what differs between two that are alike.
const pgDefinitions = `SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = current_schema()
	UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text, '' FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
	UNION ALL SELECT relname, indisvalid::text, replace(pg_get_indexdef(indexrelid), current_schema() || '.', ''), '', '' FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = current_schema()::regnamespace
	UNION ALL SELECT 't', CASE WHEN s = 'seed' THEN 'seed' ELSE id::text END, row(a, b, s, e, f, u)::text, '', '' FROM t
	UNION ALL SELECT 'plans', count(*)::text, '', '', '' FROM _odac_plan
	ORDER BY 1, 2, 3`

// Cases 26 and 27: killed after any step, the next run finishes, with one approval, and nothing is done twice.
func TestPostgresKilled(t *testing.T) {
	url := testkit.Postgres(t)
	target, err := LoadFS(pgTarget(), "s")
	if err != nil {
		t.Fatal(err)
	}
	want, steps := "", 0
	for step := 0; step == 0 || step <= steps; step++ {
		own, err := pgSchema(url)
		if err != nil {
			t.Fatal(err)
		}
		db := pgConnect(t, own)
		pgFill(t, db)
		plan := planFor(t, db, target)
		steps = len(plan.Steps)
		if step == 0 { // not killed
			t.Log(plan)
		} else {
			child := testkit.Spawn(t, "apply-postgres", own, fmt.Sprint(step))
			for line, ok := child.Line(); line != fmt.Sprintf("step %d", step); line, ok = child.Line() {
				if !ok {
					t.Fatalf("child ended before step %d", step)
				}
			}
			child.Kill()
		}
		report, err := plan.Apply(t.Context(), db, ApplyOptions{Approve: plan.Hash, LockTimeout: 20 * time.Second})
		if err != nil || !report.Applied {
			t.Fatalf("killed after step %d of %d: the rerun: %+v, %v", step, steps, report, err)
		}
		if p := planFor(t, db, target); !p.Empty() {
			t.Fatalf("killed after step %d: the plan after the rerun: %s", step, p)
		}
		switch got := query(t, db, pgDefinitions); {
		case step == 0:
			want = got
		case got != want:
			t.Fatalf("killed after step %d: the rerun leads to\n%s\nwithout the kill\n%s", step, got, want)
		}
	}
	if steps < 10 {
		t.Fatalf("only %d steps were tried", steps)
	}
}

// Case 22: an index on a table with rows: writers go on; a run that is killed in the middle leaves an index that is not valid, and another
// builds it anew.
func TestPostgresIndexKilled(t *testing.T) {
	db, url := pgOpen(t)
	schema := files(t, "t.yaml", pgBefore)
	apply(t, db, schema)
	run(t, db, "INSERT INTO t (a) SELECT i FROM generate_series(1, 1000) i", "ALTER TABLE t ALTER a SET DEFAULT NULL")
	target := files(t, "t.yaml", strings.Replace(pgBefore, "- {columns: [b]}", "- {columns: [b]}\n  - {columns: [a], unique: true}", 1))
	writer, err := db.Begin() // the index waits for it
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Exec("UPDATE t SET b = 1 WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		plan, err := planOn(pgConnect(t, url), target, Options{})
		if err == nil {
			_, err = plan.Apply(ctx, pgConnect(t, url), ApplyOptions{})
		}
		done <- err
	}()
	const invalid = "SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = current_schema()::regnamespace AND NOT indisvalid"
	testkit.Eventually(t, "an index is half built", func() bool { return query(t, db, invalid) == "1\n" })
	other := pgConnect(t, url+"&lock_timeout=200ms")
	run(t, other, "UPDATE t SET b = 2 WHERE id = 2", "INSERT INTO t (a) VALUES (5000)")
	cancel()
	if err := <-done; err == nil {
		t.Fatal("the build was not interrupted")
	}
	testkit.Eventually(t, "the server has ended the session", func() bool {
		return query(t, db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == "0\n"
	})
	if err := writer.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := query(t, db, invalid); got != "1\n" {
		t.Fatalf("%s indexes are not valid after the kill", got)
	}
	// Another schema does not want it: it is taken away. A third wants it again.
	apply(t, db, schema)
	if got := query(t, db, invalid); got != "0\n" {
		t.Fatal("the half built index is still there")
	}
	run(t, db, "INSERT INTO t (a) VALUES (5000)")
	if _, err := db.Exec("CREATE UNIQUE INDEX CONCURRENTLY t_a_unique ON t (a)"); err == nil { // by hand, and it fails
		t.Fatal("the duplicate was not seen")
	}
	_, err = planFor(t, db, target).Apply(t.Context(), db, ApplyOptions{})
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v, want a refusal of the duplicate", err)
	}
	run(t, db, "DELETE FROM t WHERE id = (SELECT max(id) FROM t)")
	apply(t, db, target)
	if got := query(t, db, invalid); got != "0\n" {
		t.Fatal("the index is not valid")
	}
	if p := planFor(t, db, target); !p.Empty() {
		t.Fatalf("second plan: %s", p)
	}
}

// Case 28: while a reader holds the table the apply tries again and again, and nobody behind it waits for longer than twice its lock
// timeout; over budget it ends, and the plan stays valid.
func TestPostgresLongReader(t *testing.T) {
	db, url := pgOpen(t)
	pgFill(t, db)
	reader, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec("SELECT count(*) FROM t"); err != nil {
		t.Fatal(err)
	}
	plan := planFor(t, db, files(t, "t.yaml", strings.Replace(pgBefore, "s: string", "s: string\n  n: text", 1)))
	stop := make(chan struct{})
	others := make(chan error, 1)
	go func() {
		db := pgConnect(t, url+"&lock_timeout=1500ms") // the server measures, and slow machines are allowed for: of the budget it is a quarter
		for {
			if _, err := db.Exec("SELECT count(*) FROM t"); err != nil {
				others <- err
				return
			}
			select {
			case <-stop:
				others <- nil
				return
			default:
			}
		}
	}()
	tries := 0
	_, err = plan.Apply(t.Context(), db, ApplyOptions{LockTimeout: 6 * time.Second, Progress: func(e Event) {
		if strings.Contains(e.Message, "waiting for other connections") {
			tries++
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "the plan stays valid") || tries < 2 {
		t.Fatalf("under the reader: %v after %d tries", err, tries)
	}
	close(stop)
	if err := <-others; err != nil {
		t.Fatalf("a reader behind the apply: %v", err)
	}
	if got := query(t, db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); got != "0\n" {
		t.Fatalf("locks left: %s", got)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if report, err := plan.Apply(t.Context(), db, ApplyOptions{}); err != nil || !report.Applied {
		t.Fatalf("after the reader: %v", err)
	}
	if got := query(t, db, "SHOW lock_timeout"); got != "0\n" {
		t.Fatalf("the session's lock_timeout afterwards: %s", got)
	}
}

// An open transaction is refused, and planning inside of one leaves it open and as it was.
func TestPostgresOpenTransaction(t *testing.T) {
	db, _ := pgOpen(t)
	schema := files(t, "t.yaml", tenSteps)
	plan := planFor(t, db, schema)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string) {
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec("BEGIN")
	exec("CREATE TABLE mine (x integer)")
	if _, err := (postgres{}).lock(t.Context(), conn); !errors.Is(err, ErrBusyConnection) {
		t.Fatalf("error %v, want ErrBusyConnection", err)
	}
	if p, err := MakePlan(t.Context(), conn, schema, Options{}); err != nil || len(p.Steps) != len(plan.Steps) {
		t.Fatalf("in the transaction: %v, %v", p, err)
	}
	exec("COMMIT")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if got := query(t, db, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"); got != "mine\n" {
		t.Fatalf("tables %q", got)
	}
}

// A constraint that was not validated is drift if it was made so by hand, and validated if the schema wants it.
func TestPostgresNotValid(t *testing.T) {
	db, _ := pgOpen(t)
	schema := files(t, "u.yaml", "columns: {id: increments}", "t.yaml", "columns: {id: increments, u: {type: integer, references: {table: u}}, e: {type: enum, values: [a]}}")
	apply(t, db, schema)
	run(t, db, "INSERT INTO t DEFAULT VALUES")
	name := strings.TrimSpace(query(t, db, "SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'f'"))
	check := strings.TrimSpace(query(t, db, "SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c'"))
	run(t, db, "ALTER TABLE t DROP CONSTRAINT "+name, "ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u NOT VALID",
		"ALTER TABLE t DROP CONSTRAINT "+check, "ALTER TABLE t ADD CHECK (e IN ('a')) NOT VALID")
	plan := planFor(t, db, schema)
	if len(plan.Drift) != 2 {
		t.Fatalf("drift %v", plan.Drift)
	}
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); !errors.Is(err, ErrDrift) {
		t.Fatalf("error %v, want ErrDrift", err)
	}
	plan, err := planOn(db, schema, Options{Drift: "revert"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := query(t, db, "SELECT count(*), bool_and(convalidated) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype IN ('c', 'f')"); got != "2|true\n" {
		t.Fatalf("constraints: %s", got)
	}
	if p := planFor(t, db, schema); !p.Empty() || len(p.Drift) > 0 {
		t.Fatalf("second plan: %s", p)
	}
}

// A plugin's expression cannot reach out of its row.
func TestPostgresExpressions(t *testing.T) {
	db, _ := pgOpen(t)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, expr := range []string{
		"query_to_xml('select 1', true, true, '')::text", "pg_read_file('/etc/passwd')", `"pg_read_file"('/etc/passwd')`, "pg_catalog.pg_sleep(1)::text", "nextval('x')", "ARRAY[(1)]::text",
	} {
		schema := files(t, "t.yaml", fmt.Sprintf("columns: {id: increments, a: {type: text, default: {expression: %q}}}", expr))
		if _, err := MakePlan(t.Context(), conn, schema, Options{}); err == nil || !strings.Contains(err.Error(), "schema/t.yaml:1: column a: ") {
			t.Errorf("%s: error %v", expr, err)
		}
	}
	schema := files(t, "t.yaml", "columns: {id: increments, a: {type: text, default: {expression: upper('x' || 1)}}, b: {type: integer, default: {expression: now()}}}")
	apply(t, db, schema)
	if p := planFor(t, db, schema); !p.Empty() {
		t.Errorf("second plan: %s", p)
	}
}
