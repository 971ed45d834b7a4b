package migrate

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// DriftPolicy says what to do where live was changed by hand.
type DriftPolicy string

// Drift policies.
const (
	DriftFail   DriftPolicy = "fail"   // default: Apply returns ErrDrift
	DriftRevert DriftPolicy = "revert" // take the change back, as a step with its hazards
	DriftAdopt  DriftPolicy = "adopt"  // leave it, and say so in the plan
)

// Options are those of a plan. The zero value is usable.
type Options struct {
	// Owner owns the tables of the schema: a plugin. "" is "app".
	Owner string
	// Drift is what to do with changes made by hand; "" is DriftFail.
	Drift DriftPolicy
	// Files are the owner's migration files: those that are pending run between the steps that add and those that take away. Nil
	// leaves files alone, and what was applied of them.
	Files *Files
	// AskFiles makes a file need approval, by the plan's hash: it is SQL, and can do what the connection can.
	AskFiles bool
	// Confine, where set, is called before each statement of a file and release after it, on the connection that runs it: where the
	// owner is a stranger, to hold its SQL to the tables given, which are the owner's.
	Confine func(conn *sql.Conn, tables []string) (release func() error, err error)
	// TrashTime is how long what the plan drops is kept, to be brought back by Restore. Zero is DefaultTrashTime, -1 keeps nothing.
	TrashTime time.Duration
	// FileTime bounds each statement of a file. Zero is no bound.
	FileTime time.Duration
	// Online plans for a hot swap: another revision writes the tables while the plan is applied and after. A rename or a change of type
	// of a column then becomes a Twin: both columns, kept equal, until the contract phase.
	Online bool
	// Abandon takes twins away whose old side the schema wants: after a rollback that is to stay.
	Abandon bool
}

// Errors that callers branch on.
var (
	// ErrOwner says that a table of the schema belongs to another owner.
	ErrOwner = errors.New("migrate: table belongs to another owner")
	// ErrDrift says that live was changed by hand and Options.Drift is DriftFail.
	ErrDrift = errors.New("migrate: the database was changed by hand")
	// ErrNotConverged says that the steps ran and the schema was still not reached. What was in a transaction was rolled back: on SQLite all,
	// on PostgreSQL what runs in none is left, on MySQL everything.
	ErrNotConverged = errors.New("migrate: the applied plan does not lead to the schema; what a transaction held was rolled back")
)

type planInput struct {
	schema  *Schema
	live    *Database // after the renames
	changes *Changes
	renames []Rename
	options Options
	// copied tells whether another column has the values of one that goes.
	copied func(table, column string) bool
}

type planOutput struct {
	steps      []*Step
	incomplete []Hazard
	skipped    []skippedKey
}

// skippedKey is a foreign key that had to wait.
type skippedKey struct {
	table string
	key   ForeignKey
}

// record is what _odac_schema will hold for a table after the plan, with and without its contract steps.
type record struct{ full, expand string }

// MakePlan compares schema with the database behind conn and returns the steps between, with what they would do to the rows
// that are there. It writes nothing. A plan with hazards is no error: Apply refuses it, unless approved where that is allowed.
func MakePlan(ctx context.Context, conn *sql.Conn, schema *Schema, options Options) (*Plan, error) {
	d, err := detect(ctx, conn)
	if err != nil {
		return nil, err
	}
	return makePlan(ctx, d, conn, schema, options)
}

// Status is MakePlan inside a read transaction that is rolled back, so that all its counts are of one moment. It writes nothing.
func Status(ctx context.Context, conn *sql.Conn, schema *Schema, options Options) (*Plan, error) {
	d, err := detect(ctx, conn)
	if err != nil {
		return nil, err
	}
	end, err := d.snapshot(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("migrate: begin reading: %w", err)
	}
	plan, err := makePlan(ctx, d, conn, schema, options)
	if end := end(); err == nil && end != nil {
		err = fmt.Errorf("migrate: end reading: %w", end)
	}
	return plan, err
}

func makePlan(ctx context.Context, d dialect, conn *sql.Conn, schema *Schema, options Options) (*Plan, error) {
	options.Owner = or(options.Owner, "app")
	options.Drift = DriftPolicy(or(string(options.Drift), string(DriftFail)))
	if options.TrashTime == 0 {
		options.TrashTime = DefaultTrashTime
	}
	if !slices.Contains([]DriftPolicy{DriftFail, DriftRevert, DriftAdopt}, options.Drift) {
		return nil, fmt.Errorf("migrate: drift policy %q: use fail, revert or adopt", options.Drift)
	}
	live, err := d.inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := checkAgainst(schema, live, options.Owner); err != nil {
		return nil, err
	}
	drift := options.Drift
	resumed := live.underway[options.Owner] != nil && drift == DriftFail
	if resumed {
		drift = DriftRevert
	}
	plan := &Plan{
		Owner: options.Owner, Dialect: live.Dialect, Fingerprint: live.Fingerprint(), schema: schema, before: live.Last(options.Owner), live: live, options: options,
	}
	options.Drift = drift
	twins, err := findTwins(ctx, d, conn, schema, live, options)
	if err != nil {
		return nil, err
	}
	live, schema = twins.seen(), twins.schema
	changes, err := threeWay(ctx, d, conn, schema, live.Last(options.Owner), live, drift)
	if err != nil {
		return nil, err
	}
	changes.unadopt(live.underway[options.Owner])
	in := planInput{schema: twins.record, live: live, changes: changes, options: options, copied: twins.copied}
	if in.renames = changes.renames(); len(in.renames) > 0 {
		if in.live, plan.Steps, err = d.rename(ctx, live, in.renames); err != nil {
			return nil, err
		}
		last := renameIn(live.Last(options.Owner), in.renames)
		if in.changes, err = threeWay(ctx, d, conn, schema, last, in.live, drift); err != nil {
			return nil, err
		}
		in.changes.unadopt(live.underway[options.Owner])
	}
	out, err := d.steps(ctx, conn, in)
	if err != nil {
		return nil, err
	}
	files, err := planFiles(ctx, d, conn, in, options)
	if err != nil {
		return nil, err
	}
	contract := slices.IndexFunc(out.steps, func(s *Step) bool { return s.Phase == Contract })
	if contract < 0 {
		contract = len(out.steps)
	}
	plan.Steps = slices.Concat(plan.Steps, out.steps[:contract], files, out.steps[contract:])
	plan.Incomplete, plan.Drift, plan.Notes = out.incomplete, in.changes.Drift, in.changes.Notes
	if err := twins.weave(ctx, conn, plan); err != nil {
		return nil, err
	}
	if resumed {
		plan.Drift = nil
		plan.Notes = append(plan.Notes, "the last plan of "+options.Owner+" was not finished: what it left is no drift")
	}
	plan.Blockers = append(ambiguities(in.changes.Ambiguous), strangers(in)...)
	if err := plan.record(live, in, out.skipped, twins.stay); err != nil {
		return nil, err
	}
	plan.setHash()
	return plan, nil
}

// unadopt marks tables as ours that an unfinished plan of the same owner made.
func (c *Changes) unadopt(under *journal) {
	for _, tc := range c.Tables {
		tc.Adopt = tc.Adopt && !under.made(tc.Name)
	}
}

// threeWay prints last and schema as the server would and compares.
func threeWay(ctx context.Context, d dialect, conn *sql.Conn, schema, last *Schema, live *Database, policy DriftPolicy) (*Changes, error) {
	want, err := d.shadow(ctx, conn, resolve(schema, live))
	if err != nil {
		return nil, err
	}
	// What is defined as it was prints as it was.
	var changed []*Table
	same := map[string]*TableInfo{}
	for _, t := range resolve(last, live) {
		if now := want.Tables[fold(t.Name)]; now != nil && sameDefinition(now.def, t) {
			same[fold(t.Name)] = now
		} else {
			changed = append(changed, t)
		}
	}
	was, err := d.shadow(ctx, conn, changed)
	if err != nil {
		return nil, err
	}
	maps.Copy(was.Tables, same)
	return diff(was, live, want, policy), nil
}

func sameDefinition(a, b *Table) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (c *Changes) renames() []Rename {
	var out []Rename
	for _, t := range c.Tables {
		out = append(out, t.Renames...)
	}
	return out
}

func (r Rename) step(d dialect, lock string) *Step {
	name := d.syntax().name
	rename := func(from, to string) string {
		return fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", name(r.Table), name(from), name(to))
	}
	return &Step{
		Kind: RenameColumn, Table: r.Table, Summary: fmt.Sprintf("%s.%s to %s", r.Table, r.From, r.To), Phase: Expand,
		SQL: []string{rename(r.From, r.To)}, Lock: lock, Post: "values, indexes and keys follow the new name", Inverse: rename(r.To, r.From),
	}
}

// renameIn returns the schema with its columns renamed wherever they are named.
func renameIn(s *Schema, renames []Rename) *Schema {
	out := &Schema{Tables: map[string]*Table{}}
	for name, t := range s.Tables {
		copied := *t
		rename := func(table string, names []string) []string {
			names = slices.Clone(names)
			for i := range names {
				names[i] = renamed(renames, table, names[i])
			}
			return names
		}
		copied.Columns = nil
		for _, c := range t.Columns {
			column := *c
			column.Name = renamed(renames, t.Name, c.Name)
			copied.Columns = append(copied.Columns, &column)
		}
		copied.PrimaryKey = rename(t.Name, t.PrimaryKey)
		copied.Indexes = slices.Clone(t.Indexes)
		for i, x := range copied.Indexes {
			copied.Indexes[i].Columns = rename(t.Name, x.Columns)
		}
		copied.ForeignKeys = slices.Clone(t.ForeignKeys)
		for i, fk := range copied.ForeignKeys {
			copied.ForeignKeys[i].Columns = rename(t.Name, fk.Columns)
			copied.ForeignKeys[i].RefColumns = rename(fk.RefTable, fk.RefColumns)
		}
		out.Tables[name] = &copied
	}
	return out
}

func renamed(renames []Rename, table, column string) string {
	for _, r := range renames {
		if strings.EqualFold(r.Table, table) && strings.EqualFold(r.From, column) {
			return r.To
		}
	}
	return column
}

func ambiguities(all []Ambiguity) []Hazard {
	var out []Hazard
	for _, a := range all {
		out = append(out, Hazard{
			Level: Refuse, Table: a.Table, Object: a.Added,
			Message: fmt.Sprintf("%s.%s goes and %s of the same type comes: is it renamed?", a.Table, a.Dropped, a.Added),
			Fix:     fmt.Sprintf("%s: write renamedFrom: %s, or renamedFrom: null if it is another column", a.Pos, a.Dropped),
		})
	}
	return out
}

// strangers asks for approval of new keys to a table that the schema does not have: its owner could no longer delete its rows.
func strangers(in planInput) []Hazard {
	var out []Hazard
	for _, tc := range in.changes.Tables {
		keys := tc.AddForeignKeys
		if tc.Create {
			keys = tc.want.ForeignKeys
		}
		for _, fk := range keys {
			if slices.ContainsFunc(in.schema.sorted(), func(t *Table) bool { return strings.EqualFold(t.Name, fk.RefTable) }) {
				continue
			}
			owner := "no owner"
			if a, ok := in.live.Applied[fold(fk.RefTable)]; ok {
				owner = a.Owner
			}
			out = append(out, Hazard{
				Level: Approve, Table: tc.Name, Object: strings.Join(fk.Columns, ", "),
				Message: fmt.Sprintf("%s references %s, which belongs to %s: rows of it can no longer be deleted freely", tc.Name, fk.RefTable, owner),
			})
		}
	}
	return out
}

// checkAgainst looks at what only the live database can tell: owners and referenced tables.
func checkAgainst(schema *Schema, live *Database, owner string) error {
	var errs []error
	names := map[string]string{}
	for _, t := range schema.sorted() {
		if a, ok := live.Applied[fold(t.Name)]; ok && a.Owner != owner {
			errs = append(errs, fmt.Errorf("%w: %s: %s belongs to %s, not to %s: choose another table name", ErrOwner, t.Pos, t.Name, a.Owner, owner))
		}
		if at := live.Tables[fold(t.Name)]; at != nil && at.Opaque != "" {
			errs = append(errs, fmt.Errorf("migrate: %s: table %s is there in a form that cannot be changed (%s): choose another name",
				t.Pos, t.Name, at.Opaque))
		}
		for _, fk := range t.ForeignKeys {
			if err := checkReference(schema, live, fk); err != nil {
				errs = append(errs, fmt.Errorf("migrate: %s: %w", fk.Pos, err))
			}
		}
		for _, x := range t.Indexes {
			if other := names[fold(x.Name)]; other != "" {
				errs = append(errs, fmt.Errorf("migrate: %s: index name %s is also used in table %s: give it another", x.Pos, x.Name, other))
			}
			names[fold(x.Name)] = t.Name
		}
	}
	return errors.Join(errs...)
}

// checkReference makes sure that a key points to columns that are there and unique together; SQLite would only say "mismatch",
// and only when a row is written.
func checkReference(schema *Schema, live *Database, fk ForeignKey) error {
	for _, t := range schema.Tables {
		if !strings.EqualFold(t.Name, fk.RefTable) {
			continue
		}
		for _, name := range fk.RefColumns {
			if t.Column(name) == nil {
				return fmt.Errorf("references %s.%s, and there is no such column%s", t.Name, name, suggest(name, columnNames(t)))
			}
		}
		unique := equalFold(sorted(t.PrimaryKey), sorted(fk.RefColumns)) || slices.ContainsFunc(t.Indexes, func(x Index) bool {
			return x.Unique && x.Where == "" && equalFold(sorted(x.Columns), sorted(fk.RefColumns))
		})
		if !unique {
			return fmt.Errorf("references %s (%s), which is not unique: make it the primary key or unique: true",
				t.Name, strings.Join(fk.RefColumns, ", "))
		}
		return nil
	}
	at := live.Tables[fold(fk.RefTable)]
	if at == nil {
		return fmt.Errorf("references table %s, and there is none: add %s.yaml or remove the reference", fk.RefTable, fk.RefTable)
	}
	for _, name := range fk.RefColumns {
		if at.Column(name) == nil && at.Opaque == "" {
			return fmt.Errorf("references %s.%s, and there is no such column", fk.RefTable, name)
		}
	}
	return nil
}

func sorted(names []string) []string { return slices.SortedFunc(slices.Values(names), cmpFold) }

func cmpFold(a, b string) int { return cmp.Compare(fold(a), fold(b)) }

// record works out what to remember, and adds a step if it is not remembered yet.
func (p *Plan) record(live *Database, in planInput, skipped []skippedKey, stay map[string]*Table) error {
	p.records = map[string]record{}
	last := renameIn(live.Last(p.Owner), in.renames)
	// Steps for a Twin write the record meanwhile: what was there before is written again.
	// So is a plan that was killed behind its last step: that it is done.
	changed := p.live.underway[p.Owner] != nil || slices.ContainsFunc(p.Steps, func(s *Step) bool { return s.Kind == RecordTwin })
	for _, t := range in.schema.sorted() {
		full := *t
		full.ForeignKeys = slices.DeleteFunc(slices.Clone(t.ForeignKeys), func(fk ForeignKey) bool {
			return slices.ContainsFunc(skipped, func(s skippedKey) bool { return strings.EqualFold(s.table, t.Name) && s.key.sameTarget(fk) })
		})
		full.Indexes = namedAsMade(t, last.Tables[t.Name], in.live.Tables[fold(t.Name)], in.changes)
		expand := full
		for _, tc := range in.changes.Tables {
			if strings.EqualFold(tc.Name, t.Name) {
				expand.Columns = slices.Concat(full.Columns, retained(last, tc))
			}
		}
		if t := stay[t.Name]; t != nil {
			expand = *t
		}
		r := record{}
		for into, table := range map[*string]*Table{&r.full: &full, &r.expand: &expand} {
			b, err := json.Marshal(table)
			if err != nil {
				return fmt.Errorf("migrate: record table %s: %w", t.Name, err)
			}
			*into = string(b)
		}
		p.records[t.Name] = r
		now, err := json.Marshal(live.Applied[fold(t.Name)].Table)
		if err != nil {
			return fmt.Errorf("migrate: record table %s: %w", t.Name, err)
		}
		if string(now) != r.full {
			changed = true
		}
	}
	for name, a := range live.Applied {
		if a.Owner == p.Owner && !slices.ContainsFunc(slices.Collect(maps.Values(in.schema.Tables)), func(t *Table) bool { return fold(t.Name) == name }) {
			changed = true // a table that is dropped, or was by hand
		}
	}
	if changed {
		p.Steps = append(p.Steps, &Step{
			Kind: Record, Summary: fmt.Sprintf("definitions of %s in %s", p.Owner, stateTable), Phase: Contract,
			Lock: "other migrations wait", Post: "the next plan knows what was applied",
		})
	}
	return nil
}

// namedAsMade are the indexes of a table under their real names, by which they are known to be ours: one that was made before a column of it
// was renamed has kept its name, and one that finds its name taken by such an index has another.
func namedAsMade(t, last *Table, live *TableInfo, changes *Changes) []Index {
	out := slices.Clone(t.Indexes)
	if last == nil || live == nil {
		return out
	}
	there := func(name string, of Index) bool {
		twins := strings.HasPrefix(name, "_odac_") // goes with the Twin
		return !twins && slices.ContainsFunc(live.Indexes, func(x IndexInfo) bool {
			return strings.EqualFold(x.Name, name) && x.Unique == of.Unique && equalFold(x.Columns, of.Columns)
		})
	}
	for i, x := range out {
		if x.Named || there(x.Name, x) {
			continue
		}
		for _, was := range last.Indexes {
			if was.Unique == x.Unique && was.Where == x.Where && equalFold(was.Columns, x.Columns) && there(was.Name, x) {
				out[i].Name = was.Name
			}
		}
		for _, tc := range changes.Tables {
			for _, add := range tc.AddIndexes {
				if add.wanted == x.Name && strings.EqualFold(tc.Name, t.Name) {
					out[i].Name = add.Name
				}
			}
		}
	}
	return out
}

// retained are the definitions of columns that only the contract phase drops.
func retained(last *Schema, tc *TableChange) []*Column {
	var out []*Column
	for _, t := range last.Tables {
		if !strings.EqualFold(t.Name, tc.Name) {
			continue
		}
		for _, dropped := range tc.DropColumns {
			if c := t.Column(dropped.Name); c != nil {
				out = append(out, c)
			}
		}
	}
	return out
}
