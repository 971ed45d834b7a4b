package migrate

import (
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/odac-run/odachost/internal/testkit"
)

var pgSchemas atomic.Int64

// pgSchema makes an empty schema in the database behind url and returns the URL of it.
func pgSchema(url string) (string, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return "", err
	}
	defer db.Close()
	name := fmt.Sprintf("s%d", pgSchemas.Add(1))
	_, err = db.Exec("CREATE SCHEMA " + name)
	return url + "&search_path=" + name, err
}

// pgDump prints all that a schema holds: definitions, what the catalog's rows are, and the rows of its tables.
func pgDump(db *sql.DB) func() (string, error) {
	return func() (string, error) {
		var text string
		err := db.QueryRow(`SELECT (SELECT string_agg(c.oid || ' ' || c.xmin || ' ' || c.relname || ' ' || c.relfilenode, E'\n' ORDER BY c.oid) FROM pg_class c
			WHERE relnamespace = current_schema()::regnamespace) || E'\n' || schema_to_xml(current_schema()::text, true, false, '')`).Scan(&text)
		if err != nil { // an empty schema has neither
			return "", db.Ping()
		}
		return text, nil
	}
}

// pgOpen opens an empty schema of the test's own.
func pgOpen(t testing.TB) (*sql.DB, string) {
	t.Helper()
	url, err := pgSchema(testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	return pgConnect(t, url), url
}

func pgConnect(t testing.TB, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestPostgresScripts runs the cases of MIGRATIONS.md on PostgreSQL.
func TestPostgresScripts(t *testing.T) {
	url := testkit.Postgres(t)
	runScripts(t, scriptServer{folder: "testdata/postgres", empty: func(string) (*sql.DB, func() (string, error), error) {
		own, err := pgSchema(url)
		if err != nil {
			return nil, nil, err
		}
		db, err := sql.Open("pgx", own+"&default_query_exec_mode=exec")
		return db, pgDump(db), err
	}})
}

func TestPostgresGenerated(t *testing.T) {
	url := testkit.Postgres(t)
	testGenerated(t, flavour{
		open: func(t *testing.T) *sql.DB {
			own, err := pgSchema(url)
			if err != nil {
				t.Fatal(err)
			}
			return pgConnect(t, own+"&default_query_exec_mode=exec")
		},
		rounds:  40,
		tables:  "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename ~ '^[te]'",
		columns: "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0 AND NOT attisdropped",
		show:    "COALESCE(quote_literal(%s::text), 'NULL')",
		binary:  []string{"'\\x00ff'", "''"},
		json:    "jsonb",
	})
}

func BenchmarkPostgresPlan500(b *testing.B) {
	db, _ := pgOpen(b)
	benchmarkPlan500(b, db)
}
