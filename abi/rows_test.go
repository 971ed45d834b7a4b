package abi

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"testing"
	"time"
)

func sampleRows() Rows {
	return Rows{
		{Null(), Bool(true), Bool(false), Int(math.MinInt64), Float(math.Inf(-1)), Text("ä"), Text(""), Bytes([]byte{0xff, 0}), Decimal("-12.50"), JSON(`{"a":1}`), Time(time.Unix(-1, 999999999))},
		{},
		{Text("another")},
	}
}

func TestRows(t *testing.T) {
	want := sampleRows()
	b, err := want.MarshalMsg([]byte("before"))
	if err != nil || len(b)-len("before") > want.Msgsize() {
		t.Fatalf("%d bytes, Msgsize %d, %v", len(b), want.Msgsize(), err)
	}
	b = append(b, "after"...)
	var got Rows
	rest, err := got.UnmarshalMsg(b[len("before"):])
	if err != nil || string(rest) != "after" || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, rest %q, %v", got, rest, err)
	}
	clear(b) // what was read is a copy
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after the message changed: %v", got)
	}
}

func TestMalformedRows(t *testing.T) {
	whole, _ := sampleRows().MarshalMsg(nil) // never fails
	for cut := range whole {
		if _, err := new(Rows).UnmarshalMsg(whole[:cut]); err == nil {
			t.Errorf("the first %d bytes were taken for all", cut)
		}
	}
	one := func(change func(b []byte)) []byte { // one row of one text; its head is at 9, its cell at 17
		b, _ := Rows{{Text("text")}}.MarshalMsg(nil) // never fails
		change(b)
		return b
	}
	put := binary.LittleEndian.PutUint32
	for name, b := range map[string][]byte{
		"more rows":            one(func(b []byte) { put(b[5:], 2) }),
		"a billion rows":       one(func(b []byte) { put(b[5:], 1<<30) }),
		"fewer rows":           one(func(b []byte) { put(b[5:], 0) }),
		"a large row":          one(func(b []byte) { put(b[9:], 100) }),
		"a small row":          one(func(b []byte) { put(b[9:], 8) }),
		"more values":          one(func(b []byte) { put(b[13:], 2) }),
		"four billion values":  one(func(b []byte) { put(b[13:], math.MaxUint32) }),
		"text from beyond":     one(func(b []byte) { put(b[17:], 29) }),
		"text from far beyond": one(func(b []byte) { put(b[21:], math.MaxUint32) }),
		"a long text":          one(func(b []byte) { put(b[25:], 5) }),
		"kind 9":               one(func(b []byte) { b[29] = 9 }),
		"a boolean 2":          one(func(b []byte) { b[29], b[17] = byte(KindBool), 2 }),
		"a second of two":      one(func(b []byte) { b[29] = byte(KindTime); put(b[25:], 2e9) }),
		"no bytes":             {0xc4, 0},
		"an array":             {0x90},
	} {
		rows := Rows{{Int(1)}}
		if rest, err := rows.UnmarshalMsg(b); err == nil || !bytes.Equal(rest, b) || len(rows) != 1 {
			t.Errorf("%s: %v, rest %x, %v", name, rows, rest, err)
		}
	}
}

func TestRowWriterAllocates(t *testing.T) {
	w := RowWriter{Out: make([]byte, 0, 4096)}
	row := sampleRows()[0]
	if n := testing.AllocsPerRun(100, func() {
		w.Out = w.Out[:0]
		w.Open()
		w.Begin(len(row))
		for _, v := range row {
			w.Value(v)
		}
		w.End()
		w.Close()
	}); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func FuzzRows(f *testing.F) {
	b, _ := sampleRows().MarshalMsg(nil) // never fails
	f.Add(b)
	f.Add([]byte{0xc4, 4, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var rows Rows
		if _, err := rows.UnmarshalMsg(b); err != nil {
			return
		}
		again, _ := rows.MarshalMsg(nil) // never fails
		var same Rows
		if rest, err := same.UnmarshalMsg(again); err != nil || len(rest) > 0 || len(same) != len(rows) {
			t.Fatalf("%x was read, and what was written of it is not: %v", b, err)
		}
		for i := range rows {
			for j := range rows[i] {
				if rows[i][j] != same[i][j] {
					t.Fatalf("row %d value %d: %v and %v", i, j, rows[i][j], same[i][j])
				}
			}
		}
	})
}
