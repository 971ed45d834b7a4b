package migrate

import (
	"slices"
	"strings"
)

// Type is a column type of a schema file.
type Type string

// The column types. The virtual type "timestamps" of a file becomes two columns of type Timestamp, created_at and updated_at.
const (
	Increments    Type = "increments"
	BigIncrements Type = "bigIncrements"
	Integer       Type = "integer"
	BigInteger    Type = "bigInteger"
	Float         Type = "float"
	Decimal       Type = "decimal"
	String        Type = "string"
	Text          Type = "text"
	Boolean       Type = "boolean"
	Date          Type = "date"
	Datetime      Type = "datetime"
	Timestamp     Type = "timestamp"
	Time          Type = "time"
	Binary        Type = "binary"
	JSON          Type = "json"
	JSONB         Type = "jsonb"
	UUID          Type = "uuid"
	NanoID        Type = "nanoid"
	Enum          Type = "enum"
	SpecificType  Type = "specificType"
	timestamps    Type = "timestamps"
)

// types lists what a file may write, for messages.
var types = []Type{
	Increments, BigIncrements, Integer, BigInteger, Float, Decimal, String, Text, Boolean, Date, Datetime, Timestamp,
	Time, Binary, JSON, JSONB, UUID, NanoID, Enum, SpecificType, timestamps,
}

// The text layouts of time values where a database stores them as text (SQLite). Values are UTC. Each has a fixed width, so
// that text order is time order.
const (
	TimeLayout      = "2006-01-02T15:04:05.000000000Z" // datetime, timestamp
	DateLayout      = "2006-01-02"
	TimeOfDayLayout = "15:04:05.000000000"
)

// DefaultConnection is the name of the connection of files directly under the schema folder.
const DefaultConnection = "default"

// Schema is what the schema files of one connection describe. It is read-only after LoadFS and safe for concurrent use.
type Schema struct {
	// Tables by name: the files schema/<table>.yaml.
	Tables map[string]*Table
	others map[string]*Schema
}

// Connection returns the schema of the named connection, empty if there are no files for it. "" and DefaultConnection are
// the receiver itself.
func (s *Schema) Connection(name string) *Schema {
	if name == "" || name == DefaultConnection {
		return s
	}
	if o := s.others[name]; o != nil {
		return o
	}
	return &Schema{Tables: map[string]*Table{}}
}

// Connections returns the names of the connections that have files, sorted; DefaultConnection only if it has tables.
func (s *Schema) Connections() []string {
	var names []string
	if len(s.Tables) > 0 {
		names = append(names, DefaultConnection)
	}
	for name := range s.others {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Table is one table. Columns keep the order of the file.
type Table struct {
	Name        string       `json:"name"`
	Columns     []*Column    `json:"columns"`
	PrimaryKey  []string     `json:"primaryKey,omitempty"`
	Indexes     []Index      `json:"indexes,omitempty"`
	ForeignKeys []ForeignKey `json:"foreignKeys,omitempty"`
	Seed        *Seed        `json:"-"`
	// Twins are columns that are being replaced while revisions of both kinds serve; of a record, never of a file.
	Twins []*Twin `json:"twins,omitempty"`
	// Pos is "file:line", for messages.
	Pos string `json:"-"`
}

// Column returns the column of that name (without case, as SQL does), or nil.
func (t *Table) Column(name string) *Column {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	return nil
}

// NanoIDs returns the columns that the host fills with a nanoid where a row leaves them out: name and length in characters.
func (t *Table) NanoIDs() map[string]int {
	out := map[string]int{}
	for _, c := range t.Columns {
		if c.Type == NanoID {
			out[c.Name] = c.Length
		}
	}
	return out
}

// Column is one column.
type Column struct {
	Name      string   `json:"name"`
	Type      Type     `json:"type"`
	Length    int      `json:"length,omitempty"`    // characters: string (255 if the file is silent), nanoid (21)
	Precision int      `json:"precision,omitempty"` // decimal digits in all (10)
	Scale     int      `json:"scale,omitempty"`     // decimal digits after the point (2)
	Values    []string `json:"values,omitempty"`    // enum
	Specific  string   `json:"specificType,omitempty"`
	// Nullable is nil where the file says nothing: what is there stays, and a new column is nullable.
	Nullable *bool  `json:"nullable,omitempty"`
	Default  *Value `json:"default,omitempty"`
	Unsigned bool   `json:"unsigned,omitempty"`
	Primary  bool   `json:"primary,omitempty"`
	Comment  string `json:"comment,omitempty"` // kept for tools; SQLite has no comments

	// RenamedFrom names the column whose values this one takes over. NotRenamed says that the file wrote null here: this
	// column is new even where a like one goes.
	RenamedFrom string `json:"-"`
	NotRenamed  bool   `json:"-"`
	// Backfill fills NULLs when the column is added or becomes NOT NULL.
	Backfill *Value `json:"-"`
	Pos      string `json:"-"`
}

// Value is a literal or an expression. A literal is in the canonical text of its column's type: see Column.Type.
type Value struct {
	Text string `json:"text,omitempty"`
	// Expr is SQL; "now()" stands for the current time in the column's own form on each database.
	Expr string `json:"expression,omitempty"`
}

// Index is an index over columns in this order. A unique column of a file is an index like any other.
type Index struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Unique  bool     `json:"unique,omitempty"`
	Where   string   `json:"where,omitempty"`
	// Named says that the file gave the name; otherwise an index of the same shape under any name will do.
	Named bool   `json:"named,omitempty"`
	Pos   string `json:"-"`
}

// ForeignKey references RefColumns of RefTable. OnDelete and OnUpdate are upper case: NO ACTION, RESTRICT, CASCADE, SET NULL,
// SET DEFAULT.
type ForeignKey struct {
	Columns    []string `json:"columns"`
	RefTable   string   `json:"refTable"`
	RefColumns []string `json:"refColumns"`
	OnDelete   string   `json:"onDelete"`
	OnUpdate   string   `json:"onUpdate"`
	Pos        string   `json:"-"`

	// Of a live one: its name, and that rows from before it were not looked at. In Changes such a key is dropped and added.
	name    string
	invalid bool
}

// notValid ends the text of a live check of which the same is so.
const notValid = " NOT VALID"

// SeedMode says what a seed does with a row that is there.
type SeedMode string

// Seed modes. InsertOnly leaves a row that is there alone; Sync sets the columns that the seed names.
const (
	InsertOnly SeedMode = "insert-only"
	Sync       SeedMode = "sync"
)

// Seed is rows that the schema brings along, recognised by Key.
type Seed struct {
	Key  string
	Mode SeedMode
	Rows []SeedRow
}

// SeedRow is one row: canonical values by column name (nil, int64, float64, string, []byte).
type SeedRow struct {
	Values map[string]any
	Pos    string
}

func (k ForeignKey) sameTarget(o ForeignKey) bool {
	return equalFold(k.Columns, o.Columns) && strings.EqualFold(k.RefTable, o.RefTable) && equalFold(k.RefColumns, o.RefColumns)
}

func (k ForeignKey) equal(o ForeignKey) bool {
	return k.sameTarget(o) && k.OnDelete == o.OnDelete && k.OnUpdate == o.OnUpdate && k.invalid == o.invalid
}

func (k ForeignKey) String() string {
	s := "(" + strings.Join(k.Columns, ", ") + ") references " + k.RefTable + " (" + strings.Join(k.RefColumns, ", ") + ")"
	if k.OnDelete != noAction {
		s += " on delete " + strings.ToLower(k.OnDelete)
	}
	if k.OnUpdate != noAction {
		s += " on update " + strings.ToLower(k.OnUpdate)
	}
	if k.invalid {
		s += " not valid"
	}
	return s
}

const noAction = "NO ACTION"

func equalFold(a, b []string) bool {
	return slices.EqualFunc(a, b, strings.EqualFold)
}

// fold is the key of a name: SQL compares names without case.
func fold(name string) string { return strings.ToLower(name) }
