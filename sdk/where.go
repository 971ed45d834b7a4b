package odac

import (
	"slices"
	"unsafe"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/slab"
)

// The pieces that queries and their results are made of.
var (
	columnSlab slab.Slab[column]
	condSlab   slab.Slab[abi.Cond]
	valueSlab  slab.Slab[abi.Value]
	stringSlab slab.Slab[string]
	rowSlab    slab.Slab[Row]
)

// column is [abi.Column] without its methods, which would be part of every plugin.
type column abi.Column

// takeColumns is n new columns.
func takeColumns(n int) []abi.Column {
	list := columnSlab.Take(n)
	return *(*[]abi.Column)(unsafe.Pointer(&list))
}

// conds is a condition in postfix order, as the ABI wants it: depth items on the stack are joined by and.
type conds struct {
	list  []abi.Cond
	depth uint32
}

func (w conds) and(c ...abi.Cond) conds {
	return conds{condSlab.Joined(w.list, c...), w.depth + 1}
}

func (w conds) or(c ...abi.Cond) conds {
	if w.depth == 0 {
		return w.and(c...)
	}
	list := condSlab.Joined(w.one().list, c...)
	return conds{condSlab.Joined(list, abi.Cond{Op: abi.CondOr, N: 2}), 1}
}

// one joins what is on the stack into one item.
func (w conds) one() conds {
	if w.depth < 2 {
		return w
	}
	return conds{condSlab.Joined(w.list, abi.Cond{Op: abi.CondAnd, N: w.depth}), 1}
}

// Where adds a condition that must hold as well: Where("id", 7), or with an operator Where("views", ">", 100). Operators are
// = != < <= > >= like, not like, in, not in. Equal to nil means "is null". The value may be a [Query] that selects one column, and but for in
// has one row at most.
func (q Query) Where(column string, args ...any) Query {
	if isSub(args) {
		q, c := q.compareSub(column, args)
		q.where = q.where.and(c)
		return q
	}
	c, err := compare(column, args)
	if err != "" {
		return q.fail(err)
	}
	q.where = q.where.and(c)
	return q
}

// isSub says whether the value of a comparison is a sub-query.
func isSub(args []any) bool {
	if len(args) == 0 {
		return false
	}
	_, ok := args[len(args)-1].(Query)
	return ok
}

// compareSub compares a column with a sub-query.
func (q Query) compareSub(column string, args []any) (Query, abi.Cond) {
	last := len(args) - 1
	c, err := compare(column, append(slices.Clone(args[:last]), nil))
	if err != "" {
		return q.fail(err), c
	}
	c.Values = nil
	q, c.Sub = q.use(args[last].(Query))
	return q, c
}

// OrWhere makes the condition "everything so far, or this". Conditions are read from left to right without precedence, so
// a later Where applies to the whole.
func (q Query) OrWhere(column string, args ...any) Query {
	if isSub(args) {
		q, c := q.compareSub(column, args)
		q.where = q.where.or(c)
		return q
	}
	c, err := compare(column, args)
	if err != "" {
		return q.fail(err)
	}
	q.where = q.where.or(c)
	return q
}

// WhereIn keeps rows whose column is one of the values, given one by one, as a slice, or as a query that selects one column. Of no
// values none is.
func (q Query) WhereIn(column string, values ...any) Query {
	return q.whereList(abi.CondIn, column, values)
}

// WhereNotIn keeps rows whose column is none of the values.
func (q Query) WhereNotIn(column string, values ...any) Query {
	return q.whereList(abi.CondNotIn, column, values)
}

// WhereBetween keeps rows whose column is from low to high, both included.
func (q Query) WhereBetween(column string, low, high any) Query {
	return q.whereList(abi.CondBetween, column, []any{low, high})
}

func (q Query) whereList(op abi.CondOp, column string, values []any) Query {
	if len(values) == 1 {
		if sub, ok := values[0].(Query); ok {
			q, n := q.use(sub)
			q.where = q.where.and(abi.Cond{Op: op, Column: column, Sub: n})
			return q
		}
	}
	list, err := valueList(values)
	if err != "" {
		return q.fail(column + ": " + err)
	}
	q.where = q.where.and(abi.Cond{Op: op, Column: column, Values: list})
	return q
}

// WhereNull keeps rows whose column is null.
func (q Query) WhereNull(column string) Query {
	q.where = q.where.and(abi.Cond{Op: abi.CondNull, Column: column})
	return q
}

// WhereNotNull keeps rows whose column is not null.
func (q Query) WhereNotNull(column string) Query {
	q.where = q.where.and(abi.Cond{Op: abi.CondNotNull, Column: column})
	return q
}

// WhereColumn compares two columns: WhereColumn("updated_at", ">", "created_at").
func (q Query) WhereColumn(column, op, other string) Query {
	o, ok := operator(op)
	if !ok || o == abi.CondIn || o == abi.CondNotIn {
		return q.fail(`WhereColumn does not know the operator "` + op + `"`)
	}
	q.where = q.where.and(abi.Cond{Op: o, Column: column, Other: other})
	return q
}

// WhereGroup adds a condition in brackets: q.WhereGroup(func(w odac.Query) odac.Query { return w.Where("a", 1).OrWhere("b", 2) }).
func (q Query) WhereGroup(group func(w Query) Query) Query {
	q, w := q.group(group)
	q.where = q.where.and(w.list...)
	return q
}

// OrWhereGroup makes the condition "everything so far, or this in brackets".
func (q Query) OrWhereGroup(group func(w Query) Query) Query {
	q, w := q.group(group)
	q.where = q.where.or(w.list...)
	return q
}

// WhereNot adds the opposite of a condition in brackets.
func (q Query) WhereNot(group func(w Query) Query) Query {
	q, w := q.group(group)
	q.where = q.where.and(append(w.list, abi.Cond{Op: abi.CondNot})...)
	return q
}

func (q Query) group(group func(w Query) Query) (Query, conds) {
	inner := group(Query{q: common{Conn: q.q.Conn, Table: q.q.Table}})
	if inner.err != nil && q.err == nil {
		q.err = inner.err
	}
	if inner.where.depth == 0 {
		q = q.fail("a group has no condition")
	}
	w := inner.where.one()
	q, w.list = q.adopt(inner, w.list)
	return q, w
}

// Having keeps groups for which a function of their rows holds: Having(odac.Count("*"), ">", 5).
func (q Query) Having(function Column, op string, value any) Query {
	args := []any{op, value}
	var c abi.Cond
	if isSub(args) {
		q, c = q.compareSub(function.c.Name, args)
	} else {
		var err string
		if c, err = compare(function.c.Name, args); err != "" {
			return q.fail(err)
		}
	}
	c.Func = function.c.Func
	r := q.change()
	r.have = r.have.and(c)
	return q
}

func compare(column string, args []any) (abi.Cond, string) {
	c := abi.Cond{Op: abi.CondEq, Column: column}
	switch len(args) {
	case 1:
	case 2:
		name, ok := args[0].(string)
		if ok {
			c.Op, ok = operator(name)
		}
		if !ok {
			return c, "Where(" + column + ", operator, value) wants one of = != < <= > >= like, not like, in, not in"
		}
	default:
		return c, "Where wants a column and a value, or a column, an operator and a value"
	}
	value := args[len(args)-1]
	if c.Op == abi.CondIn || c.Op == abi.CondNotIn {
		list, err := valueList([]any{value})
		c.Values = list
		return c, err
	}
	v, err := abi.Of(value)
	if err != nil {
		return c, column + ": " + err.Error()
	}
	c.Values = valueSlab.Take(1)
	c.Values[0] = v
	return c, ""
}

func operator(name string) (abi.CondOp, bool) {
	switch name {
	case "=", "==":
		return abi.CondEq, true
	case "!=", "<>":
		return abi.CondNe, true
	case "<":
		return abi.CondLt, true
	case "<=":
		return abi.CondLe, true
	case ">":
		return abi.CondGt, true
	case ">=":
		return abi.CondGe, true
	case "like", "LIKE":
		return abi.CondLike, true
	case "not like", "NOT LIKE":
		return abi.CondNotLike, true
	case "in", "IN":
		return abi.CondIn, true
	case "not in", "NOT IN":
		return abi.CondNotIn, true
	}
	return 0, false
}

// valueList converts values given one by one, or as one slice.
func valueList(values []any) (abi.Values, string) {
	if len(values) == 1 {
		switch list := values[0].(type) {
		case []string:
			return convert(list)
		case []int:
			return convert(list)
		case []int64:
			return convert(list)
		case []float64:
			return convert(list)
		case []Value:
			return list, ""
		case []any:
			return convert(list)
		}
	}
	return convert(values)
}

func convert[T any](list []T) (abi.Values, string) {
	out := make(abi.Values, len(list))
	for i, x := range list {
		v, err := abi.Of(x)
		if err != nil {
			return nil, err.Error()
		}
		out[i] = v
	}
	return out, ""
}
