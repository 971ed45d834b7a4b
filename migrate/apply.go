package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ApplyOptions are those of one Apply. The zero value applies what needs no approval.
type ApplyOptions struct {
	// Approve is the hash of the plan whose destructive steps may run.
	Approve string
	// ExpandOnly leaves the contract phase (drops) for a later Apply: the old revision still needs it.
	ExpandOnly bool
	// LockTimeout bounds the wait for another runner or writer. Zero is a minute.
	LockTimeout time.Duration
	// Progress is called before and after each step, in the goroutine of Apply and inside its transaction: it must not use the
	// database. Nil is silent.
	Progress func(Event)

	afterStep func(n int) // for tests that kill the process
}

// Event is the progress of an Apply.
type Event struct {
	Step, Steps int // Step from 1; 0 while waiting for the lock
	Kind        StepKind
	Table       string
	Message     string
	Done        bool
	Rows        int64 // written, once Done
	Elapsed     time.Duration
}

// Report is what an Apply did.
type Report struct {
	// Plan is the one that ran: made again under the lock.
	Plan *Plan `json:"plan"`
	// Applied is false if there was nothing to do, or another runner had done it.
	Applied bool `json:"applied"`
	// Nulled are the rows whose foreign key pointed nowhere, with the value they had.
	Nulled []NulledRow `json:"nulled,omitempty"`
	// Incomplete are foreign keys that wait for clean rows.
	Incomplete []Hazard      `json:"incomplete,omitempty"`
	Rows       int64         `json:"rows"`
	Elapsed    time.Duration `json:"elapsed"`
}

// NulledRow is a row whose columns were set to NULL. Key and Old are SQL literals, by column.
type NulledRow struct {
	Table string            `json:"table"`
	Key   map[string]string `json:"key"`
	Old   map[string]string `json:"old"`
}

// ApprovalError says that the plan destroys and was not approved. Nothing was applied.
type ApprovalError struct {
	Hash    string // what to approve
	Hazards []Hazard
}

func (e *ApprovalError) Error() string {
	return fmt.Sprintf("migrate: the plan destroys data and needs approval: %s; nothing was applied; approve it by its hash %s",
		messages(e.Hazards), e.Hash)
}

// RefusedError says that rows would lose values. Nothing was applied; the rows or the schema have to change.
type RefusedError struct{ Hazards []Hazard }

func (e *RefusedError) Error() string {
	return "migrate: refused, nothing was applied: " + messages(e.Hazards)
}

func messages(hazards []Hazard) string {
	var out []string
	for _, h := range hazards {
		out = append(out, strings.TrimPrefix(h.String(), string(h.Level)+": "))
	}
	return strings.Join(out, "; ")
}

// Apply takes the migration lock, makes the plan again from what is there now, and runs it in one transaction. It is safe to
// call from several processes and goroutines at once. db needs no pool of its own, but no connection of it may be inside a
// transaction that waits for Apply.
func (p *Plan) Apply(ctx context.Context, db *sql.DB, options ApplyOptions) (*Report, error) {
	start := time.Now()
	if p.Empty() {
		if err := p.checkDrift(); err != nil {
			return nil, err
		}
		return &Report{Plan: p, Incomplete: p.Incomplete}, nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate: open a connection: %w", err)
	}
	defer conn.Close() //nolint:errcheck // returns it to the pool
	d, err := detect(ctx, conn)
	if err != nil {
		return nil, err
	}
	a := &applier{d: d, conn: conn, options: options, start: start}
	a.progress(Event{Message: "waiting for the migration lock"})
	if options.LockTimeout == 0 {
		options.LockTimeout = time.Minute
	}
	lockCtx, cancel := context.WithTimeout(ctx, options.LockTimeout)
	unlock, err := d.lock(lockCtx, conn)
	err = withCause(lockCtx, err)
	cancel()
	if err != nil {
		return nil, err
	}
	report, err := a.run(ctx, p)
	if end := unlock(err == nil && report.Applied); err == nil && end != nil {
		err = end
	}
	if err != nil {
		return nil, withCause(ctx, err)
	}
	report.Elapsed = time.Since(start)
	return report, nil
}

// withCause adds that the context ended: drivers only say that they were interrupted.
func withCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w (%w)", err, ctx.Err())
}

// applier runs one plan on one connection inside the lock.
type applier struct {
	d       dialect
	conn    *sql.Conn
	options ApplyOptions
	start   time.Time
	report  *Report
}

func (a *applier) progress(e Event) {
	if a.options.Progress != nil {
		e.Elapsed = time.Since(a.start)
		a.options.Progress(e)
	}
}

func (a *applier) run(ctx context.Context, p *Plan) (*Report, error) {
	plan, err := makePlan(ctx, a.d, a.conn, p.schema, p.options)
	if err != nil {
		return nil, err
	}
	a.report = &Report{Plan: plan, Incomplete: plan.Incomplete}
	steps := plan.Steps
	if a.options.ExpandOnly {
		steps = slices.DeleteFunc(slices.Clone(steps), func(s *Step) bool { return s.Phase == Contract && s.Kind != Record })
	}
	if err := a.gate(plan, steps); err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return a.report, nil
	}
	before, err := a.health(ctx)
	if err != nil {
		return nil, err
	}
	for i, s := range steps {
		if err := a.step(ctx, plan, i, len(steps), s); err != nil {
			return nil, err
		}
	}
	if err := a.verify(ctx, plan, before); err != nil {
		return nil, err
	}
	a.report.Applied = true
	return a.report, nil
}

// gate refuses what may not run.
func (a *applier) gate(plan *Plan, steps []*Step) error {
	if err := plan.checkDrift(); err != nil {
		return err
	}
	gated := &Plan{Steps: steps, Blockers: plan.Blockers}
	if refused := gated.Hazards(Refuse); len(refused) > 0 {
		return &RefusedError{Hazards: refused}
	}
	if approve := gated.Hazards(Approve); len(approve) > 0 && a.options.Approve != plan.Hash {
		return &ApprovalError{Hash: plan.Hash, Hazards: approve}
	}
	return nil
}

func (p *Plan) checkDrift() error {
	if len(p.Drift) == 0 || p.options.Drift != DriftFail {
		return nil
	}
	var all []string
	for _, d := range p.Drift {
		all = append(all, d.String())
	}
	return fmt.Errorf("%w: %s: plan with drift revert or adopt", ErrDrift, strings.Join(all, "; "))
}

func (a *applier) health(ctx context.Context) (map[string]int, error) {
	db, err := a.d.inspect(ctx, a.conn)
	if err != nil {
		return nil, err
	}
	return a.d.health(ctx, a.conn, db)
}

func (a *applier) step(ctx context.Context, plan *Plan, i, of int, s *Step) error {
	e := Event{Step: i + 1, Steps: of, Kind: s.Kind, Table: s.Table, Message: s.Summary}
	a.progress(e)
	rows, err := a.execute(ctx, plan, s)
	if err != nil {
		return fmt.Errorf("migrate: step %d of %d, %s %s: %w", i+1, of, s.Kind, s.Summary, err)
	}
	a.report.Rows += rows
	e.Done, e.Rows = true, rows
	a.progress(e)
	if a.options.afterStep != nil {
		a.options.afterStep(i + 1)
	}
	return nil
}

func (a *applier) execute(ctx context.Context, plan *Plan, s *Step) (int64, error) {
	switch s.Kind {
	case SeedRows:
		return s.seed.apply(ctx, a.conn)
	case Record:
		return 0, a.record(ctx, plan)
	case NullOrphans:
		nulled, err := s.nulls.read(ctx, a.conn)
		if err != nil {
			return 0, err
		}
		a.report.Nulled = append(a.report.Nulled, nulled...)
	}
	var rows int64
	for _, query := range s.SQL {
		n, err := execCount(ctx, a.conn, query)
		if err != nil {
			return rows, err
		}
		if strings.HasPrefix(query, "INSERT INTO \"_odac_new_") || strings.HasPrefix(query, "UPDATE ") {
			rows += n
		}
	}
	return rows, nil
}

// read lists the rows before their values go.
func (o *orphanRows) read(ctx context.Context, q querier) ([]NulledRow, error) {
	columns := slices.Concat(o.key, o.columns)
	exprs := make([]string, len(columns))
	for i, name := range columns {
		exprs[i] = "quote(" + quoteName(name) + ")"
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(exprs, ", "), quoteName(o.table), o.where))
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	var out []NulledRow
	values := make([]string, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := NulledRow{Table: o.table, Key: map[string]string{}, Old: map[string]string{}}
		for i, name := range columns {
			if i < len(o.key) {
				row.Key[name] = values[i]
			} else {
				row.Old[name] = values[i]
			}
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// record remembers what is applied now.
func (a *applier) record(ctx context.Context, plan *Plan) error {
	if err := execOne(ctx, a.conn, stateTableSQL); err != nil {
		return err
	}
	kept := make([]any, 0, len(plan.records)+1)
	kept = append(kept, plan.Owner)
	for name, r := range plan.records {
		definition := r.full
		if a.options.ExpandOnly {
			definition = r.expand
		}
		kept = append(kept, name)
		err := execOne(ctx, a.conn, `INSERT INTO "_odac_schema" ("table_name", "owner", "definition") VALUES (?, ?, ?)
			ON CONFLICT ("table_name") DO UPDATE SET "owner" = excluded."owner", "definition" = excluded."definition"`,
			name, plan.Owner, definition)
		if err != nil {
			return err
		}
	}
	if a.options.ExpandOnly {
		return nil
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(kept)-1), ", ")
	return execOne(ctx, a.conn, `DELETE FROM "_odac_schema" WHERE "owner" = ? AND "table_name" NOT IN (`+marks+`)`, kept...)
}

// verify plans once more and looks for damage: what is not as promised is not committed.
func (a *applier) verify(ctx context.Context, plan *Plan, before map[string]int) error {
	rest, err := makePlan(ctx, a.d, a.conn, plan.schema, plan.options)
	if err != nil {
		return errors.Join(ErrNotConverged, err)
	}
	waits := func(table string) bool { // its rows may have become clean by this very plan; the next run adds the key
		return slices.ContainsFunc(plan.Incomplete, func(h Hazard) bool { return h.Table == table })
	}
	for _, s := range rest.Steps {
		contract := a.options.ExpandOnly && s.Phase == Contract
		if !contract && !(len(plan.Incomplete) > 0 && (s.Kind == Record || waits(s.Table))) {
			return fmt.Errorf("%w: still to do: %s", ErrNotConverged, rest)
		}
	}
	after, err := a.health(ctx)
	if err != nil {
		return err
	}
	for problem, n := range after {
		if n > before[problem] {
			return fmt.Errorf("migrate: after the plan there would be: %s (%d); it was rolled back", problem, n)
		}
	}
	return nil
}
