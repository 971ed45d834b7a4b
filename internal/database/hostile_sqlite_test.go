package database

import (
	"strings"

	"github.com/odac-run/odachost/abi"
)

func sqliteAttempts(dir string) []attempt {
	var list []attempt
	add := func(want []abi.Errno, texts ...string) {
		for _, text := range texts {
			list = append(list, attempt{sql: text, want: want})
		}
	}
	var (
		denied  = []abi.Errno{abi.ErrnoDenied}
		invalid = []abi.Errno{abi.ErrnoInvalid}
		refused = []abi.Errno{abi.ErrnoDenied, abi.ErrnoInvalid}
		ended   = []abi.Errno{abi.ErrnoTimeout, abi.ErrnoLimit}
		large   = []abi.Errno{abi.ErrnoTooLarge}
		nothing []abi.Errno
	)
	file := dir + "/stolen.db"

	// Other files.
	add(invalid, "ATTACH '"+file+"' AS x", "ATTACH ':memory:' AS x", "DETACH main", "VACUUM INTO '"+file+"'", "VACUUM", "WITH a AS (SELECT 1) ATTACH '"+file+"' AS x",
		".output "+file, "BACKUP main TO '"+file+"'")
	add(refused, "SELECT readfile('/etc/passwd')", "SELECT writefile('"+file+"', 'x')", "SELECT edit('x')", "SELECT load_extension('"+file+"')",
		"SELECT fts3_tokenizer('simple', x'0000000000000000')", "SELECT sqlite_log(1, 'x')", "SELECT * FROM fsdir('/')", "SELECT * FROM zipfile('x')", "SELECT * FROM csv('/etc/passwd')")

	// The connection and the schema.
	add(invalid, "PRAGMA query_only = OFF", "PRAGMA writable_schema = ON", "PRAGMA foreign_keys = OFF", "PRAGMA journal_mode = DELETE", "PRAGMA max_page_count = 1", "PRAGMA table_list",
		"PRAGMA temp_store_directory = '"+dir+"'", "EXPLAIN SELECT * FROM log", "EXPLAIN QUERY PLAN SELECT * FROM posts", "REINDEX", "ANALYZE", "ANALYZE log", "pragma/**/table_list")
	add(denied, "SELECT * FROM pragma_table_list", "SELECT * FROM pragma_table_info('log')", "SELECT * FROM pragma_database_list()", "SELECT * FROM pragma_function_list", "SELECT * FROM pragma_module_list",
		"SELECT name FROM sqlite_master", "SELECT name FROM sqlite_schema", "SELECT * FROM main.sqlite_master", "SELECT * FROM sqlite_temp_master", "SELECT * FROM temp.sqlite_schema",
		`SELECT * FROM "sqlite_master"`, "SELECT * FROM [sqlite_master]", "SELECT * FROM `sqlite_master`", "SELECT * FROM SQLITE_MASTER", "SELECT count(*) FROM sqlite_master", "SELECT 1 WHERE EXISTS (SELECT 1 FROM sqlite_master)",
		"SELECT * FROM sqlite_sequence", "SELECT * FROM sqlite_stat1", "SELECT * FROM sqlite_stat4", "SELECT * FROM sqlite_dbpage", "SELECT * FROM dbstat", "SELECT * FROM bytecode('SELECT 1')", "SELECT * FROM tables_used('SELECT 1')", "SELECT * FROM sqlite_stmt",
		"SELECT * FROM _odac_secret", "SELECT what FROM main._odac_secret", "WITH _odac_trash_x AS (SELECT * FROM _odac_secret) SELECT * FROM _odac_trash_x", "SELECT * FROM odac_buffer_ledger", "SELECT * FROM odac_buffer_dead")
	add(refused, "UPDATE sqlite_schema SET sql = 'x'", "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, 'x')", "DELETE FROM sqlite_master", "DELETE FROM sqlite_sequence", "INSERT INTO _odac_secret (what) VALUES ('x')", "UPDATE _odac_secret SET what = 'x'", "DELETE FROM _odac_secret",
		"SELECT sqlite_version()", "SELECT sqlite_source_id()", "SELECT sqlite_compileoption_get(1)", "SELECT changes()", "SELECT total_changes()", "SELECT last_insert_rowid()", "SELECT odac_decimal_sum('1', 0)", "SELECT sqlite_rename_table('main')")
	add(invalid, "CREATE TABLE x (a)", "CREATE TEMP TABLE x AS SELECT * FROM log", "CREATE TABLE posts2 AS SELECT * FROM posts", "CREATE VIEW x AS SELECT * FROM log", "CREATE TEMP VIEW posts AS SELECT * FROM log",
		"CREATE TRIGGER x AFTER INSERT ON posts BEGIN DELETE FROM log; END", "CREATE TEMP TRIGGER x AFTER INSERT ON posts BEGIN DELETE FROM log; END", "CREATE INDEX x ON posts (title)", "CREATE VIRTUAL TABLE x USING fts5(a)",
		"CREATE VIRTUAL TABLE x USING rtree(a, b, c)", "CREATE VIRTUAL TABLE x USING json_each", "DROP TABLE log", "DROP TABLE posts", "DROP VIEW live_posts", "DROP TRIGGER posts_log", "ALTER TABLE posts ADD COLUMN x", "ALTER TABLE log RENAME TO posts3",
		"WITH a AS (SELECT 1) CREATE TABLE x AS SELECT * FROM a", "WITH a AS (SELECT 1) DROP TABLE posts")

	// The transaction.
	add(invalid, "BEGIN", "BEGIN EXCLUSIVE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT odac", "RELEASE odac", "ROLLBACK TO odac", "RELEASE odac_1", "begin immediate", "/**/COMMIT", "-- x\nROLLBACK", "(COMMIT)")

	// Rows of tables that were not granted.
	add(denied, "SELECT * FROM log", "SELECT * FROM LOG", "SELECT * FROM main.log", `SELECT * FROM "log"`, "SELECT * FROM [log]", "SELECT * FROM `log`", "SELECT what FROM log AS posts", "SELECT count(*) FROM log", "SELECT 1 FROM log", "SELECT rowid FROM log",
		"SELECT posts.id, log.what FROM posts, log", "SELECT * FROM posts JOIN log ON 1", "SELECT * FROM posts LEFT JOIN log ON 0", "SELECT * FROM posts NATURAL JOIN log", "SELECT (SELECT what FROM log)", "SELECT id FROM posts WHERE EXISTS (SELECT 1 FROM log)", "SELECT id FROM posts WHERE id IN (SELECT what FROM log)",
		"SELECT id FROM posts WHERE id IN log", "SELECT * FROM (SELECT what FROM log)", "SELECT * FROM (SELECT what FROM log) AS live_posts", "SELECT id FROM posts UNION SELECT what FROM log", "SELECT id FROM posts UNION ALL SELECT what FROM log", "SELECT id FROM posts EXCEPT SELECT what FROM log", "SELECT id FROM posts INTERSECT SELECT what FROM log",
		"WITH x AS (SELECT what FROM log) SELECT * FROM x", "WITH posts AS (SELECT what AS title FROM log) SELECT * FROM posts", "WITH live_posts AS (SELECT * FROM log) SELECT * FROM live_posts", "WITH posts_log AS (SELECT what FROM log) SELECT * FROM posts_log",
		"WITH live_posts AS MATERIALIZED (SELECT * FROM log) SELECT * FROM live_posts", "wItH posts_log(a) AS (SELECT what FROM log) SELECT a FROM posts_log", "SELECT * FROM (WITH live_posts AS (SELECT what FROM log) SELECT * FROM live_posts)", "WITH RECURSIVE r(a) AS (SELECT 1 UNION ALL SELECT what FROM log) SELECT * FROM r",
		"SELECT id FROM posts ORDER BY (SELECT what FROM log)", "SELECT id FROM posts GROUP BY (SELECT what FROM log)", "SELECT count(*) FROM posts HAVING (SELECT count(*) FROM log)", "SELECT id FROM posts LIMIT (SELECT count(*) FROM log)", "SELECT id FROM posts LIMIT 1 OFFSET (SELECT 1 FROM log)",
		"SELECT row_number() OVER (PARTITION BY (SELECT what FROM log)) FROM posts", "SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM log)) FROM posts", "SELECT CASE WHEN (SELECT what FROM log) LIKE 'c%' THEN 1 END", "VALUES ((SELECT what FROM log))", "SELECT group_concat((SELECT what FROM log)) FROM posts",
		"SELECT * FROM json_each((SELECT what FROM log))", "SELECT t FROM everything", "SELECT * FROM posts, everything", "SELECT nope FROM log", "SELECT what FROM no_such_table", "SELECT log.nope FROM posts, log", "SELECT * FROM log WHERE nope(", "SELECT * FROM ｌｏｇ", "SELECT * FROM main.\"log\" NOT INDEXED")
	add(denied, "INSERT INTO posts (id, title, created_at, updated_at) SELECT what, what, 1, 1 FROM log", "INSERT INTO posts (id, title, created_at, updated_at) VALUES ('x', (SELECT what FROM log), 1, 1)", "UPDATE posts SET title = (SELECT what FROM log)", "UPDATE posts SET title = what FROM log", "UPDATE posts SET title = 'x' WHERE EXISTS (SELECT 1 FROM log)",
		"DELETE FROM posts WHERE id IN (SELECT what FROM log)", "INSERT INTO posts (id, title, created_at, updated_at) VALUES ('p0', 'x', 1, 1) ON CONFLICT (id) DO UPDATE SET title = (SELECT what FROM log)", "INSERT INTO posts (id, title, created_at, updated_at) VALUES ('x', 'x', 1, 1) RETURNING (SELECT what FROM log)",
		"UPDATE posts SET title = title RETURNING (SELECT what FROM log)", "DELETE FROM posts RETURNING (SELECT group_concat(what) FROM log)", "WITH x AS (SELECT what FROM log) UPDATE posts SET title = (SELECT what FROM x)", "WITH posts_log AS (SELECT what FROM log) INSERT INTO posts (id, title, created_at, updated_at) SELECT what, what, 1, 1 FROM posts_log")

	// Verbs that were not granted.
	add(denied, "INSERT INTO users (name) VALUES ('x')", "UPDATE users SET name = 'x'", "DELETE FROM users", "REPLACE INTO users (id, name) VALUES (1, 'x')", "INSERT INTO log (what) VALUES ('x')", "UPDATE log SET what = 'x'", "DELETE FROM log", "WITH a AS (SELECT 1) DELETE FROM log", "UPDATE users AS posts SET name = 'x'",
		"SELECT * FROM notes", "SELECT body FROM notes", "INSERT INTO notes (id, body) VALUES (9, 'x') RETURNING *", "INSERT INTO notes (id, body) VALUES (9, 'x') RETURNING (SELECT body FROM notes WHERE id = 1)", "INSERT INTO notes (body) SELECT body FROM notes", "UPDATE notes SET body = 'x'", "DELETE FROM notes",
		"REPLACE INTO notes (id, body) VALUES (1, 'x')", "INSERT OR REPLACE INTO notes (id, body) VALUES (1, 'x')", "insert or/**/replace/**/into notes (id, body) values (1, 'x')", "INSERT OR REPLACE -- x\nINTO notes (id, body) VALUES (1, 'x')", "INSERT INTO notes (id, body) VALUES (1, 'x') ON CONFLICT DO UPDATE SET body = 'x'",
		"WITH a AS (SELECT 1) REPLACE INTO notes (id, body) VALUES (1, 'x')")
	add(refused, "INSERT INTO live_posts (title) VALUES ('x')", "DELETE FROM live_posts", "UPDATE live_posts SET title = 'x'")

	// More than one statement, and text that is read in two ways.
	add(invalid, "SELECT 1; DROP TABLE posts", "SELECT 1;;", "SELECT 1; SELECT 2", "SELECT 1 -- x\n; DELETE FROM posts", "SELECT ';'; DELETE FROM posts", "", ";", "-- nothing", "/* SELECT 1", "SELECT 'x", `SELECT "x`, "SELECT [x", "SELECT 1\x00; DROP TABLE posts", "SELECT 1 \ufeff", "\ufeffSELECT * FROM log", "SELECT '\xff'",
		"SELECT\u00a0* FROM log", "/*/ SELECT 1", "SELECT ?1", "SELECT ?, :a", "SELECT @a", "SELECT $a", "SELECT :a", "SELECT ?", "SELECT 'a' 'b' 'c'", "SELECT * FROM posts WHERE title = \"no such column\"")
	add(nothing, "SELECT 1;", "SELECT 1; -- the end", "SELECT 1 /* ; DROP TABLE posts */", "SELECT '; DROP TABLE log; --'", "SELECT \"title\" FROM posts -- ' ; DELETE FROM posts", "SELECT 1 /* \" */", "SELECT '/*' || title || '*/' FROM posts")

	// Work without end.
	add(ended, "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", "WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r) SELECT max(n) FROM r",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r ORDER BY n", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT DISTINCT n % 7 FROM r", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 100000) SELECT count(*) FROM r a, r b, r c",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT randomblob(1000000) FROM r ORDER BY 1", "WITH RECURSIVE r(n) AS MATERIALIZED (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT randomblob(100000) AS b FROM r GROUP BY b", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(DISTINCT randomblob(100000)) FROM r",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT sum(n) OVER (ORDER BY n DESC) FROM r", "SELECT count(*) FROM posts a, posts b, posts c, posts d, posts e, posts f, posts g, posts h, posts i, posts j, posts k, posts l, posts m, posts n",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) UPDATE posts SET views = (SELECT count(*) FROM r)", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) DELETE FROM posts WHERE views IN (SELECT n FROM r)", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 5000) SELECT n FROM r")
	add(denied, "WITH a AS (SELECT 1) SELECT count(*) FROM generate_series(1, 1000000000000)", "WITH a AS (SELECT 1) SELECT count(*) FROM pragma_table_info('log')", "WITH a AS (SELECT 1) SELECT count(*) FROM sqlite_master, a", "WITH a AS (SELECT 1) SELECT count(*) FROM LOG, a",
		"SELECT * FROM generate_series(1, 1000000000000)", "SELECT regexp('(a+)+$', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')", "SELECT 'a' REGEXP '(a+)+$'", "SELECT json_patch('{}', '{}')", "SELECT decimal_mul('9', '9')", "SELECT base64(zeroblob(10))")
	add(refused, "SELECT 'a' MATCH 'a'", "SELECT sqlite_offset(id) FROM posts", "SELECT unhex(hex(zeroblob(1000)), hex(zeroblob(1000)))")

	// Size.
	add(large, "SELECT zeroblob(2000000000)", "SELECT zeroblob(5000000)", "SELECT randomblob(1000000000)", "SELECT hex(zeroblob(3000000))", "SELECT replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000000)))", "SELECT printf('%.*c', 5000000, 'x')", "SELECT printf('%5000000d', 1)", "SELECT quote(zeroblob(3000000))",
		"WITH RECURSIVE r(s) AS (SELECT 'aa' UNION ALL SELECT s || s FROM r) SELECT length(s) FROM r", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 100) SELECT length(group_concat(hex(zeroblob(100000)))) FROM r", "SELECT concat(zeroblob(3000000), zeroblob(3000000))",
		"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 100) SELECT length(json_group_array(hex(zeroblob(100000)))) FROM r", "INSERT INTO posts (id, title, body, created_at, updated_at) VALUES ('x', 'x', zeroblob(5000000), 1, 1)", "SELECT '"+strings.Repeat("x", maxText)+"'")
	add([]abi.Errno{abi.ErrnoLimit}, "SELECT hex(zeroblob(1000000))", "SELECT zeroblob(4000000)")

	// Depth and width.
	add(invalid, "SELECT "+strings.Repeat("1 + ", 1000)+"1", "SELECT "+strings.Repeat("NOT ", 2000)+"1", "SELECT "+strings.Repeat("- ", 2000)+"1", "SELECT "+strings.Repeat("abs(", 500)+"1"+strings.Repeat(")", 500), "SELECT "+strings.Repeat("1, ", 100)+"1", strings.Repeat("SELECT 1 UNION ALL ", 20)+"SELECT 1",
		"SELECT id FROM posts ORDER BY "+strings.Repeat("title, ", 200)+"id", "SELECT id FROM posts WHERE "+strings.Repeat("id = 'x' OR ", 300)+"1", "SELECT concat("+strings.Repeat("1, ", 20)+"1)", "SELECT id FROM posts WHERE title LIKE '%"+strings.Repeat("a%", 40)+"'",
		"SELECT id FROM posts WHERE title GLOB '"+strings.Repeat("[a-z]", 20)+"'", "SELECT json('"+strings.Repeat("[", 3000)+"')", "SELECT abs(-9223372036854775807 - 1)", "SELECT sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)", "SELECT json_extract('{}', 'x')")
	list = append(list, attempt{sql: "SELECT " + strings.Repeat("?, ", 120) + "?", args: make([]any, 121), want: invalid})

	// What takes long in SQLite itself, within one instruction: it must be fast instead.
	add(nothing, "WITH RECURSIVE r(n, s) AS (SELECT 1, 'a' UNION ALL SELECT n + 1, s || s FROM r WHERE n < 21) SELECT count(*) FROM r a, r b, r c WHERE a.s LIKE '%b%b%b%b%b%' OR b.s GLOB '*b*b*b*'",
		"SELECT instr(hex(zeroblob(1900000)), hex(zeroblob(900000)) || '1')", "SELECT length(replace(hex(zeroblob(1900000)), hex(zeroblob(900000)) || '1', 'x'))", "SELECT length(trim(hex(zeroblob(1900000)) || '1', hex(randomblob(1900000))))", "SELECT length(rtrim(hex(zeroblob(1900000)), replace(hex(zeroblob(1900000)), '0', '1')))",
		"SELECT hex(zeroblob(1900000)) LIKE '%1%1%1%1%1%1%1%1%1%1%1%1%'", "SELECT hex(zeroblob(1900000)) GLOB '*0*0*0*0*0*0*0*0*0*0*0*0*0*0*0*1'", "SELECT hex(zeroblob(1900000)) = hex(zeroblob(1900000)) COLLATE odac_decimal", "SELECT count(*) FROM json_each('[' || replace(hex(zeroblob(100000)), '0', '0,') || '0]')",
		"SELECT length(strftime(replace(hex(zeroblob(100000)), '00', '%Y')))", "SELECT 9223372036854775807 + 1, 1 / 0, 1 % 0, -9223372036854775808 / -1, 1 << 64, 1e308 * 10", "SELECT count(*) FROM live_posts",
		"SELECT "+strings.Repeat("(", 2000)+"1"+strings.Repeat(")", 2000), strings.Repeat("SELECT * FROM (", 50)+"SELECT 1"+strings.Repeat(")", 50))
	return list
}
