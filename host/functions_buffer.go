package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
)

// odac:buffer/v1: writes that are acknowledged by the log and reach the database later, exactly once.

func bufferModule() hostModule {
	return hostModule{abi.ModuleBuffer, []hostFunction{
		{abi.FuncBufferWrite, bufferWrite},
		{abi.FuncBufferFlush, bufferFlush},
	}}
}

// verbOf is the grant that a buffered write needs.
var verbOf = map[abi.BufferOp]abi.Verb{
	abi.BufferInsert: abi.VerbInsert, abi.BufferSet: abi.VerbUpdate, abi.BufferIncrement: abi.VerbUpdate, abi.BufferDelete: abi.VerbDelete,
}

var levelOf = map[abi.Durability]buffer.Level{
	abi.DurabilityDisk: buffer.Disk, abi.DurabilityMemory: buffer.Memory,
	abi.DurabilityReplicated: buffer.Replicated, abi.DurabilityApplied: buffer.Applied,
}

func bufferWrite(c *call, req, resp []byte) ([]byte, error) {
	var in abi.BufferWrite
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	conn, err := c.buffered(&in)
	if err != nil {
		return nil, err
	}
	if in.Op != abi.BufferDelete {
		if err := conn.room(c.context()); err != nil {
			return nil, err
		}
	}
	level := levelOf[in.Level]
	if level == buffer.Applied {
		if err := c.mayWrite(conn); err != nil {
			return nil, err
		}
	}
	ops, last, err := conn.operations(c.rev.access, &in)
	if err != nil {
		return nil, err
	}
	if level != buffer.Memory {
		c.ec.Wait()
	}
	if _, err := c.rev.host.buffer.Write(c.context(), conn.lane(in.Table), level, ops...); err != nil {
		return nil, bufferError(err)
	}
	return reply(resp, &abi.Result{Affected: int64(max(len(in.Rows), 1)), LastID: last})
}

// buffered checks a write's form and grants and finds its connection.
func (c *call) buffered(in *abi.BufferWrite) (*connection, error) {
	verb, ok := verbOf[in.Op]
	if !ok {
		return nil, invalid("buffered write: unknown operation %d", in.Op)
	}
	if _, ok := levelOf[in.Level]; !ok {
		return nil, invalid("buffered write: unknown durability %d", in.Level)
	}
	if err := c.rev.grants.Buffer(in.Table, plugins.Verb(verb.String())); err != nil {
		return nil, abi.NewError(abi.ErrnoDenied, err.Error())
	}
	return c.rev.tenant.conn(c.context(), in.Conn)
}

// operations makes a write complete, so that what is logged is what will be in the database: generated ids,
// timestamps, values of their columns' types. A row is named by its primary key and, where a policy pins columns to one value, by those: so the flush, which
// may reach every row, finds the plugin's own only.
func (conn *connection) operations(a *database.Access, in *abi.BufferWrite) (ops []buffer.Op, last abi.Value, err error) {
	catalog := conn.db.Catalog()
	table, ok := catalog.Table(in.Table)
	if !ok {
		return nil, last, invalid("there is no table %s", in.Table)
	}
	pins, pinned, whole, err := catalog.Pins(a, in.Table)
	if err != nil {
		return nil, last, err
	}
	if in.Op != abi.BufferInsert {
		if !whole {
			return nil, last, abi.NewError(abi.ErrnoUnsupported, fmt.Sprintf("buffered writes to rows of %s: the policy on the table says more than columns that equal values: write directly", in.Table))
		}
		ops, err = conn.rowOperations(a, in, columns(pins, pinned))
		return ops, last, err
	}
	fields, rows, err := catalog.FillInsert(a, in.Table, in.Fields, in.Rows)
	if err != nil {
		return nil, last, err
	}
	ops = make([]buffer.Op, len(rows))
	for i, row := range rows {
		ops[i].Kind = buffer.KindInsert
		keys := 0
		for j, field := range fields {
			switch {
			case slices.Contains(table.Key, field):
				ops[i].Key = append(ops[i].Key, column(field, row[j]))
				last = row[j]
				keys++
			case slices.Contains(pins, field):
				ops[i].Key = append(ops[i].Key, column(field, row[j]))
			default:
				ops[i].Set = append(ops[i].Set, column(field, row[j]))
			}
		}
		if keys != len(table.Key) { // the database draws the key
			ops[i].Set, ops[i].Key, last = append(ops[i].Key, ops[i].Set...), nil, abi.Null()
		}
	}
	return ops, last, nil
}

// rowOperations are a set, increment or delete of one row by its primary key. An increment of a table with updated_at
// is two: the buffer keeps them together.
func (conn *connection) rowOperations(a *database.Access, in *abi.BufferWrite, pins []buffer.Column) ([]buffer.Op, error) {
	catalog := conn.db.Catalog()
	values, err := catalog.KeyValues(a, in.Table, in.KeyColumns, in.Key)
	if err != nil {
		return nil, err
	}
	key := columns(in.KeyColumns, values)
	for _, pin := range pins {
		i := slices.IndexFunc(key, func(c buffer.Column) bool { return c.Name == pin.Name })
		switch {
		case i < 0:
			key = append(key, pin)
		case key[i].Value != pin.Value:
			return nil, abi.NewError(abi.ErrnoDenied, fmt.Sprintf("the row of %s is out of the policy: %s", in.Table, pin.Name))
		}
	}
	if in.Op == abi.BufferDelete {
		return []buffer.Op{{Kind: buffer.KindDelete, Key: key}}, nil
	}
	var row abi.Values
	if in.Op == abi.BufferSet {
		if len(in.Rows) != 1 {
			return nil, invalid("a buffered set has one row of values, this has %d", len(in.Rows))
		}
		row = in.Rows[0]
	}
	counted := make([]string, len(in.Increments))
	for i := range in.Increments {
		counted[i] = in.Increments[i].Column
	}
	fields, row, err := catalog.FillUpdate(a, in.Table, in.Fields, row, counted)
	if err != nil {
		return nil, err
	}
	var ops []buffer.Op
	if len(in.Increments) > 0 {
		counters, _ := catalog.Table(in.Table)
		add := make([]buffer.Delta, len(in.Increments))
		for i, d := range in.Increments {
			if d.By.Kind() != abi.KindInt {
				return nil, invalid("a buffered increment of %s is by %s: counters are integers", d.Column, d.By.Kind())
			}
			if c, ok := counters.Column(d.Column); !ok || c.Type != database.TypeInt {
				return nil, invalid("table %s has no integer column %s to increment", in.Table, d.Column)
			}
			add[i] = buffer.Delta{Name: d.Column, By: d.By.AsInt()}
		}
		ops = append(ops, buffer.Op{Kind: buffer.KindIncrement, Key: key, Add: add})
	}
	if len(fields) > 0 {
		ops = append(ops, buffer.Op{Kind: buffer.KindSet, Key: key, Set: columns(fields, row)})
	}
	return ops, nil
}

func columns(names []string, values abi.Values) []buffer.Column {
	out := make([]buffer.Column, len(names))
	for i, name := range names {
		out[i] = column(name, values[i])
	}
	return out
}

func column(name string, v abi.Value) buffer.Column {
	return buffer.Column{Name: name, Value: bufferValue(v)}
}

func bufferValue(v abi.Value) buffer.Value {
	switch v.Kind() {
	case abi.KindBool:
		return buffer.Bool(v.AsBool())
	case abi.KindInt:
		return buffer.Int(v.AsInt())
	case abi.KindFloat:
		return buffer.Float(v.AsFloat())
	case abi.KindText:
		return buffer.Text(v.AsText())
	case abi.KindBytes:
		return buffer.Bytes([]byte(v.AsText()))
	case abi.KindDecimal:
		return buffer.Decimal(v.AsText())
	case abi.KindJSON:
		return buffer.JSON(v.AsText())
	case abi.KindTime:
		return buffer.Time(v.AsTime())
	}
	return buffer.Null()
}

func bufferFlush(c *call, req, resp []byte) ([]byte, error) {
	var in abi.Table
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	if err := c.mayFlush(in.Name); err != nil {
		return nil, err
	}
	conn, err := c.rev.tenant.conn(c.context(), in.Conn)
	if err != nil {
		return nil, err
	}
	if err := c.mayWrite(conn); err != nil {
		return nil, err
	}
	c.ec.Wait()
	if in.Name == "" {
		return resp, c.flushWritable(conn)
	}
	return resp, bufferError(c.rev.host.buffer.Flush(c.context(), conn.lane(in.Name)))
}

// mayFlush is for who may write to the table through the buffer: the answer tells of rows that were set aside.
func (c *call) mayFlush(table string) (err error) {
	if table == "" { // all of its own
		return nil
	}
	for _, verb := range []plugins.Verb{plugins.Insert, plugins.Update, plugins.Delete} {
		if err = c.rev.grants.Buffer(table, verb); err == nil {
			return nil
		}
	}
	return abi.NewError(abi.ErrnoDenied, err.Error())
}

// bufferError is the map from the buffer's errors to errnos.
func bufferError(err error) error {
	var dead *buffer.DeadLetterError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &dead):
		return abi.NewError(abi.ErrnoConflict, dead.Error())
	case errors.Is(err, buffer.ErrBufferFull):
		return abi.NewError(abi.ErrnoBusy, buffer.ErrBufferFull.Error())
	case errors.Is(err, buffer.ErrTooLarge):
		return abi.NewError(abi.ErrnoTooLarge, buffer.ErrTooLarge.Error())
	case errors.Is(err, buffer.ErrInvalid):
		return abi.NewError(abi.ErrnoInvalid, err.Error())
	case errors.Is(err, buffer.ErrNeedsRedis):
		return abi.NewError(abi.ErrnoUnsupported, buffer.ErrNeedsRedis.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, buffer.ErrDiskFull), errors.Is(err, buffer.ErrReadOnly), errors.Is(err, buffer.ErrFenced), errors.Is(err, buffer.ErrClosed):
		return abi.NewError(abi.ErrnoUnavailable, "the buffer takes no writes: the host's log has the details")
	}
	return err
}
