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
	conn string
	tx   uint32
	n    int
	msg  []byte // the queries, encoded
	err  error
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
	if b.n == 0 {
		b.conn, b.tx = q.q.Conn, q.q.Tx
	} else if b.conn != q.q.Conn || b.tx != q.q.Tx {
		q = q.fail("a Batch is of one connection, and in one transaction or in none")
	}
	if b.err != nil {
		return
	}
	if b.err = q.err; b.err == nil {
		q.q.Conn, q.q.Tx = "", 0
		if b.msg == nil {
			b.msg = make([]byte, 0, 1<<10)
		}
		b.msg, b.err = q.append(b.msg)
		b.n++
	}
}

// Run runs the statements, in a transaction of their own or in the one whose queries they are, and gives a result for each.
func (b *Batch) Run() ([]Result, error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case b.n == 0:
		return nil, nil
	}
	w := takeWriter()
	msg := append(w.b, 0x80)
	if b.conn != "" {
		msg[0]++
		msg = msgpack.AppendString(append(msg, 0xa2, 'd', 'b'), b.conn)
	}
	if b.tx != 0 {
		msg[0]++
		msg = msgpack.AppendInt64(append(msg, 0xa2, 't', 'x'), int64(b.tx))
	}
	msg[0]++
	msg = msgpack.AppendArrayHeader(append(msg, 0xa1, 'q'), uint32(b.n))
	w.b = append(msg, b.msg...)
	answer, err := answered(wire.DBBatch(w.b))
	giveBack(w)
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
		list = make([]Result, 0, min(int(n), len(b)))
		for ; n > 0 && err == nil; n-- {
			t := tableSlab.One()
			var r Result
			if r, b, err = t.result(b); err == nil {
				r.Rows = t.list()
				list = append(list, r)
			}
		}
		return b, true, err
	})
	return list, err
}
