package buffer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Type is the type of a [Value]. The numbers are on disk: they never change.
type Type uint8

// The types of a Value.
const (
	TypeNull Type = iota
	TypeInt
	TypeFloat
	TypeText
	TypeBytes
	TypeBool
	TypeTime
	TypeDecimal
	TypeJSON
)

var typeNames = [...]string{"null", "int", "float", "text", "bytes", "bool", "time", "decimal", "json"}

// String gives the type's name as it stands in the dead-letter table.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// Value is one column's value. It is small, immutable and comparable: equal values are == (floats by their bits). The
// zero Value is NULL.
type Value struct {
	typ  Type
	nsec uint32 // TypeTime
	num  uint64 // TypeInt, TypeFloat (bits), TypeBool, TypeTime (Unix seconds)
	str  string // TypeText, TypeBytes, TypeDecimal, TypeJSON
}

// Null is the SQL NULL.
func Null() Value { return Value{} }

// Int is a 64-bit integer.
func Int(v int64) Value { return Value{typ: TypeInt, num: uint64(v)} }

// Float is a 64-bit float; negative zero becomes zero and every NaN the same NaN, so that equal values are ==.
func Float(v float64) Value {
	switch {
	case v == 0:
		v = 0
	case v != v:
		v = math.NaN()
	}
	return Value{typ: TypeFloat, num: math.Float64bits(v)}
}

// Text is a string. It is not checked for valid UTF-8: the database says what it takes.
func Text(v string) Value { return Value{typ: TypeText, str: v} }

// Bytes is a copy of v.
func Bytes(v []byte) Value { return Value{typ: TypeBytes, str: string(v)} }

// Bool is a truth value.
func Bool(v bool) Value {
	if v {
		return Value{typ: TypeBool, num: 1}
	}
	return Value{typ: TypeBool}
}

// Time is an instant, in UTC, with nanoseconds.
func Time(v time.Time) Value {
	return Value{typ: TypeTime, num: uint64(v.Unix()), nsec: uint32(v.Nanosecond())}
}

// Decimal is an exact decimal in its text form, such as "12.30".
func Decimal(v string) Value { return Value{typ: TypeDecimal, str: v} }

// JSON is a JSON document in its text form.
func JSON(v string) Value { return Value{typ: TypeJSON, str: v} }

// Type gives the value's type.
func (v Value) Type() Type { return v.typ }

// IsNull tells whether v is NULL.
func (v Value) IsNull() bool { return v.typ == TypeNull }

// Int gives the integer of a TypeInt, the 0 or 1 of a TypeBool, else 0.
func (v Value) Int() int64 {
	if v.typ == TypeInt || v.typ == TypeBool {
		return int64(v.num)
	}
	return 0
}

// Float gives the number of a TypeFloat, else 0.
func (v Value) Float() float64 {
	if v.typ == TypeFloat {
		return math.Float64frombits(v.num)
	}
	return 0
}

// Bool tells whether v is a TypeBool that is true.
func (v Value) Bool() bool { return v.typ == TypeBool && v.num != 0 }

// Time gives the instant of a TypeTime in UTC, else the zero time.
func (v Value) Time() time.Time {
	if v.typ == TypeTime {
		return time.Unix(int64(v.num), int64(v.nsec)).UTC()
	}
	return time.Time{}
}

// Text gives the string, bytes, decimal or JSON document, without a copy; of other types the empty string.
func (v Value) Text() string { return v.str }

// Any gives v as database/sql takes it: nil, int64, float64, string (text, decimal, JSON), []byte (a copy), bool or
// time.Time.
func (v Value) Any() any {
	switch v.typ {
	case TypeInt:
		return int64(v.num)
	case TypeFloat:
		return math.Float64frombits(v.num)
	case TypeText, TypeDecimal, TypeJSON:
		return v.str
	case TypeBytes:
		return []byte(v.str)
	case TypeBool:
		return v.num != 0
	case TypeTime:
		return v.Time()
	default:
		return nil
	}
}

// String gives v for people.
func (v Value) String() string { return v.typ.String() + "(" + v.literal() + ")" }

func (v Value) literal() string {
	switch v.typ {
	case TypeInt:
		return strconv.FormatInt(int64(v.num), 10)
	case TypeFloat:
		return strconv.FormatFloat(math.Float64frombits(v.num), 'g', -1, 64)
	case TypeText, TypeDecimal, TypeJSON:
		return v.str
	case TypeBytes:
		return base64.StdEncoding.EncodeToString([]byte(v.str))
	case TypeBool:
		return strconv.FormatBool(v.num != 0)
	case TypeTime:
		return v.Time().Format(time.RFC3339Nano)
	default:
		return ""
	}
}

type valueJSON struct {
	Type  string `json:"type"`
	Value string `json:"value,omitempty"`
}

// MarshalJSON writes {"type": ..., "value": text}, exact for every type whose text is valid UTF-8.
func (v Value) MarshalJSON() ([]byte, error) {
	return json.Marshal(valueJSON{v.typ.String(), v.literal()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Value) UnmarshalJSON(data []byte) error {
	var j valueJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	parsed, err := parseValue(j)
	if err != nil {
		return fmt.Errorf("buffer: %s value %q: %w", j.Type, j.Value, err)
	}
	*v = parsed
	return nil
}

func parseValue(j valueJSON) (Value, error) {
	switch j.Type {
	case "null":
		return Null(), nil
	case "int":
		n, err := strconv.ParseInt(j.Value, 10, 64)
		return Int(n), err
	case "float":
		f, err := strconv.ParseFloat(j.Value, 64)
		return Float(f), err
	case "text":
		return Text(j.Value), nil
	case "bytes":
		b, err := base64.StdEncoding.DecodeString(j.Value)
		return Bytes(b), err
	case "bool":
		b, err := strconv.ParseBool(j.Value)
		return Bool(b), err
	case "time":
		t, err := time.Parse(time.RFC3339Nano, j.Value)
		return Time(t), err
	case "decimal":
		return Decimal(j.Value), nil
	case "json":
		return JSON(j.Value), nil
	default:
		return Value{}, fmt.Errorf("unknown type")
	}
}
