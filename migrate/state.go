package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The tables in which the package remembers. syntax.state creates them, at the first Apply.
const (
	stateTable   = "_odac_schema" // table_name (key), owner, definition: what was applied
	journalTable = "_odac_plan"   // owner (key), hash, steps: the plan that is being applied in more than one transaction
	filesTable   = "_odac_migration"
	// and trashTable, what can be brought back
)

// sharedState are the tables that every dialect makes alike, beside those of syntax.state.
var sharedState = map[string]string{filesTable: filesTableSQL, trashTable: trashTableSQL}

// readState reads the records of applied tables.
func (db *Database) readState(ctx context.Context, q querier, x *syntax) error {
	if db.ours == nil { // they are all made at once
		db.ours = map[string]bool{stateTable: true, journalTable: true, filesTable: true, trashTable: true}
	}
	if err := db.readTrash(ctx, q, x); err != nil {
		return err
	}
	for _, t := range db.Tables { // a column that is kept under another name
		t.Columns = slices.DeleteFunc(t.Columns, func(c *ColumnInfo) bool {
			aside := strings.HasPrefix(c.Name, trashPrefix)
			if aside {
				db.keeps(c.Name, t.Name)
			}
			return aside
		})
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s", x.names([]string{"table_name", "owner", "definition"}), x.name(stateTable)))
	if err != nil {
		return fmt.Errorf("migrate: read %s: %w", stateTable, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	for rows.Next() {
		var name, owner, definition string
		if err := rows.Scan(&name, &owner, &definition); err != nil {
			return fmt.Errorf("migrate: read %s: %w", stateTable, err)
		}
		t := &Table{}
		dec := json.NewDecoder(strings.NewReader(definition))
		dec.DisallowUnknownFields()
		if err := dec.Decode(t); err != nil || t.Name == "" {
			return fmt.Errorf("migrate: %s holds a definition of table %q that this version cannot read: a newer version wrote it "+
				"(upgrade), or it is damaged (restore it from a backup)", stateTable, name)
		}
		t.Pos = stateTable
		db.Applied[fold(name)] = Applied{Owner: owner, Table: t}
	}
	return rows.Err()
}

// record remembers what is applied now, and that no plan is under way.
func (a *applier) record(ctx context.Context, plan *Plan) error {
	x := a.d.syntax()
	kept := []string{x.text("")} // so that the list is never empty
	for _, name := range slices.Sorted(maps.Keys(plan.records)) {
		definition := plan.records[name].full
		if a.partial {
			definition = plan.records[name].expand
		}
		kept = append(kept, x.text(name))
		if err := a.replace(ctx, stateTable, []string{"table_name", "owner", "definition"}, name, plan.Owner, definition); err != nil {
			return err
		}
	}
	if err := a.forgetJournal(ctx, plan); err != nil {
		return err
	}
	if a.partial {
		return a.promise(ctx, plan)
	}
	if err := a.redeem(ctx, plan.Owner); err != nil {
		return err
	}
	return execOne(ctx, a.conn, fmt.Sprintf("DELETE FROM %s WHERE %s = %s AND %s NOT IN (%s)", x.name(stateTable), x.name("owner"),
		x.text(plan.Owner), x.name("table_name"), strings.Join(kept, ", ")))
}

// forgetJournal remembers that no plan of the owner is under way. A plan that leads to what was applied already has no Record step, and would
// leave its journal, under which drift is taken for what a kill left.
func (a *applier) forgetJournal(ctx context.Context, plan *Plan) error {
	x := a.d.syntax()
	return execOne(ctx, a.conn, "DELETE FROM "+x.name(journalTable)+" WHERE "+x.name("owner")+" = "+x.text(plan.Owner))
}

// replace writes one row of a table of ours, known by its first column.
func (a *applier) replace(ctx context.Context, table string, columns []string, values ...string) error {
	x := a.d.syntax()
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = x.text(v)
	}
	if err := execOne(ctx, a.conn, fmt.Sprintf("DELETE FROM %s WHERE %s = %s", x.name(table), x.name(columns[0]), quoted[0])); err != nil {
		return err
	}
	return execOne(ctx, a.conn, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", x.name(table), x.names(columns), strings.Join(quoted, ", ")))
}

// makeState creates the tables that are missing.
func (a *applier) makeState(ctx context.Context) error {
	if a.d.syntax().commits { // so far it has only read
		if err := a.end(ctx, true); err != nil {
			return err
		}
	}
	x := a.d.syntax()
	queries := slices.Clone(x.state)
	for _, table := range slices.Sorted(maps.Keys(sharedState)) {
		queries = append(queries, x.stateTable(table))
	}
	for _, query := range queries {
		if err := execOne(ctx, a.conn, query); err != nil {
			return fmt.Errorf("migrate: make the tables that remember what was applied: %w", err)
		}
	}
	return a.begin(ctx)
}

var stateName = regexp.MustCompile(`<(\w+)>`)

// stateTable writes a table of sharedState: a name in angle brackets is quoted.
func (s *syntax) stateTable(table string) string {
	return "CREATE TABLE IF NOT EXISTS " + s.name(table) + " (" + stateName.ReplaceAllStringFunc(sharedState[table], func(name string) string {
		return s.name(strings.Trim(name, "<>"))
	}) + ")"
}

// readUnderway reads the plans that were not finished: what they left differs from what was applied, and yet nobody's hand did it.
func (db *Database) readUnderway(ctx context.Context, q querier, x *syntax) error {
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s", x.names([]string{"owner", "steps"}), x.name(journalTable)))
	if err != nil {
		return fmt.Errorf("migrate: read %s: %w", journalTable, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	db.underway = map[string]*journal{}
	for rows.Next() {
		var owner, steps string
		if err := rows.Scan(&owner, &steps); err != nil {
			return fmt.Errorf("migrate: read %s: %w", journalTable, err)
		}
		db.underway[owner] = &journal{steps: strings.Fields(steps)}
	}
	return rows.Err()
}

// A journal is a plan that takes more than one transaction, and its approval: after a kill in between, what is left of it has another
// hash, and is approved still.
type journal struct {
	hash  string   // "" if it needed no approval
	steps []string // the tables that it makes, and Hazard.approval of what was approved
}

// covers tells whether the hazard was approved by this hash. Its step may be another by now: what is left of it.
func (j *journal) covers(hash, approval string) bool {
	return j != nil && hash != "" && j.hash == hash && slices.Contains(j.steps, approval)
}

// made tells whether the plan makes the table.
func (j *journal) made(table string) bool {
	return j != nil && slices.Contains(j.steps, madeTable+fold(table))
}

const madeTable = "table:"

// approval names what is approved with a hazard of a step of that kind.
func (h Hazard) approval(kind StepKind) string {
	if kind != DropColumn && kind != DropTable {
		kind = ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q%q%q", kind, h.Table, h.Object))
	return hex.EncodeToString(sum[:12])
}

// writeJournal remembers a plan before its first step. What is left of an approved one stays approved.
func (a *applier) writeJournal(ctx context.Context, plan *Plan, under *journal) error {
	if !slices.ContainsFunc(plan.Steps, func(s *Step) bool { return s.outside }) || under != nil && under.hash != "" && under.hash == a.options.Approve {
		return nil
	}
	j := &journal{}
	if under != nil { // made by a run before the last
		j.steps = slices.DeleteFunc(slices.Clone(under.steps), func(s string) bool { return !strings.HasPrefix(s, madeTable) })
	}
	for _, s := range plan.Steps {
		if s.Kind == CreateTable {
			j.steps = append(j.steps, madeTable+fold(s.Table))
		}
	}
	if a.options.Approve == plan.Hash {
		j.hash = plan.Hash
		plan.each(Approve, func(kind StepKind, h Hazard) { j.steps = append(j.steps, h.approval(kind)) })
	}
	return a.replace(ctx, journalTable, []string{"owner", "hash", "steps"}, plan.Owner, j.hash, strings.Join(j.steps, " "))
}

// readJournal returns the owner's plan under way, or nil.
func (a *applier) readJournal(ctx context.Context, owner string) (*journal, error) {
	x := a.d.syntax()
	j := &journal{}
	var steps string
	err := a.conn.QueryRowContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s = %s", x.names([]string{"hash", "steps"}),
		x.name(journalTable), x.name("owner"), x.text(owner))).Scan(&j.hash, &steps)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // no journal is a journal that covers nothing
	}
	j.steps = strings.Fields(steps)
	return j, err
}
