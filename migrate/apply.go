package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
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
	// NoContract is ExpandOnly with the switch phase: the new revision is about to serve.
	NoContract bool
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
	Incomplete []Hazard `json:"incomplete,omitempty"`
	// Purged is what was dropped longer ago than Options.TrashTime, and is gone for good now.
	Purged  []*Trashed    `json:"purged,omitempty"`
	Rows    int64         `json:"rows"`
	Elapsed time.Duration `json:"elapsed"`
}

// NulledRow is a row whose columns were set to NULL. Key and Old are SQL literals, by column.
type NulledRow struct {
	Table string            `json:"table"`
	Key   map[string]string `json:"key"`
	Old   map[string]string `json:"old"`
}

// ApprovalError says that the plan takes values away, or stops writers for long, and was not approved. Nothing was applied.
type ApprovalError struct {
	Hash    string // what to approve
	Hazards []Hazard
}

func (e *ApprovalError) Error() string {
	return fmt.Sprintf("migrate: the plan needs approval: %s; nothing was applied; approve it by its hash %s",
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

// Apply takes the migration lock, makes the plan again from what is there now, and runs it: in one transaction where the server
// allows that for all of its steps, else so that another Apply goes on where this one ended. It is safe to call from several processes and goroutines at once. db needs no pool of its own, but no connection of it may be inside a
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
	if options.LockTimeout == 0 {
		options.LockTimeout = time.Minute
	}
	a := &applier{d: d, conn: conn, options: options, start: start}
	a.progress(Event{Message: "waiting for the migration lock"})
	lockCtx, cancel := context.WithTimeout(ctx, options.LockTimeout)
	unlock, err := d.lock(lockCtx, conn)
	err = withCause(lockCtx, err)
	cancel()
	if err != nil {
		return nil, err
	}
	report, err := a.try(ctx, p)
	if err != nil && a.failed != nil {
		a.fileFailed(ctx, p.Owner, *a.failed, err)
	}
	if end := unlock(); err == nil && end != nil {
		err = end
	}
	if err != nil {
		return nil, withCause(ctx, err)
	}
	report.Elapsed = time.Since(start)
	return report, nil
}

// try runs the plan, and again from what is there by then, while locks of others are in the way, for as long as LockTimeout without
// one more step done.
func (a *applier) try(ctx context.Context, p *Plan) (*Report, error) {
	wait := busyWait
	for since := time.Now(); ; wait = min(2*wait, maxBusyWait) {
		committed := a.committed
		err := a.run(ctx, p)
		if err == nil || !a.d.busy(err) {
			return a.report, err
		}
		if a.committed > committed {
			since, wait = time.Now(), busyWait
		}
		if time.Since(since) > a.options.LockTimeout {
			return nil, fmt.Errorf("%w: other connections held a lock for longer than %s; the plan stays valid: apply it again", err, a.options.LockTimeout)
		}
		a.progress(Event{Message: "waiting for other connections to end their transactions"})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

const (
	busyWait    = 50 * time.Millisecond
	maxBusyWait = 2 * time.Second
)

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
	inside  bool         // a transaction is open
	failed  *AppliedFile // the file whose transaction failed
	partial bool         // the plan has steps for a later run

	kept      Report // Nulled and Rows of what is committed
	committed int    // steps that no transaction holds any more
}

func (a *applier) progress(e Event) {
	if a.options.Progress != nil {
		e.Elapsed = time.Since(a.start)
		a.options.Progress(e)
	}
}

// run plans and applies. Steps that may share a transaction do, the plan being made in the first one.
func (a *applier) run(ctx context.Context, p *Plan) (err error) {
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer func() {
		if end := a.end(ctx, err == nil && a.report.Applied); err == nil {
			err = end
		}
	}()
	plan, err := makePlan(ctx, a.d, a.conn, p.schema, p.options)
	if err != nil {
		return err
	}
	a.report = &Report{Plan: plan, Incomplete: plan.Incomplete, Nulled: a.kept.Nulled, Rows: a.kept.Rows}
	steps := a.due(plan)
	if len(steps) > 0 {
		if err := a.makeState(ctx); err != nil {
			return err
		}
	}
	under, err := a.gate(ctx, plan, steps)
	if err != nil || len(steps) == 0 {
		return err
	}
	before, err := a.health(ctx)
	if err != nil {
		return err
	}
	if err := a.writeJournal(ctx, plan, under); err != nil {
		return err
	}
	for i, s := range steps {
		if err := a.step(ctx, plan, i, len(steps), s); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(steps, func(s *Step) bool { return s.Kind == Record }) {
		if err := errors.Join(a.begin(ctx), a.forgetJournal(ctx, plan)); err != nil {
			return err
		}
	}
	if err := a.verify(ctx, plan, before); err != nil {
		return err
	}
	if plan.options.TrashTime > 0 {
		if a.report.Purged, err = a.purge(ctx, plan.live, plan.Owner, time.Now().Add(-plan.options.TrashTime)); err != nil {
			return err
		}
	}
	a.report.Applied = true
	return nil
}

func (a *applier) begin(ctx context.Context) error {
	if a.inside {
		return nil
	}
	lockCtx, cancel := context.WithTimeout(ctx, a.options.LockTimeout)
	defer cancel()
	err := a.d.begin(lockCtx, a.conn)
	a.inside = err == nil
	return withCause(lockCtx, err)
}

func (a *applier) end(ctx context.Context, commit bool) error {
	if !a.inside {
		return nil
	}
	a.inside = false
	err := a.d.end(context.WithoutCancel(ctx), a.conn, commit)
	if commit && err == nil {
		a.keep()
	}
	return err
}

// keep remembers what a later failure does not take back.
func (a *applier) keep() {
	if a.report != nil {
		a.kept = Report{Nulled: a.report.Nulled, Rows: a.report.Rows}
	}
}

// gate refuses what may not run. It returns the owner's plan that was not finished, if there are steps.
func (a *applier) gate(ctx context.Context, plan *Plan, steps []*Step) (under *journal, err error) {
	if err := plan.checkDrift(); err != nil {
		return nil, err
	}
	gated := &Plan{Steps: steps, Blockers: plan.Blockers}
	if refused := gated.Hazards(Refuse); len(refused) > 0 {
		return nil, &RefusedError{Hazards: refused}
	}
	if len(steps) == 0 {
		return nil, nil //nolint:nilnil // nothing is under way
	}
	if under, err = a.readJournal(ctx, plan.Owner); err != nil {
		return nil, fmt.Errorf("migrate: read what was approved: %w", err)
	}
	if a.options.Approve == plan.Hash {
		return under, nil
	}
	var approve []Hazard
	gated.each(Approve, func(kind StepKind, h Hazard) {
		if !under.covers(a.options.Approve, h.approval(kind)) {
			approve = append(approve, h)
		}
	})
	if approve, err = a.unpromised(ctx, plan.Owner, approve); err != nil {
		return nil, err
	}
	if len(approve) > 0 {
		return nil, &ApprovalError{Hash: plan.Hash, Hazards: approve}
	}
	return under, nil
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
	var err error
	if s.outside {
		err = a.end(ctx, true)
	} else {
		err = a.begin(ctx)
	}
	if err != nil {
		return err
	}
	e := Event{Step: i + 1, Steps: of, Kind: s.Kind, Table: s.Table, Message: s.Summary}
	a.progress(e)
	if err := a.discard(ctx, plan, s); err != nil { // before it goes: after a kill in between there is nothing to bring back yet
		return err
	}
	rows, err := a.execute(ctx, plan, s, func(rows int64) {
		e.Rows = rows
		a.progress(e)
	})
	if err != nil {
		if s.file != nil && !s.outside {
			a.failed = s.file
		}
		return fmt.Errorf("migrate: step %d of %d, %s %s: %w", i+1, of, s.Kind, s.Summary, err)
	}
	a.report.Rows += rows
	if s.outside {
		a.committed++
		a.keep()
	}
	e.Done, e.Rows = true, rows
	a.progress(e)
	if a.options.afterStep != nil {
		a.options.afterStep(i + 1)
	}
	return nil
}

func (a *applier) execute(ctx context.Context, plan *Plan, s *Step, progress func(rows int64)) (int64, error) {
	switch s.Kind {
	case SeedRows:
		return s.seed.apply(ctx, a.d, a.conn)
	case Record:
		return 0, a.record(ctx, plan)
	case NullOrphans:
		nulled, err := s.nulls.read(ctx, a.d.syntax(), a.conn)
		if err != nil {
			return 0, err
		}
		a.report.Nulled = append(a.report.Nulled, nulled...)
	}
	if s.run != nil {
		return s.run(ctx, a.conn, progress)
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
func (o *orphanRows) read(ctx context.Context, x *syntax, q querier) ([]NulledRow, error) {
	columns := slices.Concat(o.key, o.columns)
	exprs := make([]string, len(columns))
	for i, name := range columns {
		exprs[i] = x.show(x.name(name))
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(exprs, ", "), x.name(o.table), o.where))
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
		if !(a.partial && s.Phase != Expand) && !(len(plan.Incomplete) > 0 && (s.Kind == Record || waits(s.Table))) {
			return fmt.Errorf("%w: still to do: %s", ErrNotConverged, rest)
		}
	}
	after, err := a.health(ctx)
	if err != nil {
		return err
	}
	return worse(before, after)
}

// worse says what is wrong after and was not before.
func worse(before, after map[string]int) error {
	for _, problem := range slices.Sorted(maps.Keys(after)) {
		if n := after[problem]; n > before[problem] {
			return fmt.Errorf("migrate: after it there would be: %s (%d); it was rolled back", problem, n)
		}
	}
	return nil
}
