package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
)

// The queries that plugins ask most are encoded here, in the form of package abi. What it generates looks at each of thirty fields
// twice, which is more code than a processor that does other things in between keeps at hand: it took a tenth of the guest's time.

// appendQuery appends the message of a query.
func appendQuery(b []byte, q *abi.Query) ([]byte, error) {
	if !plain(q) {
		return q.MarshalMsg(b)
	}
	at := len(b)
	b = append(b, 0x80) // the header of a map with no pairs so far: here are at most 11
	b = appendPair(b, at, "db", q.Conn)
	b = appendCount(b, at, "tx", int64(q.Tx))
	b = appendCount(b, at, "op", int64(q.Verb))
	b = appendKey(b, at, "t")
	b = msgpack.AppendString(b, q.Table)
	b = appendPair(b, at, "as", q.As)
	if len(q.Columns) > 0 {
		b = msgpack.AppendArrayHeader(appendKey(b, at, "c"), uint32(len(q.Columns)))
		for i := range q.Columns {
			c, at := &q.Columns[i], len(b)
			b = msgpack.AppendString(appendKey(append(b, 0x80), at, "n"), c.Name)
			b = appendPair(b, at, "f", c.Func)
			b = appendPair(b, at, "as", c.As)
			if c.Distinct {
				b = msgpack.AppendBool(appendKey(b, at, "d"), true)
			}
		}
	}
	if len(q.Order) > 0 {
		b = msgpack.AppendArrayHeader(appendKey(b, at, "o"), uint32(len(q.Order)))
		for i := range q.Order {
			o, at := &q.Order[i], len(b)
			b = msgpack.AppendString(appendKey(append(b, 0x80), at, "c"), o.Column)
			if o.Desc {
				b = msgpack.AppendBool(appendKey(b, at, "d"), true)
			}
		}
	}
	b = appendCount(b, at, "l", q.Limit)
	b = appendCount(b, at, "of", q.Offset)
	if len(q.Where) > 0 {
		b = msgpack.AppendArrayHeader(appendKey(b, at, "w"), uint32(len(q.Where)))
		for i := range q.Where {
			c, at := &q.Where[i], len(b)
			b = append(b, 0x80)
			b = appendCount(b, at, "o", int64(c.Op))
			b = appendCount(b, at, "n", int64(c.N))
			b = appendPair(b, at, "c", c.Column)
			b = appendPair(b, at, "f", c.Func)
			b = appendPair(b, at, "x", c.Other)
			if len(c.Values) > 0 {
				b = msgpack.AppendArrayHeader(appendKey(b, at, "v"), uint32(len(c.Values)))
				for j := range c.Values {
					b = c.Values[j].AppendMsg(b)
				}
			}
		}
	}
	return appendCount(b, at, "ttl", q.TTL), nil
}

// plain says whether a query has none of what is rare.
func plain(q *abi.Query) bool {
	if q.From != 0 || q.Distinct || q.Lock != 0 || q.Wait != 0 || q.Truncate || q.SQL != "" || q.Conflict != nil ||
		len(q.Joins)+len(q.Group)+len(q.Having)+len(q.After)+len(q.Unions)+len(q.Subs) > 0 ||
		len(q.Fields)+len(q.Rows)+len(q.Increments)+len(q.Returning)+len(q.Args)+len(q.Names) > 0 {
		return false
	}
	for i := range q.Where {
		if q.Where[i].Sub != 0 {
			return false
		}
	}
	return true
}

// appendKey appends the key of one more pair of the map that begins at.
func appendKey(b []byte, at int, key string) []byte {
	b[at]++
	return append(append(b, 0xa0|byte(len(key))), key...)
}

// appendPair appends a text that is not empty.
func appendPair(b []byte, at int, key, value string) []byte {
	if value == "" {
		return b
	}
	return msgpack.AppendString(appendKey(b, at, key), value)
}

// appendCount appends a number that is not zero.
func appendCount(b []byte, at int, key string, n int64) []byte {
	if n == 0 {
		return b
	}
	return msgpack.AppendInt64(appendKey(b, at, key), n)
}
