package migrate

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

// mariadb opens an empty database.
func mariadb(t testing.TB) *sql.DB {
	t.Helper()
	return openMariaDB(t, testkit.MariaDB(t))
}

func openMariaDB(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// dumpMariaDB prints all that a database holds.
func dumpMariaDB(db *sql.DB) (string, error) {
	var b strings.Builder
	err := printRows(&b, db, "SHOW FULL TABLES")
	for line := range strings.Lines(b.String()) {
		name, ok := strings.CutSuffix(strings.TrimSpace(line), "|BASE TABLE")
		if err != nil || !ok {
			continue
		}
		if err = printRows(&b, db, "SHOW CREATE TABLE "+mysqlName(name)); err == nil {
			err = printRows(&b, db, "SELECT * FROM "+mysqlName(name))
		}
	}
	return b.String(), err
}

// TestScriptsMariaDB runs the cases of MIGRATIONS.md on MariaDB: testdata/mariadb/*.txtar.
func TestScriptsMariaDB(t *testing.T) {
	testkit.MariaDB(t)
	runScripts(t, scriptServer{folder: "testdata/mariadb", empty: func(string) (*sql.DB, func() (string, error), error) {
		db := mariadb(t)
		return db, func() (string, error) { return dumpMariaDB(db) }, nil
	}})
}

// TestGeneratedMariaDB is TestGenerated on MariaDB, which has no index over texts nor over some rows only.
func TestGeneratedMariaDB(t *testing.T) {
	large := func(def string) bool {
		return strings.HasPrefix(def, "type: text") || strings.HasPrefix(def, "type: json") || strings.HasPrefix(def, "type: binary")
	}
	testGenerated(t, flavour{
		open: func(t *testing.T) *sql.DB {
			return openMariaDB(t, testkit.MariaDB(t)+"?foreign_key_checks=0") // so that some rows are orphans already
		},
		rounds:  30,
		tables:  "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name NOT LIKE '\\_%%'",
		columns: "SELECT concat(column_name, ' ', column_type) FROM information_schema.columns WHERE table_schema = database() AND table_name = '%s'",
		show:    "quote(%s)",
		binary:  []string{"X'00ff'", "X''"},
		json:    "json",
		times:   []string{"'2024-01-02'", "'2024-01-02 03:04:05.000006'"},
		fix: func(columns map[string]string) {
			for name, def := range columns {
				if large(def) {
					columns[name] = strings.ReplaceAll(def, ", unique: true", "")
				}
			}
			for _, name := range []string{"c0", "c1"} {
				if strings.Contains(columns["indexes"], "where") || strings.Contains(columns["indexes"], name) && large(columns[name]) {
					delete(columns, "indexes")
				}
			}
		},
	})
}
