package odac

import (
	"github.com/odac-run/odachost/abi"
)

// All reads the rows. None is not an error.
func (q Query) All() (Rows, error) {
	r, err := q.selectRows()
	return r.Rows, err
}

// First reads the first row, and is a [NotFound] error when there is none.
func (q Query) First() (Row, error) {
	q.q.Limit = 1
	r, err := q.selectRows()
	if err != nil {
		return Row{}, err
	}
	if len(r.Rows) == 0 {
		return Row{}, q.none()
	}
	return r.Rows[0], nil
}

func (q *Query) none() error { return newError(NotFound, "no such row in "+q.q.Table) }

// Exists says whether there is a row.
func (q Query) Exists() (bool, error) {
	q.q.Limit = 1
	r, err := q.selectRows()
	return len(r.Rows) > 0, err
}

// Pluck reads one column.
func (q Query) Pluck(column string) ([]Value, error) {
	q.q.Columns = []abi.Column{{Name: column}}
	r, err := q.selectRows()
	if err != nil {
		return nil, err
	}
	list := make([]Value, len(r.Rows))
	for i, row := range r.Rows {
		if row.n > 0 {
			list[i] = row.nth(0)
		}
	}
	return list, nil
}

// Count counts the rows, without regard to Select, Order, Limit and Offset. With Group or Distinct it is an error: read the
// groups with Select instead.
func (q Query) Count() (int64, error) {
	v, err := q.aggregate(Count("*"))
	return v.AsInt(), err
}

// Sum adds a column's values; of no rows it is null.
func (q Query) Sum(column string) (Value, error) { return q.aggregate(Sum(column)) }

// Min is a column's smallest value; of no rows it is null.
func (q Query) Min(column string) (Value, error) { return q.aggregate(Min(column)) }

// Max is a column's largest value; of no rows it is null.
func (q Query) Max(column string) (Value, error) { return q.aggregate(Max(column)) }

// Avg is the average of a column's values; of no rows it is null.
func (q Query) Avg(column string) (Value, error) { return q.aggregate(Avg(column)) }

func (q Query) aggregate(c Column) (Value, error) {
	if r := q.few(); len(r.Group) > 0 || r.Distinct || len(r.Unions) > 0 || len(r.After) > 0 {
		q = q.fail("Count, Sum, Min, Max and Avg do not go with Group, Distinct, Union or After: select odac.Count and read the rows, or count From the query")
	}
	q.q.Columns, q.q.Order, q.q.Limit, q.q.Offset = []abi.Column{c.c}, nil, 0, 0
	r, err := q.selectRows()
	if err != nil || len(r.Rows) == 0 || r.Rows[0].n == 0 {
		return Value{}, err
	}
	return r.Rows[0].nth(0), nil
}

func (q Query) selectRows() (Result, error) {
	q.q.Verb = abi.VerbSelect
	return q.run()
}

// run sends the query and reads the answer.
func (q Query) run() (Result, error) {
	answer, err := q.send()
	if err != nil {
		return Result{}, err
	}
	return decodeResult(answer)
}

// send sends the query and gives the answer's message.
func (q *Query) send() ([]byte, error) {
	if q.err != nil {
		return nil, q.err
	}
	w := takeWriter() // not by hostCall, through whose interface q would escape to the heap
	defer giveBack(w)
	msg, err := q.append(w.b)
	if err != nil {
		return nil, err
	}
	w.b = msg
	return answered(q.call(msg))
}

// append appends the query's message.
func (q *Query) append(b []byte) ([]byte, error) {
	if q.rare == nil {
		return appendQuery(b, q), nil
	}
	msg := q.message()
	out, err := msg.MarshalMsg(b)
	if err != nil {
		return b, &Error{Kind: Invalid, Text: "odac: encode the query", Err: err}
	}
	return out, nil
}

// message is the query as it is sent.
func (q *Query) message() abi.Query {
	c, r := &q.q, q.few()
	out := abi.Query{
		Conn: c.Conn, Tx: c.Tx, Verb: c.Verb, Table: c.Table, From: r.From, As: c.As,
		Columns: c.Columns, Distinct: r.Distinct, Joins: r.Joins, Group: r.Group, Having: r.have.list, Order: c.Order, Limit: c.Limit, Offset: c.Offset,
		After: r.After, Unions: r.Unions, Lock: r.Lock, Wait: r.Wait, Where: q.where.list,
		Fields: c.Fields, Rows: c.Rows, Increments: c.Increments, Conflict: r.Conflict, Returning: r.Returning, Truncate: r.Truncate,
		SQL: r.SQL, Args: r.Args, Names: r.Names, TTL: c.TTL,
	}
	if len(r.subs) > 0 {
		q.flatten(&out)
	}
	return out
}
