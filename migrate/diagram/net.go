package diagram

import (
	"cmp"
	"slices"
)

// net is the lines that share an end on their left: the keys to one column, or a key that runs against the order of the layers.
type net struct {
	left  end
	right []end
	// places are where the net crosses layers, by layer.
	places map[int]*box
	links  []*link
	id     int
	track  map[int]int // by the layer to the left of the gutter
}

// end is where a line meets a table.
type end struct {
	box  *box
	row  int
	many bool // the end of the referencing column
	link *link
}

// y is where the line leaves the box: on its right side, or on its left.
func (e end) y(rightSide bool) int {
	y := e.box.y + headHeight + unit*e.row + unit/3
	if rightSide {
		y += unit / 3
	}
	return y
}

// crossing is how far below its top a line goes through the place: in adjacent layers never at the same height.
func (b *box) crossing() int { return b.layer % 2 * (unit - 3) }

type netKey struct {
	box   *box
	row   int
	mark  mark
	alone *link
}

func (p *part) makeNets() {
	byKey := map[netKey]*net{}
	for _, l := range p.links {
		if l.from == l.to {
			continue
		}
		key := netKey{box: l.to, row: l.toRow, mark: l.mark}
		left, right := end{l.to, l.toRow, false, l}, end{l.from, l.fromRow, true, l}
		if l.from.layer < l.to.layer {
			key, left, right = netKey{alone: l}, right, left
		}
		n := byKey[key]
		if n == nil {
			n = &net{left: left, places: map[int]*box{}, id: len(p.nets), track: map[int]int{}}
			byKey[key] = n
			p.nets = append(p.nets, n)
		}
		n.right = append(n.right, right)
		n.links = append(n.links, l)
	}
	for _, n := range p.nets {
		last := 0
		for _, e := range n.right {
			last = max(last, e.box.layer)
		}
		for layer := n.left.box.layer + 1; layer < last; layer++ {
			d := &box{dummy: true, layer: layer, order: len(p.layers[layer]), h: 0}
			n.places[layer] = d
			p.layers[layer] = append(p.layers[layer], d)
		}
	}
}

// neighbours calls visit with the boxes that a net joins in adjacent layers, and how far below their top.
func (n *net) neighbours(visit func(left *box, leftAt int, right *box, rightAt int)) {
	at := func(layer int) (*box, int) {
		if d := n.places[layer]; d != nil {
			return d, d.crossing()
		}
		return n.left.box, n.left.y(true) - n.left.box.y
	}
	for layer, d := range n.places {
		b, offset := at(layer - 1)
		visit(b, offset, d, d.crossing())
	}
	for _, e := range n.right {
		b, offset := at(e.box.layer - 1)
		visit(b, offset, e.box, e.y(false)-e.box.y)
	}
}

// sort orders every layer by the middle of what its boxes are joined to, in sweeps to and fro, and keeps the best.
func (p *part) sort() {
	toLeft, toRight := map[*box][]*box{}, map[*box][]*box{}
	for _, n := range p.nets {
		n.neighbours(func(l *box, _ int, r *box, _ int) {
			toLeft[r], toRight[l] = append(toLeft[r], l), append(toRight[l], r)
		})
	}
	best, bestCost := p.orders(), p.crossings()
	for sweep := range 24 {
		side := toLeft
		if sweep%2 == 1 {
			side = toRight
		}
		for i := range p.layers {
			layer := p.layers[i]
			if sweep%2 == 1 {
				layer = p.layers[len(p.layers)-1-i]
			}
			middle := map[*box]float64{}
			for _, b := range layer {
				middle[b] = mean(side[b], float64(b.order))
			}
			slices.SortStableFunc(layer, func(a, b *box) int { return cmp.Compare(middle[a], middle[b]) })
			for j, b := range layer {
				b.order = j
			}
		}
		if cost := p.crossings(); cost < bestCost {
			best, bestCost = p.orders(), cost
		}
	}
	for i, layer := range best {
		p.layers[i] = layer
		for j, b := range layer {
			b.order = j
		}
	}
}

func (p *part) orders() [][]*box {
	out := make([][]*box, len(p.layers))
	for i, layer := range p.layers {
		out[i] = slices.Clone(layer)
	}
	return out
}

// mean is of the places of boxes in their layers, each as if it had a hundred.
func mean(boxes []*box, otherwise float64) float64 {
	if len(boxes) == 0 {
		return otherwise
	}
	sum := 0
	for _, b := range boxes {
		sum += b.order
	}
	return float64(sum) / float64(len(boxes))
}

// crossings counts pairs of joins between the same layers that cross.
func (p *part) crossings() int {
	joins := make([][][2]int, len(p.layers))
	for _, n := range p.nets {
		n.neighbours(func(l *box, at int, r *box, to int) {
			joins[l.layer] = append(joins[l.layer], [2]int{l.order<<12 + at, r.order<<12 + to})
		})
	}
	count := 0
	for _, list := range joins {
		for i, a := range list {
			for _, b := range list[:i] {
				if (a[0]-b[0])*(a[1]-b[1]) < 0 {
					count++
				}
			}
		}
	}
	return count
}
