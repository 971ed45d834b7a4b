package odac

import (
	"strconv"
	"time"

	"github.com/odac-run/odachost/abi"
)

// Value is one SQL value with its exact type: see [abi.Value].
type Value = abi.Value

// Rows are the rows of a result, in order.
type Rows []Row

// Row is one row of a result. Its getters are lenient: a column that is null, missing or not convertible without loss gives the
// zero value of the type asked for. Where that matters, ask [Row.Get] for the value with its type, or scan into a
// struct, which is strict.
type Row struct {
	t     *table
	at, n uint32 // where in the table's rows it begins, and how many values it has
}

// Columns are the names of the columns, in order.
func (r Row) Columns() []string {
	if r.t == nil {
		return nil
	}
	return r.t.columns
}

// Get is a column's value, and whether there is such a column.
func (r Row) Get(column string) (Value, bool) {
	cell := r.find(column)
	return r.value(cell), cell >= 0
}

// IsNull says whether a column is null or missing.
func (r Row) IsNull(column string) bool { return r.value(r.find(column)).IsNull() }

// String is a column as text: any value but null has one.
func (r Row) String(column string) string {
	cell := r.find(column)
	if cell < 0 {
		return ""
	}
	switch r.t.kind(cell) {
	case abi.KindNull:
		return ""
	case abi.KindText, abi.KindBytes, abi.KindDecimal, abi.KindJSON:
		return r.content(cell)
	}
	return r.value(cell).String()
}

// Int is a column as an integer: an integer, a boolean, a number without a fraction, or digits.
func (r Row) Int(column string) int64 {
	cell := r.find(column)
	if cell < 0 {
		return 0
	}
	if r.t.kind(cell) == abi.KindInt {
		return int64(load64(r.t.base, cell))
	}
	i, _ := intOf(r.value(cell))
	return i
}

// Float is a column as a number: a float, an integer, or digits.
func (r Row) Float(column string) float64 {
	f, _ := floatOf(r.value(r.find(column)))
	return f
}

// Bool is a column as a boolean: a boolean, or an integer other than 0.
func (r Row) Bool(column string) bool {
	b, _ := boolOf(r.value(r.find(column)))
	return b
}

// Time is a column as an instant in UTC: an instant, or text as RFC 3339 and SQL write it.
func (r Row) Time(column string) time.Time {
	t, _ := timeOf(r.value(r.find(column)))
	return t
}

// Bytes is a column as bytes, of bytes and text; the caller may change them.
func (r Row) Bytes(column string) []byte {
	if v := r.value(r.find(column)); v.AsText() != "" {
		return []byte(v.AsText())
	}
	return nil
}

// Decimal is a number's digits as the database prints them, exact: "12.50".
func (r Row) Decimal(column string) string {
	switch v := r.value(r.find(column)); v.Kind() {
	case abi.KindDecimal, abi.KindInt, abi.KindFloat:
		return v.String()
	}
	return ""
}

// JSON is a column's JSON document as text.
func (r Row) JSON(column string) string { return r.value(r.find(column)).AsText() }

func intOf(v Value) (int64, bool) {
	switch v.Kind() {
	case abi.KindInt:
		return v.AsInt(), true
	case abi.KindBool:
		if v.AsBool() {
			return 1, true
		}
		return 0, true
	case abi.KindFloat:
		f := v.AsFloat()
		if f >= -1<<63 && f < 1<<63 && f == float64(int64(f)) {
			return int64(f), true
		}
	case abi.KindText, abi.KindDecimal:
		i, err := strconv.ParseInt(v.AsText(), 10, 64)
		return i, err == nil
	}
	return 0, false
}

func floatOf(v Value) (float64, bool) {
	switch v.Kind() {
	case abi.KindFloat:
		return v.AsFloat(), true
	case abi.KindInt:
		return float64(v.AsInt()), true
	case abi.KindText, abi.KindDecimal:
		f, err := strconv.ParseFloat(v.AsText(), 64)
		if err != nil {
			return 0, false
		}
		return f, true
	}
	return 0, false
}

func boolOf(v Value) (b, ok bool) {
	switch v.Kind() {
	case abi.KindBool:
		return v.AsBool(), true
	case abi.KindInt:
		return v.AsInt() != 0, true
	}
	return false, false
}

var timeLayouts = [...]string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02"}

func timeOf(v Value) (time.Time, bool) {
	switch v.Kind() {
	case abi.KindTime:
		return v.AsTime(), true
	case abi.KindText:
		for _, layout := range timeLayouts {
			if t, err := time.Parse(layout, v.AsText()); err == nil {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}
