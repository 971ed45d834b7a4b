package msgpack

import (
	"encoding/binary"
	"math"
	"slices"
)

// The most bytes that a value takes, or its header.
const (
	NilSize          = 1
	BoolSize         = 1
	Uint8Size        = 2
	Uint32Size       = 5
	IntSize          = 9
	Int64Size        = 9
	ArrayHeaderSize  = 5
	StringPrefixSize = 5
	BytesPrefixSize  = 5
)

// Require makes room for n more bytes.
func Require(b []byte, n int) []byte { return slices.Grow(b, n) }

// AppendNil appends nil.
func AppendNil(b []byte) []byte { return append(b, 0xc0) }

// AppendBool appends a boolean.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 0xc3)
	}
	return append(b, 0xc2)
}

// AppendInt appends an integer in its shortest form.
func AppendInt(b []byte, v int) []byte { return AppendInt64(b, int64(v)) }

// AppendInt64 appends an integer in its shortest form.
func AppendInt64(b []byte, v int64) []byte {
	switch {
	case v >= 128: // msgp writes non-negative integers as signed
		switch {
		case v <= math.MaxInt16:
			return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(v))
		case v <= math.MaxInt32:
			return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v))
		}
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v))
}

// AppendUint8 appends an unsigned integer in its shortest form.
func AppendUint8(b []byte, v uint8) []byte { return AppendUint32(b, uint32(v)) }

// AppendUint32 appends an unsigned integer in its shortest form.
func AppendUint32(b []byte, v uint32) []byte {
	switch {
	case v < 128:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xce), v)
}

// AppendFloat64 appends a double.
func AppendFloat64(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v))
}

// AppendString appends a str.
func AppendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	default:
		b = appendLong(b, 0xda, n)
	}
	return append(b, s...)
}

// AppendBytes appends a bin.
func AppendBytes(b, v []byte) []byte {
	if n := len(v); n <= math.MaxUint8 {
		b = append(b, 0xc4, byte(n))
	} else {
		b = appendLong(b, 0xc5, n)
	}
	return append(b, v...)
}

// AppendArrayHeader appends the header of an array of n items.
func AppendArrayHeader(b []byte, n uint32) []byte {
	if n < 16 {
		return append(b, 0x90|byte(n))
	}
	return appendLong(b, 0xdc, int(n))
}

// AppendMapHeader appends the header of a map of n pairs.
func AppendMapHeader(b []byte, n uint32) []byte {
	if n < 16 {
		return append(b, 0x80|byte(n))
	}
	return appendLong(b, 0xde, int(n))
}

// appendLong appends a length of 16 bits under lead, or of 32 under the one after it.
func appendLong(b []byte, lead byte, n int) []byte {
	if n <= math.MaxUint16 {
		return binary.BigEndian.AppendUint16(append(b, lead), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, lead+1), uint32(n))
}
