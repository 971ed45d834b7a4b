package database

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

// textHouse is a server with the tenants red and blue, who have the same tables, and red's plugin with the grants of hostileGrants.
type textHouse struct {
	*Tenancy
	red, blue, plugin *DB
}

func newTextHouse(t testing.TB, f fixture) *textHouse {
	t.Helper()
	cfg := f.config(t)
	cfg.ConnectionLimit, cfg.StatementTimeout = 4, 10*time.Second
	tenancy, err := NewTenancy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := &textHouse{Tenancy: tenancy}
	for _, tenant := range []string{"red", "blue"} {
		t.Cleanup(func() { // the server is other tests' too
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
		ddl(t, db, strings.TrimSpace(f.schema)+"\nCREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);\nCREATE TABLE secrets (id INTEGER PRIMARY KEY, body TEXT);")
		seed(t, db)
		must(t, db, insert("secrets", "id", 1, "body", canary))
		if tenant == "red" {
			h.red = db
		} else {
			h.blue = db
		}
	}
	access := map[string]TableAccess{}
	for table, words := range hostileGrants {
		var verbs []abi.Verb
		for v, name := range abi.Verbs {
			if slices.Contains(strings.Fields(words), name) {
				verbs = append(verbs, abi.Verb(v))
			}
		}
		access[table] = TableAccess{Verbs: verbs}
	}
	if err := tenancy.Grant(t.Context(), "red", "default", "blog", "password-of-blog", access, h.red.Catalog()); err != nil {
		t.Fatal(err)
	}
	if h.plugin, err = h.red.As(tenancy.Role("red", "default", "blog"), "password-of-blog", 4); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.plugin.Close() })
	return h
}

// per is what differs between the servers: PostgreSQL's first.
func per(db *DB, postgres, mariadb string) string {
	if is(db, typePostgres) {
		return postgres
	}
	return mariadb
}

func TestServerText(t *testing.T) { onServerEngines(t, testServerText) }

func testServerText(t *testing.T, f fixture) {
	h := newTextHouse(t, f)
	db := h.plugin
	named := rawQuery("SELECT name FROM users WHERE age >= :age OR boss = :boss ORDER BY name LIMIT 1", 20, 1)
	named.Names = []string{"age", "boss"}
	for _, c := range []struct {
		q    *abi.Query
		want string
	}{
		{
			rawQuery("SELECT id, price, views, created_at IS NOT NULL AS made FROM posts WHERE views > ? AND title LIKE ? ORDER BY id", 30, "post%"),
			per(db, "id|price|views|made\np4|11.50|40|true\np5|12.50|50|true", "id|price|views|made\np4|11.50|40|1\np5|12.50|50|1"),
		},
		{named, "name\nann"},
		{rawQuery("SELECT '?' AS a, name AS b, 1 /* ? :x */ AS c -- ?\nFROM users WHERE id =?;", 2), "a|b|c\n?|bob|1"},
		{rawQuery("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) AS s FROM n"), "s\n6"},
		{rawQuery("SELECT count(*) AS n FROM users"), "n\n3"},
		{rawQuery("SELECT author FROM live_posts WHERE id = 'p2'"), "author\ncat"},
		{rawQuery("SELECT row_number() OVER (ORDER BY id DESC) AS r, replace('aXa', 'a', 'b') AS p FROM users LIMIT 1"), "r|p\n1|bXb"},
		{rawQuery("SELECT x.n FROM (SELECT count(*) AS n FROM posts GROUP BY author) AS x ORDER BY x.n LIMIT 1"), "n\n2"},
		{rawQuery("UPDATE posts SET views = views + ? WHERE id = ?", 1, "p0"), ""},
		{rawQuery("SELECT views FROM posts WHERE id = 'p0'"), "views\n1"},
		{rawQuery("SELECT name FROM users WHERE name IN (?, ?) ORDER BY 1", "ann", "bob"), "name\nann\nbob"},
		{rawQuery("SELECT id FROM posts WHERE price = ? AND created_at < ?", abi.Decimal("7.50"), time.Now().Add(time.Hour)), "id\np0"},
		{rawQuery("SELECT id FROM posts WHERE created_at > ?", abi.Null()), "id"},
		{rawQuery("INSERT INTO notes (id, body) VALUES (?, ?), (?, ?)", 1, "a'b", 2, `c\d`), ""},
	} {
		for range 2 { // the second from the caches
			if c.q.SQL[0] == 'I' && count(t, h.red, "notes") > 0 {
				break
			}
			if c.q.SQL[0] == 'U' && len(must(t, h.red, &abi.Query{Table: "posts", Where: where(cond(abi.CondEq, "views", 1))}).Rows) > 0 {
				break
			}
			r, err := query(db, c.q)
			if got := table(r); err != nil || got != c.want {
				t.Errorf("%s: %v\ngot %s\nwant %s", c.q.SQL, err, got, c.want)
			}
		}
	}
	if got := table(must(t, h.red, &abi.Query{Table: "notes"})); got != "id|body\n1|a'b\n2|c\\d" {
		t.Error(got)
	}
	if r := must(t, db, rawQuery("DELETE FROM posts WHERE id = 'p5'")); r.Affected != 1 {
		t.Errorf("delete: %d rows", r.Affected)
	}
	for sql, want := range map[string]string{
		"SELECT nope FROM users":                   per(db, `column "nope" does not exist`, "Unknown column 'nope'"),
		"SELECT name FRM users":                    "syntax",
		"SELECT name FROM users WHERE id = ?":      "1 parameter, the query 0 arguments",
		"SELECT 1 AS a, 2 AS a":                    "two columns",
		"SELECT count(name, id, age) FROM users x": "",
	} {
		if _, err := query(db, rawQuery(sql)); errnoOf(err) != abi.ErrnoInvalid || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "odac_") {
			t.Errorf("%s: %v, want invalid with %s", sql, err, want)
		}
	}
	if _, err := query(h.red, rawQuery("SELECT 1")); errnoOf(err) != abi.ErrnoDenied || !strings.Contains(err.Error(), "odachost tenant add") {
		t.Errorf("text as the owner: %v", err)
	}
	testTextInTx(t, db)
	testTextCursor(t, db)
}

func testTextInTx(t *testing.T, db *DB) {
	t.Helper()
	tx := begin(t, db, false)
	for _, text := range []string{"UPDATE posts SET title = 'x' WHERE id = 'p1'", "SELECT nope(1)", "SELECT * FROM secrets", "UPDATE users SET name = 'x'", "SELECT id FROM posts WHERE id = 'p1' FOR UPDATE"} {
		_, err := query(tx, rawQuery(text))
		if wrong := strings.Contains(text, "nope") || strings.Contains(text, "secrets") || strings.Contains(text, "users"); (err != nil) != wrong {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := table(must(t, db, rawQuery("SELECT title FROM posts WHERE id = 'p1'"))); got != "title\nx" {
		t.Error(got)
	}
	if _, err := query(db, rawQuery("SELECT id FROM posts FOR UPDATE")); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("a lock outside of a transaction: %v", err)
	}
	tx = begin(t, db, true)
	if _, err := query(tx, rawQuery("DELETE FROM posts")); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("a write in a transaction that reads: %v", err)
	}
	_ = tx.Rollback()
}

func testTextCursor(t *testing.T, db *DB) {
	t.Helper()
	series := per(db, "SELECT a.id AS a, b.id AS b, c.id AS c, d.id AS d FROM posts a, posts b, posts c, posts d", "SELECT a.id AS a, b.id AS b, c.id AS c, d.id AS d FROM posts a, posts b, posts c, posts d")
	tx := begin(t, db, false)
	defer tx.Rollback() //nolint:errcheck // returns nil
	for _, open := range []func() (*Cursor, error){
		func() (*Cursor, error) { return db.Cursor(t.Context(), rawQuery(series)) },
		func() (*Cursor, error) { return tx.Cursor(t.Context(), rawQuery(series)) },
	} {
		cursor, err := open()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for done := false; !done; {
			var out []byte
			if out, done, err = cursor.Next(t.Context(), Budget{MaxRows: 100}, nil); err != nil {
				t.Fatal(err)
			}
			var page abi.Page
			if _, err := page.UnmarshalMsg(out); err != nil {
				t.Fatal(err)
			}
			n += len(page.Rows)
		}
		if n != 625 {
			t.Errorf("%d rows of 625", n)
		}
	}
}

func TestServerTextTouches(t *testing.T) { onServerEngines(t, testServerTextTouches) }

func testServerTextTouches(t *testing.T, f fixture) {
	db := newTextHouse(t, f).plugin
	for sql, want := range map[string][2]string{
		"SELECT 1": {"", ""},
		"SELECT name FROM users, log WHERE EXISTS (SELECT 1 FROM pairs)":                  {"select log, select pairs, select users", "denied"},
		"WITH x AS (SELECT id FROM posts) SELECT * FROM x UNION SELECT body FROM secrets": {"select posts, select secrets", "denied"},
		"SELECT title FROM live_posts":                                                    {"(select posts), (select users), select live_posts", "(select live_posts), (select posts), (select users)"},
		"SELECT posts.title FROM live_posts AS posts":                                     {"(select posts), (select users), select live_posts", "(select live_posts), (select posts), (select users)"},
		"DELETE FROM posts": {"delete posts", "(delete posts), (select posts)"},
		"UPDATE posts SET title = (SELECT max(name) FROM users)":           {"select users, update posts", "(select posts), (select users), (update posts), (update users)"},
		"SELECT 1 FROM posts WHERE false AND EXISTS (SELECT 1 FROM users)": {"select posts, select users", "(select posts), (select users)"}, // what the planner would drop
		"INSERT INTO posts (id, title, created_at, updated_at) SELECT name, name, now(), now() FROM users": {
			"(update ), insert posts, select users",
			"(delete posts), (delete users), (insert posts), (insert users), (select posts), (select users), (update ), (update posts), (update users)",
		},
	} {
		what, err := db.Describe(t.Context(), rawQuery(sql))
		var list []string
		for _, x := range what.Touches {
			s := x.Verb.String() + " " + x.Table
			if x.Indirect {
				s = "(" + s + ")"
			}
			list = append(list, s)
		}
		slices.Sort(list)
		got, want := strings.Join(list, ", "), per(db, want[0], want[1])
		if want == "denied" {
			if errnoOf(err) != abi.ErrnoDenied {
				t.Errorf("%s: %v", sql, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %v\n%s, want %s", sql, err, got, want)
		}
		if write := !strings.HasPrefix(sql, "SELECT") && !strings.HasPrefix(sql, "WITH"); what.Write != write {
			t.Errorf("%s: write is %v", sql, what.Write)
		}
	}
	for sql, volatile := range map[string]bool{
		"SELECT now()": true, "SELECT CURRENT_TIMESTAMP": true, "SELECT abs(1)": false, "SELECT 'now' AS a": is(db, typePostgres),
		per(db, "SELECT random()", "SELECT rand()"): true,
	} {
		if what, err := db.Describe(t.Context(), rawQuery(sql)); err != nil || what.Volatile != volatile {
			t.Errorf("%s: volatile is %v, %v", sql, what.Volatile, err)
		}
	}
	if what, err := db.Describe(t.Context(), rawQuery("SELECT id FROM posts WHERE created_at < ?", "now")); err != nil || what.Volatile != is(db, typePostgres) {
		t.Errorf("now as an argument: %v, %v", what.Volatile, err)
	}
}
