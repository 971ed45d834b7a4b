package odac

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/odac-run/odachost/abi"
)

var at = time.Date(1969, 1, 2, 3, 4, 5, 6, time.UTC)

func sample() Row {
	return tableOf([]string{"null", "bool", "int", "float", "text", "digits", "bytes", "decimal", "json", "time", "sqltime"},
		abi.Null(), abi.Bool(true), abi.Int(math.MaxInt64), abi.Float(2.5), abi.Text("hi"), abi.Text("42"), abi.Bytes([]byte{0xff}),
		abi.Decimal("12.50"), abi.JSON(`{"a":1}`), abi.Time(at), abi.Text("1969-01-02 03:04:05.000000006"))
}

// tableOf has one row of these values.
func tableOf(columns []string, values ...Value) Row {
	t := table{columns: columns}
	b, _ := abi.Rows{values}.MarshalMsg(nil) // never fails
	if _, err := t.read(b); err != nil {
		panic(err)
	}
	return t.list()[0]
}

func TestRowGetters(t *testing.T) {
	r := sample()
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"String int", r.String("int"), "9223372036854775807"},
		{"String null", r.String("null"), ""},
		{"String none", r.String("none"), ""},
		{"String decimal", r.String("decimal"), "12.50"},
		{"String bytes", r.String("bytes"), "\xff"},
		{"Int int", r.Int("int"), int64(math.MaxInt64)},
		{"Int bool", r.Int("bool"), int64(1)},
		{"Int digits", r.Int("digits"), int64(42)},
		{"Int float with a fraction", r.Int("float"), int64(0)},
		{"Int decimal with a fraction", r.Int("decimal"), int64(0)},
		{"Float float", r.Float("float"), 2.5},
		{"Float decimal", r.Float("decimal"), 12.5},
		{"Float text", r.Float("text"), 0.0},
		{"Bool bool", r.Bool("bool"), true},
		{"Bool text", r.Bool("text"), false},
		{"Time time", r.Time("time"), at},
		{"Time sqltime", r.Time("sqltime"), at},
		{"Time text", r.Time("text"), time.Time{}},
		{"Decimal", r.Decimal("decimal"), "12.50"},
		{"JSON", r.JSON("json"), `{"a":1}`},
		{"Bytes", string(r.Bytes("bytes")), "\xff"},
		{"IsNull null", r.IsNull("null"), true},
		{"IsNull none", r.IsNull("none"), true},
		{"IsNull int", r.IsNull("int"), false},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestRowJSON(t *testing.T) {
	got, err := json.Marshal(Rows{sample()})
	want := `[{"null":null,"bool":true,"int":9223372036854775807,"float":2.5,"text":"hi","digits":"42","bytes":"/w==","decimal":12.50,"json":{"a":1},"time":"1969-01-02T03:04:05.000000006Z","sqltime":"1969-01-02 03:04:05.000000006"}]`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	short := tableOf([]string{"a"}, abi.Int(1), abi.Int(2))
	if got, err := json.Marshal(short); err != nil || string(got) != `{"a":1}` {
		t.Errorf("%s, %v: more values than columns", got, err)
	}
}

func TestScan(t *testing.T) {
	r := record(t)
	r.answer = abi.Result{Columns: []string{"id", "name", "age", "joined_at", "other"}, Rows: []abi.Values{
		{abi.Text("a"), abi.Text("Ann"), abi.Int(30), abi.Time(at), abi.Int(1)},
		{abi.Text("b"), abi.Text("Bob"), abi.Null(), abi.Time(at), abi.Int(1)},
	}}
	var list []author
	if err := DB("authors").Scan(&list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Name != "Ann" || *list[0].Age != 30 || list[1].Age != nil || !list[1].JoinedA.Equal(at) {
		t.Errorf("%+v", list)
	}
	var one author
	if err := DB("authors").Scan(&one); err != nil || one.ID != "a" {
		t.Errorf("%+v, %v", one, err)
	}
	for want, dst := range map[string]any{
		"pointer to a struct": 7,
		"name is text":        &struct{ Name int }{},
		"age is null":         &[]struct{ Age int }{},
		"and does not fit field A": &struct {
			A int8 `db:"age"`
		}{},
	} {
		if want == "and does not fit field A" {
			r.answer.Rows[0][2] = abi.Int(300)
		}
		if err := DB("authors").Scan(dst); !IsInvalid(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	r.answer = abi.Result{}
	if err := DB("authors").Scan(&one); !IsNotFound(err) {
		t.Errorf("%v, want not found", err)
	}
}

// FuzzResult reads anything at all as a result.
func FuzzResult(f *testing.F) {
	r := abi.Result{Columns: []string{"a", "b"}, Rows: []abi.Values{{abi.Null(), abi.Bool(true)}, {abi.Int(math.MaxInt64), abi.Float(2.5)}}, Affected: 3, LastID: abi.Int(7), Cached: true}
	msg, err := r.MarshalMsg(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg)
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := decodeResult(msg)
		if err != nil {
			return
		}
		for _, row := range got.Rows {
			for _, name := range []string{"a", "b", "a"} {
				_, _, _, _, _ = row.String(name), row.Int(name), row.Float(name), row.Bool(name), row.Time(name)
				_, _, _, _ = row.Bytes(name), row.Decimal(name), row.JSON(name), row.IsNull(name)
			}
			if _, err := row.MarshalJSON(); err != nil && !strings.Contains(err.Error(), "json") {
				t.Errorf("%v", err)
			}
		}
		var t2 table
		if _, _, err := t2.result(msg); err != nil {
			t.Fatal(err)
		}
		scanAny[struct {
			A int64
			B string
		}](&t2)
		scanAny[struct {
			A float64
			B time.Time
		}](&t2)
		scanAny[struct {
			B bool
			A []byte
		}](&t2)
	})
}

// scanAny scans what may not fit, and looks at every byte of what was scanned.
func scanAny[T any](rows *table) {
	list := make([]T, rows.n)
	_ = rows.scan(reflect.TypeFor[T](), unsafe.Pointer(unsafe.SliceData(list))) // that it does not fit is well
	_ = fmt.Sprint(list)
}

// TestResultAsABI: what we read is what package abi reads.
func TestResultAsABI(t *testing.T) {
	want := abi.Result{Columns: []string{"a", "b"}, Rows: []abi.Values{{abi.Int(1), abi.Text("x")}, {abi.Null(), abi.Time(at)}}, Affected: 3, LastID: abi.Int(7), Cached: true}
	msg, err := want.MarshalMsg(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeResult(msg)
	if err != nil || got.Affected != 3 || got.LastID != abi.Int(7) || !got.Cached || len(got.Rows) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, row := range want.Rows {
		for j, v := range row {
			if got.Rows[i].nth(j) != v {
				t.Errorf("row %d column %d is %v, want %v", i, j, got.Rows[i].nth(j), v)
			}
		}
	}
}

// TestPlainTime: without it nothing is wrong, but times are scanned ten times slower.
func TestPlainTime(t *testing.T) {
	if !plainTime {
		t.Error("package time keeps instants in another way than type instant: mend it")
	}
}
