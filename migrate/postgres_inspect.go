package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// pgTable is what only PostgreSQL has to say about a table.
type pgTable struct {
	oid        uint32
	primaryKey string // name of the constraint
	checks     []pgCheck
	// invalid are indexes that a CREATE INDEX CONCURRENTLY began and did not end, or is at.
	invalid []string
	// half are indexes under a temporary name of ours, valid or not, and the temporary checks of ours.
	half []pgHalf
}

// pgCheck is one CHECK over one column, or over none or several (column is "" then).
type pgCheck struct {
	name, column string
	text         string // as ColumnInfo.Checks has it
	invalid      bool
}

// pgHalf is a thing of ours that a run makes and takes back, or gives its last name.
type pgHalf struct {
	name  string
	index bool
	valid bool
}

// The prefix of such names: what begins with it, in a table that a schema has, is ours to clean up.
const pgPrefix = "_odac_"

// The catalog, in five round trips. Everything is qualified: nothing on the search path takes the place of the catalog's.
const (
	pgTables = `SELECT c.oid, c.relname, CASE
			WHEN c.relkind = 'p' THEN 'it is partitioned' WHEN c.relkind = 'f' THEN 'it is a foreign table'
			WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid) THEN 'it inherits or is inherited'
			WHEN c.reloftype <> 0 THEN 'it is of a composite type' ELSE '' END
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = pg_catalog.current_schema() AND c.relkind IN ('r', 'p', 'f') ORDER BY c.relname`
	pgColumns = `SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
			CASE WHEN a.attgenerated = '' THEN COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END, a.attidentity <> '', a.attgenerated <> ''
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE n.nspname = pg_catalog.current_schema() AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`
	pgNames     = `ARRAY(SELECT b.attname::text FROM pg_catalog.unnest(%s) WITH ORDINALITY AS o(n, at) JOIN pg_catalog.pg_attribute b ON b.attrelid = %s AND b.attnum = o.n ORDER BY o.at)::text`
	pgConstring = `SELECT k.conrelid, k.contype::text, k.conname, k.convalidated, COALESCE(r.relname, ''), k.confdeltype::text, k.confupdtype::text,
			CASE WHEN k.contype = 'c' THEN pg_catalog.pg_get_expr(k.conbin, k.conrelid) ELSE '' END, COALESCE(r.relnamespace <> c.relnamespace, false), `
	pgConstraintsFrom = ` FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
		WHERE n.nspname = pg_catalog.current_schema() AND k.contype IN ('p', 'f', 'c') ORDER BY k.conrelid, k.conname`
	// An index is plain where it says nothing that our own do not: a btree over columns, in the order and by the comparison that are usual.
	pgIndexesHead = `SELECT i.indrelid, x.relname, i.indisunique, i.indisvalid, COALESCE(pg_catalog.pg_get_expr(i.indpred, i.indrelid), ''), k.oid IS NOT NULL, p.plain,
			CASE WHEN p.plain THEN '' ELSE pg_catalog.pg_get_indexdef(i.indexrelid) END, `
	pgIndexesFrom = ` FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = x.relam
		JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
		CROSS JOIN LATERAL (SELECT m.amname = 'btree' AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts AND pg_catalog.to_jsonb(i)->>'indnullsnotdistinct' IS DISTINCT FROM 'true'
			AND i.indoption::text !~ '[1-9]' AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest(i.indclass::oid[]), pg_catalog.unnest(i.indcollation::oid[]), pg_catalog.unnest(i.indkey::int2[])) AS u(class, coll, key)
				JOIN pg_catalog.pg_opclass o ON o.oid = u.class LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.key
				WHERE NOT o.opcdefault OR u.coll <> a.attcollation) AS plain) p
		WHERE n.nspname = pg_catalog.current_schema() AND NOT i.indisprimary ORDER BY i.indrelid, x.relname`
	pgObjects = `SELECT 'view', c.relname, '', pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = pg_catalog.current_schema() AND c.relkind IN ('v', 'm')
		UNION ALL SELECT 'trigger', t.tgname, c.relname, pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = pg_catalog.current_schema() AND NOT t.tgisinternal ORDER BY 1, 2`
)

var (
	pgConstraints = pgConstring + fmt.Sprintf(pgNames, "k.conkey", "k.conrelid") + ", " + fmt.Sprintf(pgNames, "k.confkey", "k.confrelid") + pgConstraintsFrom
	pgIndexes     = pgIndexesHead + fmt.Sprintf(pgNames, "i.indkey::int2[]", "i.indrelid") + pgIndexesFrom
)

type pgInspection struct {
	ctx    context.Context // of the one call of inspect
	q      querier
	db     *Database
	tables map[uint32]*TableInfo
	state  bool
}

func (postgres) inspect(ctx context.Context, q querier) (*Database, error) {
	var schema sql.NullString
	if err := q.QueryRowContext(ctx, "SELECT pg_catalog.current_schema()").Scan(&schema); err != nil {
		return nil, fmt.Errorf("migrate: inspect: %w", err)
	}
	if !schema.Valid {
		return nil, errors.New("migrate: the connection's search_path names no schema that is there: create one, or set search_path")
	}
	i := &pgInspection{
		ctx: ctx, q: q, tables: map[uint32]*TableInfo{},
		db: &Database{Dialect: dialectPostgres, Tables: map[string]*TableInfo{}, Applied: map[string]Applied{}},
	}
	for _, part := range []struct {
		query string
		scan  func(*sql.Rows) error
	}{{pgTables, i.table}, {pgColumns, i.column}, {pgConstraints, i.constraint}, {pgIndexes, i.index}, {pgObjects, i.object}} {
		if err := i.each(part.query, part.scan); err != nil {
			return nil, fmt.Errorf("migrate: inspect: %w", err)
		}
	}
	if !i.state {
		return i.db, nil
	}
	if err := i.db.readState(ctx, q, pgSyntax); err != nil {
		return nil, err
	}
	return i.db, i.db.readUnderway(ctx, q, pgSyntax)
}

func (i *pgInspection) each(query string, scan func(*sql.Rows) error) error {
	rows, err := i.q.QueryContext(i.ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (i *pgInspection) table(rows *sql.Rows) error {
	t := &TableInfo{pg: &pgTable{}}
	if err := rows.Scan(&t.pg.oid, &t.Name, &t.Opaque); err != nil {
		return err
	}
	i.state = i.state || t.Name == stateTable
	if strings.HasPrefix(fold(t.Name), pgPrefix) {
		i.db.keeps(t.Name, t.Name)
		return nil
	}
	if other := i.db.Tables[fold(t.Name)]; other != nil {
		other.Opaque = "another is called " + t.Name
		return nil
	}
	i.db.Tables[fold(t.Name)] = t
	i.tables[t.pg.oid] = t
	return nil
}

func (i *pgInspection) column(rows *sql.Rows) error {
	var oid uint32
	c := &ColumnInfo{}
	if err := rows.Scan(&oid, &c.Name, &c.Type, &c.NotNull, &c.Default, &c.AutoIncrement, &c.Generated); err != nil {
		return err
	}
	if strings.HasPrefix(c.Default, "NULL::") {
		c.Default = ""
	}
	if t := i.tables[oid]; t != nil {
		t.Columns = append(t.Columns, c)
	}
	return nil
}

// pgActions are the words for the letters of pg_constraint.
var pgActions = map[string]string{"a": noAction, "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

func (i *pgInspection) constraint(rows *sql.Rows) error {
	var oid uint32
	var kind, name, refTable, onDelete, onUpdate, expr string
	var valid, hidden bool
	var columns, refs pgArray
	if err := rows.Scan(&oid, &kind, &name, &valid, &refTable, &onDelete, &onUpdate, &expr, &hidden, &columns, &refs); err != nil {
		return err
	}
	t := i.tables[oid]
	if t == nil {
		return nil
	}
	switch kind {
	case "p":
		t.PrimaryKey, t.pg.primaryKey = columns, name
	case "f":
		if hidden {
			refTable = "(another schema) " + refTable
		}
		t.ForeignKeys = append(t.ForeignKeys, ForeignKey{
			Columns: columns, RefTable: refTable, RefColumns: refs, OnDelete: pgActions[onDelete], OnUpdate: pgActions[onUpdate], name: name, invalid: !valid,
		})
	case "c":
		if strings.HasPrefix(name, trashPrefix) { // of a column that was put aside
			return nil
		}
		if strings.HasPrefix(name, pgPrefix) {
			t.pg.half = append(t.pg.half, pgHalf{name: name, valid: valid})
			return nil
		}
		check := pgCheck{name: name, invalid: !valid}
		if len(columns) == 1 {
			check.column = columns[0]
			check.text = pgCheckText(expr, columns[0], columns[0])
			if !valid {
				check.text += notValid
			}
			c := t.Column(check.column)
			c.Checks = append(c.Checks, check.text)
		}
		t.pg.checks = append(t.pg.checks, check)
	}
	return nil
}

func (i *pgInspection) index(rows *sql.Rows) error {
	var oid uint32
	var x IndexInfo
	var valid bool
	var columns pgArray
	if err := rows.Scan(&oid, &x.Name, &x.Unique, &valid, &x.Where, &x.Inline, &x.Plain, &x.SQL, &columns); err != nil {
		return err
	}
	x.Columns = columns
	t := i.tables[oid]
	if t == nil {
		return nil
	}
	x.Where = pgQuoted(x.Where, func(name string) (string, bool) { return name, t.Column(name) != nil })
	switch {
	case strings.HasPrefix(x.Name, pgPrefix) && !strings.HasPrefix(x.Name, twinPrefix):
		t.pg.half = append(t.pg.half, pgHalf{name: x.Name, index: true, valid: valid})
	case !valid:
		t.pg.invalid = append(t.pg.invalid, x.Name)
	default:
		t.Indexes = append(t.Indexes, x)
	}
	return nil
}

func (i *pgInspection) object(rows *sql.Rows) error {
	var kind string
	var o Object
	if err := rows.Scan(&kind, &o.Name, &o.Table, &o.SQL); err != nil {
		return err
	}
	if kind == "view" {
		i.db.Views = append(i.db.Views, o)
	} else {
		i.db.Triggers = append(i.db.Triggers, o)
	}
	return nil
}

// pgArray scans the text of a text[]: {a,"b c"}.
type pgArray []string

// Scan implements sql.Scanner.
func (a *pgArray) Scan(v any) error {
	s, ok := v.(string)
	if !ok || len(s) < 2 || s[0] != '{' {
		return fmt.Errorf("%v is no array", v)
	}
	*a = nil
	for s = s[1 : len(s)-1]; s != ""; {
		var item strings.Builder
		quoted := s[0] == '"'
		n := 0
		if quoted {
			n = 1
		}
		for ; n < len(s) && (quoted && s[n] != '"' || !quoted && s[n] != ','); n++ {
			if s[n] == '\\' {
				n++
			}
			item.WriteByte(s[n])
		}
		if quoted {
			n++
		}
		*a = append(*a, item.String())
		s = strings.TrimPrefix(s[n:], ",")
	}
	return nil
}

// leftover returns the temporary thing of that name, or nil.
func (t *TableInfo) leftover(name string) *pgHalf {
	if t.pg == nil {
		return nil
	}
	i := slices.IndexFunc(t.pg.half, func(h pgHalf) bool { return h.name == name })
	if i < 0 {
		return nil
	}
	return &t.pg.half[i]
}
