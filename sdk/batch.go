package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Batch is statements that go to the host together, and are all done or none:
//
//	var b odac.Batch
//	b.Insert(odac.DB("orders"), odac.Map{"item": item})
//	b.Update(odac.DB("items").Where("id", item), odac.Map{"stock": odac.Add(-1)})
//	b.Select(odac.DB("items").Where("id", item))
//	results, err := b.Run()
//
// Its zero value is empty. The connection is that of the first statement; the others must be on the same.
type Batch struct {
	msg abi.Batch
	err error
}

// Insert adds an insert, with rows as [Query.Insert] takes them.
func (b *Batch) Insert(q Query, rows ...any) { b.add(q.insert(rows)) }

// Update adds an update: see [Query.Update].
func (b *Batch) Update(q Query, set any) { b.add(q.update(set)) }

// Delete adds a delete: see [Query.Delete].
func (b *Batch) Delete(q Query) { b.add(q.delete()) }

// Select adds a read of rows.
func (b *Batch) Select(q Query) {
	if q.cache {
		q = q.fail("a Batch takes no Cache")
	}
	q.q.Verb = abi.VerbSelect
	b.add(q)
}

// SQL adds a statement of SQL text.
func (b *Batch) SQL(s Statement) { b.add(s.q) }

func (b *Batch) add(q Query) {
	if len(b.msg.Queries) == 0 {
		b.msg.Conn, b.msg.Tx = q.q.Conn, q.q.Tx
	} else if b.msg.Conn != q.q.Conn || b.msg.Tx != q.q.Tx {
		q = q.fail("a Batch is of one connection, and in one transaction or in none")
	}
	if q.err != nil && b.err == nil {
		b.err = q.err
	}
	msg := q.message()
	msg.Conn, msg.Tx = "", 0
	b.msg.Queries = append(b.msg.Queries, msg)
}

// Run runs the statements, in a transaction of their own or in the one whose queries they are, and gives a result for each.
func (b *Batch) Run() ([]Result, error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case len(b.msg.Queries) == 0:
		return nil, nil
	}
	answer, err := hostCall(wire.DBBatch, &b.msg)
	if err != nil {
		return nil, err
	}
	return decodeBatch(answer)
}

func decodeBatch(msg []byte) (list []Result, err error) {
	err = fields(msg, func(key string, b []byte) ([]byte, bool, error) {
		if key != "r" {
			return b, false, nil
		}
		n, b, err := msgpack.ReadArrayHeaderBytes(b)
		for ; n > 0 && err == nil; n-- {
			var rest []byte
			if rest, err = msgpack.Skip(b); err != nil {
				break
			}
			var r Result
			if r, err = decodeResult(b[:len(b)-len(rest)]); err != nil {
				break
			}
			list, b = append(list, r), rest
		}
		return b, true, err
	})
	return list, err
}
