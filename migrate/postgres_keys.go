package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// pgKeyOptions say how a key is added.
type pgKeyOptions struct {
	empty   bool   // no row of the child was there before this plan
	replace string // the key to drop in the same statement
}

// changedKinds finds the columns whose kind of value changes: a key cannot stand between one that has changed and one that has not.
func (p *pgPlanner) changedKinds() {
	p.kinds = map[string]bool{}
	for _, tc := range p.in.changes.Tables {
		for _, cc := range tc.AlterColumns {
			if cc.Type && pgKind(cc.From.Type) != pgKind(cc.To.Type) {
				p.kinds[fold(tc.Name)+"\x00"+fold(cc.To.Name)] = true
			}
		}
	}
}

// disturbed tells whether a key of the table has to go while columns change.
func (p *pgPlanner) disturbed(table string, fk ForeignKey) bool {
	kind := func(t string, columns []string) bool {
		return slices.ContainsFunc(columns, func(c string) bool { return p.kinds[fold(t)+"\x00"+fold(c)] })
	}
	if kind(table, fk.Columns) || kind(fk.RefTable, fk.RefColumns) {
		return true
	}
	return slices.ContainsFunc(p.in.changes.Tables, func(tc *TableChange) bool {
		return strings.EqualFold(tc.Name, fk.RefTable) && !tc.Create && !tc.Drop && tc.PrimaryKey && equalFold(tc.live.PrimaryKey, fk.RefColumns) &&
			!equalFold(tc.live.PrimaryKey, tc.want.PrimaryKey)
	})
}

// keys plans the foreign keys of a table that is there.
func (p *pgPlanner) keys(tc *TableChange) error {
	if tc.Create || tc.Drop || len(tc.AddForeignKeys)+len(tc.DropForeignKeys) == 0 {
		return nil
	}
	st, err := p.state(tc.live)
	if err != nil {
		return err
	}
	replaced := map[string]string{} // name of the old one by the text of the new one
	for _, old := range tc.DropForeignKeys {
		i := slices.IndexFunc(tc.AddForeignKeys, func(fk ForeignKey) bool { return fk.sameTarget(old) })
		if i >= 0 && !p.disturbed(st.name, old) {
			replaced[tc.AddForeignKeys[i].String()] = old.name
			continue
		}
		p.dropKey(st.name, old)
	}
	for _, fk := range tc.AddForeignKeys {
		if err := p.key(tc, st, fk, replaced[fk.String()]); err != nil {
			return err
		}
	}
	return nil
}

func (p *pgPlanner) dropKey(table string, fk ForeignKey) {
	p.add(stageDropKey, &Step{
		Kind: DropKey, Table: table, Summary: fmt.Sprintf("%s of %s", fk, table), SQL: []string{pgDropConstraint(table, fk.name)},
		Post: "the key is gone", Inverse: pgAlterTable(table, "ADD "+pgConstraint(fk.name, sqliteForeignKey(fk))),
	})
}

// key plans one key: not validated at first, so that no new orphan comes in; then the orphans, then it is validated.
func (p *pgPlanner) key(tc *TableChange, st *pgState, fk ForeignKey, replaces string) error {
	half := slices.IndexFunc(tc.live.ForeignKeys, func(o ForeignKey) bool { return o.name == replaces && o.invalid })
	name, adds := pgKeyName(st.name, fk), true
	if half >= 0 {
		valid := tc.live.ForeignKeys[half]
		valid.invalid = false
		if valid.equal(fk) {
			name, adds = replaces, false
		}
	}
	nulls, ok, err := p.orphans(tc, st, fk)
	if err != nil || !ok {
		return err
	}
	if adds {
		p.addKey(st.name, fk, pgKeyOptions{empty: st.rows == 0, replace: replaces})
	}
	if nulls != nil {
		p.add(stageOrphans, nulls)
	}
	if !adds || st.rows > 0 {
		p.validate(stageValidateKey, st.name, name)
	}
	return nil
}

func (p *pgPlanner) addKey(table string, fk ForeignKey, o pgKeyOptions) {
	clause := "ADD " + pgForeignKey(table, fk)
	if !o.empty {
		clause += " NOT VALID"
	}
	clauses := []string{clause}
	if o.replace != "" {
		clauses = []string{"DROP CONSTRAINT " + quoteName(o.replace), clause}
	}
	p.add(stageKey, &Step{
		Kind: AddKey, Table: table, Summary: fmt.Sprintf("%s of %s", fk, table), SQL: []string{pgAlterTable(table, clauses...)}, Lock: pgWriters,
		Post: "no new row is without its parent", Inverse: pgDropConstraint(table, pgKeyName(table, fk)),
	})
}

// rebuiltKeys takes keys away that stay as they are, but stand in the way of a change, and puts them back.
func (p *pgPlanner) rebuiltKeys() error {
	if len(p.kinds) == 0 && !slices.ContainsFunc(p.in.changes.Tables, func(tc *TableChange) bool { return tc.PrimaryKey }) {
		return nil
	}
	changes := map[string]*TableChange{}
	for _, tc := range p.in.changes.Tables {
		changes[fold(tc.Name)] = tc
	}
	for _, t := range p.in.schema.sorted() {
		live := p.in.live.Tables[fold(t.Name)]
		if live == nil {
			continue
		}
		st, err := p.state(live)
		if err != nil {
			return err
		}
		for _, fk := range live.ForeignKeys {
			tc := changes[fold(t.Name)]
			same := func(o ForeignKey) bool { return o.sameTarget(fk) }
			if !p.disturbed(t.Name, fk) || tc != nil && (slices.ContainsFunc(tc.DropForeignKeys, same) || slices.ContainsFunc(tc.AddForeignKeys, same)) {
				continue
			}
			p.dropKey(st.name, fk)
			if !slices.ContainsFunc(t.ForeignKeys, same) {
				continue // it goes with this plan
			}
			p.addKey(st.name, fk, pgKeyOptions{empty: st.rows == 0})
			if st.rows > 0 {
				p.validate(stageValidateKey, st.name, pgKeyName(st.name, fk))
			}
		}
	}
	return nil
}

// pending tells whether what the key points to is made by this plan.
func (p *pgPlanner) pending(fk ForeignKey) bool {
	parent := p.in.live.Tables[fold(fk.RefTable)]
	return parent == nil || slices.ContainsFunc(fk.RefColumns, func(name string) bool { return parent.Column(name) == nil })
}

// orphans looks for rows that the key would refuse. Where a column can be NULL they are set to NULL by the step that comes back, and listed
// in the report; where none can, the key waits and ok is false.
func (p *pgPlanner) orphans(tc *TableChange, st *pgState, fk ForeignKey) (nulls *Step, ok bool, err error) {
	if st.rows == 0 || slices.ContainsFunc(fk.Columns, func(name string) bool { return tc.live.Column(name) == nil }) {
		return nil, true, nil
	}
	var set []string
	for _, name := range fk.Columns {
		if c := tc.want.Column(name); c != nil && !c.NotNull {
			set = append(set, name)
		}
	}
	then, now := p.orphanCond(st, fk)
	n, samples, err := p.count(st, now, fk.Columns[0])
	if err != nil || n == 0 {
		return nil, err == nil, err
	}
	h := Hazard{Level: Note, Table: st.name, Object: strings.Join(fk.Columns, ", "), Count: n, Samples: samples}
	if len(set) == 0 {
		h.Message = fmt.Sprintf("foreign key %s of %s waits: %d rows have no parent", fk, st.name, n)
		h.Fix = fmt.Sprintf("find them: SELECT * FROM %s WHERE %s", quoteName(st.name), then)
		p.out.incomplete = append(p.out.incomplete, h)
		p.out.skipped = append(p.out.skipped, skippedKey{st.name, fk})
		return nil, false, nil
	}
	h.Message = fmt.Sprintf("sets %s.%s to NULL in %d rows that have no parent in %s", st.name, strings.Join(set, ", "), n, fk.RefTable)
	return &Step{
		Kind: NullOrphans, Table: st.name, Summary: fmt.Sprintf("%s.%s", st.name, strings.Join(set, ", ")), Rows: n, Hazards: []Hazard{h},
		SQL:  []string{fmt.Sprintf("UPDATE %s SET %s = NULL WHERE %s", quoteName(st.name), strings.Join(quoteAll(set), " = NULL, "), then)},
		Lock: "writers of these rows wait", Check: "orphans counted", Post: "no orphan is left", NoInverse: "the report lists the old values", outside: true,
		nulls: &orphanRows{table: st.name, key: st.live.PrimaryKey, columns: set, where: then},
	}, true, nil
}

// orphanCond is the condition for an orphan by the time the step runs, and now: before any rename and change of type.
func (p *pgPlanner) orphanCond(st *pgState, fk ForeignKey) (then, now string) {
	var where, pairs, pairsNow []string
	for i, name := range fk.Columns {
		own, parent := quoteName(st.name)+"."+quoteName(name), "_odac_p."+quoteName(fk.RefColumns[i])
		where = append(where, own+" IS NOT NULL")
		pairs = append(pairs, parent+" = "+own)
		parent = "_odac_p." + quoteName(p.nameNow(fk.RefTable, fk.RefColumns[i]))
		if p.disturbed(st.name, fk) { // of two kinds now
			parent, own = parent+"::text", own+"::text"
		}
		pairsNow = append(pairsNow, parent+" = "+own)
	}
	missing := func(pairs []string) string {
		return fmt.Sprintf("%s AND NOT EXISTS (SELECT 1 FROM %s AS _odac_p WHERE %s)", strings.Join(where, " AND "), quoteName(fk.RefTable), strings.Join(pairs, " AND "))
	}
	if p.pending(fk) { // not there yet: unless its seed brings the parents, every row is an orphan
		return missing(pairs), strings.Join(where, " AND ")
	}
	return missing(pairs), missing(pairsNow)
}
