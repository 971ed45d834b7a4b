package buffer

import (
	"fmt"
)

// opCost is what an operation is counted for in memory beside its encoded bytes.
const opCost = 128

// write is one accepted Write on its way: queued, durable, folded, applied.
type write struct {
	lane  *lane
	lsn   LSN      // given by the log
	seg   *segment // where it is, given by the log
	rows  []*row   // one for each canonical row
	size  int64    // encoded bytes
	cost  int64    // what it holds of the pending limits
	level Level
	done  chan error // level Applied: gets the outcome, capacity 1
}

// newWrite checks ops and folds them among themselves.
func newWrite(ops []Op) (*write, error) {
	if len(ops) == 0 {
		return nil, fmt.Errorf("%w: no operation", ErrInvalid)
	}
	w := &write{rows: make([]*row, 0, len(ops))}
	var scratch [64]byte
	buf := scratch[:0]
	var seen map[string]*row
	for i := range ops {
		if err := ops[i].validate(); err != nil {
			return nil, err
		}
		var r *row
		r, buf = newRow(&ops[i], buf)
		if len(ops) > 1 && r.canon != "" {
			if prev := seen[r.canon]; prev != nil {
				if !prev.canFold(r) {
					return nil, fmt.Errorf("%w: operation %d (%s) cannot follow an earlier one on the same row: use two writes",
						ErrInvalid, i+1, ops[i].Kind)
				}
				prev.fold(r)
				continue
			}
			if seen == nil {
				seen = make(map[string]*row, len(ops))
			}
			seen[r.canon] = r
		}
		w.rows = append(w.rows, r)
	}
	return w, nil
}

// stamp sets the LSN, once the log gave it.
func (w *write) stamp(lsn LSN) {
	w.lsn = lsn
	for _, r := range w.rows {
		r.first, r.last = lsn, lsn
	}
}

// batch is the folded writes of one lane between two ledger positions. Guarded by lane.mu until it is sealed, immutable
// afterwards.
type batch struct {
	from   LSN
	first  LSN // of its first write
	to     LSN
	rows   map[string]*row
	loose  []*row // inserts without key
	bytes  int64
	cost   int64
	writes int64
	segs   []segmentCount
	wait   []*write // those of level Applied
	sealed bool
}

type segmentCount struct {
	seg *segment
	n   int64
}

// add folds w into b, or returns false and leaves b as it is.
func (b *batch) add(w *write, maxRows int, maxBytes int64) bool {
	fresh, grows := 0, false
	for _, r := range w.rows {
		old := b.rows[r.canon]
		if r.canon == "" {
			old = nil
		}
		switch {
		case old == nil:
			fresh++
		case !old.canFold(r):
			return false
		}
		grows = grows || old == nil || len(r.set) > 0
	}
	size := int64(0)
	if grows {
		size = w.size
	}
	if b.writes > 0 && (len(b.rows)+len(b.loose)+fresh > maxRows || b.bytes+size > maxBytes) {
		return false
	}
	for _, r := range w.rows {
		if r.canon == "" {
			b.loose = append(b.loose, r)
		} else if old := b.rows[r.canon]; old != nil {
			old.fold(r)
		} else {
			b.rows[r.canon] = r
		}
	}
	if b.writes == 0 {
		b.first = w.lsn
	}
	b.to = w.lsn
	b.bytes += size
	b.cost += w.cost
	b.writes++
	if w.done != nil {
		b.wait = append(b.wait, w)
	}
	if n := len(b.segs); n > 0 && b.segs[n-1].seg == w.seg {
		b.segs[n-1].n++
	} else {
		b.segs = append(b.segs, segmentCount{w.seg, 1})
	}
	return true
}
