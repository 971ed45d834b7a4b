package database

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// house is a server with the tenants red and blue, each with tables notes and secrets, and red's plugin blog, which may select and insert notes.
type house struct {
	*Tenancy
	red, blue, blog *DB
}

var blogGrants = map[string][]abi.Verb{"notes": {abi.VerbSelect, abi.VerbInsert}, "missing": {abi.VerbSelect}, "_odac_secret": {abi.VerbSelect}}

func newHouse(t *testing.T, f fixture) *house {
	t.Helper()
	return newHouseOf(t, f.config(t))
}

func newHouseOf(t *testing.T, cfg Config) *house {
	t.Helper()
	tenancy, err := NewTenancy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Tenancy: tenancy}
	for _, tenant := range []string{"red", "blue"} {
		t.Cleanup(func() { // the server is other tests' too
			if err := tenancy.Remove(context.Background(), tenant, "default"); err != nil {
				t.Error(err)
			}
		})
		for range 2 { // the second changes nothing
			if err := tenancy.Add(t.Context(), tenant, "default", "password-of-"+tenant); err != nil {
				t.Fatal(err)
			}
		}
		db, err := Open(t.Context(), tenancy.Owner(tenant, "default", "password-of-"+tenant))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		key := map[string]string{typePostgres: "bigserial", typeMySQL: "bigint AUTO_INCREMENT"}[db.cfg.Type]
		ddl(t, db, "CREATE TABLE notes (id "+key+" PRIMARY KEY, body varchar(100));\nCREATE TABLE secrets (id int PRIMARY KEY, body varchar(100));\nCREATE TABLE _odac_secret (id int PRIMARY KEY);\nINSERT INTO secrets VALUES (1, 'hidden "+tenant+"')")
		if tenant == "red" {
			h.red = db
		} else {
			h.blue = db
		}
	}
	h.grant(t, blogGrants)
	if h.blog, err = h.red.As(tenancy.Role("red", "default", "blog"), "password-of-blog", 2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.blog.Close() })
	return h
}

func (h *house) grant(t *testing.T, tables map[string][]abi.Verb) {
	t.Helper()
	access := map[string]TableAccess{}
	for table, verbs := range tables {
		access[table] = TableAccess{Verbs: verbs}
	}
	for range 2 {
		if err := h.Grant(t.Context(), "red", "default", "blog", "password-of-blog", access, h.red.Catalog()); err != nil {
			t.Fatal(err)
		}
	}
}

// A plugin's role does what it was granted, after each change of the grants, and nothing after they are revoked.
func TestTenancyGrants(t *testing.T) { onServerEngines(t, testTenancyGrants) }

func testTenancyGrants(t *testing.T, f fixture) {
	cfg := f.config(t)
	if f.name == "postgres" { // by no superuser
		db := f.open(t, func(c *Config) { *c = cfg })
		name := "admin_" + db.cfg.Database
		ddl(t, db, "CREATE ROLE "+name+" LOGIN CREATEROLE PASSWORD 'admin'; ALTER DATABASE "+db.cfg.Database+" OWNER TO "+name)
		cfg = db.cfg
		cfg.URL, cfg.User, cfg.Password, cfg.Schema = "", name, "admin", ""
	}
	h := newHouseOf(t, cfg)
	note, all := insert("notes", "body", "x"), &abi.Query{Table: "notes", Columns: []abi.Column{{Name: "body"}}}
	change := update("notes", where(cond(abi.CondEq, "id", 1)), "body", "y")
	remove := &abi.Query{Verb: abi.VerbDelete, Table: "notes", Where: where(cond(abi.CondEq, "id", 1))}
	attempts := map[string]*abi.Query{"select": all, "insert": note, "update": change, "delete": remove, "secrets": {Table: "secrets"}}
	may := func(want ...string) {
		t.Helper()
		for name, q := range attempts {
			wanted := abi.ErrnoDenied
			for _, w := range want {
				if w == name {
					wanted = abi.ErrnoOK
				}
			}
			if _, err := query(h.blog, q); errnoOf(err) != wanted {
				t.Errorf("%s with %v granted: %v", name, want, err)
			}
		}
	}
	if r := must(t, h.blog, note); r.LastID != abi.Int(1) {
		t.Errorf("the key is %v", r.LastID)
	}
	may("select", "insert")
	if at, err := h.red.Target().Applied(t.Context(), "n", buffer.Lane{Conn: "default", Table: "notes"}); err != nil || at != 0 {
		t.Errorf("the owner's ledger: %d, %v", at, err)
	}
	tx := begin(t, h.blog, false)
	if _, err := query(tx, change); errnoOf(err) != abi.ErrnoDenied {
		t.Error(err)
	}
	must(t, tx, note) // a denied statement leaves the transaction open
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	h.grant(t, map[string][]abi.Verb{"notes": {abi.VerbInsert}})
	if r := must(t, h.blog, note); r.LastID.IsNull() {
		t.Error("no key for who may insert only")
	}
	if f.name != "postgres" { // where the key that is made may be read
		may("insert")
	}
	h.grant(t, map[string][]abi.Verb{"notes": {abi.VerbUpdate, abi.VerbDelete}})
	may("select", "update", "delete") // finding a row is reading it
	h.grant(t, map[string][]abi.Verb{"secrets": {abi.VerbSelect}})
	may("secrets")
	h.grant(t, nil)
	may()
	for range 2 {
		if err := h.Revoke(t.Context(), "red", "default", "blog"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := query(h.blog, all); errnoOf(err) != abi.ErrnoUnavailable && errnoOf(err) != abi.ErrnoDenied {
		t.Errorf("a role that was revoked: %v", err)
	}
	h.grant(t, blogGrants)
	must(t, h.blog, note)
	// Another password opens nothing, and a tenant that is added again has the new one.
	wrong := h.Owner("red", "default", "wrong")
	if db, err := Open(t.Context(), wrong); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("opened with a wrong password: %v", err)
		_ = db.Close()
	}
	for range 2 {
		if err := h.Remove(t.Context(), "red", "default"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := query(h.blog, all); err == nil {
		t.Error("the tenant is gone, and its plugin reads on")
	}
	if _, err := query(h.blue, &abi.Query{Table: "secrets"}); err != nil {
		t.Errorf("the other tenant: %v", err)
	}
}

// What a plugin of red tries with SQL of its own, and as red's owner, on the way to blue, to the server's files and to other roles. All fail.
var attempts = map[string][]string{
	typePostgres: {
		`SELECT * FROM "odac_blue_default".secrets`, `INSERT INTO "odac_blue_default".notes (body) VALUES ('x')`, `DELETE FROM "odac_blue_default".notes`,
		`CREATE TABLE "odac_blue_default".x (a int)`, `CREATE TABLE public.x (a int)`, `CREATE SCHEMA mine`, `CREATE TEMP TABLE notes (a int)`, `SELECT 1 AS a INTO TEMP x`,
		`SET ROLE postgres`, `SET ROLE odac_blue_default`, `SET SESSION AUTHORIZATION postgres`, `SELECT set_config('role', 'odac_blue_default', false)`,
		`SELECT set_config('role', 'postgres', false)`, `GRANT odac_blue_default TO CURRENT_USER`, `ALTER ROLE CURRENT_USER SUPERUSER`, `CREATE ROLE mine LOGIN`,
		`ALTER ROLE postgres PASSWORD 'x'`, `ALTER ROLE CURRENT_USER BYPASSRLS`, `DROP ROLE odac_blue_default`, `DROP SCHEMA odac_blue_default CASCADE`,
		`COPY notes TO PROGRAM 'true'`, `COPY notes FROM PROGRAM 'echo x'`, `COPY notes TO '/tmp/odac-out'`, `COPY notes FROM '/etc/passwd'`,
		`SELECT pg_read_file('/etc/passwd')`, `SELECT pg_read_binary_file('/etc/passwd')`, `SELECT pg_ls_dir('.')`, `SELECT pg_stat_file('/etc/passwd')`, `SELECT lo_import('/etc/passwd')`,
		`SELECT lo_export(1, '/tmp/x')`, `SELECT lo_create(0)`, `SELECT lo_creat(1)`, `SELECT lo_from_bytea(0, 'x')`, `CREATE EXTENSION dblink`, `CREATE EXTENSION postgres_fdw`,
		`CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'system'`, `CREATE LANGUAGE plpython3u`, `CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw`,
		`ALTER SYSTEM SET fsync = off`, `SELECT pg_reload_conf()`, `SELECT pg_rotate_logfile()`, `SET log_statement = 'none'`, `SET session_preload_libraries = 'x'`, `LOAD '/tmp/x.so'`,
		`SELECT pg_sleep(0)`, `SELECT pg_notify('a', 'b')`, `CREATE DATABASE x`, `DROP DATABASE postgres`,
		`SELECT * FROM pg_authid`, `SELECT rolpassword FROM pg_authid`, `SELECT * FROM pg_shadow`, `SELECT * FROM pg_hba_file_rules`, `SELECT * FROM pg_file_settings`, `SELECT * FROM pg_user_mapping`,
		`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'odac_blue_default'`, `CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()`,
		`CREATE PUBLICATION p FOR ALL TABLES`, `SELECT pg_create_physical_replication_slot('x')`, `CREATE TABLESPACE t LOCATION '/tmp'`, `UPDATE pg_class SET relname = 'x'`,
		`ALTER DATABASE postgres SET search_path = x`, `REASSIGN OWNED BY odac_blue_default TO CURRENT_USER`, `LISTEN x; SELECT 1`, `SELECT 1; SELECT 2`,
	},
	typeMySQL: {
		"SELECT * FROM odac_blue_default.secrets", "INSERT INTO odac_blue_default.notes (body) VALUES ('x')", "DELETE FROM odac_blue_default.notes",
		"CREATE TABLE odac_blue_default.x (a int)", "CREATE DATABASE x", "DROP DATABASE odac_blue_default", "USE odac_blue_default", "SELECT * FROM mysql.user",
		"SELECT * FROM mysql.global_priv", "INSERT INTO mysql.user VALUES ()", "SELECT load_file('/etc/passwd') + (SELECT 1 UNION SELECT 2)", "SELECT * FROM notes INTO OUTFILE '/tmp/odac-out'",
		"SELECT 1 INTO DUMPFILE '/tmp/odac-dump'", "LOAD DATA INFILE '/etc/passwd' INTO TABLE notes (body)", "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE notes (body)",
		"CREATE FUNCTION f RETURNS INTEGER SONAME 'x.so'", "INSTALL PLUGIN x SONAME 'x.so'", "INSTALL SONAME 'x'", "SET GLOBAL max_connections = 1", "SET GLOBAL general_log = 1",
		"FLUSH PRIVILEGES", "FLUSH TABLES", "SHUTDOWN", "CREATE USER mine", "ALTER USER root@localhost IDENTIFIED BY 'x'", "DROP USER 'odac_blue_default'",
		"GRANT ALL ON *.* TO CURRENT_USER", "GRANT SELECT ON odac_blue_default.* TO CURRENT_USER", "SET PASSWORD FOR 'odac_blue_default' = password('x')", "SET ROLE root",
		"CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h')", "CHANGE MASTER TO MASTER_HOST = 'h'", "START SLAVE", "PURGE BINARY LOGS BEFORE now()", "RESET MASTER",
		"SELECT 1; SELECT 2", "LOCK TABLES odac_blue_default.notes WRITE", "SHOW TABLES FROM odac_blue_default", "SHOW CREATE TABLE odac_blue_default.secrets",
		"RENAME TABLE odac_blue_default.notes TO odac_red_default.theirs", "CREATE DEFINER = root@localhost VIEW v AS SELECT 1", "SET SESSION sql_log_bin = 0", "SET GLOBAL local_infile = 1",
		"CREATE EVENT odac_blue_default.e ON SCHEDULE EVERY 1 SECOND DO SELECT 1", "TRUNCATE odac_blue_default.notes", "HANDLER odac_blue_default.notes OPEN", "SHOW BINARY LOGS", "BINLOG 'x'",
	},
}

// What a plugin may not do although its tenant's owner may.
var pluginAttempts = map[string][]string{
	typePostgres: {
		`SELECT * FROM secrets`, `UPDATE notes SET body = 'x'`, `DELETE FROM notes`, `TRUNCATE notes`, `DROP TABLE notes`, `ALTER TABLE notes ADD x int`, `CREATE TABLE x (a int)`,
		`CREATE VIEW v AS SELECT * FROM secrets`, `CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `GRANT SELECT ON secrets TO CURRENT_USER`, `SELECT * FROM _odac_secret`, `LOCK notes`,
		`COPY secrets TO STDOUT`, `SET ROLE odac_red_default`, `CREATE TRIGGER t AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION f()`, `CREATE RULE r AS ON INSERT TO notes DO ALSO DELETE FROM secrets`,
		`CREATE INDEX ON notes (body)`, `DO $$ BEGIN EXECUTE 'SELECT * FROM secrets'; END $$`, `SELECT * FROM notes FOR UPDATE`, `ALTER TABLE notes DISABLE TRIGGER ALL`, `SELECT setval('notes_id_seq', 1)`,
		`SELECT pg_advisory_lock(7236823415)`, `SELECT pg_try_advisory_lock(1)`,
	},
	typeMySQL: {
		"SELECT * FROM secrets", "UPDATE notes SET body = 'x'", "DELETE FROM notes", "TRUNCATE notes", "DROP TABLE notes", "ALTER TABLE notes ADD x int", "CREATE TABLE x (a int)",
		"CREATE VIEW v AS SELECT * FROM secrets", "CREATE FUNCTION f() RETURNS int RETURN 1", "GRANT SELECT ON secrets TO CURRENT_USER", "SELECT * FROM _odac_secret", "LOCK TABLES notes WRITE",
		"CREATE TEMPORARY TABLE x (a int)", "CREATE TRIGGER t AFTER INSERT ON notes FOR EACH ROW DELETE FROM secrets", "CREATE INDEX i ON notes (body)", "REPLACE INTO notes (id) VALUES (1)",
		"INSERT INTO notes (id) VALUES (1) ON DUPLICATE KEY UPDATE body = 'x'", "SHOW CREATE TABLE secrets", "CREATE PROCEDURE p() SELECT 1", "SELECT * FROM notes PROCEDURE ANALYSE(), secrets",
	},
}

func TestTenancyHostile(t *testing.T) { onServerEngines(t, testTenancyHostile) }

func testTenancyHostile(t *testing.T, f fixture) {
	h := newHouse(t, f)
	must(t, h.blog, insert("notes", "body", "first"))
	raw := func(db *DB) *sql.DB {
		std, err := db.SQL()
		if err != nil {
			t.Fatal(err)
		}
		return std
	}
	try := func(who string, db *sql.DB, list []string) {
		t.Helper()
		for _, text := range list {
			if got, err := rawRows(t.Context(), db, text); err == nil {
				t.Errorf("%s: %s is not refused: %s", who, text, got)
			}
		}
	}
	kind := h.red.cfg.Type
	try("plugin", raw(h.blog), attempts[kind])
	try("plugin", raw(h.blog), pluginAttempts[kind])
	try("owner", raw(h.red), attempts[kind])
	if kind == typePostgres {
		if got, err := rawRows(t.Context(), raw(h.blog), "SHOW temp_file_limit"); got != "256MB" || err != nil {
			t.Errorf("room for temporary files: %s, %v", got, err)
		}
	}
	if n := len(must(t, h.blue, &abi.Query{Table: "secrets"}).Rows); n != 1 || count(t, h.blue, "notes") != 0 {
		t.Error("blue was reached")
	}
	if count(t, h.red, "notes") != 1 {
		t.Error("red's notes changed")
	}
}

func rawRows(ctx context.Context, db *sql.DB, text string) (string, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	rows, err := conn.QueryContext(ctx, text)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var out []string
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	for rows.Next() {
		row := make([]any, len(columns))
		for i := range row {
			row[i] = new(any)
		}
		if err := rows.Scan(row...); err != nil {
			return "", err
		}
		for _, v := range row {
			if b, ok := (*v.(*any)).([]byte); ok {
				out = append(out, string(b))
				continue
			}
			out = append(out, fmt.Sprint(*v.(*any)))
		}
	}
	return strings.Join(out, " "), rows.Err()
}

func TestIdentifier(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{[]string{"red", "default"}, "odac_red_default"},
		{[]string{"a-b", "c"}, "odac_a-b_c"},
		{[]string{strings.Repeat("x", 40), "default"}, "odac_" + strings.Repeat("x", 10)},
		{[]string{"red", `x"y'z`}, "odac_red_x-y-z_"},
		{[]string{"red", "x_y"}, "odac_red_x_y_"},
	} {
		got := identifier(32, c.parts...)
		if !strings.HasPrefix(got, c.want) || len(got) > 32 || identifier(32, append(c.parts, "")...) == got {
			t.Errorf("%v: %s", c.parts, got)
		}
	}
}
