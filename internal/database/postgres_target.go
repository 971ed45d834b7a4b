package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// postgresTarget flushes in pipelines: changes that name the same columns go to one prepared statement, up to flushChunk of them in one trip,
// under one savepoint. The server says at which one it stopped, so a bad row costs its chunk once more and no bisecting.
type postgresTarget struct {
	db     *DB
	engine *postgres
}

func (e *postgres) target(db *DB) buffer.Target { return &postgresTarget{db, e} }

const flushChunk = 256

const (
	postgresCreate = `CREATE TABLE IF NOT EXISTS odac_buffer_ledger (node text NOT NULL, lane text NOT NULL, applied bigint NOT NULL, PRIMARY KEY (node, lane));
		CREATE TABLE IF NOT EXISTS odac_buffer_dead (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node text NOT NULL, lane text NOT NULL,
			first_lsn bigint NOT NULL, last_lsn bigint NOT NULL, kind text NOT NULL, change text NOT NULL, reason text NOT NULL,
			at timestamptz NOT NULL DEFAULT now());
		CREATE INDEX IF NOT EXISTS odac_buffer_dead_lane ON odac_buffer_dead (node, lane, last_lsn)`
	postgresInsertLedger = `INSERT INTO odac_buffer_ledger (node, lane, applied) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING`
	postgresSelectLedger = `SELECT applied FROM odac_buffer_ledger WHERE node = $1 AND lane = $2 FOR UPDATE`
	postgresMoveLedger   = `UPDATE odac_buffer_ledger SET applied = $3 WHERE node = $1 AND lane = $2 AND applied = $4`
	postgresInsertDead   = `INSERT INTO odac_buffer_dead (node, lane, first_lsn, last_lsn, kind, change, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	postgresSelectDead   = `SELECT kind, change, first_lsn, last_lsn, reason FROM odac_buffer_dead
		WHERE node = $1 AND lane = $2 AND last_lsn > $3 AND last_lsn <= $4 ORDER BY id`
)

// own runs a statement of the program's own. Its arguments are strings and LSNs.
func (c *postgresConn) own(ctx context.Context, sql string, args ...any) *pgconn.Result {
	values := make([][]byte, len(args))
	for i, arg := range args {
		values[i] = fmt.Append([]byte{}, arg)
	}
	return c.conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
}

// with runs f in a transaction. Its errors are the driver's or *abi.Error.
func (t *postgresTarget) with(ctx context.Context, f func(ctx context.Context, c *postgresConn) error) error {
	c, err := t.engine.take(ctx)
	if err != nil {
		return err
	}
	defer c.release()
	if err := c.begin(ctx, TxOptions{Isolation: abi.IsolationReadCommitted}); err != nil {
		return err
	}
	if err := f(ctx, c); err != nil {
		if errors.Is(err, buffer.ErrFenced) {
			return err
		}
		return t.engine.fail(ctx, err, buffer.LedgerTable, false)
	}
	return c.commit(ctx)
}

// Applied implements buffer.Target. FOR UPDATE waits for a transaction of a process that was killed.
func (t *postgresTarget) Applied(ctx context.Context, node string, lane buffer.Lane) (lsn buffer.LSN, err error) {
	err = t.with(ctx, func(ctx context.Context, c *postgresConn) error {
		if err := c.create(ctx); err != nil {
			return err
		}
		if r := c.own(ctx, postgresInsertLedger, node, lane.String()); r.Err != nil {
			return r.Err
		}
		r := c.own(ctx, postgresSelectLedger, node, lane.String())
		if r.Err != nil {
			return r.Err
		}
		n, err := strconv.ParseInt(string(r.Rows[0][0]), 10, 64)
		lsn = buffer.LSN(n)
		return err
	})
	return lsn, err
}

// create makes the tables. IF NOT EXISTS does not see what another session is making: then once more.
func (c *postgresConn) create(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		_, err := c.exec(ctx, postgresCreate)
		var answer *pgconn.PgError
		if attempt == maxAttempts || !errors.As(err, &answer) || answer.Code != "23505" && answer.Code != "42P07" && answer.Code != "XX000" {
			return err
		}
		c.undo(err)
	}
}

// Dead implements buffer.Target.
func (t *postgresTarget) Dead(ctx context.Context, node string, lane buffer.Lane, from, to buffer.LSN) (dead []buffer.Dead, err error) {
	err = t.with(ctx, func(ctx context.Context, c *postgresConn) error {
		r := c.own(ctx, postgresSelectDead, node, lane.String(), int64(from), int64(to))
		if r.Err != nil {
			return r.Err
		}
		for _, row := range r.Rows {
			var change buffer.Change
			if err := json.Unmarshal(row[1], &change); err != nil {
				return err
			}
			dead = append(dead, buffer.Dead{Kind: kindOf(string(row[0])), Key: change.Key, First: change.First, Last: change.Last, Reason: string(row[4])})
		}
		return nil
	})
	return dead, err
}

// Apply implements buffer.Target.
func (t *postgresTarget) Apply(ctx context.Context, batch *buffer.Batch) (buffer.Result, error) {
	f := &postgresFlush{target: t, batch: batch, q: changeQuery{table: batch.Lane.Table}}
	for {
		f.result = buffer.Result{}
		err := t.with(ctx, f.run)
		switch {
		case err == nil:
			return f.result, nil
		case !f.careful && errnoIs(err, abi.ErrnoConflict):
			// The commit was refused by a constraint that is checked only then: once more, with a look at every row.
			f.careful = true
		default:
			if errnoIs(err, abi.ErrnoRetry) {
				err = errors.Join(err, t.db.Reload(ctx, nil))
			}
			return buffer.Result{}, err
		}
	}
}

// postgresFlush is one try of a batch.
type postgresFlush struct {
	target   *postgresTarget
	batch    *buffer.Batch
	careful  bool // deferred constraints are checked at once
	reloaded bool // the catalog, before something unknown is held against a row

	ctx    context.Context
	conn   *postgresConn
	result buffer.Result
	dead   []*pgDead
	q      changeQuery
	chunk  []*buffer.Change // sent together
	each   []int64          // rows that each of them reached
}

type pgDead struct {
	kind   buffer.Kind
	change *buffer.Change
	reason string
}

func (f *postgresFlush) run(ctx context.Context, c *postgresConn) error {
	f.ctx, f.conn, f.dead = ctx, c, f.dead[:0]
	b := f.batch
	moved := c.own(ctx, postgresMoveLedger, b.Node, b.Lane.String(), int64(b.To), int64(b.From))
	switch {
	case moved.Err != nil:
		return moved.Err
	case moved.CommandTag.RowsAffected() != 1:
		return fmt.Errorf("%w: the ledger of %s %s is not at %d", buffer.ErrFenced, b.Node, b.Lane, b.From)
	}
	start := moveOn
	if f.careful {
		start = "SET CONSTRAINTS ALL IMMEDIATE; " + moveOn // before the savepoint, which would undo it
	}
	if _, err := c.exec(ctx, start); err != nil {
		return err
	}
	for _, phase := range [...]struct {
		kind    buffer.Kind
		changes []buffer.Change
	}{{buffer.KindInsert, b.Inserts}, {buffer.KindSet, b.Updates}, {buffer.KindDelete, b.Deletes}} {
		for _, group := range groups(phase.changes) {
			if err := f.group(phase.kind, phase.kind, group); err != nil {
				return err
			}
		}
	}
	return f.bury()
}

// groups puts changes that name the same columns together, in the order of the first of each.
func groups(changes []buffer.Change) [][]*buffer.Change {
	var out [][]*buffer.Change
	at := map[string]int{}
	var name strings.Builder
	for i := range changes {
		c := &changes[i]
		name.Reset()
		for _, list := range [...][]buffer.Column{c.Key, c.Set} {
			for _, column := range list {
				name.WriteString(column.Name)
				name.WriteByte(0)
			}
			name.WriteByte(1)
		}
		for _, d := range c.Add {
			name.WriteString(d.Name)
			name.WriteByte(0)
		}
		n, ok := at[name.String()]
		if !ok {
			n = len(out)
			at[name.String()] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], c)
	}
	return out
}

// group makes changes that name the same columns. what is how, kind is what the dead-letter table calls them.
func (f *postgresFlush) group(what, kind buffer.Kind, changes []*buffer.Change) error {
	for len(changes) > 0 {
		n := min(len(changes), flushChunk)
		if err := f.send(what, kind, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// send makes a chunk of changes, all but those that are refused.
func (f *postgresFlush) send(what, kind buffer.Kind, changes []*buffer.Change) error {
	wide := what == buffer.KindInsert
	for len(changes) > 0 {
		refused, err := f.try(what, kind, changes, wide)
		if wide && err != nil && poison(err) && f.conn.tx {
			wide, changes = false, append([]*buffer.Change{}, f.chunk...) // which one, is only known when they go one by one
			continue
		}
		switch {
		case err == nil:
			return f.missing(what, kind)
		case refused < 0 || !poison(err):
			return err
		}
		f.set(kind, f.chunk[refused], err.Error())
		changes = append(append([]*buffer.Change{}, f.chunk[:refused]...), f.chunk[refused+1:]...)
	}
	return nil
}

func (f *postgresFlush) set(kind buffer.Kind, c *buffer.Change, reason string) {
	f.dead = append(f.dead, &pgDead{kind, c, reason})
}

// try sends changes in one trip. What is wrong with one before it is sent sets it aside; with an error of the server's it says which one was
// refused, -1 if it was not about one.
func (f *postgresFlush) try(what, kind buffer.Kind, changes []*buffer.Change, wide bool) (refused int, err error) {
	f.chunk, f.each = f.chunk[:0], f.each[:0]
	var r *postgresRun
	state := f.conn.state
	state.data, state.ends = state.data[:0], state.ends[:0]
	now := time.Now()
	for _, c := range changes {
		st, err := f.statement(what, c)
		if err == nil {
			if r == nil {
				r = &postgresRun{answer: newAnswer(st, Budget{}, nil), conn: f.conn, ctx: f.ctx, q: &f.q.Query, each: &f.each}
			}
			data, ends := len(state.data), len(state.ends)
			if what == buffer.KindInsert {
				_, err = bindRow(r, st, &f.q.Query, 0, now)
			} else {
				err = bindAll(r, st, &f.q.Query, &now)
			}
			if err != nil {
				state.data, state.ends = state.data[:data], state.ends[:ends]
			}
		}
		switch {
		case err == nil:
			f.chunk = append(f.chunk, c)
		case poison(err):
			f.set(kind, c, err.Error())
		default:
			return -1, err
		}
	}
	if len(f.chunk) == 0 {
		return 0, nil
	}
	if err = r.prepare(); err == nil && wide {
		err = r.prepareWide(len(f.chunk))
	}
	if err == nil {
		err = r.pipeline(len(f.chunk), false)
	}
	if err == nil {
		return 0, nil
	}
	f.conn.undo(err)
	mapped := f.target.engine.fail(f.ctx, err, f.batch.Lane.Table, false)
	if !f.conn.tx || len(f.each) >= len(f.chunk) {
		return -1, mapped
	}
	return len(f.each), mapped
}

func (f *postgresFlush) statement(what buffer.Kind, c *buffer.Change) (*statement, error) {
	switch what {
	case buffer.KindInsert:
		f.q.insert(c)
	case buffer.KindDelete:
		f.q.delete(c)
	default:
		f.q.update(c)
	}
	st, err := f.target.db.compileFresh(f.ctx, &f.q.Query, &f.reloaded)
	if err == nil {
		err = exact(st)
	}
	return st, err
}

// missing deals with updates that hit no row.
func (f *postgresFlush) missing(what, kind buffer.Kind) error {
	if what != buffer.KindSet {
		return nil
	}
	var none []*buffer.Change
	for i, n := range f.each {
		if n > 0 {
			continue
		}
		switch f.batch.Missing {
		case buffer.MissingUpsert:
			none = append(none, f.chunk[i])
		case buffer.MissingDrop:
			f.result.Dropped++
		default:
			f.set(kind, f.chunk[i], noSuchRow)
		}
	}
	return f.group(buffer.KindInsert, kind, none)
}

// bury writes down what was set aside.
func (f *postgresFlush) bury() error {
	for _, d := range f.dead {
		document, err := json.Marshal(d.change)
		if err != nil {
			return err
		}
		f.result.Dead = append(f.result.Dead, buffer.Dead{Kind: d.kind, Key: d.change.Key, First: d.change.First, Last: d.change.Last, Reason: d.reason})
		r := f.conn.own(f.ctx, postgresInsertDead, f.batch.Node, f.batch.Lane.String(), int64(d.change.First), int64(d.change.Last), d.kind.String(), string(document), d.reason)
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}
