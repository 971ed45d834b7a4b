package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// dropKeys plans the foreign keys that go before all else: those that the schema no longer has, those that a run that was killed left
// unchecked, and those over a column whose type changes, which come back after it. One that is replaced stays until its successor is
// there.
func (p *mysqlPlanner) dropKeys(changes []*TableChange) error {
	alters := map[string]*mysqlAlter{}
	var order []string
	drop := func(t *TableInfo, fk ForeignKey, kind StepKind, withIndex bool) {
		a := alters[t.Name]
		if a == nil {
			a = &mysqlAlter{m: p.m, table: t.Name}
			alters[t.Name] = a
			order = append(order, t.Name)
		}
		a.add(kind, mysqlInstant, fk.String(), "DROP FOREIGN KEY %s", mysqlName(fk.name))
		if withIndex {
			for _, x := range t.mysql.implicit {
				if gone := fold(t.Name + "." + x.Name); equalFold(x.Columns, fk.Columns) && !p.gone[gone] {
					p.gone[gone] = true
					a.add(kind, mysqlNoCopy, "", "DROP INDEX %s", mysqlName(x.Name))
				}
			}
		}
	}
	for _, tc := range changes {
		if tc.live == nil || tc.Drop {
			continue
		}
		for _, fk := range tc.DropForeignKeys {
			back := slices.ContainsFunc(tc.AddForeignKeys, func(o ForeignKey) bool { return o.sameTarget(fk) })
			switch {
			case fk.invalid:
				drop(tc.live, fk, CleanUp, false)
			case !back:
				drop(tc.live, fk, DropKey, !p.shared(tc, fk))
			}
		}
	}
	for _, t := range p.in.live.sorted() {
		for _, fk := range t.ForeignKeys {
			reason, changed := p.retyped(t, fk)
			if !changed || fk.invalid {
				continue
			}
			tc := p.changeOf(t.Name)
			switch {
			case tc != nil && tc.Drop:
			case tc != nil && slices.ContainsFunc(tc.DropForeignKeys, func(o ForeignKey) bool { return o.name == fk.name && findKey(tc.want, o) == nil }):
			case tc != nil && (findKey(tc.want, fk) != nil):
				drop(t, fk, DropKey, false)
				want := *findKey(tc.want, fk)
				if !slices.ContainsFunc(tc.AddForeignKeys, func(o ForeignKey) bool { return o.sameTarget(fk) }) {
					p.keys = append(p.keys, mysqlLate{tc: tc, fk: want, was: true})
				}
				tc.DropForeignKeys = slices.DeleteFunc(tc.DropForeignKeys, func(o ForeignKey) bool { return o.name == fk.name })
			default:
				p.out.steps = hazardsTo(p.out.steps, []Hazard{{
					Level: Refuse, Table: t.Name, Object: fk.name,
					Message: fmt.Sprintf("foreign key %s of %s, which is not ours, holds the type of %s", fk.name, t.Name, reason),
					Fix:     fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s", mysqlName(t.Name), mysqlName(fk.name)),
				}}, t.Name)
			}
		}
	}
	slices.Sort(order)
	for _, name := range order {
		a := alters[name]
		s := a.step(0)
		s.Summary = name + ": " + strings.Join(a.what, ", ")
		p.add(s)
	}
	return nil
}

// shared tells whether another key that stays needs the index of fk.
func (p *mysqlPlanner) shared(tc *TableChange, fk ForeignKey) bool {
	return slices.ContainsFunc(tc.live.ForeignKeys, func(o ForeignKey) bool {
		return o.name != fk.name && len(o.Columns) <= len(fk.Columns) && equalFold(o.Columns, fk.Columns[:len(o.Columns)])
	})
}

// changeOf returns the change of a table of the schema; one that does not change otherwise is made up, so that its keys can come back.
func (p *mysqlPlanner) changeOf(table string) *TableChange {
	for _, tc := range p.in.changes.Tables {
		if strings.EqualFold(tc.Name, table) {
			return tc
		}
	}
	for _, t := range p.in.schema.Tables {
		if strings.EqualFold(t.Name, table) {
			want := &TableInfo{Name: t.Name, def: t}
			for _, c := range t.Columns {
				info := *p.in.live.Tables[fold(table)].Column(c.Name)
				info.def = c
				want.Columns = append(want.Columns, &info)
			}
			for _, fk := range t.ForeignKeys {
				want.ForeignKeys = append(want.ForeignKeys, mysqlKey(fk))
			}
			return &TableChange{Name: t.Name, live: p.in.live.Tables[fold(table)], want: want}
		}
	}
	return nil
}

// retyped tells whether the plan changes the type of a column on either side of the key.
func (p *mysqlPlanner) retyped(t *TableInfo, fk ForeignKey) (column string, changed bool) {
	for _, tc := range p.in.changes.Tables {
		for _, cc := range tc.AlterColumns {
			is := func(name string) bool { return strings.EqualFold(name, cc.From.Name) }
			if (cc.Type || cc.Auto) && (strings.EqualFold(tc.Name, t.Name) && slices.ContainsFunc(fk.Columns, is) ||
				strings.EqualFold(tc.Name, fk.RefTable) && slices.ContainsFunc(fk.RefColumns, is)) {
				return tc.Name + "." + cc.From.Name, true
			}
		}
	}
	return "", false
}

// addKey plans one foreign key: orphans first, then the key. One that replaces another takes its place in one statement; its rows
// were looked at.
func (p *mysqlPlanner) addKey(tc *TableChange, fk ForeignKey, was bool) error {
	name := mysqlKeyName(tc.Name, fk)
	index := ""
	if !p.covered(tc, fk) {
		index = "ADD " + mysqlIndex(name, fk.Columns, false) + ", "
	}
	step := &Step{
		Kind: AddKey, Table: tc.Name, Summary: tc.Name + ": " + fk.String(), Phase: Expand, Lock: mysqlOnline, outside: true,
		Post: "no row is without its parent", Inverse: fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s", mysqlName(tc.Name), mysqlName(name)),
	}
	alter := "ALTER TABLE " + mysqlName(tc.Name) + " "
	online := p.m.algorithm(mysqlNoCopy)
	if tc.live != nil {
		for _, old := range tc.DropForeignKeys {
			if old.sameTarget(fk) && !old.invalid {
				if strings.EqualFold(old.name, name) { // a name is free only after the statement
					name += "_2"
				}
				step.SQL = []string{alter + "DROP FOREIGN KEY " + mysqlName(old.name) + ", " + index + "ADD " + mysqlConstraintOf(name, fk) + online}
				step.Inverse = ""
				step.NoInverse = "plan the previous schema to go back"
				step.run = p.m.keyRunner(step.SQL, nil)
				p.add(step)
				return nil
			}
		}
		if !was {
			ok, err := p.orphans(tc, fk)
			if err != nil || !ok {
				return err
			}
		}
	}
	if p.adopted[fold(tc.Name)] {
		delete(p.adopted, fold(tc.Name))
		step.Hazards = append(step.Hazards, Hazard{Level: Approve, Table: tc.Name, Message: fmt.Sprintf("table %s was not made by us: this takes it over and changes it", tc.Name)})
	}
	hazards, given, err := p.givenKeys(tc, fk)
	if err != nil {
		return err
	}
	step.Hazards = append(step.Hazards, hazards...)
	unchecked := name + mysqlUnchecked
	undo := alter + "DROP FOREIGN KEY " + mysqlName(unchecked)
	step.SQL = []string{
		alter + index + "ADD " + mysqlConstraintOf(unchecked, fk) + online,
		alter + "DROP FOREIGN KEY " + mysqlName(unchecked) + ", ADD " + mysqlConstraintOf(name, fk) + online,
	}
	step.run = p.m.keyRunner(step.SQL, []mysqlAfter{{cond: mysqlOrphans(tc.Name, fk), undo: undo + p.m.algorithm(mysqlInstant), err: given}})
	p.add(step)
	return nil
}

// givenKeys looks for the parent of the value that a new column has in all rows. given is the error where it shows only later that
// there is none.
func (p *mysqlPlanner) givenKeys(tc *TableChange, fk ForeignKey) (hazards []Hazard, given, err error) {
	if tc.live == nil || tc.live.Column(fk.Columns[0]) != nil || p.tables[fold(tc.Name)].rows == 0 {
		return nil, nil, nil
	}
	c := tc.want.Column(fk.Columns[0]).def
	value := c.Backfill
	if value == nil {
		value = c.Default
	}
	if value == nil {
		return nil, nil, nil
	}
	message := fmt.Sprintf("%s.%s is new, and its value in the rows that are there has no row in %s", tc.Name, c.Name, fk.RefTable)
	given = errors.New(message)
	parent := p.in.live.Tables[fold(fk.RefTable)]
	if value.Expr != "" || len(fk.Columns) > 1 || parent == nil || parent.Column(fk.RefColumns[0]) == nil {
		return nil, given, nil
	}
	var found bool
	query := fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM %s WHERE %s = %s)", mysqlName(parent.Name), mysqlName(fk.RefColumns[0]), p.m.literal(c, value))
	if err := p.q.QueryRowContext(p.ctx, query).Scan(&found); err != nil {
		return nil, nil, fmt.Errorf("migrate: look for the parents of %s: %w", tc.Name, err)
	}
	if !found {
		hazards = append(hazards, Hazard{Level: Refuse, Table: tc.Name, Object: c.Name, Message: message, Fix: or(c.Pos, fk.Pos) + ": write another value, or nullable: true without one"})
	}
	return hazards, given, nil
}

// covered tells whether an index of the table, as it will be, begins with the columns of the key.
func (p *mysqlPlanner) covered(tc *TableChange, fk ForeignKey) bool {
	covers := func(columns []string) bool {
		return len(columns) >= len(fk.Columns) && equalFold(columns[:len(fk.Columns)], fk.Columns)
	}
	info := tc.live
	if info == nil {
		return false
	}
	dropped := func(x IndexInfo) bool {
		return p.gone[fold(tc.Name+"."+x.Name)] || slices.ContainsFunc(tc.DropIndexes, func(o IndexInfo) bool { return o.Name == x.Name })
	}
	return covers(tc.want.PrimaryKey) || slices.ContainsFunc(tc.AddIndexes, func(x IndexInfo) bool { return covers(x.Columns) }) ||
		slices.ContainsFunc(slices.Concat(info.Indexes, info.mysql.implicit), func(x IndexInfo) bool { return covers(x.Columns) && !dropped(x) })
}

// keyRunner adds a key. With after it is first added under another name, since the server looks at rows that are there only while it
// copies them: that name says to the next run that nobody has looked yet.
func (m mysql) keyRunner(queries []string, after []mysqlAfter) func(context.Context, *sql.Conn, func(int64)) (int64, error) {
	return func(ctx context.Context, conn *sql.Conn, _ func(int64)) (int64, error) {
		if err := m.withKeysUnchecked(ctx, conn, queries[0]); err != nil {
			return 0, err
		}
		if err := m.look(ctx, conn, after); err != nil {
			return 0, err
		}
		return 0, m.withKeysUnchecked(ctx, conn, queries[1:]...)
	}
}

// createRunner makes a table whose keys may point to one that is not there yet.
func (m mysql) createRunner(query string) func(context.Context, *sql.Conn, func(int64)) (int64, error) {
	return func(ctx context.Context, conn *sql.Conn, _ func(int64)) (int64, error) {
		return 0, m.withKeysUnchecked(ctx, conn, query)
	}
}

// mysqlOrphans selects rows that the key would refuse.
func mysqlOrphans(table string, fk ForeignKey) string {
	return "SELECT 1 FROM " + mysqlName(table) + " WHERE " + mysqlOrphanCond(table, fk, fk.RefColumns)
}

func mysqlOrphanCond(table string, fk ForeignKey, refColumns []string) string {
	var conds, pairs []string
	for i, name := range fk.Columns {
		conds = append(conds, mysqlName(table)+"."+mysqlName(name)+" IS NOT NULL")
		pairs = append(pairs, fmt.Sprintf("`_odac_p`.%s = %s.%s", mysqlName(refColumns[i]), mysqlName(table), mysqlName(name)))
	}
	return strings.Join(conds, " AND ") + fmt.Sprintf(" AND NOT EXISTS (SELECT 1 FROM %s AS `_odac_p` WHERE %s)", mysqlName(fk.RefTable), strings.Join(pairs, " AND "))
}

// orphans looks for rows that the key would refuse. Where a column can be NULL they are set to NULL by a step, and listed in the
// report; where none can, the key waits and ok is false.
func (p *mysqlPlanner) orphans(tc *TableChange, fk ForeignKey) (ok bool, err error) {
	st, err := p.state(tc.live)
	if err != nil {
		return false, err
	}
	if st.rows == 0 || slices.ContainsFunc(fk.Columns, func(name string) bool { return tc.live.Column(name) == nil }) {
		return true, nil // a new column is NULL, or has one value, which the server looks at
	}
	var set []string
	for _, name := range fk.Columns {
		if !tc.want.Column(name).NotNull {
			set = append(set, name)
		}
	}
	refs := slices.Clone(fk.RefColumns)
	for i := range refs {
		for _, r := range p.in.renames {
			if strings.EqualFold(r.Table, fk.RefTable) && strings.EqualFold(r.To, refs[i]) {
				refs[i] = r.From
			}
		}
	}
	parent := p.in.live.Tables[fold(fk.RefTable)]
	cond := mysqlOrphanCond(st.live.Name, fk, refs)
	if parent == nil || slices.ContainsFunc(fk.RefColumns, func(name string) bool { return parent.Column(name) == nil }) {
		// not there yet: unless its seed brings the parents, every row is an orphan
		cond, _, _ = strings.Cut(cond, " AND NOT EXISTS")
	}
	n, samples, err := p.count(st, cond, fk.Columns[0])
	if err != nil || n == 0 {
		return err == nil, err
	}
	then := mysqlOrphanCond(st.live.Name, fk, fk.RefColumns)
	h := Hazard{Level: Note, Table: st.live.Name, Object: strings.Join(fk.Columns, ", "), Count: n, Samples: samples}
	if len(set) == 0 {
		h.Message = fmt.Sprintf("foreign key %s of %s waits: %d rows have no parent", fk, st.live.Name, n)
		h.Fix = fmt.Sprintf("find them: SELECT * FROM %s WHERE %s", mysqlName(st.live.Name), then)
		p.out.incomplete = append(p.out.incomplete, h)
		p.out.skipped = append(p.out.skipped, skippedKey{st.live.Name, fk})
		return false, nil
	}
	h.Message = fmt.Sprintf("sets %s.%s to NULL in %d rows that have no parent in %s", st.live.Name, strings.Join(set, ", "), n, fk.RefTable)
	p.add(&Step{
		Kind: NullOrphans, Table: st.live.Name, Summary: fmt.Sprintf("%s.%s", st.live.Name, strings.Join(set, ", ")), Phase: Expand, Rows: n, Hazards: []Hazard{h},
		SQL:  []string{fmt.Sprintf("UPDATE %s SET %s = NULL WHERE %s", mysqlName(st.live.Name), strings.Join(mysqlQuoteAll(set), " = NULL, "), then)},
		Lock: "writers of these rows wait", Check: "orphans counted", Post: "no orphan is left", NoInverse: "the report lists the old values",
		nulls: &orphanRows{table: st.live.Name, key: st.live.PrimaryKey, columns: set, where: then},
	})
	return true, nil
}

func mysqlQuoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = mysqlName(n)
	}
	return out
}
