package database

import (
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

func update(table string, w []abi.Cond, pairs ...any) *abi.Query {
	q := insert(table, pairs...)
	q.Verb, q.Where = abi.VerbUpdate, w
	return q
}

func cell(t testing.TB, db querier, table, column, id string) abi.Value {
	t.Helper()
	r := must(t, db, &abi.Query{Table: table, Columns: []abi.Column{{Name: column}}, Where: where(cond(abi.CondEq, "id", id))})
	if len(r.Rows) != 1 {
		t.Fatalf("%s %s: %d rows", table, id, len(r.Rows))
	}
	return r.Rows[0][0]
}

func TestInsertFills(t *testing.T) { onEngines(t, testInsertFills) }

func testInsertFills(t *testing.T, db *DB) {
	before := time.Now().Truncate(time.Microsecond) // the finest that all databases keep
	q := insert("posts", "title", "a", "id", nil)
	q.Rows = append(q.Rows, abi.Values{abi.Text("b"), abi.Text("given")}, abi.Values{abi.Text("c"), abi.Null()})
	r := must(t, db, q)
	id := r.LastID.AsText()
	if r.Affected != 3 || len(id) != 21 || strings.Trim(id, nanoidAlphabet) != "" {
		t.Fatalf("affected %d, id %q", r.Affected, id)
	}
	if cell(t, db, "posts", "title", id).AsText() != "c" || cell(t, db, "posts", "title", "given").AsText() != "b" {
		t.Error("the key that was given is not kept")
	}
	made := cell(t, db, "posts", "created_at", id).AsTime()
	if made.Before(before) || made.After(time.Now()) || made != cell(t, db, "posts", "updated_at", id).AsTime() {
		t.Errorf("created_at %v", made)
	}
	old := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	must(t, db, insert("posts", "id", "old", "title", "o", "created_at", old, "updated_at", old))
	if got := cell(t, db, "posts", "updated_at", "old").AsTime(); got != old {
		t.Errorf("a time that was given is %v", got)
	}
	if must(t, db, update("posts", where(cond(abi.CondEq, "id", "old")), "title", "p")); !cell(t, db, "posts", "updated_at", "old").AsTime().After(made) {
		t.Error("update leaves updated_at")
	}
	if got := cell(t, db, "posts", "created_at", "old").AsTime(); got != old {
		t.Errorf("update changes created_at to %v", got)
	}
	if r := must(t, db, insert("users", "name", "x")); r.LastID != abi.Int(1) {
		t.Errorf("row id %v", r.LastID)
	}
	if r := must(t, db, insert("users", "name", "x", "id", 77)); r.LastID != abi.Int(77) {
		t.Errorf("row id %v", r.LastID)
	}
	if r := must(t, db, insert("pairs", "a", 1, "b", 2)); !r.LastID.IsNull() {
		t.Errorf("a key of two columns is %v", r.LastID)
	}
	if r := must(t, db, &abi.Query{Verb: abi.VerbInsert, Table: "log", Rows: []abi.Values{{}, {}}}); r.Affected != 2 || r.LastID.IsNull() {
		t.Errorf("rows of defaults: %+v", r)
	}
	many := insert("log", "what", "x") // which has six rows by now, four of the trigger
	for range 149 {
		many.Rows = append(many.Rows, abi.Values{abi.Text("x")})
	}
	if r := must(t, db, many); r.Affected != 150 || r.LastID != abi.Int(156) {
		t.Errorf("many rows: %+v", r)
	}
	if r := must(t, db, &abi.Query{Verb: abi.VerbInsert, Table: "log", Fields: []string{"what"}}); r.Affected != 0 || !r.LastID.IsNull() {
		t.Errorf("no rows: %+v", r)
	}
}

func TestConflict(t *testing.T) { onEngines(t, testConflict) }

func testConflict(t *testing.T, db *DB) {
	must(t, db, insert("users", "name", "ann", "email", "a@b"))
	ignore := insert("users", "name", "bob", "email", "a@b")
	ignore.Conflict = &abi.Conflict{}
	if r := must(t, db, ignore); r.Affected != 0 || !r.LastID.IsNull() {
		t.Errorf("ignored: %+v", r)
	}
	replace := insert("users", "name", "bob", "email", "a@b", "age", 9)
	replace.Conflict = &abi.Conflict{Columns: []string{"email"}, Update: []string{"name"}}
	replace.Returning = []string{"id", "name", "age"}
	if r := must(t, db, replace); r.Affected != 1 || !r.LastID.IsNull() || table(r) != "id|name|age\n1|bob|null" {
		t.Errorf("%+v", r)
	}
	post := insert("posts", "id", "p", "title", "one")
	must(t, db, post)
	created := cell(t, db, "posts", "created_at", "p")
	updated := cell(t, db, "posts", "updated_at", "p")
	post.Conflict = &abi.Conflict{Columns: []string{"id"}, Update: []string{"title"}}
	post.Rows[0][1] = abi.Text("two")
	must(t, db, post)
	if cell(t, db, "posts", "title", "p").AsText() != "two" || cell(t, db, "posts", "created_at", "p") != created || cell(t, db, "posts", "updated_at", "p") == updated {
		t.Error("an upsert keeps created_at and moves updated_at")
	}
	pair := insert("pairs", "a", 1, "b", 2, "n", 3)
	pair.Conflict = &abi.Conflict{Columns: []string{"b", "a"}, Update: []string{"n"}}
	must(t, db, pair)
	must(t, db, pair)
}

func TestConstraints(t *testing.T) { onEngines(t, testConstraints) }

func testConstraints(t *testing.T, db *DB) {
	seed(t, db)
	for _, c := range []struct {
		q    *abi.Query
		want string
	}{
		{insert("users", "name", "x", "email", "ann@x.y"), "users.email"},
		{insert("posts", "id", "p1", "title", "x"), "posts.id"},
		{insert("pairs", "a", nil, "b", 1), "pairs.a"},
		{insert("users", "email", "x"), "users.name"},
		{insert("users", "name", "x", "boss", 99), "foreign key"},
		{insert("posts", "title", "forbidden"), "check: a value is not allowed in posts"},
		{&abi.Query{Verb: abi.VerbDelete, Table: "users", Where: where(cond(abi.CondEq, "id", 1))}, "foreign key"},
	} {
		_, err := query(db, c.q)
		if errnoOf(err) != abi.ErrnoConflict || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v: got %v, want conflict with %s", c.q.Verb, c.q.Rows, err, c.want)
		}
		if strings.Contains(err.Error(), "constraint failed") || strings.Contains(err.Error(), "sqlite") {
			t.Errorf("the driver speaks: %v", err)
		}
	}
}

// An insert of many rows is all or nothing, alone and in a transaction that goes on.
func TestInsertIsAtomic(t *testing.T) { onEngines(t, testInsertIsAtomic) }

func testInsertIsAtomic(t *testing.T, db *DB) {
	q := insert("users", "name", "a", "email", "a")
	q.Rows = append(q.Rows, abi.Values{abi.Text("b"), abi.Text("b")}, abi.Values{abi.Text("c"), abi.Text("a")})
	if _, err := query(db, q); errnoOf(err) != abi.ErrnoConflict {
		t.Fatal(err)
	}
	tx, err := db.Begin(t.Context(), TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	must(t, tx, insert("users", "name", "first"))
	if _, err := query(tx, q); errnoOf(err) != abi.ErrnoConflict {
		t.Fatal(err)
	}
	q.Rows[2][1] = abi.Text("long" + strings.Repeat("x", 100))
	q.Rows[1][0] = abi.Text(strings.Repeat("x", 21)) // refused before SQLite sees it
	if _, err := query(tx, q); errnoOf(err) != abi.ErrnoInvalid {
		t.Fatal(err)
	}
	q.Returning, q.Rows[1][0] = []string{"id"}, abi.Text("x")
	if _, err := tx.Query(t.Context(), q, Budget{MaxRows: 1}, nil); errnoOf(err) != abi.ErrnoLimit {
		t.Fatal(err)
	}
	must(t, tx, insert("users", "name", "last"))
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := table(must(t, db, &abi.Query{Table: "users", Columns: []abi.Column{{Name: "name"}}, Order: []abi.Order{{Column: "id"}}})); got != "name\nfirst\nlast" {
		t.Error(got)
	}
	// A budget over which the answer of a write goes undoes the write.
	if _, err := db.Query(t.Context(), q, Budget{MaxRows: 1}, nil); errnoOf(err) != abi.ErrnoLimit {
		t.Fatal(err)
	}
	if got := table(must(t, db, &abi.Query{Table: "users", Columns: []abi.Column{{Func: "count"}}})); got != "count\n2" {
		t.Error(got)
	}
}

func TestUpdateAndDelete(t *testing.T) { onEngines(t, testUpdateAndDelete) }

// mustReturn is must for an update that returns rows. On MySQL, which has none, it reads them afterwards.
func mustReturn(t *testing.T, db *DB, q *abi.Query) abi.Result {
	t.Helper()
	if !is(db, typeMySQL) {
		return must(t, db, q)
	}
	if _, err := query(db, q); errnoOf(err) != abi.ErrnoUnsupported {
		t.Errorf("an update that returns: %v", err)
	}
	names := q.Returning
	q.Returning = nil
	n := must(t, db, q).Affected
	sel := &abi.Query{Table: q.Table, As: q.As, Where: q.Where}
	for _, name := range names {
		sel.Columns = append(sel.Columns, abi.Column{Name: name})
	}
	r := must(t, db, sel)
	r.Affected = n
	return r
}

func testUpdateAndDelete(t *testing.T, db *DB) {
	seed(t, db)
	q := &abi.Query{
		Verb: abi.VerbUpdate, Table: "posts", As: "p", Where: where(cond(abi.CondIn, "p.id", "p1", "p2")), Returning: []string{"id", "views", "price"},
		Increments: []abi.Delta{{Column: "views", By: abi.Int(-3)}, {Column: "price", By: abi.Decimal("0.125")}},
	}
	if r := mustReturn(t, db, q); r.Affected != 2 || table(r) != "id|views|price\np1|7|8.63\np2|17|9.63" {
		t.Errorf("%d\n%s", r.Affected, table(r))
	}
	null := &abi.Query{Verb: abi.VerbUpdate, Table: "users", Where: where(cond(abi.CondEq, "name", "cat")), Increments: []abi.Delta{{Column: "age", By: abi.Int(5)}}, Returning: []string{"age"}}
	if r := mustReturn(t, db, null); table(r) != "age\n5" {
		t.Error(table(r))
	}
	null.Increments[0].By = abi.Int(1<<63 - 1)
	if _, err := query(db, null); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("an increment over 64 bits: %v", err)
	}
	null.Increments[0].By = abi.Float(0.5)
	if _, err := query(db, null); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("half an integer: %v", err)
	}
	if r := must(t, db, update("posts", everyRow, "live", false, "body", nil)); r.Affected != 6 {
		t.Errorf("every row: %d", r.Affected)
	}
	// A delete of a user takes its posts along.
	must(t, db, update("users", where(cond(abi.CondEq, "name", "cat")), "boss", nil))
	if r := must(t, db, &abi.Query{Verb: abi.VerbDelete, Table: "users", Where: where(cond(abi.CondEq, "id", 1)), Returning: []string{"*"}}); table(r) != "id|name|email|age|boss\n1|ann|ann@x.y|20|null" {
		t.Error(table(r))
	}
	if got := table(must(t, db, &abi.Query{Table: "posts", Columns: []abi.Column{{Func: "count"}}})); got != "count\n4" {
		t.Error(got)
	}
	if r := must(t, db, &abi.Query{Verb: abi.VerbDelete, Table: "posts", Where: where(cond(abi.CondEq, "id", "nope"))}); r.Affected != 0 {
		t.Errorf("nothing: %d", r.Affected)
	}
}

func TestBudgets(t *testing.T) { onEngines(t, testBudgets) }

func testBudgets(t *testing.T, db *DB) {
	seed(t, db)
	q := &abi.Query{Table: "posts"}
	dst := []byte("kept")
	if out, err := db.Query(t.Context(), q, Budget{MaxRows: 5}, dst); errnoOf(err) != abi.ErrnoLimit || !strings.Contains(err.Error(), "max_rows, 5") || string(out) != "kept" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := db.Query(t.Context(), q, Budget{MaxRows: 6}, nil); err != nil {
		t.Error(err)
	}
	if _, err := db.Query(t.Context(), q, Budget{MaxBytes: 200}, nil); errnoOf(err) != abi.ErrnoLimit || !strings.Contains(err.Error(), "max_bytes, 200") {
		t.Error(err)
	}
	huge := insert("log", "what", strings.Repeat("x", abi.MaxMessageBytes))
	if _, err := query(db, huge); errnoOf(err) != abi.ErrnoTooLarge {
		t.Errorf("a value over the limit: %v", err)
	}
}

func TestFill(t *testing.T) { onEngines(t, testFill) }

func testFill(t *testing.T, db *DB) {
	c := db.Catalog()
	fields, rows, err := c.FillInsert(nil, "posts", []string{"title", "price"}, []abi.Values{{abi.Text("a"), abi.Int(3)}, {abi.Text("b"), abi.Float(0.005)}})
	if err != nil || strings.Join(fields, " ") != "title price id created_at updated_at" {
		t.Fatal(fields, err)
	}
	if rows[0][1] != abi.Decimal("3.00") || rows[1][1] != abi.Decimal("0.01") || len(rows[0][2].AsText()) != 21 || rows[0][3].Kind() != abi.KindTime {
		t.Errorf("%v", rows)
	}
	for _, bad := range [][]abi.Values{{{abi.Text("a")}}, {{abi.Text("a"), abi.Text("many")}}} {
		if _, _, err := c.FillInsert(nil, "posts", []string{"title", "price"}, bad); errnoOf(err) != abi.ErrnoInvalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
	names, row, err := c.FillUpdate(nil, "posts", []string{"views"}, abi.Values{abi.Text("12")}, nil)
	if err != nil || strings.Join(names, " ") != "views updated_at" || row[0] != abi.Int(12) {
		t.Error(names, row, err)
	}
	if key, err := c.KeyValues(nil, "users", []string{"id"}, abi.Values{abi.Text("12")}); err != nil || key[0] != abi.Int(12) {
		t.Error(key, err)
	}
	for _, columns := range [][]string{{"a"}, {"a", "a"}, {"a", "n"}, nil} {
		if _, err := c.KeyValues(nil, "pairs", columns, make(abi.Values, len(columns))); errnoOf(err) != abi.ErrnoInvalid {
			t.Errorf("%v: %v", columns, err)
		}
	}
}

func TestNanoid(t *testing.T) {
	count := map[rune]int{}
	seen := map[string]bool{}
	for range 20_000 {
		id := newNanoid(21)
		if len(id) != 21 || seen[id] {
			t.Fatal(id)
		}
		seen[id] = true
		for _, r := range id {
			count[r]++
		}
	}
	// 420,000 letters, 6,774 of each expected: seven standard deviations are 570.
	for _, r := range nanoidAlphabet {
		if n := count[r]; n < 6774-570 || n > 6774+570 {
			t.Errorf("letter %c was drawn %d times", r, n)
		}
	}
	if len(count) != 62 || len(newNanoid(maxNanoid)) != maxNanoid || newNanoid(0) != "" {
		t.Error("alphabet or length")
	}
}
