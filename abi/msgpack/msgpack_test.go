package msgpack

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestAppendAsMsgp: the same bytes as the library whose place this takes.
func TestAppendAsMsgp(t *testing.T) {
	same := func(what any, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%v is %x, want %x", what, got, want)
		}
	}
	for shift := range 64 {
		for _, d := range []int64{-1, 0, 1} {
			for _, v := range []int64{1<<shift + d, -1<<shift + d} {
				same(v, AppendInt64(nil, v), msgp.AppendInt64(nil, v))
				same(v, AppendInt(nil, int(v)), msgp.AppendInt(nil, int(v)))
				same(v, AppendUint32(nil, uint32(v)), msgp.AppendUint32(nil, uint32(v)))
				same(v, AppendUint8(nil, uint8(v)), msgp.AppendUint8(nil, uint8(v)))
				same(v, AppendFloat64(nil, math.Float64frombits(uint64(v))), msgp.AppendFloat64(nil, math.Float64frombits(uint64(v))))
			}
		}
	}
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536, 70_000} {
		s := strings.Repeat("x", n)
		same(n, AppendString(nil, s), msgp.AppendString(nil, s))
		same(n, AppendBytes(nil, []byte(s)), msgp.AppendBytes(nil, []byte(s)))
		same(n, AppendArrayHeader(nil, uint32(n)), msgp.AppendArrayHeader(nil, uint32(n)))
		same(n, AppendMapHeader(nil, uint32(n)), msgp.AppendMapHeader(nil, uint32(n)))
	}
	same("nil", AppendNil(nil), msgp.AppendNil(nil))
	same(true, AppendBool(nil, true), msgp.AppendBool(nil, true))
	same(false, AppendBool(nil, false), msgp.AppendBool(nil, false))
}

// FuzzReadAsMsgp: what msgp reads, this reads as the same, and what it refuses, this refuses; but for headers that claim more
// than follows, which only this refuses at once.
func FuzzReadAsMsgp(f *testing.F) {
	for lead := range 256 {
		f.Add(append([]byte{byte(lead)}, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17))
		f.Add([]byte{byte(lead)})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		compare(t, "int64", b, ReadInt64Bytes, msgp.ReadInt64Bytes)
		compare(t, "int", b, ReadIntBytes, msgp.ReadIntBytes)
		compare(t, "uint32", b, ReadUint32Bytes, msgp.ReadUint32Bytes)
		compare(t, "uint8", b, ReadUint8Bytes, msgp.ReadUint8Bytes)
		compare(t, "bool", b, ReadBoolBytes, msgp.ReadBoolBytes)
		compare(t, "float64", b, bits(ReadFloat64Bytes), bits(msgp.ReadFloat64Bytes))
		compare(t, "string", b, ReadStringBytes, msgp.ReadStringBytes)
		compare(t, "bytes", b, text(ReadBytesZC), text(msgp.ReadBytesZC))
		compare(t, "array", b, ReadArrayHeaderBytes, msgp.ReadArrayHeaderBytes)
		compare(t, "map", b, ReadMapHeaderBytes, msgp.ReadMapHeaderBytes)
		compare(t, "skip", b, none(Skip), none(msgp.Skip))
		compare(t, "nil", b, none(ReadNilBytes), none(msgp.ReadNilBytes))
		if len(b) > 0 {
			got, want := NextType(b), msgp.NextType(b)
			if !sameType(got, want) {
				t.Errorf("%x is of type %v, want %v", b[:1], got, want)
			}
		}
	})
}

type reader[T comparable] func([]byte) (T, []byte, error)

func compare[T comparable](t *testing.T, what string, b []byte, read, msgp reader[T]) {
	t.Helper()
	got, rest, err := read(b)
	want, wantRest, wantErr := msgp(b)
	if wantErr == nil && errors.Is(err, ErrShortBytes) && (what == "array" || what == "map" || what == "skip") {
		return
	}
	if what == "float64" && wantErr == nil && err != nil && len(b) > 0 && b[0] != 0xca && b[0] != 0xcb {
		return // msgp reads an integer as a float
	}
	if (err == nil) != (wantErr == nil) || err == nil && (got != want || len(rest) != len(wantRest)) {
		t.Errorf("%s of %x is %v, %d left, %v; msgp has %v, %d left, %v", what, b, got, len(rest), err, want, len(wantRest), wantErr)
	}
	if err != nil && len(rest) != len(b) {
		t.Errorf("%s of %x failed and ate %d bytes", what, b, len(b)-len(rest))
	}
}

func bits(read reader[float64]) reader[uint64] {
	return func(b []byte) (uint64, []byte, error) {
		v, rest, err := read(b)
		return math.Float64bits(v), rest, err
	}
}

func text(read func([]byte) ([]byte, []byte, error)) reader[string] {
	return func(b []byte) (string, []byte, error) {
		v, rest, err := read(b)
		return string(v), rest, err
	}
}

func none(read func([]byte) ([]byte, error)) reader[int] {
	return func(b []byte) (int, []byte, error) {
		rest, err := read(b)
		return 0, rest, err
	}
}

// sameType compares by name: the two count differently.
func sameType(got Type, want msgp.Type) bool {
	names := map[Type]msgp.Type{
		InvalidType: msgp.InvalidType, NilType: msgp.NilType, BoolType: msgp.BoolType, IntType: msgp.IntType, UintType: msgp.UintType, Float32Type: msgp.Float32Type,
		Float64Type: msgp.Float64Type, StrType: msgp.StrType, BinType: msgp.BinType, ArrayType: msgp.ArrayType, MapType: msgp.MapType, ExtensionType: msgp.ExtensionType,
	}
	return names[got] == want || got == ExtensionType // msgp looks further: at the extension it knows, and at its length
}
