package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// drop plans the contract phase: what loses values.
func (p *pgPlanner) drop(tc *TableChange) error {
	if !tc.Drop && len(tc.DropColumns) == 0 {
		return nil
	}
	st, err := p.state(tc.live)
	if err != nil {
		return err
	}
	if tc.Drop {
		return p.dropTable(st)
	}
	for _, c := range tc.DropColumns {
		if err := p.dropColumn(tc, st, c.Name); err != nil {
			return err
		}
	}
	return nil
}

func (p *pgPlanner) dropTable(st *pgState) error {
	h := Hazard{Level: Approve, Table: st.name, Count: st.rows, Message: fmt.Sprintf("drops table %s and its %d rows", st.name, st.rows)}
	var err error
	if h.Samples, err = p.samples(st, "true"); err != nil {
		return err
	}
	hazards, err := p.dependents(st, "", "it cannot be dropped")
	if err != nil {
		return err
	}
	kept := p.in.trash(DropTable, st.name, "")
	if kept != nil {
		h.Fix = kept.keep()
	}
	s := &Step{
		Kind: DropTable, Table: st.name, Summary: st.name, Phase: Contract, Rows: st.rows, Hazards: append(hazards, h), Check: "rows counted",
		Post: "the table is gone", NoInverse: "its rows are gone",
	}
	for _, t := range p.in.live.Tables {
		for _, fk := range t.ForeignKeys {
			if !strings.EqualFold(fk.RefTable, st.name) || t == st.live {
				continue
			}
			switch tc := p.change(t.Name); {
			case tc != nil && tc.Drop && !p.dropped(t.Name): // two that reference each other
				s.SQL = append(s.SQL, "ALTER TABLE "+quoteName(t.Name)+" DROP CONSTRAINT IF EXISTS "+quoteName(fk.name))
			case tc != nil && (tc.Drop || slices.ContainsFunc(tc.DropForeignKeys, func(o ForeignKey) bool { return o.name == fk.name })):
			default:
				s.Hazards = append(s.Hazards, Hazard{
					Level: Refuse, Table: st.name, Object: fk.name, Message: fmt.Sprintf("foreign key %s of %s, which is not ours, needs table %s", fk, t.Name, st.name),
					Fix: pgDropConstraint(t.Name, fk.name),
				})
			}
		}
	}
	if kept != nil {
		s.SQL = append(s.SQL, pgKeepTable(st.live, kept)...)
		s.keeps(kept)
	} else {
		s.SQL = append(s.SQL, "DROP TABLE "+quoteName(st.name))
	}
	p.add(stageDrop, s)
	return nil
}

// change returns what changes in the table of that name, or nil.
func (p *pgPlanner) change(table string) *TableChange {
	for _, tc := range p.in.changes.Tables {
		if strings.EqualFold(tc.Name, table) {
			return tc
		}
	}
	return nil
}

// dropped tells whether the steps so far drop the table.
func (p *pgPlanner) dropped(table string) bool {
	return slices.ContainsFunc(p.stages[stageDrop], func(s *Step) bool { return s.Kind == DropTable && strings.EqualFold(s.Table, table) })
}

func (p *pgPlanner) dropColumn(tc *TableChange, st *pgState, column string) error {
	h := Hazard{Level: Approve, Table: st.name, Object: column}
	var err error
	if h.Count, h.Samples, err = p.count(st, quoteName(column)+" IS NOT NULL", column); err != nil {
		return err
	}
	h.Message = fmt.Sprintf("drops column %s.%s and its %d values", st.name, column, h.Count)
	hazards, err := p.dependents(st, column, "it cannot be dropped")
	if err != nil {
		return err
	}
	kept := p.in.trash(DropColumn, st.name, column)
	if kept != nil && slices.ContainsFunc(st.live.PrimaryKey, func(key string) bool { return strings.EqualFold(key, column) }) {
		kept = nil // a row is not the same without it
	}
	if kept != nil {
		h.Fix = kept.keep()
	}
	hazards = append(hazards, h)
	for _, x := range st.live.Indexes {
		ours := slices.ContainsFunc(tc.DropIndexes, func(o IndexInfo) bool { return o.Name == x.Name })
		if !ours && !x.Inline && x.uses(column) {
			hazards = append(hazards, Hazard{
				Level: Refuse, Table: st.name, Object: x.Name, Message: fmt.Sprintf("index %s, which is not ours, needs column %s", x.Name, column),
				Fix: "DROP INDEX " + quoteName(x.Name),
			})
		}
	}
	s := &Step{
		Kind: DropColumn, Table: st.name, Summary: st.name + "." + column, Phase: Contract, SQL: []string{pgAlterTable(st.name, "DROP COLUMN "+quoteName(column))},
		Hazards: hazards, Check: "values counted", Post: "the column is gone", NoInverse: "its values are gone",
	}
	if kept != nil {
		s.SQL = pgKeepColumn(st.live, kept)
		s.keeps(kept)
	}
	p.add(stageDrop, s)
	return nil
}
