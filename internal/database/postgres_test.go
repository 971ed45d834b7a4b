package database

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/odac-run/odachost/abi"
)

// newPostgres opens a PostgreSQL database with the schema.
func openPG(t testing.TB, change ...func(*Config)) *DB {
	return fixtures[1].newDB(t, change...)
}

// Values that only PostgreSQL has come back as they were given.
func TestPostgresValues(t *testing.T) {
	db := openPG(t)
	ddl(t, db, `
		CREATE TYPE mood AS ENUM ('sad', 'ok');
		CREATE DOMAIN small AS numeric(6,2);
		CREATE TABLE v (id bigserial PRIMARY KEY, any_number numeric, fixed numeric(6,2), dom small, m mood, si smallint, r real, f float8, ts timestamptz, dt timestamp,
			day date, clock time, ints int[], texts text[], flags bool[], moods mood[], docs jsonb[], grid int[][], iv interval, ip inet, c char(4), doc json, bin bytea,
			nums numeric[], times timestamptz[])`)
	max := time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	for _, c := range []struct {
		column   string
		in, want abi.Value
	}{
		{"any_number", abi.Decimal("12345678901234567890.123456789"), abi.Decimal("12345678901234567890.123456789")},
		{"any_number", abi.Decimal("+1.50"), abi.Decimal("1.50")},
		{"any_number", abi.Decimal("NaN"), abi.Decimal("NaN")},
		{"any_number", abi.Decimal("-Infinity"), abi.Decimal("-Infinity")},
		{"fixed", abi.Decimal("-0.005"), abi.Decimal("-0.01")},
		{"fixed", abi.Text("NaN"), abi.Decimal("NaN")},
		{"dom", abi.Int(3), abi.Decimal("3.00")},
		{"m", abi.Text("ok"), abi.Text("ok")},
		{"si", abi.Int(-32768), abi.Int(-32768)},
		{"r", abi.Float(0.5), abi.Float(0.5)},
		{"r", abi.Float(float64(float32(0.1))), abi.Float(float64(float32(0.1)))},
		{"f", abi.Float(math.Inf(-1)), abi.Float(math.Inf(-1))},
		{"f", abi.Float(math.NaN()), abi.Float(math.NaN())},
		{"ts", abi.Text("infinity"), abi.Text("infinity")},
		{"dt", abi.Text("-infinity"), abi.Text("-infinity")},
		{"day", abi.Text("infinity"), abi.Text("infinity")},
		{"day", abi.Text("-infinity"), abi.Text("-infinity")},
		{"day", abi.Text("0000-01-01"), abi.Time(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))},
		{"ts", abi.Time(max), abi.Time(max)},
		{"dt", abi.Time(time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC)), abi.Time(time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC))},
		{"clock", abi.Text("23:59:59.123456"), abi.Text("23:59:59.123456000")},
		{"ints", abi.JSON("[1, null, -3]"), abi.JSON("[1,null,-3]")},
		{"ints", abi.JSON("[]"), abi.JSON("[]")},
		{"texts", abi.JSON(`["a,b", "q\"\\", "", "NULL", "ü{}", "line\n", null]`), abi.JSON(`["a,b","q\"\\","","NULL","ü{}","line\u000a",null]`)},
		{"flags", abi.JSON("[true,false,null]"), abi.JSON("[true,false,null]")},
		{"moods", abi.JSON(`["sad","ok"]`), abi.JSON(`["sad","ok"]`)},
		{"docs", abi.JSON(`[{"a": [1]}, "x", null]`), abi.JSON(`[{"a": [1]},"x",null]`)},
		{"grid", abi.JSON("[[1,2],[3,4]]"), abi.JSON("[[1,2],[3,4]]")},
		{"nums", abi.JSON(`[1.50,"NaN"]`), abi.JSON(`[1.50,"NaN"]`)},
		{"times", abi.JSON(`["2026-01-02 03:04:05+00"]`), abi.JSON(`["2026-01-02 03:04:05+00"]`)},
		{"iv", abi.Text("1 day 02:00:00"), abi.Text("1 day 02:00:00")},
		{"ip", abi.Text("10.0.0.1"), abi.Text("10.0.0.1")},
		{"c", abi.Text("ab"), abi.Text("ab  ")},
		{"doc", abi.JSON(`{"b":1, "a":2}`), abi.JSON(`{"b":1, "a":2}`)},
		{"bin", abi.Bytes([]byte{0, 0xff, '\\', '\''}), abi.Bytes([]byte{0, 0xff, '\\', '\''})},
	} {
		r, err := query(db, insert("v", c.column, c.in))
		if err != nil {
			t.Errorf("%s of %v: %v", c.column, c.in, err)
			continue
		}
		sel := &abi.Query{Table: "v", Columns: []abi.Column{{Name: c.column}}, Where: where(cond(abi.CondEq, "id", r.LastID))}
		if got := must(t, db, sel).Rows[0][0]; got != c.want {
			t.Errorf("%s of %v: got %s %v, want %s %v", c.column, c.in, got.Kind(), got, c.want.Kind(), c.want)
		}
		if c.column == "doc" { // which has no equality
			continue
		}
		sel.Where = append(sel.Where, abi.Cond{Op: abi.CondEq, Column: c.column, Values: abi.Values{c.want}})
		if rows := must(t, db, sel).Rows; len(rows) != 1 && c.column != "r" {
			t.Errorf("%s is not found by %v", c.column, c.want)
		}
	}
	for _, c := range []struct {
		column string
		in     abi.Value
	}{
		{"m", abi.Text("angry")},
		{"si", abi.Int(32768)},
		{"dom", abi.Decimal("99999")},
		{"fixed", abi.Text("Infinity")},
		{"ts", abi.Text("NaN")},
		{"ints", abi.JSON("{}")},
		{"ints", abi.JSON(`[1,"x"]`)},
		{"grid", abi.JSON("[[1],[2,3]]")},
		{"ints", abi.JSON(`[{"a":1}]`)},
		{"ip", abi.Text("here")},
		{"doc", abi.Text("{")},
		{"texts", abi.JSON(`["a\u0000b"]`)},
	} {
		if _, err := query(db, insert("v", c.column, c.in)); errnoOf(err) != abi.ErrnoInvalid {
			t.Errorf("%s of %v: %v", c.column, c.in, err)
		}
	}
	// A number that a column cannot hold is not equal to any that it holds.
	if n := must(t, db, &abi.Query{Table: "v", Where: where(cond(abi.CondEq, "si", 1<<40))}).Rows; len(n) != 0 {
		t.Error(n)
	}
	if _, err := query(db, &abi.Query{Table: "v", Where: where(cond(abi.CondEq, "doc", abi.JSON("1")))}); errnoOf(err) != abi.ErrnoInvalid {
		t.Errorf("json has no equality: %v", err)
	}
}

// Every state of SQL becomes an errno, and none of the server's words comes through.
func TestPostgresErrnoIsTotal(t *testing.T) {
	for a := '0'; a <= 'Z'; a++ {
		for _, rest := range []string{"0000", "2000", "P014", "1000", ""} {
			code := string(a) + rest
			for _, class := range []string{"0", "2", "3", "4", "5"} {
				err := &pgconn.PgError{Code: class + code[:min(len(code), 4)], Message: "secret words", Detail: "Key (a)=(secret) already exists."}
				var got *abi.Error
				if !errors.As(postgresError(context.Background(), fmt.Errorf("wrapped: %w", err), "posts", false), &got) || got.Text == "" || strings.Contains(got.Text, "secret") {
					t.Errorf("%s: %v", err.Code, got)
				}
			}
		}
	}
	for code, want := range map[string]abi.Errno{
		"23505": abi.ErrnoConflict, "40001": abi.ErrnoRetry, "40P01": abi.ErrnoRetry, "53100": abi.ErrnoUnavailable, "53300": abi.ErrnoBusy, "57P01": abi.ErrnoUnavailable,
		"57014": abi.ErrnoTimeout, "42501": abi.ErrnoDenied, "22003": abi.ErrnoInvalid, "55P03": abi.ErrnoBusy, "XX000": abi.ErrnoInternal, "25006": abi.ErrnoUnavailable,
		"P0001": abi.ErrnoConflict, "42601": abi.ErrnoInternal, "": abi.ErrnoInternal, "42P01": abi.ErrnoRetry,
	} {
		if got := errnoOf(postgresError(context.Background(), &pgconn.PgError{Code: code}, "posts", false)); got != want {
			t.Errorf("%s: %s, want %s", code, got.Kind(), want.Kind())
		}
	}
	lost := errors.New("read: connection reset")
	if err := postgresError(context.Background(), lost, "posts", true); errnoOf(err) != abi.ErrnoUnavailable || !strings.Contains(err.Error(), "not known") {
		t.Error(err)
	}
	if err := postgresError(context.Background(), lost, "posts", false); errnoOf(err) != abi.ErrnoUnavailable || strings.Contains(err.Error(), "not known") {
		t.Error(err)
	}
}

// Tables that change under prepared statements cost no error, or one that says to try again.
func TestPostgresTablesChange(t *testing.T) {
	db := openPG(t)
	q := &abi.Query{Table: "log"}
	must(t, db, insert("log", "what", "x"))
	must(t, db, q)
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := std.ExecContext(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER TABLE log ALTER what TYPE varchar(50)") // its plan must not change its result: prepared anew
	must(t, db, q)
	exec("ALTER TABLE log DROP COLUMN what")
	if _, err := query(db, q); errnoOf(err) != abi.ErrnoRetry {
		t.Errorf("a column that went: %v", err)
	}
	if err := db.Reload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	must(t, db, q)
}

func BenchmarkPostgres(b *testing.B) {
	db := openPG(b)
	ddl(b, db, `CREATE TABLE wide (id bigserial PRIMARY KEY, c0 text, c1 bigint, c2 float8, c3 text, c4 bigint, c5 float8, c6 text, c7 bigint, c8 float8);
		INSERT INTO wide (c0, c1, c2, c3, c4, c5, c6, c7, c8) SELECT 'text number ' || i, i * 1000000, i / 3.0, 'text number ' || i, i * 1000000, i / 3.0, 'text number ' || i, i * 1000000, i / 3.0
		FROM generate_series(1, 1000) i; ANALYZE wide`)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var buf []byte
	run := func(q *abi.Query) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = db.Query(ctx, q, Budget{}, buf[:0]); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	pool := db.engine.(*postgres).pool
	b.Run("point/query", run(&abi.Query{Table: "wide", Columns: []abi.Column{{Name: "c0"}, {Name: "c1"}}, Where: where(cond(abi.CondEq, "id", 500))}))
	b.Run("point/native", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var text string
			var n int64
			if err := pool.QueryRow(ctx, "SELECT c0, c1 FROM wide WHERE id = $1", 500).Scan(&text, &n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("rows1000/query", run(&abi.Query{Table: "wide"}))
	b.Run("rows1000/native", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rows, err := pool.Query(ctx, "SELECT * FROM wide")
			if err != nil {
				b.Fatal(err)
			}
			var id, n [3]int64
			var text [3]string
			var f [3]float64
			for rows.Next() {
				if err := rows.Scan(&id[0], &text[0], &n[0], &f[0], &text[1], &n[1], &f[1], &text[2], &n[2], &f[2]); err != nil {
					b.Fatal(err)
				}
			}
			if rows.Err() != nil {
				b.Fatal(rows.Err())
			}
		}
	})
	ddl(b, db, "CREATE TABLE many (id bigserial PRIMARY KEY, a text, b bigint, c float8)")
	one := insert("many", "a", "some text", "b", 1, "c", 1.5)
	b.Run("insert/query", run(one))
	b.Run("insert/native", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var id int64
			if err := pool.QueryRow(ctx, "INSERT INTO many (a, b, c) VALUES ($1, $2, $3) RETURNING id", "some text", 1, 1.5).Scan(&id); err != nil {
				b.Fatal(err)
			}
		}
	})
	thousand := insert("many", "a", "some text", "b", 1, "c", 1.5)
	for range 999 {
		thousand.Rows = append(thousand.Rows, thousand.Rows[0])
	}
	b.Run("insert1000/query", run(thousand))
}
