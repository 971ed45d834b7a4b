package buffertest

import (
	"context"
	"testing"

	"github.com/odac-run/odachost/buffer"
)

// Fixture is a fresh, private database with two tables, and the Target under test. In the terms of its dialect:
//
//	items  (id text primary key, title text not null check (length(title) <= 100), n 64-bit integer, note text,
//	        data bytes, c01 ... c20 64-bit integer)                  -- all but id and title may be NULL and have no default
//	events (id generated integer primary key, note text not null)
type Fixture struct {
	Target buffer.Target
	Tenant string // of the lanes
	Conn   string // of the lanes
	// Row reads columns of one row of items, nil if there is none: integers as Int, text as Text, bytes as Bytes, NULL as Null.
	Row func(ctx context.Context, id string, columns ...string) ([]buffer.Value, error)
	// Count counts a table's rows.
	Count func(ctx context.Context, table string) (int, error)
}

// New makes a Fixture that is torn down with t.
type New func(t *testing.T) Fixture

const node = "conformance.0123456789abcdef"

// harness is a Fixture and where its ledger stands.
type harness struct {
	Fixture
	t    *testing.T
	lane buffer.Lane
	at   buffer.LSN
}

func newHarness(t *testing.T, newFixture New, table string) *harness {
	t.Helper()
	f := newFixture(t)
	h := &harness{Fixture: f, t: t, lane: buffer.Lane{Tenant: f.Tenant, Conn: f.Conn, Table: table}}
	h.wantApplied(0)
	return h
}

// batch is the next batch with these changes, which get LSNs of their own in their order.
func (h *harness) batch(inserts, updates, deletes []buffer.Change) *buffer.Batch {
	b := &buffer.Batch{Node: node, Lane: h.lane, From: h.at, To: h.at, Inserts: inserts, Updates: updates, Deletes: deletes}
	for _, list := range [][]buffer.Change{inserts, updates, deletes} {
		for i := range list {
			b.To++
			list[i].First, list[i].Last = b.To, b.To
		}
	}
	b.To++
	return b
}

// apply applies b and checks the ledger, and that Dead reads what the Result says.
func (h *harness) apply(b *buffer.Batch) buffer.Result {
	h.t.Helper()
	res, err := h.Target.Apply(h.t.Context(), b)
	if err != nil {
		h.t.Fatalf("Apply %d to %d: %v", b.From, b.To, err)
	}
	h.at = b.To
	h.wantApplied(b.To)
	dead, err := h.Target.Dead(h.t.Context(), node, h.lane, b.From, b.To)
	if err != nil {
		h.t.Fatalf("Dead: %v", err)
	}
	if !sameDead(dead, res.Dead) {
		h.t.Errorf("Dead reads %v, Result.Dead is %v", dead, res.Dead)
	}
	return res
}

func (h *harness) wantApplied(want buffer.LSN) {
	h.t.Helper()
	got, err := h.Target.Applied(h.t.Context(), node, h.lane)
	if err != nil || got != want {
		h.t.Fatalf("Applied = %d, %v; want %d", got, err, want)
	}
}

// want checks columns of one row of items; no values: there is no such row.
func (h *harness) want(id string, columns []string, values ...buffer.Value) {
	h.t.Helper()
	got, err := h.Row(h.t.Context(), id, columns...)
	if err != nil {
		h.t.Fatalf("row %s: %v", id, err)
	}
	if len(values) == 0 && got == nil {
		return
	}
	if len(got) != len(values) {
		h.t.Fatalf("row %s: %v, want %v", id, got, values)
	}
	for i := range values {
		if got[i] != values[i] {
			h.t.Errorf("row %s: %s = %v, want %v", id, columns[i], got[i], values[i])
		}
	}
}

func (h *harness) wantCount(table string, want int) {
	h.t.Helper()
	if got, err := h.Count(h.t.Context(), table); err != nil || got != want {
		h.t.Errorf("%s has %d rows, %v; want %d", table, got, err, want)
	}
}

// wantDead checks that exactly these rows of items were set aside, in any order, as kind.
func (h *harness) wantDead(res buffer.Result, kind buffer.Kind, ids ...string) {
	h.t.Helper()
	left := map[string]bool{}
	for _, id := range ids {
		left[id] = true
	}
	for _, d := range res.Dead {
		id := ""
		if len(d.Key) == 1 && d.Key[0].Name == "id" {
			id = d.Key[0].Value.Text()
		}
		if !left[id] || d.Kind != kind || d.First == 0 || d.Last < d.First || d.Reason == "" {
			h.t.Errorf("unexpected dead letter %+v", d)
		}
		delete(left, id)
	}
	if len(left) > 0 {
		h.t.Errorf("not set aside: %v; dead: %v", left, res.Dead)
	}
}

func sameDead(a, b []buffer.Dead) bool {
	if len(a) != len(b) {
		return false
	}
	type id struct {
		kind        buffer.Kind
		first, last buffer.LSN
		key         buffer.Column
	}
	count := map[id]int{}
	add := func(list []buffer.Dead, n int) {
		for _, d := range list {
			k := id{kind: d.Kind, first: d.First, last: d.Last}
			if len(d.Key) > 0 {
				k.key = d.Key[0]
			}
			count[k] += n
		}
	}
	add(a, 1)
	add(b, -1)
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func key(id string) []buffer.Column { return []buffer.Column{{Name: "id", Value: buffer.Text(id)}} }

func text(name, v string) buffer.Column { return buffer.Column{Name: name, Value: buffer.Text(v)} }

func integer(name string, v int64) buffer.Column {
	return buffer.Column{Name: name, Value: buffer.Int(v)}
}

func insert(id string, set ...buffer.Column) buffer.Change {
	return buffer.Change{Key: key(id), Set: set}
}

func set(id string, cols ...buffer.Column) buffer.Change {
	return buffer.Change{Key: key(id), Set: cols}
}

func add(id, column string, by int64) buffer.Change {
	return buffer.Change{Key: key(id), Add: []buffer.Delta{{Name: column, By: by}}}
}
