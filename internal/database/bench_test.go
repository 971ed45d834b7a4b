package database

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

// The benchmarks stand beside the same statement through the driver's native API, on the same file: their ratio is what this package costs.

func benchDB(b *testing.B) (*DB, *sqlite3.Conn) {
	db := newDB(b)
	columns := []string{"id INTEGER PRIMARY KEY"}
	for i := range 9 {
		columns = append(columns, fmt.Sprintf("c%d %s", i, []string{"TEXT", "BIGINT", "DOUBLE"}[i%3]))
	}
	std, err := db.SQL()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := std.Exec("CREATE TABLE wide (" + strings.Join(columns, ", ") + ")"); err != nil {
		b.Fatal(err)
	}
	if err := db.Reload(context.Background(), nil); err != nil {
		b.Fatal(err)
	}
	q := &abi.Query{Verb: abi.VerbInsert, Table: "wide"}
	for i := range 9 {
		q.Fields = append(q.Fields, fmt.Sprintf("c%d", i))
	}
	for i := range 1000 {
		row := abi.Values{}
		for j := range 9 {
			row = append(row, []abi.Value{abi.Text(fmt.Sprintf("text number %d", i)), abi.Int(int64(i) * 1e6), abi.Float(float64(i) / 3)}[j%3])
		}
		q.Rows = append(q.Rows, row)
	}
	must(b, db, q)
	native, err := sqlite3.Open(db.engine.(*sqlite).dsn(""))
	if err != nil {
		b.Fatal(err)
	}
	if err := native.Exec("PRAGMA synchronous=FULL"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = native.Close() })
	return db, native
}

// readAll steps through a native statement and touches each value, as the least that a program does.
func readAll(st *sqlite3.Stmt) (sum int64) {
	for st.Step() {
		for i := range st.ColumnCount() {
			switch st.ColumnType(i) {
			case sqlite3.INTEGER:
				sum += st.ColumnInt64(i)
			case sqlite3.FLOAT:
				sum += int64(st.ColumnFloat(i))
			case sqlite3.TEXT:
				sum += int64(len(st.ColumnRawText(i)))
			}
		}
	}
	return sum
}

func BenchmarkPoint(b *testing.B) {
	db, native := benchDB(b)
	b.Run("query", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		q := &abi.Query{Table: "wide", Columns: []abi.Column{{Name: "c0"}, {Name: "c1"}}, Where: where(cond(abi.CondEq, "id", 500))}
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			var err error
			if buf, err = db.Query(ctx, q, Budget{}, buf[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("native", func(b *testing.B) {
		st, _, err := native.Prepare("SELECT c0, c1 FROM wide WHERE id = ?")
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		b.ReportAllocs()
		for b.Loop() {
			if err := st.BindInt64(1, 500); err != nil {
				b.Fatal(err)
			}
			readAll(st)
			if err := st.Reset(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRows1000(b *testing.B) {
	db, native := benchDB(b)
	b.Run("query", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		q := &abi.Query{Table: "wide"}
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			var err error
			if buf, err = db.Query(ctx, q, Budget{}, buf[:0]); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(buf)))
	})
	b.Run("native", func(b *testing.B) {
		st, _, err := native.Prepare("SELECT * FROM wide")
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		b.ReportAllocs()
		for b.Loop() {
			readAll(st)
			if err := st.Reset(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkInsert(b *testing.B) {
	for _, rows := range []int{1, 1000} {
		db, native := benchDB(b)
		b.Run(fmt.Sprintf("query-%d", rows), func(b *testing.B) {
			q := &abi.Query{Verb: abi.VerbInsert, Table: "wide", Fields: []string{"c0", "c1", "c2"}}
			for i := range rows {
				q.Rows = append(q.Rows, abi.Values{abi.Text("some text"), abi.Int(int64(i)), abi.Float(1.5)})
			}
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = db.Query(context.Background(), q, Budget{}, buf[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("native-%d", rows), func(b *testing.B) {
			st, _, err := native.Prepare("INSERT INTO wide (c0, c1, c2) VALUES (?, ?, ?)")
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			b.ReportAllocs()
			for b.Loop() {
				if rows > 1 {
					if err := native.Exec("BEGIN IMMEDIATE"); err != nil {
						b.Fatal(err)
					}
				}
				for i := range rows {
					_ = st.BindText(1, "some text")
					_ = st.BindInt64(2, int64(i))
					_ = st.BindFloat(3, 1.5)
					if err := st.Exec(); err != nil {
						b.Fatal(err)
					}
				}
				if rows > 1 {
					if err := native.Exec("COMMIT"); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkNanoid(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newNanoid(21)
	}
}
