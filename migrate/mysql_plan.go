package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// mysqlPlanner turns changes into steps.
type mysqlPlanner struct {
	ctx    context.Context // of the one call of steps
	m      mysql
	q      querier
	in     planInput
	out    planOutput
	tables map[string]*mysqlState
	keys   []mysqlLate // that wait for the alterations of both tables
	late   []mysqlLate // that wait for a seed

	adopted map[string]bool // whose first step, which asks for approval, is yet to come
	dropped map[string]bool // tables
	cut     map[string]bool // foreign keys of tables that go
	gone    map[string]bool // table.index, made for a key that goes
}

// mysqlLate is a foreign key that waits.
type mysqlLate struct {
	tc *TableChange
	fk ForeignKey
	// was says that the key was there until a change of type, so that its rows were looked at.
	was bool
}

// mysqlState is what is known of the rows of a table.
type mysqlState struct {
	live   *TableInfo
	rows   int64
	source string // FROM clause that offers the rows of now under the names of then
}

func (m mysql) steps(ctx context.Context, q querier, in planInput) (planOutput, error) {
	p := &mysqlPlanner{ctx: ctx, m: m, q: q, in: in, tables: map[string]*mysqlState{}, adopted: map[string]bool{}, dropped: map[string]bool{}, cut: map[string]bool{}, gone: map[string]bool{}}
	err := m.reading(ctx, q, p.plan)
	return p.out, err
}

func (p *mysqlPlanner) plan() error {
	changes := byDependency(p.in.changes.Tables)
	if err := p.dropKeys(changes); err != nil {
		return err
	}
	for _, tc := range changes {
		if tc.Create {
			p.create(tc)
		}
	}
	for _, tc := range changes {
		if tc.Create || tc.Drop || tc.Empty() {
			continue
		}
		if err := p.alter(tc); err != nil {
			return err
		}
	}
	for _, k := range p.keys {
		if err := p.addKey(k.tc, k.fk, k.was); err != nil {
			return err
		}
	}
	seeds, err := planSeeds(p.ctx, p.m, p.q, p.in)
	if err != nil {
		return err
	}
	p.out.steps = append(p.out.steps, seeds...)
	for _, k := range p.late {
		if err := p.addKey(k.tc, k.fk, false); err != nil {
			return err
		}
	}
	slices.Reverse(changes)
	for _, tc := range changes {
		switch {
		case tc.Drop:
			err = p.dropTable(tc)
		case len(tc.DropColumns) > 0:
			err = p.dropColumns(tc)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *mysqlPlanner) add(s *Step) { p.out.steps = append(p.out.steps, s) }

// create makes a table with its keys, also those to tables that come later: nobody knows the table yet. A key to a table whose columns
// change waits for that.
func (p *mysqlPlanner) create(tc *TableChange) {
	def := tc.want.def
	var keys []ForeignKey
	for _, fk := range tc.want.ForeignKeys {
		changing := slices.ContainsFunc(p.in.changes.Tables, func(o *TableChange) bool {
			return strings.EqualFold(o.Name, fk.RefTable) && !o.Create && !o.Empty()
		})
		if changing {
			p.keys = append(p.keys, mysqlLate{tc: tc, fk: fk})
		} else {
			keys = append(keys, fk)
		}
	}
	s := &Step{
		Kind: CreateTable, Table: tc.Name, Summary: fmt.Sprintf("%s, %d columns", tc.Name, len(def.Columns)), Phase: Expand, SQL: []string{p.m.table(def, keys)},
		Lock: "nobody waits", Post: "the table is there", Inverse: "DROP TABLE " + mysqlName(tc.Name), outside: true,
	}
	s.run = p.m.createRunner(s.SQL[0])
	p.add(s)
}

// mysqlCounted is how many rows of a table are counted. Beyond, the server's own estimate will do: to count all takes as long as to read
// all.
const mysqlCounted = 100_000

// state counts the rows of a table.
func (p *mysqlPlanner) state(t *TableInfo) (*mysqlState, error) {
	if st := p.tables[fold(t.Name)]; st != nil {
		return st, nil
	}
	st := &mysqlState{live: t, source: mysqlName(t.Name)}
	var columns []string
	hasRename := false
	for _, c := range t.Columns {
		from := c.Name
		for _, r := range p.in.renames {
			if strings.EqualFold(r.Table, t.Name) && strings.EqualFold(r.To, c.Name) {
				from, hasRename = r.From, true
			}
		}
		columns = append(columns, mysqlName(from)+" AS "+mysqlName(c.Name))
	}
	if hasRename {
		st.source = "(SELECT " + strings.Join(columns, ", ") + " FROM " + mysqlName(t.Name) + ") AS " + mysqlName(t.Name)
	}
	query := fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d) AS r", mysqlName(t.Name), mysqlCounted)
	if err := p.q.QueryRowContext(p.ctx, query).Scan(&st.rows); err != nil {
		return nil, fmt.Errorf("migrate: count the rows of %s: %w", t.Name, err)
	}
	if st.rows == mysqlCounted {
		query = "SELECT greatest(coalesce(max(TABLE_ROWS), 0), " + fmt.Sprint(mysqlCounted) + ") FROM information_schema.TABLES WHERE TABLE_SCHEMA = database() AND TABLE_NAME = " + mysqlText(t.Name)
		if err := p.q.QueryRowContext(p.ctx, query).Scan(&st.rows); err != nil {
			return nil, fmt.Errorf("migrate: estimate the rows of %s: %w", t.Name, err)
		}
	}
	p.tables[fold(t.Name)] = st
	return st, nil
}

// alter plans a table that is there: what is done at once, backfills, the rest in one ALTER, what those have to come before, and keys.
func (p *mysqlPlanner) alter(tc *TableChange) error {
	st, err := p.state(tc.live)
	if err != nil {
		return err
	}
	first := len(p.out.steps)
	e := p.edit(tc, st)
	for _, c := range tc.AddColumns {
		e.addColumn(c)
	}
	for _, cc := range tc.AlterColumns {
		if err := e.alterColumn(cc); err != nil {
			return err
		}
	}
	if tc.PrimaryKey {
		if err := e.primaryKey(); err != nil {
			return err
		}
	}
	if err := e.indexes(); err != nil {
		return err
	}
	e.emit()
	for _, fk := range tc.AddForeignKeys {
		switch {
		case p.created(fk.RefTable):
			p.late = append(p.late, mysqlLate{tc: tc, fk: fk})
		default:
			p.keys = append(p.keys, mysqlLate{tc: tc, fk: fk})
		}
	}
	if tc.Adopt {
		h := Hazard{Level: Approve, Table: tc.Name, Count: st.rows, Message: fmt.Sprintf("table %s was not made by us: this takes it over and changes it", tc.Name)}
		if len(p.out.steps) > first {
			p.out.steps[first].Hazards = append(p.out.steps[first].Hazards, h)
		} else if len(tc.AddForeignKeys) > 0 {
			p.adopted[fold(tc.Name)] = true
		}
	}
	return nil
}

// created tells whether this plan makes the table.
func (p *mysqlPlanner) created(table string) bool { return p.in.live.Tables[fold(table)] == nil }

// mysqlEdit collects what happens to one table.
type mysqlEdit struct {
	p  *mysqlPlanner
	tc *TableChange
	st *mysqlState
	// now is done at once; then comes after the backfills of now, last after those of then.
	now, then, last *mysqlAlter
	fill, refill    []*Step
	apart           bool // now and then cannot be one
}

func (p *mysqlPlanner) edit(tc *TableChange, st *mysqlState) *mysqlEdit {
	e := &mysqlEdit{p: p, tc: tc, st: st}
	for _, a := range []**mysqlAlter{&e.now, &e.then, &e.last} {
		*a = &mysqlAlter{m: p.m, table: tc.live.Name}
	}
	return e
}

// emit makes the steps. Hazards of a part without clauses go to the first that has some.
func (e *mysqlEdit) emit() {
	for _, c := range e.tc.live.mysql.columns {
		for _, a := range []*mysqlAlter{e.then, e.last} {
			if a.level == mysqlInPlace && strings.HasSuffix(c.generated, "STORED") { // the server cannot compute it beside its writers
				a.level = mysqlCopy
			}
		}
	}
	if e.then.level >= mysqlCopy && len(e.fill) == 0 && !e.apart && len(e.now.clauses) > 0 { // all in one then
		e.then.clauses = slices.Concat(e.now.clauses, e.then.clauses)
		e.then.what = slices.Concat(e.now.what, e.then.what)
		e.then.kinds = slices.Concat(e.now.kinds, e.then.kinds)
		e.then.hazards = slices.Concat(e.now.hazards, e.then.hazards)
		e.then.after = slices.Concat(e.now.after, e.then.after)
		e.now.clauses, e.now.hazards = nil, nil
	}
	var hazards []Hazard
	emit := func(a *mysqlAlter, fill []*Step) {
		hazards = append(hazards, a.hazards...)
		if len(a.clauses) > 0 {
			a.hazards, hazards = hazards, nil
			e.p.add(a.step(e.st.rows))
		}
		for _, s := range fill {
			e.p.add(s)
		}
	}
	emit(e.now, e.fill)
	emit(e.then, e.refill)
	emit(e.last, nil)
	e.p.out.steps = hazardsTo(e.p.out.steps, hazards, e.tc.Name)
}

// hazardsTo gives hazards that found no statement to a step of the table, or to one of their own.
func hazardsTo(steps []*Step, hazards []Hazard, table string) []*Step {
	if len(hazards) == 0 {
		return steps
	}
	for _, s := range steps {
		if s.Table == table {
			s.Hazards = append(s.Hazards, hazards...)
			return steps
		}
	}
	return append(steps, &Step{Kind: AlterTable, Table: table, Summary: table, Phase: Expand, Lock: "nobody waits", Hazards: hazards, Post: "nothing: it is refused"})
}

// addColumn plans a new column. A column that has to be filled is added empty and filled; a constant is its default for the moment in
// which it is added, which writes no row. The server would invent a value for NOT NULL without one, so that comes later.
func (e *mysqlEdit) addColumn(info *ColumnInfo) {
	c, m := info.def, e.p.m
	add := func(a *mysqlAlter, level int, c *Column) {
		a.add(AddColumn, level, "add "+c.Name, "ADD COLUMN %s", m.column(c, true))
	}
	final := func(a *mysqlAlter, level int) {
		a.add(AlterTable, level, c.Name+" "+nullText(info), "MODIFY COLUMN %s", m.column(c, true))
	}
	empty := *c
	empty.Default, empty.Nullable = nil, new(bool)
	*empty.Nullable = true
	fill := c.Backfill
	if fill == nil && c.Default != nil && c.Default.Expr != "" && c.Default.Expr != now {
		fill = c.Default
	}
	switch {
	case isSerial(c):
		add(e.then, mysqlCopy, c)
	case fill != nil && fill.Expr != "":
		add(e.now, mysqlInstant, &empty)
		e.fill = append(e.fill, e.backfill(e.tc.live, c, fill, e.st.rows))
		if info.NotNull {
			final(e.then, mysqlInPlace)
		} else if c.Default != nil {
			e.setDefault(e.then, info)
		}
	case fill != nil && e.st.rows > 0:
		filled := *c
		filled.Default = fill
		add(e.now, mysqlInstant, &filled)
		e.setDefault(e.then, info)
	case info.NotNull && c.Default == nil && e.st.rows > 0:
		e.now.hazards = append(e.now.hazards, Hazard{
			Level: Refuse, Table: e.tc.Name, Object: c.Name, Count: e.st.rows,
			Message: fmt.Sprintf("%s.%s is NOT NULL without a default, and the table has %d rows", e.tc.Name, c.Name, e.st.rows),
			Fix:     fmt.Sprintf("%s: write backfill: <value>, a default, or nullable: true", c.Pos),
		})
	case info.NotNull && c.Default == nil:
		add(e.now, mysqlInstant, &empty)
		final(e.then, mysqlInPlace)
	default:
		add(e.now, mysqlInstant, c)
	}
}

// setDefault gives a column the default of the schema. Dropping it from a column that can be NULL would leave that one without NULL as
// its default.
func (e *mysqlEdit) setDefault(a *mysqlAlter, info *ColumnInfo) {
	c := info.def
	what := c.Name + " default " + or(info.Default, "(none)")
	switch {
	case c.Default != nil:
		a.add(AlterTable, mysqlInstant, what, "ALTER COLUMN %s SET DEFAULT %s", mysqlName(c.Name), e.p.m.defaultOf(c))
	case info.NotNull:
		a.add(AlterTable, mysqlInstant, what, "ALTER COLUMN %s DROP DEFAULT", mysqlName(c.Name))
	default:
		a.add(AlterTable, mysqlInstant, what, "ALTER COLUMN %s SET DEFAULT NULL", mysqlName(c.Name))
	}
}

func (e *mysqlEdit) backfill(t *TableInfo, c *Column, value *Value, rows int64) *Step {
	literal := e.p.m.literal(c, value)
	return &Step{
		Kind: Backfill, Table: t.Name, Summary: t.Name + "." + c.Name, Phase: Expand, Rows: rows,
		SQL:  []string{fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s IS NULL", mysqlName(t.Name), mysqlName(c.Name), literal, mysqlName(c.Name))},
		Lock: fmt.Sprintf("writers of %d rows at a time wait", mysqlBatch), Post: "no row is without a value", NoInverse: "the column was empty before",
		outside: true, run: e.p.m.backfill(t, c.Name, literal),
	}
}

// indexes drops and adds in one ALTER, so that a foreign key is never without the index that it needs.
func (e *mysqlEdit) indexes() error {
	tc := e.tc
	for _, x := range tc.DropIndexes {
		e.then.add(DropIndex, mysqlNoCopy, "drop index "+x.Name, "DROP INDEX %s", mysqlName(x.Name))
	}
	for _, x := range tc.AddIndexes {
		kind := CreateIndex
		e.then.add(kind, mysqlNoCopy, fmt.Sprintf("index %s (%s)", x.Name, strings.Join(x.Columns, ", ")), "ADD %s", mysqlIndex(x.Name, x.Columns, x.Unique))
		if x.Unique {
			h, err := e.p.uniqueHazards(tc, e.st, x)
			if err != nil {
				return err
			}
			e.then.hazards = append(e.then.hazards, h...)
		}
	}
	for _, x := range tc.live.mysql.implicit { // another does its work
		taken := func(o IndexInfo) bool {
			return len(o.Columns) >= len(x.Columns) && equalFold(o.Columns[:len(x.Columns)], x.Columns)
		}
		if gone := fold(tc.Name + "." + x.Name); slices.ContainsFunc(tc.AddIndexes, taken) && !e.p.gone[gone] {
			e.p.gone[gone] = true
			e.then.add(CreateIndex, mysqlNoCopy, "", "DROP INDEX %s", mysqlName(x.Name))
		}
	}
	for _, fk := range tc.live.ForeignKeys {
		covers := func(columns []string) bool {
			return len(columns) >= len(fk.Columns) && equalFold(columns[:len(fk.Columns)], fk.Columns)
		}
		dropped := slices.ContainsFunc(tc.DropForeignKeys, func(o ForeignKey) bool { return o.name == fk.name })
		needed := slices.ContainsFunc(tc.DropIndexes, func(x IndexInfo) bool { return covers(x.Columns) })
		if dropped && findKey(tc.want, fk) == nil || !needed || covers(tc.live.PrimaryKey) {
			continue
		}
		left := slices.DeleteFunc(slices.Concat(tc.live.mysql.implicit, tc.live.Indexes), func(x IndexInfo) bool {
			return slices.ContainsFunc(tc.DropIndexes, func(o IndexInfo) bool { return o.Name == x.Name })
		})
		if !slices.ContainsFunc(append(left, tc.AddIndexes...), func(x IndexInfo) bool { return covers(x.Columns) }) {
			e.then.add(CreateIndex, mysqlNoCopy, "", "ADD %s", mysqlIndex(fk.name, fk.Columns, false))
		}
	}
	return nil
}
