package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What other connections cannot do during a step.
const (
	pgNobody  = "nobody waits: the table is new or empty"
	pgMoment  = "readers and writers wait for a moment: only the catalog changes"
	pgWriters = "writers wait for a moment, readers go on"
	pgOnline  = "readers and writers go on"
	pgBatches = "readers go on, writers of the same rows wait for a batch of them"
	pgAll     = "readers and writers wait until it is done"
)

// pgStage orders steps. What may be in one transaction is next to each other.
type pgStage int

const (
	stageClean pgStage = iota
	stageDropKey
	stageCreate
	stageDropIndex // whose name is needed, or that a change of type would build again
	stageAlter
	stageFill     // outside
	stageValidate // outside
	stageNotNull
	stagePrimary
	stageIndex
	stageLateDropIndex
	stageSeed
	stageKey
	stageOrphans     // outside
	stageValidateKey // outside
	stageDrop        // contract
	pgStages
)

// pgPlanner turns changes into steps.
type pgPlanner struct {
	ctx    context.Context // of the one call of steps
	q      querier
	in     planInput
	out    planOutput
	stages [pgStages][]*Step
	tables map[string]*pgState
	made   map[string]bool // tables that this plan has created so far
	used   map[string]bool // half done things that this plan goes on with
	kinds  map[string]bool // table and column whose kind of value changes
}

// pgState is a live table and its rows.
type pgState struct {
	name   string
	live   *TableInfo
	rows   int64  // about, where there are many
	source string // FROM clause that offers the rows of now under the names of then
}

func (p postgres) steps(ctx context.Context, q querier, in planInput) (planOutput, error) {
	w := &pgPlanner{ctx: ctx, q: q, in: in, tables: map[string]*pgState{}, made: map[string]bool{}, used: map[string]bool{}}
	if err := w.plan(p); err != nil {
		return w.out, err
	}
	for _, steps := range w.stages {
		w.out.steps = append(w.out.steps, steps...)
	}
	return w.out, nil
}

func (p *pgPlanner) plan(d postgres) error {
	p.changedKinds()
	var late []lateKey
	for _, tc := range byDependency(p.in.changes.Tables) {
		if tc.Create {
			late = append(late, p.create(tc)...)
		}
	}
	for _, tc := range p.in.changes.Tables {
		if tc.Create || tc.Drop || tc.Empty() {
			continue
		}
		if err := p.alter(tc); err != nil {
			return err
		}
	}
	seeds, err := planSeeds(p.ctx, d, p.q, p.in)
	if err != nil {
		return err
	}
	p.seeds(seeds)
	for _, k := range late {
		p.addKey(k.tc.Name, k.fk, pgKeyOptions{empty: true})
	}
	for _, tc := range p.in.changes.Tables {
		if err := p.keys(tc); err != nil {
			return err
		}
	}
	if err := p.rebuiltKeys(); err != nil {
		return err
	}
	drops := byDependency(p.in.changes.Tables)
	slices.Reverse(drops)
	for _, tc := range drops {
		if err := p.drop(tc); err != nil {
			return err
		}
	}
	return p.halves()
}

// pgLarge is from how many rows on a table is thought to be in such use that a lock on it is not held for longer than its own step: while other
// steps go on, and the plan is made once more, nobody could write to it. Smaller ones are in one transaction, so that an error leaves all as before.
const pgLarge = 100_000

func (p *pgPlanner) add(stage pgStage, s *Step) {
	s.Lock = or(s.Lock, pgMoment)
	s.Phase = Phase(or(string(s.Phase), string(Expand)))
	if st := p.tables[fold(s.Table)]; st != nil && st.rows >= pgLarge && !s.outside && s.seed == nil {
		s.outside, s.run = true, pgAlone(s)
	}
	p.stages[stage] = append(p.stages[stage], s)
}

// pgAlone runs the statements of a step in a transaction of their own.
func pgAlone(s *Step) func(context.Context, *sql.Conn, func(int64)) (int64, error) {
	return func(ctx context.Context, conn *sql.Conn, _ func(int64)) (int64, error) {
		var p postgres
		if err := p.begin(ctx, conn); err != nil {
			return 0, err
		}
		for _, query := range s.SQL {
			if err := execOne(ctx, conn, query); err != nil {
				return 0, errors.Join(err, p.end(context.WithoutCancel(ctx), conn, false))
			}
		}
		return 0, p.end(ctx, conn, true)
	}
}

// create plans a new table. Its keys whose parent is not there, or not as it will be, come back.
func (p *pgPlanner) create(tc *TableChange) (late []lateKey) {
	def := tc.want.def
	p.made[fold(tc.Name)] = true
	var keys []ForeignKey
	for _, fk := range def.ForeignKeys {
		if p.ready(fk) {
			keys = append(keys, fk)
		} else {
			late = append(late, lateKey{tc, fk})
		}
	}
	lock := pgNobody
	if len(keys) > 0 {
		lock = "writers of the tables that it references wait for a moment"
	}
	p.add(stageCreate, &Step{
		Kind: CreateTable, Table: tc.Name, Summary: fmt.Sprintf("%s, %d columns", tc.Name, len(def.Columns)), SQL: []string{pgCreate(def, keys)},
		Lock: lock, Post: "the table is there", Inverse: "DROP TABLE " + quoteName(tc.Name),
	})
	for _, x := range def.Indexes {
		p.add(stageCreate, pgIndexStep(tc.Name, x, nil))
	}
	return late
}

// ready tells whether the parent of a key is there as it will be by the time the plan creates tables.
func (p *pgPlanner) ready(fk ForeignKey) bool {
	if p.made[fold(fk.RefTable)] {
		return true
	}
	parent := p.in.live.Tables[fold(fk.RefTable)]
	if parent == nil {
		return false
	}
	return !slices.ContainsFunc(p.in.changes.Tables, func(tc *TableChange) bool { return strings.EqualFold(tc.Name, fk.RefTable) && !tc.Empty() })
}

// state returns the live table with a count of its rows, exact where counting them takes no time.
func (p *pgPlanner) state(t *TableInfo) (*pgState, error) {
	if st := p.tables[fold(t.Name)]; st != nil {
		return st, nil
	}
	st := &pgState{name: t.Name, live: t, source: quoteName(t.Name)}
	var columns []string
	hasRename := false
	for _, c := range t.Columns {
		from := p.nameNow(t.Name, c.Name)
		hasRename = hasRename || from != c.Name
		columns = append(columns, quoteName(from)+" AS "+quoteName(c.Name))
	}
	if hasRename {
		st.source = "(SELECT " + strings.Join(columns, ", ") + " FROM " + quoteName(t.Name) + ") AS " + quoteName(t.Name)
	}
	const bytesToCount = 64 << 20
	var size, about int64
	err := p.q.QueryRowContext(p.ctx, "SELECT pg_catalog.pg_relation_size(oid), reltuples::bigint FROM pg_catalog.pg_class WHERE oid = $1", int64(t.pg.oid)).Scan(&size, &about)
	if err == nil && (size < bytesToCount || about <= 0) {
		err = p.q.QueryRowContext(p.ctx, "SELECT count(*) FROM "+quoteName(t.Name)).Scan(&about)
	}
	if err != nil {
		return nil, fmt.Errorf("migrate: count the rows of %s: %w", t.Name, err)
	}
	st.rows = about
	p.tables[fold(t.Name)] = st
	return st, nil
}

// nameNow is the name of a column before the renames of this plan.
func (p *pgPlanner) nameNow(table, column string) string {
	for _, r := range p.in.renames {
		if strings.EqualFold(r.Table, table) && strings.EqualFold(r.To, column) {
			return r.From
		}
	}
	return column
}

// seeds plans the rows, and that a generated key goes on behind those that they bring.
func (p *pgPlanner) seeds(steps []*Step) {
	for _, s := range steps {
		p.add(stageSeed, s)
		t := s.seed.table
		for _, c := range t.Columns {
			if isSerial(c) && slices.ContainsFunc(s.seed.seed.Rows, func(r SeedRow) bool { return r.Values[c.Name] != nil }) {
				p.add(stageSeed, &Step{
					Kind: AlterTable, Table: t.Name, Summary: fmt.Sprintf("%s: %s counts on behind the seed", t.Name, c.Name), SQL: []string{pgCountOn(t.Name, c.Name)},
					Lock: pgOnline, Post: "a new row gets a number that no row has", NoInverse: "numbers are not given twice",
				})
			}
		}
	}
}

// pgCountOn makes an identity column go on behind its highest number.
func pgCountOn(table, column string) string {
	return fmt.Sprintf("SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence(%s, %s)::pg_catalog.regclass, COALESCE(max(%s), 1), max(%s) IS NOT NULL) FROM %s",
		pgText(quoteName(table)), pgText(column), quoteName(column), quoteName(column), quoteName(table))
}

// halves plans the end of what a run that was killed left: it goes on with a backfill, and takes away what nobody needs.
func (p *pgPlanner) halves() error {
	for _, t := range p.in.schema.sorted() {
		live := p.in.live.Tables[fold(t.Name)]
		if live == nil || live.pg == nil || len(live.pg.half) == 0 {
			continue
		}
		st, err := p.state(live)
		if err != nil {
			return err
		}
		for _, c := range t.Columns {
			if mark := live.leftover(pgFillName(live.Name, c.Name)); mark != nil && c.Backfill != nil && !p.used[mark.name] {
				p.fill(st, c, st.rows)
			}
		}
		for _, h := range live.pg.half {
			if !p.used[h.name] {
				p.cleanUp(st.name, h)
			}
		}
	}
	return nil
}

func (p *pgPlanner) cleanUp(table string, h pgHalf) {
	s := &Step{
		Kind: CleanUp, Table: table, Summary: fmt.Sprintf("%s on %s", h.name, table), SQL: []string{pgDropConstraint(table, h.name)},
		Post: "nothing half made is left", NoInverse: "a run that was killed left it",
	}
	if h.index {
		query := "DROP INDEX CONCURRENTLY " + quoteName(h.name)
		s.SQL, s.Lock, s.outside, s.run = []string{query}, pgOnline, true, pgPatient(query)
	}
	p.add(stageClean, s)
}

func pgDropConstraint(table, name string) string {
	return "ALTER TABLE " + quoteName(table) + " DROP CONSTRAINT " + quoteName(name)
}
