package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/odac-run/odachost/internal/testkit"
)

const (
	killedFrom = "columns:\n  id: increments\n  a: {type: string, length: 40, nullable: false}\n  n: {type: string, length: 20, default: '5'}\nindexes: [{columns: [a], unique: true, name: by}, {columns: [n]}]\n"
	killedTo   = "columns:\n  id: increments\n  b: {type: string, length: 40, nullable: false, renamedFrom: a}\n  n: {type: integer, default: 5}\nindexes: [{columns: [b], unique: true, name: by}, {columns: [n]}]\n"
)

// twinChild brings a database from killedFrom to killedTo as a deploy does, and stays at the event of that number until it is killed.
func twinChild(args []string) int {
	if err := twinChildRun(args[0], args[1], args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("done")
	return 0
}

func twinChildRun(driver, dsn, stop string) error {
	ctx := context.Background()
	at, err := strconv.Atoi(stop)
	if err != nil {
		return err
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	schema, err := LoadFS(fstest.MapFS{"s/things.yaml": {Data: []byte(killedTo)}}, "s")
	if err != nil {
		return err
	}
	twinBatch = 15
	n := 0
	for _, stage := range []ApplyOptions{{ExpandOnly: true}, {NoContract: true}, {}} {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		plan, err := Status(ctx, conn, schema, online)
		if err != nil {
			return err
		}
		if err := conn.Close(); err != nil {
			return err
		}
		stage.Approve = plan.Hash
		stage.Progress = func(e Event) {
			if !e.Done && e.Rows == 0 { // as the end of the step before
				return
			}
			if n++; n == at {
				fmt.Println("at", n)
				select {}
			}
		}
		if _, err := plan.Apply(ctx, db, stage); err != nil {
			return fmt.Errorf("%w\n%s", err, plan)
		}
	}
	return nil
}

// Killed at any moment of expand, backfill, switch and contract: both revisions write on as long as their column is there, and a rerun
// finishes with every row.
func TestTwinKilled(t *testing.T) {
	for name, server := range twinServers {
		t.Run(name, func(t *testing.T) { testTwinKilled(t, server) })
	}
}

func testTwinKilled(t *testing.T, server twinServer) {
	from, to := files(t, "things.yaml", killedFrom), files(t, "things.yaml", killedTo)
	events := 0
	for event := 1; ; event++ {
		db, driver, dsn := server(t)
		advance(t, db, from, Options{}, ApplyOptions{})
		for i := range 40 {
			run(t, db, fmt.Sprintf("INSERT INTO things (a, n) VALUES ('v%d', '%d')", i, i))
		}
		child := testkit.Spawn(t, "twin", driver, dsn, fmt.Sprint(event))
		line, ok := child.Line()
		if !ok {
			t.Fatalf("event %d: the child ended", event)
		}
		if line == "done" {
			break
		}
		child.Kill()
		events++
		rows := 40
		writes := map[string]bool{}
		for _, column := range []string{"a", "b"} {
			if column == "a" && ending(t, db) {
				continue // the contract phase: no old revision is alive
			}
			if _, err := db.Exec(fmt.Sprintf("INSERT INTO things (%s, n) VALUES ('killed %s', 99)", column, column)); err == nil {
				rows++
				writes[column] = true
			}
		}
		if len(writes) == 0 {
			t.Errorf("event %d: neither revision can write", event)
		}
		run(t, db, "UPDATE things SET n = '77' WHERE n = '7'")
		for range 3 {
			advance(t, db, to, online, ApplyOptions{})
		}
		if p := mustPlan(t, db, to, Options{}); !p.Empty() {
			t.Fatalf("event %d: left: %s", event, p)
		}
		got := query(t, db, "SELECT count(*), count(DISTINCT b), min(n), max(n) FROM things")
		if want := fmt.Sprintf("%d|%d|0|99\n", rows, rows); got != want {
			t.Fatalf("event %d: %q, want %q", event, got, want)
		}
		if got := query(t, db, "SELECT b FROM things WHERE n = 77"); !strings.HasPrefix(got, "v7") {
			t.Fatalf("event %d: a write of meanwhile is lost: %q", event, got)
		}
	}
	if events < 20 {
		t.Errorf("only %d events", events)
	}
}

// ending tells whether the contract phase has begun.
func ending(t *testing.T, db *sql.DB) bool {
	conn := connOf(t, db)
	live, err := Inspect(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	twins := live.Applied["things"].Table.Twins
	return len(twins) > 0 && twins[0].Ending
}
