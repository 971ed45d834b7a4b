package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultTrashTime is how long what a plan took away can be brought back.
const DefaultTrashTime = 7 * 24 * time.Hour

const (
	trashTable  = "_odac_trash"
	trashPrefix = "_odac_trash_" // of what is kept, on which inspect turns its back as on all that begins with _odac_
)

const trashTableSQL = `
  <id> VARCHAR(40) NOT NULL PRIMARY KEY,
  <owner> VARCHAR(100) NOT NULL,
  <kind> VARCHAR(20) NOT NULL,
  <table_name> VARCHAR(63) NOT NULL,
  <column_name> VARCHAR(63) NOT NULL,
  <dropped> VARCHAR(30) NOT NULL,
  <plan> VARCHAR(16) NOT NULL,
  <definition> TEXT NOT NULL
`

// Trashed is a table or column that a plan took away and that is kept for a while.
type Trashed struct {
	ID    string   `json:"id"`
	Owner string   `json:"owner"`
	Kind  StepKind `json:"kind"` // DropTable or DropColumn
	Table string   `json:"table"`
	// Column is "" for a table.
	Column string `json:"column,omitempty"`
	// Dropped is when, in TimeLayout; Plan is the hash of the plan that did it.
	Dropped string `json:"dropped"`
	Plan    string `json:"plan"`

	kept keptThing
}

// keyless is for a dialect that brings a table back without its foreign keys: the next plan adds those that the schema has, once it has
// looked at the rows.
func (t *Trashed) keyless() {
	if t.kept.Def != nil {
		t.kept.Def.ForeignKeys = nil
	}
}

// keptThing is what a dialect needs to bring it back.
type keptThing struct {
	// Def is the table as it was applied; of a column, a table of the key and the column.
	Def *Table `json:"def,omitempty"`
	// Make are the statements that make the thing, and After those for what went with it: its indexes and triggers.
	Make  []string `json:"make,omitempty"`
	After []string `json:"after,omitempty"`
}

// Place is the name under which the table or column is kept.
func (t *Trashed) Place() string { return trashPrefix + t.ID }

func (t *Trashed) String() string {
	if t.Column == "" {
		return "table " + t.Table
	}
	return "column " + t.Table + "." + t.Column
}

// trash returns the place for what a step takes away; nil if nothing is to be kept. The step drops nothing then: it puts the thing under
// that name, and has it in Step.trash. A column that stays in its table must take NULL and have no default; inspect hides it.
func (in planInput) trash(kind StepKind, table, column string) *Trashed {
	if in.options.TrashTime < 0 || column != "" && in.copied(table, column) {
		return nil
	}
	b := sha256.Sum256(fmt.Appendf(nil, "%q%q%q", in.options.Owner, fold(table), fold(column)))
	base := hex.EncodeToString(b[:4]) + "_"
	next := 0
	for _, t := range in.live.trashed { // the same column may have been dropped before
		if in.live.kept[t.Place()] == "" { // a step that failed registered it: the next try has the same name, and the plan the same hash
			continue
		}
		if n, ok := strings.CutPrefix(t.ID, base); ok {
			if i, err := strconv.Atoi(n); err == nil {
				next = max(next, i+1)
			}
		}
	}
	t := &Trashed{ID: base + strconv.Itoa(next), Owner: in.options.Owner, Kind: kind, Table: table, Column: column}
	if a, ok := in.live.Applied[fold(table)]; ok {
		def := *a.Table
		if column != "" {
			def.Indexes, def.ForeignKeys = nil, nil
			def.Columns = slices.DeleteFunc(slices.Clone(def.Columns), func(c *Column) bool { return !strings.EqualFold(c.Name, column) })
		}
		t.kept.Def = &def
	}
	return t
}

// keep says in a hazard that what goes can be brought back.
func (t *Trashed) keep() string {
	return "kept for a while: migrate restore " + t.ID
}

// keeps says of a step that all it takes away can be brought back.
func (s *Step) keeps(kept ...*Trashed) {
	ids := make([]string, len(kept))
	for i, t := range kept {
		ids[i] = "migrate restore " + t.ID
	}
	s.trash, s.Inverse, s.NoInverse = kept, strings.Join(ids, "; "), ""
}

var trashColumns = []string{"id", "owner", "kind", "table_name", "column_name", "dropped", "plan", "definition"}

// readTrash reads what is kept.
func (db *Database) readTrash(ctx context.Context, q querier, x *syntax) error {
	if !db.ours[trashTable] {
		return nil
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s, %s", x.names(trashColumns), x.name(trashTable), x.name("dropped"), x.name("id")))
	if err != nil {
		return fmt.Errorf("migrate: read %s: %w", trashTable, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	for rows.Next() {
		t := &Trashed{}
		var definition string
		if err := rows.Scan(&t.ID, &t.Owner, &t.Kind, &t.Table, &t.Column, &t.Dropped, &t.Plan, &definition); err != nil {
			return fmt.Errorf("migrate: read %s: %w", trashTable, err)
		}
		if err := json.Unmarshal([]byte(definition), &t.kept); err != nil {
			return fmt.Errorf("migrate: %s holds a definition of %s that cannot be read: %w", trashTable, t, err)
		}
		db.trashed = append(db.trashed, t)
	}
	return rows.Err()
}

// discard registers what a step took away.
func (a *applier) discard(ctx context.Context, plan *Plan, s *Step) error {
	for _, t := range s.trash {
		definition, err := json.Marshal(t.kept)
		if err != nil {
			return fmt.Errorf("migrate: register %s: %w", t, err)
		}
		if err := a.replace(ctx, trashTable, trashColumns, t.ID, t.Owner, string(t.Kind), t.Table, t.Column, timestamp(), plan.Hash, string(definition)); err != nil {
			return fmt.Errorf("migrate: register %s: %w", t, err)
		}
	}
	return nil
}

// purge takes away for good what was dropped before a time.
func (a *applier) purge(ctx context.Context, live *Database, owner string, before time.Time) ([]*Trashed, error) {
	x := a.d.syntax()
	var out []*Trashed
	for _, t := range live.trashed {
		if t.Owner != owner || t.Dropped > before.UTC().Format(TimeLayout) {
			continue
		}
		var queries []string
		if at, ok := live.kept[t.Place()]; ok {
			queries, out = a.d.purge(t, at), append(out, t)
		}
		for _, query := range append(queries, fmt.Sprintf("DELETE FROM %s WHERE %s = %s", x.name(trashTable), x.name("id"), x.text(t.ID))) {
			if err := execOne(ctx, a.conn, query); err != nil {
				return out, fmt.Errorf("migrate: purge %s: %w", t, err)
			}
		}
	}
	return out, nil
}

// Trash returns what is kept for the owner, the oldest first. It writes nothing.
func Trash(ctx context.Context, conn *sql.Conn, owner string) ([]*Trashed, error) {
	live, err := Inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(live.trashed, func(t *Trashed) bool { return t.Owner != or(owner, "app") || live.kept[t.Place()] == "" }), nil
}

// Purge takes away for good what was dropped longer ago than age, and returns it. An age of zero takes all.
func Purge(ctx context.Context, db *sql.DB, owner string, age time.Duration, o ApplyOptions) (gone []*Trashed, err error) {
	err = locked(ctx, db, o, func(a *applier, live *Database) error {
		gone, err = a.purge(ctx, live, or(owner, "app"), time.Now().Add(-age))
		return err
	})
	return gone, err
}

// ErrTrash says that what is to be restored is not there, or that its place is taken.
var ErrTrash = errors.New("migrate: restore")

// Restore brings back what a plan took away, by its id. A table comes with its rows, indexes, keys and triggers; a column with its values
// in the rows that are still there, without default and NOT NULL. It belongs to its owner again, so that a plan of a schema without it
// wants to drop it again.
func Restore(ctx context.Context, db *sql.DB, owner, id string, o ApplyOptions) (back *Trashed, err error) {
	err = locked(ctx, db, o, func(a *applier, live *Database) error {
		back, err = a.restore(ctx, live, or(owner, "app"), id)
		return err
	})
	return back, err
}

func (a *applier) restore(ctx context.Context, live *Database, owner, id string) (*Trashed, error) {
	i := slices.IndexFunc(live.trashed, func(t *Trashed) bool { return t.ID == id && t.Owner == owner && live.kept[t.Place()] != "" })
	if i < 0 {
		return nil, fmt.Errorf("%w: nothing with the id %q is kept for %s: list what is", ErrTrash, id, owner)
	}
	t := live.trashed[i]
	table := live.Tables[fold(t.Table)]
	switch {
	case t.Column == "" && table != nil:
		return nil, fmt.Errorf("%w: there is a table %s again: rename or drop that one first", ErrTrash, t.Table)
	case t.Column != "" && table == nil:
		return nil, fmt.Errorf("%w: the table of %s is not there: restore that first", ErrTrash, t)
	case t.Column != "" && table.Column(t.Column) != nil:
		return nil, fmt.Errorf("%w: there is a %s again: rename or drop that one first", ErrTrash, t)
	}
	before, err := a.d.health(ctx, a.conn, live)
	if err != nil {
		return nil, err
	}
	queries, err := a.d.restore(live, t)
	if err != nil {
		return nil, err
	}
	x := a.d.syntax()
	queries = append(queries, fmt.Sprintf("DELETE FROM %s WHERE %s = %s", x.name(trashTable), x.name("id"), x.text(t.ID)))
	for _, query := range queries {
		if err := execOne(ctx, a.conn, query); err != nil {
			return nil, fmt.Errorf("migrate: restore %s: %w", t, err)
		}
	}
	if err := a.own(ctx, live, t); err != nil {
		return nil, err
	}
	after, err := a.health(ctx)
	if err != nil {
		return nil, err
	}
	return t, worse(before, after)
}

// own records that what came back belongs to its owner.
func (a *applier) own(ctx context.Context, live *Database, t *Trashed) error {
	if t.kept.Def == nil {
		return nil
	}
	def := *t.kept.Def
	if t.Column != "" {
		column := *def.Columns[0]
		nullable := true
		column.Nullable, column.Default = &nullable, nil
		applied, ok := live.Applied[fold(t.Table)]
		if !ok {
			return nil
		}
		def = *applied.Table
		def.Columns = append(slices.Clone(def.Columns), &column)
	}
	definition, err := json.Marshal(def)
	if err != nil {
		return fmt.Errorf("migrate: record %s: %w", t, err)
	}
	return a.replace(ctx, stateTable, []string{"table_name", "owner", "definition"}, def.Name, t.Owner, string(definition))
}

// locked runs do under the migration lock, in a transaction where the server has them for definitions.
func locked(ctx context.Context, db *sql.DB, o ApplyOptions, do func(*applier, *Database) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate: open a connection: %w", err)
	}
	defer conn.Close() //nolint:errcheck // returns it to the pool
	d, err := detect(ctx, conn)
	if err != nil {
		return err
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = time.Minute
	}
	lockCtx, cancel := context.WithTimeout(ctx, o.LockTimeout)
	defer cancel()
	unlock, err := d.lock(lockCtx, conn)
	if err != nil {
		return withCause(lockCtx, err)
	}
	defer func() {
		if end := unlock(); err == nil {
			err = end
		}
	}()
	a := &applier{d: d, conn: conn, options: o, start: time.Now()}
	if err := a.begin(ctx); err != nil {
		return err
	}
	live, err := d.inspect(ctx, conn)
	if err == nil {
		err = do(a, live)
	}
	if end := a.end(ctx, err == nil); err == nil {
		err = end
	}
	return withCause(ctx, err)
}
