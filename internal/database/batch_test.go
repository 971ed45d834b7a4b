package database

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

type batcher interface {
	Batch(ctx context.Context, queries []abi.Query, b Budget, dst []byte) ([]byte, error)
}

func batch(db batcher, queries ...*abi.Query) ([]abi.Result, error) {
	list := make([]abi.Query, len(queries))
	for i, q := range queries {
		list[i] = *q
	}
	out, err := db.Batch(context.Background(), list, Budget{}, []byte("before"))
	if err != nil {
		return nil, err
	}
	var r abi.BatchResult
	if rest, err := r.UnmarshalMsg(out[len("before"):]); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("answer: %w, %d bytes left", err, len(rest))
	}
	return r.Results, nil
}

func TestBatch(t *testing.T) { onEngines(t, testBatch) }

func testBatch(t *testing.T, db *DB) {
	seed(t, db)
	all := &abi.Query{Table: "users", Columns: counts}
	more := insert("users", "name", "dan")
	more.Rows = append(more.Rows, abi.Values{abi.Text("eve")})
	taken := insert("users", "id", 1, "name", "again")
	highest := &abi.Query{Table: "users", Columns: []abi.Column{{Func: "max", Name: "id", As: "m"}}}
	if is(db, typeSQLite) {
		highest = rawQuery("SELECT max(id) AS m FROM users")
	}
	check := func(where string, db interface {
		batcher
		querier
	}, have int,
	) {
		t.Helper()
		r, err := batch(db, more, all, highest)
		if err != nil || len(r) != 3 || r[0].Affected != 2 || table(r[1]) != fmt.Sprintf("n\n%d", have+2) || len(r[2].Rows) != 1 {
			t.Fatalf("%s: %v, %v", where, r, err)
		}
		_, err = batch(db, more, all, taken, more)
		if errnoOf(err) != abi.ErrnoConflict || !strings.Contains(err.Error(), "query 2 of the batch") {
			t.Errorf("%s: %v, want a conflict in query 2", where, err)
		}
		if got := table(must(t, db, all)); got != fmt.Sprintf("n\n%d", have+2) {
			t.Errorf("%s: %s after a batch that failed", where, got)
		}
	}
	check("alone", db, 3)
	tx := begin(t, db, false)
	check("in a transaction", tx, 5)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	check("alone again", db, 5)
	if _, err := batch(db, all, &abi.Query{Table: "nope"}); errnoOf(err) != abi.ErrnoInvalid || !strings.Contains(err.Error(), "query 1") {
		t.Error(err)
	}
	if _, err := batch(db); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := db.Batch(t.Context(), []abi.Query{{Table: "posts"}, {Table: "posts"}}, Budget{MaxBytes: 700}, nil); errnoOf(err) != abi.ErrnoLimit {
		t.Errorf("over the budget together: %v", err)
	}
}

func TestSavepoints(t *testing.T) { onEngines(t, testSavepoints) }

func testSavepoints(t *testing.T, db *DB) {
	ctx := t.Context()
	names := func(q querier) string {
		return table(must(t, q, &abi.Query{Table: "users", Columns: columns("name"), Order: byName}))
	}
	tx := begin(t, db, false)
	must(t, tx, insert("users", "name", "a"))
	one, err := tx.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	must(t, one, insert("users", "name", "b"))
	if _, err := query(tx, insert("users", "name", "x")); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("around an open savepoint: %v", err)
	}
	two, err := one.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	must(t, two, insert("users", "name", "c"))
	if err := two.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := names(one); got != "name\na\nb" {
		t.Errorf("after the inner one was undone: %s", got)
	}
	if _, err := query(two, insert("users", "name", "x")); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("in one that is over: %v", err)
	}
	three, err := one.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	must(t, three, insert("users", "name", "d"))
	if err := one.Commit(ctx); err != nil { // and with it what is within
		t.Fatal(err)
	}
	if err := three.Commit(ctx); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("commit of one whose outer one is over: %v", err)
	}
	if err := three.Rollback(); err != nil {
		t.Error(err)
	}
	if got := names(tx); got != "name\na\nb\nd" {
		t.Errorf("in the end: %s", got)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Begin(ctx); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("a savepoint of nothing: %v", err)
	}
	if got := names(db); got != "name\na\nb\nd" {
		t.Errorf("committed: %s", got)
	}
	tx = begin(t, db, false)
	defer tx.Rollback() //nolint:errcheck // returns nil
	at := tx
	for range maxSavepoints {
		if at, err = at.Begin(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := at.Begin(ctx); errnoOf(err) != abi.ErrnoLimit {
		t.Errorf("too deep: %v", err)
	}
	if _, err := db.Begin(ctx, TxOptions{Isolation: 9}); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("an unknown level: %v", err)
	}
	ro := begin(t, db, true)
	defer ro.Rollback() //nolint:errcheck // returns nil
	if _, err := query(ro, &abi.Query{Table: "users", Lock: abi.LockUpdate}); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("a lock in a transaction that reads: %v", err)
	}
	must(t, at, &abi.Query{Table: "users", Lock: abi.LockUpdate, Wait: abi.WaitSkip})
}

// pages reads a cursor to its end.
func pages(c *Cursor, budget Budget) (list []abi.Page, err error) {
	for done := false; !done; {
		var out []byte
		if out, done, err = c.Next(context.Background(), budget, []byte("before")); err != nil {
			return list, err
		}
		var p abi.Page
		if rest, err := p.UnmarshalMsg(out[len("before"):]); err != nil || len(rest) > 0 || p.Done != done {
			return list, fmt.Errorf("page: %w, %d bytes left", err, len(rest))
		}
		list = append(list, p)
	}
	return list, nil
}

func TestCursor(t *testing.T) { onEngines(t, testCursor) }

func testCursor(t *testing.T, db *DB) {
	q := insert("log", "what", "0")
	for i := 1; i < 1000; i++ {
		q.Rows = append(q.Rows, abi.Values{abi.Text(fmt.Sprint(i))})
	}
	must(t, db, q)
	all := &abi.Query{Table: "log", Columns: columns("id"), Order: byID}
	open := func() *Cursor {
		t.Helper()
		c, err := db.Cursor(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, budget := range []Budget{{MaxRows: 7}, {MaxBytes: 100}, {MaxRows: 1000}, {}} {
		list, err := pages(open(), budget)
		if err != nil {
			t.Fatal(err)
		}
		next := int64(1)
		for _, p := range list {
			if len(p.Columns) != 1 || budget.MaxRows > 0 && int64(len(p.Rows)) > budget.MaxRows {
				t.Fatalf("a page of %d rows and columns %v", len(p.Rows), p.Columns)
			}
			for _, row := range p.Rows {
				if row[0].AsInt() != next {
					t.Fatalf("%d follows %d", row[0].AsInt(), next-1)
				}
				next++
			}
		}
		if next != 1001 {
			t.Errorf("%d rows with %+v", next-1, budget)
		}
	}
	// A cursor sees one moment; half of the connections are for cursors.
	one, two := open(), open()
	if _, err := db.Cursor(t.Context(), all); errnoOf(err) != abi.ErrnoBusy {
		t.Errorf("a third of two: %v", err)
	}
	if _, _, err := one.Next(t.Context(), Budget{MaxRows: 1}, nil); err != nil {
		t.Fatal(err)
	}
	must(t, db, &abi.Query{Verb: abi.VerbDelete, Table: "log", Where: everyRow})
	list, err := pages(one, Budget{})
	if err != nil || len(list[0].Rows) != 999 {
		t.Errorf("%v after the rows were deleted", err)
	}
	two.Close()
	two.Close()
	if _, _, err := two.Next(t.Context(), Budget{}, nil); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("next of a closed one: %v", err)
	}
	must(t, db, insert("log", "what", strings.Repeat("x", 1000)))
	wide, err := db.Cursor(t.Context(), &abi.Query{Table: "log"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pages(wide, Budget{MaxBytes: 100}); errnoOf(err) != abi.ErrnoLimit {
		t.Errorf("one row over the budget: %v", err)
	}
	// In a transaction, beside other statements; it ends with it.
	tx := begin(t, db, false)
	must(t, tx, q)
	ids := &abi.Query{Table: "log", Columns: []abi.Column{{Name: "id"}}, Order: []abi.Order{{Column: "id"}}}
	if is(db, typeSQLite) {
		ids = rawQuery("SELECT id FROM log ORDER BY id")
	}
	c, err := tx.Cursor(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Next(t.Context(), Budget{MaxRows: 3}, nil); err != nil {
		t.Fatal(err)
	}
	inner, err := tx.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	within, err := inner.Cursor(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	must(t, inner, insert("users", "name", "x"))
	if err := inner.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := within.Next(t.Context(), Budget{}, nil); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("next after the savepoint is gone: %v", err)
	}
	if _, _, err := c.Next(t.Context(), Budget{MaxRows: 3}, nil); err != nil {
		t.Errorf("next of one from before the savepoint: %v", err)
	}
	must(t, tx, insert("users", "name", "x"))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Next(t.Context(), Budget{}, nil); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("next after the commit: %v", err)
	}
	c.Close()
	for _, bad := range []*abi.Query{insert("log", "what", "x"), rawQuery("DELETE FROM log"), {Table: "log", Lock: abi.LockShare}, {Table: "nope"}} {
		if _, err := db.Cursor(t.Context(), bad); errnoOf(err) != abi.ErrnoInvalid && (is(db, typeSQLite) || bad.SQL == "") {
			t.Errorf("a cursor of %+v: %v", bad, err)
		}
	}
	open().Close()
	last := open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := last.Next(ctx, Budget{}, nil); errnoOf(err) != abi.ErrnoCanceled {
		t.Errorf("with a context that has ended: %v", err)
	}
	if db.Stat().ReadersInUse != 0 {
		t.Errorf("%d connections are not given back", db.Stat().ReadersInUse)
	}
}
