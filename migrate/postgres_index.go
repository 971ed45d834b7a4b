package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// pgIndexStep builds an index in the transaction: of a table that is new or empty.
func pgIndexStep(table string, x Index, hazards []Hazard) *Step {
	return &Step{
		Kind: CreateIndex, Table: table, Summary: fmt.Sprintf("%s on %s (%s)", x.Name, table, strings.Join(x.Columns, ", ")),
		SQL: []string{pgIndex(table, x.Name, x, false)}, Hazards: hazards, Lock: pgNobody, Post: "the index is there", Inverse: "DROP INDEX " + quoteName(x.Name),
	}
}

// addIndex plans an index on a table that is there.
func (p *pgPlanner) addIndex(tc *TableChange, st *pgState, info IndexInfo) error {
	var x Index
	for _, def := range tc.want.def.Indexes {
		if strings.EqualFold(def.Name, or(info.wanted, info.Name)) {
			x = def
			x.Name = info.Name
		}
	}
	broken := slices.ContainsFunc(st.live.pg.invalid, func(name string) bool { return strings.EqualFold(name, x.Name) })
	if st.rows == 0 && !broken {
		p.add(stageNotNull, pgIndexStep(st.name, x, nil))
		return nil
	}
	var hazards []Hazard
	if x.Unique {
		h, err := p.uniqueHazards(tc, st, x)
		if err != nil {
			return err
		}
		hazards = h
	}
	// It is built under a name of ours, by which another run knows it if this one is killed.
	temporary := pgName("_odac_i", pgIndex(st.name, x.Name, x, true), "")
	p.used[temporary] = true
	build := pgIndex(st.name, temporary, x, true)
	s := pgIndexStep(st.name, x, hazards)
	s.SQL = []string{build, pgRenameIndex(temporary, x.Name)}
	s.Inverse = "DROP INDEX CONCURRENTLY " + quoteName(x.Name)
	s.Lock, s.Rows, s.outside = pgOnline, st.rows, true
	s.run = func(ctx context.Context, conn *sql.Conn, _ func(int64)) (int64, error) {
		return 0, pgBuild(ctx, conn, temporary, x.Name, build)
	}
	p.add(stageIndex, s)
	return nil
}

func pgRenameIndex(from, to string) string {
	return "ALTER INDEX " + quoteName(from) + " RENAME TO " + quoteName(to)
}

// pgBuild builds the index concurrently, unless that was done before, and gives it its name. What is there of either name and not valid goes.
func pgBuild(ctx context.Context, conn *sql.Conn, temporary, name, build string) error {
	err := patiently(ctx, conn, func() error {
		for _, n := range []string{name, temporary} {
			valid, err := pgIndexValid(ctx, conn, n)
			if err != nil {
				return err
			}
			if valid != nil && !*valid {
				if err := execOne(ctx, conn, "DROP INDEX CONCURRENTLY "+quoteName(n)); err != nil {
					return err
				}
			}
		}
		if valid, err := pgIndexValid(ctx, conn, temporary); err != nil || valid != nil {
			return err
		}
		err := execOne(ctx, conn, build)
		if err == nil || ctx.Err() != nil {
			return err
		}
		// What failed leaves an index that costs every writer and serves no reader.
		return errors.Join(err, execOne(ctx, conn, "DROP INDEX CONCURRENTLY IF EXISTS "+quoteName(temporary)))
	})
	if err != nil {
		return err
	}
	return execOne(ctx, conn, pgRenameIndex(temporary, name))
}

// pgIndexValid tells whether the index is valid; nil if there is none.
func pgIndexValid(ctx context.Context, conn *sql.Conn, name string) (*bool, error) {
	var valid bool
	err := conn.QueryRowContext(ctx, `SELECT i.indisvalid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = pg_catalog.current_schema() AND c.relname = $1`, name).Scan(&valid)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	return &valid, err
}

// dropIndexes plans the indexes that go: before all else where their name is needed or a change of type would build them again, else once the new ones
// are there.
func (p *pgPlanner) dropIndexes(tc *TableChange, st *pgState) {
	early := slices.ContainsFunc(tc.AlterColumns, func(cc *ColumnChange) bool { return cc.Type })
	for _, x := range tc.DropIndexes {
		stage := stageLateDropIndex
		if early || slices.ContainsFunc(tc.AddIndexes, func(o IndexInfo) bool { return strings.EqualFold(o.Name, x.Name) }) {
			stage = stageDropIndex
		}
		s := &Step{
			Kind: DropIndex, Table: st.name, Summary: x.Name + " on " + st.name, SQL: []string{"DROP INDEX " + quoteName(x.Name)}, Lock: pgNobody,
			Post: "the index is gone", Inverse: or(x.SQL, pgIndex(st.name, x.Name, Index{Columns: x.Columns, Unique: x.Unique, Where: x.Where}, false)),
		}
		if st.rows > 0 {
			query := "DROP INDEX CONCURRENTLY " + quoteName(x.Name)
			s.SQL, s.Lock, s.outside, s.run = []string{query}, pgOnline, true, pgPatient(query)
		}
		p.add(stage, s)
	}
}

// uniqueHazards looks for duplicates under a new unique index. A column that this plan adds has one value in every row, so it
// tells none apart, or NULL, which are all different; what an expression gives shows only when it runs.
func (p *pgPlanner) uniqueHazards(tc *TableChange, st *pgState, x Index) ([]Hazard, error) {
	var there []string
	for _, name := range x.Columns {
		if tc.live.Column(name) != nil {
			there = append(there, name)
			continue
		}
		fill := tc.want.Column(name).def
		value := fill.Backfill
		if value == nil {
			value = fill.Default
		}
		if isSerial(fill) || value == nil || value.Expr != "" || x.Where != "" {
			return nil, nil
		}
	}
	if len(there) > 0 {
		return p.duplicates(st, x.Name, there, x.Where)
	}
	if st.rows < 2 {
		return nil, nil
	}
	return []Hazard{{
		Level: Refuse, Table: st.name, Object: x.Name, Count: st.rows,
		Message: fmt.Sprintf("unique %s on %s (%s): %d rows would get the same value", x.Name, st.name, strings.Join(x.Columns, ", "), st.rows),
		Fix:     fmt.Sprintf("%s: add the column without a default, fill it, then make it unique", x.Pos),
	}}, nil
}
