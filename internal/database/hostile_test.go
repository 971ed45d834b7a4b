package database

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

// The hostile suite: what a plugin with the grant for SQL text tries, and what it must get. It is one table for each database; what
// holds for all of them is checked here: nothing that was not granted is read or written, no file appears, the connections stay as they
// were, and every attempt ends.

// attempt is one statement of an attacker's.
type attempt struct {
	sql  string
	args []any
	want []abi.Errno // any of these; none is success with nothing gained
}

// canary is in every table that was not granted.
const canary = "canary-7f3a91"

// hostileGrants are the verbs on each table, as a manifest would give them.
var hostileGrants = map[string]string{"posts": "select insert update delete", "users": "select", "live_posts": "select", "notes": "insert"}

// attack runs an attempt as the host does: what it touches is compared with the grants, then it runs.
func attack(ctx context.Context, db *DB, run querier, a attempt) ([]byte, error) {
	q := &abi.Query{SQL: a.sql}
	for _, x := range a.args {
		q.Args = append(q.Args, value(x))
	}
	what, err := db.Describe(ctx, q)
	for _, touch := range what.Touches {
		if !touch.Indirect && !slices.Contains(strings.Fields(hostileGrants[touch.Table]), touch.Verb.String()) {
			return nil, failf(abi.ErrnoDenied, "%s of %s is not granted", touch.Verb, touch.Table)
		}
	}
	if err != nil {
		return nil, err
	}
	return run.Query(ctx, q, Budget{MaxRows: 1000, MaxBytes: 1 << 20}, nil)
}

// fingerprint is all that an attacker may not change: every table but those it may write, and the files.
func fingerprint(t testing.TB, db *DB, dir string) string {
	t.Helper()
	h := sha256.New()
	for _, name := range db.Catalog().Tables() {
		if strings.Contains(hostileGrants[name], "insert") || name == "live_posts" || name == "log" {
			continue
		}
		fmt.Fprintln(h, name, table(must(t, db, &abi.Query{Table: name})))
	}
	r := must(t, db, &abi.Query{Table: "log", Columns: columns("what"), Where: where(cond(abi.CondEq, "what", canary))})
	fmt.Fprintln(h, table(r))
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		fmt.Fprintln(h, f.Name())
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// hostile runs a table of attempts, by themselves and in a transaction.
func hostile(t *testing.T, db *DB, dir string, attempts []attempt) {
	for _, table := range db.Catalog().Tables() {
		if table == "log" {
			must(t, db, insert("log", "what", canary))
		}
	}
	must(t, db, insert("notes", "id", 1, "body", canary))
	must(t, db, insert("everything", "t", canary))
	before := fingerprint(t, db, dir)
	check := func(a attempt, where string, out []byte, err error) {
		t.Helper()
		text := fmt.Sprintf("%.200s (%s)", a.sql, where)
		if strings.Contains(string(out), canary) || err != nil && strings.Contains(err.Error(), canary) || strings.Contains(string(out), "hidden") {
			t.Errorf("%s: leaks: %q %v", text, out, err)
		}
		if got := errnoOf(err); got != abi.ErrnoOK && !slices.Contains(a.want, got) || got == abi.ErrnoOK && len(a.want) > 0 {
			t.Errorf("%s: got %v (%v), want one of %v", text, got.Kind(), err, a.want)
		}
		if err != nil && strings.Contains(err.Error(), "sqlite3:") {
			t.Errorf("%s: the driver speaks: %v", text, err)
		}
	}
	t.Logf("%d attempts", len(attempts))
	for _, a := range attempts {
		deadline := 20 * time.Second // what must succeed has time
		if slices.Contains(a.want, abi.ErrnoTimeout) {
			deadline = 400 * time.Millisecond
		}
		limited, cancel := context.WithTimeout(context.Background(), deadline)
		out, err := attack(limited, db, db, a)
		cancel()
		check(a, "alone", out, err)

		tx := begin(t, db, false)
		limited, cancel = context.WithTimeout(context.Background(), deadline)
		out, err = attack(limited, db, tx, a)
		cancel()
		check(a, "in a transaction", out, err)
		if _, err := query(tx, &abi.Query{Table: "users"}); err != nil && errnoOf(err) != abi.ErrnoClosed {
			t.Errorf("%.200s: the transaction is left %v", a.sql, err)
		}
		_ = tx.Rollback() // returns nil
		if got := fingerprint(t, db, dir); got != before {
			t.Fatalf("%.200s: something changed that was not granted", a.sql)
		}
	}
}

func TestHostileSQLite(t *testing.T) {
	dir := t.TempDir()
	db := newDBAt(t, filepath.Join(dir, "test.db"))
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.Exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Reload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	seed(t, db)
	hostile(t, db, dir, sqliteAttempts(dir))
}
