package database

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// ward is a database in which a plugin was granted a part: of its own place on a server, of a file else. twin is another that has nothing but that
// part, and no policy.
type ward struct {
	owner, twin *DB
	// views are the ways in which the plugin's statements are held back: by the host alone, by the host and the plugin's role, by the role alone.
	views  map[string]*DB
	grant  func(tables map[string]TableAccess)
	server *Tenancy // nil on SQLite
}

func newWard(t *testing.T, f fixture, ddlText string, tables map[string]TableAccess) *ward {
	t.Helper()
	w := &ward{views: map[string]*DB{}}
	if f.name == "sqlite" {
		w.owner, w.twin = f.open(t), f.open(t)
		ddl(t, w.owner, ddlText)
		ddl(t, w.twin, ddlText)
		w.views["host"] = w.owner.Under(NewAccess(tables, nil))
		w.grant = func(map[string]TableAccess) {}
		return w
	}
	tenancy, err := NewTenancy(f.config(t))
	if err != nil {
		t.Fatal(err)
	}
	place := func(tenant string) *DB {
		t.Cleanup(func() {
			if err := tenancy.Remove(context.Background(), tenant, "default"); err != nil {
				t.Error(err)
			}
		})
		if err := tenancy.Add(t.Context(), tenant, "default", "password-of-"+tenant); err != nil {
			t.Fatal(err)
		}
		db, err := Open(t.Context(), tenancy.Owner(tenant, "default", "password-of-"+tenant))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		ddl(t, db, ddlText)
		return db
	}
	w.owner, w.twin, w.server = place("ward"), place("twin"), tenancy
	w.grant = func(tables map[string]TableAccess) {
		t.Helper()
		for range 2 { // the second changes nothing
			if err := tenancy.Grant(t.Context(), "ward", "default", "blog", "password-of-blog", tables, w.owner.Catalog()); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.grant(tables)
	role, err := w.owner.As(tenancy.Role("ward", "default", "blog"), "password-of-blog", 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = role.Close() })
	w.views["host"] = w.owner.Under(NewAccess(tables, nil))
	w.views["host and role"] = role.Under(NewAccess(tables, nil))
	if f.name == "postgres" {
		w.views["role"] = role
	}
	return w
}

const treeTables = `CREATE TABLE users (id INTEGER PRIMARY KEY, age INTEGER, boss INTEGER, owner VARCHAR(20), secret VARCHAR(20));
CREATE TABLE pairs (a INTEGER, b INTEGER, n INTEGER, owner VARCHAR(20), secret VARCHAR(20), PRIMARY KEY (a, b))`

var treeAccess = map[string]TableAccess{
	"users": {
		Verbs: []abi.Verb{abi.VerbSelect}, Columns: map[abi.Verb][]string{abi.VerbSelect: {"age", "boss", "id"}},
		Where: where(cond(abi.CondEq, "owner", "red")),
	},
	"pairs": {
		Verbs: []abi.Verb{abi.VerbSelect}, Columns: map[abi.Verb][]string{abi.VerbSelect: {"a", "b", "n"}},
		Where: where(cond(abi.CondIn, "owner", "red", "it's"), cond(abi.CondGe, "n", 2), abi.Cond{Op: abi.CondOr, N: 2}, cond(abi.CondNotNull, "owner"), abi.Cond{Op: abi.CondAnd, N: 2}),
	},
}

// Query trees of a plugin that was granted a part give what they give over a database that has nothing but that part.
func TestPolicyDifferential(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) { testPolicyDifferential(t, f) })
	}
}

func testPolicyDifferential(t *testing.T, f fixture) {
	w := newWard(t, f, treeTables, treeAccess)
	r := rand.New(rand.NewPCG(7, 8))
	draw := func(n int) any {
		if r.IntN(4) == 0 {
			return nil
		}
		return r.IntN(n)
	}
	for i := range 14 {
		owner, age, boss := []string{"red", "blue"}[r.IntN(2)], draw(4), draw(14)
		must(t, w.owner, insert("users", "id", i, "age", age, "boss", boss, "owner", owner, "secret", "s"))
		if owner == "red" {
			must(t, w.twin, insert("users", "id", i, "age", age, "boss", boss, "owner", owner))
		}
		whose, n := []any{"red", "blue", "it's", nil}[r.IntN(4)], draw(4)
		must(t, w.owner, insert("pairs", "a", i/4, "b", i%4, "n", n, "owner", whose, "secret", "s"))
		if high, ok := n.(int); whose == "red" || whose == "it's" || whose == "blue" && ok && high >= 2 {
			must(t, w.twin, insert("pairs", "a", i/4, "b", i%4, "n", n, "owner", whose))
		}
	}
	shapes := map[string]int{}
	const trees = 1100
	for i := range trees {
		q := (&grower{Rand: r}).grow()
		rights(r, q)
		want, err := query(w.twin, q)
		for name, db := range w.views {
			got, err2 := query(db, q)
			if errnoOf(err) != errnoOf(err2) {
				t.Fatalf("query %d, %s: %v, the twin %v\n%+v", i, name, err2, err, q)
			}
			if err == nil && !slices.Equal(sorted(got), sorted(want)) {
				st, _ := db.statement(t.Context(), q)
				t.Fatalf("query %d, %s\n%s\ngot %v\nwant %v", i, name, st.sql, sorted(got), sorted(want))
			}
		}
		st, _ := w.views["host"].statement(t.Context(), q)
		shapes["refused"] += flagOf(err != nil)
		if st != nil && err == nil {
			shapes["rows"] += flagOf(len(want.Rows) > 0)
			for word, mark := range map[string]string{"WITH": "WITH", "LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "UNION": "UNION", "EXISTS": "EXISTS", "owner": "owner"} {
				shapes[word] += flagOf(strings.Contains(st.sql, mark))
			}
		}
	}
	t.Logf("of %d: %v", trees, shapes)
	for _, name := range []string{"WITH", "LEFT", "RIGHT", "UNION", "EXISTS", "rows", "owner"} {
		if shapes[name] < 70 {
			t.Errorf("only %d trees have %s: the generator is too tame", shapes[name], name)
		}
	}
}

// rights turns some left joins around.
func rights(r *rand.Rand, q *abi.Query) {
	turn := func(joins []abi.Join) {
		for i := range joins {
			if joins[i].Kind == "left" && r.IntN(2) == 0 {
				joins[i].Kind = "right"
			}
		}
	}
	turn(q.Joins)
	for i := range q.Subs {
		turn(q.Subs[i].Joins)
	}
}

func sorted(r abi.Result) []string {
	list := strings.Split(table(r), "\n")[1:]
	slices.Sort(list)
	return list
}

const thingTables = `CREATE TABLE things (id INTEGER PRIMARY KEY, owner VARCHAR(20) NOT NULL, kind INTEGER NOT NULL, n INTEGER NOT NULL DEFAULT 0, note VARCHAR(50), secret VARCHAR(50));
CREATE TABLE others (id INTEGER PRIMARY KEY, thing INTEGER)`

var (
	all        = []abi.Verb{abi.VerbSelect, abi.VerbInsert, abi.VerbUpdate, abi.VerbDelete}
	mine       = where(cond(abi.CondEq, "owner", "red"), cond(abi.CondIn, "kind", 1, 2), abi.Cond{Op: abi.CondAnd, N: 2})
	thingsMine = map[string]TableAccess{"things": {
		Verbs: all, Where: mine,
		Columns: map[abi.Verb][]string{
			abi.VerbSelect: {"id", "kind", "n", "note", "owner"}, abi.VerbInsert: {"id", "kind", "n", "note", "owner"}, abi.VerbUpdate: {"kind", "n", "note", "owner"},
		},
	}}
)

// writer draws writes to things.
type writer struct{ *rand.Rand }

func (r writer) value(column string) any {
	switch column {
	case "id":
		return r.IntN(30)
	case "owner":
		return []string{"red", "red", "red", "blue"}[r.IntN(4)]
	case "kind":
		return 1 + r.IntN(3)
	case "n":
		return r.IntN(5)
	}
	return []string{"a", "b"}[r.IntN(2)]
}

func (r writer) some(columns ...string) (list []string) {
	for _, c := range columns {
		if r.IntN(2) == 0 {
			list = append(list, c)
		}
	}
	return list
}

func (r writer) conds() []abi.Cond {
	list, n := []abi.Cond{}, 1+r.IntN(2)
	for range n {
		column := []string{"id", "kind", "n", "owner"}[r.IntN(4)]
		list = append(list, cond(abi.CondEq+abi.CondOp(r.IntN(2)), column, r.value(column)))
	}
	if r.IntN(3) == 0 {
		list = append(list, abi.Cond{Op: abi.CondAnd}) // true
		n++
	}
	return append(list, abi.Cond{Op: abi.CondOp(r.IntN(2)), N: uint32(n)})
}

func (r writer) write() *abi.Query {
	q := &abi.Query{Table: "things", Verb: abi.VerbInsert + abi.Verb(r.IntN(3))}
	switch {
	case q.Verb == abi.VerbInsert:
		q.Fields = append([]string{"id", "kind"}, r.some("owner", "n", "note")...)
		if !slices.Contains(q.Fields, "owner") && r.IntN(4) > 0 {
			q.Fields = append(q.Fields, "owner")
		}
		for range 1 + r.IntN(2) {
			row := abi.Values{}
			for _, c := range q.Fields {
				row = append(row, value(r.value(c)))
			}
			q.Rows = append(q.Rows, row)
		}
		if r.IntN(2) == 0 {
			q.Conflict = &abi.Conflict{Columns: []string{"id"}}
			for _, c := range q.Fields[1:] {
				switch {
				case c == "n" && r.IntN(2) == 0:
					q.Conflict.Add = []string{"n"}
				case r.IntN(2) == 0:
					q.Conflict.Update = append(q.Conflict.Update, c)
				}
			}
		}
	case q.Verb == abi.VerbUpdate:
		q.Where = r.conds()
		if q.Fields = r.some("kind", "note", "owner"); len(q.Fields) > 0 {
			row := abi.Values{}
			for _, c := range q.Fields {
				row = append(row, value(r.value(c)))
			}
			q.Rows = []abi.Values{row}
		}
		if r.IntN(2) == 0 || len(q.Fields) == 0 {
			q.Increments = []abi.Delta{{Column: "n", By: abi.Int(1)}}
		}
	case r.IntN(40) == 0:
		q.Truncate = true
	default:
		q.Where = append(r.conds(), cond(abi.CondEq, "n", r.IntN(5)))
	}
	return q
}

// Writes of a plugin that was granted a part do what they do in a database that has nothing but that part, or are refused, and never change a row of
// the rest.
func TestPolicyWritesDifferential(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) { testPolicyWrites(t, f) })
	}
}

func testPolicyWrites(t *testing.T, f fixture) {
	w := newWard(t, f, thingTables, thingsMine)
	r := writer{rand.New(rand.NewPCG(9, 10))}
	everything := &abi.Query{Table: "things", Order: []abi.Order{{Column: "id"}}}
	allowed := &abi.Query{Table: "things", Where: mine, Order: everything.Order}
	rest := &abi.Query{Table: "things", Where: append(slices.Clone(mine), abi.Cond{Op: abi.CondNot}), Order: everything.Order}
	names := []string{"host"}
	for name := range w.views {
		if name != "host" {
			names = append(names, name)
		}
	}
	counts := map[string]int{}
	const writes = 1200
	for i := range writes {
		if i%100 == 0 {
			for _, db := range []*DB{w.owner, w.twin} {
				must(t, db, &abi.Query{Verb: abi.VerbDelete, Table: "things", Where: everyRow})
			}
			for id := range 20 {
				owner, kind := r.value("owner"), r.value("kind")
				row := insert("things", "id", id, "owner", owner, "kind", kind, "secret", "s")
				must(t, w.owner, row)
				if owner == "red" && kind != 3 {
					must(t, w.twin, row)
				}
			}
		}
		q := r.write()
		before := table(must(t, w.owner, rest))
		name := names[i%len(names)]
		got, err := query(w.views[name], q)
		if after := table(must(t, w.owner, rest)); after != before {
			t.Fatalf("write %d, %s: %+v\nchanged rows out of the policy: %s\nto %s", i, name, q, before, after)
		}
		counts[fmt.Sprint(q.Verb, " ", errnoOf(err).Kind())]++
		if q.Conflict != nil && len(q.Conflict.Update)+len(q.Conflict.Add) > 0 {
			counts[fmt.Sprint("upsert ", errnoOf(err).Kind())]++
		}
		switch errnoOf(err) {
		case abi.ErrnoOK:
			twin := *q // what the policy pins, the host fills
			if twin.Verb == abi.VerbInsert && !slices.Contains(twin.Fields, "owner") {
				twin.Fields = append(slices.Clone(twin.Fields), "owner")
				twin.Rows = nil
				for _, row := range q.Rows {
					twin.Rows = append(twin.Rows, append(slices.Clone(row), abi.Text("red")))
				}
			}
			want, err := query(w.twin, &twin)
			// Rows that are not inserted because the key is another's are not there at the twin.
			ignored := q.Conflict != nil && len(q.Conflict.Update)+len(q.Conflict.Add) == 0
			if err != nil || got.Affected != want.Affected && !ignored {
				t.Fatalf("write %d, %s: %+v\naffected %d, the twin %d, %v", i, name, q, got.Affected, want.Affected, err)
			}
			if ignored {
				resync(t, w, allowed)
			}
		case abi.ErrnoDenied, abi.ErrnoConflict:
		default:
			t.Fatalf("write %d, %s: %v\n%+v", i, name, err, q)
		}
		if a, b := sorted(without(must(t, w.owner, allowed))), sorted(without(must(t, w.twin, everything))); !slices.Equal(a, b) {
			t.Fatalf("write %d, %s: %+v: %v\nallowed rows %v\nthe twin     %v", i, name, q, err, a, b)
		}
	}
	t.Logf("of %d: %v", writes, counts)
	for _, what := range []string{"insert ok", "insert denied", "insert conflict", "update ok", "update denied", "delete ok", "upsert ok"} {
		if counts[what] < 15 {
			t.Errorf("only %d are %s: the generator is too tame", counts[what], what)
		}
	}
}

// without leaves the column away that the plugin cannot write.
func without(r abi.Result) abi.Result {
	i := slices.Index(r.Columns, "secret")
	r.Columns = slices.Delete(r.Columns, i, i+1)
	for j, row := range r.Rows {
		r.Rows[j] = slices.Delete(row, i, i+1)
	}
	return r
}

// resync gives the twin the rows that are allowed.
func resync(t *testing.T, w *ward, allowed *abi.Query) {
	t.Helper()
	must(t, w.twin, &abi.Query{Verb: abi.VerbDelete, Table: "things", Where: everyRow})
	now := must(t, w.owner, allowed)
	for _, row := range now.Rows {
		must(t, w.twin, &abi.Query{Verb: abi.VerbInsert, Table: "things", Fields: now.Columns, Rows: []abi.Values{row}})
	}
}
