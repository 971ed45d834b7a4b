package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// lateKey is a foreign key whose parent is made by the same plan: its rows may come from a seed.
type lateKey struct {
	tc *TableChange
	fk ForeignKey
}

// orphanRows are rows under a key that point nowhere, and the columns to set to NULL.
type orphanRows struct {
	table   string
	key     []string // primary key
	columns []string // set to NULL
	where   string
}

// addKeys puts the new foreign keys of a table into the edit, except those that have to wait. A key over a column that is added
// in place is written with the column.
func (p *sqlitePlanner) addKeys(tc *TableChange, e *edit) (late []lateKey, inline map[string]ForeignKey, err error) {
	inline = map[string]ForeignKey{}
	for _, fk := range tc.AddForeignKeys {
		column := slices.IndexFunc(tc.AddColumns, func(c *ColumnInfo) bool { return strings.EqualFold(c.Name, fk.Columns[0]) })
		switch {
		case len(fk.Columns) == 1 && column >= 0:
			inline[fold(fk.Columns[0])] = fk
		case p.pending(fk):
			late = append(late, lateKey{tc, fk})
		default:
			ok, err := p.orphans(tc, e.st, fk)
			if err != nil {
				return nil, nil, err
			}
			if ok {
				e.addKey(fk)
			}
		}
	}
	return late, inline, nil
}

// pending tells whether what the key points to is made by this plan.
func (p *sqlitePlanner) pending(fk ForeignKey) bool {
	parent := p.in.live.Tables[fold(fk.RefTable)]
	return parent == nil || slices.ContainsFunc(fk.RefColumns, func(name string) bool { return parent.Column(name) == nil })
}

func (p *sqlitePlanner) lateKey(k lateKey) error {
	st, err := p.state(k.tc.live)
	if err != nil {
		return err
	}
	ok, err := p.orphans(k.tc, st, k.fk)
	if err != nil || !ok {
		return err
	}
	e := newEdit(st)
	e.addKey(k.fk)
	p.add(e.step(RebuildTable, Expand))
	return nil
}

// orphans looks for rows that the key would refuse. Where a column can be NULL they are set to NULL by a step, and listed in the
// report; where none can, the key waits and ok is false.
func (p *sqlitePlanner) orphans(tc *TableChange, st *sqliteState, fk ForeignKey) (ok bool, err error) {
	added := func(name string) bool { return tc.live.Column(name) == nil }
	if st.rows == 0 || slices.ContainsFunc(fk.Columns, added) {
		return true, nil
	}
	var pairs, set []string
	where := make([]string, 0, len(fk.Columns)+1)
	for i, name := range fk.Columns {
		where = append(where, quoteName(st.name)+"."+quoteName(name)+" IS NOT NULL")
		pairs = append(pairs, fmt.Sprintf("_odac_p.%s = %s.%s", quoteName(fk.RefColumns[i]), quoteName(st.name), quoteName(name)))
		if c := tc.want.Column(name); !c.NotNull {
			set = append(set, name)
		}
	}
	exists := fmt.Sprintf("NOT EXISTS (SELECT 1 FROM %s AS _odac_p WHERE %s)", quoteName(fk.RefTable), strings.Join(pairs, " AND "))
	cond := strings.Join(append(slices.Clone(where), exists), " AND ")
	var now string
	if p.pending(fk) { // not there yet: unless its seed brings the parents, every row is an orphan
		now = strings.Join(where, " AND ")
	} else {
		now = p.nowCond(st, fk, where)
	}
	n, samples, err := p.count(st, now, fk.Columns[0])
	if err != nil || n == 0 {
		return err == nil, err
	}
	h := Hazard{Level: Note, Table: st.name, Object: strings.Join(fk.Columns, ", "), Count: n, Samples: samples}
	if len(set) == 0 {
		h.Message = fmt.Sprintf("foreign key %s of %s waits: %d rows have no parent", fk, st.name, n)
		h.Fix = fmt.Sprintf("find them: SELECT * FROM %s WHERE %s", quoteName(st.name), cond)
		p.out.incomplete = append(p.out.incomplete, h)
		p.out.skipped = append(p.out.skipped, skippedKey{st.name, fk})
		return false, nil
	}
	h.Message = fmt.Sprintf("sets %s.%s to NULL in %d rows that have no parent in %s", st.name, strings.Join(set, ", "), n, fk.RefTable)
	p.add(&Step{
		Kind: NullOrphans, Table: st.name, Summary: fmt.Sprintf("%s.%s", st.name, strings.Join(set, ", ")), Rows: n, Hazards: []Hazard{h},
		SQL:   []string{fmt.Sprintf("UPDATE %s SET %s = NULL WHERE %s", quoteName(st.name), strings.Join(quoteAll(set), " = NULL, "), cond)},
		Check: "orphans counted", Post: "no orphan is left", NoInverse: "the report lists the old values",
		nulls: &orphanRows{table: st.name, key: st.live.PrimaryKey, columns: set, where: cond},
	})
	return true, nil
}

// nowCond is the orphan condition over the columns as they are called before any rename.
func (p *sqlitePlanner) nowCond(st *sqliteState, fk ForeignKey, where []string) string {
	parent := fk.RefTable
	var pairs []string
	for i, name := range fk.Columns {
		ref := fk.RefColumns[i]
		for _, r := range p.in.renames {
			if strings.EqualFold(r.Table, parent) && strings.EqualFold(r.To, ref) {
				ref = r.From
			}
		}
		pairs = append(pairs, fmt.Sprintf("_odac_p.%s = %s.%s", quoteName(ref), quoteName(st.name), quoteName(name)))
	}
	return strings.Join(where, " AND ") + fmt.Sprintf(" AND NOT EXISTS (SELECT 1 FROM %s AS _odac_p WHERE %s)", quoteName(parent), strings.Join(pairs, " AND "))
}
