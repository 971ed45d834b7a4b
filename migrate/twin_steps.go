package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// twinSyntax is how a dialect keeps two columns equal.
type twinSyntax struct {
	// relaxed says that a row is checked before triggers have filled it, so that neither column can be NOT NULL meanwhile.
	relaxed bool
	// alone says that statements about tables and triggers end a transaction.
	alone bool
	// able tells whether a table can have twins; nil is any.
	able func(t *TableInfo) bool
	// widens tells whether the type changes in place, without a rewrite, to one that holds all values and reads the same.
	widens func(from, to *Column) bool
	// convert gives the value of the expression x, of printed type from, as printed type to, and when it would be lost.
	convert func(x, from, to string, c *Column) (expr, loses string)
	// differs tells two expressions apart, byte for byte, NULL included.
	differs func(a, b string) string
	// relax writes the statements after which a column may be NULL; nil where relaxed.
	relax func(t *TableInfo, column string) []string
	// triggers writes the statements that make the triggers; their names begin with the name of s.
	triggers func(s *syncing) []string
	// drop writes the statements that drop a trigger, and what belongs to it.
	drop func(trigger Object) []string
	// swap writes the statements that exchange the names of two columns.
	swap func(db *Database, table, a, b string) []string
	// locked, where set, runs the statements of a swap while nobody else can write.
	locked func(table string, queries []string) func(ctx context.Context, conn *sql.Conn, progress func(int64)) (int64, error)
	// typed writes a default so that it is of a printed type; nil is as it is.
	typed func(literal, printed string) string
}

// syncing is what the triggers of a twin are to do.
type syncing struct {
	name, table string
	from, to    string // columns
	fromNotNull bool
	// both says that either column may be written; else source is the one that is.
	both   bool
	source string
	// fallback is what the added column has in a row that does not name it.
	fallback string
	twin     *Twin
	x        *twinSyntax
}

// toNew and toOld convert; an expression that cannot be is NULL. newLoses tells that one cannot.
func (s *syncing) toNew(x string) string {
	return guarded(s.x.convert(x, s.twin.FromType, s.twin.ToType, s.twin.To))
}

func (s *syncing) toOld(x string) string {
	return guarded(s.x.convert(x, s.twin.ToType, s.twin.FromType, s.twin.From))
}

func (s *syncing) newLoses(x string) string {
	_, loses := s.x.convert(x, s.twin.FromType, s.twin.ToType, s.twin.To)
	return loses
}

func guarded(expr, loses string) string {
	if loses == "" {
		return expr
	}
	return "CASE WHEN " + loses + " THEN NULL ELSE " + expr + " END"
}

// apart tells that a row's columns are not those of one value, however it was written.
func (s *syncing) apart(from, to string) string {
	return "(" + s.x.differs(to, s.toNew(from)) + " AND " + s.x.differs(from, s.toOld(to)) + ")"
}

func (p *twinPlan) syncing(table string, t *Twin) *syncing {
	s := &syncing{table: table, fromNotNull: !*t.From.Nullable, both: t.renames(), twin: t, x: p.x, fallback: "NULL"}
	s.from, s.to = t.columns()
	if d := t.fallback(); d != nil && s.both {
		if s.fallback = p.d.literal(t.To, d); p.x.typed != nil {
			s.fallback = p.x.typed(s.fallback, t.ToType)
		}
	}
	if s.source = s.from; t.switched {
		s.source = s.to
	}
	s.name = syncPrefix
	sum := sha256.Sum256([]byte(strings.Join(append(p.x.triggers(s), table), "\x00")))
	s.name = syncPrefix + hex.EncodeToString(sum[:6])
	return s
}

// seen is live as the other steps are to see it.
func (p *twinPlan) seen() *Database {
	return p.live.withoutSync(func(table string) bool {
		tt := p.tables[fold(table)]
		return tt == nil || tt.stage == stageContract
	})
}

// copied tells whether the column is the one of a twin that goes, so that the other has its values.
func (p *twinPlan) copied(table, column string) bool {
	tt := p.tables[fold(table)]
	if tt == nil {
		return false
	}
	return slices.ContainsFunc(tt.twins, func(t *Twin) bool {
		from, to := t.columns()
		gone := map[side]string{wantsNew: from, wantsOld: to}[tt.wants]
		return strings.EqualFold(gone, column)
	})
}

// weave puts the steps for twins between those of the plan.
func (p *twinPlan) weave(ctx context.Context, q querier, plan *Plan) error {
	steps := plan.Steps
	var last []*Step
	for _, name := range slices.Sorted(maps.Keys(p.tables)) {
		tt := p.tables[name]
		var err error
		switch tt.stage {
		case stageExpand:
			steps, err = p.expand(ctx, q, tt, steps)
		case stageSwitch, stageBack, stageHold:
			last = append(last, p.drift(tt, plan)...)
			if tt.stage != stageHold {
				last = append(last, p.swap(tt)...)
			}
		case stageContract:
			p.drift(tt, plan)
			steps, err = p.contract(ctx, q, tt, steps)
		}
		if err != nil {
			return err
		}
		if tt.wants == wantsNew && tt.stage != stageContract {
			last = append(last, p.announce(tt)...)
		}
	}
	for _, s := range steps { // what a table without its twins would look like is planned again
		if tt := p.tables[fold(s.Table)]; tt != nil && tt.stage != stageContract && s.Phase == Contract {
			s.later, s.SQL, s.run = true, nil, nil
		}
	}
	plan.Steps = append(steps, last...)
	return nil
}

func (p *twinPlan) add(steps []*Step, s *Step) []*Step {
	s.Lock = or(s.Lock, "readers and writers wait for a moment")
	s.Phase = Phase(or(string(s.Phase), string(Expand)))
	s.outside = s.outside || p.x.alone
	return append(steps, s)
}

// remember writes the record of a table with its twins, before what it tells of is made.
func (p *twinPlan) remember(tt *twinTable, filled, ending bool) *Step {
	def := *p.live.Applied[fold(tt.want.Name)].Table
	def.Twins = nil
	for _, t := range tt.twins {
		copied := *t
		copied.Filled, copied.Ending = filled, ending
		def.Twins = append(def.Twins, &copied)
	}
	b, _ := json.Marshal(&def) // plain data: cannot fail
	x := p.d.syntax()
	return &Step{
		Kind: RecordTwin, Table: tt.want.Name, Summary: "of " + tt.want.Name + " in " + stateTable, Phase: Expand,
		SQL:  []string{fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s = %s", x.name(stateTable), x.name("definition"), x.text(string(b)), x.name("table_name"), x.text(tt.want.Name))},
		Lock: "other migrations wait", Post: "a plan after a kill goes on from here", NoInverse: "the plan's last step writes it again",
	}
}

// expand puts the triggers and the copying of rows behind the new columns and before their indexes and keys.
func (p *twinPlan) expand(ctx context.Context, q querier, tt *twinTable, steps []*Step) ([]*Step, error) {
	var own []*Step
	var gone []string
	keep := map[string]bool{}
	for _, t := range tt.twins {
		s := p.syncing(tt.want.Name, t)
		keep[s.name] = true
	}
	for _, o := range p.live.triggersOf(tt.want.Name) {
		if !keep[syncBase(o.Name)] {
			gone = append(gone, p.x.drop(o)...)
		}
	}
	if len(gone) > 0 {
		own = p.add(own, &Step{Kind: SyncTriggers, Table: tt.want.Name, Summary: "outdated ones of " + tt.want.Name, SQL: gone, Post: "they are gone", NoInverse: "the next step makes others"})
	}
	rows, err := countRows(ctx, q, p.d, tt.want.Name)
	if err != nil {
		return nil, err
	}
	for _, t := range tt.twins {
		s := p.syncing(tt.want.Name, t)
		if !p.synced(s) {
			own = p.add(own, p.start(s))
		}
		h, err := p.misfits(ctx, q, s, tt.live)
		if err != nil {
			return nil, err
		}
		own = p.add(own, p.backfill(s, tt.live, rows, h))
	}
	at := p.behind(tt, steps)
	if err := p.unique(ctx, q, tt, steps); err != nil {
		return nil, err
	}
	return slices.Concat(p.add(nil, p.remember(tt, false, false)), steps[:at], own, steps[at:]), nil
}

// unique looks for duplicates under the unique indexes of new columns as the rows will be, in place of what was said about a column
// that is new and has one value in all rows.
// behind is the place after the table's new columns and before what is made over them.
func (p *twinPlan) behind(tt *twinTable, steps []*Step) int {
	first, last := len(steps), -1
	for i, s := range steps {
		switch {
		case !strings.EqualFold(s.Table, tt.want.Name):
		case s.Kind == AddColumn || s.Kind == AlterTable || s.Kind == RebuildTable:
			last = i
		case s.Kind == CreateIndex || s.Kind == AddKey || s.Kind == Validate || s.Kind == SeedRows || s.Phase == Contract:
			first = min(first, i)
		}
	}
	if last >= 0 {
		return last + 1
	}
	return first
}

// syncBase is the name that the triggers of one twin share.
func syncBase(name string) string { return name[:min(len(name), len(syncPrefix)+12)] }

// synced tells whether the triggers are all there.
func (p *twinPlan) synced(s *syncing) bool {
	n := 0
	for _, o := range p.live.triggersOf(s.table) {
		if syncBase(o.Name) == s.name {
			n++
		}
	}
	made := 0
	for _, q := range p.x.triggers(s) {
		if strings.HasPrefix(q, "CREATE TRIGGER ") {
			made++
		}
	}
	return n == made
}

// drift looks for triggers that somebody took away. They can be made again; rows that differ since then are for their owner to mend.
func (p *twinPlan) drift(tt *twinTable, plan *Plan) []*Step {
	var out []*Step
	if tt.stage == stageContract && (tt.wants != wantsNew || tt.ending) {
		return nil // they go anyway
	}
	for _, t := range tt.twins {
		s := p.syncing(tt.want.Name, t)
		if p.synced(s) {
			continue
		}
		plan.Drift = append(plan.Drift, Drift{Table: s.table, Object: s.to, Applied: "triggers " + s.name, Desired: "triggers " + s.name})
		if plan.options.Drift == DriftRevert && tt.stage != stageContract {
			out = p.add(out, p.start(s))
		}
	}
	return out
}

// start makes the triggers.
func (p *twinPlan) start(s *syncing) *Step {
	var queries []string
	for _, o := range p.live.triggersOf(s.table) {
		if syncBase(o.Name) == s.name { // some of them
			queries = append(queries, p.x.drop(o)...)
		}
	}
	return &Step{
		Kind: SyncTriggers, Table: s.table, Summary: fmt.Sprintf("%s.%s and %s", s.table, s.from, s.to), SQL: append(queries, p.x.triggers(s)...),
		Post: "whichever column is written, both have the value", NoInverse: "they go with the old column",
	}
}

// misfits looks for rows that the new column cannot hold.
// look refuses if rows meet a condition.
// queryTexts reads rows of n texts.
// swap exchanges the names of the two columns of a change of type and turns the triggers round.
func (p *twinPlan) swap(tt *twinTable) []*Step {
	var out []*Step
	phase := Switch
	if tt.stage == stageBack {
		phase = Expand // the old revision waits for it
	}
	for _, t := range tt.twins {
		if t.renames() || t.switched != (tt.stage == stageBack) {
			continue
		}
		from, to := t.columns()
		var queries []string
		for _, o := range p.live.triggersOf(tt.want.Name) {
			if syncBase(o.Name) == p.syncing(tt.want.Name, t).name {
				queries = append(queries, p.x.drop(o)...)
			}
		}
		turned := *t
		turned.switched = !t.switched
		queries = append(queries, p.x.swap(p.live, tt.want.Name, from, to)...)
		queries = append(queries, p.x.triggers(p.syncing(tt.want.Name, &turned))...)
		if p.x.alone && len(out) == 0 { // a kill between the statements leaves rows that are not copied
			out = p.add(out, p.remember(tt, false, false))
			out[0].Phase = phase
		}
		step := &Step{
			Kind: SwitchColumn, Table: tt.want.Name, Summary: fmt.Sprintf("%s.%s", tt.want.Name, t), Phase: phase, SQL: queries,
			Post: "the column of the other type has the name", NoInverse: "plan the schema of the other revision",
		}
		if p.x.locked != nil {
			step.run = p.x.locked(tt.want.Name, queries)
		}
		out = p.add(out, step)
	}
	return out
}

// announce says what is left for later. It has no SQL: that is planned when it is its turn.
func (p *twinPlan) announce(tt *twinTable) []*Step {
	var out []*Step
	for _, t := range tt.twins {
		if tt.stage == stageExpand && !t.renames() && !t.switched {
			out = append(out, &Step{
				Kind: SwitchColumn, Table: tt.want.Name, Summary: fmt.Sprintf("%s.%s", tt.want.Name, t), Phase: Switch, later: true,
				Lock: "readers and writers wait for a moment", Post: "the column of the other type has the name",
			})
		}
		done := *t
		done.switched = true
		old, _ := done.columns()
		out = append(out, &Step{
			Kind: DropColumn, Table: tt.want.Name, Summary: tt.want.Name + "." + old, Phase: Contract, later: true, twin: true,
			Lock: "readers and writers wait for a moment", Post: "only the new column is left", NoInverse: "the new column has its values",
			Hazards: []Hazard{{Level: Approve, Table: tt.want.Name, Object: old, Message: fmt.Sprintf("drops column %s.%s, once no revision uses it", tt.want.Name, old)}},
		})
	}
	return out
}

// contract ends the keeping equal; the old column is dropped by the plan as any other.
func (p *twinPlan) contract(ctx context.Context, q querier, tt *twinTable, steps []*Step) ([]*Step, error) {
	end := &Step{Kind: SyncTriggers, Table: tt.want.Name, Summary: "of " + tt.want.Name + " go", Phase: Contract, Post: "the columns are kept equal no longer", NoInverse: "plan the schema of the other revision"}
	for _, t := range tt.twins { // nobody fills it any more
		from, to := t.columns()
		if gone := map[side]string{wantsNew: from, wantsOld: to}[tt.wants]; p.x.relax != nil && tt.live.Column(gone) != nil && tt.live.Column(gone).NotNull {
			end.SQL = append(end.SQL, p.x.relax(tt.live, gone)...)
		}
	}
	for _, o := range p.live.triggersOf(tt.want.Name) {
		end.SQL = append(end.SQL, p.x.drop(o)...)
	}
	for _, t := range tt.twins {
		s := p.syncing(tt.want.Name, t)
		if !s.both || tt.ending || tt.wants != wantsNew || tt.live.Column(s.from) == nil || tt.live.Column(s.to) == nil {
			continue
		}
		n := p.d.syntax().name
		h, err := p.look(ctx, q, tt.live, s.to, s.apart(n(s.from), n(s.to)), fmt.Sprintf("%s.%s: %%d rows have another value in %s", s.table, s.to, s.from))
		if err != nil {
			return nil, err
		}
		end.Hazards = append(end.Hazards, h...)
	}
	for _, s := range steps {
		if strings.EqualFold(s.Table, tt.want.Name) {
			s.Phase, s.twin = Contract, tt.wants == wantsNew
		}
	}
	var own []*Step
	if !tt.ending && (p.x.alone || slices.ContainsFunc(steps, func(s *Step) bool { return s.outside })) {
		own = p.add(own, p.remember(tt, true, true))
		own[0].Phase = Contract
	}
	if len(end.SQL) > 0 || len(end.Hazards) > 0 {
		own = p.add(own, end)
	}
	return append(own, steps...), nil
}
