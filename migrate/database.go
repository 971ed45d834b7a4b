package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// querier is the part of *sql.Conn that reading needs.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Database is what a database server prints about itself: of the live one, or of a shadow made from a schema. Maps are keyed
// by the name in lower case.
type Database struct {
	Dialect  string
	Tables   map[string]*TableInfo
	Triggers []Object
	Views    []Object
	// Applied is what this package recorded, by table.
	Applied map[string]Applied
	// underway are the plans that were not finished, by owner.
	underway map[string]*journal
	ours     map[string]bool // the tables of this package that are there
	trashed  []*Trashed      // what was taken away, the oldest first
	// kept is where that is, by its place: a table of that name, or a table with such a column.
	kept map[string]string
}

// keeps takes note of a table or column that a plan has put aside.
func (db *Database) keeps(place, table string) {
	if db.kept == nil {
		db.kept = map[string]string{}
	}
	db.kept[place] = table
}

// Object is a trigger or a view.
type Object struct {
	Name  string
	Table string // of a trigger
	SQL   string
}

// Applied is the record of one table: who owns it and the definition that was applied.
type Applied struct {
	Owner string
	Table *Table
}

// TableInfo is one table as the server prints it.
type TableInfo struct {
	Name        string
	Columns     []*ColumnInfo
	PrimaryKey  []string
	Indexes     []IndexInfo
	ForeignKeys []ForeignKey
	// Opaque says why this package cannot change the table (virtual, or SQL it cannot read); "" if it can.
	Opaque string

	create *createTable
	pg     *pgTable
	mysql  *mysqlTable
	def    *Table // of a shadow: the definition behind it
}

// ColumnInfo is one column as the server prints it.
type ColumnInfo struct {
	Name          string
	Type          string // declared, upper case
	NotNull       bool
	Default       string // as printed; "" for none
	AutoIncrement bool
	Generated     bool
	Checks        []string // normalised

	def *Column
}

// IndexInfo is one index. Inline marks a UNIQUE inside the CREATE TABLE, which no DROP INDEX can remove.
type IndexInfo struct {
	Name    string
	Columns []string
	Unique  bool
	Where   string // normalised
	Inline  bool
	// Plain says that it indexes columns, with no expression, order or collation of its own.
	Plain bool
	SQL   string

	named  bool
	wanted string // the name that it would have, were it not taken
}

func (x IndexInfo) sameShape(o IndexInfo) bool {
	return x.Plain && o.Plain && x.Unique == o.Unique && x.Where == o.Where && equalFold(x.Columns, o.Columns)
}

// uses tells whether the index names the column anywhere, its WHERE included.
func (x IndexInfo) uses(column string) bool {
	toks, err := lex(x.Where)
	return err != nil || slices.ContainsFunc(x.Columns, func(s string) bool { return strings.EqualFold(s, column) }) ||
		slices.ContainsFunc(toks, func(t token) bool { return t.name() && strings.EqualFold(t.text, column) })
}

// Column returns the column of that name, without case, or nil.
func (t *TableInfo) Column(name string) *ColumnInfo {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	return nil
}

// Last returns what was last applied for owner, as a schema.
func (db *Database) Last(owner string) *Schema {
	s := &Schema{Tables: map[string]*Table{}}
	for _, a := range db.Applied {
		if a.Owner == owner {
			s.Tables[a.Table.Name] = a.Table
		}
	}
	return s
}

// Fingerprint changes whenever a definition in the database does.
func (db *Database) Fingerprint() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(db.Tables)) {
		t := db.Tables[name]
		b, _ := json.Marshal([]any{t.Name, t.Columns, t.PrimaryKey, t.Indexes, t.ForeignKeys}) // plain data: cannot fail
		h.Write(b)
	}
	for _, o := range append(slices.Clone(db.Triggers), db.Views...) {
		fmt.Fprintf(h, "%q%q%q", o.Name, o.Table, o.SQL)
	}
	for _, name := range slices.Sorted(maps.Keys(db.Applied)) {
		a := db.Applied[name]
		b, _ := json.Marshal(a.Table)
		fmt.Fprintf(h, "%q%q", a.Owner, b)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Inspect reads the database behind conn. It writes nothing.
func Inspect(ctx context.Context, conn *sql.Conn) (*Database, error) {
	d, err := detect(ctx, conn)
	if err != nil {
		return nil, err
	}
	db, err := d.inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	return db.withoutTwins(), nil
}

// Shadow returns the schema as the server behind conn itself prints it, by creating it in a scratch place of which nothing
// stays. A column whose file says nothing about null takes it from live, which may be nil.
func Shadow(ctx context.Context, conn *sql.Conn, schema *Schema, live *Database) (*Database, error) {
	d, err := detect(ctx, conn)
	if err != nil {
		return nil, err
	}
	return d.shadow(ctx, conn, resolve(schema, live))
}

// resolve copies the tables with every column's nullable decided.
func resolve(schema *Schema, live *Database) []*Table {
	var out []*Table
	for _, t := range schema.sorted() {
		resolved := *t
		resolved.Columns = nil
		for _, c := range t.Columns {
			if c.Nullable == nil {
				nullable := true
				if at := liveColumn(live, t, c); at != nil {
					nullable = !at.NotNull
				}
				copied := *c
				copied.Nullable = &nullable
				c = &copied
			}
			resolved.Columns = append(resolved.Columns, c)
		}
		out = append(out, &resolved)
	}
	return out
}

func liveColumn(live *Database, t *Table, c *Column) *ColumnInfo {
	if live == nil || live.Tables[fold(t.Name)] == nil {
		return nil
	}
	table := live.Tables[fold(t.Name)]
	if at := table.Column(c.Name); at != nil {
		return at
	}
	if c.RenamedFrom != "" {
		return table.Column(c.RenamedFrom)
	}
	return nil
}
