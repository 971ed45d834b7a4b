package database

import (
	"fmt"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// table prints a result as lines, for comparison.
func table(r abi.Result) string {
	lines := []string{strings.Join(r.Columns, "|")}
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = v.String()
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	return strings.Join(lines, "\n")
}

func seed(t testing.TB, db *DB) {
	t.Helper()
	for i, name := range []string{"ann", "bob", "cat"} {
		q := insert("users", "name", name, "age", 20+10*i, "email", name+"@x.y")
		if name == "cat" {
			q = insert("users", "name", name, "age", nil, "boss", 1)
		}
		must(t, db, q)
	}
	for i := range 6 {
		must(t, db, insert("posts", "id", fmt.Sprintf("p%d", i), "author", i%3+1, "title", fmt.Sprintf("post %d", i), "price", abi.Decimal(fmt.Sprintf("%d.5", 7+i)),
			"views", i*10, "live", i%2 == 0))
	}
}

func TestSelect(t *testing.T) { onEngines(t, testSelect) }

func testSelect(t *testing.T, db *DB) {
	seed(t, db)
	for _, c := range []struct {
		name string
		q    abi.Query
		want string
	}{
		{
			"all columns",
			abi.Query{Table: "users", Order: []abi.Order{{Column: "id", Desc: true}}, Limit: 1},
			"id|name|email|age|boss\n3|cat|null|null|1",
		},
		{
			"columns and alias",
			abi.Query{Table: "users", As: "u", Columns: []abi.Column{{Name: "u.name", As: "who"}, {Name: "age"}}, Where: where(cond(abi.CondEq, "u.id", 2))},
			"who|age\nbob|30",
		},
		{
			"join",
			abi.Query{
				Table: "posts", Columns: []abi.Column{{Name: "posts.id"}, {Name: "users.name", As: "author"}},
				Joins: []abi.Join{{Table: "users", On: where(abi.Cond{Op: abi.CondEq, Column: "posts.author", Other: "users.id"})}},
				Where: where(cond(abi.CondGe, "posts.views", 30)), Order: []abi.Order{{Column: "posts.id"}},
			},
			"id|author\np3|ann\np4|bob\np5|cat",
		},
		{
			"left join with itself",
			abi.Query{
				Table: "users", As: "u", Columns: []abi.Column{{Name: "u.name"}, {Name: "b.name"}},
				Joins: []abi.Join{{Kind: "left", Table: "users", As: "b", On: where(abi.Cond{Op: abi.CondEq, Column: "u.boss", Other: "b.id"})}},
				Order: []abi.Order{{Column: "u.id"}},
			},
			"name|b.name\nann|null\nbob|null\ncat|ann",
		},
		{
			"stars of a join",
			abi.Query{
				Table: "users", As: "u", Columns: []abi.Column{{Name: "u.*"}, {Name: "b.*"}},
				Joins: []abi.Join{{Table: "users", As: "b", On: where(abi.Cond{Op: abi.CondEq, Column: "u.boss", Other: "b.id"})}},
			},
			"id|name|email|age|boss|b.id|b.name|b.email|b.age|b.boss\n3|cat|null|null|1|1|ann|ann@x.y|20|null",
		},
		{"cross join", abi.Query{Table: "users", Columns: []abi.Column{{Func: "count"}}, Joins: []abi.Join{{Kind: "cross", Table: "posts"}}}, "count\n18"},
		{
			"or, and, not",
			abi.Query{
				Table: "posts", Columns: []abi.Column{{Name: "id"}}, Order: []abi.Order{{Column: "id"}},
				Where: where(cond(abi.CondEq, "id", "p0"), cond(abi.CondEq, "id", "p1"), abi.Cond{Op: abi.CondOr, N: 2}, cond(abi.CondEq, "live", true), abi.Cond{Op: abi.CondNot}),
			},
			"id\np1",
		},
		{"in", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Where: where(cond(abi.CondIn, "id", "p1", "p4", "nope")), Order: []abi.Order{{Column: "id"}}}, "id\np1\np4"},
		{"in nothing", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Where: where(cond(abi.CondIn, "id"))}, "id"},
		{"not in nothing", abi.Query{Table: "posts", Columns: []abi.Column{{Func: "count"}}, Where: where(cond(abi.CondNotIn, "id"))}, "count\n6"},
		{"null", abi.Query{Table: "users", Columns: []abi.Column{{Name: "name"}}, Where: where(cond(abi.CondEq, "age", nil))}, "name\ncat"},
		{"not null", abi.Query{Table: "users", Columns: []abi.Column{{Func: "count", Name: "*"}}, Where: where(cond(abi.CondNe, "age", nil), cond(abi.CondNotNull, "email"))}, "count\n2"},
		{"between", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Where: where(cond(abi.CondBetween, "views", 10, 20)), Order: []abi.Order{{Column: "id"}}}, "id\np1\np2"},
		{
			"decimals compare as numbers",
			abi.Query{Table: "posts", Columns: []abi.Column{{Name: "price"}}, Where: where(cond(abi.CondGt, "price", abi.Decimal("9"))), Order: []abi.Order{{Column: "price", Desc: true}}},
			"price\n12.50\n11.50\n10.50\n9.50",
		},
		{"decimal equal", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Where: where(cond(abi.CondEq, "price", abi.Decimal("+010.5")))}, "id\np3"},
		{"decimal with more digits", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Where: where(cond(abi.CondEq, "price", abi.Decimal("10.501")))}, "id"},
		{"like", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Where: where(cond(abi.CondLike, "title", "POST _"), cond(abi.CondNotLike, "title", "%3"), cond(abi.CondLike, "title", `post \4`))}, "id\np4"},
		{
			"aggregates",
			abi.Query{Table: "posts", Columns: []abi.Column{{Func: "count"}, {Func: "sum", Name: "views"}, {Func: "sum", Name: "price"}, {Func: "avg", Name: "price"}, {Func: "max", Name: "price", As: "top"}, {Func: "avg", Name: "views"}, {Func: "min", Name: "price"}}},
			"count|sum_views|sum_price|avg_price|top|avg_views|min_price\n6|150|60.00|10.00000000|12.50|25|7.50",
		},
		{
			"group and having",
			abi.Query{
				Table: "posts", Columns: []abi.Column{{Name: "author"}, {Func: "sum", Name: "price", As: "price"}}, Group: []string{"author"},
				Having: where(abi.Cond{Op: abi.CondGt, Func: "sum", Column: "price", Values: abi.Values{abi.Decimal("18")}}, cond(abi.CondLt, "price", 22)), Order: []abi.Order{{Column: "price", Desc: true}},
			},
			"author|price\n2|20.00",
		},
		{"distinct", abi.Query{Table: "posts", Distinct: true, Columns: []abi.Column{{Name: "live"}}, Order: []abi.Order{{Column: "live"}}}, "live\nfalse\ntrue"},
		{"offset", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Order: []abi.Order{{Column: "id"}}, Offset: 4}, "id\np4\np5"},
		{"limit and offset", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}}, Order: []abi.Order{{Column: "id"}}, Limit: 2, Offset: 1}, "id\np1\np2"},
		{"view", abi.Query{Table: "live_posts", Columns: []abi.Column{{Name: "author"}, {Name: "price"}}, Order: []abi.Order{{Column: "id"}}, Limit: 1}, "author|price\nann|7.50"},
		{"and of none is true", abi.Query{Table: "users", Columns: []abi.Column{{Func: "count"}}, Where: everyRow}, "count\n3"},
		{"or of none is false", abi.Query{Table: "users", Columns: []abi.Column{{Func: "count"}}, Where: where(abi.Cond{Op: abi.CondOr})}, "count\n0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the second from the caches
				if got := table(must(t, db, &c.q)); got != c.want {
					t.Errorf("got\n%s\nwant\n%s", got, c.want)
				}
			}
		})
	}
}

func TestInvalid(t *testing.T) { onEngines(t, testInvalid) }

func testInvalid(t *testing.T, db *DB) {
	seed(t, db)
	deep := where(cond(abi.CondEq, "id", 1))
	for range 100 {
		deep = append(deep, abi.Cond{Op: abi.CondNot})
	}
	many := where()
	for range maxConds + 1 {
		many = append(many, cond(abi.CondEq, "id", 1))
	}
	for _, c := range []struct {
		q    abi.Query
		want string
	}{
		{abi.Query{Table: "nope"}, `"nope"`},
		{abi.Query{Table: "Users"}, `"Users"`},
		{abi.Query{Table: "sqlite_schema"}, `"sqlite_schema"`},
		{abi.Query{Table: "_odac_secret"}, `"_odac_secret"`},
		{abi.Query{Table: "pragma_table_list"}, `"pragma_table_list"`},
		{abi.Query{Table: "users", Columns: []abi.Column{{Name: "nope"}}}, `users has no column "nope"`},
		{abi.Query{Table: "users", Columns: []abi.Column{{Name: "rowid"}}}, `"rowid"`},
		{abi.Query{Table: "users", Columns: []abi.Column{{Name: "posts.id"}}}, `"posts"`},
		{abi.Query{Table: "users", Columns: []abi.Column{{Name: `id" FROM _odac_secret --`}}}, "no column"},
		{abi.Query{Table: "users", As: `u"; DROP`}, "alias"},
		{abi.Query{Table: "users", Where: where(cond(abi.CondEq, "nope", 1))}, `"nope"`},
		{abi.Query{Table: "users", Where: where(abi.Cond{Op: abi.CondAnd, N: 1})}, "only 0 stand before it"},
		{abi.Query{Table: "users", Where: where(abi.Cond{Op: abi.CondOr, N: 1 << 31})}, "only 0"},
		{abi.Query{Table: "users", Where: where(abi.Cond{Op: abi.CondNot})}, "only 0"},
		{abi.Query{Table: "users", Where: where(abi.Cond{Op: 77, Column: "id"})}, "operator 77"},
		{abi.Query{Table: "users", Where: deep}, "nested deeper"},
		{abi.Query{Table: "users", Where: many}, "too many"},
		{abi.Query{Table: "users", Where: where(cond(abi.CondEq, "id"))}, "0 values given, 1 needed"},
		{abi.Query{Table: "users", Where: where(cond(abi.CondBetween, "id", 1))}, "2 needed"},
		{abi.Query{Table: "users", Where: where(cond(abi.CondLt, "id", nil))}, "null compares"},
		{abi.Query{Table: "users", Where: where(cond(abi.CondEq, "id", "one"))}, "id takes no text"},
		{abi.Query{Table: "users", Where: where(abi.Cond{Op: abi.CondEq, Column: "id", Other: "name"})}, "different types"},
		{abi.Query{Table: "users", Where: where(abi.Cond{Op: abi.CondGt, Func: "count", Values: abi.Values{abi.Int(1)}})}, "having only"},
		{abi.Query{Table: "users", Columns: []abi.Column{{Func: "group_concat", Name: "name"}}}, "group_concat"},
		{abi.Query{Table: "users", Columns: []abi.Column{{Func: "sum", Name: "name"}}}, "not a number"},
		{abi.Query{Table: "users", Columns: []abi.Column{{Func: "count"}, {Name: "name"}}}, "add it to group"},
		{abi.Query{Table: "users", Columns: []abi.Column{{Name: "id", As: "x"}, {Name: "name", As: "x"}}}, "two columns"},
		{abi.Query{Table: "users", Joins: []abi.Join{{Table: "users"}}}, "two tables"},
		{abi.Query{Table: "users", Joins: []abi.Join{{Table: "posts"}}}, "every other needs one"},
		{abi.Query{Table: "users", Joins: []abi.Join{{Kind: "full", Table: "posts"}}}, `"full"`},
		{abi.Query{Table: "users", Joins: []abi.Join{{Table: "posts", On: where(abi.Cond{Op: abi.CondEq, Column: "id", Other: "author"})}}}, `write "users.id"`},
		{abi.Query{Table: "users", Limit: -1}, "below 0"},
		{abi.Query{Table: "users", Fields: []string{"name"}}, "takes no fields"},
		{abi.Query{Verb: abi.VerbDelete, Table: "users"}, "without a condition"},
		{abi.Query{Verb: abi.VerbDelete, Table: "users", Where: everyRow, Limit: 1}, "takes no limit"},
		{abi.Query{Verb: abi.VerbUpdate, Table: "users", Fields: []string{"name"}, Rows: []abi.Values{{abi.Text("x")}}}, "without a condition"},
		{abi.Query{Verb: abi.VerbUpdate, Table: "users", Where: everyRow}, "neither fields"},
		{abi.Query{Verb: abi.VerbUpdate, Table: "users", Fields: []string{"name"}, Where: everyRow}, "one row with 1 value"},
		{abi.Query{Verb: abi.VerbUpdate, Table: "users", Increments: []abi.Delta{{Column: "name", By: abi.Int(1)}}, Where: everyRow}, "not a number"},
		{abi.Query{Verb: abi.VerbUpdate, Table: "users", Increments: []abi.Delta{{Column: "age"}}, Where: everyRow}, "by null"},
		{abi.Query{Verb: abi.VerbUpdate, Table: "live_posts", Fields: []string{"title"}, Where: everyRow}, "is a view"},
		{abi.Query{Verb: abi.VerbInsert, Table: "users", Fields: []string{"name", "name"}}, "given twice"},
		{abi.Query{Verb: abi.VerbInsert, Table: "users", Fields: []string{"name"}, Rows: []abi.Values{{}}}, "0 values for 1 field"},
		{abi.Query{Verb: abi.VerbInsert, Table: "doubled", Fields: []string{"twice"}}, "computed by the database"},
		{abi.Query{Verb: abi.VerbInsert, Table: "users", Fields: []string{"name"}, Conflict: &abi.Conflict{Columns: []string{"name"}}}, "no unique key"},
		{abi.Query{Verb: abi.VerbInsert, Table: "users", Fields: []string{"name", "email"}, Conflict: &abi.Conflict{Columns: []string{"email"}, Update: []string{"age"}}}, "not among the fields"},
		{abi.Query{Verb: 9, Table: "users"}, "verb 9"},
		{*insert("users", "name", strings.Repeat("é", 21)), "more than 20 characters"},
		{*insert("users", "name", "\xff"), "not UTF-8"},
	} {
		_, err := query(db, &c.q)
		if errnoOf(err) != abi.ErrnoInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v\ngot %v, want invalid with %s", c.q, err, c.want)
		}
	}
	if got := table(must(t, db, &abi.Query{Table: "users", Columns: []abi.Column{{Func: "count"}}})); got != "count\n3" {
		t.Errorf("a refused query changed something: %s", got)
	}
}

// Long lists must not meet SQLite's own limit of depth.
func TestWideConditions(t *testing.T) { onEngines(t, testWideConditions) }

func testWideConditions(t *testing.T, db *DB) {
	seed(t, db)
	var conds []abi.Cond
	for i := range 4000 {
		conds = append(conds, cond(abi.CondEq, "id", fmt.Sprintf("p%d", i)))
	}
	conds = append(conds, abi.Cond{Op: abi.CondOr, N: 4000})
	q := &abi.Query{Table: "posts", Columns: []abi.Column{{Func: "count"}}, Where: conds}
	if got := table(must(t, db, q)); got != "count\n6" {
		t.Error(got)
	}
	nested := where(cond(abi.CondEq, "id", "p0"))
	for i := range maxDepth - 1 {
		nested = append(nested, cond(abi.CondEq, "id", "p1"), abi.Cond{Op: abi.CondAnd + abi.CondOp(i%2), N: 2})
	}
	must(t, db, &abi.Query{Table: "posts", Where: nested})
	in := &abi.Query{Table: "posts", Columns: []abi.Column{{Func: "count"}}, Where: []abi.Cond{{Op: abi.CondIn, Column: "id"}}}
	for i := range db.engine.dialect().maxParams() {
		in.Where[0].Values = append(in.Where[0].Values, abi.Text(fmt.Sprintf("p%d", i)))
	}
	if got := table(must(t, db, in)); got != "count\n6" {
		t.Error(got)
	}
	in.Where[0].Values = append(in.Where[0].Values, abi.Text("x"))
	if _, err := query(db, in); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("got %v for more values than parameters", err)
	}
}
