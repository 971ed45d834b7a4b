package migrate

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// seedTable is the seed of one table.
type seedTable struct {
	table *Table
	seed  *Seed
}

// seedChange is one row to write: all of it if it is not there, else the columns that differ.
type seedChange struct {
	row     SeedRow
	insert  bool
	columns []string
}

// changes compares the rows of the seed with those that are there.
func (s *seedTable) changes(ctx context.Context, d dialect, q querier) ([]seedChange, error) {
	var out []seedChange
	for _, row := range s.seed.Rows {
		differ, found, err := s.compare(ctx, d, q, row)
		switch {
		case err != nil:
			return nil, fmt.Errorf("migrate: %s: compare the seed: %w", row.Pos, err)
		case !found:
			out = append(out, seedChange{row: row, insert: true})
		case len(differ) > 0 && s.seed.Mode == Sync:
			out = append(out, seedChange{row: row, columns: differ})
		}
	}
	return out, nil
}

// compare lets the database compare, each value by its own type; only JSON is compared here, because key order says nothing.
func (s *seedTable) compare(ctx context.Context, d dialect, q querier, row SeedRow) (differ []string, found bool, err error) {
	columns := slices.Sorted(maps.Keys(row.Values))
	x := d.syntax()
	var exprs []string
	same := make([]bool, len(columns))
	texts := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i, name := range columns {
		v := row.Values[name]
		if c := s.table.Column(name); v != nil && (c.Type == JSON || c.Type == JSONB) {
			exprs = append(exprs, x.hex(x.name(name)))
			into[i] = &texts[i]
			continue
		}
		exprs = append(exprs, x.same(x.name(name), s.literal(d, name, v)))
		into[i] = &same[i]
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s", strings.Join(exprs, ", "), x.name(s.table.Name), s.key(d, row)))
	if err != nil {
		return nil, false, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	for rows.Next() {
		if found {
			return nil, true, fmt.Errorf("more than one row has this %s: make the column unique", s.seed.Key)
		}
		found = true
		if err := rows.Scan(into...); err != nil {
			return nil, true, err
		}
		for i, name := range columns {
			if into[i] == &texts[i] {
				same[i] = sameJSON(texts[i].String, row.Values[name])
			}
			if !same[i] {
				differ = append(differ, name)
			}
		}
	}
	return differ, found, rows.Err()
}

// literal prints a canonical value of a column.
func (s *seedTable) literal(d dialect, column string, v any) string {
	return d.literal(s.table.Column(column), literalOf(v))
}

// key is the condition that finds the row.
func (s *seedTable) key(d dialect, row SeedRow) string {
	return d.syntax().name(s.seed.Key) + " = " + s.literal(d, s.seed.Key, row.Values[s.seed.Key])
}

func sameJSON(hexText string, want any) bool {
	b, err := hex.DecodeString(hexText)
	if err != nil {
		return false
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return false
	}
	canonical, err := json.Marshal(v)
	return err == nil && string(canonical) == want
}

// apply writes the rows and returns how many.
func (s *seedTable) apply(ctx context.Context, d dialect, conn *sql.Conn) (int64, error) {
	changes, err := s.changes(ctx, d, conn)
	if err != nil {
		return 0, err
	}
	for _, c := range changes {
		if c.insert {
			err = s.insert(ctx, d, conn, c.row)
		} else {
			err = s.update(ctx, d, conn, c)
		}
		if err != nil {
			return 0, fmt.Errorf("migrate: %s: write the seed: %w", c.row.Pos, err)
		}
	}
	return int64(len(changes)), nil
}

// insert draws a nanoid for each nanoid column that the row leaves out: once, since the row is known again by its key.
func (s *seedTable) insert(ctx context.Context, d dialect, conn *sql.Conn, row SeedRow) error {
	values := maps.Clone(row.Values)
	for name, length := range s.table.NanoIDs() {
		if values[name] != nil {
			continue
		}
		c := s.table.Column(name)
		if _, written := values[name]; written || c.Default != nil || len(referencedBy(s.table, name)) > 0 {
			continue // null as written, its default, or a key of another table
		}
		id, err := newNanoID(length)
		if err != nil {
			return err
		}
		values[name] = id
	}
	columns := slices.Sorted(maps.Keys(values))
	literals := make([]string, len(columns))
	for i, name := range columns {
		literals[i] = s.literal(d, name, values[name])
	}
	x := d.syntax()
	return execOne(ctx, conn, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", x.name(s.table.Name), x.names(columns), strings.Join(literals, ", ")))
}

// referencedBy returns the foreign keys of t over the column.
func referencedBy(t *Table, column string) []ForeignKey {
	return slices.DeleteFunc(slices.Clone(t.ForeignKeys), func(fk ForeignKey) bool { return !slices.Contains(fk.Columns, column) })
}

func (s *seedTable) update(ctx context.Context, d dialect, conn *sql.Conn, c seedChange) error {
	x := d.syntax()
	var sets []string
	for _, name := range c.columns {
		sets = append(sets, x.name(name)+" = "+s.literal(d, name, c.row.Values[name]))
	}
	return execOne(ctx, conn, fmt.Sprintf("UPDATE %s SET %s WHERE %s", x.name(s.table.Name), strings.Join(sets, ", "), s.key(d, c.row)))
}

// planSeeds plans the rows of all seeds. A table or column that is not there yet is compared when the step runs.
func planSeeds(ctx context.Context, d dialect, q querier, in planInput) ([]*Step, error) {
	var out []*Step
	for _, t := range in.schema.byReference() {
		if t.Seed == nil || len(t.Seed.Rows) == 0 {
			continue
		}
		s := &seedTable{table: t, seed: t.Seed}
		live := in.live.Tables[fold(t.Name)]
		step := &Step{
			Kind: SeedRows, Table: t.Name, Phase: Expand, seed: s, Lock: "writers of these rows wait", Post: "the rows are there", NoInverse: "rows may be in use",
		}
		if live == nil || in.changing(live, t.Seed) {
			step.Rows = int64(len(t.Seed.Rows))
			step.Summary = fmt.Sprintf("%s: up to %d rows", t.Name, step.Rows)
			out = append(out, step)
			continue
		}
		changes, err := s.changes(ctx, d, q)
		if err != nil {
			return nil, err
		}
		inserts := 0
		for _, c := range changes {
			if c.insert {
				inserts++
			}
		}
		if len(changes) > 0 {
			step.Rows = int64(len(changes))
			step.Summary = fmt.Sprintf("%s: %d rows to insert, %d to update", t.Name, inserts, len(changes)-inserts)
			out = append(out, step)
		}
	}
	return out, nil
}

// changing tells whether the seed names a column that is new or about to be renamed.
func (in planInput) changing(live *TableInfo, seed *Seed) bool {
	for _, row := range seed.Rows {
		for name := range row.Values {
			if live.Column(name) == nil || slices.ContainsFunc(in.renames, func(r Rename) bool {
				return strings.EqualFold(r.Table, live.Name) && strings.EqualFold(r.To, name)
			}) {
				return true
			}
		}
	}
	return false
}
