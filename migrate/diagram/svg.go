package diagram

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/odac-run/odachost/migrate"
)

// Schema draws a schema.
func Schema(s *migrate.Schema) []byte {
	return build(s, s, false).draw("Schema")
}

// Change draws what leads from one schema to another.
func Change(before, after *migrate.Schema) []byte {
	return build(before, after, true).draw("Changes of the schema")
}

// style has no variables and no nesting: not every program that shows SVG knows them.
const style = `<style>
text{font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#1c2333}
.name{font-weight:bold;font-size:13px}.type{fill:#67718a;text-anchor:end}.null{fill:#67718a}
.back{fill:#fff}.box{fill:#fff;stroke:#8a94a6}.head{fill:#e8ecf3}.frame{fill:none;stroke:#8a94a6}
.edge{fill:none;stroke:#5b6880;stroke-width:1.4;stroke-linejoin:round}.end{stroke-dasharray:none}
.key{fill:#b7791f}.fk{fill:none;stroke:#5b6880;stroke-width:1.4}
text.add{fill:#12743b}text.rem{fill:#b3261e;text-decoration:line-through}text.chg{fill:#8a5a00}
.rowadd{fill:#e3f6ea}.rowrem{fill:#fdeceb}.rowchg{fill:#fff3d6}.sign{fill:none;stroke-width:2}
.sadd{stroke:#12743b}.srem{stroke:#b3261e}.schg{stroke:#8a5a00}
.badd{stroke:#12743b;stroke-width:2}.brem{stroke:#b3261e;stroke-width:2;stroke-dasharray:7 4}.bchg{stroke:#8a5a00;stroke-width:2;stroke-dasharray:2 3}
.eadd{stroke:#12743b;stroke-width:2.2}.erem{stroke:#b3261e;stroke-width:1.6;stroke-dasharray:6 4}
</style>
`

func (m mark) class() string { return [...]string{"", "add", "rem", "chg"}[m] }

// canvas collects the picture.
type canvas struct {
	strings.Builder
	w, h int
}

func (c *canvas) f(format string, args ...any) { fmt.Fprintf(&c.Builder, format+"\n", args...) }

func (g *graph) draw(title string) []byte {
	c := &canvas{}
	for _, b := range g.boxes {
		b.measure()
	}
	g.all = g.parts()
	parts := g.all
	for _, p := range parts {
		p.assign()
		p.fill()
		p.sort()
		p.place()
	}
	c.pack(parts)
	for _, p := range parts {
		p.drawLines(c)
	}
	for _, b := range g.boxes {
		b.draw(c)
	}
	c.legend(g.change)
	var out strings.Builder
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n", c.w, c.h, c.w, c.h)
	fmt.Fprintf(&out, "<title>%s: %d tables, %d foreign keys</title>\n%s", title, len(g.boxes), len(g.links), style)
	fmt.Fprintf(&out, "<rect width=\"%d\" height=\"%d\" class=\"back\"/>\n", c.w, c.h)
	out.WriteString(c.String())
	out.WriteString("</svg>\n")
	return []byte(out.String())
}

// pack puts the parts on shelves, the largest first.
func (c *canvas) pack(parts []*part) {
	wide := 1200
	for _, p := range parts {
		wide = max(wide, p.w)
	}
	x, y, shelf := 0, 0, 0
	for _, p := range parts {
		if x > 0 && x+p.w > wide {
			x, y, shelf = 0, y+shelf+boxGap, 0
		}
		p.move(margin+x, margin+y)
		c.w, c.h = max(c.w, 2*margin+x+p.w), max(c.h, 2*margin+y+p.h)
		x += p.w + 2*boxGap
		shelf = max(shelf, p.h)
	}
	c.w, c.h = max(c.w, 640), max(c.h, 2*margin)
}

func (p *part) move(x, y int) {
	for _, layer := range p.layers {
		for _, b := range layer {
			b.x += x
			b.y += y
		}
	}
}

func (b *box) draw(c *canvas) {
	x, y, w := b.x, b.y, b.w
	class, border := b.mark.class(), ""
	if class != "" {
		border = " b" + class
	}
	c.f(`<g><title>%s</title>`, html.EscapeString(b.name))
	c.f(`<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="5"/>`, x, y, w, b.h)
	c.f(`<path class="head%s" d="M%d %dv-%da5 5 0 0 1 5-5h%da5 5 0 0 1 5 5v%dz"/>`, rowClass(class), x, y+headHeight-8, headHeight-13, w-10, headHeight-13)
	c.f(`<text class="name %s" x="%d" y="%d">%s</text>`, class, x+padding+sign(c, b.mark, x+padding, y+14), y+19, html.EscapeString(b.name))
	for i, r := range b.rows {
		r.draw(c, x, y+headHeight+unit*i, w)
	}
	c.f(`<rect class="frame%s" x="%d" y="%d" width="%d" height="%d" rx="5"/></g>`, border, x, y, w, b.h)
}

func rowClass(class string) string {
	if class == "" {
		return ""
	}
	return " row" + class
}

// sign draws + - or ~ and returns its width.
func sign(c *canvas, m mark, x, y int) int {
	switch m {
	case added:
		c.f(`<path class="sign sadd" d="M%d %dh8m-4-4v8"/>`, x, y)
	case removed:
		c.f(`<path class="sign srem" d="M%d %dh8"/>`, x, y)
	case changed:
		c.f(`<path class="sign schg" d="M%d %dq2-5 4.500-1t4.500-1"/>`, x, y+1)
	default:
		return 0
	}
	return 14
}

func (r row) draw(c *canvas, x, y, w int) {
	class := r.mark.class()
	if class != "" {
		c.f(`<rect class="row%s" x="%d" y="%d" width="%d" height="%d"/>`, class, x+1, y, w-2, unit)
	}
	sign(c, r.mark, x+6, y+9)
	middle := y + 9
	if r.key {
		c.f(`<path class="key" d="M%d %dl5-5 5 5-5 5z"/>`, x+19, middle)
	} else if r.unique {
		c.f(`<path class="fk" d="M%d %dv5a3.500 3.500 0 0 0 7 0v-5"/>`, x+20, middle-5)
	}
	if r.foreign {
		c.f(`<path class="fk" d="M%d %dh8m-3-3l3 3-3 3"/>`, x+32, middle)
	}
	name := class
	if r.nullable && name == "" {
		name = "null"
	}
	c.f(`<text class="%s" x="%d" y="%d">%s</text>`, name, x+signs+4, y+13, html.EscapeString(r.name))
	typ := r.typ
	if r.nullable {
		typ += "?"
	}
	c.f(`<text class="type %s" x="%d" y="%d">%s</text>`, class, x+w-padding, y+13, html.EscapeString(typ))
}

func (c *canvas) legend(change bool) {
	x, y := margin, c.h+unit
	c.f(`<g><path class="edge" d="M%d %dH%d"/>`, margin, c.h, c.w-margin)
	item := func(symbol, text string, w int) {
		if x+w > c.w-margin {
			x, y = margin, y+unit+4
		}
		c.f(symbol, x, y)
		c.f(`<text x="%d" y="%d">%s</text>`, x+24, y+4, text)
		x += w
	}
	item(`<path class="key" d="M%d %dl5-5 5 5-5 5z"/>`, "primary key", 140)
	item(`<path class="fk" d="M%d %dm1-5v5a3.500 3.500 0 0 0 7 0v-5"/>`, "unique", 100)
	item(`<path class="fk" d="M%d %dh12m-4-4l4 4-4 4"/>`, "foreign key", 140)
	item(`<text x="%d" y="%d" dy="4">t?</text>`, "can be null", 130)
	item(`<path class="edge" d="M%d %dm0-5l10 5-10 5m0-5h18"/>`, "many rows", 120)
	item(`<path class="edge" d="M%d %dh18m-6-5v10"/>`, "one row", 110)
	if change {
		item(`<path class="sign sadd" d="M%d %dh8m-4-4v8"/>`, "added", 100)
		item(`<path class="sign srem" d="M%d %dh8"/>`, "removed", 110)
		item(`<path class="sign schg" d="M%d %dq2-5 4.500-1t4.500-1"/>`, "changed", 110)
	}
	c.f(`</g>`)
	c.h = y + unit
}

func (p *part) drawLines(c *canvas) {
	tops := map[*box]int{}
	for _, n := range p.nets {
		n.draw(c, p)
	}
	for _, l := range p.links {
		if l.from == l.to {
			l.drawLoop(c, tops[l.from])
			tops[l.from]++
		}
	}
}

func edgeClass(m mark) string {
	if m == same {
		return "edge"
	}
	return "edge e" + m.class()
}

// trunk is the x of the net's upright line in the gutter to the right of a layer.
func (n *net) trunk(p *part, layer int) int {
	right := 0
	for _, b := range p.layers[layer] {
		right = max(right, b.x+b.w)
	}
	_, loops := p.gutter(layer)
	return right + loops + 2*trackGap + trackGap*n.track[layer]
}

// pieces are the straight pieces of the net, from left to right and from top to bottom.
func (n *net) pieces(p *part) []line {
	y := n.left.y(true)
	x := n.left.box.x + n.left.box.w
	layers := []int{n.left.box.layer}
	for layer := range n.places {
		layers = append(layers, layer)
	}
	slices.Sort(layers)
	var out []line
	for _, layer := range layers {
		if b := n.places[layer]; b != nil {
			y = b.y + b.crossing()
		}
		trunk := n.trunk(p, layer)
		out = append(out, line{n, x, y, trunk, y})
		low, high := y, y
		branch := func(at, to int) {
			low, high = min(low, at), max(high, at)
			out = append(out, line{n, trunk, at, to, at})
		}
		for _, e := range n.right {
			if e.box.layer == layer+1 {
				branch(e.y(false), e.box.x)
			}
		}
		if next := n.places[layer+1]; next != nil {
			branch(next.y+next.crossing(), next.x)
			x = next.x
		}
		if low < high {
			out = append(out, line{n, trunk, low, trunk, high})
		}
	}
	return out
}

// line is a straight piece of a net.
type line struct {
	net            *net
	x1, y1, x2, y2 int
}

func (n *net) draw(c *canvas, p *part) {
	var d strings.Builder
	for _, l := range n.pieces(p) {
		fmt.Fprintf(&d, "M%d %d", l.x1, l.y1)
		if l.y1 == l.y2 {
			fmt.Fprintf(&d, "H%d", l.x2)
		} else {
			fmt.Fprintf(&d, "V%d", l.y2)
		}
	}
	class := edgeClass(n.links[0].mark)
	c.f(`<path class="%s" d="%s"/>`, class, d.String())
	n.left.draw(c, class, n.left.box.x+n.left.box.w, n.left.y(true), 1)
	for _, e := range n.right {
		e.draw(c, class, e.box.x, e.y(false), -1)
	}
}

// draw puts the end's sign beside the box; side is 1 to its right and -1 to its left.
func (e end) draw(c *canvas, class string, x, y, side int) {
	switch {
	case !e.many, e.link.single:
		c.f(`<path class="%s end" d="M%d %dv10"/>`, class, x+6*side, y-5)
	default:
		c.f(`<path class="%s end" d="M%d %dL%d %dL%d %d"/>`, class, x, y-4, x+9*side, y, x, y+4)
	}
}

func (l *link) drawLoop(c *canvas, n int) {
	from, to := end{l.from, l.fromRow, true, l}, end{l.to, l.toRow, false, l}
	x := l.from.x + l.from.w
	out := x + 2*trackGap + 5*n
	class := edgeClass(l.mark)
	y, z := from.y(true)-unit/6, to.y(true)
	c.f(`<path class="%s" d="M%d %dH%dV%dH%d"/>`, class, x, y, out, z, x)
	from.draw(c, class, x, y, 1)
	to.draw(c, class, x, z, 1)
}
