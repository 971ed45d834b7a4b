package buffer

import (
	"cmp"
	"slices"
)

// row is what a batch (or one write) does to one canonical row: nothing yet, an insert, an update, an insert followed by
// an update that only increments, or a delete.
type row struct {
	canon string // canonical key; empty: an insert without key
	key   []Column
	ins   bool
	del   bool
	vals  []Column // columns of the insert
	set   []Column // of the update
	add   []Delta  // of the update
	first LSN
	last  LSN
}

// newRow makes the row of one valid operation; it shares nothing with it but strings.
func newRow(o *Op, scratch []byte) (*row, []byte) {
	r := &row{key: o.Key}
	if len(o.Key) > 0 {
		r.key = sortedColumns(o.Key)
		scratch = appendColumns(scratch[:0], r.key)
		r.canon = string(scratch)
	}
	switch o.Kind {
	case KindInsert:
		r.ins, r.vals = true, sortedColumns(o.Set)
	case KindSet:
		r.set = sortedColumns(o.Set)
	case KindIncrement:
		r.add = slices.Clone(o.Add)
		slices.SortFunc(r.add, func(a, b Delta) int { return cmp.Compare(a.Name, b.Name) })
	case KindDelete:
		r.del = true
	}
	return r, scratch
}

func sortedColumns(cols []Column) []Column {
	cols = slices.Clone(cols)
	slices.SortFunc(cols, func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
	return cols
}

// canFold tells whether next, which comes after r, can become part of it. See "Fold" in the package documentation.
func (r *row) canFold(next *row) bool {
	switch {
	case next.del:
		return true
	case r.del, next.ins:
		return false
	}
	for _, d := range next.add {
		base, ok := r.base(d.Name)
		if !ok {
			continue
		}
		if base.typ != TypeNull && base.typ != TypeInt || sumOverflows(base.Int(), d.By) {
			return false
		}
	}
	return true
}

// base is what is known of a column to which a later increment is added: its value, or the sum so far as an integer.
func (r *row) base(name string) (Value, bool) {
	if i, ok := findColumn(r.vals, name); ok {
		return r.vals[i].Value, true
	}
	if i, ok := findColumn(r.set, name); ok {
		return r.set[i].Value, true
	}
	if i, ok := findDelta(r.add, name); ok {
		return Int(r.add[i].By), true
	}
	return Value{}, false
}

// fold makes next part of r. canFold has agreed.
func (r *row) fold(next *row) {
	r.last = next.last
	if next.del {
		*r = row{canon: r.canon, key: r.key, del: true, first: r.first, last: r.last}
		return
	}
	for _, c := range next.set {
		if i, ok := findDelta(r.add, c.Name); ok {
			r.add = slices.Delete(r.add, i, i+1)
		}
		if r.ins {
			r.vals = putColumn(r.vals, c)
		} else {
			r.set = putColumn(r.set, c)
		}
	}
	for _, d := range next.add {
		r.increment(d)
	}
}

func (r *row) increment(d Delta) {
	if i, ok := findColumn(r.vals, d.Name); ok {
		r.vals[i].Value = Int(r.vals[i].Value.Int() + d.By)
		return
	}
	if i, ok := findColumn(r.set, d.Name); ok {
		r.set[i].Value = Int(r.set[i].Value.Int() + d.By)
		return
	}
	i, ok := findDelta(r.add, d.Name)
	if ok {
		r.add[i].By += d.By
		return
	}
	r.add = slices.Insert(r.add, i, d)
}

// clone is a copy that later folds into r do not reach.
func (r *row) clone() *row {
	c := *r
	c.vals, c.set, c.add = slices.Clone(r.vals), slices.Clone(r.set), slices.Clone(r.add)
	return &c
}

func findColumn(cols []Column, name string) (int, bool) {
	return slices.BinarySearchFunc(cols, name, func(c Column, name string) int { return cmp.Compare(c.Name, name) })
}

func findDelta(add []Delta, name string) (int, bool) {
	return slices.BinarySearchFunc(add, name, func(d Delta, name string) int { return cmp.Compare(d.Name, name) })
}

func putColumn(cols []Column, c Column) []Column {
	i, ok := findColumn(cols, c.Name)
	if ok {
		cols[i] = c
		return cols
	}
	return slices.Insert(cols, i, c)
}

func sumOverflows(a, b int64) bool {
	sum := a + b
	return (sum > a) != (b > 0) && b != 0
}
