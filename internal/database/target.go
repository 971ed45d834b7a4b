package database

import (
	"context"
	"errors"
	"slices"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// What the flush targets of all engines share: a change as a query, and what is poison.

// noSuchRow is the reason for an update that hits nothing.
const noSuchRow = "no such row"

func errnoIs(err error, errnos ...abi.Errno) bool {
	var e *abi.Error
	return errors.As(err, &e) && slices.Contains(errnos, e.Errno)
}

// poison says whether a change was refused for what it says: it would be refused again.
func poison(err error) bool {
	return errnoIs(err, abi.ErrnoConflict, abi.ErrnoInvalid, abi.ErrnoDenied, abi.ErrnoTooLarge, abi.ErrnoNotFound)
}

// exact refuses increments that would be rounded.
func exact(st *statement) error {
	for _, c := range st.add {
		if c.Type != TypeInt && c.Type != TypeDecimal {
			return invalidf("increment of %s: only integers and decimals add up exactly", c.Name)
		}
	}
	return nil
}

// compileFresh reads the catalog again, once, before it holds something unknown against a query.
func (db *DB) compileFresh(ctx context.Context, q *abi.Query, reloaded *bool) (*statement, error) {
	st, err := db.Catalog().compile(db.engine.dialect(), q)
	if err == nil || *reloaded {
		return st, err
	}
	*reloaded = true
	if err := db.Reload(ctx, nil); err != nil {
		return nil, err
	}
	return db.Catalog().compile(db.engine.dialect(), q)
}

// changeQuery is the query of one change at a time. Its slices are used again.
type changeQuery struct {
	abi.Query
	table string
}

func (q *changeQuery) start(verb abi.Verb) {
	rows := append(q.Rows[:0], abi.Values(nil))
	if cap(q.Rows) > 0 && q.Rows[:1][0] != nil {
		rows = append(q.Rows[:0], q.Rows[:1][0][:0])
	}
	q.Query = abi.Query{Verb: verb, Table: q.table, Fields: q.Fields[:0], Rows: rows, Where: q.Where[:0], Increments: q.Increments[:0]}
}

func (q *changeQuery) field(name string, v abi.Value) {
	q.Fields, q.Rows[0] = append(q.Fields, name), append(q.Rows[0], v)
}

func (q *changeQuery) key(c *buffer.Change) {
	for _, k := range c.Key {
		q.Where = append(q.Where, abi.Cond{Op: abi.CondEq, Column: k.Name, Values: abi.Values{fromBuffer(k.Value)}})
	}
}

func (q *changeQuery) insert(c *buffer.Change) {
	q.start(abi.VerbInsert)
	for _, list := range [...][]buffer.Column{c.Key, c.Set} {
		for _, column := range list {
			q.field(column.Name, fromBuffer(column.Value))
		}
	}
	for _, d := range c.Add { // of an update that inserts: counted from 0
		q.field(d.Name, abi.Int(d.By))
	}
}

func (q *changeQuery) update(c *buffer.Change) {
	q.start(abi.VerbUpdate)
	for _, column := range c.Set {
		q.field(column.Name, fromBuffer(column.Value))
	}
	for _, d := range c.Add {
		q.Increments = append(q.Increments, abi.Delta{Column: d.Name, By: abi.Int(d.By)})
	}
	q.key(c)
}

func (q *changeQuery) delete(c *buffer.Change) {
	q.start(abi.VerbDelete)
	q.Rows = q.Rows[:0]
	q.key(c)
}

func fromBuffer(v buffer.Value) abi.Value {
	switch v.Type() {
	case buffer.TypeInt:
		return abi.Int(v.Int())
	case buffer.TypeFloat:
		return abi.Float(v.Float())
	case buffer.TypeText:
		return abi.Text(v.Text())
	case buffer.TypeBytes:
		return abi.Bytes([]byte(v.Text()))
	case buffer.TypeBool:
		return abi.Bool(v.Bool())
	case buffer.TypeTime:
		return abi.Time(v.Time())
	case buffer.TypeDecimal:
		return abi.Decimal(v.Text())
	case buffer.TypeJSON:
		return abi.JSON(v.Text())
	}
	return abi.Null()
}

// kindOf reads the name of a kind from the dead-letter table.
func kindOf(name string) buffer.Kind {
	for _, k := range [...]buffer.Kind{buffer.KindSet, buffer.KindDelete} {
		if k.String() == name {
			return k
		}
	}
	return buffer.KindInsert
}
