package odac

import (
	"maps"
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// Result is what a write did.
type Result struct {
	// Affected is the rows that changed.
	Affected int64
	// LastID is the generated key of the last row inserted, null if there is none.
	LastID Value
	// Rows are those that Returning asked for.
	Rows Rows
	// Cached says that a read was answered from the cache.
	Cached bool
}

// Insert writes rows: [Map] values, structs with db tags or pointers to them, or one slice of either. Rows of one call have the same
// columns. Columns that are left out get their default, a nanoid column a new id.
func (q Query) Insert(rows ...any) (Result, error) { return q.insert(rows).run() }

func (q Query) insert(rows []any) Query {
	fields, values, err := rowsOf(rows)
	if err != nil {
		return q.fail(err.Error())
	}
	q.q.Verb, q.q.Fields, q.q.Rows = abi.VerbInsert, fields, values
	if q.merge && q.few().Conflict != nil {
		c := *q.rare.Conflict
		c.Update = slices.DeleteFunc(slices.Clone(fields), func(f string) bool { return slices.Contains(c.Columns, f) })
		q.change().Conflict = &c
	}
	return q.write()
}

// Delta is an amount that Update adds to a column: Update(odac.Map{"title": "x", "views": odac.Add(1)}).
type Delta struct{ by any }

// Add is a Delta: an integer or a float, which may be negative, or a decimal [Value].
func Add(by any) Delta { return Delta{by} }

// Update writes columns, a [Map] or a struct with db tags, to each row of the condition, and gives the number of rows changed.
func (q Query) Update(set any) (int64, error) {
	r, err := q.update(set).run()
	return r.Affected, err
}

// UpdateRows is Update that gives the changed rows, with the columns of Returning.
func (q Query) UpdateRows(set any) (Rows, error) {
	r, err := q.update(set).answering().run()
	return r.Rows, err
}

func (q Query) update(set any) Query {
	q.q.Verb = abi.VerbUpdate
	if m, ok := set.(Map); ok {
		var err error
		if set, q.q.Increments, err = deltas(m); err != nil {
			return q.fail(err.Error())
		}
		if len(m) > 0 && len(q.q.Increments) == len(m) {
			return q.conditional().write()
		}
	}
	fields, values, err := rowsOf([]any{set})
	if err != nil {
		return q.fail(err.Error())
	}
	q.q.Fields, q.q.Rows = fields, values
	return q.conditional().write()
}

// deltas takes the amounts to add out of a map.
func deltas(m Map) (Map, []abi.Delta, error) {
	var list []abi.Delta
	rest := m
	for column, x := range m {
		d, ok := x.(Delta)
		if !ok {
			continue
		}
		v, err := abi.Of(d.by)
		if err != nil {
			return m, nil, err
		}
		if len(list) == 0 {
			rest = maps.Clone(m)
		}
		delete(rest, column)
		list = append(list, abi.Delta{Column: column, By: v})
	}
	slices.SortFunc(list, func(a, b abi.Delta) int { return strings.Compare(a.Column, b.Column) })
	return rest, list, nil
}

// Increment adds to a column of each row of the condition, in the database, and gives the number of rows changed. By is an integer or
// a float and may be negative; a [Value] may be a decimal.
func (q Query) Increment(column string, by any) (int64, error) {
	return q.Update(Map{column: Add(by)})
}

// Delete removes the rows of the condition and gives their number.
func (q Query) Delete() (int64, error) {
	r, err := q.delete().run()
	return r.Affected, err
}

// DeleteRows is Delete that gives the rows that were there, with the columns of Returning.
func (q Query) DeleteRows() (Rows, error) {
	r, err := q.delete().answering().run()
	return r.Rows, err
}

func (q Query) delete() Query {
	q.q.Verb = abi.VerbDelete
	return q.conditional().write()
}

// Truncate removes every row of the table, and lets generated keys begin again. It takes no condition.
func (q Query) Truncate() error {
	if q.where.depth > 0 {
		q = q.fail("Truncate takes no condition: use Delete")
	}
	q.q.Verb = abi.VerbDelete
	q.change().Truncate = true
	_, err := q.write().run()
	return err
}

// Returning makes Insert answer these columns of the new rows, UpdateRows of the changed and DeleteRows of the deleted ones.
func (q Query) Returning(columns ...string) Query {
	r := q.change()
	r.Returning = append(slices.Clip(r.Returning), columns...)
	return q
}

// Upsert is an insert that says what to do with a row whose unique key is taken.
type Upsert struct {
	q       Query
	columns []string
}

// OnConflict begins to say what Insert does when a unique key of these columns is taken; without columns any key.
func (q Query) OnConflict(columns ...string) Upsert { return Upsert{q, columns} }

// Ignore leaves the row that is there.
func (c Upsert) Ignore() Query {
	c.q.change().Conflict = &abi.Conflict{Columns: c.columns}
	return c.q
}

// Update overwrites these columns of the row that is there with the new row's.
func (c Upsert) Update(columns ...string) Query {
	if len(c.columns) == 0 || len(columns) == 0 {
		return c.q.fail("OnConflict(key columns...).Update(columns...) needs both")
	}
	c.q.change().Conflict = &abi.Conflict{Columns: c.columns, Update: columns}
	return c.q
}

// Merge overwrites the row that is there with every field of the new row but those of the key.
func (c Upsert) Merge() Query {
	if len(c.columns) == 0 {
		return c.q.fail("OnConflict(key columns...).Merge() needs the key columns")
	}
	c.q.change().Conflict = &abi.Conflict{Columns: c.columns}
	c.q.merge = true
	return c.q
}

// Add adds the new row's values of these columns to those of the row that is there: a counter that begins by itself.
func (c Upsert) Add(columns ...string) Query {
	if len(c.columns) == 0 || len(columns) == 0 {
		return c.q.fail("OnConflict(key columns...).Add(columns...) needs both")
	}
	c.q.change().Conflict = &abi.Conflict{Columns: c.columns, Add: columns}
	return c.q
}

func (q Query) answering() Query {
	if len(q.few().Returning) == 0 {
		return q.fail("UpdateRows and DeleteRows want Returning: the columns to answer")
	}
	return q
}

func (q Query) conditional() Query {
	switch {
	case q.where.depth > 0:
	case q.all:
		q.where = q.where.and(abi.Cond{Op: abi.CondAnd}) // of none: it always holds
	default:
		return q.fail("a write to every row wants AllRows, a write to some a Where")
	}
	return q
}

// write refuses what does not belong to a write.
func (q Query) write() Query {
	switch r := q.few(); {
	case q.cache:
		q = q.fail("a write does not go with Cache")
	case len(q.q.Order)+len(q.q.Columns)+len(r.Joins)+len(r.Group)+len(r.Unions)+len(r.After) > 0 || q.q.Limit+q.q.Offset > 0 ||
		r.Distinct || r.have.depth > 0 || r.Lock != 0 || r.From != 0:
		q = q.fail("a write takes conditions alone: no Select, Join, Group, Having, Order, Limit, Offset, After, Distinct, Union or lock")
	}
	return q
}
