package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

// mariadbBefore and mariadbAfter are the ends of a plan of more than ten steps: tables made and dropped, a backfill, a copy, indexes,
// keys, orphans, seeds and a column that goes.
var (
	mariadbBefore = []string{
		"p.yaml", "columns: {id: increments}",
		"old.yaml", "columns: {id: increments}",
		"t.yaml", "columns:\n  id: increments\n  a: integer\n  b: integer\n  p: integer\n  gone: text\n  name: string\n",
	}
	mariadbAfter = []string{
		"p.yaml", "columns: {id: increments}\nseedKey: id\nseed: [{id: 5}]",
		"u.yaml", tenSteps[:strings.Index(tenSteps, "  c: {type")] + "indexes:\n  - {columns: [b]}\nseedKey: a\nseed: [{a: 1}, {a: 2}]",
		"w.yaml", "columns:\n  id: increments\n  t: {type: integer, references: {table: t}, onDelete: cascade}\n",
		"t.yaml", "columns:\n  id: increments\n  a: {type: integer, unique: true}\n  b: {type: string, default: x}\n" +
			"  c: {type: string, nullable: false, backfill: {expression: \"concat('c', a)\"}}\n" +
			"  d: {type: string, nullable: false, backfill: d}\n" +
			"  p: {type: integer, references: {table: p}, onDelete: set null}\n  login: {type: string, renamedFrom: name}\n",
	}
)

func mariadbRows(t testing.TB, db *sql.DB) {
	t.Helper()
	apply(t, db, files(t, mariadbBefore...))
	run(t, db, "INSERT INTO p (id) VALUES (1)", "INSERT INTO t (a, b, p, gone, name) VALUES (7, 8, 1, 'gone', 'ann'), (8, 9, 99, NULL, 'bob')", "INSERT INTO old () VALUES ()")
}

func mapFS(pairs []string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		out["schema/"+pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return out
}

// applyMariaDBChild applies mariadbAfter to the database and says each step that is done. It stops after the step in its second argument.
func applyMariaDBChild(args []string) int {
	err := func() error {
		db, err := sql.Open("mysql", args[0])
		if err != nil {
			return err
		}
		defer db.Close()
		schema, err := LoadFS(mapFS(mariadbAfter), "schema")
		if err != nil {
			return err
		}
		plan, err := planOn(db, schema, Options{})
		if err != nil {
			return err
		}
		fmt.Println("hash", plan.Hash)
		_, err = plan.Apply(context.Background(), db, ApplyOptions{
			Approve:  plan.Hash,
			Progress: func(e Event) { fmt.Println(progressLine(e)) },
			afterStep: func(n int) {
				fmt.Println("step", n)
				if fmt.Sprint(n) == args[1] {
					select {} // hold the lock until killed
				}
			},
		})
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("done")
	return 0
}

func progressLine(e Event) string {
	if !e.Done {
		return "begins"
	}
	return fmt.Sprintf("done %s|%s", e.Kind, e.Message)
}

// Cases 26 and 27: killed after any step, the next run goes on there under the approval of the first: nothing twice, nothing lost, no
// drift, no lock left.
func TestMariaDBKilled(t *testing.T) {
	testkit.MariaDB(t)
	steps := 11
	if testing.Short() {
		steps = 3
	}
	for step := 1; step <= steps; step++ {
		dsn := testkit.MariaDB(t)
		db := openMariaDB(t, dsn)
		mariadbRows(t, db)
		target := files(t, mariadbAfter...)
		child := testkit.Spawn(t, "apply-mariadb", dsn, fmt.Sprint(step))
		var hash string
		var done []string
		for {
			line, ok := child.Line()
			if !ok {
				t.Fatalf("child ended before step %d", step)
			}
			if line == fmt.Sprintf("step %d", step) {
				break
			}
			if text, ok := strings.CutPrefix(line, "hash "); ok {
				hash = text
			}
			if text, ok := strings.CutPrefix(line, "done "); ok {
				done = append(done, text)
			}
		}
		child.Kill()
		if len(done) != step {
			t.Fatalf("after step %d these were done: %q", step, done)
		}
		plan := planFor(t, db, target)
		if len(plan.Drift) > 0 {
			t.Fatalf("killed after step %d: drift %v", step, plan.Drift)
		}
		report, err := plan.Apply(t.Context(), db, ApplyOptions{Approve: hash, Progress: func(e Event) {
			line := strings.TrimPrefix(progressLine(e), "done ")
			transaction := e.Kind == SeedRows || e.Kind == NullOrphans || e.Kind == Record // taken back by the kill
			if e.Done && !transaction && slices.Contains(done, line) {
				t.Errorf("killed after step %d: done twice: %s", step, line)
			}
			if !e.Done && e.Step > 0 {
				return
			}
			if e.Done {
				done = append(done, line)
			}
		}})
		if err != nil {
			t.Fatalf("killed after step %d: %v\nplan: %s", step, err, plan)
		}
		if !report.Applied {
			t.Fatalf("killed after step %d: the rerun did nothing", step)
		}
		if next := planFor(t, db, target); !next.Empty() || len(next.Notes) > 0 {
			t.Fatalf("killed after step %d, the second plan: %s", step, next)
		}
		if got := query(t, db, "SELECT a, b, c, d, p, login FROM t ORDER BY a"); got != "7|8|c7|d|1|ann\n8|9|c8|d|<nil>|bob\n" {
			t.Fatalf("killed after step %d: rows %q", step, got)
		}
		if got := query(t, db, "SELECT (SELECT count(*) FROM u), (SELECT count(*) FROM p), (SELECT count(*) FROM _odac_plan)"); got != "2|2|0\n" {
			t.Fatalf("killed after step %d: counts %q", step, got)
		}
		if step == 1 {
			t.Logf("%q", done)
			if len(done) < 10 {
				t.Errorf("only %d steps were tried", len(done))
			}
		}
	}
}

// Case 27: eight runners on an empty database: applied once, eight successes, no lock left.
func TestMariaDBConcurrently(t *testing.T) {
	dsn := testkit.MariaDB(t)
	schema := files(t, mariadbAfter...)
	plan := planFor(t, openMariaDB(t, dsn), schema)
	applied := make([]bool, 8)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range applied {
		db := openMariaDB(t, dsn) // a pool each, as processes have
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
	if got := query(t, openMariaDB(t, dsn), "SELECT (SELECT count(*) FROM u), (SELECT count(*) FROM p)"); got != "2|1\n" {
		t.Errorf("rows %q", got)
	}
}

// Case 28: a long reader on the table: the plan is tried again, another reader waits at most twice the second that a statement of ours
// may wait, and over budget it ends and the plan stays valid.
func TestMariaDBLongReader(t *testing.T) {
	db := mariadb(t)
	apply(t, db, files(t, "t.yaml", beforeKill))
	run(t, db, "INSERT INTO t (a) VALUES (1)")
	plan := planFor(t, db, files(t, "t.yaml", "columns: {id: increments, a: integer, b: integer, c: text}"))
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow("SELECT count(*) FROM t").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := plan.Apply(t.Context(), db, ApplyOptions{LockTimeout: 8 * time.Second})
		result <- err
	}()
	var slowest time.Duration
	for ended := false; !ended; {
		select {
		case err = <-result:
			ended = true
		default:
			start := time.Now()
			if err := db.QueryRow("SELECT count(*) FROM t").Scan(new(int)); err != nil {
				t.Fatal(err)
			}
			slowest = max(slowest, time.Since(start))
		}
	}
	if err == nil || !strings.Contains(err.Error(), "other connections held a lock for longer than") {
		t.Errorf("error %v, want one of the budget", err)
	}
	t.Logf("the slowest of the other readers took %v", slowest)
	if slowest > 6*time.Second || slowest < 100*time.Millisecond { // slow machines are allowed for
		t.Errorf("the slowest of the other readers took %v, want one that waited, and not for as long as the apply did", slowest)
	}
	go func() {
		_, err := plan.Apply(t.Context(), db, ApplyOptions{Progress: func(e Event) {
			if strings.Contains(e.Message, "waiting for other connections") && tx != nil {
				_ = tx.Rollback()
				tx = nil
			}
		}})
		result <- err
	}()
	if err := <-result; err != nil {
		t.Errorf("once the reader ended: %v", err)
	}
	if next := planFor(t, db, files(t, "t.yaml", "columns: {id: increments, a: integer, b: integer, c: text}")); !next.Empty() {
		t.Errorf("second plan: %s", next)
	}
}

// The connection comes back as it was, an open transaction is refused, and what a session is set to changes nothing.
func TestMariaDBSession(t *testing.T) {
	db := mariadb(t)
	db.SetMaxOpenConns(1)
	const settings = "SELECT @@sql_mode, @@time_zone, @@foreign_key_checks, @@lock_wait_timeout, @@sql_quote_show_create, @@character_set_results, @@sql_safe_updates"
	run(t, db, "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', time_zone = '+05:00', sql_quote_show_create = 0, sql_safe_updates = 1, "+
		"explicit_defaults_for_timestamp = 0, character_set_client = latin1, character_set_results = latin1, max_statement_time = 3")
	before := query(t, db, settings)
	schema := files(t, "t.yaml", "columns:\n  id: increments\n  ue: {type: string, default: 'ü\\''''\"x'}\n  e: {type: enum, values: ['a\\b', \"it's\"]}\n"+
		"  at: {type: specificType, specificType: TIMESTAMP}\n  k: {type: string, unique: true}\nseedKey: k\nseedMode: sync\nseed: [{k: 'a\\''b', e: 'a\\b', ue: 'x\\'}]")
	run(t, db, "BEGIN")
	if _, err := planOn(db, files(t, "t.yaml", beforeKill), Options{}); !errors.Is(err, ErrBusyConnection) {
		t.Errorf("status in a transaction: %v", err)
	}
	run(t, db, "ROLLBACK")
	plan := planFor(t, db, schema)
	run(t, db, "BEGIN")
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); !errors.Is(err, ErrBusyConnection) {
		t.Errorf("apply in a transaction: %v", err)
	}
	run(t, db, "ROLLBACK")
	if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if after := query(t, db, settings); after != before {
		t.Errorf("the session was %s, now %s", before, after)
	}
	run(t, db, "SET sql_mode = DEFAULT, sql_quote_show_create = 1, character_set_client = utf8mb4, character_set_results = utf8mb4")
	if next := planFor(t, db, schema); !next.Empty() {
		t.Errorf("second plan in another session: %s", next)
	}
	if got := query(t, db, "SELECT k, e, ue FROM t"); got != "a\\'b|a\\b|x\\\n" {
		t.Errorf("seed %q", got)
	}
	if got := query(t, db, "SELECT COLUMN_DEFAULT FROM information_schema.columns WHERE table_schema = database() AND column_name = 'at'"); got != "NULL\n" {
		t.Errorf("the default of the timestamp is %q", got)
	}
}

func BenchmarkMariaDBPlan500(b *testing.B) {
	db := mariadb(b)
	var pairs []string
	for i := range 500 {
		pairs = append(pairs, fmt.Sprintf("t%03d.yaml", i), strings.NewReplacer("c: {type: text}",
			fmt.Sprintf("c: {type: text}\n  p: {type: integer, references: {table: t%03d}}", (i+1)%500), "  - {columns: [c], where: \"c IS NOT NULL\"}\n", "").Replace(tenSteps))
	}
	schema := files(b, pairs...)
	start := time.Now()
	planFor(b, db, schema)
	b.Logf("plan of an empty database: %v", time.Since(start))
	apply(b, db, schema)
	b.ResetTimer()
	for b.Loop() {
		if p := planFor(b, db, schema); !p.Empty() {
			b.Fatal(p)
		}
	}
}
