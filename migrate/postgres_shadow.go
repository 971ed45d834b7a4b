package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The shadow asks the server only what it alone knows: how it prints types, defaults, checks and conditions of indexes. That does not depend on
// the table, nor, but for checks, on the column's name. So all different definitions of all tables are columns of one scratch table in a
// transaction that is taken back. It is partitioned: such a one has no file, and PostgreSQL makes it three times as fast. And it is temporary only
// where the role can make no other: roles of tenants have no room for temporary tables.

// pgShadowColumns bounds the columns of one such table; PostgreSQL allows 1600.
const pgShadowColumns = 800

// pgPrinted is a column's definition as the server prints it.
type pgPrinted struct {
	name   string // of the column in the shadow
	column *Column
	table  *Table
	typ    string
	def    string
	checks map[string]string // expression over name, by the check's text
}

type pgShadow struct {
	ctx     context.Context // of the one call of shadow
	conn    *sql.Conn
	columns map[string]*pgPrinted // by definition
	order   []*pgPrinted
	wheres  map[string]string // printed, by definition
	create  string            // how a scratch table begins
	made    int               // scratch tables
}

func (p postgres) shadow(ctx context.Context, conn *sql.Conn, tables []*Table) (*Database, error) {
	s := &pgShadow{ctx: ctx, conn: conn, columns: map[string]*pgPrinted{}, wheres: map[string]string{}}
	if err := s.collect(tables); err != nil {
		return nil, err
	}
	if len(s.columns) > 0 {
		if err := p.scratch(ctx, conn, func() error { return s.print(tables) }); err != nil {
			return nil, err
		}
	}
	out := &Database{Dialect: dialectPostgres, Tables: map[string]*TableInfo{}}
	for _, t := range tables {
		out.Tables[fold(t.Name)] = s.table(t)
	}
	return out, nil
}

// pgDefinition is what the printed form depends on.
func pgDefinition(c *Column) string {
	return strings.Join([]string{pgType(c), postgres{}.literal(c, c.Default), strings.Join(pgChecks(c, "x"), "\x00")}, "\x00")
}

// collect finds the different definitions, and refuses expressions that could reach out.
func (s *pgShadow) collect(tables []*Table) error {
	for _, t := range tables {
		for _, c := range t.Columns {
			for _, v := range []*Value{c.Default, c.Backfill} {
				if v == nil || v.Expr == "" || v.Expr == now {
					continue
				}
				if err := pgCheckExpression(v.Expr); err != nil {
					return fmt.Errorf("migrate: %s: column %s: %w", c.Pos, c.Name, err)
				}
			}
			if def := pgDefinition(c); s.columns[def] == nil {
				s.columns[def] = &pgPrinted{name: fmt.Sprintf("_odac_c%d", len(s.order)), column: c, table: t}
				s.order = append(s.order, s.columns[def])
			}
		}
		for _, x := range t.Indexes {
			for _, name := range x.Columns {
				if t.Column(name).Type == JSON {
					return fmt.Errorf("migrate: %s: index %s: PostgreSQL cannot compare json: make %s.%s jsonb", x.Pos, x.Name, t.Name, name)
				}
			}
			if x.Where == "" {
				continue
			}
			if err := pgCheckExpression(x.Where); err != nil {
				return fmt.Errorf("migrate: %s: index %s: where: %w", x.Pos, x.Name, err)
			}
		}
	}
	return nil
}

// print makes the scratch tables and reads how the server prints them.
func (s *pgShadow) print(tables []*Table) error {
	var own bool
	if err := s.conn.QueryRowContext(s.ctx, "SELECT pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE')").Scan(&own); err != nil {
		return fmt.Errorf("migrate: ask for the right to create: %w", err)
	}
	s.create = "CREATE TABLE "
	if !own {
		s.create = "CREATE TEMPORARY TABLE "
	}
	for part := range slices.Chunk(s.order, pgShadowColumns) {
		if err := s.printColumns(part); err != nil {
			return s.culprit(part, err)
		}
	}
	for _, t := range tables {
		for _, x := range t.Indexes {
			if x.Where == "" || s.wheres[pgWhereKey(t, x)] != "" {
				continue
			}
			if err := s.printWhere(t, x); err != nil {
				return fmt.Errorf("migrate: %s: PostgreSQL refuses index %s: %w", x.Pos, x.Name, err)
			}
		}
	}
	return nil
}

// scratch makes a table, of a name that no other session makes at the same time: the second would wait for the first.
func (s *pgShadow) scratch(lines []string) (name string, err error) {
	s.made++
	name = fmt.Sprintf("_odac_shadow_%x_%d", rand.Uint64(), s.made)
	return name, execOne(s.ctx, s.conn, s.create+name+" (_odac_key integer, "+strings.Join(lines, ", ")+") PARTITION BY RANGE (_odac_key)")
}

func (p *pgPrinted) lines() []string {
	shadow := *p.column
	shadow.Name, shadow.Nullable = p.name, nil
	line := quoteName(p.name) + " " + pgType(p.column)
	if p.column.Default != nil {
		line += " DEFAULT " + postgres{}.literal(&shadow, p.column.Default)
	}
	lines := []string{line}
	for i, check := range pgChecks(p.column, quoteName(p.name)) {
		lines = append(lines, pgConstraint(fmt.Sprintf("%s_%d", p.name, i), "CHECK ("+check+")"))
	}
	return lines
}

func (s *pgShadow) printColumns(part []*pgPrinted) error {
	var lines []string
	byName := map[string]*pgPrinted{}
	for _, p := range part {
		lines = append(lines, p.lines()...)
		byName[p.name] = p
		p.checks = map[string]string{}
	}
	table, err := s.scratch(lines)
	if err != nil {
		return err
	}
	q := &pgInspection{ctx: s.ctx, q: s.conn}
	err = q.each(`SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
		FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = '`+table+`'::pg_catalog.regclass AND a.attnum > 1`, func(rows *sql.Rows) error {
		var name, typ, def string
		err := rows.Scan(&name, &typ, &def)
		byName[name].typ, byName[name].def = typ, def
		return err
	})
	if err != nil {
		return err
	}
	return q.each(`SELECT conname, pg_catalog.pg_get_expr(conbin, conrelid) FROM pg_catalog.pg_constraint
		WHERE conrelid = '`+table+`'::pg_catalog.regclass`, func(rows *sql.Rows) error {
		var name, expr string
		err := rows.Scan(&name, &expr)
		at := strings.LastIndexByte(name, '_')
		byName[name[:at]].checks[name[at+1:]] = expr
		return err
	})
}

// culprit finds the column that the server refused, by trying one after the other.
func (s *pgShadow) culprit(part []*pgPrinted, refused error) error {
	if pgCode(refused) == "" {
		return refused
	}
	for _, p := range part {
		if _, err := s.conn.ExecContext(s.ctx, "ROLLBACK TO SAVEPOINT _odac_scratch"); err != nil {
			return err
		}
		if _, err := s.scratch(p.lines()); err != nil {
			return fmt.Errorf("migrate: %s: PostgreSQL refuses column %s of %s: %w", p.column.Pos, p.column.Name, p.table.Name, err)
		}
	}
	return refused
}

// pgWhereColumns are the columns that a condition names.
func pgWhereColumns(t *Table, where string) []*Column {
	var out []*Column
	renameInExpression(where, func(name string) string {
		for _, c := range t.Columns {
			if (c.Name == name || c.Name == fold(name)) && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
		return name
	})
	return out
}

// pgWhereKey is what the printed condition depends on.
func pgWhereKey(t *Table, x Index) string {
	parts := []string{x.Where}
	for _, c := range pgWhereColumns(t, x.Where) {
		parts = append(parts, c.Name, pgType(c))
	}
	return strings.Join(parts, "\x00")
}

func (s *pgShadow) printWhere(t *Table, x Index) error {
	var lines []string
	for _, c := range pgWhereColumns(t, x.Where) {
		lines = append(lines, quoteName(c.Name)+" "+pgType(c))
	}
	if len(lines) == 0 {
		lines = []string{"_odac_none integer"}
	}
	table, err := s.scratch(lines)
	if err != nil {
		return err
	}
	if err := execOne(s.ctx, s.conn, "CREATE INDEX ON "+table+" (_odac_key) WHERE "+x.Where); err != nil {
		return err
	}
	var where string
	err = s.conn.QueryRowContext(s.ctx, "SELECT pg_catalog.pg_get_expr(indpred, indrelid) FROM pg_catalog.pg_index WHERE indrelid = '"+table+"'::pg_catalog.regclass").
		Scan(&where)
	s.wheres[pgWhereKey(t, x)] = where
	return err
}

// table is one table as it would be.
func (s *pgShadow) table(t *Table) *TableInfo {
	info := &TableInfo{Name: t.Name, PrimaryKey: t.PrimaryKey, def: t, pg: &pgTable{}}
	for _, c := range t.Columns {
		p := s.columns[pgDefinition(c)]
		out := &ColumnInfo{Name: c.Name, Type: p.typ, Default: p.def, AutoIncrement: isSerial(c), def: c}
		out.NotNull = isSerial(c) || slices.Contains(t.PrimaryKey, c.Name) || c.Nullable != nil && !*c.Nullable
		for i := range pgChecks(c, "x") {
			out.Checks = append(out.Checks, pgCheckText(p.checks[fmt.Sprint(i)], p.name, c.Name))
		}
		info.Columns = append(info.Columns, out)
	}
	for _, x := range t.Indexes {
		printed := IndexInfo{Name: x.Name, Columns: x.Columns, Unique: x.Unique, Plain: true, named: x.Named}
		if x.Where != "" {
			printed.Where = pgQuoted(s.wheres[pgWhereKey(t, x)], func(name string) (string, bool) { return name, t.Column(name) != nil })
		}
		info.Indexes = append(info.Indexes, printed)
	}
	info.ForeignKeys = slices.Clone(t.ForeignKeys)
	return info
}
