package database

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// flush is one try of a batch.
type flush struct {
	target   *Target
	ctx      context.Context
	batch    *buffer.Batch
	refused  map[*buffer.Change]string // found in earlier tries
	careful  bool                      // every row alone, deferred foreign keys checked after it
	reloaded bool                      // the catalog, before something unknown is held against a row

	conn   *sqliteConn
	result buffer.Result
	q      abi.Query // of the change at hand; its slices are used again
	out    []byte
}

// noSuchRow is the reason for an update that hits nothing.
const noSuchRow = "no such row"

func (f *flush) run(c *sqliteConn) error {
	f.conn = c
	b := f.batch
	if err := c.execArgs(moveLedger, int64(b.To), b.Node, b.Lane.String(), int64(b.From)); err != nil {
		return err
	}
	if c.db.Changes() != 1 {
		return fmt.Errorf("%w: the ledger of %s %s is not at %d", buffer.ErrFenced, b.Node, b.Lane, b.From)
	}
	for _, phase := range [...]struct {
		kind    buffer.Kind
		changes []buffer.Change
		make    func(*buffer.Change) error
	}{{buffer.KindInsert, b.Inserts, f.insert}, {buffer.KindSet, b.Updates, f.update}, {buffer.KindDelete, b.Deletes, f.delete}} {
		for i := range phase.changes {
			if err := f.change(phase.kind, &phase.changes[i], phase.make); err != nil {
				return err
			}
		}
	}
	return nil
}

// change makes one change or sets it aside.
func (f *flush) change(kind buffer.Kind, c *buffer.Change, apply func(*buffer.Change) error) error {
	reason, refused := f.refused[c]
	if !refused {
		err := f.alone(func() error { return apply(c) })
		switch {
		case err == nil:
			return nil
		case !errnoIs(err, abi.ErrnoConflict, abi.ErrnoInvalid, abi.ErrnoDenied, abi.ErrnoTooLarge, abi.ErrnoNotFound):
			return err // passes by itself
		case !f.conn.inTx():
			return &lostError{c, err.Error()}
		}
		if reason = err.Error(); errnoIs(err, abi.ErrnoNotFound) {
			reason = noSuchRow
		}
	}
	document, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f.result.Dead = append(f.result.Dead, buffer.Dead{Kind: kind, Key: c.Key, First: c.First, Last: c.Last, Reason: reason})
	return f.conn.execArgs(insertDead, f.batch.Node, f.batch.Lane.String(), int64(c.First), int64(c.Last), kind.String(), string(document), reason)
}

// alone runs a change so that it is whole or not at all. A single statement is that anyway.
func (f *flush) alone(apply func() error) error {
	if !f.careful {
		return apply()
	}
	return f.conn.atomically(f.ctx, func() error {
		if err := apply(); err != nil {
			return err
		}
		open, _, err := f.conn.db.Status(sqlite3.DBSTATUS_DEFERRED_FKS, false)
		if err == nil && open != 0 {
			return failf(abi.ErrnoConflict, "foreign key: a row of %s points to one that is not there", f.batch.Lane.Table)
		}
		return err
	})
}

// start begins the query of a change.
func (f *flush) start(verb abi.Verb) {
	q := &f.q
	rows := append(q.Rows[:0], abi.Values(nil))
	if cap(q.Rows) > 0 && q.Rows[:1][0] != nil {
		rows = append(q.Rows[:0], q.Rows[:1][0][:0])
	}
	*q = abi.Query{
		Verb: verb, Table: f.batch.Lane.Table,
		Fields: q.Fields[:0], Rows: rows, Where: q.Where[:0], Increments: q.Increments[:0],
	}
}

func (f *flush) field(name string, v abi.Value) {
	f.q.Fields, f.q.Rows[0] = append(f.q.Fields, name), append(f.q.Rows[0], v)
}

func (f *flush) key(c *buffer.Change) {
	for _, k := range c.Key {
		f.q.Where = append(f.q.Where, abi.Cond{Op: abi.CondEq, Column: k.Name, Values: abi.Values{fromBuffer(k.Value)}})
	}
}

func (f *flush) insert(c *buffer.Change) error {
	f.start(abi.VerbInsert)
	for _, list := range [...][]buffer.Column{c.Key, c.Set} {
		for _, column := range list {
			f.field(column.Name, fromBuffer(column.Value))
		}
	}
	for _, d := range c.Add { // of an update that inserts: counted from 0
		f.field(d.Name, abi.Int(d.By))
	}
	_, err := f.exec()
	return err
}

func (f *flush) update(c *buffer.Change) error {
	f.start(abi.VerbUpdate)
	for _, column := range c.Set {
		f.field(column.Name, fromBuffer(column.Value))
	}
	for _, d := range c.Add {
		f.q.Increments = append(f.q.Increments, abi.Delta{Column: d.Name, By: abi.Int(d.By)})
	}
	f.key(c)
	n, err := f.exec()
	if err != nil || n > 0 {
		return err
	}
	switch f.batch.Missing {
	case buffer.MissingUpsert:
		return f.insert(c)
	case buffer.MissingDrop:
		f.result.Dropped++
		return nil
	}
	return failf(abi.ErrnoNotFound, "%s", noSuchRow)
}

func (f *flush) delete(c *buffer.Change) error {
	f.start(abi.VerbDelete)
	f.q.Rows = f.q.Rows[:0]
	f.key(c)
	_, err := f.exec()
	return err
}

// exec runs the query and says how many rows it reached.
func (f *flush) exec() (int64, error) {
	st, err := f.compile()
	if err != nil {
		return 0, err
	}
	for _, c := range st.add {
		if c.Type != TypeInt && c.Type != TypeDecimal {
			return 0, invalidf("increment of %s: only integers and decimals add up exactly", c.Name)
		}
	}
	f.conn.trusted = false // the row is a plugin's
	defer func() { f.conn.trusted = true }()
	r := run{conn: f.conn, ctx: f.ctx, st: st, q: &f.q, out: f.out[:0]}
	err = r.do()
	f.out = r.out
	return r.affected, err
}

// compile reads the catalog again before it holds something unknown against the row.
func (f *flush) compile() (*statement, error) {
	db := f.target.db
	st, err := db.Catalog().compile(db.engine.dialect(), &f.q)
	if err == nil || f.reloaded {
		return st, err
	}
	f.reloaded = true
	if err := db.Reload(f.ctx, nil); err != nil {
		return nil, err
	}
	return db.Catalog().compile(db.engine.dialect(), &f.q)
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
