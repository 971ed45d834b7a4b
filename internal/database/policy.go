package database

import (
	"cmp"
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// policy is the condition on the rows of a table, checked against its columns: all of its parts must hold. Each is postfix, with values
// as their columns hold them.
type policy [][]abi.Cond

// policyOf checks a condition. Without one it is nil.
func policyOf(t *Table, where []abi.Cond) (policy, error) {
	type operand struct{ parts policy }
	var stack []operand
	for _, c := range where {
		switch c.Op {
		case abi.CondAnd, abi.CondOr:
			if int(c.N) > len(stack) || c.N == 0 {
				return nil, invalidf("the policy is not well formed")
			}
			last := stack[len(stack)-int(c.N):]
			var joined policy
			for _, o := range last {
				joined = append(joined, o.parts...)
			}
			if c.Op == abi.CondOr {
				var whole []abi.Cond
				for _, o := range last {
					whole = append(whole, slices.Concat(o.parts...)...)
					whole = append(whole, abi.Cond{Op: abi.CondAnd, N: uint32(len(o.parts))})
				}
				joined = policy{append(whole, abi.Cond{Op: abi.CondOr, N: c.N})}
			}
			stack = append(stack[:len(stack)-int(c.N)], operand{joined})
		default:
			checked, err := policyCond(t, c)
			if err != nil {
				return nil, err
			}
			stack = append(stack, operand{policy{{checked}}})
		}
	}
	var all policy
	for _, o := range stack {
		all = append(all, o.parts...)
	}
	return all, nil
}

// policyCond checks one comparison.
func policyCond(t *Table, c abi.Cond) (abi.Cond, error) {
	column, ok := t.Column(c.Column)
	if !ok {
		return c, invalidf("table %s has no column %s, which the policy compares", t.Name, clip(c.Column))
	}
	switch column.Type {
	case TypeBool, TypeInt, TypeDecimal, TypeText, TypeUUID: // those that are stored as they are given
	default:
		return c, invalidf("the policy compares %s.%s: it can compare text, integers, decimals and booleans, not %s", t.Name, c.Column, strings.ToLower(column.Declared))
	}
	want, ordered := 1, false
	switch c.Op {
	case abi.CondEq, abi.CondNe:
	case abi.CondLt, abi.CondLe, abi.CondGt, abi.CondGe:
		ordered = true
	case abi.CondIn, abi.CondNotIn:
		want = max(1, len(c.Values))
	case abi.CondNull, abi.CondNotNull:
		want = 0
	default:
		return c, invalidf("operator %d is none of a policy", c.Op)
	}
	if len(c.Values) != want || c.Other != "" || c.Func != "" || c.Sub != 0 {
		return c, invalidf("the policy on %s.%s is not well formed", t.Name, c.Column)
	}
	if column.Generated {
		return c, invalidf("the policy compares %s.%s, which the database computes", t.Name, c.Column)
	}
	if ordered && column.Type != TypeInt && column.Type != TypeDecimal {
		return c, invalidf("the policy orders %s.%s, which is no number: databases sort text in different ways", t.Name, c.Column)
	}
	values := make(abi.Values, len(c.Values))
	for i, v := range c.Values {
		var err error
		if values[i], err = column.accept(v, useCompare); err != nil {
			return c, err
		}
		if values[i].IsNull() || values[i].Kind() != wantedKind(column.Type) {
			return c, invalidf("the policy compares %s.%s with %s, which is none of its values", t.Name, c.Column, v.Kind())
		}
	}
	return abi.Cond{Op: c.Op, Column: c.Column, Values: values}, nil
}

func wantedKind(t Type) abi.Kind {
	switch t {
	case TypeBool:
		return abi.KindBool
	case TypeInt:
		return abi.KindInt
	case TypeDecimal:
		return abi.KindDecimal
	}
	return abi.KindText
}

// pins are the columns that the policy allows one value only.
func (p policy) pins() map[string]abi.Value {
	pins := map[string]abi.Value{}
	for _, part := range p {
		if len(part) == 1 && part[0].Op == abi.CondEq {
			pins[part[0].Column] = part[0].Values[0]
		}
	}
	return pins
}

// partColumns are the columns that conditions name.
func partColumns(part []abi.Cond) (names []string) {
	for _, c := range part {
		if c.Column != "" {
			names = appendNew(names, c.Column)
		}
	}
	return names
}

// guard looks at a row before it is written. It is of a policy's parts whose columns are all written.
type guard struct {
	table string
	parts policy
	at    map[string]int // of each column, its place in the row
	cols  map[string]*Column
}

// check refuses a row of which the policy is not true. Values are as their columns hold them. Where it cannot be sure what the database would say, it
// refuses.
func (g *guard) check(row abi.Values) error {
	for _, part := range g.parts {
		if !g.holds(part, row) {
			return failf(abi.ErrnoDenied, "the row is out of the policy on table %s: %s", g.table, strings.Join(partColumns(part), ", "))
		}
	}
	return nil
}

func (g *guard) holds(part []abi.Cond, row abi.Values) bool {
	var stack []bool
	for _, c := range part {
		switch c.Op {
		case abi.CondAnd, abi.CondOr:
			last := stack[len(stack)-int(c.N):]
			stack = append(stack[:len(stack)-int(c.N)], slices.Contains(last, true) && (c.Op == abi.CondOr || !slices.Contains(last, false)))
		default:
			stack = append(stack, compares(c, row[g.at[c.Column]]))
		}
	}
	return len(stack) == 1 && stack[0]
}

// compares says whether the comparison is true of a value, whatever the collation of its column.
func compares(c abi.Cond, v abi.Value) bool {
	switch {
	case c.Op == abi.CondNull:
		return v.IsNull()
	case v.IsNull():
		return false
	case c.Op == abi.CondNotNull:
		return true
	case c.Op == abi.CondEq, c.Op == abi.CondIn:
		return slices.ContainsFunc(c.Values, func(w abi.Value) bool { return alike(v, w) })
	case c.Op == abi.CondNe, c.Op == abi.CondNotIn:
		return !slices.ContainsFunc(c.Values, func(w abi.Value) bool { return !unlike(v, w) })
	}
	n, ok := compareNumbers(v, c.Values[0])
	switch c.Op {
	case abi.CondLt:
		return ok && n < 0
	case abi.CondLe:
		return ok && n <= 0
	case abi.CondGt:
		return ok && n > 0
	case abi.CondGe:
		return ok && n >= 0
	}
	return false
}

// compareNumbers compares values of one column.
func compareNumbers(a, b abi.Value) (int, bool) {
	switch {
	case a.Kind() != b.Kind():
		return 0, false
	case a.Kind() == abi.KindInt:
		return cmp.Compare(a.AsInt(), b.AsInt()), true
	case a.Kind() == abi.KindDecimal:
		return compareDecimal(a.AsText(), b.AsText()), true
	}
	return 0, false
}

// alike says that two values of one column are equal to every database.
func alike(a, b abi.Value) bool {
	if n, ok := compareNumbers(a, b); ok {
		return n == 0
	}
	return a.Kind() == b.Kind() && (a.Kind() == abi.KindText && a.AsText() == b.AsText() || a.Kind() == abi.KindBool && a.AsBool() == b.AsBool())
}

// unlike says that two values of one column are unequal to every database, of which some take letters, accents and spaces at the end for the same.
func unlike(a, b abi.Value) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	if a.Kind() != abi.KindText {
		return !alike(a, b)
	}
	ascii := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) }
	x, y := strings.TrimRight(a.AsText(), " "), strings.TrimRight(b.AsText(), " ")
	return ascii(x) && ascii(y) && !strings.EqualFold(x, y)
}
