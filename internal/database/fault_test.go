package database

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/testkit"
)

// childWriter inserts rows, in single statements and in transactions of two, and says after each commit which are acknowledged.
func childWriter(args []string) int {
	db, err := Open(context.Background(), Config{Filename: args[0]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for i := 1; ; i += 3 {
		if _, err := query(db, insert("log", "id", i, "what", "x")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(i)
		tx, err := db.Begin(context.Background(), TxOptions{})
		if err != nil {
			return 1
		}
		for j := range 2 {
			if _, err := query(tx, insert("log", "id", i+1+j, "what", "x")); err != nil {
				return 1
			}
		}
		if err := tx.Commit(context.Background()); err != nil {
			return 1
		}
		fmt.Println(i + 2)
	}
}

// kill -9 in the middle of writing: what was acknowledged is there, and no half of a transaction.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(t.Context(), Config{Filename: path})
	if err != nil {
		t.Fatal(err)
	}
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.Exec("CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		if err := os.Remove(path + "-ack"); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		child := testkit.Spawn(t, "writer", path)
		acknowledged := 0
		for range 20 + 17*round {
			line, ok := child.Line()
			if !ok {
				t.Fatal("the child died by itself")
			}
			acknowledged, _ = strconv.Atoi(line)
		}
		for _, line := range child.Drain() {
			acknowledged, _ = strconv.Atoi(line)
		}
		db, err := Open(t.Context(), Config{Filename: path})
		if err != nil {
			t.Fatal(err)
		}
		n := count(t, db, "log")
		if n < int64(acknowledged) || n%3 == 2 {
			t.Errorf("%d rows acknowledged, %d there", acknowledged, n)
		}
		last := must(t, db, &abi.Query{Table: "log", Columns: []abi.Column{{Func: "max", Name: "id"}}}).Rows[0][0]
		if last != abi.Int(n) {
			t.Errorf("%d rows, the last is %v", n, last)
		}
		must(t, db, &abi.Query{Verb: abi.VerbDelete, Table: "log", Where: everyRow})
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestCorruptFile(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Filename: garbage}); err == nil || !strings.Contains(err.Error(), garbage) {
		t.Errorf("open garbage: %v", err)
	}

	path := filepath.Join(dir, "x.db")
	db := newDBAt(t, path)
	fillLog(t, db)
	if err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	sound := readFile(t, path)
	broken := append([]byte(nil), sound...)
	for i := 4096 * 4; i < len(broken); i++ {
		broken[i] = 0xa5
	}
	overwrite(t, path, broken)
	q := &abi.Query{Table: "log", Columns: []abi.Column{{Name: "what"}}}
	// Each reader has pages of its own in memory: one that has not, sees it.
	for range 4 {
		tx := begin(t, db, true)
		t.Cleanup(func() { _ = tx.Rollback() }) // held, so that the next one gets another connection
		if _, err := query(tx, q); errnoOf(err) == abi.ErrnoUnavailable && strings.Contains(err.Error(), "restore it from a backup") {
			break
		} else if err != nil {
			t.Errorf("read: %v", err)
		}
	}
	if db.Stat().Errors == 0 {
		t.Fatal("nobody saw the damage")
	}
	// Restored: it works again without a restart.
	overwrite(t, path, sound)
	if n := count(t, db, "log"); n != 3001 {
		t.Errorf("%d rows after the file was restored", n)
	}
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// endsAfter is a context that ends once it was asked so often whether it has.
type endsAfter struct {
	context.Context
	asks int
}

func (e *endsAfter) Err() error {
	if e.asks--; e.asks < 0 {
		return context.Canceled
	}
	return nil
}

// A call that ends while its rows are read, or before it wrote, is told so, although not each row asks.
func TestEndsBetweenRows(t *testing.T) {
	db := newDB(t)
	for range 40 {
		must(t, db, insert("log", "what", "x"))
	}
	for _, c := range []struct {
		q     *abi.Query
		asks  int
		errno abi.Errno
	}{
		{&abi.Query{Table: "log"}, 2, abi.ErrnoCanceled},
		{&abi.Query{Table: "log"}, 40, abi.ErrnoOK}, // fewer than its rows
		{insert("log", "what", "late"), 0, abi.ErrnoCanceled},
	} {
		conn, err := db.engine.(*sqlite).take(t.Context(), c.q.Verb != abi.VerbSelect)
		if err != nil {
			t.Fatal(err)
		}
		st, err := db.Catalog().compile(db.engine.dialect(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		ctx := &endsAfter{t.Context(), c.asks}
		if _, err = conn.run(ctx, st, c.q, Budget{}.withDefaults(), nil); errnoOf(err) != c.errno {
			t.Errorf("%s with %d asks: %v", c.q.Verb, c.asks, err)
		}
		if c.errno == abi.ErrnoOK && c.asks-ctx.asks > 10 {
			t.Errorf("40 rows asked %d times", c.asks-ctx.asks)
		}
		conn.release()
	}
	if n := len(must(t, db, &abi.Query{Table: "log"}).Rows); n != 40 {
		t.Errorf("%d rows", n)
	}
}

// A statement that needs more memory than a connection has costs the connection, not the program.
func TestOutOfMemory(t *testing.T) {
	db := newDB(t)
	c, err := db.engine.(*sqlite).take(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	st, err := db.Catalog().compile(db.engine.dialect(), insert("log", "what", "x"))
	if err != nil {
		t.Fatal(err)
	}
	c.db.HardHeapLimit(4 << 20)
	if _, err = c.run(t.Context(), st, insert("log", "what", strings.Repeat("x", 8<<20)), Budget{}, nil); errnoOf(err) != abi.ErrnoLimit {
		t.Errorf("got %v", err)
	}
	c.release()
	must(t, db, insert("log", "what", "after"))
	if db.Stat().Reopened != 1 {
		t.Errorf("reopened %d", db.Stat().Reopened)
	}
}
