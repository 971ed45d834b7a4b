package database

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

const realTables = `CREATE TABLE posts (id VARCHAR(21) PRIMARY KEY, owner VARCHAR(20), title VARCHAR(50), n INTEGER, secret VARCHAR(50), created_at TIMESTAMP(6) NULL, updated_at TIMESTAMP(6) NULL);
CREATE VIEW titles AS SELECT title FROM posts;
CREATE TABLE notes (id INTEGER PRIMARY KEY, body VARCHAR(20))`

// realAccess is read of three columns, insert and update of some, of one owner's rows.
func realAccess() map[string]TableAccess {
	return map[string]TableAccess{"titles": {Verbs: all}, "posts": {
		Verbs: []abi.Verb{abi.VerbSelect, abi.VerbInsert, abi.VerbUpdate}, Where: where(cond(abi.CondEq, "owner", "r'ed")),
		Columns: map[abi.Verb][]string{abi.VerbSelect: {"id", "n", "title"}, abi.VerbInsert: {"title"}, abi.VerbUpdate: {"title"}},
	}}
}

// What the role itself may do on the server, in SQL of its own: columns on both servers, rows on PostgreSQL.
func TestPolicyOnServers(t *testing.T) { onServerEngines(t, testPolicyOnServers) }

func testPolicyOnServers(t *testing.T, f fixture) {
	w := newWard(t, f, realTables, realAccess())
	ours := w.views["host and role"]
	must(t, w.owner, insert("posts", "id", "b", "owner", "blue", "title", "b", "secret", "s"))
	r := must(t, ours, insert("posts", "title", "mine")) // the key is drawn, times and owner are filled
	if r.LastID.IsNull() || table(must(t, ours, &abi.Query{Table: "posts", Columns: secretOf("title")})) != "title\nmine" {
		t.Fatal(r)
	}
	if got := must(t, w.owner, &abi.Query{Table: "posts", Where: where(cond(abi.CondEq, "owner", "r'ed"), cond(abi.CondNotNull, "created_at"))}); len(got.Rows) != 1 {
		t.Errorf("the row that was inserted: %v", got)
	}
	std, err := ours.SQL()
	if err != nil {
		t.Fatal(err)
	}
	is := func(sql, want string) {
		t.Helper()
		got, err := rawRows(t.Context(), std, sql)
		if err != nil {
			got = "denied"
		}
		if got != want {
			t.Errorf("%s: %s, %v; wanted %s", sql, got, err, want)
		}
	}
	rows := map[string]string{"postgres": "mine", "mariadb": "b mine"}[f.name]
	is("SELECT title FROM posts ORDER BY title", rows)
	for _, sql := range []string{
		"SELECT secret FROM posts", "SELECT * FROM posts", "SELECT title FROM posts WHERE secret = 's'", "UPDATE posts SET secret = 'x'", "UPDATE posts SET n = 1", "UPDATE posts SET title = secret",
		"INSERT INTO posts (id, secret) VALUES ('x', 'x')", "DELETE FROM posts", "SELECT title FROM titles", "SELECT * FROM notes",
	} {
		is(sql, "denied")
	}
	if f.name == "postgres" {
		is("SELECT owner FROM posts", "denied")
		is("UPDATE posts SET title = 'x' WHERE id = 'b' RETURNING id", "")
		is("INSERT INTO posts (id, owner) VALUES ('x', 'blue')", "denied")
		is("UPDATE posts SET owner = 'blue'", "denied")
		is("INSERT INTO posts (id, owner, title) VALUES ('b', 'r''ed', 'x') ON CONFLICT (id) DO UPDATE SET title = 'x'", "denied")
		is("SELECT title FROM posts FOR UPDATE", "mine")
	}
	// Another plugin of the tenant reaches every row, and the host's own writes do.
	all := map[string]TableAccess{"posts": {Verbs: all}, "notes": {Verbs: all}}
	w.grant(all)
	is("SELECT title FROM posts ORDER BY title", "b mine")
	is("SELECT secret FROM posts WHERE id = 'b'", "s")
	if f.name == "postgres" {
		var on bool
		owner, err := w.owner.SQL()
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.QueryRow("SELECT relrowsecurity FROM pg_class WHERE oid = 'posts'::regclass").Scan(&on); err != nil || on {
			t.Errorf("row-level security is still on, %v", err)
		}
	}
	w.grant(realAccess())
	is("SELECT title FROM posts ORDER BY title", rows)
	is("SELECT secret FROM posts", "denied")
	if n := count(t, w.owner, "posts"); n != 2 {
		t.Errorf("the owner sees %d rows", n)
	}
	w.grant(map[string]TableAccess{"posts": {Verbs: []abi.Verb{abi.VerbSelect}, Columns: map[abi.Verb][]string{abi.VerbSelect: {"gone"}}}})
	is("SELECT title FROM posts", "denied")
	w.grant(nil)
	is("SELECT title FROM posts", "denied")
}

// Two roles with policies on one table each have their own, and a third has none.
func TestPolicyOfEachRole(t *testing.T) {
	f := fixtures[1]
	w := newWard(t, f, realTables, realAccess())
	for _, owner := range []string{"r'ed", "blue"} {
		must(t, w.owner, insert("posts", "id", owner, "owner", owner, "title", owner))
	}
	who := map[string]*sql.DB{}
	for plugin, owner := range map[string]string{"one": "blue", "two": ""} {
		access := realAccess()
		posts := access["posts"]
		posts.Where = nil
		if owner != "" {
			posts.Where = where(cond(abi.CondEq, "owner", owner))
		}
		access["posts"] = posts
		if err := w.server.Grant(t.Context(), "ward", "default", plugin, "password", access, w.owner.Catalog()); err != nil {
			t.Fatal(err)
		}
		db, err := w.owner.As(w.server.Role("ward", "default", plugin), "password", 1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if who[plugin], err = db.SQL(); err != nil {
			t.Fatal(err)
		}
	}
	blog, err := w.views["role"].SQL()
	if err != nil {
		t.Fatal(err)
	}
	who["blog"] = blog
	see := func(want map[string]string) {
		t.Helper()
		for plugin, rows := range want {
			if got, err := rawRows(t.Context(), who[plugin], "SELECT title FROM posts ORDER BY title"); err != nil || got != rows {
				t.Errorf("%s sees %s, %v; wanted %s", plugin, got, err, rows)
			}
		}
	}
	see(map[string]string{"blog": "r'ed", "one": "blue", "two": "blue r'ed"})
	if err := w.server.Revoke(t.Context(), "ward", "default", "one"); err != nil {
		t.Fatal(err)
	}
	see(map[string]string{"blog": "r'ed", "two": "blue r'ed"})
}

// SQL text on SQLite, and where a server cannot hold rows back, stays out of what was granted in part.
func TestPolicyRaw(t *testing.T) {
	db := fixtures[0].open(t)
	ddl(t, db, realTables)
	must(t, db, insert("posts", "id", "b", "owner", "blue", "title", "b", "secret", canary))
	columns := map[string]TableAccess{"notes": {Verbs: all}, "titles": {Verbs: all}, "posts": {
		Verbs: all, Columns: map[abi.Verb][]string{abi.VerbSelect: {"id", "title"}, abi.VerbInsert: {"title"}, abi.VerbUpdate: {"title"}},
	}}
	rows := map[string]TableAccess{"notes": {Verbs: all}, "titles": {Verbs: all}, "posts": {Verbs: all, Where: where(cond(abi.CondEq, "owner", "red"))}}
	for _, c := range []struct {
		access map[string]TableAccess
		sql    string
		want   abi.Errno
	}{
		{columns, "SELECT id, title FROM posts", abi.ErrnoOK},
		{columns, "SELECT count(*) FROM posts", abi.ErrnoOK},
		{columns, "UPDATE posts SET title = upper(title) WHERE id = 'b'", abi.ErrnoOK},
		{columns, "DELETE FROM posts WHERE id = 'zz'", abi.ErrnoOK},
		{columns, "SELECT title FROM titles", abi.ErrnoOK}, // reads nothing else
		{columns, "SELECT * FROM posts", abi.ErrnoDenied},
		{columns, "SELECT secret FROM posts", abi.ErrnoDenied},
		{columns, "SELECT title FROM posts WHERE secret LIKE 'c%'", abi.ErrnoDenied},
		{columns, "SELECT title FROM posts ORDER BY secret", abi.ErrnoDenied},
		{columns, "WITH p AS (SELECT * FROM posts) SELECT title FROM p", abi.ErrnoDenied},
		{columns, "WITH posts AS (SELECT secret AS title FROM main.posts) SELECT title FROM posts", abi.ErrnoDenied},
		{columns, "SELECT n.id FROM notes n WHERE EXISTS (SELECT 1 FROM posts WHERE secret = 'x')", abi.ErrnoDenied},
		{columns, "SELECT title FROM posts GROUP BY secret", abi.ErrnoDenied},
		{columns, "UPDATE posts SET secret = 'x'", abi.ErrnoDenied},
		{columns, "UPDATE posts SET title = secret", abi.ErrnoDenied},
		{columns, "INSERT INTO posts (secret) VALUES ('x')", abi.ErrnoDenied},
		{columns, "INSERT INTO posts (title) VALUES ('x')", abi.ErrnoDenied},
		{columns, "DELETE FROM posts WHERE id = 'zz' RETURNING secret", abi.ErrnoDenied},
		{columns, "SELECT _rowid_ FROM posts", abi.ErrnoDenied},
		{rows, "SELECT id FROM posts", abi.ErrnoDenied},
		{rows, "SELECT id FROM posts WHERE owner = 'red'", abi.ErrnoDenied},
		{rows, "SELECT count(*) FROM posts", abi.ErrnoDenied},
		{rows, "SELECT title FROM titles", abi.ErrnoDenied},
		{rows, "SELECT 1 FROM titles", abi.ErrnoDenied},
		{rows, "SELECT id FROM notes WHERE EXISTS (SELECT 1 FROM posts)", abi.ErrnoDenied},
		{rows, "WITH p AS (SELECT 1 AS a FROM posts) SELECT a FROM p", abi.ErrnoDenied},
		{rows, "INSERT INTO notes SELECT 1, title FROM posts", abi.ErrnoDenied},
		{rows, "UPDATE posts SET title = 'x'", abi.ErrnoDenied},
		{rows, "DELETE FROM posts", abi.ErrnoDenied},
		{rows, "SELECT id FROM notes", abi.ErrnoOK},
		{rows, "SELECT * FROM _odac_none", abi.ErrnoDenied},
	} {
		view := db.Under(NewAccess(c.access, nil))
		for range 2 { // the second is known
			got, err := query(view, &abi.Query{SQL: c.sql})
			if errnoOf(err) != c.want || strings.Contains(fmt.Sprint(got, err), canary) {
				t.Errorf("%s: %v, %v", c.sql, got, err)
			}
		}
	}
	if err := testErr(query(db.Under(NewAccess(columns, nil)), &abi.Query{SQL: "SELECT secret FROM posts"})); !strings.Contains(err.Error(), "secret") {
		t.Errorf("the error does not name the column: %v", err)
	}
	// What one may, another who asks in the same words may not.
	if _, err := query(db, &abi.Query{SQL: "SELECT secret FROM posts"}); err != nil {
		t.Error(err)
	}
	if err := testErr(query(db.Under(NewAccess(columns, nil)), &abi.Query{SQL: "SELECT secret FROM posts"})); errnoOf(err) != abi.ErrnoDenied {
		t.Error(err)
	}
}

func testErr(_ abi.Result, err error) error { return err }

// SQLite's authorizer refuses a column even if the host lets it through.
func TestPolicyAuthorizer(t *testing.T) {
	db := fixtures[0].open(t)
	ddl(t, db, realTables)
	a := NewAccess(realAccess(), nil)
	wide := map[string]TableAccess{"posts": {Verbs: all}}
	for _, c := range []struct {
		q    *abi.Query
		want abi.Errno
	}{
		{&abi.Query{Table: "posts", Columns: secretOf("title")}, abi.ErrnoOK},
		{&abi.Query{Table: "posts", Columns: secretOf("secret")}, abi.ErrnoDenied},
		{&abi.Query{Table: "posts", Columns: secretOf("title"), Where: where(cond(abi.CondEq, "secret", "x"))}, abi.ErrnoDenied},
		{update("posts", everyRow, "title", "x"), abi.ErrnoOK},
		{update("posts", everyRow, "secret", "x"), abi.ErrnoDenied},
	} {
		st, err := db.Catalog().compileFor(db.engine.dialect(), NewAccess(wide, nil), c.q)
		if err != nil {
			t.Fatal(err)
		}
		held := &statement{verb: st.verb, table: st.table, sql: st.sql, params: st.params, out: st.out, header: st.header, set: st.set}
		posts, _ := db.Catalog().Table("posts")
		held.walls = map[string]*wall{"posts": a.wall(posts)}
		s, err := db.engine.acquire(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.run(t.Context(), held, c.q, Budget{}.withDefaults(), nil)
		s.release()
		if errnoOf(err) != c.want {
			t.Errorf("%s: %v", held.sql, err)
		}
	}
}

// What is buffered for later is checked when it is taken, and finds rows by what the policy pins.
func TestPolicyBuffered(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) { testPolicyBuffered(t, f) })
	}
}

func testPolicyBuffered(t *testing.T, f fixture) {
	w := newWard(t, f, realTables, realAccess())
	c, a := w.owner.Catalog(), NewAccess(realAccess(), nil)
	if _, _, err := c.FillInsert(a, "posts", []string{"title", "owner"}, nil); errnoOf(err) != abi.ErrnoDenied {
		t.Error(err)
	}
	names, rows, err := c.FillInsert(a, "posts", []string{"title"}, []abi.Values{{abi.Text("x")}})
	if err != nil || rows[0][slices.Index(names, "owner")] != abi.Text("r'ed") {
		t.Errorf("%v %v, %v", names, rows, err)
	}
	if _, _, err := c.FillUpdate(a, "posts", []string{"secret"}, abi.Values{abi.Text("x")}, nil); errnoOf(err) != abi.ErrnoDenied {
		t.Error(err)
	}
	if _, _, err := c.FillUpdate(a, "posts", nil, nil, []string{"n"}); errnoOf(err) != abi.ErrnoDenied {
		t.Error(err)
	}
	access := realAccess()
	posts := access["posts"]
	posts.Columns = nil
	access["posts"] = posts
	wide := NewAccess(access, nil)
	if _, _, err := c.FillInsert(wide, "posts", []string{"title", "owner"}, []abi.Values{{abi.Text("x"), abi.Text("blue")}}); errnoOf(err) != abi.ErrnoDenied {
		t.Error(err)
	}
	if _, _, err := c.FillUpdate(wide, "posts", []string{"owner"}, abi.Values{abi.Text("blue")}, nil); errnoOf(err) != abi.ErrnoDenied {
		t.Error(err)
	}
	if names, _, err := c.FillUpdate(wide, "posts", []string{"owner", "title"}, abi.Values{abi.Text("r'ed"), abi.Text("x")}, nil); err != nil || slices.Contains(names, "owner") {
		t.Error(names, err)
	}
	pins, values, whole, err := c.Pins(a, "posts")
	if err != nil || !whole || len(pins) != 1 || pins[0] != "owner" || values[0] != abi.Text("r'ed") {
		t.Error(pins, values, whole, err)
	}
	// A flush by the key that is pinned leaves a neighbour's row alone.
	must(t, w.owner, insert("posts", "id", "b", "owner", "blue", "title", "b"))
	must(t, w.owner, insert("posts", "id", "r", "owner", "r'ed", "title", "r"))
	lane := buffer.Lane{Tenant: "ward", Conn: "default", Table: "posts"}
	if _, err := w.owner.Target().Applied(t.Context(), "n", lane); err != nil {
		t.Fatal(err)
	}
	key := func(id string) []buffer.Column {
		return []buffer.Column{{Name: "id", Value: buffer.Text(id)}, {Name: "owner", Value: buffer.Text("r'ed")}}
	}
	taken := []buffer.Column{{Name: "title", Value: buffer.Text("taken")}}
	result, err := w.owner.Target().Apply(t.Context(), &buffer.Batch{Node: "n", Lane: lane, To: 3, Missing: buffer.MissingDrop, Updates: []buffer.Change{{Key: key("b"), Set: taken, First: 1, Last: 1}, {Key: key("r"), Set: taken, First: 2, Last: 2}}, Deletes: []buffer.Change{{Key: key("b"), First: 3, Last: 3}}})
	if err != nil || len(result.Dead) != 0 {
		t.Errorf("%v, %v", result, err)
	}
	if got := table(must(t, w.owner, &abi.Query{Table: "posts", Columns: secretOf("id", "title"), Order: []abi.Order{{Column: "id"}}})); got != "id|title\nb|b\nr|taken" {
		t.Errorf("after the flush: %s", got)
	}
}

// What a grant says of columns and rows is held against the tables when it is deployed.
func TestAccessCheck(t *testing.T) {
	db := fixtures[0].open(t)
	ddl(t, db, strings.ReplaceAll(realTables, "n INTEGER", "n INTEGER, f DOUBLE, g INTEGER GENERATED ALWAYS AS (n)"))
	for _, c := range []struct {
		table string
		a     TableAccess
		want  string
	}{
		{"posts", realAccess()["posts"], ""},
		{"none", TableAccess{Verbs: all, Where: where(cond(abi.CondEq, "x", 1))}, ""},
		{"posts", TableAccess{Verbs: all, Columns: map[abi.Verb][]string{abi.VerbUpdate: {"titel"}}}, `there is no column "titel"`},
		{"posts", TableAccess{Verbs: all, Where: where(cond(abi.CondEq, "ownr", "x"))}, `no column "ownr"`},
		{"posts", TableAccess{Verbs: all, Where: where(cond(abi.CondEq, "n", "x"))}, "x"},
		{"posts", TableAccess{Verbs: all, Where: where(cond(abi.CondGt, "title", 1))}, "which is no number"},
		{"posts", TableAccess{Verbs: all, Where: where(cond(abi.CondGt, "title", "a"))}, "which is no number"},
		{"posts", TableAccess{Verbs: all, Where: where(cond(abi.CondEq, "f", 1))}, "not double"},
		{"posts", TableAccess{Verbs: all, Where: where(cond(abi.CondEq, "g", 1))}, "computes"},
		{"titles", TableAccess{Verbs: all, Where: where(cond(abi.CondEq, "title", "a"))}, "this is a view"},
	} {
		err := NewAccess(map[string]TableAccess{c.table: c.a}, nil).Check(db.Catalog())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, wanted %q", c.a, err, c.want)
		}
	}
}

func TestAccessOr(t *testing.T) {
	a := TableAccess{Verbs: []abi.Verb{abi.VerbSelect, abi.VerbInsert}, Columns: map[abi.Verb][]string{abi.VerbSelect: {"a", "b"}}, Where: where(cond(abi.CondEq, "o", 1), cond(abi.CondEq, "p", 1))}
	b := TableAccess{Verbs: []abi.Verb{abi.VerbSelect}, Columns: map[abi.Verb][]string{abi.VerbSelect: {"b", "c"}}, Where: where(cond(abi.CondEq, "o", 2))}
	if got := fmt.Sprint(a.Or(b).Verbs, a.Or(b).Columns, len(a.Or(b).Where)); got != "[select insert] map[select:[a b c]] 6" {
		t.Error(got)
	}
	if got := a.Or(TableAccess{Verbs: []abi.Verb{abi.VerbSelect}}); got.limited() {
		t.Error(got)
	}
	if got := a.Or(a); len(got.Where) != 2 {
		t.Error(got)
	}
}
