package diagram

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/odac-run/odachost/migrate"
)

// mark says what a plan does with a thing.
type mark int

const (
	same mark = iota
	added
	removed
	changed
)

// box is one table.
type box struct {
	name string
	mark mark
	rows []row

	w, h  int
	layer int // the column of boxes that it stands in
	order int // in its layer
	x, y  int
	dummy bool // not a table, but the place where a line crosses a layer
}

// arrow stands between what was and what is.
const arrow = " → "

// row is one column of a table.
type row struct {
	name, typ        string
	mark             mark
	key, foreign     bool
	unique, nullable bool
}

// link is one foreign key.
type link struct {
	from, to       *box
	fromRow, toRow int
	mark           mark
	single         bool // at most one row has the key
}

// graph is what is drawn.
type graph struct {
	boxes  []*box
	links  []*link
	change bool
	all    []*part
}

// build merges two schemas: what is in one of them alone is added or removed.
func build(before, after *migrate.Schema, change bool) *graph {
	g := &graph{change: change}
	byName := map[string]*box{}
	for _, name := range tableNames(before, after) {
		was, is := before.Tables[name], after.Tables[name]
		b := &box{name: name, rows: mergeRows(was, is)}
		switch {
		case was == nil:
			b.mark = added
		case is == nil:
			b.mark = removed
		case slices.ContainsFunc(b.rows, func(r row) bool { return r.mark != same }) || !sameIndexes(was, is) || !sameKeys(was, is):
			b.mark = changed
		}
		byName[strings.ToLower(name)] = b
		g.boxes = append(g.boxes, b)
	}
	for _, b := range g.boxes {
		g.keys(b, before.Tables[b.name], after.Tables[b.name], byName)
	}
	if !change {
		g.unmark()
	}
	return g
}

// unmark is for a picture of one schema.
func (g *graph) unmark() {
	for _, b := range g.boxes {
		b.mark = same
		for i := range b.rows {
			b.rows[i].mark = same
		}
	}
	for _, l := range g.links {
		l.mark = same
	}
}

func tableNames(schemas ...*migrate.Schema) []string {
	names := map[string]bool{}
	for _, s := range schemas {
		for name := range s.Tables {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func mergeRows(was, is *migrate.Table) []row {
	var out []row
	taken := map[string]bool{}
	if is != nil {
		for _, c := range is.Columns {
			r := makeRow(is, c)
			old := oldColumn(was, c)
			switch {
			case old == nil:
				r.mark = added
			case !strings.EqualFold(old.Name, c.Name):
				r.mark, r.name = changed, old.Name+arrow+c.Name
				taken[strings.ToLower(old.Name)] = true
			default:
				taken[strings.ToLower(old.Name)] = true
			}
			if old != nil {
				if o := makeRow(was, old); o.typ != r.typ {
					r.mark, r.typ = changed, o.typ+arrow+r.typ
				} else if c.Nullable != nil && o.nullable != r.nullable || o.key != r.key || valueText(old.Default) != valueText(c.Default) {
					r.mark = changed
				}
			}
			out = append(out, r)
		}
	}
	if was != nil {
		for _, c := range was.Columns {
			if taken[strings.ToLower(c.Name)] {
				continue
			}
			r := makeRow(was, c)
			r.mark = removed
			out = append(out, r)
		}
	}
	return out
}

func valueText(v *migrate.Value) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%q%q", v.Text, v.Expr)
}

// oldColumn is the column that c comes from.
func oldColumn(was *migrate.Table, c *migrate.Column) *migrate.Column {
	if was == nil {
		return nil
	}
	if old := was.Column(c.Name); old != nil || c.RenamedFrom == "" {
		return old
	}
	return was.Column(c.RenamedFrom)
}

func makeRow(t *migrate.Table, c *migrate.Column) row {
	is := func(name string) bool { return strings.EqualFold(name, c.Name) }
	return row{
		name: c.Name, typ: typeText(c), key: slices.ContainsFunc(t.PrimaryKey, is),
		foreign:  slices.ContainsFunc(t.ForeignKeys, func(fk migrate.ForeignKey) bool { return slices.ContainsFunc(fk.Columns, is) }),
		unique:   slices.ContainsFunc(t.Indexes, func(x migrate.Index) bool { return x.Unique && len(x.Columns) == 1 && is(x.Columns[0]) }),
		nullable: (c.Nullable == nil || *c.Nullable) && !c.Primary,
	}
}

func typeText(c *migrate.Column) string {
	switch c.Type {
	case migrate.String, migrate.NanoID:
		return fmt.Sprintf("%s(%d)", c.Type, c.Length)
	case migrate.Decimal:
		return fmt.Sprintf("%s(%d,%d)", c.Type, c.Precision, c.Scale)
	case migrate.SpecificType:
		return c.Specific
	case migrate.Enum:
		return fmt.Sprintf("enum of %d", len(c.Values))
	}
	if c.Unsigned {
		return string(c.Type) + " unsigned"
	}
	return string(c.Type)
}

func sameIndexes(was, is *migrate.Table) bool {
	return slices.EqualFunc(was.Indexes, is.Indexes, func(a, b migrate.Index) bool {
		return slices.Equal(a.Columns, b.Columns) && a.Unique == b.Unique && a.Where == b.Where
	})
}

func sameKeys(was, is *migrate.Table) bool {
	return slices.EqualFunc(was.ForeignKeys, is.ForeignKeys, sameKey)
}

func sameKey(a, b migrate.ForeignKey) bool {
	return slices.EqualFunc(a.Columns, b.Columns, strings.EqualFold) && strings.EqualFold(a.RefTable, b.RefTable) &&
		slices.EqualFunc(a.RefColumns, b.RefColumns, strings.EqualFold) && a.OnDelete == b.OnDelete && a.OnUpdate == b.OnUpdate
}

// keys adds the lines of a table. A key whose target is not in the picture has none.
func (g *graph) keys(b *box, was, is *migrate.Table, byName map[string]*box) {
	add := func(t *migrate.Table, fk migrate.ForeignKey, m mark) {
		to := byName[strings.ToLower(fk.RefTable)]
		if to == nil {
			return
		}
		l := &link{from: b, to: to, fromRow: b.find(fk.Columns[0]), toRow: to.find(fk.RefColumns[0]), mark: m}
		l.single = slices.EqualFunc(t.PrimaryKey, fk.Columns, strings.EqualFold) || slices.ContainsFunc(t.Indexes, func(x migrate.Index) bool {
			return x.Unique && x.Where == "" && slices.EqualFunc(x.Columns, fk.Columns, strings.EqualFold)
		})
		g.links = append(g.links, l)
	}
	find := func(t *migrate.Table, fk migrate.ForeignKey) bool {
		return t != nil && slices.ContainsFunc(t.ForeignKeys, func(o migrate.ForeignKey) bool { return sameKey(o, fk) })
	}
	if is != nil {
		for _, fk := range is.ForeignKeys {
			m := added
			if find(was, fk) {
				m = same
			}
			add(is, fk, m)
		}
	}
	if was != nil {
		for _, fk := range was.ForeignKeys {
			if !find(is, fk) {
				add(was, fk, removed)
			}
		}
	}
}

func (b *box) find(column string) int {
	i := slices.IndexFunc(b.rows, func(r row) bool {
		_, to, renamed := strings.Cut(r.name, arrow)
		return strings.EqualFold(r.name, column) || renamed && strings.EqualFold(to, column)
	})
	return max(i, 0)
}
