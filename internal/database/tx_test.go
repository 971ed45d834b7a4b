package database

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/testkit"
)

func begin(t testing.TB, db *DB, readOnly bool) *Tx {
	t.Helper()
	tx, err := db.Begin(context.Background(), TxOptions{ReadOnly: readOnly})
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func count(t testing.TB, db querier, table string) int64 {
	t.Helper()
	return must(t, db, &abi.Query{Table: table, Columns: []abi.Column{{Func: "count"}}}).Rows[0][0].AsInt()
}

func TestTx(t *testing.T) { onEngines(t, testTx) }

func testTx(t *testing.T, db *DB) {
	tx := begin(t, db, false)
	must(t, tx, insert("users", "name", "a"))
	if count(t, db, "users") != 0 || count(t, tx, "users") != 1 {
		t.Error("a transaction is seen by others, or not by itself")
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil || count(t, db, "users") != 1 {
		t.Error("rollback after commit", err)
	}
	if err := tx.Commit(t.Context()); errnoOf(err) != abi.ErrnoClosed {
		t.Error(err)
	}
	if _, err := query(tx, insert("users", "name", "b")); errnoOf(err) != abi.ErrnoClosed {
		t.Error(err)
	}
	tx = begin(t, db, false)
	must(t, tx, insert("users", "name", "b"))
	for range 2 {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
	if count(t, db, "users") != 1 {
		t.Error("rollback kept a row")
	}
}

func TestTxReadOnlyIsASnapshot(t *testing.T) { onEngines(t, testTxReadOnlyIsASnapshot) }

func testTxReadOnlyIsASnapshot(t *testing.T, db *DB) {
	tx := begin(t, db, true)
	defer tx.Rollback() //nolint:errcheck // returns nil
	if count(t, tx, "users") != 0 {
		t.Error("not empty")
	}
	must(t, db, insert("users", "name", "a"))
	if count(t, tx, "users") != 0 || count(t, db, "users") != 1 {
		t.Error("no snapshot")
	}
	if _, err := query(tx, insert("users", "name", "b")); errnoOf(err) != abi.ErrnoInvalid {
		t.Error(err)
	}
}

// When the context of the call ends, the writer is free for the next.
func TestTxEndsWithItsCall(t *testing.T) { onEngines(t, testTxEndsWithItsCall) }

func testTxEndsWithItsCall(t *testing.T, db *DB) {
	ctx, cancel := context.WithCancel(context.Background())
	tx, err := db.Begin(ctx, TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	must(t, tx, insert("users", "name", "a"))
	if s := db.Stat(); !s.WriterInUse && s.ReadersInUse == 0 {
		t.Error("its connection is free")
	}
	cancel()
	must(t, db, insert("users", "name", "b")) // waits for the writer
	if count(t, db, "users") != 1 {
		t.Error("the row of the abandoned transaction is there")
	}
	if _, err := query(tx, insert("users", "name", "c")); errnoOf(err) != abi.ErrnoClosed || !strings.Contains(err.Error(), "rolled back") {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

func TestBusyAndCanceled(t *testing.T) {
	db, err := Open(t.Context(), Config{Filename: filepath.Join(t.TempDir(), "x.db"), BusyTimeout: -1, ConnectionLimit: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx := begin(t, db, false)
	if _, err := db.Begin(t.Context(), TxOptions{}); errnoOf(err) != abi.ErrnoBusy {
		t.Error(err)
	}
	reader := begin(t, db, true)
	if _, err := db.Begin(t.Context(), TxOptions{ReadOnly: true}); errnoOf(err) != abi.ErrnoBusy {
		t.Error(err)
	}
	for _, open := range []*Tx{tx, reader} {
		if err := open.Rollback(); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Begin(ctx, TxOptions{ReadOnly: true}); errnoOf(err) != abi.ErrnoCanceled {
		t.Error(err)
	}
	ctx, cancel = context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	if _, err := db.Begin(ctx, TxOptions{ReadOnly: true}); errnoOf(err) != abi.ErrnoTimeout {
		t.Error(err)
	}
}

// A lock of another connection of the file is waited for within the timeout and no longer.
func TestForeignLock(t *testing.T) {
	db := newDB(t)
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	other, err := std.BeginTx(t.Context(), nil) // immediate
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := db.Query(ctx, insert("users", "name", "a"), Budget{}, nil); errnoOf(err) != abi.ErrnoTimeout {
		t.Errorf("got %v", err)
	}
	if _, err := db.Begin(ctx, TxOptions{}); errnoOf(err) != abi.ErrnoTimeout {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := db.Begin(ctx, TxOptions{}); errnoOf(err) != abi.ErrnoTimeout {
		t.Errorf("got %v", err)
	}
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	must(t, db, insert("users", "name", "a"))
}

// slow is a join that would take for ever.
var slow = &abi.Query{Table: "log", As: "a", Columns: []abi.Column{{Func: "count"}}, Joins: []abi.Join{
	{Kind: "cross", Table: "log", As: "b"}, {Kind: "cross", Table: "log", As: "c"}, {Kind: "cross", Table: "log", As: "d"},
}, Where: where(abi.Cond{Op: abi.CondEq, Column: "a.what", Other: "d.what"})}

func fillLog(t testing.TB, db *DB) {
	q := insert("log", "what", "x")
	for range 3000 {
		q.Rows = append(q.Rows, abi.Values{abi.Text("x")})
	}
	must(t, db, q)
}

func TestCancelMidStatement(t *testing.T) { onEngines(t, testCancelMidStatement) }

func testCancelMidStatement(t *testing.T, db *DB) {
	fillLog(t, db)
	for _, canceled := range []bool{true, false} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		want := abi.ErrnoTimeout
		if canceled {
			ctx, cancel = context.WithCancel(context.Background())
			want = abi.ErrnoCanceled
			time.AfterFunc(20*time.Millisecond, cancel)
		}
		_, err := db.Query(ctx, slow, Budget{}, nil)
		cancel()
		if errnoOf(err) != want {
			t.Errorf("got %v", err)
		}
	}
	// In a transaction: a read that is cut leaves it open, the end of its own context ends it.
	tx := begin(t, db, false)
	must(t, tx, insert("users", "name", "a"))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := tx.Query(ctx, slow, Budget{}, nil); errnoOf(err) != abi.ErrnoTimeout {
		t.Errorf("got %v", err)
	}
	must(t, tx, insert("users", "name", "b"))
	if err := tx.Commit(t.Context()); err != nil || count(t, db, "users") != 2 {
		t.Errorf("commit after a cut read: %v", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	tx, err := db.Begin(ctx, TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Query(context.Background(), slow, Budget{}, nil); errnoOf(err) != abi.ErrnoTimeout && errnoOf(err) != abi.ErrnoCanceled {
		t.Errorf("got %v", err)
	}
	must(t, db, insert("users", "name", "c"))
}

func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(t.Context(), Config{Filename: path})
	if err != nil {
		t.Fatal(err)
	}
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.Exec(schema); err != nil {
		t.Fatal(err)
	}
	if err := db.Reload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	tx, reader := begin(t, db, false), begin(t, db, true)
	must(t, tx, insert("users", "name", "a"))
	count(t, reader, "users")
	if err := db.Ping(t.Context()); err != nil || !strings.HasPrefix(db.Version(), "sqlite 3.") {
		t.Error(db.Version(), err)
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
	db = newDBAt(t, path)
	if count(t, db, "users") != 0 {
		t.Error("Close committed")
	}
}

// Writers are served in order of arrival.
func TestWritersQueue(t *testing.T) {
	db := newDB(t)
	tx := begin(t, db, false)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { must(t, db, insert("users", "name", string(rune('a'+i)))) })
		testkit.Eventually(t, "the writer waits", func() bool { return db.Stat().Waiting == i+1 })
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	got := table(must(t, db, &abi.Query{Table: "users", Columns: []abi.Column{{Name: "name"}}, Order: []abi.Order{{Column: "id"}}}))
	if got = strings.ReplaceAll(got, "\n", ""); got != "nameabcdefghijklmnopqrst" {
		t.Error(got)
	}
}

// Readers see whole transactions only, and counters lose nothing.
func TestHammer(t *testing.T) { onEngines(t, testHammer) }

func testHammer(t *testing.T, db *DB) {
	must(t, db, insert("users", "id", 1, "name", "sum", "age", 0))
	const writers, rounds = 4, 40
	var wg, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				tx, err := db.Begin(t.Context(), TxOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				q := &abi.Query{Verb: abi.VerbUpdate, Table: "users", Where: where(cond(abi.CondEq, "id", 1)), Increments: []abi.Delta{{Column: "age", By: abi.Int(1)}}}
				if _, err := query(tx, q); err != nil {
					t.Error(err)
				}
				if _, err := query(tx, insert("log", "what", "x")); err != nil {
					t.Error(err)
				}
				if (w+i)%4 == 0 {
					err = tx.Rollback()
				} else {
					err = tx.Commit(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, err := query(db, &abi.Query{
					Table: "users", Columns: []abi.Column{{Name: "age"}, {Func: "count", Name: "log.id", As: "n"}}, Group: []string{"age"},
					Joins: []abi.Join{{Kind: "left", Table: "log", On: where(cond(abi.CondEq, "log.what", "x"))}},
				})
				if err != nil || r.Rows[0][0] != r.Rows[0][1] {
					t.Errorf("%v, %v", r.Rows, err)
					return
				}
			}
		})
	}
	for range 10 {
		if err := db.Reload(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if err := db.Checkpoint(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	close(done)
	readers.Wait()
	if n := count(t, db, "log"); n != writers*rounds*3/4 {
		t.Errorf("%d rows", n)
	}
}
