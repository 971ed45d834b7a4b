package database

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// three is SQL's truth value: 0 false, 1 unknown, 2 true.
type three int

func of(b bool) three {
	if b {
		return 2
	}
	return 0
}

// naive evaluates a postfix condition over one row of users, slowly and obviously.
func naive(conds []abi.Cond, row map[string]abi.Value) bool {
	var stack []three
	pop := func(n int) []three {
		out := stack[len(stack)-n:]
		stack = stack[:len(stack)-n]
		return out
	}
	for _, c := range conds {
		switch c.Op {
		case abi.CondNot:
			stack = append(stack, 2-pop(1)[0])
		case abi.CondAnd, abi.CondOr:
			result := of(c.Op == abi.CondAnd)
			for _, x := range pop(int(c.N)) {
				if c.Op == abi.CondAnd {
					result = min(result, x)
				} else {
					result = max(result, x)
				}
			}
			stack = append(stack, result)
		default:
			stack = append(stack, leaf(c, row))
		}
	}
	for _, x := range stack {
		if x != 2 {
			return false
		}
	}
	return true
}

func leaf(c abi.Cond, row map[string]abi.Value) three {
	v := row[c.Column]
	if c.Other != "" {
		c.Values = abi.Values{row[c.Other]}
		if c.Values[0].IsNull() {
			return 1
		}
	}
	switch {
	case c.Op == abi.CondNull, c.Op == abi.CondEq && c.Values[0].IsNull():
		return of(v.IsNull())
	case c.Op == abi.CondNotNull, c.Op == abi.CondNe && c.Values[0].IsNull():
		return of(!v.IsNull())
	case c.Op == abi.CondIn && len(c.Values) == 0:
		return 0
	case c.Op == abi.CondNotIn && len(c.Values) == 0:
		return 2
	case v.IsNull():
		return 1
	}
	cmp := func(w abi.Value) int {
		if v.Kind() == abi.KindInt {
			return int(v.AsInt() - w.AsInt())
		}
		return strings.Compare(v.AsText(), w.AsText())
	}
	switch c.Op {
	case abi.CondEq:
		return of(cmp(c.Values[0]) == 0)
	case abi.CondNe:
		return of(cmp(c.Values[0]) != 0)
	case abi.CondLt:
		return of(cmp(c.Values[0]) < 0)
	case abi.CondLe:
		return of(cmp(c.Values[0]) <= 0)
	case abi.CondGt:
		return of(cmp(c.Values[0]) > 0)
	case abi.CondGe:
		return of(cmp(c.Values[0]) >= 0)
	case abi.CondBetween:
		return of(cmp(c.Values[0]) >= 0 && cmp(c.Values[1]) <= 0)
	case abi.CondLike:
		return of(like(v.AsText(), c.Values[0].AsText()))
	case abi.CondNotLike:
		return of(!like(v.AsText(), c.Values[0].AsText()))
	}
	in := false
	for _, w := range c.Values {
		in = in || cmp(w) == 0
	}
	return of(in == (c.Op == abi.CondIn))
}

func like(s, pattern string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '%':
		return like(s, pattern[1:]) || s != "" && like(s[1:], pattern)
	case s == "":
		return false
	case pattern[0] == '_':
		return like(s[1:], pattern[1:])
	case pattern[0] == '\\' && len(pattern) > 1:
		return s[0] == pattern[1] && like(s[1:], pattern[2:])
	}
	return strings.EqualFold(s[:1], pattern[:1]) && like(s[1:], pattern[1:])
}

// randomConds draws a well-formed condition.
func randomConds(r *rand.Rand) []abi.Cond {
	letters := []string{"a", "b", "ab", "B", "a_b", "a%b", ""}
	var out []abi.Cond
	depth := 0
	for range 1 + r.IntN(8) {
		if depth > 0 && r.IntN(3) == 0 {
			switch op := abi.CondOp(r.IntN(3)); op {
			case abi.CondNot:
				out = append(out, abi.Cond{Op: op})
			default:
				n := r.IntN(depth + 1)
				out = append(out, abi.Cond{Op: op, N: uint32(n)})
				depth += 1 - n
			}
			continue
		}
		c := abi.Cond{Op: abi.CondEq + abi.CondOp(r.IntN(13)), Column: "age"}
		draw := func() abi.Value { return abi.Int(int64(r.IntN(5))) }
		if c.Op >= abi.CondLike || r.IntN(2) == 0 {
			c.Column = "name"
			patterns := append(letters, "%", "_", "a%", "%b", `a\%b`, `a\_b`, "%a%")
			draw = func() abi.Value { return abi.Text(patterns[r.IntN(len(patterns))]) }
		}
		switch c.Op {
		case abi.CondNull, abi.CondNotNull:
		case abi.CondBetween:
			c.Values = abi.Values{draw(), draw()}
		case abi.CondIn, abi.CondNotIn:
			for range r.IntN(4) {
				c.Values = append(c.Values, draw())
			}
		case abi.CondEq, abi.CondNe, abi.CondLt, abi.CondLe, abi.CondGt, abi.CondGe:
			switch x := r.IntN(6); {
			case x == 0 && c.Op <= abi.CondNe:
				c.Values = abi.Values{abi.Null()}
			case x == 1 && c.Column == "age":
				c.Other = "boss"
			default:
				c.Values = abi.Values{draw()}
			}
		default:
			c.Values = abi.Values{draw()}
		}
		out = append(out, c)
		depth++
	}
	return out
}

// Conditions mean what an evaluation in memory says, with SQL's three truth values.
func TestConditionsDifferential(t *testing.T) { onEngines(t, testConditionsDifferential) }

func testConditionsDifferential(t *testing.T, db *DB) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "b", "ab", "B", "a_b", "a%b", "axb"}
	var rows []map[string]abi.Value
	for i := range 60 {
		row := map[string]abi.Value{"name": abi.Text(letters[r.IntN(len(letters))]), "age": abi.Int(int64(r.IntN(5))), "boss": abi.Int(int64(1 + r.IntN(i+1)))}
		if r.IntN(4) == 0 {
			row["age"] = abi.Null()
		}
		if i > 0 && r.IntN(3) == 0 {
			row["boss"] = abi.Null()
		}
		rows = append(rows, row)
		must(t, db, insert("users", "id", i+1, "name", row["name"], "age", row["age"], "boss", row["boss"]))
	}
	for i := range 1000 {
		conds := randomConds(r)
		var want []string
		for id, row := range rows {
			if naive(conds, row) {
				want = append(want, fmt.Sprint(id+1))
			}
		}
		got := must(t, db, &abi.Query{Table: "users", Columns: []abi.Column{{Name: "id"}}, Where: conds, Order: []abi.Order{{Column: "id"}}})
		if text := strings.Join(append([]string{"id"}, want...), "\n"); table(got) != text {
			t.Fatalf("query %d: %+v\ngot %s\nwant %s", i, conds, strings.ReplaceAll(table(got), "\n", " "), strings.ReplaceAll(text, "\n", " "))
		}
	}
}
