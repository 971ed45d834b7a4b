package odac

import (
	"slices"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// subuse is a query within a query: a sub-query, or with a name a common table expression.
type subuse struct {
	q         Query
	name      string
	recursive bool
}

// From starts a query on the rows of another, called as.
func From(sub Query, as string) Query {
	q, n := Query{q: common{Conn: sub.q.Conn, Tx: sub.q.Tx, As: as}, call: wire.DBQuery}.use(sub)
	q.change().From = n
	return q
}

// With names the rows of a query, so that this query, its sub-queries and later With can select from the name and join it like a table:
// DB("recent as r").With("recent", DB("posts").Where("created_at", ">", day)).
func (q Query) With(name string, sub Query) Query {
	q, _ = q.used(subuse{q: sub, name: name})
	return q
}

// WithRecursive is With for a query that selects from itself: first gives the first rows, and next, which selects from or joins the
// name, is repeated on what it gave until it gives no more.
func (q Query) WithRecursive(name string, first, next Query) Query {
	q, _ = q.used(subuse{q: first.UnionAll(next), name: name, recursive: true})
	return q
}

// Union adds the rows of another query that selects as many columns, and drops repeated ones. Order, Limit and Offset are the whole's.
func (q Query) Union(other Query) Query { return q.union(other, false) }

// UnionAll is Union that keeps repeated rows.
func (q Query) UnionAll(other Query) Query { return q.union(other, true) }

func (q Query) union(other Query, all bool) Query {
	q, n := q.use(other)
	r := q.change()
	r.Unions = append(slices.Clip(r.Unions), abi.Union{Sub: n, All: all})
	return q
}

// WhereExists keeps rows for which a sub-query, which sees their columns, has a row.
func (q Query) WhereExists(sub Query) Query { return q.exists(abi.CondExists, sub) }

// WhereNotExists keeps rows for which a sub-query has none.
func (q Query) WhereNotExists(sub Query) Query { return q.exists(abi.CondNotExists, sub) }

func (q Query) exists(op abi.CondOp, sub Query) Query {
	q, n := q.use(sub)
	q.where = q.where.and(abi.Cond{Op: op, Sub: n})
	return q
}

// use takes a sub-query in and gives its number.
func (q Query) use(sub Query) (Query, uint32) { return q.used(subuse{q: sub}) }

func (q Query) used(s subuse) (Query, uint32) {
	switch {
	case s.q.err != nil && q.err == nil:
		q.err = s.q.err
	case s.q.cache:
		q = q.fail("a sub-query takes no Cache: the whole query does")
	case s.q.q.Conn != q.q.Conn:
		q = q.fail("a sub-query is of the same connection")
	}
	r := q.change()
	r.subs = append(slices.Clip(r.subs), s)
	return q, uint32(len(r.subs))
}

// adopt takes in conditions that were built apart, with their sub-queries.
func (q Query) adopt(inner Query, list []abi.Cond) (Query, []abi.Cond) {
	subs := inner.few().subs
	if len(subs) == 0 {
		return q, list
	}
	r := q.change()
	shift := uint32(len(r.subs))
	r.subs = append(slices.Clip(r.subs), subs...)
	list = slices.Clone(list)
	for i := range list {
		if list[i].Sub != 0 {
			list[i].Sub += shift
		}
	}
	return q, list
}

// flattener makes of queries within queries the one list that the ABI wants: what is used comes before what uses it.
type flattener struct {
	subs  []abi.Select
	names []cteName
}

type cteName struct {
	name   string
	number uint32
}

// selfNumber stands for the number of a recursive expression until it has one.
const selfNumber = ^uint32(0)

// flatten numbers the sub-queries of a whole query.
func (q *Query) flatten(out *abi.Query) {
	var f flattener
	s := f.convert(*q)
	out.Table, out.From, out.Columns, out.Joins, out.Unions, out.Where, out.Having = s.Table, s.From, s.Columns, s.Joins, s.Unions, s.Where, s.Having
	out.Subs = f.subs
}

// convert gives a query with the numbers of the whole. Names of common table expressions hold for what comes after them in the query, and
// within its sub-queries.
func (f *flattener) convert(q Query) abi.Select {
	outer := len(f.names)
	r := q.few()
	numbers := make([]uint32, len(r.subs)+1)
	used := q.usedSubs()
	for i, sub := range r.subs {
		if sub.name != "" {
			numbers[i+1] = f.place(sub)
		}
	}
	for i, sub := range r.subs {
		if sub.name == "" && used[i+1] {
			numbers[i+1] = f.place(sub)
		}
	}
	s := abi.Select{
		Table: q.q.Table, From: numbers[r.From], As: q.q.As, Columns: slices.Clone(q.q.Columns), Distinct: r.Distinct, Joins: slices.Clone(r.Joins),
		Group: r.Group, Order: q.q.Order, Limit: q.q.Limit, Offset: q.q.Offset, Unions: slices.Clone(r.Unions),
		Where: renumber(q.where.list, numbers), Having: renumber(r.have.list, numbers),
	}
	s.Table, s.From = f.resolve(s.Table, s.From)
	for i := range s.Columns {
		s.Columns[i].Sub = numbers[s.Columns[i].Sub]
	}
	for i := range s.Joins {
		j := &s.Joins[i]
		j.On = renumber(j.On, numbers)
		j.Table, j.From = f.resolve(j.Table, numbers[j.From])
	}
	for i := range s.Unions {
		s.Unions[i].Sub = numbers[s.Unions[i].Sub]
	}
	f.names = f.names[:outer]
	return s
}

// usedSubs says which sub-queries are still used: Count and its like replace the select list.
func (q Query) usedSubs() []bool {
	r := q.few()
	used := make([]bool, len(r.subs)+1)
	used[r.From] = true
	for _, c := range q.q.Columns {
		used[c.Sub] = true
	}
	for _, u := range r.Unions {
		used[u.Sub] = true
	}
	conds := func(list []abi.Cond) {
		for i := range list {
			used[list[i].Sub] = true
		}
	}
	for i := range r.Joins {
		used[r.Joins[i].From] = true
		conds(r.Joins[i].On)
	}
	conds(q.where.list)
	conds(r.have.list)
	return used
}

// place puts a sub-query at the end of the list and gives its number.
func (f *flattener) place(sub subuse) uint32 {
	if sub.recursive {
		f.names = append(f.names, cteName{sub.name, selfNumber})
	}
	s := f.convert(sub.q)
	if sub.recursive {
		f.names = f.names[:len(f.names)-1]
	}
	s.Name, s.Recursive = sub.name, sub.recursive
	f.subs = append(f.subs, s)
	number := uint32(len(f.subs))
	if sub.name != "" {
		f.names = append(f.names, cteName{sub.name, number})
	}
	if sub.recursive {
		for i := range f.subs {
			patch(&f.subs[i].From, number)
			for j := range f.subs[i].Joins {
				patch(&f.subs[i].Joins[j].From, number)
			}
		}
	}
	return number
}

func patch(from *uint32, number uint32) {
	if *from == selfNumber {
		*from = number
	}
}

// resolve gives the number of a common table expression of that name.
func (f *flattener) resolve(table string, from uint32) (string, uint32) {
	for i := len(f.names) - 1; i >= 0 && table != ""; i-- {
		if n := f.names[i]; n.name == table {
			return "", n.number
		}
	}
	return table, from
}

func renumber(list []abi.Cond, numbers []uint32) []abi.Cond {
	list = slices.Clone(list)
	for i := range list {
		list[i].Sub = numbers[list[i].Sub]
	}
	return list
}
