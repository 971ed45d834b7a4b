package diagram

import (
	"cmp"
	"slices"
)

// place gives every box its y, near what it is joined to, and then every layer its x.
func (p *part) place() {
	for _, layer := range p.layers {
		y := 0
		for _, b := range layer {
			b.y = y
			y += b.room()
		}
	}
	pulls := map[*box][]func() int{}
	for _, n := range p.nets {
		n.neighbours(func(l *box, at int, r *box, to int) {
			pulls[l] = append(pulls[l], func() int { return r.y + to - at })
			pulls[r] = append(pulls[r], func() int { return l.y + at - to })
		})
	}
	for sweep := range 30 {
		for i := range p.layers {
			layer := p.layers[i]
			if sweep%2 == 1 {
				layer = p.layers[len(p.layers)-1-i]
			}
			want := make([]float64, len(layer))
			for j, b := range layer {
				want[j] = float64(b.y)
				if len(pulls[b]) > 0 {
					sum := 0
					for _, of := range pulls[b] {
						sum += of()
					}
					want[j] = float64(sum) / float64(len(pulls[b]))
				}
			}
			settle(layer, want)
		}
	}
	p.top()
	p.tracks()
	p.columns()
}

// room is the height of a box with the gap below it.
func (b *box) room() int {
	if b.dummy {
		return unit
	}
	return b.h + boxGap
}

// settle puts the boxes of a layer as near as it can to where they want to be, in their order and without overlap: the least squares of
// a monotone regression, by pooling neighbours that violate it.
func settle(layer []*box, want []float64) {
	type pool struct {
		sum    float64
		n, end int
	}
	var pools []pool
	offset := 0.0
	offsets := make([]float64, len(layer))
	for i, b := range layer {
		offsets[i] = offset
		now := pool{want[i] - offset, 1, i + 1}
		for len(pools) > 0 {
			last := pools[len(pools)-1]
			if last.sum/float64(last.n) <= now.sum/float64(now.n) {
				break
			}
			pools = pools[:len(pools)-1]
			now.sum, now.n = now.sum+last.sum, now.n+last.n
		}
		pools = append(pools, now)
		offset += float64(b.room())
	}
	i := 0
	for _, q := range pools {
		base := floor(q.sum / float64(q.n))
		for ; i < q.end; i++ {
			layer[i].y = base + int(offsets[i])
		}
	}
}

// floor is the multiple of unit below.
func floor(y float64) int {
	n := int(y) / unit
	if y < 0 && int(y)%unit != 0 {
		n--
	}
	return n * unit
}

// top moves everything so that it begins at zero.
func (p *part) top() {
	low, high := 1<<30, 0
	for _, layer := range p.layers {
		for _, b := range layer {
			low = min(low, b.y)
		}
	}
	for _, layer := range p.layers {
		for _, b := range layer {
			b.y -= low
			high = max(high, b.y+b.h)
		}
	}
	p.h = high
}

// span is the part of a gutter's height that a net's upright line takes, with its ends on either side.
type span struct {
	net         *net
	low, high   int
	left, right []int
}

// spans are the nets in the gutter to the right of a layer.
func (p *part) spans(layer int) []*span {
	byNet := map[*net]*span{}
	var out []*span
	for _, n := range p.nets {
		n.neighbours(func(l *box, at int, r *box, to int) {
			if l.layer != layer {
				return
			}
			s := byNet[n]
			if s == nil {
				s = &span{net: n, left: []int{l.y + at}}
				byNet[n] = s
				out = append(out, s)
			}
			s.right = append(s.right, r.y+to)
		})
	}
	for _, s := range out {
		slices.Sort(s.right)
		s.low, s.high = min(s.left[0], s.right[0]), max(s.left[0], s.right[len(s.right)-1])
	}
	return out
}

// cost is how often the lines cross if a stands to the left of b.
func cost(a, b *span) int {
	n := 0
	for _, y := range a.right {
		if y > b.low && y < b.high {
			n++
		}
	}
	for _, y := range b.left {
		if y > a.low && y < a.high {
			n++
		}
	}
	return n
}

// tracks orders the upright lines of each gutter so that they cross little, and lets those share a place that do not overlap.
func (p *part) tracks() {
	for layer := range p.layers {
		list := p.spans(layer)
		slices.SortStableFunc(list, func(a, b *span) int {
			return cmp.Or(cmp.Compare(a.left[0], b.left[0]), cmp.Compare(a.net.id, b.net.id))
		})
		for moved, rounds := true, 0; moved && rounds < 64; rounds++ {
			moved = false
			for i := range len(list) - 1 {
				if cost(list[i+1], list[i]) < cost(list[i], list[i+1]) {
					list[i], list[i+1] = list[i+1], list[i]
					moved = true
				}
			}
		}
		for i, s := range list {
			track := 0
			for _, o := range list[:i] {
				if o.low <= s.high+unit/2 && s.low <= o.high+unit/2 {
					track = max(track, o.net.track[layer]+1)
				}
			}
			s.net.track[layer] = track
		}
	}
}

// gutter is the width between two layers, and loops how much of it the keys of tables to themselves take.
func (p *part) gutter(layer int) (width, loops int) {
	tracks := 0
	for _, s := range p.spans(layer) {
		tracks = max(tracks, s.net.track[layer]+1)
	}
	for _, l := range p.links {
		if l.from == l.to && l.from.layer == layer {
			loops = 3 * trackGap
		}
	}
	return loops + 4*trackGap + trackGap*max(tracks-1, 0) + 2*trackGap, loops
}

func (p *part) columns() {
	x := 0
	for i, layer := range p.layers {
		wide := 0
		for _, b := range layer {
			wide = max(wide, b.w)
		}
		for _, b := range layer {
			b.x = x
			if b.dummy || b.w < wide { // one width for a layer: its edges line up
				b.w = wide
			}
		}
		x += wide
		if width, loops := p.gutter(i); i < len(p.layers)-1 {
			x += width
		} else {
			x += loops
		}
	}
	p.w = x
}
