package odac

import (
	"github.com/odac-run/odachost/abi/msgpack"
)

// The queries that plugins ask most are encoded here, in the form of package abi. What it generates looks at each of thirty fields
// twice, which is more code than a processor that does other things in between keeps at hand: it took a tenth of the guest's time. Keys
// are written byte by byte, because to copy a text takes a guest a call.

// appendQuery appends the message of a query that has nothing rare.
func appendQuery(b []byte, q *Query) []byte {
	c := &q.q
	at := len(b)
	b = append(b, 0x80) // the header of a map with no pairs so far: here are at most 14
	if c.Conn != "" {
		b[at]++
		b = msgpack.AppendString(append(b, 0xa2, 'd', 'b'), c.Conn)
	}
	if c.Tx != 0 {
		b[at]++
		b = msgpack.AppendInt64(append(b, 0xa2, 't', 'x'), int64(c.Tx))
	}
	if c.Verb != 0 {
		b[at]++
		b = append(b, 0xa2, 'o', 'p', byte(c.Verb))
	}
	b[at]++
	b = msgpack.AppendString(append(b, 0xa1, 't'), c.Table)
	if c.As != "" {
		b[at]++
		b = msgpack.AppendString(append(b, 0xa2, 'a', 's'), c.As)
	}
	if len(c.Columns) > 0 {
		b[at]++
		b = msgpack.AppendArrayHeader(append(b, 0xa1, 'c'), uint32(len(c.Columns)))
		for i := range c.Columns {
			b = appendColumn(b, q, i)
		}
	}
	if len(c.Order) > 0 {
		b[at]++
		b = msgpack.AppendArrayHeader(append(b, 0xa1, 'o'), uint32(len(c.Order)))
		for i := range c.Order {
			if o := &c.Order[i]; o.Desc {
				b = append(msgpack.AppendString(append(b, 0x82, 0xa1, 'c'), o.Column), 0xa1, 'd', 0xc3)
			} else {
				b = msgpack.AppendString(append(b, 0x81, 0xa1, 'c'), o.Column)
			}
		}
	}
	if c.Limit != 0 {
		b[at]++
		b = msgpack.AppendInt64(append(b, 0xa1, 'l'), c.Limit)
	}
	if c.Offset != 0 {
		b[at]++
		b = msgpack.AppendInt64(append(b, 0xa2, 'o', 'f'), c.Offset)
	}
	if len(q.where.list) > 0 {
		b[at]++
		b = msgpack.AppendArrayHeader(append(b, 0xa1, 'w'), uint32(len(q.where.list)))
		for i := range q.where.list {
			b = appendCond(b, q, i)
		}
	}
	if len(c.Fields) > 0 {
		b[at]++
		b = msgpack.AppendArrayHeader(append(b, 0xa1, 'f'), uint32(len(c.Fields)))
		for _, name := range c.Fields {
			b = msgpack.AppendString(b, name)
		}
	}
	if c.Rows != nil {
		b[at]++
		b = msgpack.AppendArrayHeader(append(b, 0xa1, 'r'), uint32(len(c.Rows)))
		for _, row := range c.Rows {
			b = msgpack.AppendArrayHeader(b, uint32(len(row)))
			for i := range row {
				b = row[i].AppendMsg(b)
			}
		}
	}
	if len(c.Increments) > 0 {
		b[at]++
		b = msgpack.AppendArrayHeader(append(b, 0xa2, 'i', 'n'), uint32(len(c.Increments)))
		for i := range c.Increments {
			d := &c.Increments[i]
			b = append(msgpack.AppendString(append(b, 0x82, 0xa1, 'c'), d.Column), 0xa1, 'v')
			b = d.By.AppendMsg(b)
		}
	}
	if c.TTL != 0 {
		b[at]++
		b = msgpack.AppendInt64(append(b, 0xa3, 't', 't', 'l'), c.TTL)
	}
	return b
}

// appendColumn appends the i-th column of the select list.
func appendColumn(b []byte, q *Query, i int) []byte {
	c, at := &q.q.Columns[i], len(b)
	b = msgpack.AppendString(append(b, 0x81, 0xa1, 'n'), c.Name)
	if c.Func != "" {
		b[at]++
		b = msgpack.AppendString(append(b, 0xa1, 'f'), c.Func)
	}
	if c.As != "" {
		b[at]++
		b = msgpack.AppendString(append(b, 0xa2, 'a', 's'), c.As)
	}
	if c.Distinct {
		b[at]++
		b = append(b, 0xa1, 'd', 0xc3)
	}
	return b
}

// appendCond appends the i-th item of the condition.
func appendCond(b []byte, q *Query, i int) []byte {
	c, at := &q.where.list[i], len(b)
	b = append(b, 0x80)
	if c.Op != 0 {
		b[at]++
		b = append(b, 0xa1, 'o', byte(c.Op))
	}
	if c.N != 0 {
		b[at]++
		b = msgpack.AppendInt64(append(b, 0xa1, 'n'), int64(c.N))
	}
	if c.Column != "" {
		b[at]++
		b = msgpack.AppendString(append(b, 0xa1, 'c'), c.Column)
	}
	if c.Func != "" {
		b[at]++
		b = msgpack.AppendString(append(b, 0xa1, 'f'), c.Func)
	}
	if c.Other != "" {
		b[at]++
		b = msgpack.AppendString(append(b, 0xa1, 'x'), c.Other)
	}
	if len(c.Values) > 0 {
		b[at]++
		b = msgpack.AppendArrayHeader(append(b, 0xa1, 'v'), uint32(len(c.Values)))
		for j := range c.Values {
			b = c.Values[j].AppendMsg(b)
		}
	}
	return b
}
