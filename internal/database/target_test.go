package database

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/buffer/buffertest"
)

// targetSchemas are the tables of the conformance suite. %s is where columns c01 to c20 belong.
var targetSchemas = map[string]string{
	typeSQLite: `
		CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL CHECK (length(title) <= 100), n BIGINT, note TEXT, data BLOB%s);
		CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT NOT NULL)`,
	typePostgres: `
		CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL CHECK (length(title) <= 100), n BIGINT, note TEXT, data BYTEA%s);
		CREATE TABLE events (id BIGSERIAL PRIMARY KEY, note TEXT NOT NULL)`,
	typeMySQL: `
		CREATE TABLE items (id VARCHAR(190) COLLATE utf8mb4_bin PRIMARY KEY NOT NULL, title TEXT NOT NULL CHECK (char_length(title) <= 100), n BIGINT, note TEXT, data BLOB%s);
		CREATE TABLE events (id BIGINT AUTO_INCREMENT PRIMARY KEY, note TEXT NOT NULL)`,
}

func TestTarget(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) { testTarget(t, f) })
	}
}

func testTarget(t *testing.T, f fixture) {
	buffertest.TestTarget(t, func(t *testing.T) buffertest.Fixture {
		db := f.open(t)
		columns := ""
		for i := range 20 {
			columns += fmt.Sprintf(", c%02d BIGINT", i+1)
		}
		ddl(t, db, fmt.Sprintf(targetSchemas[db.cfg.Type], columns))
		return buffertest.Fixture{
			Target: db.Target(), Tenant: "t", Conn: "default",
			Row: func(_ context.Context, id string, columns ...string) ([]buffer.Value, error) {
				q := &abi.Query{Table: "items", Where: where(cond(abi.CondEq, "id", id))}
				for _, name := range columns {
					q.Columns = append(q.Columns, abi.Column{Name: name})
				}
				result, err := query(db, q)
				if err != nil || len(result.Rows) == 0 {
					return nil, err
				}
				var row []buffer.Value
				for _, v := range result.Rows[0] {
					row = append(row, toBuffer(v))
				}
				return row, nil
			},
			Count: func(_ context.Context, table string) (int, error) {
				result, err := query(db, &abi.Query{Table: table, Columns: []abi.Column{{Func: "count"}}})
				if err != nil {
					return 0, err
				}
				return int(result.Rows[0][0].AsInt()), nil
			},
		}
	})
}

func toBuffer(v abi.Value) buffer.Value {
	switch v.Kind() {
	case abi.KindInt:
		return buffer.Int(v.AsInt())
	case abi.KindText:
		return buffer.Text(v.AsText())
	case abi.KindBytes:
		return buffer.Bytes([]byte(v.AsText()))
	}
	return buffer.Null()
}

// A trigger that rolls back and a foreign key that is checked at commit refuse more than the row: the rest of the batch is applied all the same.
func TestTargetLosesTransaction(t *testing.T) {
	onEngines(t, func(t *testing.T, db *DB) {
		if is(db, typeSQLite) || is(db, typePostgres) { // MySQL defers nothing
			testTargetLosesTransaction(t, db)
		}
	})
}

func testTargetLosesTransaction(t *testing.T, db *DB) {
	ddl(t, db, `
		CREATE TABLE parents (id INTEGER PRIMARY KEY);
		CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
		INSERT INTO parents VALUES (1);`+map[string]string{
		typeSQLite: `CREATE TRIGGER refuse BEFORE INSERT ON children WHEN new.id = 3 BEGIN SELECT RAISE(ROLLBACK, 'never 3'); END;`,
		typePostgres: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never 3'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON children FOR EACH ROW WHEN (new.id = 3) EXECUTE FUNCTION refuse()`,
	}[db.cfg.Type])
	target, lane := db.Target(), buffer.Lane{Conn: "default", Table: "children"} // the catalog is old: the target reads it again
	if _, err := target.Applied(t.Context(), "n", lane); err != nil {
		t.Fatal(err)
	}
	batch := &buffer.Batch{Node: "n", Lane: lane, To: 9}
	for i, parent := range []int64{1, 99, 1, 1, 98} {
		batch.Inserts = append(batch.Inserts, buffer.Change{
			Key: []buffer.Column{{Name: "id", Value: buffer.Int(int64(i) + 1)}}, Set: []buffer.Column{{Name: "parent", Value: buffer.Int(parent)}},
			First: buffer.LSN(i + 1), Last: buffer.LSN(i + 1),
		})
	}
	result, err := target.Apply(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	var lsns []buffer.LSN
	for _, d := range result.Dead {
		lsns = append(lsns, d.First)
	}
	slices.Sort(lsns)
	if fmt.Sprint(lsns) != "[2 3 5]" || !strings.Contains(result.Dead[0].Reason, "foreign key") {
		t.Errorf("dead %v: %+v", lsns, result.Dead)
	}
	if got := table(must(t, db, &abi.Query{Table: "children", Columns: []abi.Column{{Name: "id"}}})); got != "id\n1\n4" {
		t.Error(got)
	}
	if at, err := target.Applied(t.Context(), "n", lane); err != nil || at != 9 {
		t.Errorf("applied %d, %v", at, err)
	}
}

// What the database fills is filled by a flush too, where the row lacks it.
func TestTargetFills(t *testing.T) { onEngines(t, testTargetFills) }

func testTargetFills(t *testing.T, db *DB) {
	target, lane := db.Target(), buffer.Lane{Conn: "default", Table: "posts"}
	if _, err := target.Applied(t.Context(), "n", lane); err != nil {
		t.Fatal(err)
	}
	batch := &buffer.Batch{Node: "n", Lane: lane, To: 1, Inserts: []buffer.Change{{Set: []buffer.Column{{Name: "title", Value: buffer.Text("x")}}, First: 1, Last: 1}}}
	if result, err := target.Apply(t.Context(), batch); err != nil || len(result.Dead) > 0 {
		t.Fatal(result, err)
	}
	row := must(t, db, &abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}, {Name: "created_at"}}}).Rows[0]
	if len(row[0].AsText()) != 21 || row[1].Kind() != abi.KindTime {
		t.Errorf("row %v", row)
	}
	// The reserved tables are there and out of reach.
	for _, name := range []string{buffer.LedgerTable, buffer.DeadLetterTable} {
		if _, err := query(db, &abi.Query{Table: name}); errnoOf(err) != abi.ErrnoInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
