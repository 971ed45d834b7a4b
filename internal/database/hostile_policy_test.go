package database

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// What a plugin tries with built queries on a table of which it was granted some columns and the rows of owner red, beside a table that it was not
// granted and a view over both.

const hostilePolicyTables = `CREATE TABLE posts (id VARCHAR(20) PRIMARY KEY, owner VARCHAR(20), title VARCHAR(50), n INTEGER, secret VARCHAR(50), slug VARCHAR(20) UNIQUE);
CREATE TABLE comments (id INTEGER PRIMARY KEY, post VARCHAR(20), body VARCHAR(50), FOREIGN KEY (post) REFERENCES posts (id) ON DELETE CASCADE);
CREATE TABLE vault (id INTEGER PRIMARY KEY, title VARCHAR(50), secret VARCHAR(50));
CREATE VIEW every_post AS SELECT id, title, secret FROM posts`

var hostilePolicyAccess = map[string]TableAccess{
	"posts": {
		Verbs: all, Where: where(cond(abi.CondEq, "owner", "red")),
		Columns: map[abi.Verb][]string{abi.VerbSelect: {"id", "n", "owner", "slug", "title"}, abi.VerbInsert: {"id", "n", "owner", "slug", "title"}, abi.VerbUpdate: {"id", "n", "owner", "title"}},
	},
	"comments":   {Verbs: all},
	"every_post": {Verbs: []abi.Verb{abi.VerbSelect}},
}

// policyAttempt is one query, what it must get, and a word that its answer must not have besides the canary.
type policyAttempt struct {
	name string
	q    abi.Query
	want []abi.Errno
	rows string // the answer, if it succeeds; "-" is not looked at
}

var (
	denied   = []abi.Errno{abi.ErrnoDenied}
	fine     = []abi.Errno{abi.ErrnoOK}
	refused  = []abi.Errno{abi.ErrnoDenied, abi.ErrnoConflict}
	theirs   = where(cond(abi.CondEq, "id", "b1"))
	orTrue   = where(cond(abi.CondEq, "id", "b1"), abi.Cond{Op: abi.CondAnd}, abi.Cond{Op: abi.CondOr, N: 2})
	idColumn = []abi.Column{{Name: "id"}}
	counting = []abi.Column{{Name: "*", Func: "count", As: "n"}}
)

func secretOf(columns ...string) (list []abi.Column) {
	for _, c := range columns {
		list = append(list, abi.Column{Name: c})
	}
	return list
}

func policyAttempts() []policyAttempt {
	row := func(pairs ...any) abi.Query { return *insert("posts", pairs...) }
	upsert := func(q abi.Query, update ...string) abi.Query {
		q.Conflict = &abi.Conflict{Columns: []string{"id"}, Update: update}
		return q
	}
	set := func(w []abi.Cond, pairs ...any) abi.Query { return *update("posts", w, pairs...) }
	not := func(c ...abi.Cond) []abi.Cond { return append(c, abi.Cond{Op: abi.CondNot}) }
	exists := func(s abi.Select) abi.Query {
		return abi.Query{Table: "comments", Columns: idColumn, Where: where(abi.Cond{Op: abi.CondExists, Sub: 1}), Subs: []abi.Select{s}}
	}
	return []policyAttempt{
		{"all of it", abi.Query{Table: "posts", Columns: idColumn}, fine, "r1"},
		{"star", abi.Query{Table: "posts"}, fine, "r1|red|mine|1|red-1"},
		{"star of an alias", abi.Query{Table: "posts", As: "p", Columns: secretOf("p.*")}, fine, "r1|red|mine|1|red-1"},
		{"the id of another's", abi.Query{Table: "posts", Columns: idColumn, Where: theirs}, fine, ""},
		{"or true", abi.Query{Table: "posts", Columns: idColumn, Where: orTrue}, fine, "r1"},
		{"not the owner", abi.Query{Table: "posts", Columns: idColumn, Where: not(cond(abi.CondEq, "owner", "red"))}, fine, ""},
		{"another owner", abi.Query{Table: "posts", Columns: idColumn, Where: where(cond(abi.CondEq, "owner", "blue"))}, fine, ""},
		{"no owner", abi.Query{Table: "posts", Columns: idColumn, Where: where(cond(abi.CondNull, "owner"))}, fine, ""},
		{"count as an oracle", abi.Query{Table: "posts", Columns: counting, Where: theirs}, fine, "0"},
		{"count of all", abi.Query{Table: "posts", Columns: counting}, fine, "1"},
		{"max as an oracle", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "title", Func: "max", As: "t"}}}, fine, "mine"},
		{"group", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "owner"}, {Name: "*", Func: "count", As: "n"}}, Group: []string{"owner"}}, fine, "red|1"},
		{"distinct", abi.Query{Table: "posts", Columns: secretOf("owner"), Distinct: true}, fine, "red"},
		{"offset", abi.Query{Table: "posts", Columns: idColumn, Offset: 1, Order: []abi.Order{{Column: "id"}}}, fine, ""},
		{"keyset", abi.Query{Table: "posts", Columns: idColumn, Order: []abi.Order{{Column: "id"}}, After: abi.Values{abi.Text("a")}}, fine, "r1"},
		{"a join with itself", abi.Query{Table: "posts", As: "a", Columns: secretOf("b.id"), Joins: []abi.Join{{Kind: "cross", Table: "posts", As: "b"}}}, fine, "r1"},
		{"a left join", abi.Query{Table: "comments", As: "c", Columns: secretOf("c.id", "p.title"), Joins: []abi.Join{{Kind: "left", Table: "posts", As: "p", On: where(abi.Cond{Op: abi.CondEq, Column: "c.post", Other: "p.id"})}}, Order: []abi.Order{{Column: "c.id"}}}, fine, "1|mine,2|null"},
		{"a right join", abi.Query{Table: "comments", As: "c", Columns: secretOf("p.id"), Joins: []abi.Join{{Kind: "right", Table: "posts", As: "p", On: where(abi.Cond{Op: abi.CondEq, Column: "c.post", Other: "p.id"})}}}, fine, "r1"},
		{"left of a right join", abi.Query{Table: "posts", As: "p", Columns: secretOf("c.id", "p.title"), Joins: []abi.Join{{Kind: "right", Table: "comments", As: "c", On: where(abi.Cond{Op: abi.CondEq, Column: "c.post", Other: "p.id"})}}, Order: []abi.Order{{Column: "c.id"}}}, fine, "1|mine,2|null"},
		{"a sub-query", exists(abi.Select{Table: "posts", Where: theirs}), fine, ""},
		{"a sub-query that asks from outside", exists(abi.Select{Table: "posts", As: "p", Where: where(abi.Cond{Op: abi.CondEq, Column: "p.id", Other: "post"}, cond(abi.CondEq, "p.owner", "blue"))}), fine, ""},
		{"a sub-query in", abi.Query{Table: "comments", Columns: idColumn, Where: where(abi.Cond{Op: abi.CondIn, Column: "post", Sub: 1}), Subs: []abi.Select{{Table: "posts", Columns: idColumn}}}, fine, "1"},
		{"a sub-query in the list", abi.Query{Table: "comments", Columns: []abi.Column{{Name: "id"}, {Sub: 1, As: "t"}}, Subs: []abi.Select{{Table: "posts", As: "p", Columns: []abi.Column{{Name: "title", Func: "max", As: "m"}}, Where: where(abi.Cond{Op: abi.CondEq, Column: "p.id", Other: "post"})}}, Order: []abi.Order{{Column: "id"}}}, fine, "1|mine,2|null"},
		{"a table of a sub-query", abi.Query{From: 1, As: "x", Columns: secretOf("id"), Subs: []abi.Select{{Table: "posts", Columns: idColumn, Where: orTrue}}}, fine, "r1"},
		{"a common table expression", abi.Query{From: 1, Columns: idColumn, Subs: []abi.Select{{Name: "p", Table: "posts", Columns: idColumn}}}, fine, "r1"},
		{"a union", abi.Query{Table: "posts", Columns: idColumn, Where: where(abi.Cond{Op: abi.CondOr}), Unions: []abi.Union{{Sub: 1, All: true}}, Subs: []abi.Select{{Table: "posts", Columns: idColumn, Where: orTrue}}}, fine, "r1"},
		{"a column that was not granted", abi.Query{Table: "posts", Columns: secretOf("secret")}, denied, ""},
		{"by an alias", abi.Query{Table: "posts", As: "p", Columns: []abi.Column{{Name: "p.secret", As: "title"}}}, denied, ""},
		{"a column that is not there answers the same", abi.Query{Table: "posts", Columns: secretOf("nothing")}, denied, ""},
		{"in where", abi.Query{Table: "posts", Columns: idColumn, Where: where(cond(abi.CondLike, "secret", "canary%"))}, denied, ""},
		{"in the other side", abi.Query{Table: "posts", Columns: idColumn, Where: where(abi.Cond{Op: abi.CondEq, Column: "title", Other: "secret"})}, denied, ""},
		{"in order", abi.Query{Table: "posts", Columns: idColumn, Order: []abi.Order{{Column: "secret"}}}, denied, ""},
		{"in group", abi.Query{Table: "posts", Columns: counting, Group: []string{"secret"}}, denied, ""},
		{"in having", abi.Query{Table: "posts", Columns: counting, Group: []string{"id"}, Having: where(abi.Cond{Op: abi.CondEq, Column: "secret", Func: "max", Values: abi.Values{abi.Text("x")}})}, denied, ""},
		{"in on", abi.Query{Table: "comments", As: "c", Columns: secretOf("c.id"), Joins: []abi.Join{{Table: "posts", As: "p", On: where(abi.Cond{Op: abi.CondEq, Column: "c.body", Other: "p.secret"})}}}, denied, ""},
		{"without its table", abi.Query{Table: "comments", As: "c", Columns: secretOf("secret"), Joins: []abi.Join{{Table: "posts", As: "p", On: where(abi.Cond{Op: abi.CondEq, Column: "c.post", Other: "p.id"})}}}, denied, ""},
		{"in an aggregate", abi.Query{Table: "posts", Columns: []abi.Column{{Name: "secret", Func: "min", As: "s"}}}, denied, ""},
		{"in a sub-query", exists(abi.Select{Table: "posts", Where: where(cond(abi.CondLike, "secret", "c%"))}), denied, ""},
		{"from a sub-query's outside", abi.Query{Table: "posts", Columns: idColumn, Where: where(abi.Cond{Op: abi.CondExists, Sub: 1}), Subs: []abi.Select{{Table: "comments", Where: where(abi.Cond{Op: abi.CondEq, Column: "body", Other: "posts.secret"})}}}, denied, ""},
		{"in after", abi.Query{Table: "posts", Columns: idColumn, Order: []abi.Order{{Column: "secret"}}, After: abi.Values{abi.Text("a")}}, denied, ""},
		{"a table that was not granted", abi.Query{Table: "vault"}, denied, ""},
		{"joined", abi.Query{Table: "posts", As: "p", Columns: secretOf("v.secret"), Joins: []abi.Join{{Kind: "cross", Table: "vault", As: "v"}}}, denied, ""},
		{"in a sub-query's join", exists(abi.Select{Table: "comments", As: "c", Joins: []abi.Join{{Kind: "cross", Table: "vault", As: "v"}}, Where: where(cond(abi.CondLike, "v.secret", "c%"))}), denied, ""},
		{"in a union", abi.Query{Table: "posts", Columns: secretOf("title"), Unions: []abi.Union{{Sub: 1}}, Subs: []abi.Select{{Table: "vault", Columns: secretOf("title")}}}, denied, ""},
		{"a view over it", abi.Query{Table: "every_post"}, denied, ""},
		{"a joined view", abi.Query{Table: "comments", As: "c", Columns: secretOf("c.id"), Joins: []abi.Join{{Kind: "cross", Table: "every_post", As: "v"}}}, denied, ""},

		{"update another's", set(theirs, "title", "taken"), fine, "-"},
		{"update or true", set(orTrue, "n", 1), fine, "-"},
		{"give a row away", set(where(cond(abi.CondEq, "id", "r1")), "owner", "blue"), denied, ""},
		{"give a row to nobody", set(where(cond(abi.CondEq, "id", "r1")), "owner", nil), denied, ""},
		{"take a row", set(theirs, "owner", "red"), fine, "-"},
		{"move a row to another's key", set(where(cond(abi.CondEq, "id", "r1")), "id", "b1"), refused, ""},
		{"write a column that was not granted", set(where(cond(abi.CondEq, "id", "r1")), "secret", "x"), denied, ""},
		{"write one by an alias", abi.Query{Verb: abi.VerbUpdate, Table: "posts", As: "p", Fields: []string{"p.slug"}, Rows: []abi.Values{{abi.Text("x")}}, Where: everyRow}, denied, ""},
		{"find a row by one", set(where(cond(abi.CondLike, "secret", "c%")), "title", "x"), denied, ""},
		{"add to one", abi.Query{Verb: abi.VerbUpdate, Table: "posts", Where: everyRow, Increments: []abi.Delta{{Column: "secret", By: abi.Int(1)}}}, denied, ""},
		{"add to another's", abi.Query{Verb: abi.VerbUpdate, Table: "posts", Where: orTrue, Increments: []abi.Delta{{Column: "n", By: abi.Int(0)}}}, fine, "-"},
		{"delete another's", abi.Query{Verb: abi.VerbDelete, Table: "posts", Where: theirs}, fine, "-"},
		{"insert for another", row("id", "x1", "owner", "blue", "title", "x"), denied, ""},
		{"insert one column too many", row("id", "x1", "secret", "x"), denied, ""},
		{"insert one of many for another", abi.Query{Verb: abi.VerbInsert, Table: "posts", Fields: []string{"id", "owner"}, Rows: []abi.Values{{abi.Text("x1"), abi.Text("red")}, {abi.Text("x2"), abi.Text("blue")}}}, denied, ""},
		{"upsert a neighbour's key", upsert(row("id", "b1", "owner", "red", "title", "taken"), "title"), refused, ""},
		{"upsert the owner of a neighbour's", upsert(row("id", "b1", "owner", "red"), "owner"), refused, ""},
		{"upsert a column that was not granted", upsert(row("id", "r1", "owner", "red", "slug", "x"), "slug"), denied, ""},
		{"upsert for another", upsert(row("id", "r1", "owner", "blue"), "owner"), denied, ""},
		{"insert or ignore another's key", upsert(row("id", "b1", "owner", "red")), fine, "-"},
		{"insert another's key", row("id", "b1", "owner", "red"), []abi.Errno{abi.ErrnoConflict}, ""},               // which says that it is there
		{"insert another's slug", row("id", "x9", "owner", "red", "slug", "b"), []abi.Errno{abi.ErrnoConflict}, ""}, // as above
		{"a key of another's", *insert("comments", "id", 9, "post", "b1", "body", "x"), fine, "-"},                  // a foreign key finds it
		{"read it back", abi.Query{Table: "comments", As: "c", Columns: secretOf("p.title"), Joins: []abi.Join{{Table: "posts", As: "p", On: where(abi.Cond{Op: abi.CondEq, Column: "c.post", Other: "p.id"})}}, Where: where(cond(abi.CondEq, "c.id", 9))}, fine, ""},
		{"return what was not granted", abi.Query{Verb: abi.VerbDelete, Table: "posts", Where: where(cond(abi.CondEq, "id", "zz")), Returning: []string{"secret"}}, denied, ""},
		{"return all of another's", abi.Query{Verb: abi.VerbDelete, Table: "posts", Where: theirs, Returning: []string{"*"}}, fine, ""},
		{"write through the view", abi.Query{Verb: abi.VerbDelete, Table: "every_post", Where: everyRow}, denied, ""},
	}
}

func TestHostilePolicy(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) { testHostilePolicy(t, f) })
	}
}

func testHostilePolicy(t *testing.T, f fixture) {
	w := newWard(t, f, hostilePolicyTables, hostilePolicyAccess)
	must(t, w.owner, insert("posts", "id", "r1", "owner", "red", "title", "mine", "n", 1, "secret", canary, "slug", "red-1"))
	must(t, w.owner, insert("posts", "id", "b1", "owner", "blue", "title", canary, "n", 7, "secret", canary, "slug", "b"))
	must(t, w.owner, insert("posts", "id", "n1", "owner", nil, "title", canary, "n", 8, "secret", canary))
	must(t, w.owner, insert("comments", "id", 1, "post", "r1", "body", "x"))
	must(t, w.owner, insert("comments", "id", 2, "post", "b1", "body", "x"))
	must(t, w.owner, insert("vault", "id", 1, "title", canary, "secret", canary))
	fingerprint := func() string {
		return table(must(t, w.owner, &abi.Query{Table: "posts", Where: where(cond(abi.CondNe, "id", "r1")), Order: []abi.Order{{Column: "id"}}})) +
			table(must(t, w.owner, &abi.Query{Table: "vault"})) + table(must(t, w.owner, &abi.Query{Table: "posts", Columns: secretOf("owner", "secret", "slug"), Where: where(cond(abi.CondEq, "id", "r1"))}))
	}
	before := fingerprint()
	for name, db := range w.views {
		if name == "role" {
			continue // which knows no columns of a view, and no star but that of the table
		}
		must(t, w.owner, &abi.Query{Verb: abi.VerbDelete, Table: "comments", Where: where(cond(abi.CondEq, "id", 9))})
		for _, a := range policyAttempts() {
			got, err := query(db, &a.q)
			if errno := errnoOf(err); !slices.Contains(a.want, errno) && (errno != abi.ErrnoUnsupported || f.name != "mariadb") {
				if name != "host" || f.name != "postgres" || a.q.Conflict == nil || errno != abi.ErrnoOK { // whose upsert leaves such a row alone, without a word
					t.Errorf("%s, %s: %v, wanted %v", name, a.name, err, a.want)
				}
			}
			if text := fmt.Sprint(got, err); strings.Contains(text, canary) || strings.Contains(text, "blue") {
				t.Errorf("%s, %s: got %s", name, a.name, text)
			}
			if err == nil && a.rows != "-" && len(got.Columns) > 0 {
				if rows := strings.Join(strings.Split(table(got), "\n")[1:], ","); rows != a.rows {
					t.Errorf("%s, %s: %q, wanted %q", name, a.name, rows, a.rows)
				}
			}
			if after := fingerprint(); after != before {
				t.Fatalf("%s, %s changed what is not the plugin's:\n%s\nwas\n%s", name, a.name, after, before)
			}
		}
	}
	t.Logf("%d attempts", len(policyAttempts()))
}
