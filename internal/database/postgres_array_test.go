package database

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// What a guest gives as an array reads back as what it was, and no form of it is written that PostgreSQL would read as something else: the
// text goes through the server's own grammar in reverse.
func FuzzPostgresArray(f *testing.F) {
	for _, doc := range []string{`[]`, `[1,null,-2.5]`, `["a,b","q\"\\","","NULL","{}",null]`, `[[1,2],[3,4]]`, `[true,false]`, `["\u0000\u001f\ud83d\ude00"]`, `[" "]`, `[{"a":1}]`, `{`, `[1e400]`} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if !isArray(doc) {
			return
		}
		text, err := appendArray(nil, doc, false)
		if err != nil {
			return // an object among the elements
		}
		var want, got any
		numbers := json.NewDecoder(strings.NewReader(doc))
		numbers.UseNumber()
		if err := numbers.Decode(&want); err != nil {
			t.Fatal(err)
		}
		back := appendArrayJSON(nil, text, TypeText)
		if err := json.Unmarshal(back, &got); err != nil {
			t.Fatalf("%s became %s, which became %s: %v", doc, text, back, err)
		}
		if !reflect.DeepEqual(words(want), words(got)) {
			t.Fatalf("%s became %s, which became %s", doc, text, back)
		}
		documents, err := appendArray(nil, doc, true)
		if err != nil {
			t.Fatal(err)
		}
		back = appendArrayJSON(nil, documents, TypeJSON)
		numbers = json.NewDecoder(bytes.NewReader(back))
		numbers.UseNumber()
		if err := numbers.Decode(&got); err != nil || !reflect.DeepEqual(want, got) {
			t.Fatalf("documents %s became %s, which became %s", doc, documents, back)
		}
	})
}

// words gives scalars as text, which is what the elements of an unknown type come back as.
func words(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = words(v[i])
		}
		return out
	case nil:
		return nil
	case string:
		return v
	case bool:
		if v {
			return "true"
		}
		return "false"
	case json.Number:
		return v.String()
	}
	return v
}

// Whatever bytes a server sends, the answer is one value of a row.
func FuzzPostgresDecode(f *testing.F) {
	f.Add(uint8(decodeInt), uint8(TypeInt), []byte{0, 0, 0, 1})
	f.Add(uint8(decodeInstant), uint8(TypeTime), []byte{0x80, 0, 0, 0, 0, 0, 0, 1})
	f.Add(uint8(decodeArray), uint8(TypeJSON), []byte(`[0:1]={"{\"a\":1}",NULL}`))
	f.Add(uint8(decodeClock), uint8(TypeClock), []byte{0, 0, 0, 20, 29, 255, 255, 255})
	f.Add(uint8(decodeArray), uint8(TypeBool), []byte(`{t,f,`))
	f.Fuzz(func(t *testing.T, kind, elem uint8, v []byte) {
		d := decoder{decoderKind(kind % uint8(decodeArray+1)), Type(elem % uint8(TypeArray+1))}
		var w abi.RowWriter
		w.Begin(1)
		d.write(&w, v, new(postgresState))
		w.End()
		row, values, rest, ok := abi.CutRow(w.Out)
		if !ok || values != 1 || len(rest) != 0 {
			t.Fatalf("%+v of %x: %x, %d values, %d bytes left", d, v, w.Out, values, len(rest))
		}
		if value, ok := abi.RowValue(row, 0); !ok {
			t.Fatalf("%+v of %x: %x is %v", d, v, w.Out, value)
		}
	})
}

func TestInstants(t *testing.T) {
	for micros, want := range map[int64]string{
		0: "2000-01-01T00:00:00Z", -1: "1999-12-31T23:59:59.999999Z", math.MaxInt64: "infinity", math.MinInt64: "-infinity", -946684800e6 - 1: "1969-12-31T23:59:59.999999Z",
	} {
		var w abi.RowWriter
		w.Begin(1)
		writeMicros(&w, micros)
		if v, ok := abi.RowValue(w.Out, 0); !ok || v.String() != want {
			t.Errorf("%d: %v, %v", micros, v, ok)
		}
	}
}
