package database

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

func rawQuery(sql string, args ...any) *abi.Query {
	q := &abi.Query{SQL: sql}
	for _, x := range args {
		q.Args = append(q.Args, value(x))
	}
	return q
}

func TestRaw(t *testing.T) {
	db := newDB(t)
	seed(t, db)
	named := rawQuery("SELECT name FROM users WHERE age >= :age OR boss = :boss ORDER BY name LIMIT :age / :age", 20, 1)
	named.Names = []string{"age", "boss"}
	for _, c := range []struct {
		q    *abi.Query
		want string
	}{
		{rawQuery("SELECT id, price, live, created_at IS NOT NULL AS made FROM posts WHERE views > ? AND title LIKE ? ORDER BY id", 30, "post%"), "id|price|live|made\np4|11.50|true|1\np5|12.50|false|1"},
		{named, "name\nann"},
		{rawQuery("SELECT '?' AS a, \"name\" AS b, 1 /* ? :x */ AS c -- ?\nFROM users WHERE id = ?;", 2), "a|b|c\n?|bob|1"},
		{rawQuery("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 3) SELECT sum(i) AS s FROM n"), "s\n6"},
		{rawQuery("SELECT value FROM json_each(?) ORDER BY value DESC", "[1,2]"), "value\n2\n1"},
		{rawQuery("SELECT count(*) AS n FROM USERS"), "n\n3"},
		{rawQuery("SELECT author FROM live_posts WHERE id = 'p2'"), "author\ncat"},
		{rawQuery("SELECT row_number() OVER (ORDER BY id DESC) AS r, trim('  x ') AS t, replace('aXa', 'a', 'b') AS p, instr('häh', 'h') AS i, instr('häx', 'x') AS j, ltrim('xxa', 'x') AS l, rtrim('axé', 'éx') AS e FROM users LIMIT 1"), "r|t|p|i|j|l|e\n1|x|bXb|1|3|a|a"},
		{rawQuery("VALUES (?, ?, ?)", nil, true, 1.5), "column1|column2|column3\nnull|1|1.5"},
		{rawQuery("UPDATE users SET age = age + 1 WHERE age IS NOT NULL RETURNING name, age"), "name|age\nann|21\nbob|31"},
	} {
		for range 2 { // the second from the caches
			if c.q.SQL[0] == 'U' && len(must(t, db, &abi.Query{Table: "users", Where: where(cond(abi.CondEq, "age", 21))}).Rows) > 0 {
				break
			}
			r, err := query(db, c.q)
			if got := table(r); err != nil || got != c.want {
				t.Errorf("%s: %v\ngot %s\nwant %s", c.q.SQL, err, got, c.want)
			}
		}
	}
	r := must(t, db, rawQuery("INSERT INTO log (what) VALUES (?), (?)", "a", "b"))
	if r.Affected != 2 || r.LastID.AsInt() == 0 {
		t.Errorf("insert: %d rows, last id %v", r.Affected, r.LastID)
	}
	if r := must(t, db, rawQuery("DELETE FROM log WHERE what = 'a'")); r.Affected != 1 || !r.LastID.IsNull() {
		t.Errorf("delete: %d rows, last id %v", r.Affected, r.LastID)
	}
	// What the builder fills in, text does not.
	if _, err := query(db, rawQuery("INSERT INTO posts (title) VALUES ('x')")); errnoOf(err) != abi.ErrnoConflict {
		t.Errorf("a row without its key and times: %v", err)
	}
	// The limits of text are not those of what is built.
	if got := table(must(t, db, &abi.Query{Table: "users", Columns: counts, Where: where(cond(abi.CondLike, "name", strings.Repeat("a", 200)))})); got != "n\n0" {
		t.Error(got)
	}
	for sql, want := range map[string]string{
		"SELECT nope FROM users":                    "no such column: nope",
		"SELECT name FRM users":                     "syntax error",
		"SELECT nope(1)":                            "no such function: nope",
		"SELECT name FROM users WHERE ?":            "1 parameter, the query 0 arguments",
		"SELECT json_extract(name, '$') FROM users": "malformed JSON",
	} {
		if _, err := query(db, rawQuery(sql)); errnoOf(err) != abi.ErrnoInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want invalid with %s", sql, err, want)
		}
	}
	if _, err := query(db, rawQuery("SELECT 1", 1)); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("an argument too many: %v", err)
	}
	beside := rawQuery("SELECT 1")
	beside.Table = "users"
	if _, err := query(db, beside); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("text and a table: %v", err)
	}
}

// Touches of text are exact: what it names, and apart from it what views, triggers and foreign keys lead to.
func TestRawTouches(t *testing.T) {
	db := newDB(t)
	for sql, want := range map[string]string{
		"SELECT 1": "",
		"SELECT name FROM users, log WHERE EXISTS (SELECT 1 FROM pairs)":                           "select log, select pairs, select users",
		"WITH x AS (SELECT id FROM posts) SELECT * FROM x UNION SELECT id FROM log":                "select log, select posts",
		"SELECT title FROM live_posts":                                                             "(select posts), (select users), select live_posts",
		"WITH x AS (SELECT title FROM live_posts) SELECT * FROM x":                                 "select live_posts, select posts, select users",
		"INSERT INTO posts (id, title, author, created_at, updated_at) VALUES ('x', 'x', 1, 1, 1)": "(insert log), (select posts), insert posts", // the trigger reads its row
		"DELETE FROM users":        "(delete posts), delete users",
		"UPDATE users SET age = 1": "update users",
		"UPDATE users SET age = age + 1 WHERE id IN (SELECT author FROM posts)":                              "select posts, select users, update users",
		"INSERT INTO pairs (a, b) VALUES (1, 1) ON CONFLICT (a, b) DO UPDATE SET n = excluded.n RETURNING n": "insert pairs, select pairs, update pairs",
		"INSERT OR REPLACE INTO pairs (a, b) VALUES (1, 1)":                                                  "delete pairs, insert pairs",
		"INSERT INTO pairs (a, b) SELECT replace(a, 1, 2), b FROM pairs WHERE 0":                             "insert pairs, select pairs",
	} {
		what, err := db.Describe(t.Context(), rawQuery(sql))
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var list []string
		for _, x := range what.Touches {
			s := x.Verb.String() + " " + x.Table
			if x.Indirect {
				s = "(" + s + ")"
			}
			list = append(list, s)
		}
		slices.Sort(list)
		// Reading its key is what on conflict needs, and SQLite says so.
		if got := strings.Join(list, ", "); got != want {
			t.Errorf("%s\n%s, want %s", sql, got, want)
		}
		if write := !strings.HasPrefix(sql, "SELECT") && !strings.HasPrefix(sql, "WITH"); what.Write != write {
			t.Errorf("%s: write is %v", sql, what.Write)
		}
	}
	for sql, volatile := range map[string]bool{"SELECT random()": true, "SELECT datetime('now')": true, "SELECT CURRENT_TIMESTAMP": true, "SELECT abs(1)": false} {
		if what, err := db.Describe(t.Context(), rawQuery(sql)); err != nil || what.Volatile != volatile {
			t.Errorf("%s: volatile is %v, %v", sql, what.Volatile, err)
		}
	}
}

// After a change of tables text reaches no more than it was described with.
func TestRawIsHeldToItsReach(t *testing.T) {
	db := newDB(t)
	seed(t, db)
	q := rawQuery("SELECT * FROM live_posts")
	must(t, db, q)
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.Exec("DROP VIEW live_posts; CREATE VIEW live_posts AS SELECT what AS id, what AS title, what AS price, what AS author FROM log"); err != nil {
		t.Fatal(err)
	}
	must(t, db, insert("log", "what", canary))
	out, err := db.Query(t.Context(), q, Budget{}, nil) // the catalog was not read again
	if err == nil || strings.Contains(string(out), canary) {
		t.Errorf("the view over another table is read: %q, %v", out, err)
	}
}

func TestScanRaw(t *testing.T) {
	postgres := rawSyntax{dollars: true, nested: true, operators: true}
	mysql := rawSyntax{backslash: true, hash: true}
	numbered := func(n int, _ *Column, _ use) string { return "$" + string(rune('0'+n)) }
	for _, c := range []struct {
		syntax    rawSyntax
		text, sql string
	}{
		{postgres, "select a::int, '{}'::jsonb ?? 'x' from t where b = ? and c = ?", "select a::int, '{}'::jsonb ? 'x' from t where b = $1 and c = $2"},
		{postgres, "select $$ ? ; ' $$, $tag$ $$ ? $tag$, E'\\'?', ?", "select $$ ? ; ' $$, $tag$ $$ ? $tag$, E'\\'?', $1"},
		{postgres, "select /* /* ? */ ? */ ?", "select   $1"},
		{postgres, "select a[1:2], :x, x.:y", "select a[1:2], $1, x.$2"},
		{mysql, "select 'it\\'s ?', \"?\\\"\", `?`, ? # ?\n from t", "select 'it\\'s ?', \"?\\\"\", `?`, $1  \n from t"},
		{mysql, "select /*+ 1; */ 2, 5--3, 'a' 'b' -- ?", "select   2, 5--3, 'a' 'b'"},
		{postgres, "select a from t limit? offset ?;", "select a from t limit $1 offset $2"},
	} {
		raw, err := scanRaw(c.text, c.syntax, numbered)
		if err != nil || raw.sql != c.sql {
			t.Errorf("%s: %v, %v\nwant %s", c.text, raw, err, c.sql)
		}
	}
	for _, text := range []string{"select $$x", "select 'a\\'", "select E'\\'", "select /* /* */", "select a; select b", "select $1", "select $a", "/*!50000 drop */ table x", "call x()", "do $$ x $$", "copy t to '/x'", "set role x"} {
		for _, syntax := range []rawSyntax{postgres, mysql} {
			if syntax == mysql && strings.HasPrefix(text, "select E") || syntax == postgres && text == "select 'a\\'" || syntax == mysql && strings.Contains(text, "/* /* */") {
				continue
			}
			if raw, err := scanRaw(text, syntax, numbered); err == nil {
				t.Errorf("%s is taken, as %s", text, raw.sql)
			}
		}
	}
}

// FuzzRaw: no text makes the host fail, reaches past the grants or leaves a connection changed.
func FuzzRaw(f *testing.F) {
	for i, a := range sqliteAttempts("") {
		if len(a.sql) < 300 && !slices.Contains(a.want, abi.ErrnoTimeout) && i%3 == 0 {
			f.Add(a.sql)
		}
	}
	db := newDB(f)
	seed(f, db)
	must(f, db, insert("log", "what", canary))
	must(f, db, insert("everything", "t", canary))
	f.Fuzz(func(t *testing.T, sql string) {
		ctx, cancel := context.WithTimeout(t.Context(), 200e6)
		defer cancel()
		tx := begin(t, db, false)
		defer tx.Rollback() //nolint:errcheck // returns nil
		out, err := attack(ctx, db, tx, attempt{sql: sql})
		switch errnoOf(err) {
		case abi.ErrnoOK, abi.ErrnoInvalid, abi.ErrnoDenied, abi.ErrnoLimit, abi.ErrnoTimeout, abi.ErrnoTooLarge, abi.ErrnoConflict:
		default:
			t.Errorf("%q: %v", sql, err)
		}
		if strings.Contains(string(out), canary) || err != nil && strings.Contains(err.Error(), canary) && !strings.Contains(sql, canary) {
			t.Errorf("%q leaks", sql)
		}
		if _, err := query(tx, &abi.Query{Table: "users"}); err != nil && errnoOf(err) != abi.ErrnoClosed {
			t.Errorf("%q leaves the transaction %v", sql, err)
		}
	})
}
