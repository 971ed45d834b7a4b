package buffer

import (
	"context"
	"fmt"
	"slices"
)

// Pending is what the buffer holds for one row. To read a row with what is pending: first call Buffer.Pending, then read
// the row and the ledger's applied LSN (Buffer.Node, Lane.String) in one statement or snapshot, then ask Above. In this order the
// result is exact and never goes back. A ledger row, or table, that is not there yet means applied 0.
type Pending struct {
	steps   []pendingStep // of successive batches
	missing Missing
}

type pendingStep struct {
	to  LSN
	row *row
}

// IsEmpty tells that nothing was pending.
func (p Pending) IsEmpty() bool { return len(p.steps) == 0 }

// Effect is what pending writes will do to a row. The zero Effect is nothing.
type Effect struct {
	Inserted bool     // the row will be made; Set holds its columns, key included
	Deleted  bool     // the row will be gone; the rest is empty
	Set      []Column // new values, sorted by name
	Add      []Delta  // to be added, modulo 2^64, to what the database holds (NULL counts as 0), sorted by name
}

// Int gives an integer column under the effect, from what the database holds (0 for NULL or no row).
func (e Effect) Int(column string, base int64) int64 {
	if e.Deleted || e.Inserted {
		base = 0
	}
	if i, ok := findColumn(e.Set, column); ok {
		return e.Set[i].Value.Int()
	}
	if i, ok := findDelta(e.Add, column); ok {
		return base + e.Add[i].By
	}
	return base
}

// Pending gives what is acknowledged for one row of the lane and was not applied a moment ago. It may wait: for writes of level
// Memory to become durable, and after a restart for the ledger of a lane with recovered writes to be read.
// Errors: the context's, ErrFenced, ErrInvalid.
func (b *Buffer) Pending(ctx context.Context, id Lane, key []Column) (Pending, error) {
	if len(key) == 0 {
		return Pending{}, fmt.Errorf("%w: pending without a key", ErrInvalid)
	}
	l := b.existing(id)
	if l == nil {
		return Pending{}, nil
	}
	if err := b.settleMemory(ctx, l); err != nil {
		return Pending{}, err
	}
	canon := string(appendColumns(nil, sortedColumns(key)))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.backlog != nil { // only if fenced: ready is closed
		return Pending{}, l.fenced
	}
	var p Pending
	for _, bt := range l.batches {
		r := bt.rows[canon]
		if r == nil {
			continue
		}
		if !bt.sealed {
			r = r.clone()
		}
		p.steps = append(p.steps, pendingStep{bt.to, r})
	}
	if len(p.steps) > 0 {
		p.missing = b.cfg.Missing(id)
	}
	return p, nil
}

// settleMemory waits until the lane has taken what it acknowledged.
func (b *Buffer) settleMemory(ctx context.Context, l *lane) error {
	l.mu.Lock()
	behind, recovering := l.memory > l.folded, l.backlog != nil
	l.mu.Unlock()
	if behind {
		if g := b.wal.barrier(); g != nil {
			select {
			case <-g.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	if recovering {
		select {
		case <-l.ready:
		case <-b.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Above gives the effect of the pending writes with a LSN above applied, on a row of which exists tells whether the
// database has it.
func (p Pending) Above(applied LSN, exists bool) Effect {
	cur := &row{} // what is to be done
	there := exists
	for _, s := range p.steps {
		if applied >= s.to {
			continue
		}
		step := s.row.clone()
		if step.ins {
			if !there {
				cur = &row{ins: true, vals: step.insertColumns()}
				there = true
			}
			step = &row{set: step.set, add: step.add} // a second insert is refused
		}
		switch {
		case step.del:
			cur, there = &row{del: true}, false
		case len(step.set)+len(step.add) == 0:
		case there:
			cur.foldPossible(step)
		case p.missing == MissingUpsert:
			cur = &row{ins: true, vals: step.upsertColumns()}
			there = true
		}
	}
	e := Effect{Inserted: cur.ins, Deleted: cur.del && exists, Set: cur.set, Add: cur.add}
	if cur.ins {
		e.Set = cur.vals
	}
	return e
}

// foldPossible folds next into r, without the increments that the database will refuse. Sums of increments may wrap: they are
// right again once what the database holds is added.
func (r *row) foldPossible(next *row) {
	next.add = slices.DeleteFunc(next.add, func(d Delta) bool {
		_, sum := findDelta(r.add, d.Name)
		return !sum && !r.canFold(&row{add: []Delta{d}})
	})
	r.fold(next)
}

func (r *row) insertColumns() []Column {
	return sortedColumns(slices.Concat(r.key, r.vals))
}

func (r *row) upsertColumns() []Column {
	cols := slices.Concat(r.key, r.set)
	for _, d := range r.add {
		cols = append(cols, Column{d.Name, Int(d.By)})
	}
	return sortedColumns(cols)
}
