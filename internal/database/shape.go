package database

import (
	"encoding/binary"
	"sync"

	"github.com/odac-run/odachost/abi"
)

var shapes = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// appendShape appends what decides a query's SQL: all but the values, of which only number and null count. Strings carry their length, so
// that two shapes are equal only if the queries are.
func appendShape(b []byte, q *abi.Query) []byte {
	nested := q.From != 0 || len(q.Unions)+len(q.Subs)+len(q.After) > 0 || q.Lock != 0 || q.Wait != 0
	b = append(b, byte(q.Verb), flags(q.Distinct, q.Limit != 0, q.Offset != 0, q.Conflict != nil, len(q.Rows) > 0, q.Truncate, nested))
	b = appendName(b, q.Table)
	b = appendName(b, q.As)
	b = appendColumns(b, q.Columns)
	b = appendJoins(b, q.Joins)
	b = appendNames(b, q.Group)
	b = appendConds(b, q.Having)
	b = appendOrder(b, q.Order)
	b = appendConds(b, q.Where)
	b = appendNames(b, q.Fields)
	b = appendCount(b, len(q.Increments))
	for i := range q.Increments {
		b = appendName(b, q.Increments[i].Column)
	}
	if q.Conflict != nil {
		b = appendNames(appendNames(appendNames(b, q.Conflict.Columns), q.Conflict.Update), q.Conflict.Add)
	}
	b = appendNames(b, q.Returning)
	if nested {
		b = appendNested(b, q)
	}
	return b
}

// appendNested appends what most queries do not have.
func appendNested(b []byte, q *abi.Query) []byte {
	b = append(b, byte(q.Lock), byte(q.Wait))
	b = appendCount(appendCount(b, int(q.From)), len(q.After))
	b = appendCount(appendUnions(b, q.Unions), len(q.Subs))
	for i := range q.Subs {
		s := &q.Subs[i]
		b = append(b, flags(s.Distinct, s.Limit != 0, s.Offset != 0, s.Recursive))
		b = appendCount(appendName(appendName(appendName(b, s.Name), s.Table), s.As), int(s.From))
		b = appendJoins(appendColumns(b, s.Columns), s.Joins)
		b = appendConds(appendNames(appendConds(b, s.Where), s.Group), s.Having)
		b = appendUnions(appendOrder(b, s.Order), s.Unions)
	}
	return b
}

func appendUnions(b []byte, unions []abi.Union) []byte {
	b = appendCount(b, len(unions))
	for _, u := range unions {
		b = append(appendCount(b, int(u.Sub)), flags(u.All))
	}
	return b
}

func appendColumns(b []byte, columns []abi.Column) []byte {
	b = appendCount(b, len(columns))
	for i := range columns {
		c := &columns[i]
		b = appendName(appendName(appendName(b, c.Name), c.Func), c.As)
		b = append(appendCount(b, int(c.Sub)), flags(c.Distinct))
	}
	return b
}

func appendJoins(b []byte, joins []abi.Join) []byte {
	b = appendCount(b, len(joins))
	for i := range joins {
		j := &joins[i]
		b = appendName(appendName(appendName(b, j.Kind), j.Table), j.As)
		b = appendConds(appendCount(b, int(j.From)), j.On)
	}
	return b
}

func appendOrder(b []byte, order []abi.Order) []byte {
	b = appendCount(b, len(order))
	for i := range order {
		b = append(appendName(b, order[i].Column), flags(order[i].Desc))
	}
	return b
}

func appendConds(b []byte, conds []abi.Cond) []byte {
	b = appendCount(b, len(conds))
	for i := range conds {
		c := &conds[i]
		b = append(b, byte(c.Op))
		b = binary.AppendUvarint(b, uint64(c.N))
		b = appendName(appendName(appendName(b, c.Column), c.Func), c.Other)
		b = appendCount(b, len(c.Values))
		null := false
		for _, v := range c.Values {
			null = null || v.IsNull()
		}
		b = append(appendCount(b, int(c.Sub)), flags(null))
	}
	return b
}

func appendNames(b []byte, names []string) []byte {
	b = appendCount(b, len(names))
	for _, name := range names {
		b = appendName(b, name)
	}
	return b
}

func appendName(b []byte, name string) []byte {
	return append(appendCount(b, len(name)), name...)
}

func appendCount(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func flags(on ...bool) (f byte) {
	for i, set := range on {
		if set {
			f |= 1 << i
		}
	}
	return f
}
