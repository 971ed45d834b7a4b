package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// sqlitePlanner turns changes into steps. It follows in its tables what each step leaves behind, so that a second rebuild of a
// table starts from what the first one made.
type sqlitePlanner struct {
	ctx    context.Context // of the one call of steps
	q      querier
	in     planInput
	out    planOutput
	tables map[string]*sqliteState
}

// sqliteState is a table as it will be after the steps so far.
type sqliteState struct {
	name     string
	ct       *createTable
	live     *TableInfo
	indexes  []IndexInfo // that a rebuild has to make again
	triggers []string
	rows     int64
	source   string // FROM clause that offers the rows of now under the names of then
}

func (s sqlite) steps(ctx context.Context, q querier, in planInput) (planOutput, error) {
	p := &sqlitePlanner{ctx: ctx, q: q, in: in, tables: map[string]*sqliteState{}}
	var late []lateKey
	for _, tc := range byDependency(in.changes.Tables) {
		if tc.Create {
			p.create(tc)
		}
	}
	for _, tc := range in.changes.Tables {
		if tc.Create || tc.Drop {
			continue
		}
		keys, err := p.alter(tc)
		if err != nil {
			return p.out, err
		}
		late = append(late, keys...)
	}
	seeds, err := planSeeds(ctx, s, q, in)
	if err != nil {
		return p.out, err
	}
	for _, step := range seeds {
		p.add(step)
	}
	for _, k := range late {
		if err := p.lateKey(k); err != nil {
			return p.out, err
		}
	}
	drops := byDependency(in.changes.Tables)
	slices.Reverse(drops)
	for _, tc := range drops {
		if err := p.drop(tc); err != nil {
			return p.out, err
		}
	}
	return p.out, nil
}

func (p *sqlitePlanner) add(s *Step) {
	s.Lock = or(s.Lock, lockWrites)
	s.Phase = Phase(or(string(s.Phase), string(Expand)))
	p.out.steps = append(p.out.steps, s)
}

// lockWrites is the lock of every step on SQLite in WAL mode: one writer, readers go on.
const lockWrites = "writers wait, readers go on"

func (p *sqlitePlanner) create(tc *TableChange) {
	def := tc.want.def
	p.add(&Step{
		Kind: CreateTable, Table: tc.Name, Summary: fmt.Sprintf("%s, %d columns", tc.Name, len(def.Columns)), SQL: []string{sqliteTable(def)},
		Post: "the table is there", Inverse: "DROP TABLE " + quoteName(tc.Name),
	})
	for _, x := range def.Indexes {
		p.createIndex(tc.Name, x, nil)
	}
}

func (p *sqlitePlanner) createIndex(table string, x Index, hazards []Hazard) {
	p.add(&Step{
		Kind: CreateIndex, Table: table, Summary: fmt.Sprintf("%s on %s (%s)", x.Name, table, strings.Join(x.Columns, ", ")),
		SQL: []string{sqliteIndex(table, x)}, Hazards: hazards, Post: "the index is there", Inverse: "DROP INDEX " + quoteName(x.Name),
	})
}

// state returns the table as the steps so far leave it.
func (p *sqlitePlanner) state(t *TableInfo) (*sqliteState, error) {
	if st := p.tables[fold(t.Name)]; st != nil {
		return st, nil
	}
	st := &sqliteState{name: t.Name, ct: t.create.clone(), live: t, source: quoteName(t.Name)}
	for _, x := range t.Indexes {
		if !x.Inline {
			st.indexes = append(st.indexes, x)
		}
	}
	for _, trigger := range p.in.live.Triggers {
		if strings.EqualFold(trigger.Table, t.Name) {
			st.triggers = append(st.triggers, trigger.SQL)
		}
	}
	var columns []string
	hasRename := false
	for _, c := range t.Columns {
		from := c.Name
		for _, r := range p.in.renames {
			if strings.EqualFold(r.Table, t.Name) && strings.EqualFold(r.To, c.Name) {
				from, hasRename = r.From, true
			}
		}
		columns = append(columns, quoteName(from)+" AS "+quoteName(c.Name))
	}
	if hasRename {
		st.source = "(SELECT " + strings.Join(columns, ", ") + " FROM " + quoteName(t.Name) + ") AS " + quoteName(t.Name)
	}
	if err := p.q.QueryRowContext(p.ctx, "SELECT count(*) FROM "+quoteName(t.Name)).Scan(&st.rows); err != nil {
		return nil, fmt.Errorf("migrate: count the rows of %s: %w", t.Name, err)
	}
	p.tables[fold(t.Name)] = st
	return st, nil
}

// alter plans the changes of a table that is there. Keys whose parent this plan creates come back: they wait for its seeds.
func (p *sqlitePlanner) alter(tc *TableChange) ([]lateKey, error) {
	if tc.Empty() {
		return nil, nil
	}
	st, err := p.state(tc.live)
	if err != nil {
		return nil, err
	}
	first := len(p.out.steps)
	late, err := p.alterTable(tc, st)
	if err == nil && tc.Adopt && len(p.out.steps) > first {
		s := p.out.steps[first]
		s.Hazards = append(s.Hazards, Hazard{
			Level: Approve, Table: st.name, Count: st.rows, Message: fmt.Sprintf("table %s was not made by us: this takes it over and changes it", st.name),
		})
	}
	return late, err
}

func (p *sqlitePlanner) alterTable(tc *TableChange, st *sqliteState) ([]lateKey, error) {
	for _, x := range tc.DropIndexes {
		p.add(&Step{
			Kind: DropIndex, Table: st.name, Summary: x.Name + " on " + st.name, SQL: []string{"DROP INDEX " + quoteName(x.Name)},
			Post: "the index is gone", Inverse: x.SQL,
		})
		st.indexes = slices.DeleteFunc(st.indexes, func(o IndexInfo) bool { return o.Name == x.Name })
	}
	e := newEdit(st)
	if err := p.alterColumns(tc, e); err != nil {
		return nil, err
	}
	e.dropKeys(tc.DropForeignKeys)
	if tc.PrimaryKey {
		if err := p.primaryKey(tc, e); err != nil {
			return nil, err
		}
	}
	late, inline, err := p.addKeys(tc, e)
	if err != nil {
		return nil, err
	}
	p.addColumns(tc, e, inline)
	for _, x := range tc.AddIndexes {
		if err := p.addIndex(tc, st, x); err != nil {
			return nil, err
		}
	}
	return late, nil
}

// addIndex plans an index over rows that are there.
func (p *sqlitePlanner) addIndex(tc *TableChange, st *sqliteState, info IndexInfo) error {
	var x Index
	for _, def := range tc.want.def.Indexes {
		if strings.EqualFold(def.Name, or(info.wanted, info.Name)) {
			x = def
			x.Name = info.Name
		}
	}
	var hazards []Hazard
	if x.Unique {
		h, err := p.uniqueHazards(tc, st, x)
		if err != nil {
			return err
		}
		hazards = h
	}
	p.createIndex(st.name, x, hazards)
	st.indexes = append(st.indexes, IndexInfo{Name: x.Name, Columns: x.Columns, SQL: sqliteIndex(st.name, x), Plain: true})
	return nil
}

// addColumns plans columns that are new. They ride on a rebuild if there is one anyway or if SQLite cannot add them in place.
func (p *sqlitePlanner) addColumns(tc *TableChange, e *edit, inline map[string]ForeignKey) {
	for _, c := range tc.AddColumns {
		e.rebuild = e.rebuild || !addable(c.def)
	}
	var plain []*ColumnInfo
	for _, c := range tc.AddColumns {
		e.addColumn(c.def, inline)
		if !c.NotNull || c.def.Default != nil || c.def.Backfill != nil || e.st.rows == 0 || isSerial(c.def) {
			plain = append(plain, c)
			continue
		}
		e.hazards = append(e.hazards, Hazard{
			Level: Refuse, Table: tc.Name, Object: c.Name, Count: e.st.rows,
			Message: fmt.Sprintf("%s.%s is NOT NULL without a default, and the table has %d rows", tc.Name, c.Name, e.st.rows),
			Fix:     fmt.Sprintf("%s: write backfill: <value>, a default, or nullable: true", c.def.Pos),
		})
	}
	if e.rebuild {
		p.add(e.step(RebuildTable, Expand))
		return
	}
	for _, c := range plain {
		text := e.st.ct.column(c.Name).sql()
		p.add(&Step{
			Kind: AddColumn, Table: tc.Name, Summary: tc.Name + "." + c.Name,
			SQL:  []string{"ALTER TABLE " + quoteName(tc.Name) + " ADD COLUMN " + text},
			Post: "the column is there", Inverse: "ALTER TABLE " + quoteName(tc.Name) + " DROP COLUMN " + quoteName(c.Name),
		})
		if c.def.Backfill != nil && e.st.rows > 0 {
			p.add(&Step{
				Kind: Backfill, Table: tc.Name, Summary: tc.Name + "." + c.Name, Rows: e.st.rows, Rewrite: true,
				SQL:  []string{fmt.Sprintf("UPDATE %s SET %s = %s", quoteName(tc.Name), quoteName(c.Name), sqlite{}.literal(c.def, c.def.Backfill))},
				Post: "no row is without a value", NoInverse: "the column was empty before",
			})
		}
	}
}

// addable tells whether ALTER TABLE ADD COLUMN takes the column (sqlite.org/lang_altertable.html).
func addable(c *Column) bool {
	if c.Primary || isSerial(c) || c.Default != nil && c.Default.Expr != "" {
		return false
	}
	return *c.Nullable || c.Default != nil
}

// drop plans the contract phase: what loses values.
func (p *sqlitePlanner) drop(tc *TableChange) error {
	if !tc.Drop && len(tc.DropColumns) == 0 {
		return nil
	}
	st, err := p.state(tc.live)
	if err != nil {
		return err
	}
	if tc.Drop {
		h := Hazard{Level: Approve, Table: st.name, Count: st.rows, Message: fmt.Sprintf("drops table %s and its %d rows", st.name, st.rows)}
		if h.Samples, err = p.samples(st, "1"); err != nil {
			return err
		}
		s := &Step{
			Kind: DropTable, Table: st.name, Summary: st.name, Phase: Contract, SQL: []string{"DROP TABLE " + quoteName(st.name)}, Rows: st.rows,
			Check: "rows counted", Post: "the table is gone", NoInverse: "its rows are gone",
		}
		if t := p.in.trash(DropTable, st.name, ""); t != nil {
			s.SQL = p.keepTable(st, t)
			s.keeps(t)
			h.Fix = t.keep()
		}
		s.Hazards = []Hazard{h}
		p.add(s)
		return nil
	}
	e := newEdit(st)
	var names, keep []string
	var kept []*Trashed
	for _, c := range tc.DropColumns {
		cond := quoteName(c.Name) + " IS NOT NULL"
		h := Hazard{Level: Approve, Table: st.name, Object: c.Name}
		if h.Count, h.Samples, err = p.count(st, cond, c.Name); err != nil {
			return err
		}
		h.Message = fmt.Sprintf("drops column %s.%s and its %d values", st.name, c.Name, h.Count)
		if t, queries := p.keepColumn(st, tc, c.Name); t != nil {
			kept, keep = append(kept, t), append(keep, queries...)
			h.Fix = t.keep()
		}
		e.hazards = append(e.hazards, h)
		e.dropColumn(c.Name)
		names = append(names, st.name+"."+c.Name)
		if i := slices.IndexFunc(st.indexes, func(x IndexInfo) bool { return x.uses(c.Name) }); i >= 0 {
			e.hazards = append(e.hazards, Hazard{
				Level: Refuse, Table: st.name, Object: st.indexes[i].Name,
				Message: fmt.Sprintf("index %s, which is not ours, needs column %s", st.indexes[i].Name, c.Name),
				Fix:     "DROP INDEX " + quoteName(st.indexes[i].Name),
			})
		}
	}
	step := e.step(DropColumn, Contract)
	step.Summary, step.NoInverse = strings.Join(names, ", "), "its values are gone"
	if len(kept) == len(tc.DropColumns) {
		step.keeps(kept...)
	}
	step.SQL, step.trash = append(keep, step.SQL...), kept
	p.add(step)
	return nil
}
