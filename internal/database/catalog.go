package database

import (
	"maps"
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// Type says what a column holds and how its values cross. See the package documentation for the declared names.
type Type uint8

// The types of columns.
const (
	TypeAny Type = iota // by storage class
	TypeBool
	TypeInt
	TypeFloat
	TypeDecimal
	TypeText
	TypeBytes
	TypeTime
	TypeDate
	TypeClock // time of day, as text
	TypeUUID  // as text, lower case
	TypeJSON
	TypeArray // as JSON; of PostgreSQL
)

// Column is one column of a table.
type Column struct {
	Name      string
	Declared  string // the declared type as written
	Type      Type
	Length    int  // TypeText: most characters, 0 is no limit
	Precision int  // TypeDecimal: digits in all
	Scale     int  // TypeDecimal: digits after the point, -1 is as many as are given
	Elem      Type // TypeArray: of its elements
	Extended  bool // has NaN or the infinities, as text
	NotNull   bool
	Default   bool // the database has a default for it
	Generated bool // computed by the database, cannot be written
	Nanoid    int  // length of the nanoid that fills it, 0 is none

	oid uint32 // PostgreSQL's type
}

// Table is a table or a view.
type Table struct {
	Name    string
	View    bool
	Columns []Column // in the order of the database
	Key     []string // columns of the primary key, in its order

	byName  map[string]int
	keys    [][]string           // column sets that are unique, the primary key among them
	indexes map[string][]string  // MySQL: the unique ones, by name
	links   []string             // SQLite: columns of foreign keys, at both ends
	reaches map[abi.Verb][]Touch // what a statement on it reads and writes besides
}

// Column returns the column of that exact name.
func (t *Table) Column(name string) (*Column, bool) {
	i, ok := t.byName[name]
	if !ok {
		return nil, false
	}
	return &t.Columns[i], true
}

// unique says whether the columns, in any order, are a unique key.
func (t *Table) unique(columns []*Column) bool {
	return slices.ContainsFunc(t.keys, func(key []string) bool {
		return len(key) == len(columns) && !slices.ContainsFunc(columns, func(c *Column) bool { return !slices.Contains(key, c.Name) })
	})
}

// Catalog is the tables of a database. It never changes and is safe for concurrent use.
type Catalog struct {
	tables     map[string]*Table
	nanoids    map[string]map[string]int
	statements statements
}

// Table returns the table of that exact name.
func (c *Catalog) Table(name string) (*Table, bool) {
	t, ok := c.tables[name]
	return t, ok
}

// Tables lists the names of all tables and views, sorted.
func (c *Catalog) Tables() []string { return slices.Sorted(maps.Keys(c.tables)) }

// close adds to what a query names what views, triggers and foreign keys lead to.
func (c *Catalog) close(direct []Touch) []Touch {
	out := slices.Clone(direct)
	for _, d := range direct {
		table, ok := c.tables[d.Table]
		if !ok {
			continue
		}
		for _, t := range table.reaches[d.Verb] {
			t.Indirect = true
			named := Touch{Table: t.Table, Verb: t.Verb}
			if !slices.Contains(out, t) && !slices.Contains(direct, named) {
				out = append(out, t)
			}
		}
	}
	return out
}

// setNanoids marks the nanoid columns.
func (c *Catalog) setNanoids(nanoids map[string]map[string]int) {
	c.nanoids = nanoids
	for table, columns := range nanoids {
		t, ok := c.tables[table]
		if !ok {
			continue
		}
		for name, length := range columns {
			if column, ok := t.Column(name); ok {
				if length <= 0 {
					length = nanoidLength
				}
				column.Nanoid = min(length, maxNanoid)
			}
		}
	}
}

// hiddenColumn says whether a column is package migrate's, while it replaces another.
func hiddenColumn(name string) bool { return strings.HasPrefix(strings.ToLower(name), "_odac_") }

// reserved says whether a table is the database's own or this program's, out of reach of queries.
func reserved(table string) bool {
	table = strings.ToLower(table)
	return strings.HasPrefix(table, "sqlite_") || strings.HasPrefix(table, "_odac_") || strings.HasPrefix(table, "odac_buffer_")
}
