package database

import (
	"context"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/testkit"
)

// onServerEngines runs a test on every engine that has a server.
func onServerEngines(t *testing.T, run func(t *testing.T, f fixture)) {
	t.Helper()
	for _, f := range fixtures[1:] {
		t.Run(f.name, func(t *testing.T) { run(t, f) })
	}
}

// A statement that is canceled ends on the server, and its connection serves the next.
func TestServerCancelsOnTheServer(t *testing.T) { onServerEngines(t, testServerCancelsOnTheServer) }

func testServerCancelsOnTheServer(t *testing.T, f fixture) {
	db := f.newDB(t, func(c *Config) { c.ConnectionLimit, c.StatementTimeout = 1, -1 }) // nothing else ends it
	fillLog(t, db)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := db.Query(ctx, slow, Budget{}, nil); errnoOf(err) != abi.ErrnoTimeout {
		t.Fatal(err)
	}
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "nothing runs any more", func() bool {
		var running int
		err := std.QueryRowContext(t.Context(), map[string]string{
			typePostgres: "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()",
			typeMySQL:    "SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = database() AND COMMAND IN ('Query', 'Execute') AND ID <> connection_id()",
		}[db.cfg.Type]).Scan(&running)
		if err != nil {
			t.Fatal(err)
		}
		return running == 0
	})
	count(t, db, "log")
}

func TestServerStatementTimeout(t *testing.T) { onServerEngines(t, testServerStatementTimeout) }

func testServerStatementTimeout(t *testing.T, f fixture) {
	db := f.newDB(t, func(c *Config) { c.StatementTimeout = 50 * time.Millisecond })
	ddl(t, db, map[string]string{
		typePostgres: "INSERT INTO log (what) SELECT 'x' FROM generate_series(1, 3000)",
		typeMySQL:    "INSERT INTO log (what) SELECT 'x' FROM seq_1_to_3000",
	}[db.cfg.Type])
	tx := begin(t, db, false)
	must(t, tx, insert("users", "name", "a"))
	for _, q := range []querier{db, tx} {
		if _, err := query(q, slow); errnoOf(err) != abi.ErrnoTimeout {
			t.Errorf("got %v", err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil || count(t, db, "users") != 1 {
		t.Errorf("the transaction goes on after a statement that took too long: %v", err)
	}
}

// Two writers that lock in opposite order: one is told to run again, and nothing of it stays.
func TestServerDeadlock(t *testing.T) { onServerEngines(t, testServerDeadlock) }

func testServerDeadlock(t *testing.T, f fixture) {
	db := f.newDB(t)
	seed(t, db)
	a, b := begin(t, db, false), begin(t, db, false)
	set := func(id int) *abi.Query {
		return update("users", where(cond(abi.CondEq, "id", id)), "age", 99)
	}
	must(t, a, set(1))
	must(t, b, set(2))
	done := make(chan error)
	go func() {
		_, err := query(a, set(2))
		done <- err
	}()
	_, errB := query(b, set(1))
	errA := <-done
	loser, winner, err := b, a, errB
	if errB == nil {
		loser, winner, err = a, b, errA
	}
	if errnoOf(err) != abi.ErrnoRetry || (errA == nil) == (errB == nil) {
		t.Fatalf("%v, %v", errA, errB)
	}
	if _, err := query(loser, set(3)); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("the loser goes on: %v", err)
	}
	if err := winner.Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServerIsolation(t *testing.T) { onServerEngines(t, testServerIsolation) }

func testServerIsolation(t *testing.T, f fixture) {
	db := f.newDB(t)
	must(t, db, insert("users", "name", "a", "age", 1))
	tx, err := db.Begin(t.Context(), TxOptions{Isolation: abi.IsolationSerializable})
	if err != nil {
		t.Fatal(err)
	}
	count(t, tx, "users")
	if is(db, typePostgres) { // MySQL locks what was read: the other would wait
		must(t, db, update("users", everyRow, "age", 2))
		if _, err := query(tx, update("users", everyRow, "age", 3)); errnoOf(err) != abi.ErrnoRetry {
			t.Errorf("a lost update: %v", err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	tx = begin(t, db, false) // read committed: sees what others commit
	count(t, tx, "users")
	must(t, db, insert("users", "name", "b"))
	if count(t, tx, "users") != 2 {
		t.Error("no read committed")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}

// A result over its budget by far costs its connection, not the memory or the time to read it.
func TestServerFarOverBudget(t *testing.T) { onServerEngines(t, testServerFarOverBudget) }

func testServerFarOverBudget(t *testing.T, f fixture) {
	db := f.newDB(t, func(c *Config) { c.ConnectionLimit = 1 })
	fillLog(t, db)
	big := &abi.Query{Table: "log", As: "a", Columns: []abi.Column{{Name: "a.id"}}, Joins: []abi.Join{{Kind: "cross", Table: "log", As: "b"}}}
	for range 2 {
		if _, err := db.Query(t.Context(), big, Budget{MaxRows: 10}, nil); errnoOf(err) != abi.ErrnoLimit {
			t.Fatal(err)
		}
		count(t, db, "log")
	}
}

// Close rolls back what is open, waits for nobody who could wait for it, and what comes after it is told so.
func TestServerClose(t *testing.T) { onServerEngines(t, testServerClose) }

func testServerClose(t *testing.T, f fixture) {
	db := f.newDB(t)
	tx, reader := begin(t, db, false), begin(t, db, true)
	must(t, tx, insert("users", "name", "a"))
	count(t, reader, "users")
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	again, err := Open(t.Context(), db.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := query(tx, insert("users", "name", "a")); errnoOf(err) != abi.ErrnoClosed {
		t.Error(err)
	}
	if err := tx.Commit(t.Context()); errnoOf(err) != abi.ErrnoClosed {
		t.Error(err)
	}
	if _, err := query(db, &abi.Query{Table: "users"}); errnoOf(err) != abi.ErrnoClosed {
		t.Error(err)
	}
	if _, err := db.SQL(); err != nil && errnoOf(err) != abi.ErrnoClosed {
		t.Error(err)
	}
	if count(t, again, "users") != 0 {
		t.Error("Close committed")
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
