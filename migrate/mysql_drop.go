package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// dropColumns plans the contract phase of a table that stays: columns go, with their values.
func (p *mysqlPlanner) dropColumns(tc *TableChange) error {
	st, err := p.state(tc.live)
	if err != nil {
		return err
	}
	a := &mysqlAlter{m: p.m, table: st.live.Name}
	var names []string
	var kept []*Trashed
	for _, c := range tc.DropColumns {
		h := Hazard{Level: Approve, Table: tc.Name, Object: c.Name}
		if h.Count, h.Samples, err = p.count(st, mysqlName(c.Name)+" IS NOT NULL", c.Name); err != nil {
			return err
		}
		h.Message = fmt.Sprintf("drops column %s.%s and its %d values", tc.Name, c.Name, h.Count)
		t := p.keepColumn(a, tc.live, c)
		if t != nil {
			kept, h.Fix = append(kept, t), t.keep()
		} else {
			a.add(DropColumn, mysqlInstant, "", "DROP COLUMN %s", mysqlName(c.Name))
		}
		a.hazards = append(append(a.hazards, h), p.in.live.readers(tc.live.Name, c.Name, "drop")...)
		a.hazards = append(a.hazards, p.needed(tc, c.Name)...)
		names = append(names, tc.Name+"."+c.Name)
	}
	s := a.step(st.rows)
	s.Phase, s.Summary, s.NoInverse, s.Check, s.Post = Contract, strings.Join(names, ", "), "its values are gone", "values counted", "the column is gone"
	if s.trash = kept; len(kept) == len(tc.DropColumns) {
		s.keeps(kept...)
	}
	p.add(s)
	return nil
}

// needed are refusals for the indexes and keys of others over a column that goes: the server would take it out of the index without a
// word.
func (p *mysqlPlanner) needed(tc *TableChange, column string) []Hazard {
	var out []Hazard
	is := func(name string) bool { return strings.EqualFold(name, column) }
	refuse := func(what, name, fix string) {
		out = append(out, Hazard{Level: Refuse, Table: tc.Name, Object: name, Message: fmt.Sprintf("%s %s, which is not ours, needs column %s", what, name, column), Fix: fix})
	}
	for _, x := range tc.live.Indexes {
		going := slices.ContainsFunc(tc.DropIndexes, func(o IndexInfo) bool { return o.Name == x.Name })
		if slices.ContainsFunc(x.Columns, is) && !going {
			refuse("index", x.Name, fmt.Sprintf("ALTER TABLE %s DROP INDEX %s", mysqlName(tc.Name), mysqlName(x.Name)))
		}
	}
	for _, t := range p.in.live.sorted() {
		change := p.changeOf(t.Name)
		for _, fk := range t.ForeignKeys {
			going := change != nil && (change.Drop || slices.ContainsFunc(change.DropForeignKeys, func(o ForeignKey) bool { return o.name == fk.name }))
			uses := strings.EqualFold(t.Name, tc.Name) && slices.ContainsFunc(fk.Columns, is) || strings.EqualFold(fk.RefTable, tc.Name) && slices.ContainsFunc(fk.RefColumns, is)
			if uses && !going {
				refuse("foreign key", fk.name, fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s", mysqlName(t.Name), mysqlName(fk.name)))
			}
		}
	}
	return out
}

// dropTable plans the contract phase of a table that goes, with its rows. Keys between tables that go are dropped before.
func (p *mysqlPlanner) dropTable(tc *TableChange) error {
	st, err := p.state(tc.live)
	if err != nil {
		return err
	}
	name := tc.live.Name
	h := Hazard{Level: Approve, Table: name, Count: st.rows, Message: fmt.Sprintf("drops table %s and its %d rows", name, st.rows)}
	if st.rows > 0 {
		if h.Samples, err = p.samples(st, "1"); err != nil {
			return err
		}
	}
	kept := p.in.trash(DropTable, name, "")
	if kept != nil {
		h.Fix = kept.keep()
	}
	s := &Step{
		Kind: DropTable, Table: name, Summary: name, Phase: Contract, Rows: st.rows, Hazards: []Hazard{h}, Lock: mysqlOnline, outside: true,
		Check: "rows counted", Post: "the table is gone", NoInverse: "its rows are gone",
	}
	for _, t := range p.in.live.sorted() {
		change := p.changeOf(t.Name)
		for _, fk := range t.ForeignKeys {
			switch {
			case !strings.EqualFold(fk.RefTable, name) || strings.EqualFold(t.Name, name) || p.dropped[fold(t.Name)]:
			case change != nil && change.Drop: // it goes later: they point to each other
				s.SQL = append(s.SQL, p.cutKey(t.Name, fk))
			case change != nil && slices.ContainsFunc(change.DropForeignKeys, func(o ForeignKey) bool { return o.name == fk.name }):
			default:
				s.Hazards = append(s.Hazards, Hazard{
					Level: Refuse, Table: name, Object: fk.name, Message: fmt.Sprintf("foreign key %s of %s, which is not ours, points to %s", fk.name, t.Name, name),
					Fix: fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s", mysqlName(t.Name), mysqlName(fk.name)),
				})
			}
		}
	}
	for _, v := range p.in.live.Views {
		if strings.Contains(fold(v.SQL), "."+fold(mysqlName(name))) {
			s.Hazards = append(s.Hazards, Hazard{Level: Refuse, Table: name, Object: v.Name, Message: fmt.Sprintf("view %s reads %s", v.Name, name), Fix: "drop the view first"})
		}
	}
	if kept != nil {
		s.SQL = append(s.SQL, p.keepTable(tc.live, kept)...)
		s.keeps(kept)
	} else {
		s.SQL = append(s.SQL, "DROP TABLE "+mysqlName(name))
	}
	s.run = p.m.runner(s.SQL, nil)
	p.dropped[fold(name)] = true
	p.add(s)
	return nil
}
