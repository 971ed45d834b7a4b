package database

import (
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

func sub(op abi.CondOp, column string, n uint32) abi.Cond {
	return abi.Cond{Op: op, Column: column, Sub: n}
}

func same(column, other string) abi.Cond {
	return abi.Cond{Op: abi.CondEq, Column: column, Other: other}
}

func columns(names ...string) (list []abi.Column) {
	for _, name := range names {
		list = append(list, abi.Column{Name: name})
	}
	return list
}

var (
	counts = []abi.Column{{Func: "count", As: "n"}}
	byID   = []abi.Order{{Column: "id"}}
	byName = []abi.Order{{Column: "name"}}
)

func TestNested(t *testing.T) { onEngines(t, testNested) }

func testNested(t *testing.T, db *DB) {
	seed(t, db)
	for _, c := range []struct {
		name string
		q    abi.Query
		want string
	}{
		{
			"in",
			abi.Query{
				Table: "posts", Columns: columns("id"), Where: where(sub(abi.CondIn, "author", 1)), Order: byID,
				Subs: []abi.Select{{Table: "users", Columns: columns("id"), Where: where(cond(abi.CondGe, "age", 30))}},
			},
			"id\np1\np4",
		},
		{
			"not in and a value before it",
			abi.Query{
				Table: "posts", Columns: columns("id"), Where: where(cond(abi.CondGt, "views", 0), sub(abi.CondNotIn, "author", 1)), Order: byID,
				Subs: []abi.Select{{Table: "users", Columns: columns("id"), Where: where(cond(abi.CondEq, "name", "bob"))}},
			},
			"id\np2\np3\np5",
		},
		{
			"exists, correlated",
			abi.Query{
				Table: "users", As: "u", Columns: columns("name"), Where: where(sub(abi.CondExists, "", 1)), Order: byName,
				Subs: []abi.Select{{Table: "posts", As: "p", Columns: columns("p.id"), Where: where(same("p.author", "u.id"), cond(abi.CondGt, "p.views", 30))}},
			},
			"name\nbob\ncat",
		},
		{
			"not exists",
			abi.Query{
				Table: "users", As: "u", Columns: columns("name"), Where: where(sub(abi.CondNotExists, "", 1)),
				Subs:  []abi.Select{{Table: "users", As: "b", Where: where(same("b.boss", "u.id"))}},
				Order: byName,
			},
			"name\nbob\ncat",
		},
		{
			"compared with one value",
			abi.Query{
				Table: "posts", Columns: columns("id"), Where: where(sub(abi.CondGt, "price", 1)), Order: byID,
				Subs: []abi.Select{{Table: "posts", Columns: []abi.Column{{Func: "min", Name: "price"}}, Where: where(cond(abi.CondGt, "price", abi.Decimal("9")))}},
			},
			"id\np3\np4\np5",
		},
		{
			"in the select list",
			abi.Query{
				Table: "users", As: "u", Order: []abi.Order{{Column: "posts", Desc: true}, {Column: "name"}},
				Columns: []abi.Column{{Name: "name"}, {Sub: 1, As: "posts"}}, Where: where(cond(abi.CondLe, "u.id", 2)),
				Subs: []abi.Select{{Table: "posts", Columns: counts, Where: where(same("author", "u.id"), cond(abi.CondGe, "views", 10))}},
			},
			"name|posts\nbob|2\nann|1",
		},
		{
			"as a table, and joined",
			abi.Query{
				From: 1, As: "x", Columns: columns("x.author", "x.n", "y.name"), Order: []abi.Order{{Column: "x.author"}}, Where: where(cond(abi.CondGt, "x.n", 30)),
				Joins: []abi.Join{{From: 2, As: "y", On: where(same("y.id", "x.author"), cond(abi.CondNe, "y.name", "cat"))}},
				Subs: []abi.Select{
					{Table: "posts", Columns: []abi.Column{{Name: "author"}, {Func: "sum", Name: "views", As: "n"}}, Group: []string{"author"}},
					{Table: "users", Columns: columns("id", "name"), Where: where(cond(abi.CondNotNull, "id"))},
				},
			},
			"author|n|name\n2|50|bob",
		},
		{
			"common table expressions, used twice",
			abi.Query{
				From: 1, As: "a", Columns: []abi.Column{{Name: "a.id", As: "one"}, {Name: "b.id", As: "two"}}, Order: []abi.Order{{Column: "one"}, {Column: "two"}},
				Joins: []abi.Join{{From: 2, As: "b", Kind: "cross"}},
				Subs: []abi.Select{
					{Name: "hot", Table: "posts", Columns: columns("id", "price"), Where: where(cond(abi.CondGe, "views", 40))},
					{Name: "hotter", From: 1, Where: where(cond(abi.CondGt, "price", abi.Decimal("11.6")))},
				},
			},
			"one|two\np4|p5\np5|p5",
		},
		{
			"recursive",
			abi.Query{
				From: 1, Columns: columns("n"), Order: []abi.Order{{Column: "n", Desc: true}}, Limit: 2,
				Subs: []abi.Select{
					{Name: "chain", Recursive: true, Table: "users", Columns: []abi.Column{{Name: "id", As: "n"}, {Name: "boss"}}, Where: where(cond(abi.CondEq, "name", "cat")), Unions: []abi.Union{{Sub: 2}}},
					{Table: "users", As: "u", Columns: columns("u.id", "u.boss"), Joins: []abi.Join{{From: 1, As: "c", On: where(same("u.id", "c.boss"))}}},
				},
			},
			"n\n3\n1",
		},
		{
			"union",
			abi.Query{
				Table: "users", Columns: columns("name"), Where: where(cond(abi.CondEq, "id", 1)), Unions: []abi.Union{{Sub: 1}, {Sub: 2, All: true}}, Order: []abi.Order{{Column: "name", Desc: true}}, Limit: 3, Offset: 1,
				Subs: []abi.Select{{Table: "users", Columns: columns("name"), Where: where(cond(abi.CondLt, "id", 3))}, {Table: "posts", Columns: columns("title"), Where: where(cond(abi.CondEq, "id", "p1"))}},
			},
			"name\nbob\nann",
		},
		{
			"union of decimals, in order of their numbers",
			abi.Query{
				Table: "posts", Columns: columns("price"), Where: where(cond(abi.CondEq, "id", "p3")), Unions: []abi.Union{{Sub: 1}}, Order: []abi.Order{{Column: "price"}},
				Subs: []abi.Select{{Table: "posts", Columns: columns("price"), Where: where(cond(abi.CondLt, "price", 9))}},
			},
			"price\n7.50\n8.50\n10.50",
		},
		{"right join", abi.Query{
			Table: "posts", Columns: columns("posts.id", "users.name"), Where: where(cond(abi.CondNull, "posts.id")),
			Joins: []abi.Join{{Kind: "right", Table: "users", On: where(same("posts.author", "users.id"), cond(abi.CondGt, "posts.views", 40))}},
			Order: []abi.Order{{Column: "users.name"}},
		}, "id|name\nnull|ann\nnull|bob"},
		{"count of different values", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "author", Func: "count", Distinct: true}}}, "count_author\n3"},
		{
			"keyset, up and down",
			abi.Query{Table: "posts", Columns: columns("id"), Order: []abi.Order{{Column: "live", Desc: true}, {Column: "price"}}, After: abi.Values{abi.Bool(true), abi.Decimal("9.5")}, Limit: 3},
			"id\np4\np1\np3",
		},
		{
			"having with a sub-query",
			abi.Query{
				Table: "posts", Columns: columns("author"), Group: []string{"author"}, Order: []abi.Order{{Column: "author"}},
				Having: where(abi.Cond{Op: abi.CondGt, Func: "sum", Column: "views", Sub: 1}),
				Subs:   []abi.Select{{Table: "posts", Columns: []abi.Column{{Func: "min", Name: "views", As: "m"}}, Where: where(cond(abi.CondGt, "views", 40))}},
			},
			"author\n3",
		},
		{
			"nested in nested",
			abi.Query{
				Table: "users", Columns: columns("name"), Where: where(sub(abi.CondIn, "id", 2)),
				Subs: []abi.Select{
					{Table: "users", Columns: columns("boss"), Where: where(cond(abi.CondNotNull, "boss"))},
					{Table: "posts", Columns: columns("author"), Where: where(sub(abi.CondIn, "author", 1))},
				},
			},
			"name\nann",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the second from the caches
				if got := table(must(t, db, &c.q)); got != c.want {
					st, _ := db.Catalog().compile(db.engine.dialect(), &c.q)
					t.Errorf("got\n%s\nwant\n%s\n%s", got, c.want, st.sql)
				}
			}
		})
	}
	n := must(t, db, &abi.Query{
		Verb: abi.VerbUpdate, Table: "users", Fields: []string{"age"}, Rows: []abi.Values{{abi.Int(99)}}, Where: where(sub(abi.CondExists, "", 1)),
		Subs: []abi.Select{{Table: "posts", Where: where(same("posts.author", "users.id"), cond(abi.CondEq, "posts.id", "p2"))}},
	})
	if n.Affected != 1 {
		t.Errorf("update with exists changed %d rows, want 1", n.Affected)
	}
	n = must(t, db, &abi.Query{
		Verb: abi.VerbDelete, Table: "posts", Where: where(sub(abi.CondIn, "author", 1)),
		Subs: []abi.Select{{Table: "users", Columns: columns("id"), Where: where(cond(abi.CondEq, "age", 99))}},
	})
	if n.Affected != 2 {
		t.Errorf("delete with in removed %d rows, want 2", n.Affected)
	}
}

func TestNestedInvalid(t *testing.T) { onEngines(t, testNestedInvalid) }

func testNestedInvalid(t *testing.T, db *DB) {
	seed(t, db)
	users := abi.Select{Table: "users", Columns: columns("id")}
	deep := &abi.Query{Table: "users", Where: where(sub(abi.CondIn, "id", 1))}
	for i := range 12 {
		s := users
		s.Where = where(sub(abi.CondIn, "id", uint32(i+2)))
		deep.Subs = append(deep.Subs, s)
	}
	deep.Subs = append(deep.Subs, users)
	loop := users
	loop.Where = where(sub(abi.CondIn, "id", 1))
	for _, c := range []struct {
		name string
		q    abi.Query
		want string
	}{
		{"number out of range", abi.Query{Table: "users", Where: where(sub(abi.CondIn, "id", 7))}, "sub-query 7"},
		{"used twice", abi.Query{Table: "users", Where: where(sub(abi.CondIn, "id", 1), sub(abi.CondIn, "boss", 1)), Subs: []abi.Select{users}}, "used twice"},
		{"itself", abi.Query{Table: "users", Where: where(sub(abi.CondIn, "id", 1)), Subs: []abi.Select{loop}}, "used twice"},
		{"not used", abi.Query{Table: "users", Subs: []abi.Select{users}}, "not used"},
		{"deep", *deep, "nested deeper"},
		{"table and sub-query", abi.Query{Table: "users", From: 1, Subs: []abi.Select{users}}, "in one place"},
		{"no alias", abi.Query{From: 1, Subs: []abi.Select{users}}, "needs an alias"},
		{"two columns", abi.Query{Table: "users", Where: where(sub(abi.CondIn, "id", 1)), Subs: []abi.Select{{Table: "users", Columns: columns("id", "age")}}}, "2 columns"},
		{"types", abi.Query{Table: "users", Where: where(sub(abi.CondIn, "id", 1)), Subs: []abi.Select{{Table: "users", Columns: columns("name")}}}, "different types"},
		{"like", abi.Query{Table: "users", Where: where(sub(abi.CondLike, "name", 1)), Subs: []abi.Select{{Table: "users", Columns: columns("name")}}}, "a sub-query goes with"},
		{"exists of a column", abi.Query{Table: "users", Where: where(sub(abi.CondExists, "id", 1)), Subs: []abi.Select{users}}, "alone"},
		{"values too", abi.Query{Table: "users", Where: where(abi.Cond{Op: abi.CondIn, Column: "id", Sub: 1, Values: abi.Values{abi.Int(1)}}), Subs: []abi.Select{users}}, "in the place of values"},
		{"hides a table", abi.Query{From: 1, Subs: []abi.Select{{Name: "POSTS", Table: "users"}}}, "a table is called so"},
		{"hides a table of the host", abi.Query{From: 1, Subs: []abi.Select{{Name: "_odac_secret", Table: "users"}}}, "a table is called so"},
		{"one name twice", abi.Query{From: 1, Subs: []abi.Select{{Name: "a", Table: "users"}, {Name: "A", Table: "users"}}}, "two common"},
		{"order of names", abi.Query{From: 1, Subs: []abi.Select{{Name: "a", From: 2}, {Name: "b", Table: "users"}}}, "come in order"},
		{"selects from itself", abi.Query{From: 1, Subs: []abi.Select{{Name: "a", From: 1}}}, "come in order"},
		{"name as a condition", abi.Query{Table: "users", Where: where(sub(abi.CondIn, "id", 1)), Subs: []abi.Select{{Name: "a", Table: "users"}}}, "can be selected from"},
		{"recursion that is none", abi.Query{From: 1, Subs: []abi.Select{{Name: "a", Recursive: true, Table: "users", Columns: columns("id"), Unions: []abi.Union{{Sub: 2}}}, users}}, "does not select from it"},
		{"recursion within", abi.Query{From: 1, Subs: []abi.Select{
			{Name: "a", Recursive: true, Table: "users", Columns: columns("id"), Unions: []abi.Union{{Sub: 2}}},
			{Table: "users", Columns: columns("id"), Where: where(sub(abi.CondIn, "id", 3))},
			{From: 1},
		}}, "last of its unions only"},
		{"recursion and group", abi.Query{From: 1, Subs: []abi.Select{
			{Name: "a", Recursive: true, Table: "users", Columns: columns("id"), Unions: []abi.Union{{Sub: 2}}},
			{From: 1, Columns: []abi.Column{{Func: "count"}}},
		}}, "takes no aggregate"},
		{"union of other columns", abi.Query{Table: "users", Columns: columns("id"), Unions: []abi.Union{{Sub: 1}}, Subs: []abi.Select{{Table: "users"}}}, "select as many"},
		{"union of other types", abi.Query{Table: "users", Columns: columns("id"), Unions: []abi.Union{{Sub: 1}}, Subs: []abi.Select{{Table: "users", Columns: columns("name")}}}, "different types"},
		{"union with order", abi.Query{Table: "users", Columns: columns("id"), Unions: []abi.Union{{Sub: 1}}, Subs: []abi.Select{{Table: "users", Columns: columns("id"), Order: byID}}}, "they are the whole's"},
		{"union ordered by another column", abi.Query{Table: "users", Columns: columns("id"), Order: byName, Unions: []abi.Union{{Sub: 1}}, Subs: []abi.Select{users}}, "not among the columns"},
		{"after without order", abi.Query{Table: "users", After: abi.Values{abi.Int(1)}}, "give one each"},
		{"after null", abi.Query{Table: "users", Order: byID, After: abi.Values{abi.Null()}}, "is null"},
		{"after of another type", abi.Query{Table: "users", Order: byID, After: abi.Values{abi.Text("x")}}, "takes no text"},
		{"lock outside of a transaction", abi.Query{Table: "users", Lock: abi.LockUpdate}, "begin one"},
		{"lock of groups", abi.Query{Table: "users", Columns: counts, Lock: abi.LockUpdate}, "neither distinct"},
		{"insert with a sub-query", abi.Query{Verb: abi.VerbInsert, Table: "users", Subs: []abi.Select{users}}, "takes no sub-queries"},
		{"delete with a name", abi.Query{Verb: abi.VerbDelete, Table: "users", Where: everyRow, Subs: []abi.Select{{Name: "a", Table: "users"}}}, "no common table"},
		{"truncate of some", abi.Query{Verb: abi.VerbDelete, Table: "users", Where: everyRow, Truncate: true}, "takes no condition"},
		{"a column of the outside within a table", abi.Query{
			Table: "users", As: "u", Joins: []abi.Join{{From: 1, As: "x", Kind: "cross"}},
			Subs: []abi.Select{{Table: "posts", Columns: columns("id"), Where: where(same("author", "u.id"))}},
		}, `no table of the query is called "u"`},
		{"a column that is not in group", abi.Query{
			Table: "users", As: "u", Columns: []abi.Column{{Func: "count", As: "n"}, {Sub: 1, As: "x"}},
			Subs: []abi.Select{{Table: "posts", Columns: counts, Where: where(same("author", "u.id"))}},
		}, "not in group"},
	} {
		_, err := query(db, &c.q)
		if errnoOf(err) != abi.ErrnoInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want invalid with %s", c.name, err, c.want)
		}
	}
}

// What a nested query reads is all in Touches.
func TestNestedTouches(t *testing.T) {
	db := newDB(t)
	q := &abi.Query{
		Table: "users", Where: where(sub(abi.CondIn, "id", 1)), Columns: []abi.Column{{Name: "id"}, {Sub: 4, As: "x"}}, Joins: []abi.Join{{From: 2, Kind: "cross"}}, Unions: []abi.Union{{Sub: 3}},
		Subs: []abi.Select{
			{Table: "posts", Columns: columns("author")},
			{Name: "c", Table: "pairs", Columns: columns("a")},
			{Table: "log", Columns: columns("id", "id")},
			{Table: "live_posts", Columns: counts},
		},
	}
	q.Subs[2].Columns[1].As = "y"
	if got, want := touches(t, db, q), "(select posts), (select users), select live_posts, select log, select pairs, select posts, select users"; got != want && got != strings.ReplaceAll(want, "(select posts), (select users), ", "") {
		t.Errorf("%s, want %s", got, want)
	}
	q = &abi.Query{Verb: abi.VerbDelete, Table: "log", Where: where(sub(abi.CondIn, "id", 1)), Subs: []abi.Select{{Table: "users", Columns: columns("id")}}}
	if got, want := touches(t, db, q), "delete log, select users"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestUpsertAdds(t *testing.T) { onEngines(t, testUpsertAdds) }

func testUpsertAdds(t *testing.T, db *DB) {
	q := insert("pairs", "a", 1, "b", 1, "n", 5)
	q.Conflict = &abi.Conflict{Columns: []string{"a", "b"}, Add: []string{"n"}}
	for range 3 {
		must(t, db, q)
	}
	if got := table(must(t, db, &abi.Query{Table: "pairs"})); got != "a|b|n\n1|1|15" {
		t.Error(got)
	}
	if got, want := touches(t, db, q), "insert pairs, update pairs"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTruncate(t *testing.T) { onEngines(t, testTruncate) }

func testTruncate(t *testing.T, db *DB) {
	ddl(t, db, "CREATE TABLE counted (id "+map[string]string{
		typeSQLite: "INTEGER PRIMARY KEY AUTOINCREMENT", typePostgres: "bigserial PRIMARY KEY", typeMySQL: "bigint AUTO_INCREMENT PRIMARY KEY",
	}[db.cfg.Type]+", x TEXT)")
	for i := range 2 {
		first := int64(1)
		if !is(db, typeSQLite) { // to begin keys again is its owner's alone on a server
			first += int64(i)
		}
		if r := must(t, db, insert("counted", "x", "a")); r.LastID.AsInt() != first {
			t.Errorf("the first key is %v, want 1", r.LastID)
		}
		if r := must(t, db, &abi.Query{Verb: abi.VerbDelete, Table: "counted", Truncate: true}); r.Affected != 1 {
			t.Errorf("%d rows removed, want 1", r.Affected)
		}
	}
}
