package odac

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
)

// Value is one SQL value with its exact type: see [abi.Value].
type Value = abi.Value

// Rows are the rows of a result, in order.
type Rows []Row

// Row is one row of a result. Its getters are lenient: a column that is null, missing or not convertible without loss gives the
// zero value of the type asked for. Where that matters, ask [Row.Get] for the value with its type, or scan into a
// struct, which is strict.
type Row struct {
	t       *table
	from, n uint32 // its values in the table: the first, and how many
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
	b := r.raw(column)
	if b == nil {
		return Value{}, false
	}
	return valueAt(b), true
}

func (r Row) value(column string) Value {
	v, _ := r.Get(column)
	return v
}

// IsNull says whether a column is null or missing.
func (r Row) IsNull(column string) bool { return r.value(column).IsNull() }

// String is a column as text: any value but null has one.
func (r Row) String(column string) string {
	at := r.find(column)
	if at < 0 {
		return ""
	}
	b := r.t.msg
	if c := b[at]; c&0xe0 == 0xa0 || c >= 0xd9 && c <= 0xdb { // read here, as what is usual is in the others
		_, from, n := long(b, at)
		return viewString(b[from : from+n])
	}
	v := valueAt(b[at:])
	switch v.Kind() {
	case abi.KindNull:
		return ""
	case abi.KindBytes:
		return v.AsText()
	}
	return v.String()
}

// Int is a column as an integer: an integer, a boolean, a number without a fraction, or digits.
func (r Row) Int(column string) int64 {
	b := r.raw(column)
	if len(b) == 0 {
		return 0
	}
	if i, ok := integer(b); ok {
		return i
	}
	i, _ := intOf(valueAt(b))
	return i
}

// Float is a column as a number: a float, an integer, or digits.
func (r Row) Float(column string) float64 {
	b := r.raw(column)
	if f, _, err := msgpack.ReadFloat64Bytes(b); err == nil {
		return f
	}
	f, _ := floatOf(valueAt(b))
	return f
}

// Bool is a column as a boolean: a boolean, or an integer other than 0.
func (r Row) Bool(column string) bool {
	raw := r.raw(column)
	if len(raw) > 0 && raw[0]|1 == 0xc3 {
		return raw[0] == 0xc3
	}
	b, _ := boolOf(valueAt(raw))
	return b
}

// Time is a column as an instant in UTC: an instant, or text as RFC 3339 and SQL write it.
func (r Row) Time(column string) time.Time {
	at := r.find(column)
	if at < 0 {
		return time.Time{}
	}
	b := r.t.msg
	if c := b[at]; c == 0xc7 || c == 0xd6 || c == 0xd7 {
		if ext, from, n := long(b, at); ext == abi.ExtTime {
			return instant(b[from : from+n])
		}
	}
	t, _ := timeOf(valueAt(b[at:]))
	return t
}

// instant reads the three forms of the MessagePack timestamp, of 4, 8 and 12 bytes.
func instant(b []byte) time.Time {
	switch len(b) {
	case 4:
		return time.Unix(int64(binary.BigEndian.Uint32(b)), 0).UTC()
	case 8:
		u := binary.BigEndian.Uint64(b)
		return time.Unix(int64(u&(1<<34-1)), int64(u>>34)).UTC()
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b))).UTC()
}

// Bytes is a column as bytes, of bytes and text; the caller may change them.
func (r Row) Bytes(column string) []byte {
	if v := r.value(column); v.AsText() != "" {
		return []byte(v.AsText())
	}
	return nil
}

// Decimal is a number's digits as the database prints them, exact: "12.50".
func (r Row) Decimal(column string) string {
	if text, ok := r.ext(column, abi.ExtDecimal); ok {
		return text
	}
	switch v := r.value(column); v.Kind() {
	case abi.KindDecimal, abi.KindInt, abi.KindFloat:
		return v.String()
	}
	return ""
}

// JSON is a column's JSON document as text.
func (r Row) JSON(column string) string {
	if text, ok := r.ext(column, abi.ExtJSON); ok {
		return text
	}
	return r.value(column).AsText()
}

// ext is the text of an extension of that type.
func (r Row) ext(column string, typ int8) (string, bool) {
	at := r.find(column)
	if at < 0 {
		return "", false
	}
	b := r.t.msg
	if c := b[at]; c < 0xc7 || c > 0xd8 {
		return "", false
	}
	ext, from, n := long(b, at)
	if ext != typ {
		return "", false
	}
	return viewString(b[from : from+n]), true
}

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
