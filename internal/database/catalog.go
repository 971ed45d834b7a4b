package database

import "github.com/odac-run/odachost/abi"

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
	TypeJSON
)

// Column is one column of a table.
type Column struct {
	Name      string
	Declared  string // the declared type as written
	Type      Type
	Length    int // TypeText: most characters, 0 is no limit
	Precision int // TypeDecimal: digits in all
	Scale     int // TypeDecimal: digits after the point
	NotNull   bool
	Default   bool // the database has a default for it
	Generated bool // computed by the database, cannot be written
	Nanoid    int  // length of the nanoid that fills it, 0 is none
}

// Table is a table or a view.
type Table struct {
	Name    string
	View    bool
	Columns []Column // in the order of the database
	Key     []string // columns of the primary key, in its order

	byName map[string]int
}

// Column returns the column of that exact name.
func (t *Table) Column(name string) (*Column, bool) {
	i, ok := t.byName[name]
	if !ok {
		return nil, false
	}
	return &t.Columns[i], true
}

// Catalog is the tables of a database. It never changes and is safe for concurrent use.
type Catalog struct {
	tables map[string]*Table
}

// Table returns the table of that exact name.
func (c *Catalog) Table(name string) (*Table, bool) {
	t, ok := c.tables[name]
	return t, ok
}

// FillInsert makes rows of an insert complete and canonical, for a write that is applied later: values brought to their columns' types and
// checked, nanoids drawn, created_at and updated_at set. Fields and rows come back as copies, with the filled columns added at the
// end. Errors are those that the insert would give before it runs.
func (c *Catalog) FillInsert(table string, fields []string, rows []abi.Values) ([]string, []abi.Values, error) {
	return fields, rows, ErrUnsupported
}

// FillUpdate does the same for a buffered set or increment of one row: values checked, updated_at added to fields and row if it is neither
// there nor in skip.
func (c *Catalog) FillUpdate(table string, fields []string, row abi.Values) ([]string, abi.Values, error) {
	return fields, row, ErrUnsupported
}

// KeyValues brings the values of a row's primary key to the columns' types, so that one row has one spelling. columns must be the whole key.
func (c *Catalog) KeyValues(table string, columns []string, key abi.Values) (abi.Values, error) {
	return key, ErrUnsupported
}
