package diagram

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// Sizes in pixels. Every y of a box is a multiple of unit, and lines leave a box on the left, on the right, and cross a layer each at a
// place of their own within the unit, so that no two of them lie on one another.
const (
	unit       = 18
	charWidth  = 7.25 // of a character of 12 pixels
	padding    = 10
	signs      = 40 // room for the signs before a column's name
	headHeight = 2 * unit
	boxGap     = 2 * unit
	trackGap   = 9
	margin     = 2 * unit
	maxHeight  = 75 * unit // of a layer, before it is split
)

// part is a set of tables that hang together, with its own layers.
type part struct {
	boxes  []*box
	links  []*link
	layers [][]*box
	nets   []*net
	w, h   int
}

// parts splits the graph; tables without keys come as parts of one.
func (g *graph) parts() []*part {
	owner := map[*box]*box{}
	var root func(b *box) *box
	root = func(b *box) *box {
		if p := owner[b]; p != nil && p != b {
			return root(p)
		}
		return b
	}
	for _, l := range g.links {
		if a, b := root(l.from), root(l.to); a != b {
			owner[a] = b
		}
	}
	byRoot := map[*box]*part{}
	var out []*part
	for _, b := range g.boxes {
		r := root(b)
		if byRoot[r] == nil {
			byRoot[r] = &part{}
			out = append(out, byRoot[r])
		}
		byRoot[r].boxes = append(byRoot[r].boxes, b)
	}
	for _, l := range g.links {
		p := byRoot[root(l.from)]
		p.links = append(p.links, l)
	}
	slices.SortStableFunc(out, func(a, b *part) int { return cmp.Compare(len(b.boxes), len(a.boxes)) })
	return out
}

// measure gives every box its size.
func (b *box) measure() {
	widest := float64(len(b.name)+2)*charWidth*1.1 + padding
	for _, r := range b.rows {
		widest = max(widest, float64(utf8.RuneCountInString(r.name+r.typ)+3)*charWidth+signs)
	}
	b.w = int(widest) + 2*padding
	b.h = headHeight + unit*len(b.rows)
}

// assign gives every box its layer: to the right of all that it points to, and as near to what points to it as that allows. A cycle is
// cut at the key that closes it, by name.
func (p *part) assign() {
	parents := map[*box][]*box{}
	state := map[*box]int{} // 1 under way, 2 done
	var order []*box
	var visit func(b *box)
	visit = func(b *box) {
		state[b] = 1
		for _, l := range p.links {
			if l.from != b || l.to == b {
				continue
			}
			if state[l.to] == 0 {
				visit(l.to)
			}
			if state[l.to] == 2 {
				parents[b] = append(parents[b], l.to)
				b.layer = max(b.layer, l.to.layer+1)
			}
		}
		state[b] = 2
		order = append(order, b)
	}
	for _, b := range p.boxes {
		if state[b] == 0 {
			visit(b)
		}
	}
	nearest := map[*box]int{}
	children := map[*box]int{}
	for _, b := range slices.Backward(order) { // children before parents
		if n := children[b]; n > 0 && n >= len(parents[b]) {
			b.layer = max(b.layer, nearest[b]-1)
		}
		for _, up := range parents[b] {
			if children[up] == 0 || b.layer < nearest[up] {
				nearest[up] = b.layer
			}
			children[up]++
		}
	}
}

// fill makes the layers, splits those that are too high, and puts a place into every layer that a line has to cross.
func (p *part) fill() {
	var layers [][]*box
	for _, b := range p.boxes {
		for len(layers) <= b.layer {
			layers = append(layers, nil)
		}
		layers[b.layer] = append(layers[b.layer], b)
	}
	layers = slices.DeleteFunc(layers, func(l []*box) bool { return len(l) == 0 })
	p.layers = nil
	for _, layer := range layers {
		p.layers = append(p.layers, split(layer)...)
	}
	for i, layer := range p.layers {
		for j, b := range layer {
			b.layer, b.order = i, j
		}
	}
	p.makeNets()
}

// split cuts a layer into as many of about the same height as it needs. Its tables have no keys between them.
func split(layer []*box) [][]*box {
	total := 0
	for _, b := range layer {
		total += b.h + boxGap
	}
	n := (total + maxHeight - 1) / maxHeight
	var out [][]*box
	var now []*box
	high := 0
	for _, b := range layer {
		if high > 0 && high+(b.h+boxGap)/2 > total/n && len(out) < n-1 {
			out, now, high = append(out, now), nil, 0
		}
		now = append(now, b)
		high += b.h + boxGap
	}
	return append(out, now)
}
