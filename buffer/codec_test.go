package buffer

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"
)

var sampleValues = []Value{
	Null(), Int(0), Int(math.MinInt64), Int(1<<53 + 1), Float(math.Copysign(0, -1)), Float(math.NaN()), Float(math.Inf(-1)), Float(0.1),
	Text(""), Text("é\x00'"), Bytes([]byte{0, 255}), Bool(true), Bool(false), Time(time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)),
	Time(time.Date(2026, 11, 22, 1, 2, 3, 999_999_999, time.FixedZone("", 3600))), Decimal("12.30"), JSON(`{"a":[1]}`),
}

func sampleOps() []Op {
	var cols []Column
	for i, v := range sampleValues {
		cols = append(cols, Column{string(rune('a' + i)), v})
	}
	key := []Column{{"id", Text("k")}, {"at", Int(-1)}}
	return []Op{
		{Kind: KindInsert, Key: key, Set: cols},
		{Kind: KindIncrement, Key: key, Add: []Delta{{"n", math.MinInt64}, {"m", 1}}},
		{Kind: KindDelete, Key: key},
	}
}

// FuzzRecord: no bytes make the decoder panic or allocate without measure, and what it accepts is encoded as it was read.
func FuzzRecord(f *testing.F) {
	f.Add(appendRecord(nil, Lane{"tenant", "default", "posts"}, sampleOps()))
	f.Add([]byte{})
	f.Add([]byte{0, 1, 'c', 1, 't', 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		lane, ops, err := decodeRecord(data)
		if err != nil {
			return
		}
		again := appendRecord(nil, lane, ops)
		lane2, ops2, err := decodeRecord(again)
		if err != nil || lane2 != lane || !reflect.DeepEqual(ops, ops2) {
			t.Fatalf("%v %+v\nbecame\n%v %+v, %v", lane, ops, lane2, ops2, err)
		}
		if w, err := newWrite(ops); err == nil {
			w.stamp(1)
			bt := &batch{rows: map[string]*row{}}
			bt.add(w, 1, 1)
		}
	})
}

// FuzzBlock: no bytes make recovery panic.
func FuzzBlock(f *testing.F) {
	seed := crcSeed(logID{1}, 1)
	rec := append([]byte{0, 3}, "abc"...)
	f.Add(sealBlock(append(make([]byte, blockHeader), rec...), seed, 1, 5, 4), false)
	f.Add(rec, true)
	f.Fuzz(func(t *testing.T, data []byte, wrap bool) {
		if wrap { // a right checksum over any bytes
			data = sealBlock(append(make([]byte, blockHeader), data...), seed, len(data)/3, 5, 4)
		}
		at := findBlock(data, seed)
		b, ok := parseBlock(data, seed)
		if ok != (at == 0) {
			t.Fatalf("parseBlock says %v, findBlock %d", ok, at)
		}
		if ok {
			last := b.prev
			_, _ = b.eachRecord(func(lsn LSN, _ []byte) error {
				if lsn <= last {
					t.Fatalf("LSN %d after %d", lsn, last)
				}
				last = lsn
				return nil
			})
		}
		_, _, _, _ = parseSegmentHeader(data)
	})
}

func TestRecordRoundTrip(t *testing.T) {
	lane := Lane{"", "default", "posts"}
	data := appendRecord(nil, lane, sampleOps())
	gotLane, ops, err := decodeRecord(data)
	if err != nil || gotLane != lane || !reflect.DeepEqual(ops, sampleOps()) {
		t.Fatalf("%v %+v, %v", gotLane, ops, err)
	}
	for n := range data {
		if _, _, err := decodeRecord(data[:n]); err == nil {
			t.Fatalf("%d of %d bytes are accepted", n, len(data))
		}
	}
	if _, _, err := decodeRecord(append(bytes.Clone(data), 0)); err == nil {
		t.Fatal("trailing bytes are accepted")
	}
}

func TestValueJSON(t *testing.T) {
	for _, v := range sampleValues {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got Value
		if err := json.Unmarshal(data, &got); err != nil || got != v {
			t.Errorf("%s became %s, %v", v, got, err)
		}
	}
	for _, bad := range []string{`{"type":"int","value":"1.5"}`, `{"type":"other"}`, `{"type":"bytes","value":"*"}`, `[]`} {
		if err := new(Value).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestValueSpellings(t *testing.T) {
	if Float(math.Copysign(0, -1)) != Float(0) || Float(math.NaN()) != Float(math.Float64frombits(0x7ff8000000000002)) {
		t.Error("equal floats differ")
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 7200))
	if Time(at) != Time(at.UTC()) || !Time(at).Time().Equal(at) {
		t.Error("an instant depends on its zone")
	}
}

func TestValidate(t *testing.T) {
	key := []Column{{"id", Int(1)}}
	long := string(make([]byte, MaxNameBytes+1))
	many := make([]Column, MaxColumns+1)
	for name, op := range map[string]Op{
		"kind":             {Kind: 9, Key: key},
		"no key":           {Kind: KindSet, Set: key},
		"set nothing":      {Kind: KindSet, Key: key},
		"insert nothing":   {Kind: KindInsert},
		"increment":        {Kind: KindIncrement, Key: key},
		"delete values":    {Kind: KindDelete, Key: key, Set: []Column{{"x", Int(1)}}},
		"set increments":   {Kind: KindSet, Key: key, Set: []Column{{"x", Int(1)}}, Add: []Delta{{"y", 1}}},
		"null key":         {Kind: KindDelete, Key: []Column{{Name: "id"}}},
		"NaN key":          {Kind: KindDelete, Key: []Column{{"id", Float(math.NaN())}}},
		"set of key":       {Kind: KindSet, Key: key, Set: key},
		"increment of key": {Kind: KindIncrement, Key: key, Add: []Delta{{"id", 1}}},
		"empty name":       {Kind: KindSet, Key: key, Set: []Column{{"", Int(1)}}},
		"long name":        {Kind: KindSet, Key: key, Set: []Column{{long, Int(1)}}},
		"columns":          {Kind: KindSet, Key: key, Set: many},
	} {
		if _, err := newWrite([]Op{op}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	wide := Op{Kind: KindInsert, Key: key}
	for i := range 20 {
		wide.Set = append(wide.Set, Column{string(rune('a' + i)), Int(1)})
	}
	if _, err := newWrite([]Op{wide}); err != nil {
		t.Error(err)
	}
	wide.Set = append(wide.Set, Column{"c", Int(1)})
	if _, err := newWrite([]Op{wide}); err == nil {
		t.Error("a name twice among many: accepted")
	}
}
