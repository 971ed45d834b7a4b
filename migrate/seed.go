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
func (s *seedTable) changes(ctx context.Context, q querier) ([]seedChange, error) {
	var out []seedChange
	for _, row := range s.seed.Rows {
		differ, found, err := s.compare(ctx, q, row)
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
func (s *seedTable) compare(ctx context.Context, q querier, row SeedRow) (differ []string, found bool, err error) {
	columns := slices.Sorted(maps.Keys(row.Values))
	var exprs []string
	var args []any
	same := make([]bool, len(columns))
	texts := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i, name := range columns {
		v := row.Values[name]
		if c := s.table.Column(name); v != nil && (c.Type == JSON || c.Type == JSONB) {
			exprs = append(exprs, "hex("+quoteName(name)+")")
			into[i] = &texts[i]
			continue
		}
		exprs = append(exprs, quoteName(name)+" IS ?")
		args = append(args, v)
		into[i] = &same[i]
	}
	query := fmt.Sprintf("SELECT %s FROM %s WHERE %s = ?", strings.Join(exprs, ", "), quoteName(s.table.Name), quoteName(s.seed.Key))
	rows, err := q.QueryContext(ctx, query, append(args, row.Values[s.seed.Key])...)
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
func (s *seedTable) apply(ctx context.Context, conn *sql.Conn) (int64, error) {
	changes, err := s.changes(ctx, conn)
	if err != nil {
		return 0, err
	}
	for _, c := range changes {
		if c.insert {
			err = s.insert(ctx, conn, c.row)
		} else {
			err = s.update(ctx, conn, c)
		}
		if err != nil {
			return 0, fmt.Errorf("migrate: %s: write the seed: %w", c.row.Pos, err)
		}
	}
	return int64(len(changes)), nil
}

// insert draws a nanoid for each nanoid column that the row leaves out: once, since the row is known again by its key.
func (s *seedTable) insert(ctx context.Context, conn *sql.Conn, row SeedRow) error {
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
	args := make([]any, len(columns))
	for i, name := range columns {
		args[i] = values[name]
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	return execOne(ctx, conn, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quoteName(s.table.Name), quoteNames(columns), marks), args...)
}

// referencedBy returns the foreign keys of t over the column.
func referencedBy(t *Table, column string) []ForeignKey {
	return slices.DeleteFunc(slices.Clone(t.ForeignKeys), func(fk ForeignKey) bool { return !slices.Contains(fk.Columns, column) })
}

func (s *seedTable) update(ctx context.Context, conn *sql.Conn, c seedChange) error {
	var sets []string
	var args []any
	for _, name := range c.columns {
		sets = append(sets, quoteName(name)+" = ?")
		args = append(args, c.row.Values[name])
	}
	query := fmt.Sprintf("UPDATE %s SET %s WHERE %s = ?", quoteName(s.table.Name), strings.Join(sets, ", "), quoteName(s.seed.Key))
	return execOne(ctx, conn, query, append(args, c.row.Values[s.seed.Key])...)
}

// seeds plans the rows of all seeds. A table or column that is not there yet is compared when the step runs.
func (p *sqlitePlanner) seeds() error {
	for _, t := range p.in.schema.sorted() {
		if t.Seed == nil || len(t.Seed.Rows) == 0 {
			continue
		}
		s := &seedTable{table: t, seed: t.Seed}
		live := p.in.live.Tables[fold(t.Name)]
		step := &Step{Kind: SeedRows, Table: t.Name, seed: s, Post: "the rows are there", NoInverse: "rows may be in use"}
		if live == nil || p.changing(live, t.Seed) {
			step.Rows = int64(len(t.Seed.Rows))
			step.Summary = fmt.Sprintf("%s: up to %d rows", t.Name, step.Rows)
			p.add(step)
			continue
		}
		changes, err := s.changes(p.ctx, p.q)
		if err != nil {
			return err
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
			p.add(step)
		}
	}
	return nil
}

// changing tells whether the seed names a column that is new or about to be renamed.
func (p *sqlitePlanner) changing(live *TableInfo, seed *Seed) bool {
	for _, row := range seed.Rows {
		for name := range row.Values {
			if live.Column(name) == nil || slices.ContainsFunc(p.in.renames, func(r Rename) bool {
				return strings.EqualFold(r.Table, live.Name) && strings.EqualFold(r.To, name)
			}) {
				return true
			}
		}
	}
	return false
}
