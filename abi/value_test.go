package abi

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi/msgpack"
)

func edgeValues() []Value {
	list := []Value{
		Null(), Bool(false), Bool(true), Text(""), Text("a\x00b"), Text(strings.Repeat("x", 70_000)), Bytes(nil), Bytes([]byte{0xff, 0}),
		Bytes(make([]byte, 70_000)), Decimal(""), Decimal("-0.10"), Decimal(strings.Repeat("9", 300)), JSON("null"), JSON(`{"a":` + strings.Repeat(" ", 70_000) + `1}`),
		Float(0), Float(math.Copysign(0, -1)), Float(math.MaxFloat64), Float(math.SmallestNonzeroFloat64), Float(math.Inf(1)), Float(math.Inf(-1)), Float(math.NaN()),
		Time(time.Time{}), Time(time.Unix(0, 0)), Time(time.Unix(-1, 999_999_999)), Time(time.Date(1969, 12, 31, 23, 59, 59, 1, time.UTC)),
		Time(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), Time(time.Date(2262, 4, 12, 0, 0, 0, 5, time.UTC)), Time(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)),
		Time(time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600))),
	}
	for shift := range 64 {
		for _, d := range []int64{-1, 0, 1} {
			list = append(list, Int(1<<shift+d), Int(-1<<shift+d))
		}
	}
	return append(list, Int(math.MaxInt64), Int(math.MinInt64), Int(1<<53+1))
}

func TestValueRoundTrip(t *testing.T) {
	for _, v := range edgeValues() {
		b := v.AppendMsg(nil)
		if len(b) > v.Msgsize() {
			t.Errorf("%v takes %d bytes, over its Msgsize of %d", v, len(b), v.Msgsize())
		}
		for name, read := range map[string]func(*Value, []byte) ([]byte, error){"UnmarshalMsg": (*Value).UnmarshalMsg, "UnmarshalView": (*Value).UnmarshalView} {
			got := Text("before")
			rest, err := read(&got, append(bytes.Clone(b), 0xc0))
			if err != nil || len(rest) != 1 || got != v {
				t.Errorf("%s: %.40v is %.40v, %v, %d bytes left", name, v, got, err, len(rest))
			}
		}
		for n := range min(len(b), 40) { // cut short anywhere is an error
			var got Value
			if _, err := got.UnmarshalMsg(b[:n]); err == nil {
				t.Errorf("%.40v from %d of its %d bytes is %.40v, want an error", v, n, len(b), got)
			}
		}
	}
}

// TestUnmarshalMsgCopies: the message may change afterwards, as a guest's memory does.
func TestUnmarshalMsgCopies(t *testing.T) {
	for _, v := range []Value{Text("text"), Bytes([]byte("bytes")), Decimal("1.5"), JSON("{}")} {
		b := v.AppendMsg(nil)
		var got Value
		if _, err := got.UnmarshalMsg(b); err != nil {
			t.Fatal(err)
		}
		clear(b)
		if got != v {
			t.Errorf("%v became %v when its message changed", v, got)
		}
	}
}

// TestTimeForms: hosts of other makes may write the shorter forms of the timestamp.
func TestTimeForms(t *testing.T) {
	for want, b := range map[time.Time][]byte{
		time.Unix(0xffffffff, 0): {0xd6, 0xff, 0xff, 0xff, 0xff, 0xff},
		time.Unix(1<<33, 5):      {0xd7, 0xff, 0, 0, 0, 20 | 2, 0, 0, 0, 0},
	} {
		var v Value
		if _, err := v.UnmarshalMsg(b); err != nil || !v.AsTime().Equal(want) {
			t.Errorf("%x is %v, %v, want %v", b, v, err, want)
		}
	}
	var v Value
	if _, err := v.UnmarshalMsg([]byte{0xd7, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}); err == nil {
		t.Error("over a billion nanoseconds was taken")
	}
	if _, err := v.UnmarshalMsg([]byte{0xd4, 9, 0}); err == nil {
		t.Error("an extension that nobody knows was taken")
	}
	if _, err := v.UnmarshalMsg([]byte{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); err == nil {
		t.Error("an integer over int64 was taken")
	}
}

func TestOf(t *testing.T) {
	seven, text := int64(7), "x"
	for _, c := range []struct {
		in   any
		want Value
	}{
		{nil, Null()},
		{true, Bool(true)},
		{int8(-1), Int(-1)},
		{uint64(math.MaxInt64), Int(math.MaxInt64)},
		{float32(0.5), Float(0.5)},
		{"x", Text("x")},
		{[]byte("x"), Bytes([]byte("x"))},
		{time.Unix(5, 6), Time(time.Unix(5, 6))},
		{Decimal("1"), Decimal("1")},
		{&seven, Int(7)},
		{&text, Text("x")},
		{(*int64)(nil), Null()},
		{(*string)(nil), Null()},
		{time.Second, Int(1e9)},
	} {
		if got, err := Of(c.in); err != nil || got != c.want {
			t.Errorf("Of(%v) = %v, %v, want %v", c.in, got, err, c.want)
		}
	}
	for want, in := range map[string]any{"struct {}": struct{}{}, "Decimal(\"18446744073709551615\")": uint64(math.MaxUint64), "[]int": []int{1}} {
		if _, err := Of(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Of(%v): %v, want an error that says %s", in, err, want)
		}
	}
}

func TestValuesBounds(t *testing.T) {
	var vs Values
	for _, b := range [][]byte{
		{0xdd, 0xff, 0xff, 0xff, 0xff},
		{0xdc, 0x00, 0x10, 0xc0},
		append(msgpack.AppendArrayHeader(nil, MaxListItems+1), make([]byte, MaxListItems+1)...),
	} {
		if _, err := vs.UnmarshalMsg(b); err == nil {
			t.Errorf("a list of %d bytes that claims more was taken", len(b))
		}
	}
}

// FuzzValue reads anything at all as a value, and what it is once, it stays.
func FuzzValue(f *testing.F) {
	for _, v := range edgeValues() {
		if b := v.AppendMsg(nil); len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v, view, again Value
		rest, err := v.UnmarshalMsg(b)
		restView, errView := view.UnmarshalView(b)
		if (err == nil) != (errView == nil) || len(rest) != len(restView) || v != view {
			t.Fatalf("%v %v, but as a view %v %v", v, err, view, errView)
		}
		if err != nil {
			return
		}
		if _, err := again.UnmarshalMsg(v.AppendMsg(nil)); err != nil || again != v {
			t.Errorf("%v became %v, %v", v, again, err)
		}
		_ = v.String()
	})
}
