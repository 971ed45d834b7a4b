package database

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestConfine lets a hostile migration file try what it can.
func TestConfine(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(t.Context(), Config{Type: "sqlite", Filename: filepath.Join(dir, "a.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := std.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, query := range []string{
		"CREATE TABLE own (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT, at TEXT DEFAULT (strftime('%Y', 'now')))", "CREATE TABLE other (x TEXT)", "CREATE INDEX own_x ON own (x)",
		"CREATE TABLE _odac_schema (x TEXT)", "CREATE TABLE odac_buffer_ledger (x TEXT)", "CREATE VIEW peek AS SELECT * FROM other",
		"CREATE TABLE audited (x TEXT)", "CREATE TRIGGER audit AFTER INSERT ON audited BEGIN INSERT INTO other VALUES (new.x); END", "INSERT INTO other VALUES ('secret')",
	} {
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	release, err := db.Confine(conn, []string{"own", "audited", "peek", "_odac_schema"})
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"INSERT INTO own (x) VALUES ('a'), (upper('b'))", "UPDATE OWN SET x = (SELECT max(x) FROM own)", "DELETE FROM own WHERE id = 1",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) INSERT INTO own (x) SELECT i FROM n",
		`INSERT INTO own (x) SELECT value FROM json_each('[1,2]')`,
	} {
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	for _, query := range []string{
		"ATTACH '" + dir + "/b.db' AS b", "VACUUM INTO '" + dir + "/b.db'", "VACUUM", "PRAGMA writable_schema = 1", "PRAGMA foreign_keys = 0", "PRAGMA user_version",
		"SELECT * FROM pragma_table_list", "SELECT * FROM sqlite_schema", "UPDATE sqlite_sequence SET seq = 0", "INSERT INTO other VALUES (1)", "UPDATE own SET x = (SELECT x FROM other)",
		"SELECT count(*) FROM other", "SELECT * FROM peek", "DELETE FROM _odac_schema", "INSERT INTO odac_buffer_ledger VALUES (1)", "INSERT INTO audited VALUES (1)",
		"CREATE TABLE mine (x)", "CREATE TEMP TABLE mine (x)", "CREATE INDEX i ON own (x)", "CREATE VIEW v AS SELECT 1", "CREATE TRIGGER t AFTER INSERT ON own BEGIN SELECT 1; END",
		"CREATE VIRTUAL TABLE f USING fts5(x)", "DROP TABLE own", "ALTER TABLE own RENAME TO other2", "ALTER TABLE own ADD COLUMN y", "REINDEX", "ANALYZE",
		"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "DETACH main", "SELECT load_extension('x')", "SELECT sqlite_version()", "SELECT readfile('/etc/passwd')",
	} {
		if _, err := conn.ExecContext(t.Context(), query); err == nil {
			t.Errorf("%s: was not refused", query)
		}
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "CREATE TABLE after_all (x)"); err != nil {
		t.Error(err)
	}
	if list, err := filepath.Glob(dir + "/b.db*"); err != nil || len(list) > 0 {
		t.Errorf("files %s, error %v", strings.Join(list, " "), err)
	}
}
