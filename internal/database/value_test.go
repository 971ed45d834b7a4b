package database

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

func TestValuesRoundTrip(t *testing.T) { onEngines(t, testValuesRoundTrip) }

func testValuesRoundTrip(t *testing.T, db *DB) {
	instant := time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.UTC)
	for _, c := range []struct {
		column string
		in     abi.Value
		want   abi.Value
	}{
		{"b", abi.Bool(true), abi.Bool(true)},
		{"b", abi.Bool(false), abi.Bool(false)},
		{"b", abi.Int(1), abi.Bool(true)},
		{"i", abi.Int(math.MaxInt64), abi.Int(math.MaxInt64)},
		{"i", abi.Int(math.MinInt64), abi.Int(math.MinInt64)},
		{"i", abi.Int(1<<53 + 1), abi.Int(1<<53 + 1)},
		{"i", abi.Decimal("9007199254740993"), abi.Int(9007199254740993)},
		{"i", abi.Float(3), abi.Int(3)},
		{"f", abi.Float(0.1), abi.Float(0.1)},
		{"f", abi.Float(2), abi.Float(2)},
		{"f", abi.Float(math.Inf(1)), abi.Float(math.Inf(1))},
		{"f", abi.Float(math.Inf(-1)), abi.Float(math.Inf(-1))},
		{"f", abi.Float(math.NaN()), abi.Null()},
		{"f", abi.Float(math.SmallestNonzeroFloat64), abi.Float(math.SmallestNonzeroFloat64)},
		{"f", abi.Int(7), abi.Float(7)},
		{"d", abi.Decimal("123456789.123"), abi.Decimal("123456789.123")},
		{"d", abi.Decimal("-0.5"), abi.Decimal("-0.500")},
		{"d", abi.Decimal("1.0005"), abi.Decimal("1.001")},
		{"d", abi.Decimal("-1.0005"), abi.Decimal("-1.001")},
		{"d", abi.Decimal("-0"), abi.Decimal("0.000")},
		{"d", abi.Decimal("00012"), abi.Decimal("12.000")},
		{"d", abi.Float(0.1 + 0.2), abi.Decimal("0.300")},
		{"d", abi.Int(5), abi.Decimal("5.000")},
		{"s", abi.Text("日本語"), abi.Text("日本語")},
		{"s", abi.Text(""), abi.Text("")},
		{"s", abi.Text("123"), abi.Text("123")},
		{"t", abi.Text("a\x00b"), abi.Text("a\x00b")},
		{"t", abi.Int(12), abi.Text("12")},
		{"bin", abi.Bytes([]byte{0, 255, 128}), abi.Bytes([]byte{0, 255, 128})},
		{"bin", abi.Bytes(nil), abi.Bytes(nil)},
		{"dt", abi.Time(instant), abi.Time(instant)},
		{"ts", abi.Time(instant.In(time.FixedZone("x", 3600))), abi.Time(instant)},
		{"ts", abi.Time(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), abi.Time(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))},
		{"ts", abi.Text("2026-02-28 23:59:59"), abi.Time(instant.Truncate(time.Second))},
		{"ts", abi.Text("2026-03-01T01:59:59.123456789+02:00"), abi.Time(instant)},
		{"day", abi.Time(instant), abi.Time(time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC))},
		{"clock", abi.Text("7:05"), abi.Value{}},
		{"clock", abi.Text("07:05"), abi.Text("07:05:00.000000000")},
		{"j", abi.JSON(`{"a":[1,null]}`), abi.JSON(`{"a":[1,null]}`)},
		{"j", abi.Text(`"x"`), abi.JSON(`"x"`)},
		{"j", abi.Bool(true), abi.JSON(`true`)},
		{"u", abi.Text("0190AbCd-0000-7000-8000-00000000000F"), abi.Text("0190abcd-0000-7000-8000-00000000000f")},
		{"raw", abi.Int(1), abi.Int(1)},
		{"raw", abi.Float(1.5), abi.Float(1.5)},
		{"raw", abi.Text("1"), abi.Text("1")},
		{"raw", abi.Bytes([]byte("1")), abi.Bytes([]byte("1"))},
		{"raw", abi.Bool(true), abi.Int(1)},
	} {
		if !is(db, typeSQLite) {
			switch {
			case c.column == "raw", c.in == abi.Text("a\x00b"): // PostgreSQL's text has no zero
				continue
			case is(db, typeMySQL) && c.in.Kind() == abi.KindFloat && (math.IsNaN(c.in.AsFloat()) || math.IsInf(c.in.AsFloat(), 0)):
				if _, err := query(db, insert("everything", c.column, c.in)); errnoOf(err) != abi.ErrnoInvalid {
					t.Errorf("%v is not refused: %v", c.in, err)
				}
				continue
			case c.in.Kind() == abi.KindFloat && math.IsNaN(c.in.AsFloat()):
				c.want = c.in
			case is(db, typePostgres) && c.want == abi.JSON(`{"a":[1,null]}`):
				c.want = abi.JSON(`{"a": [1, null]}`)
			case c.want.Kind() == abi.KindTime:
				c.want = abi.Time(c.want.AsTime().Truncate(time.Microsecond))
			case c.column == "clock" && !c.want.IsNull():
				c.want = abi.Text("07:05:00.000000000")
			}
		}
		r, err := query(db, insert("everything", c.column, c.in))
		if c.want.IsNull() && c.in.Kind() != abi.KindFloat {
			if errnoOf(err) != abi.ErrnoInvalid {
				t.Errorf("%s of %v: %v", c.column, c.in, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s of %v: %v", c.column, c.in, err)
			continue
		}
		sel := &abi.Query{Table: "everything", Columns: []abi.Column{{Name: c.column}}, Where: where(cond(abi.CondEq, "id", r.LastID))}
		if got := must(t, db, sel).Rows[0][0]; got != c.want {
			t.Errorf("%s of %s %v: got %s %v, want %s %v", c.column, c.in.Kind(), c.in, got.Kind(), got, c.want.Kind(), c.want)
		}
		if c.want.IsNull() {
			continue
		}
		// It is found by what was given (rounded, for a decimal of more digits and a date: by what is stored).
		for _, v := range []abi.Value{c.in, c.want} {
			sel.Where = append(where(cond(abi.CondEq, "id", r.LastID)), abi.Cond{Op: abi.CondEq, Column: c.column, Values: abi.Values{v}})
			found := len(must(t, db, sel).Rows) == 1
			if !found && (v == c.want || c.in.Kind() == c.want.Kind() && c.column != "d" && c.column != "day") {
				t.Errorf("%s is not found by %v", c.column, v)
			}
		}
	}
}

func TestValuesRefused(t *testing.T) { onEngines(t, testValuesRefused) }

func testValuesRefused(t *testing.T, db *DB) {
	for column, values := range map[string][]abi.Value{
		"b":     {abi.Int(2), abi.Text("true"), abi.Float(1)},
		"i":     {abi.Float(1.5), abi.Float(1e300), abi.Text("1e3"), abi.Decimal("9223372036854775808"), abi.Bytes([]byte("1")), abi.Text("")},
		"f":     {abi.Text("nan"), abi.Text("0x10"), abi.Int(1<<53 + 1), abi.Int(math.MaxInt64), abi.Bool(true)},
		"d":     {abi.Text("1e3"), abi.Text(""), abi.Text("."), abi.Text("--1"), abi.Float(math.Inf(1)), abi.Decimal("1234567890.0"), abi.Decimal("999999999.9996"), abi.Text(strings.Repeat("9", 2000))},
		"s":     {abi.Text("01234567890"), abi.Bytes([]byte("x")), abi.Bool(true)},
		"bin":   {abi.Int(1)},
		"ts":    {abi.Int(1), abi.Text("yesterday"), abi.Text("2026-02-30"), abi.Time(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), abi.Time(time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC))},
		"clock": {abi.Text("25:00"), abi.Int(1), abi.Time(time.Now())},
		"j":     {abi.Text("{"), abi.JSON(""), abi.Float(math.Inf(1)), abi.Bytes([]byte("1"))},
		"u":     {abi.Text("x"), abi.Text(strings.Repeat("-", 36)), abi.Bytes(make([]byte, 16))},
	} {
		for _, v := range values {
			if _, err := query(db, insert("everything", column, v)); errnoOf(err) != abi.ErrnoInvalid || !strings.Contains(err.Error(), column+" takes no") {
				t.Errorf("%s of %s %v: %v", column, v.Kind(), v, err)
			}
		}
	}
}

// What others wrote comes as it is stored when it is not of the declared type.
func TestForeignValues(t *testing.T) {
	db := newDB(t)
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.Exec(`INSERT INTO everything (id, b, i, f, d, ts, j, u) VALUES (1, 7, 'text', 'many', x'00ff', 1700000000000, x'01', 5)`); err != nil {
		t.Fatal(err)
	}
	r := must(t, db, &abi.Query{Table: "everything", Columns: []abi.Column{{Name: "b"}, {Name: "i"}, {Name: "f"}, {Name: "d"}, {Name: "ts"}, {Name: "j"}, {Name: "u"}}})
	want := abi.Values{abi.Int(7), abi.Text("text"), abi.Text("many"), abi.Bytes([]byte{0, 255}), abi.Int(1700000000000), abi.Bytes([]byte{1}), abi.Text("5")}
	for i, v := range r.Rows[0] {
		if v != want[i] {
			t.Errorf("%s: %s %v, want %v", r.Columns[i], v.Kind(), v, want[i])
		}
	}
}

// Dates compare with instants as instants.
func TestDatesCompare(t *testing.T) { onEngines(t, testDatesCompare) }

func testDatesCompare(t *testing.T, db *DB) {
	for _, day := range []string{"2026-01-01", "2026-01-02", "2026-01-03"} {
		must(t, db, insert("everything", "day", day))
	}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for op, want := range map[abi.CondOp]string{abi.CondLt: "count\n2", abi.CondGt: "count\n1", abi.CondEq: "count\n0"} {
		if got := table(must(t, db, &abi.Query{Table: "everything", Columns: []abi.Column{{Func: "count"}}, Where: where(cond(op, "day", noon))})); got != want {
			t.Errorf("%d: %s", op, got)
		}
	}
}
