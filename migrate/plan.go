package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// StepKind says what a step does.
type StepKind string

// The kinds of steps.
const (
	CreateTable  StepKind = "create table"
	RenameColumn StepKind = "rename column"
	AddColumn    StepKind = "add column"
	AlterTable   StepKind = "alter table"
	RebuildTable StepKind = "rebuild table"
	Backfill     StepKind = "backfill"
	NullOrphans  StepKind = "null orphans"
	CreateIndex  StepKind = "create index"
	DropIndex    StepKind = "drop index"
	AddKey       StepKind = "add foreign key"
	DropKey      StepKind = "drop foreign key"
	Validate     StepKind = "validate"
	CleanUp      StepKind = "clean up" // what a run that was killed left
	SeedRows     StepKind = "seed"
	RunFile      StepKind = "run file"
	DropColumn   StepKind = "drop column"
	DropTable    StepKind = "drop table"
	Record       StepKind = "record"
	RecordTwin   StepKind = "record twin"
	SyncTriggers StepKind = "sync triggers" // of the two columns of a Twin
	SwitchColumn StepKind = "switch column"
)

// Phase is when a step may run in a hot swap: expand before the new revision serves, switch at the moment it begins to, contract once
// the old one is gone.
type Phase string

// The phases, in this order.
const (
	Expand   Phase = "expand"
	Switch   Phase = "switch"
	Contract Phase = "contract"
)

// Level says what a hazard asks for.
type Level string

// The levels. Note informs; Approve needs the plan's hash; Refuse cannot be approved: the data or the schema has to change.
const (
	Note    Level = "note"
	Approve Level = "approve"
	Refuse  Level = "refuse"
)

// Hazard is what a step may do to data, measured on the live rows.
type Hazard struct {
	Level   Level  `json:"level"`
	Table   string `json:"table"`
	Object  string `json:"object,omitempty"` // column, index or key
	Message string `json:"message"`
	Count   int64  `json:"count,omitempty"` // rows concerned
	// Samples are up to five keys of such rows, with the value in question.
	Samples []string `json:"samples,omitempty"`
	// Fix is SQL that finds or repairs the rows, or what to write in the schema.
	Fix string `json:"fix,omitempty"`
}

func (h Hazard) String() string {
	s := fmt.Sprintf("%s: %s", h.Level, h.Message)
	if len(h.Samples) > 0 {
		s += "; for example " + strings.Join(h.Samples, ", ")
	}
	if h.Fix != "" {
		s += "; " + h.Fix
	}
	return s
}

// Step is one action of a plan.
type Step struct {
	Kind    StepKind `json:"kind"`
	Table   string   `json:"table"`
	Summary string   `json:"summary"`
	Phase   Phase    `json:"phase"`
	SQL     []string `json:"sql,omitempty"`
	// Lock is what other connections cannot do meanwhile.
	Lock string `json:"lock"`
	// Rewrite says that every row of the table is written anew.
	Rewrite bool     `json:"rewrite,omitempty"`
	Rows    int64    `json:"rows,omitempty"` // rows touched, at the time of planning
	Hazards []Hazard `json:"hazards,omitempty"`
	Check   string   `json:"check,omitempty"` // what was looked at before
	Post    string   `json:"post"`            // what holds after
	// Inverse is the SQL that takes the step back; NoInverse says why there is none.
	Inverse   string `json:"inverse,omitempty"`
	NoInverse string `json:"noInverse,omitempty"`

	seed  *seedTable
	nulls *orphanRows
	file  *AppliedFile // of a RunFile, as it is before
	trash []*Trashed   // what it takes away and keeps
	// outside says that the step runs in no transaction: the server does not allow one, or ends it by itself.
	outside bool
	// later says that the step belongs to a state that the steps before it lead to: it is planned again then, and only announced now.
	later bool
	twin  bool // what it takes away is in the other column of a Twin
	// run, where set, executes the step instead of SQL: a backfill in batches. It is given to progress as it goes on.
	run func(ctx context.Context, conn *sql.Conn, progress func(rows int64)) (rows int64, err error)
}

// Plan is the ordered steps from the live database to the schema. Its exported fields are for reading.
type Plan struct {
	Owner   string `json:"owner"`
	Dialect string `json:"dialect"`
	// Hash names the plan: its steps, their SQL and the kinds of their hazards, not the counts, which move with live traffic.
	Hash  string  `json:"hash"`
	Steps []*Step `json:"steps"`
	// Blockers belong to no step: ambiguous renames, keys to tables of others.
	Blockers []Hazard `json:"blockers,omitempty"`
	// Incomplete are foreign keys that wait for clean rows. They are no steps; the plan that follows the cleaning has them.
	Incomplete []Hazard `json:"incomplete,omitempty"`
	Drift      []Drift  `json:"drift,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	// Fingerprint is that of the live definitions the plan was made from.
	Fingerprint string `json:"fingerprint"`

	schema  *Schema
	before  *Schema // what was applied last
	live    *Database
	options Options
	records map[string]record
}

// Schemas are what was applied the last time for the owner, and what the plan leads to.
func (p *Plan) Schemas() (before, after *Schema) { return p.before, p.schema }

// Empty tells whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// Hazards returns the hazards of the given level, of all steps.
func (p *Plan) Hazards(level Level) []Hazard {
	var out []Hazard
	p.each(level, func(_ StepKind, h Hazard) { out = append(out, h) })
	return out
}

// each calls f for the hazards of a level, with the kind of their step.
func (p *Plan) each(level Level, f func(kind StepKind, h Hazard)) {
	walk := func(kind StepKind, hazards []Hazard) {
		for _, h := range hazards {
			if h.Level == level {
				f(kind, h)
			}
		}
	}
	walk("", p.Blockers)
	for _, s := range p.Steps {
		walk(s.Kind, s.Hazards)
	}
}

// JSON prints the plan for programs.
func (p *Plan) JSON() ([]byte, error) { return json.MarshalIndent(p, "", "  ") }

// setHash hashes what the plan does.
func (p *Plan) setHash() {
	h := sha256.New()
	write := func(parts ...string) {
		for _, s := range parts {
			fmt.Fprintf(h, "%d:%s", len(s), s)
		}
	}
	write(p.Owner, p.Dialect)
	for _, z := range p.Blockers {
		write(string(z.Level), z.Table, z.Object)
	}
	for _, s := range p.Steps {
		write(string(s.Kind), s.Table, s.Summary, string(s.Phase))
		write(s.SQL...)
		for _, z := range s.Hazards {
			write(string(z.Level), z.Table, z.Object)
		}
		if s.seed != nil {
			b, _ := json.Marshal(s.seed.seed) // plain data: cannot fail
			write(string(b))
		}
	}
	p.Hash = hex.EncodeToString(h.Sum(nil)[:8])
}

// String prints the plan for people: one line a step, its SQL indented, hazards marked.
func (p *Plan) String() string {
	var b strings.Builder
	if p.Empty() {
		b.WriteString("nothing to do\n")
	} else {
		fmt.Fprintf(&b, "plan %s for %s on %s: %d steps\n", p.Hash, p.Owner, p.Dialect, len(p.Steps))
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%3d. %s: %s", i+1, s.Kind, s.Summary)
		if s.Phase == Contract && s.Kind != Record {
			b.WriteString(" [contract]")
		}
		if s.Phase == Switch {
			b.WriteString(" [switch]")
		}
		if s.Rewrite {
			fmt.Fprintf(&b, " [rewrites %d rows]", s.Rows)
		}
		b.WriteByte('\n')
		for _, q := range s.SQL {
			b.WriteString("       " + strings.ReplaceAll(q, "\n", "\n       ") + ";\n")
		}
		for _, h := range s.Hazards {
			b.WriteString("     ! " + h.String() + "\n")
		}
	}
	for _, h := range p.Blockers {
		b.WriteString("! " + h.String() + "\n")
	}
	for _, h := range p.Incomplete {
		b.WriteString("incomplete: " + h.Message)
		if len(h.Samples) > 0 {
			b.WriteString("; for example " + strings.Join(h.Samples, ", "))
		}
		b.WriteString("\n")
	}
	for _, d := range p.Drift {
		b.WriteString("drift: " + d.String() + "\n")
	}
	for _, n := range p.Notes {
		b.WriteString("note: " + n + "\n")
	}
	return b.String()
}
