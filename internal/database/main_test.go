package database

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("writer", childWriter))
}

// schema has a table of every type, and what statements reach: keys, a trigger, a view.
const schema = `
CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, email TEXT UNIQUE, age INTEGER, boss INTEGER REFERENCES users (id));
CREATE TABLE posts (
  id VARCHAR(21) PRIMARY KEY NOT NULL, author INTEGER REFERENCES users (id) ON DELETE CASCADE, title VARCHAR(100) NOT NULL,
  body TEXT, price DECIMAL_TEXT(10,2), views BIGINT NOT NULL DEFAULT 0, live BOOLEAN NOT NULL DEFAULT 0,
  created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL, CHECK (title <> 'forbidden'));
CREATE TABLE everything (
  id INTEGER PRIMARY KEY, b BOOLEAN, i BIGINT, f DOUBLE, d DECIMAL_TEXT(12,3), s VARCHAR(10), t TEXT, bin BLOB, dt DATETIME, ts TIMESTAMP,
  day DATE, clock TIME, j JSON_TEXT, u UUID_TEXT, raw);
CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT);
CREATE TRIGGER posts_log AFTER INSERT ON posts BEGIN INSERT INTO log (what) VALUES (new.id); END;
CREATE VIEW live_posts AS SELECT posts.id, title, price, users.name AS author FROM posts LEFT JOIN users ON users.id = posts.author WHERE live;
CREATE TABLE pairs (a INTEGER, b INTEGER, n INTEGER DEFAULT 0, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE _odac_secret (id INTEGER PRIMARY KEY, what TEXT);
INSERT INTO _odac_secret (what) VALUES ('hidden');
CREATE TABLE doubled (a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2));
`

var nanoids = map[string]map[string]int{"posts": {"id": 21}}

// newDB opens a database of its own with the schema.
func newDB(t testing.TB) *DB { return newDBAt(t, filepath.Join(t.TempDir(), "test.db")) }

func newDBAt(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(context.Background(), Config{Filename: path, ConnectionLimit: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := db.Catalog().Table("users"); !ok {
		if _, err := std.Exec(schema); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Reload(context.Background(), nanoids); err != nil {
		t.Fatal(err)
	}
	return db
}

type querier interface {
	Query(ctx context.Context, q *abi.Query, b Budget, dst []byte) ([]byte, error)
}

// query runs q and decodes the answer. The lists that q consists of are somebody else's afterwards, as the host's are: nothing may keep them.
func query(db querier, q *abi.Query) (abi.Result, error) {
	var result abi.Result
	lent := *q
	lent.Columns, lent.Where = slices.Clone(q.Columns), slices.Clone(q.Where)
	b, err := db.Query(context.Background(), &lent, Budget{}, nil)
	for i := range lent.Columns {
		lent.Columns[i] = abi.Column{Name: "of another query"}
	}
	for i := range lent.Where {
		lent.Where[i] = abi.Cond{Column: "of another query"}
	}
	if err != nil {
		return result, err
	}
	_, err = result.UnmarshalMsg(b)
	return result, err
}

func must(t testing.TB, db querier, q *abi.Query) abi.Result {
	t.Helper()
	result, err := query(db, q)
	if err != nil {
		t.Fatalf("%s %s: %v", q.Verb, q.Table, err)
	}
	return result
}

// insert inserts one row given as name, value, name, value.
func insert(table string, pairs ...any) *abi.Query {
	q := &abi.Query{Verb: abi.VerbInsert, Table: table, Rows: []abi.Values{{}}}
	for i := 0; i < len(pairs); i += 2 {
		q.Fields = append(q.Fields, pairs[i].(string))
		q.Rows[0] = append(q.Rows[0], value(pairs[i+1]))
	}
	return q
}

func value(x any) abi.Value {
	v, err := abi.Of(x)
	if err != nil {
		panic(err)
	}
	return v
}

func cond(op abi.CondOp, column string, values ...any) abi.Cond {
	c := abi.Cond{Op: op, Column: column}
	for _, x := range values {
		c.Values = append(c.Values, value(x))
	}
	return c
}

func where(conds ...abi.Cond) []abi.Cond { return conds }

var everyRow = where(abi.Cond{Op: abi.CondAnd})

func errnoOf(err error) abi.Errno {
	if err == nil {
		return abi.ErrnoOK
	}
	var e *abi.Error
	if errors.As(err, &e) {
		return e.Errno
	}
	return 999
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
