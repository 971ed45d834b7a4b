package msgpack

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Type is the type of an encoded value.
type Type uint8

// The types that a reader can meet.
const (
	InvalidType Type = iota
	NilType
	BoolType
	IntType
	UintType
	Float32Type
	Float64Type
	StrType
	BinType
	ArrayType
	MapType
	ExtensionType
)

// NextType is the type of the value at the head of b, [InvalidType] if b is empty or starts with the byte 0xc1.
func NextType(b []byte) Type {
	if len(b) == 0 {
		return InvalidType
	}
	switch c := b[0]; {
	case c < 0x80 || c >= 0xe0:
		return IntType
	case c < 0x90:
		return MapType
	case c < 0xa0:
		return ArrayType
	case c < 0xc0:
		return StrType
	default:
		return leads[c-0xc0]
	}
}

var leads = [0x20]Type{
	NilType, InvalidType, BoolType, BoolType, BinType, BinType, BinType, ExtensionType, ExtensionType, ExtensionType, Float32Type, Float64Type,
	UintType, UintType, UintType, UintType, IntType, IntType, IntType, IntType,
	ExtensionType, ExtensionType, ExtensionType, ExtensionType, ExtensionType, StrType, StrType, StrType, ArrayType, ArrayType, MapType, MapType,
}

// IsNil says whether the value at the head of b is nil.
func IsNil(b []byte) bool { return len(b) > 0 && b[0] == 0xc0 }

// UnsafeString views b as a string.
func UnsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// ReadNilBytes reads nil.
func ReadNilBytes(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return b, ErrShortBytes
	}
	if b[0] != 0xc0 {
		return b, errType
	}
	return b[1:], nil
}

// ReadBoolBytes reads a boolean.
func ReadBoolBytes(b []byte) (bool, []byte, error) {
	if len(b) == 0 {
		return false, b, ErrShortBytes
	}
	if b[0]&^1 != 0xc2 {
		return false, b, errType
	}
	return b[0] == 0xc3, b[1:], nil
}

// number reads an integer of any form. Big says that it is unsigned and over the range of int64.
func number(b []byte) (v int64, big bool, rest []byte, err error) {
	if len(b) == 0 {
		return 0, false, b, ErrShortBytes
	}
	c := b[0]
	if c < 0x80 || c >= 0xe0 {
		return int64(int8(c)), false, b[1:], nil
	}
	if c < 0xcc || c > 0xd3 {
		return 0, false, b, errType
	}
	n := 1 << (c & 3)
	if len(b) < 1+n {
		return 0, false, b, ErrShortBytes
	}
	var u uint64
	for _, x := range b[1 : 1+n] {
		u = u<<8 | uint64(x)
	}
	if c < 0xd0 {
		return int64(u), u > math.MaxInt64, b[1+n:], nil
	}
	shift := 64 - 8*n
	return int64(u<<shift) >> shift, false, b[1+n:], nil
}

// ReadInt64Bytes reads an integer, of any form that is in range.
func ReadInt64Bytes(b []byte) (int64, []byte, error) {
	v, big, rest, err := number(b)
	if err == nil && big {
		return 0, b, ErrOverflow
	}
	return v, rest, err
}

// ReadIntBytes reads an integer.
func ReadIntBytes(b []byte) (int, []byte, error) {
	v, rest, err := ReadInt64Bytes(b)
	if err == nil && int64(int(v)) != v {
		return 0, b, ErrOverflow
	}
	return int(v), rest, err
}

// ReadUint32Bytes reads an integer that is not negative.
func ReadUint32Bytes(b []byte) (uint32, []byte, error) {
	v, rest, err := readUint(b, math.MaxUint32)
	return uint32(v), rest, err
}

// ReadUint8Bytes reads an integer that is not negative.
func ReadUint8Bytes(b []byte) (uint8, []byte, error) {
	v, rest, err := readUint(b, math.MaxUint8)
	return uint8(v), rest, err
}

func readUint(b []byte, most int64) (int64, []byte, error) {
	v, big, rest, err := number(b)
	if err == nil && (big || v < 0 || v > most) {
		return 0, b, ErrOverflow
	}
	return v, rest, err
}

// ReadFloat64Bytes reads a double, or a single precision number.
func ReadFloat64Bytes(b []byte) (float64, []byte, error) {
	switch {
	case len(b) == 0:
		return 0, b, ErrShortBytes
	case b[0] == 0xca && len(b) >= 5:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b[1:]))), b[5:], nil
	case b[0] == 0xcb && len(b) >= 9:
		return math.Float64frombits(binary.BigEndian.Uint64(b[1:])), b[9:], nil
	case b[0] == 0xca || b[0] == 0xcb:
		return 0, b, ErrShortBytes
	}
	return 0, b, errType
}
