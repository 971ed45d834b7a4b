package buffer

import (
	"maps"
	"slices"
)

// changes gives the batch the form that a Target takes.
func (b *batch) changes(node string, lane Lane, missing Missing) *Batch {
	out := &Batch{Node: node, Lane: lane, From: b.from, To: b.to, Missing: missing}
	for _, canon := range slices.Sorted(maps.Keys(b.rows)) {
		out.put(b.rows[canon])
	}
	for _, r := range b.loose {
		out.put(r)
	}
	return out
}

func (b *Batch) put(r *row) {
	c := Change{Key: r.key, First: r.first, Last: r.last}
	if r.del {
		b.Deletes = append(b.Deletes, c)
		return
	}
	if r.ins {
		c.Set = r.vals
		b.Inserts = append(b.Inserts, c)
	}
	if len(r.set)+len(r.add) > 0 {
		c.Set, c.Add = r.set, r.add
		b.Updates = append(b.Updates, c)
	}
}

// settle answers the writes of level Applied.
func (b *batch) settle(dead []Dead) {
	if len(dead) == 0 {
		for _, w := range b.wait {
			w.done <- nil
		}
		return
	}
	byKey := make(map[string][]Dead)
	for _, d := range dead {
		canon := ""
		if len(d.Key) > 0 {
			canon = string(appendColumns(nil, sortedColumns(d.Key)))
		}
		byKey[canon] = append(byKey[canon], d)
	}
	for _, w := range b.wait {
		var mine []Dead
		for _, r := range w.rows {
			for _, d := range byKey[r.canon] {
				if d.First <= w.lsn && w.lsn <= d.Last {
					mine = append(mine, d)
				}
			}
		}
		if len(mine) > 0 {
			w.done <- &DeadLetterError{Dead: mine}
		} else {
			w.done <- nil
		}
	}
}
