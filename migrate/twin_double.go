package migrate

import (
	"slices"
	"strings"
)

func decided(c, other *Column) *Column {
	out := *c
	out.RenamedFrom, out.NotRenamed = "", true
	if out.Nullable == nil && other != nil {
		out.Nullable = other.Nullable
	}
	return &out
}

func (p *twinPlan) double() {
	if len(p.tables) == 0 {
		return
	}
	compare := &Schema{Tables: map[string]*Table{}, others: p.schema.others}
	remember := &Schema{Tables: map[string]*Table{}, others: p.schema.others}
	clear(p.stay)
	for name, t := range p.record.Tables {
		compare.Tables[name], remember.Tables[name] = t, t
		tt := p.tables[fold(t.Name)]
		switch {
		case tt == nil:
			continue
		case tt.stage == stageContract:
			compare.Tables[name], remember.Tables[name] = tt.decided(), tt.want
			if p.stay[name] = p.live.Applied[fold(t.Name)].Table; tt.wants == wantsNew {
				p.stay[name] = p.doubled(tt)
			}
		default:
			compare.Tables[name] = p.doubled(tt)
			remember.Tables[name] = compare.Tables[name]
			if tt.stage == stageSwitch || tt.stage == stageBack {
				remember.Tables[name] = p.doubled(tt.turned())
			}
		}
	}
	p.schema, p.record = compare, remember
}

func (tt *twinTable) turned() *twinTable {
	out := *tt
	out.twins = nil
	for _, t := range tt.twins {
		turned := *t
		turned.switched = !t.renames() && tt.stage == stageSwitch
		out.twins = append(out.twins, &turned)
	}
	return &out
}

func (tt *twinTable) decided() *Table {
	out := *tt.want
	out.Columns = slices.Clone(out.Columns)
	for i, c := range out.Columns {
		for _, t := range tt.twins {
			switch {
			case c.Nullable != nil:
			case strings.EqualFold(c.Name, t.New) && tt.wants != wantsOld:
				out.Columns[i] = decided(c, t.To)
			case strings.EqualFold(c.Name, t.Old):
				out.Columns[i] = decided(c, t.From)
			}
		}
	}
	out.Indexes = slices.Clone(out.Indexes)
	for i, x := range out.Indexes { // else those of a twin would do, under their names
		out.Indexes[i].Named = x.Named || slices.ContainsFunc(tt.twins, func(t *Twin) bool { return containsFold(x.Columns, t.New) })
	}
	return &out
}

func (p *twinPlan) doubled(tt *twinTable) *Table {
	out := *tt.want
	var from, to []Rename
	for _, t := range tt.twins {
		f, n := t.columns()
		from = append(from, Rename{tt.want.Name, t.Old, f})
		to = append(to, Rename{tt.want.Name, t.New, n})
		if !t.renames() && !t.switched {
			out.Seed = nil // its values are of the new type
		}
	}
	own := func(names []string) bool { // of the side that the schema wants
		return slices.ContainsFunc(tt.twins, func(t *Twin) bool {
			return containsFold(names, map[side]string{wantsNew: t.New, wantsOld: t.Old}[tt.wants])
		})
	}
	out.Columns = slices.DeleteFunc(slices.Clone(out.Columns), func(c *Column) bool { return own([]string{c.Name}) })
	out.Indexes = slices.DeleteFunc(slices.Clone(out.Indexes), func(x Index) bool { return own(x.Columns) })
	out.ForeignKeys = slices.DeleteFunc(slices.Clone(out.ForeignKeys), func(fk ForeignKey) bool { return own(fk.Columns) })
	out.Twins = nil
	for i, t := range tt.twins {
		out.Columns = append(out.Columns, p.half(t, t.From, from[i].To), p.half(t, t.To, to[i].To))
		out.addSide(t.FromIndexes, t.FromKeys, from, "")
		remembered := *t
		remembered.Filled = true // by the time the plan is
		out.Twins = append(out.Twins, &remembered)
	}
	for _, t := range tt.twins {
		out.addSide(t.ToIndexes, t.ToKeys, to, twinPrefix)
	}
	return &out
}

func (p *twinPlan) half(t *Twin, c *Column, name string) *Column {
	out := *c
	out.Name, out.Backfill, out.NotRenamed = name, nil, true
	nullable := c == t.To || p.x.relaxed || *c.Nullable
	out.Nullable = &nullable
	if c == t.To {
		out.Default = t.fallback()
	}
	return &out
}

func (t *Twin) fallback() *Value {
	d := t.From.Default
	if !t.renames() {
		d = t.To.Default
	}
	if d == nil || t.renames() && (t.FromType != t.ToType || d.Expr != "") {
		return nil
	}
	return d
}

func (t *Table) addSide(indexes []Index, keys []ForeignKey, renames []Rename, prefix string) {
	for _, x := range indexes {
		x.Columns, x.Named = renameAll(renames, x.Columns), true
		taken := func(o Index) bool { return strings.EqualFold(o.Name, x.Name) }
		if i := slices.IndexFunc(t.Indexes, taken); i >= 0 && prefix == "" || i >= 0 && equalFold(t.Indexes[i].Columns, x.Columns) {
			continue // of more than one twin
		} else if i >= 0 {
			x.Name = twinName(x.Name)
			if slices.ContainsFunc(t.Indexes, taken) {
				continue
			}
		}
		t.Indexes = append(t.Indexes, x)
	}
	for _, fk := range keys {
		fk.Columns = renameAll(renames, fk.Columns)
		if !slices.ContainsFunc(t.ForeignKeys, fk.sameTarget) {
			t.ForeignKeys = append(t.ForeignKeys, fk)
		}
	}
}

func renameAll(renames []Rename, names []string) []string {
	out := slices.Clone(names)
	for i := range out {
		out[i] = renamed(renames, renames[0].Table, out[i])
	}
	return out
}
