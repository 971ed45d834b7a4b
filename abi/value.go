package abi

import (
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"

	msgp "github.com/odac-run/odachost/abi/msgpack"
)

// Kind is the type of a [Value].
type Kind uint8

// The kinds of value. The comment says how MessagePack carries each.
const (
	KindNull    Kind = iota // nil
	KindBool                // bool
	KindInt                 // int, 64 bits
	KindFloat               // float 64
	KindText                // str, UTF-8
	KindBytes               // bin
	KindDecimal             // ext 1: the digits as text, exactly as the database prints them
	KindJSON                // ext 2: the document as text
	KindTime                // ext -1, the timestamp of the MessagePack specification: UTC, nanoseconds
)

// The extension types of v1.
const (
	ExtDecimal int8 = 1
	ExtJSON    int8 = 2
	ExtTime    int8 = -1
)

var kindNames = [...]string{"null", "bool", "integer", "float", "text", "bytes", "decimal", "json", "time"}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Value is one SQL value with its type: null, bool, int64, float64, text, bytes, decimal, JSON or an instant. The zero
// Value is null. It is small, comparable and boxes nothing.
type Value struct {
	text string // text, bytes, decimal, JSON
	num  int64  // bool, int, float bits, seconds since 1970
	nsec uint32
	kind Kind
}

// Null is the SQL null.
func Null() Value { return Value{} }

// Bool is a boolean.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.num = 1
	}
	return v
}

// Int is a 64-bit integer.
func Int(i int64) Value { return Value{kind: KindInt, num: i} }

// Float is a double.
func Float(f float64) Value { return Value{kind: KindFloat, num: int64(math.Float64bits(f))} }

// Text is a UTF-8 string.
func Text(s string) Value { return Value{kind: KindText, text: s} }

// Bytes is a byte string; b is copied.
func Bytes(b []byte) Value { return Value{kind: KindBytes, text: string(b)} }

// Decimal is an exact number as its digits, such as "12.50".
func Decimal(digits string) Value { return Value{kind: KindDecimal, text: digits} }

// JSON is a JSON document as text. It is not checked here.
func JSON(doc string) Value { return Value{kind: KindJSON, text: doc} }

// Time is an instant, kept in UTC with nanoseconds.
func Time(t time.Time) Value {
	return Value{kind: KindTime, num: t.Unix(), nsec: uint32(t.Nanosecond())}
}

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// IsNull says whether the value is the SQL null.
func (v Value) IsNull() bool { return v.kind == KindNull }

// AsBool is the boolean, false for other kinds.
func (v Value) AsBool() bool { return v.kind == KindBool && v.num != 0 }

// AsInt is the integer, 0 for other kinds.
func (v Value) AsInt() int64 {
	if v.kind == KindInt {
		return v.num
	}
	return 0
}

// AsFloat is the double, 0 for other kinds.
func (v Value) AsFloat() float64 {
	if v.kind == KindFloat {
		return math.Float64frombits(uint64(v.num))
	}
	return 0
}

// AsText is what text, bytes, decimal and JSON hold, "" for other kinds.
func (v Value) AsText() string { return v.text }

// AsTime is the instant in UTC, the zero time for other kinds.
func (v Value) AsTime() time.Time {
	if v.kind == KindTime {
		return time.Unix(v.num, int64(v.nsec)).UTC()
	}
	return time.Time{}
}

// String prints the value for people: logs, errors, tests.
func (v Value) String() string {
	switch v.kind {
	case KindNull:
		return "null"
	case KindBool:
		return strconv.FormatBool(v.num != 0)
	case KindInt:
		return strconv.FormatInt(v.num, 10)
	case KindFloat:
		return strconv.FormatFloat(v.AsFloat(), 'g', -1, 64)
	case KindBytes:
		return "0x" + hex.EncodeToString(unsafeBytes(v.text))
	case KindTime:
		return v.AsTime().Format(time.RFC3339Nano)
	}
	return v.text
}

// Of converts a Go value: nil, bool, every integer and float, string, []byte, time.Time, Value, and pointers to
// these (nil is null). Anything else, and an unsigned integer over the int64 range, is an error.
func Of(x any) (Value, error) {
	switch x := x.(type) {
	case nil:
		return Null(), nil
	case Value:
		return x, nil
	case bool:
		return Bool(x), nil
	case int:
		return Int(int64(x)), nil
	case int8:
		return Int(int64(x)), nil
	case int16:
		return Int(int64(x)), nil
	case int32:
		return Int(int64(x)), nil
	case int64:
		return Int(x), nil
	case uint:
		return ofUint(uint64(x))
	case uint8:
		return Int(int64(x)), nil
	case uint16:
		return Int(int64(x)), nil
	case uint32:
		return Int(int64(x)), nil
	case uint64:
		return ofUint(x)
	case float32:
		return Float(float64(x)), nil
	case float64:
		return Float(x), nil
	case string:
		return Text(x), nil
	case []byte:
		return Bytes(x), nil
	case time.Time:
		return Time(x), nil
	case time.Duration:
		return Int(int64(x)), nil
	case *string:
		return ofPtr(x)
	case *int:
		return ofPtr(x)
	case *int64:
		return ofPtr(x)
	case *float64:
		return ofPtr(x)
	case *bool:
		return ofPtr(x)
	case *time.Time:
		return ofPtr(x)
	}
	return Value{}, errors.New("a value of Go type " + reflect.TypeOf(x).String() + " has no SQL type: use bool, an integer, a float, string, []byte, time.Time or a Value")
}

func ofPtr[T any](p *T) (Value, error) {
	if p == nil {
		return Null(), nil
	}
	return Of(*p)
}

func ofUint(u uint64) (Value, error) {
	if u > math.MaxInt64 {
		digits := strconv.FormatUint(u, 10)
		return Value{}, errors.New(digits + " is over the range of a 64-bit signed integer: pass it as Decimal(" + strconv.Quote(digits) + ")")
	}
	return Int(int64(u)), nil
}

// Msgsize is the most bytes that the encoded value takes.
func (v Value) Msgsize() int { return 15 + len(v.text) }

// AppendMsg appends the encoded value to b.
func (v Value) AppendMsg(b []byte) []byte {
	switch v.kind {
	case KindBool:
		return msgp.AppendBool(b, v.num != 0)
	case KindInt:
		return msgp.AppendInt64(b, v.num)
	case KindFloat:
		return msgp.AppendFloat64(b, v.AsFloat())
	case KindText:
		return msgp.AppendString(b, v.text)
	case KindBytes:
		return msgp.AppendBytes(b, unsafeBytes(v.text))
	case KindDecimal:
		return appendExt(b, ExtDecimal, v.text)
	case KindJSON:
		return appendExt(b, ExtJSON, v.text)
	case KindTime:
		return AppendTime(b, v.num, v.nsec)
	}
	return msgp.AppendNil(b)
}

// MarshalMsg appends the encoded value to b. It never fails.
func (v Value) MarshalMsg(b []byte) ([]byte, error) { return v.AppendMsg(b), nil }

var errRows = errors.New("abi: bytes follow the last row")

var errValue = errors.New("abi: not a value: want nil, bool, int, float, str, bin, or ext 1, 2 or -1")

// UnmarshalMsg reads one value from b and returns what follows it.
func (v *Value) UnmarshalMsg(b []byte) ([]byte, error) {
	rest, err := v.UnmarshalView(b)
	*v = v.Clone()
	return rest, err
}

// Clone is the value with a copy of what it views.
func (v Value) Clone() Value {
	v.text = strings.Clone(v.text)
	return v
}

// UnmarshalView is UnmarshalMsg without a copy: text, bytes, decimal and JSON are views of b, which must never change again.
func (v *Value) UnmarshalView(b []byte) ([]byte, error) {
	switch msgp.NextType(b) {
	case msgp.NilType:
		*v = Value{}
		return msgp.ReadNilBytes(b)
	case msgp.BoolType:
		x, rest, err := msgp.ReadBoolBytes(b)
		*v = Bool(x)
		return rest, err
	case msgp.IntType, msgp.UintType:
		x, rest, err := msgp.ReadInt64Bytes(b)
		*v = Int(x)
		return rest, err
	case msgp.Float32Type, msgp.Float64Type:
		x, rest, err := msgp.ReadFloat64Bytes(b)
		*v = Float(x)
		return rest, err
	case msgp.StrType:
		x, rest, err := msgp.ReadStringZC(b)
		*v = Text(msgp.UnsafeString(x))
		return rest, err
	case msgp.BinType:
		x, rest, err := msgp.ReadBytesZC(b)
		*v = Value{kind: KindBytes, text: msgp.UnsafeString(x)}
		return rest, err
	}
	return v.readExt(b)
}

// Values is a list of values: a row, or the arguments of a condition.
type Values []Value

// Msgsize is the most bytes that the encoded list takes.
func (vs Values) Msgsize() int {
	n := 5
	for _, v := range vs {
		n += v.Msgsize()
	}
	return n
}

// MarshalMsg appends the encoded list to b. It never fails.
func (vs Values) MarshalMsg(b []byte) ([]byte, error) {
	b = msgp.AppendArrayHeader(b, uint32(len(vs)))
	for _, v := range vs {
		b = v.AppendMsg(b)
	}
	return b, nil
}

// UnmarshalMsg reads a list from b and returns what follows it. A list that claims more items than b can hold, or
// than [MaxListItems], is an error before anything is allocated for it.
func (vs *Values) UnmarshalMsg(b []byte) ([]byte, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil {
		return b, err
	}
	if n > MaxListItems || int(n) > len(rest) {
		return b, msgp.ErrLimitExceeded
	}
	out := make(Values, n)
	for i := range out {
		if rest, err = out[i].UnmarshalMsg(rest); err != nil {
			return b, err
		}
	}
	*vs = out
	return rest, nil
}

// unsafeBytes views s as bytes for a reader that does not keep them.
func unsafeBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
