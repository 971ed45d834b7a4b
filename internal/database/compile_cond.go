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

// conditions compiles a postfix list. What is left on the stack is joined by and; an empty list is "".
func (k *compiler) conditions(conds []abi.Cond, having bool) (string, error) {
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
			if c.Column != "" || c.Other != "" || c.Func != "" || len(c.Values) > 0 {
				return "", invalidf("condition %d: and, or and not take no column and no values", i)
			}
			joined := join(c.Op, stack[len(stack)-n:])
			if joined.depth > maxDepth {
				return "", invalidf("conditions are nested deeper than %d", maxDepth)
			}
			stack = append(stack[:len(stack)-n], joined)
		default:
			sql, err := k.comparison(c, having)
			if err != nil {
				return "", err
			}
			stack = append(stack, operand{sql: sql})
		}
	}
	if len(stack) == 0 {
		return "", nil
	}
	return join(abi.CondAnd, stack).sql, nil
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

// comparison compiles one leaf.
func (k *compiler) comparison(c *abi.Cond, having bool) (string, error) {
	if c.Op > abi.CondNotLike {
		return "", invalidf("operator %d of a condition is unknown", c.Op)
	}
	if c.N != 0 {
		return "", invalidf("condition on %s: only and and or count others", clip(c.Column))
	}
	left, column, err := k.compared(c, having)
	if err != nil {
		return "", err
	}
	if c.Other != "" {
		return k.columns(c, left, column)
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
		return k.list(c, left, column), nil
	case abi.CondBetween:
		left = k.dialect.sortable(left, column)
		return left + " BETWEEN " + k.param(column, useCompare) + " AND " + k.param(column, useCompare), nil
	case abi.CondLike, abi.CondNotLike:
		sql := k.dialect.like(left, k.param(column, useLike))
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
		return left + comparisons[c.Op] + k.param(column, useCompare), nil
	}
	return k.dialect.sortable(left, column) + comparisons[c.Op] + k.param(column, useCompare), nil
}

// compared is the left side: a column, in having also an aggregate or an output column.
func (k *compiler) compared(c *abi.Cond, having bool) (string, *Column, error) {
	if c.Func != "" {
		if !having {
			return "", nil, invalidf("%s of %s can be compared in having only", clip(c.Func), clip(c.Column))
		}
		return k.function(c.Func, c.Column)
	}
	if having {
		if o, ok := k.names[c.Column]; ok {
			return o.sql, o.column, nil
		}
		if sql, column, err := k.column(c.Column); err != nil || k.grouped[sql] {
			return sql, column, err
		}
		return "", nil, invalidf("having compares %s, which is neither in group nor an alias: use where", clip(c.Column))
	}
	return k.column(c.Column)
}

// columns compares two columns.
func (k *compiler) columns(c *abi.Cond, left string, column *Column) (string, error) {
	word, ok := comparisons[c.Op]
	if !ok || len(c.Values) > 0 {
		return "", invalidf("condition on %s: columns are compared by eq, ne, lt, le, gt or ge, without values", clip(c.Column))
	}
	right, other, err := k.column(c.Other)
	if err != nil {
		return "", err
	}
	if family(column.Type) != family(other.Type) && column.Type != TypeAny && other.Type != TypeAny {
		return "", invalidf("%s and %s are of different types", clip(c.Column), clip(c.Other))
	}
	if column.Type == other.Type {
		left = k.dialect.sortable(left, column)
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

func (k *compiler) list(c *abi.Cond, left string, column *Column) string {
	if len(c.Values) == 0 {
		if c.Op == abi.CondIn {
			return "1 = 0"
		}
		return "1 = 1"
	}
	var b strings.Builder
	b.WriteString(left)
	if c.Op == abi.CondNotIn {
		b.WriteString(" NOT")
	}
	b.WriteString(" IN (")
	for i := range c.Values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(k.param(column, useCompare))
	}
	b.WriteByte(')')
	return b.String()
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
