package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/odac-run/odachost/abi"
)

func newMariaDB(t testing.TB, change ...func(*Config)) *DB { return fixtures[2].newDB(t, change...) }

// Every number of the server's becomes an errno, and none of its words comes through.
func TestMySQLErrnoIsTotal(t *testing.T) {
	e := &mysqlEngine{}
	for number := uint16(1000); number < 4100; number++ {
		for _, state := range []string{"HY000", "23000", "22001", "40001", "08S01", "45000", ""} {
			answer := &mysql.MySQLError{Number: number, Message: "secret words for key 'k' of column 'secret'"}
			copy(answer.SQLState[:], state)
			var got *abi.Error
			err := e.mysqlError(context.Background(), fmt.Errorf("wrapped: %w", answer), "posts", nil, false)
			if !errors.As(err, &got) || got.Text == "" || strings.Contains(got.Text, "words") {
				t.Errorf("%d %s: %v", number, state, err)
			}
			if want, ok := mysqlErrnos[number]; ok && got.Errno != want {
				t.Errorf("%d: %s, want %s", number, got.Errno.Kind(), want.Kind())
			}
		}
	}
	lost := errors.New("read: connection reset")
	if err := e.mysqlError(context.Background(), lost, "posts", nil, true); errnoOf(err) != abi.ErrnoUnavailable || !strings.Contains(err.Error(), "not known") {
		t.Error(err)
	}
}

// A row whose other key is taken is a conflict, as on the databases that can name the key.
func TestMySQLConflictOfAnotherKey(t *testing.T) {
	db := newMariaDB(t)
	ddl(t, db, "CREATE TABLE two (id BIGINT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) UNIQUE, b VARCHAR(20) UNIQUE, n INT)")
	must(t, db, insert("two", "a", "a1", "b", "b1", "n", 1))
	q := insert("two", "a", "a2", "b", "b1", "n", 2)
	q.Conflict = &abi.Conflict{Columns: []string{"a"}, Update: []string{"n"}}
	if _, err := query(db, q); errnoOf(err) != abi.ErrnoConflict || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v", err)
	}
	q.Conflict.Columns = []string{"b"}
	if r := must(t, db, q); r.Affected != 1 || !r.LastID.IsNull() {
		t.Errorf("%+v", r)
	}
	q = insert("two", "a", "a1", "b", "b9", "n", 3)
	q.Rows = append(q.Rows, abi.Values{abi.Text("a9"), abi.Text("b9"), abi.Int(4)}, abi.Values{abi.Text("a9"), abi.Text("b0"), abi.Int(5)})
	q.Conflict = &abi.Conflict{}
	if r := must(t, db, q); r.Affected != 1 || r.LastID.IsNull() {
		t.Errorf("%+v", r)
	}
	if got := table(must(t, db, &abi.Query{Table: "two", Columns: []abi.Column{{Name: "a"}, {Name: "b"}, {Name: "n"}}, Order: []abi.Order{{Column: "id"}}})); got != "a|b|n\na1|b1|2\na9|b9|4" {
		t.Error(got)
	}
}

// Values in types that only MySQL has, or has more of.
func TestMySQLValues(t *testing.T) {
	db := newMariaDB(t)
	ddl(t, db, `CREATE TABLE v (id BIGINT AUTO_INCREMENT PRIMARY KEY, u BIGINT UNSIGNED, small SMALLINT UNSIGNED, mood ENUM('sad','ok'), flags SET('a','b'), bits BIT(9),
		y YEAR, r FLOAT, d DECIMAL(65,30), vb VARBINARY(5), day DATE, t3 DATETIME(3), latin VARCHAR(20) CHARACTER SET latin1, long_clock TIME)`)
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.ExecContext(t.Context(), `INSERT INTO v (u, small, mood, flags, bits, y, r, d, vb, day, t3, latin, long_clock)
		VALUES (9223372036854775807, 65535, 'ok', 'a,b', b'100000001', 2026, 0.5, '12345678901234567890.5', x'00ff', '2026-01-02', '2026-01-02 03:04:05.678', 'é', '-30:00:00')`); err != nil {
		t.Fatal(err)
	}
	want := "u|small|mood|flags|bits|y|r|d|vb|day|t3|latin|long_clock\n" +
		"9223372036854775807|65535|ok|a,b|0x0101|2026|0.5|12345678901234567890.500000000000000000000000000000|0x00ff|2026-01-02T00:00:00Z|2026-01-02T03:04:05.678Z|é|-30:00:00"
	sel := &abi.Query{Table: "v"}
	for _, name := range strings.Split(strings.SplitN(want, "\n", 2)[0], "|") {
		sel.Columns = append(sel.Columns, abi.Column{Name: name})
	}
	if got := table(must(t, db, sel)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for column, bad := range map[string]any{"small": 65536, "mood": "angry", "u": -1} {
		if _, err := query(db, insert("v", column, bad)); errnoOf(err) != abi.ErrnoInvalid {
			t.Errorf("%s of %v: %v", column, bad, err)
		}
	}
	if r := must(t, db, &abi.Query{Table: "v", Columns: []abi.Column{{Name: "id"}}, Where: where(cond(abi.CondLike, "latin", "É"), cond(abi.CondEq, "d", abi.Decimal("12345678901234567890.5")))}); len(r.Rows) != 1 {
		t.Error("the row is not found by its values")
	}
}

func BenchmarkMariaDB(b *testing.B) {
	db := newMariaDB(b)
	ddl(b, db, `CREATE TABLE wide (id BIGINT AUTO_INCREMENT PRIMARY KEY, c0 TEXT, c1 BIGINT, c2 DOUBLE, c3 TEXT, c4 BIGINT, c5 DOUBLE, c6 TEXT, c7 BIGINT, c8 DOUBLE);
INSERT INTO wide (c0, c1, c2, c3, c4, c5, c6, c7, c8) SELECT concat('text number ', seq), seq * 1000000, seq / 3.0, concat('text number ', seq), seq * 1000000, seq / 3.0, concat('text number ', seq), seq * 1000000, seq / 3.0 FROM seq_1_to_1000;
CREATE TABLE many (id BIGINT AUTO_INCREMENT PRIMARY KEY, a TEXT, b BIGINT, c DOUBLE)`)
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
	std, err := db.SQL()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("point/query", run(&abi.Query{Table: "wide", Columns: []abi.Column{{Name: "c0"}, {Name: "c1"}}, Where: where(cond(abi.CondEq, "id", 500))}))
	b.Run("point/native", func(b *testing.B) {
		st, err := std.PrepareContext(ctx, "SELECT c0, c1 FROM wide WHERE id = ?")
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		b.ReportAllocs()
		for b.Loop() {
			var text string
			var n int64
			if err := st.QueryRowContext(ctx, 500).Scan(&text, &n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("rows1000/query", run(&abi.Query{Table: "wide"}))
	b.Run("rows1000/native", func(b *testing.B) {
		st, err := std.PrepareContext(ctx, "SELECT * FROM wide")
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		b.ReportAllocs()
		for b.Loop() {
			rows, err := st.QueryContext(ctx) //nolint:sqlclosecheck // read to its end, which closes it
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
	one := insert("many", "a", "some text", "b", 1, "c", 1.5)
	b.Run("insert/query", run(one))
	thousand := insert("many", "a", "some text", "b", 1, "c", 1.5)
	for range 999 {
		thousand.Rows = append(thousand.Rows, thousand.Rows[0])
	}
	b.Run("insert1000/query", run(thousand))
}

// What a session may take of the server's memory and disk is bounded where the server can: SQL text sets nothing, see the hostile statements.
func TestMariaDBSessionBounds(t *testing.T) {
	db := newMariaDB(t)
	e, ok := db.engine.(*mysqlEngine)
	if !ok {
		t.Fatalf("the engine is %T", db.engine)
	}
	l, err := e.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	var got string
	if err := l.text("SELECT @@max_session_mem_used", &got); err != nil || got != fmt.Sprint(maxTempBytes) {
		t.Errorf("max_session_mem_used is %s, %v", got, err)
	}
}
