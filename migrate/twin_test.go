package migrate

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

// twinServer gives an empty database, and how another process opens it.
type twinServer func(t testing.TB) (db *sql.DB, driver, dsn string)

// twinServers are the databases on which twins are tested.
var twinServers = map[string]twinServer{
	"sqlite": func(t testing.TB) (*sql.DB, string, string) {
		file := filepath.Join(t.TempDir(), "test.db")
		return open(t, file), "sqlite3", "file:" + filepath.ToSlash(file) + "?_pragma=busy_timeout(10000)&_pragma=synchronous(0)"
	},
	"postgres": func(t testing.TB) (*sql.DB, string, string) {
		db, url := pgOpen(t)
		return db, "pgx", url
	},
	"mariadb": func(t testing.TB) (*sql.DB, string, string) {
		dsn := testkit.MariaDB(t)
		return openMariaDB(t, dsn), "mysql", dsn
	},
}

func eachTwinServer(t *testing.T, test func(t *testing.T, db *sql.DB)) {
	for name, empty := range twinServers {
		t.Run(name, func(t *testing.T) {
			db, _, _ := empty(t)
			test(t, db)
		})
	}
}

var online = Options{Online: true}

// advance plans and applies once, with everything approved.
func advance(t testing.TB, db *sql.DB, schema *Schema, o Options, a ApplyOptions) *Report {
	t.Helper()
	plan := mustPlan(t, db, schema, o)
	a.Approve = plan.Hash
	r, err := plan.Apply(t.Context(), db, a)
	if err != nil {
		t.Fatalf("%v\n%s", err, plan)
	}
	return r
}

func mustPlan(t testing.TB, db *sql.DB, schema *Schema, o Options) *Plan {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	plan, err := Status(t.Context(), conn, schema, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// twinCase is a column before and after.
type twinCase struct{ name, from, to string }

var twinCases = []twinCase{
	{"plain", "{type: string, length: 40}", "{type: string, length: 40, renamedFrom: a}"},
	{"not null", "{type: string, length: 40, nullable: false}", "{type: string, length: 40, nullable: false, renamedFrom: a}"},
	{"default", "{type: string, length: 40, default: '7'}", "{type: string, length: 40, default: '8', renamedFrom: a}"},
	{"not null default", "{type: string, length: 40, nullable: false, default: '7'}", "{type: string, length: 40, renamedFrom: a}"},
	{"unique", "{type: string, length: 40, unique: true}", "{type: string, length: 40, unique: true, renamedFrom: a}"},
	{"type", "{type: string, length: 40}", "{type: bigInteger, renamedFrom: a}"},
	{"type not null", "{type: bigInteger, nullable: false}", "{type: string, length: 40, nullable: false, renamedFrom: a}"},
}

func (c twinCase) schemas(t testing.TB) (from, to *Schema) {
	const table = "columns:\n  id: increments\n  g: integer\n  %s: %s\n"
	return files(t, "things.yaml", fmt.Sprintf(table, "a", c.from)), files(t, "things.yaml", fmt.Sprintf(table, "b", c.to))
}

// Thousands of random writes of two revisions, through either column or both: the columns are equal after each, a write that is refused
// changes nothing, and the value is the one that the rules give.
func TestTwinWrites(t *testing.T) {
	writes := 400
	for _, c := range twinCases {
		t.Run(c.name, func(t *testing.T) {
			eachTwinServer(t, func(t *testing.T, db *sql.DB) {
				from, to := c.schemas(t)
				advance(t, db, from, Options{}, ApplyOptions{})
				w := &twinWrites{t: t, db: db, c: c, r: rand.New(rand.NewPCG(1, 2)), rows: map[int64]string{}}
				for range 20 { // of the time before
					w.insert("a")
				}
				advance(t, db, to, online, ApplyOptions{ExpandOnly: true})
				w.check("expand")
				for range writes {
					w.write()
				}
				w.check("writes")
				advance(t, db, from, Options{}, ApplyOptions{}) // a rollback
				for range writes / 4 {
					w.write()
				}
				advance(t, db, to, online, ApplyOptions{ExpandOnly: true})
				for range writes / 4 {
					w.write()
				}
				w.check("rollback")
				advance(t, db, to, Options{}, ApplyOptions{})
				if p := mustPlan(t, db, to, Options{}); !p.Empty() {
					t.Errorf("in the end: %s", p)
				}
				w.check("contract")
				if w.refused*3 > w.done {
					t.Errorf("%d writes, %d refused", w.done, w.refused)
				}
			})
		})
	}
}

// twinWrites writes and knows what should be there.
type twinWrites struct {
	t             *testing.T
	db            *sql.DB
	c             twinCase
	r             *rand.Rand
	rows          map[int64]string // by id; "NULL" or the value's text
	next          int64
	done, refused int
}

const null = "NULL"

// value is a literal that fits both types.
func (w *twinWrites) value() (literal string) {
	switch n := w.r.IntN(12); {
	case n == 0:
		return null
	case n < 3:
		return "'7'"
	default:
		return fmt.Sprintf("'%d'", w.r.IntN(1_000_000))
	}
}

func (w *twinWrites) fallback() string {
	if strings.Contains(w.c.from, "default") {
		return "'7'"
	}
	return null
}

func (w *twinWrites) exec(q string) bool {
	_, err := w.db.Exec(q)
	w.done++
	if err != nil {
		w.refused++
	}
	return err == nil
}

// insert names some of the columns.
func (w *twinWrites) insert(columns ...string) {
	w.next++
	values := map[string]string{}
	list := []string{fmt.Sprint(w.next)}
	for _, c := range columns {
		values[c] = w.value()
		list = append(list, values[c])
	}
	a, named := values["a"]
	if !named {
		a = w.fallback()
	}
	b, named := values["b"]
	if !named {
		b = w.fallback()
	}
	want := b // of both, the new one wins
	if b == w.fallback() {
		want = a
	}
	ok := w.exec(fmt.Sprintf("INSERT INTO things (%s) VALUES (%s)", strings.Join(append([]string{"id"}, columns...), ", "), strings.Join(list, ", ")))
	w.expect(ok, want, "insert "+strings.Join(list, " "), func() { w.rows[w.next] = want })
}

// expect compares whether a write was refused with whether it should have been.
func (w *twinWrites) expect(ok bool, want, what string, then func()) {
	w.t.Helper()
	taken := false
	if strings.Contains(w.c.from, "unique") {
		for _, v := range w.rows { // also that of the column that loses
			taken = taken || v != null && strings.Contains(what, v)
		}
	}
	allowed := !(want == null && strings.Contains(w.c.from, "nullable: false"))
	if ok && !allowed || !ok && allowed && !taken {
		w.t.Fatalf("%s: ok %v, want %s", what, ok, want)
	}
	if ok {
		then()
	}
}

func (w *twinWrites) write() {
	switch w.r.IntN(8) {
	case 0:
		w.insert("a")
	case 1:
		w.insert("b")
	case 2:
		w.insert("a", "b")
	case 3:
		w.insert()
	default:
		w.update()
	}
}

func (w *twinWrites) update() {
	id := w.r.Int64N(w.next) + 1
	was, there := w.rows[id]
	a, b := w.value(), w.value()
	set, want := "g = 1", was
	switch w.r.IntN(4) {
	case 0:
		set, want = "a = "+a, a
	case 1:
		set, want = "b = "+b, b
	case 2:
		set, want = "a = "+a+", b = "+b, b
		if b == was { // not changed, so the old one tells
			want = a
		}
	}
	ok := w.exec(fmt.Sprintf("UPDATE things SET %s WHERE id = %d", set, id))
	if there {
		if want == was { // unique by itself
			if !ok {
				w.t.Fatalf("update %d %s: refused", id, set)
			}
			return
		}
		w.expect(ok, want, fmt.Sprintf("update %d %s, was %s", id, set, was), func() { w.rows[id] = want })
	}
}

// check compares all rows with what should be there.
func (w *twinWrites) check(when string) {
	w.t.Helper()
	columns := "a, b"
	if when == "contract" {
		columns = "b, b"
	}
	rows, err := w.db.Query("SELECT id, " + columns + " FROM things")
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var id int64
		var a, b sql.NullString
		if err := rows.Scan(&id, &a, &b); err != nil {
			w.t.Fatal(err)
		}
		got := null
		if b.Valid {
			got = "'" + b.String + "'"
		}
		if a != b || got != w.rows[id] {
			w.t.Fatalf("after %s: row %d has %v and %v, want %s", when, id, a, b, w.rows[id])
		}
		n++
	}
	if err := rows.Err(); err != nil || n != len(w.rows) {
		w.t.Fatalf("after %s: %d rows, want %d: %v", when, n, len(w.rows), err)
	}
}

// A sync trigger that somebody dropped is drift: nothing is contracted, and reverting makes it again; rows that differ since are found.
func TestTwinDrift(t *testing.T) {
	eachTwinServer(t, func(t *testing.T, db *sql.DB) {
		from, to := twinCases[0].schemas(t)
		advance(t, db, from, Options{}, ApplyOptions{})
		run(t, db, "INSERT INTO things (id, a) VALUES (1, 'x')")
		advance(t, db, to, online, ApplyOptions{ExpandOnly: true})
		d, err := detect(t.Context(), connOf(t, db))
		if err != nil {
			t.Fatal(err)
		}
		live, err := d.inspect(t.Context(), connOf(t, db))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range live.triggersOf("things") {
			run(t, db, d.syntax().twin.drop(o)...)
		}
		plan := mustPlan(t, db, to, online)
		if _, err := plan.Apply(t.Context(), db, ApplyOptions{Approve: plan.Hash}); !errors.Is(err, ErrDrift) {
			t.Fatalf("contract: %v", err)
		}
		run(t, db, "UPDATE things SET b = 'y'")
		plan = mustPlan(t, db, from, Options{Drift: DriftRevert})
		if _, err := plan.Apply(t.Context(), db, ApplyOptions{}); err != nil {
			t.Fatal(err)
		}
		plan = mustPlan(t, db, to, online)
		var refused *RefusedError
		if _, err := plan.Apply(t.Context(), db, ApplyOptions{Approve: plan.Hash}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "things.b: 1 rows have another value in a") {
			t.Fatalf("rows differ: %v\n%s", err, plan)
		}
		run(t, db, "UPDATE things SET a = 'y', b = 'y'")
		advance(t, db, to, online, ApplyOptions{})
		if got := query(t, db, "SELECT id, b FROM things"); got != "1|y\n" {
			t.Error(got)
		}
	})
}

func connOf(t testing.TB, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
