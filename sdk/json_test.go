package odac

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// plainValue draws a value of the kinds that answers are made of.
func plainValue(r *rand.Rand, deep int) any {
	texts := []string{"", "plain", "it's", `a "b" \\ c`, "<p>&amp;", "caf\u00e9 \U0001f600", "line\n\ttab\x00", "\u2028", "\xff\xfe", strings.Repeat("x", 300)}
	n := 14
	if deep == 0 {
		n = 9
	}
	switch r.IntN(n) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return int(r.Int64()) - math.MaxInt64/2
	case 3:
		return r.Int64()
	case 4:
		return []float64{0, -0.5, 1e21, 1e-7, math.MaxFloat64, 3}[r.IntN(6)]
	case 5:
		return time.Unix(r.Int64N(1<<32), r.Int64N(1e9)).UTC()
	case 6:
		return []byte(texts[r.IntN(len(texts))])
	case 7:
		return struct {
			A string `json:"a"`
			B any
		}{texts[r.IntN(len(texts))], r.IntN(9)}
	case 8:
		return texts[r.IntN(len(texts))]
	case 9:
		return []string{texts[r.IntN(len(texts))], "b"}[:r.IntN(3)]
	case 10:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = plainValue(r, deep-1)
		}
		return list
	case 11:
		return []Map{{texts[r.IntN(len(texts))]: plainValue(r, deep-1)}, nil}[:r.IntN(3)]
	}
	m := map[string]any{}
	for range r.IntN(20) {
		m[texts[r.IntN(len(texts))]+string(rune('a'+r.IntN(26)))] = plainValue(r, deep-1)
	}
	if r.IntN(2) == 0 {
		return Map(m)
	}
	return m
}

// The short way says the same as package json.
func TestAppendJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := []any{[]string(nil), []any(nil), Map(nil), map[string]any(nil), []Row(nil), []Row{}, uint8(3), math.MinInt64, make(chan int), math.NaN(), Map{"a": math.Inf(1)}}
	for range 3000 {
		values = append(values, plainValue(r, 4))
	}
	var nested any = "deep"
	for range 3 * maxPlain {
		nested = []any{Map{"in": nested}}
	}
	values = append(values, nested)
	for _, v := range values {
		want, wrong := json.Marshal(v)
		got, err := appendJSON([]byte("before"), v)
		if (err == nil) != (wrong == nil) || err == nil && string(got) != "before"+string(want) {
			t.Fatalf("%T %.300v: %.300q, %v; want %.300q, %v", v, v, got, err, want, wrong)
		}
	}
	itself := Map{}
	itself["itself"] = []any{itself}
	if _, err := appendJSON(nil, itself); err == nil {
		t.Error("a map that contains itself was written")
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	v := Map{"id": 7, "name": "The item number 7", "note": "What there is to say of it is said in a line or two."}
	b.Run("short", func(b *testing.B) {
		var out []byte
		for b.Loop() {
			out, _ = appendJSON(out[:0], v)
		}
	})
	b.Run("package json", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(v)
		}
	})
}
