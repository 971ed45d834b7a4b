package database

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

func touches(t testing.TB, db *DB, q *abi.Query) string {
	t.Helper()
	list, err := db.Touches(q)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range list {
		s := x.Verb.String() + " " + x.Table
		if x.Indirect {
			s = "(" + s + ")"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestTouches(t *testing.T) { onEngines(t, testTouches) }

func testTouches(t *testing.T, db *DB) {
	upsert := insert("users", "name", "x", "email", "y")
	upsert.Conflict = &abi.Conflict{Columns: []string{"email"}, Update: []string{"name"}}
	returning := insert("pairs", "a", 1, "b", 2)
	returning.Returning = []string{"n"}
	for _, c := range []struct {
		q    *abi.Query
		want string
	}{
		{&abi.Query{Table: "users"}, "select users"},
		{&abi.Query{Table: "users", Joins: []abi.Join{{Kind: "cross", Table: "log"}}}, "select log, select users"},
		{&abi.Query{Table: "live_posts"}, "(select posts), (select users), select live_posts"},
		{insert("posts", "title", "x"), "(insert log), insert posts"}, // the trigger
		{upsert, "insert users, update users"},
		{returning, "insert pairs, select pairs"},
		{&abi.Query{Verb: abi.VerbDelete, Table: "users", Where: everyRow}, "(delete posts), delete users"},
		{&abi.Query{Verb: abi.VerbDelete, Table: "users"}, "(delete posts), delete users"},
		{&abi.Query{Verb: abi.VerbUpdate, Table: "users"}, "update users"},
		{&abi.Query{Verb: abi.VerbInsert, Table: "posts"}, "(insert log), insert posts"},
	} {
		if !is(db, typeSQLite) {
			c.want = strings.ReplaceAll(c.want, "(insert log)", "(update )") // what a trigger does only the database knows
		}
		if got := touches(t, db, c.q); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.q.Verb, c.q.Table, got, c.want)
		}
	}
	for _, q := range []*abi.Query{{Table: "nope"}, {Verb: abi.VerbDelete, Table: "nope"}, {Verb: 200, Table: "users"}} {
		if _, err := db.Touches(q); errnoOf(err) != abi.ErrnoInvalid {
			t.Error(err)
		}
	}
}

// The authorizer stands behind the catalog: what gets past it is refused all the same.
func TestAuthorizer(t *testing.T) {
	db := newDB(t)
	for _, write := range []bool{false, true} {
		c, err := db.engine.(*sqlite).take(t.Context(), write)
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{
			"SELECT * FROM _odac_secret", "SELECT count(*) FROM sqlite_schema", "INSERT INTO _odac_secret (what) VALUES (1)", "UPDATE _odac_secret SET what = 1",
			"DELETE FROM _odac_secret", "SELECT * FROM users, _odac_secret", "SELECT (SELECT what FROM _odac_secret)", "WITH x AS (SELECT * FROM _odac_secret) SELECT * FROM x",
			"ATTACH ':memory:' AS x", "DETACH main", "PRAGMA table_list", "PRAGMA query_only = OFF", "PRAGMA writable_schema = ON", "SELECT * FROM pragma_table_list",
			"CREATE TABLE x (a)", "CREATE TEMP TABLE x (a)", "CREATE VIEW x AS SELECT 1", "CREATE TRIGGER x AFTER INSERT ON users BEGIN SELECT 1; END", "DROP TABLE users",
			"ALTER TABLE users ADD COLUMN x", "CREATE INDEX x ON users (age)", "REINDEX", "ANALYZE", "VACUUM", "VACUUM INTO '/tmp/x'", "CREATE VIRTUAL TABLE x USING json_each",
			"SELECT load_extension('x')", "SELECT readfile('/etc/passwd')",
		} {
			st, _, err := c.db.Prepare(sql)
			if err == nil {
				st.Step()
				err = st.Err()
				_ = st.Close() // tells the error again
			}
			if err == nil {
				t.Errorf("%s is not refused", sql)
			}
		}
		c.release()
	}
	if got := must(t, db, &abi.Query{Table: "users"}); len(got.Rows) != 0 {
		t.Error("something was written")
	}
}

// dice draws choices from the bytes of a fuzz input.
type dice struct{ data []byte }

func (d *dice) n(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % n
}

var (
	fuzzTables  = []string{"users", "posts", "log", "pairs", "live_posts", "everything", "doubled", "_odac_secret", "sqlite_schema", "pragma_table_list", `a"b`, ""}
	fuzzColumns = []string{"id", "name", "age", "title", "price", "views", "what", "a", "b", "n", "author", "*", "u.id", "p.id", "users.id", "posts.*", "twice", "rowid", `x" OR 1=1 --`, "", "created_at", "j", "ts"}
	fuzzAliases = []string{"", "", "", "u", "p", "x", `"`, "select"}
	fuzzFuncs   = []string{"", "", "", "count", "sum", "min", "max", "avg", "load_extension"}
	fuzzValues  = []abi.Value{abi.Int(1), abi.Null(), abi.Text("x"), abi.Text("'; DROP TABLE users; --"), abi.Float(1.5), abi.Bool(true), abi.Decimal("1.5"), abi.Bytes([]byte("x")), abi.JSON("{}"), abi.Text("2026-01-01")}
)

func (d *dice) names(max int, from []string) []string {
	var out []string
	for range d.n(max + 1) {
		out = append(out, from[d.n(len(from))])
	}
	return out
}

func (d *dice) values(max int) abi.Values {
	var out abi.Values
	for range d.n(max + 1) {
		out = append(out, fuzzValues[d.n(len(fuzzValues))])
	}
	return out
}

func (d *dice) conds(max int) []abi.Cond {
	var out []abi.Cond
	for range d.n(max + 1) {
		c := abi.Cond{Op: abi.CondOp(d.n(19))}
		if c.Op <= abi.CondNot {
			c.N = uint32(d.n(4))
		} else {
			c.Column, c.Func, c.Values = fuzzColumns[d.n(len(fuzzColumns))], fuzzFuncs[d.n(4)], d.values(2)
			switch d.n(6) {
			case 4:
				c.Other, c.Values = fuzzColumns[d.n(len(fuzzColumns))], nil
			case 5:
				c.Sub, c.Values = uint32(d.n(4)), nil
				if c.Op >= abi.CondExists {
					c.Column, c.Func = "", ""
				}
			}
		}
		out = append(out, c)
	}
	return out
}

func (d *dice) query() *abi.Query {
	q := &abi.Query{Verb: abi.Verb(d.n(5)), Table: fuzzTables[d.n(len(fuzzTables))], As: fuzzAliases[d.n(len(fuzzAliases))]}
	if q.Verb == abi.VerbSelect {
		q.Distinct, q.Limit, q.Offset = d.n(2) == 1, int64(d.n(4)-1), int64(d.n(3)-1)
		for range d.n(4) {
			q.Columns = append(q.Columns, abi.Column{Name: fuzzColumns[d.n(len(fuzzColumns))], Func: fuzzFuncs[d.n(len(fuzzFuncs))], As: fuzzAliases[d.n(len(fuzzAliases))]})
		}
		for range d.n(3) {
			q.Joins = append(q.Joins, abi.Join{Kind: []string{"", "left", "right", "cross", "x"}[d.n(5)], Table: fuzzTables[d.n(len(fuzzTables))], As: fuzzAliases[d.n(len(fuzzAliases))], On: d.conds(2)})
		}
		q.Group, q.Having = d.names(2, fuzzColumns), d.conds(2)
		for range d.n(3) {
			q.Order = append(q.Order, abi.Order{Column: fuzzColumns[d.n(len(fuzzColumns))], Desc: d.n(2) == 1})
		}
	}
	if q.Verb != abi.VerbInsert {
		q.Where = d.conds(4)
	}
	if q.Verb == abi.VerbInsert || q.Verb == abi.VerbUpdate {
		q.Fields = d.names(3, fuzzColumns)
		for range d.n(3) {
			q.Rows = append(q.Rows, d.values(3))
		}
		if d.n(3) == 2 {
			q.Conflict = &abi.Conflict{Columns: d.names(2, fuzzColumns), Update: d.names(2, fuzzColumns)}
		}
		if d.n(3) == 2 {
			q.Increments = []abi.Delta{{Column: fuzzColumns[d.n(len(fuzzColumns))], By: fuzzValues[d.n(len(fuzzValues))]}}
		}
	}
	if q.Verb != abi.VerbSelect {
		q.Returning = d.names(2, fuzzColumns)
	}
	for range d.n(4) {
		s := abi.Select{Table: fuzzTables[d.n(len(fuzzTables))], As: fuzzAliases[d.n(len(fuzzAliases))], Where: d.conds(2), Limit: int64(d.n(2))}
		if d.n(3) == 2 {
			s.Name = fuzzAliases[d.n(len(fuzzAliases))]
			s.Recursive = s.Name != "" && d.n(3) == 2
		}
		if d.n(4) == 3 {
			s.Table, s.From = "", uint32(d.n(4))
		}
		for range d.n(2) {
			s.Columns = append(s.Columns, abi.Column{Name: fuzzColumns[d.n(len(fuzzColumns))]})
		}
		for range d.n(2) {
			s.Unions = append(s.Unions, abi.Union{Sub: uint32(d.n(4)), All: d.n(2) == 1})
		}
		q.Subs = append(q.Subs, s)
	}
	if q.Verb == abi.VerbSelect && len(q.Subs) > 0 {
		switch d.n(5) {
		case 1:
			q.Table, q.From = "", uint32(d.n(4))
		case 2:
			q.Columns = append(q.Columns, abi.Column{Sub: uint32(d.n(4)), As: "x"})
		case 3:
			q.Unions = []abi.Union{{Sub: uint32(d.n(4))}}
		case 4:
			q.Joins = append(q.Joins, abi.Join{Kind: "cross", From: uint32(d.n(4)), As: "p"})
		}
	}
	return q
}

// bareWords are all that stands outside of quotes in what is compiled.
var bareWords = strings.Fields(`WITH RECURSIVE UNION ALL EXISTS SELECT DISTINCT FROM AS JOIN LEFT RIGHT CROSS ON WHERE GROUP BY HAVING ORDER DESC LIMIT OFFSET INSERT INTO DEFAULT VALUES CONFLICT DO NOTHING
	UPDATE SET DELETE RETURNING AND OR NOT IN BETWEEN IS NULL LIKE ESCAPE COLLATE count sum min max avg coalesce excluded odac_decimal odac_decimal_add odac_decimal_sum
	odac_decimal_avg odac_integer_add -1 0 1 2 3 10 12`)

// checkQuoted finds an identifier outside of quotes.
func checkQuoted(sql string) error {
	rest := sql
	for rest != "" {
		switch c := rest[0]; {
		case c == '"':
			end := 1
			for end < len(rest) && (rest[end] != '"' || end+1 < len(rest) && rest[end+1] == '"') {
				if rest[end] == '"' {
					end++
				}
				end++
			}
			if end >= len(rest) {
				return fmt.Errorf("a quote is open in %s", sql)
			}
			rest = rest[end+1:]
		case strings.ContainsRune("(), =<>.*+?", rune(c)):
			rest = rest[1:]
		case strings.HasPrefix(rest, `'\'`):
			rest = rest[3:]
		default:
			end := strings.IndexAny(rest, "(), =<>.*+?\"'")
			if end < 0 {
				end = len(rest)
			}
			if !slices.Contains(bareWords, rest[:end]) {
				return fmt.Errorf("%q stands bare in %s", rest[:max(end, 1)], sql)
			}
			rest = rest[end:]
		}
	}
	return nil
}

// No query makes the host fail, leaves quotes, or reaches a table that Touches does not name.
func FuzzQuery(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		seed := make([]byte, r.IntN(80))
		for j := range seed {
			if r.IntN(3) > 0 { // most lists short, most queries simple: those compile
				seed[j] = byte(r.IntN(256))
			}
		}
		f.Add(seed)
	}
	db := newDB(f)
	seed(f, db)
	e := db.engine.(*sqlite)
	var compiled atomic.Int64
	f.Cleanup(func() { f.Logf("%d queries compiled", compiled.Load()) }) // 173 of the seeds
	f.Fuzz(func(t *testing.T, data []byte) {
		q := (&dice{data}).query()
		st, err := db.Catalog().compile(db.engine.dialect(), q)
		if err != nil {
			if errnoOf(err) != abi.ErrnoInvalid {
				t.Fatalf("compile: %v", err)
			}
			return
		}
		compiled.Add(1)
		if err := checkQuoted(st.sql); err != nil {
			t.Fatal(err)
		}
		c, err := e.take(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		c.record = func(action sqlite3.AuthorizerActionCode, name string) {
			verb, ok := actionVerbs[action]
			if !ok || slices.Contains(st.touches, Touch{name, verb, false}) || slices.Contains(st.touches, Touch{name, verb, true}) {
				return
			}
			if verb == abi.VerbSelect && st.verb != abi.VerbSelect && !reserved(name) {
				return // a write reads its own row and what its foreign keys need
			}
			t.Errorf("%s\n%s of %s is not among %v", st.sql, verb, name, st.touches)
		}
		stmt, _, err := c.db.Prepare(st.sql)
		c.record = nil
		if err != nil {
			c.release()
			t.Fatalf("%s: %v", st.sql, err)
		}
		if stmt.BindCount() != len(st.params) {
			t.Errorf("%s has %d parameters, we think %d", st.sql, stmt.BindCount(), len(st.params))
		}
		_ = stmt.Close() // was not stepped
		c.release()
		tx := begin(t, db, false)
		defer tx.Rollback() //nolint:errcheck // returns nil
		out, err := tx.Query(t.Context(), q, Budget{}, nil)
		switch errnoOf(err) {
		case abi.ErrnoOK:
			var r abi.Result
			if rest, err := r.UnmarshalMsg(out); err != nil || len(rest) > 0 {
				t.Fatalf("%s: answer %x: %v", st.sql, out, err)
			}
		case abi.ErrnoInvalid, abi.ErrnoConflict:
		default:
			t.Fatalf("%s: %v", st.sql, err)
		}
	})
}

// Messages of any bytes that decode are answered.
func FuzzMessage(f *testing.F) {
	nested := &abi.Query{From: 1, Unions: []abi.Union{{Sub: 2}}, Subs: []abi.Select{{Name: "x", Table: "users", Columns: columns("id")}, {Table: "users", Columns: columns("id"), Where: where(sub(abi.CondExists, "", 3))}, {Table: "log"}}}
	for _, q := range []*abi.Query{nested, rawQuery("SELECT ?", 1), {Table: "users"}, insert("posts", "title", "x"), slow, {Verb: abi.VerbDelete, Table: "log", Where: everyRow}} {
		b, err := q.MarshalMsg(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	db := newDB(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var q abi.Query
		if _, err := q.UnmarshalMsg(data); err != nil {
			return
		}
		if _, err := query(db, &q); err != nil && !slices.Contains([]abi.Errno{abi.ErrnoInvalid, abi.ErrnoConflict, abi.ErrnoTooLarge}, errnoOf(err)) {
			t.Fatal(err)
		}
	})
}
