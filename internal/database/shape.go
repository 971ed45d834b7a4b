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
	b = append(b, byte(q.Verb), flags(q.Distinct, q.Limit != 0, q.Offset != 0, q.Conflict != nil, len(q.Rows) > 0))
	b = appendName(b, q.Table)
	b = appendName(b, q.As)
	b = appendCount(b, len(q.Columns))
	for i := range q.Columns {
		c := &q.Columns[i]
		b = appendName(appendName(appendName(b, c.Name), c.Func), c.As)
	}
	b = appendCount(b, len(q.Joins))
	for i := range q.Joins {
		j := &q.Joins[i]
		b = appendName(appendName(appendName(b, j.Kind), j.Table), j.As)
		b = appendConds(b, j.On)
	}
	b = appendNames(b, q.Group)
	b = appendConds(b, q.Having)
	b = appendCount(b, len(q.Order))
	for i := range q.Order {
		b = append(appendName(b, q.Order[i].Column), flags(q.Order[i].Desc))
	}
	b = appendConds(b, q.Where)
	b = appendNames(b, q.Fields)
	b = appendCount(b, len(q.Increments))
	for i := range q.Increments {
		b = appendName(b, q.Increments[i].Column)
	}
	if q.Conflict != nil {
		b = appendNames(appendNames(b, q.Conflict.Columns), q.Conflict.Update)
	}
	return appendNames(b, q.Returning)
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
		b = append(b, flags(null))
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
