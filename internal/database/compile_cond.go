package database

import (
	"strings"

	"github.com/odac-run/odachost/abi"
)

// operand is a condition on the stack.
type operand struct {
	sql   string
	depth int
}

var comparisons = map[abi.CondOp]string{
	abi.CondEq: " = ", abi.CondNe: " <> ", abi.CondLt: " < ", abi.CondLe: " <= ", abi.CondGt: " > ", abi.CondGe: " >= ",
}

// spot is where a condition stands: its list, and its index in it.
type spot struct {
	list list
	join int
	item int
}

// conditions compiles a postfix list. What is left on the stack is joined by and; an empty list is "".
func (b *block) conditions(conds []abi.Cond, at spot) (string, error) {
	if len(conds) > maxConds {
		return "", invalidf("%d conditions are too many, at most %d", len(conds), maxConds)
	}
	var stack []operand
	for i := range conds {
		c := &conds[i]
		switch c.Op {
		case abi.CondAnd, abi.CondOr, abi.CondNot:
			n := int(c.N)
			if c.Op == abi.CondNot {
				n = 1
			}
			if uint64(c.N) > uint64(len(stack)) || n > len(stack) {
				return "", invalidf("condition %d joins the last %d, but only %d stand before it", i, n, len(stack))
			}
			if c.Column != "" || c.Other != "" || c.Func != "" || len(c.Values) > 0 || c.Sub != 0 {
				return "", invalidf("condition %d: and, or and not take no column and no values", i)
			}
			joined := join(c.Op, stack[len(stack)-n:])
			if joined.depth > maxDepth {
				return "", invalidf("conditions are nested deeper than %d", maxDepth)
			}
			stack = append(stack[:len(stack)-n], joined)
		default:
			at.item = i
			o, err := b.leaf(c, at)
			if err != nil {
				return "", err
			}
			stack = append(stack, o)
		}
	}
	if len(stack) == 0 {
		return "", nil
	}
	all := join(abi.CondAnd, stack)
	if b.depth = max(b.depth, all.depth); b.depth > maxDepth {
		return "", invalidf("conditions and sub-queries are nested deeper than %d", maxDepth)
	}
	return all.sql, nil
}

// join puts operands together. Long lists are balanced with parentheses: the database counts the depth of its tree.
func join(op abi.CondOp, operands []operand) operand {
	depth := 0
	for _, o := range operands {
		depth = max(depth, o.depth)
	}
	word := " AND "
	switch op {
	case abi.CondNot:
		return operand{"NOT (" + operands[0].sql + ")", depth + 1}
	case abi.CondOr:
		word = " OR "
		if len(operands) == 0 {
			return operand{"1 = 0", 0}
		}
	default:
		if len(operands) == 0 {
			return operand{"1 = 1", 0}
		}
	}
	if len(operands) == 1 {
		return operands[0]
	}
	var b strings.Builder
	balance(&b, word, operands)
	return operand{b.String(), depth + 1}
}

func balance(b *strings.Builder, word string, operands []operand) {
	if len(operands) == 1 {
		b.WriteString(operands[0].sql)
		return
	}
	b.WriteByte('(')
	if len(operands) <= 8 {
		for i, o := range operands {
			if i > 0 {
				b.WriteString(word)
			}
			b.WriteString(o.sql)
		}
	} else {
		balance(b, word, operands[:len(operands)/2])
		b.WriteString(word)
		balance(b, word, operands[len(operands)/2:])
	}
	b.WriteByte(')')
}

// leaf compiles what is not and, or and not.
func (b *block) leaf(c *abi.Cond, at spot) (operand, error) {
	if c.Op > abi.CondNotExists {
		return operand{}, invalidf("operator %d of a condition is unknown", c.Op)
	}
	if c.N != 0 {
		return operand{}, invalidf("condition on %s: only and and or count others", clip(c.Column))
	}
	if c.Sub != 0 || c.Op >= abi.CondExists {
		return b.subcondition(c, at)
	}
	sql, err := b.comparison(c, at)
	return operand{sql: sql}, err
}

// comparison compares a column with values or with another column.
func (b *block) comparison(c *abi.Cond, at spot) (string, error) {
	left, column, err := b.compared(c, at)
	if err != nil {
		return "", err
	}
	if c.Other != "" {
		return b.columns(c, left, column)
	}
	if err := checkValues(c); err != nil {
		return "", err
	}
	switch c.Op {
	case abi.CondNull:
		return left + " IS NULL", nil
	case abi.CondNotNull:
		return left + " IS NOT NULL", nil
	case abi.CondIn, abi.CondNotIn:
		return b.inList(c, left, column, at), nil
	case abi.CondBetween:
		left = b.dialect.sortable(left, column)
		return left + " BETWEEN " + b.value(column, useCompare, at, 0) + " AND " + b.value(column, useCompare, at, 1), nil
	case abi.CondLike, abi.CondNotLike:
		sql := b.dialect.like(left, b.value(column, useLike, at, 0))
		if c.Op == abi.CondNotLike {
			return "NOT (" + sql + ")", nil
		}
		return sql, nil
	case abi.CondEq, abi.CondNe:
		if c.Values[0].IsNull() {
			if c.Op == abi.CondEq {
				return left + " IS NULL", nil
			}
			return left + " IS NOT NULL", nil
		}
		return left + comparisons[c.Op] + b.value(column, useCompare, at, 0), nil
	}
	return b.dialect.sortable(left, column) + comparisons[c.Op] + b.value(column, useCompare, at, 0), nil
}

// value is the parameter for a condition's i-th value.
func (b *block) value(column *Column, u use, at spot, i int) string {
	if at.list == listFixed {
		return b.param(param{column: column, use: u, list: listFixed, sub: -1, fixed: &b.fixed[at.item].Values[i]})
	}
	return b.param(param{column: column, use: u, list: at.list, sub: int16(b.sub), join: uint16(at.join), item: uint16(at.item), value: uint16(i)})
}

// compared is the left side: a column, in having also an aggregate or an output column.
func (b *block) compared(c *abi.Cond, at spot) (string, *Column, error) {
	having := at.list == listHaving
	if c.Func != "" {
		if !having {
			return "", nil, invalidf("%s of %s can be compared in having only", clip(c.Func), clip(c.Column))
		}
		return b.function(c.Func, c.Column, false)
	}
	if having {
		if o, ok := b.aliased[c.Column]; ok {
			return o.sql, o.column, nil
		}
		if sql, column, err := b.column(c.Column); err != nil || b.grouped[sql] {
			return sql, column, err
		}
		return "", nil, invalidf("having compares %s, which is neither in group nor an alias: use where", clip(c.Column))
	}
	return b.column(c.Column)
}

// nested compares with a sub-query, or asks whether it has rows.
func (b *block) subcondition(c *abi.Cond, at spot) (operand, error) {
	if len(c.Values) > 0 || c.Other != "" {
		return operand{}, invalidf("condition on %s: a sub-query stands in the place of values and of another column", clip(c.Column))
	}
	word, compares := comparisons[c.Op]
	switch c.Op {
	case abi.CondExists, abi.CondNotExists:
		if c.Column != "" || c.Func != "" {
			return operand{}, invalidf("exists is asked of a sub-query alone, not of %s", clip(c.Column))
		}
		inner, sql, err := b.nest(c.Sub, b)
		if err != nil {
			return operand{}, err
		}
		if inner.sel.Distinct && inner.sel.Offset != 0 { // SQLite forgets distinct here, and skips rows that it should not count
			sql = "SELECT 1 FROM (" + sql + ") AS " + b.dialect.quote("rows")
		}
		sql = "EXISTS (" + sql + ")"
		if c.Op == abi.CondNotExists {
			sql = "NOT " + sql
		}
		return operand{sql, inner.depth + 1}, nil
	case abi.CondIn:
		word = " IN "
	case abi.CondNotIn:
		word = " NOT IN "
	default:
		if !compares {
			return operand{}, invalidf("condition on %s: a sub-query goes with eq, ne, lt, le, gt, ge, in, not in and exists", clip(c.Column))
		}
	}
	left, column, err := b.compared(c, at)
	if err != nil {
		return operand{}, err
	}
	inner, sql, err := b.nest(c.Sub, b)
	if err != nil {
		return operand{}, err
	}
	if len(inner.out) != 1 {
		return operand{}, invalidf("condition on %s: its sub-query selects %s, it needs one", clip(c.Column), plural(len(inner.out), "column"))
	}
	other := inner.out[0]
	if family(column.Type) != family(other.Type) && column.Type != TypeAny && other.Type != TypeAny {
		return operand{}, invalidf("%s and %s of its sub-query are of different types", clip(c.Column), clip(inner.names[0]))
	}
	if column.Type == other.Type {
		left = b.dialect.sortable(left, column)
	}
	return operand{left + word + "(" + sql + ")", inner.depth + 1}, nil
}

// columns compares two columns.
func (b *block) columns(c *abi.Cond, left string, column *Column) (string, error) {
	word, ok := comparisons[c.Op]
	if !ok || len(c.Values) > 0 {
		return "", invalidf("condition on %s: columns are compared by eq, ne, lt, le, gt or ge, without values", clip(c.Column))
	}
	right, other, err := b.column(c.Other)
	if err != nil {
		return "", err
	}
	if family(column.Type) != family(other.Type) && column.Type != TypeAny && other.Type != TypeAny {
		return "", invalidf("%s and %s are of different types", clip(c.Column), clip(c.Other))
	}
	if column.Type == other.Type {
		left = b.dialect.sortable(left, column)
	}
	return left + word + right, nil
}

// family is the same for types whose values compare with each other.
func family(t Type) Type {
	switch t {
	case TypeFloat, TypeDecimal:
		return TypeInt
	case TypeUUID:
		return TypeText
	}
	return t
}

func (b *block) inList(c *abi.Cond, left string, column *Column, at spot) string {
	if len(c.Values) == 0 {
		if c.Op == abi.CondIn {
			return "1 = 0"
		}
		return "1 = 1"
	}
	var text strings.Builder
	text.WriteString(left)
	if c.Op == abi.CondNotIn {
		text.WriteString(" NOT")
	}
	text.WriteString(" IN (")
	for i := range c.Values {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(b.value(column, useCompare, at, i))
	}
	text.WriteByte(')')
	return text.String()
}

func checkValues(c *abi.Cond) error {
	want := 1
	switch c.Op {
	case abi.CondNull, abi.CondNotNull:
		want = 0
	case abi.CondBetween:
		want = 2
	case abi.CondIn, abi.CondNotIn:
		want = len(c.Values)
	}
	if len(c.Values) != want {
		return invalidf("condition on %s: %s given, %d needed", clip(c.Column), plural(len(c.Values), "value"), want)
	}
	if c.Op == abi.CondEq || c.Op == abi.CondNe {
		return nil
	}
	for _, v := range c.Values {
		if v.IsNull() {
			return invalidf("condition on %s: null compares by eq and ne only", clip(c.Column))
		}
	}
	return nil
}
