package odac

import (
	"slices"

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
func (q Query) Insert(rows ...any) (Result, error) {
	fields, values, err := rowsOf(rows)
	if err != nil {
		return Result{}, q.because(err)
	}
	q.q.Verb, q.q.Fields, q.q.Rows = abi.VerbInsert, fields, values
	return q.write()
}

// Update writes columns, a [Map] or a struct with db tags, to each row of the condition, and gives the number of rows changed.
func (q Query) Update(set any) (int64, error) {
	fields, values, err := rowsOf([]any{set})
	if err != nil {
		return 0, q.because(err)
	}
	q.q.Verb, q.q.Fields, q.q.Rows = abi.VerbUpdate, fields, values
	r, err := q.conditional().write()
	return r.Affected, err
}

// Increment adds to a column of each row of the condition, in the database, and gives the number of rows changed. By is an integer or
// a float and may be negative; a [Value] may be a decimal.
func (q Query) Increment(column string, by any) (int64, error) {
	v, err := abi.Of(by)
	if err != nil {
		return 0, q.because(err)
	}
	q.q.Verb, q.q.Increments = abi.VerbUpdate, []abi.Delta{{Column: column, By: v}}
	r, err := q.conditional().write()
	return r.Affected, err
}

// Delete removes the rows of the condition and gives their number.
func (q Query) Delete() (int64, error) {
	q.q.Verb = abi.VerbDelete
	r, err := q.conditional().write()
	return r.Affected, err
}

// Returning makes Insert answer these columns of the new rows.
func (q Query) Returning(columns ...string) Query {
	q.q.Returning = append(slices.Clip(q.q.Returning), columns...)
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
	c.q.q.Conflict = &abi.Conflict{Columns: c.columns}
	return c.q
}

// Update overwrites these columns of the row that is there with the new row's.
func (c Upsert) Update(columns ...string) Query {
	if len(c.columns) == 0 || len(columns) == 0 {
		return c.q.fail("OnConflict(key columns...).Update(columns...) needs both")
	}
	c.q.q.Conflict = &abi.Conflict{Columns: c.columns, Update: columns}
	return c.q
}

func (q Query) conditional() Query {
	if q.where.depth == 0 && !q.all {
		return q.fail("a write to every row wants AllRows, a write to some a Where")
	}
	return q
}

func (q Query) write() (Result, error) {
	switch {
	case q.cache:
		q = q.fail("a write does not go with Cache")
	case len(q.q.Joins)+len(q.q.Group)+len(q.q.Order)+len(q.q.Columns) > 0 || q.q.Distinct || q.q.Limit+q.q.Offset > 0 || q.have.depth > 0:
		q = q.fail("a write takes conditions alone: no Select, Join, Group, Having, Order, Limit, Offset or Distinct")
	}
	return q.run()
}

func (q Query) because(err error) error { return q.fail(err.Error()).err }
