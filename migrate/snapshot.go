package migrate

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SnapshotOptions are those of one Snapshot. The zero value takes every table.
type SnapshotOptions struct {
	// Owner takes only the tables that were applied for it. "" takes all, also those that this package did not make.
	Owner string
}

// SchemaFiles are schema files made from a database.
type SchemaFiles struct {
	// Files by name, <table>.yaml.
	Files map[string][]byte
	// Notes say what is in the database and cannot be written in a schema file. A plan leaves it as it is.
	Notes []string
}

// Snapshot turns a database into schema files: with them a plan has nothing to do, but to record tables that nobody owns. Every file is
// tried: what the server prints for it is what it prints for the table. It writes nothing.
func Snapshot(ctx context.Context, conn *sql.Conn, o SnapshotOptions) (*SchemaFiles, error) {
	d, err := detect(ctx, conn)
	if err != nil {
		return nil, err
	}
	live, err := d.inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	s := &snapshotRun{d: d, live: live, out: &SchemaFiles{Files: map[string][]byte{}}}
	for _, name := range slices.Sorted(maps.Keys(live.Tables)) {
		applied, known := live.Applied[name]
		if o.Owner != "" && (!known || applied.Owner != o.Owner) {
			continue
		}
		if err := s.table(ctx, conn, live.Tables[name]); err != nil {
			return nil, err
		}
	}
	if o.Owner == "" {
		for _, v := range live.Views {
			s.note("view %s has no place in a schema file", v.Name)
		}
		for _, t := range live.Triggers {
			s.note("trigger %s on %s has no place in a schema file", t.Name, t.Table)
		}
	}
	return s.out, nil
}

// snapshotRun is one run of Snapshot.
type snapshotRun struct {
	d    dialect
	live *Database
	out  *SchemaFiles
}

func (s *snapshotRun) note(format string, args ...any) {
	s.out.Notes = append(s.out.Notes, fmt.Sprintf(format, args...))
}

func (s *snapshotRun) table(ctx context.Context, conn *sql.Conn, t *TableInfo) error {
	if err := checkName(t.Name); err != nil {
		s.note("table %s is left out: its %s", t.Name, err)
		return nil
	}
	if t.Opaque != "" {
		s.note("table %s is left out: %s", t.Name, t.Opaque)
		return nil
	}
	def := &Table{Name: t.Name, PrimaryKey: t.PrimaryKey, Pos: t.Name}
	tries := map[string][]*Column{}
	for _, c := range t.Columns {
		if err := checkName(c.Name); err != nil || c.Generated {
			s.note("column %s.%s is left out: it is generated, or its name is not one for all databases", t.Name, c.Name)
			continue
		}
		tries[c.Name] = s.tries(t, c)
		def.Columns = append(def.Columns, tries[c.Name][0])
	}
	if err := s.settle(ctx, conn, t, def, tries); err != nil {
		return err
	}
	if len(def.Columns) == 0 || slices.ContainsFunc(t.PrimaryKey, func(name string) bool { return def.Column(name) == nil }) {
		s.note("table %s is left out: its primary key, or all of it, cannot be written", t.Name)
		return nil
	}
	s.indexes(ctx, conn, t, def)
	s.keys(t, def)
	if a, ok := s.live.Applied[fold(t.Name)]; ok {
		def.arrange(a.Table)
	}
	data, err := def.YAML()
	if err != nil {
		return err
	}
	file := t.Name + ".yaml"
	if _, err := ParseTable(file, data); err != nil {
		return fmt.Errorf("migrate: a snapshot of table %s makes no schema file: %w", t.Name, err)
	}
	s.out.Files[file] = data
	return nil
}

// tries are the definitions that a column may have: first the one that was applied.
func (s *snapshotRun) tries(t *TableInfo, c *ColumnInfo) []*Column {
	var list []*Column
	if a, ok := s.live.Applied[fold(t.Name)]; ok {
		if was := a.Table.Column(c.Name); was != nil {
			list = append(list, was)
		}
	}
	list = append(list, s.d.columns(t, c)...)
	var out []*Column
	for _, try := range append(list, &Column{Type: Text}) {
		copied := *try
		nullable := !c.NotNull
		if copied.Name, copied.Pos = c.Name, t.Name; !(nullable && copied.Nullable == nil && try.Name != "") { // applied without a word of it
			copied.Nullable = &nullable
		}
		copied.Primary = slices.ContainsFunc(t.PrimaryKey, func(name string) bool { return strings.EqualFold(name, c.Name) })
		if copied.Primary {
			copied.Nullable = new(bool)
		}
		if written(&copied) {
			out = append(out, &copied)
		}
	}
	if len(out) > 1 {
		out = out[:len(out)-1] // text is for what nothing else can say
	}
	return out
}

// written tells whether a file can hold the definition: a default, for one, has to be a value of its type there.
func written(c *Column) bool {
	t := &Table{Name: "t", Columns: []*Column{c}}
	if c.Primary {
		t.PrimaryKey = []string{c.Name}
	}
	data, err := t.YAML()
	if err == nil {
		t, err = ParseTable("t.yaml", data)
	}
	return err == nil && sameDefinition(t, &Table{Name: "t", Columns: []*Column{c}, PrimaryKey: t.PrimaryKey})
}

// settle replaces each column that the server prints otherwise by its next definition, until all are the same or none is left.
func (s *snapshotRun) settle(ctx context.Context, conn *sql.Conn, t *TableInfo, def *Table, tries map[string][]*Column) error {
	for len(def.Columns) > 0 {
		printed, err := s.print(ctx, conn, def)
		if err != nil { // the server refuses some of it
			refused := func(c *Column) bool {
				_, err := s.print(ctx, conn, &Table{Name: def.Name, Columns: []*Column{c}})
				return err != nil
			}
			if !s.next(def, tries, refused) && s.leave(t, def, refused) == 0 {
				return err
			}
			continue
		}
		differs := func(c *Column) bool {
			is, want := t.Column(c.Name), printed.Column(c.Name)
			if isSerial(c) && pgSerial(is) {
				return is.Type != want.Type
			}
			return is.Type != want.Type || is.Default != want.Default || is.AutoIncrement != want.AutoIncrement ||
				slices.ContainsFunc(want.Checks, func(check string) bool { return !slices.Contains(is.Checks, check) })
		}
		if s.next(def, tries, differs) {
			continue
		}
		s.leave(t, def, differs)
		for _, c := range def.Columns {
			if isSerial(c) && pgSerial(t.Column(c.Name)) {
				s.note("column %s.%s is serial: a plan makes an identity of it", t.Name, c.Name)
			}
		}
		return nil
	}
	return nil
}

// leave leaves out the columns that no file can say, and returns how many.
func (s *snapshotRun) leave(t *TableInfo, def *Table, wrong func(*Column) bool) int {
	before := len(def.Columns)
	def.Columns = slices.DeleteFunc(def.Columns, func(c *Column) bool {
		out := wrong(c)
		if out {
			is := t.Column(c.Name)
			text := strings.TrimPrefix(is.Type+" default "+is.Default, " ")
			s.note("column %s.%s is left out: no file can say %q", t.Name, c.Name, strings.TrimSuffix(text, " default "))
		}
		return out
	})
	return before - len(def.Columns)
}

// print is how the server prints the columns of a table.
func (s *snapshotRun) print(ctx context.Context, conn *sql.Conn, def *Table) (*TableInfo, error) {
	shadow, err := s.d.shadow(ctx, conn, resolve(&Schema{Tables: map[string]*Table{def.Name: def}}, nil))
	if err != nil {
		return nil, err
	}
	return shadow.Tables[fold(def.Name)], nil
}

// next takes the next definition of each column that is not right, and tells whether there was one.
func (s *snapshotRun) next(def *Table, tries map[string][]*Column, wrong func(*Column) bool) bool {
	moved := false
	for i, c := range def.Columns {
		if rest := tries[c.Name]; len(rest) > 1 && wrong(c) {
			tries[c.Name] = rest[1:]
			def.Columns[i] = rest[1]
			moved = true
		}
	}
	return moved
}

func (s *snapshotRun) indexes(ctx context.Context, conn *sql.Conn, t *TableInfo, def *Table) {
	for _, x := range t.Indexes {
		missing := slices.ContainsFunc(x.Columns, func(name string) bool { return def.Column(name) == nil })
		where, ok := s.where(ctx, conn, def, x)
		if missing {
			s.note("index %s on %s is left out, as one of its columns is", x.Name, t.Name)
			continue
		}
		if !x.Plain || !ok || x.Name != "" && checkName(x.Name) != nil {
			s.note("index %s on %s cannot be written: it has an expression, an order or a name of its own kind", x.Name, t.Name)
			continue
		}
		index := Index{Columns: x.Columns, Unique: x.Unique, Where: where}
		if own := indexName(t.Name, index); x.Inline || strings.EqualFold(x.Name, own) {
			index.Name = own
		} else {
			index.Name, index.Named = x.Name, true
		}
		double := slices.ContainsFunc(def.Indexes, func(o Index) bool {
			return equalFold(o.Columns, index.Columns) && o.Unique == index.Unique && o.Where == index.Where
		})
		if double {
			s.note("index %s on %s is there twice: only one is written", or(x.Name, index.Name), t.Name)
			continue
		}
		def.Indexes = append(def.Indexes, index)
	}
}

// arrange puts indexes and foreign keys in the order in which another definition has them: servers print them in their own.
func (t *Table) arrange(as *Table) {
	slices.SortStableFunc(t.Indexes, func(a, b Index) int {
		at := func(x Index) int {
			return slices.IndexFunc(as.Indexes, func(o Index) bool { return strings.EqualFold(o.Name, x.Name) })
		}
		return cmp.Compare(at(a), at(b))
	})
	slices.SortStableFunc(t.ForeignKeys, func(a, b ForeignKey) int {
		at := func(fk ForeignKey) int {
			return slices.IndexFunc(as.ForeignKeys, func(o ForeignKey) bool { return strings.EqualFold(o.String(), fk.String()) })
		}
		return cmp.Compare(at(a), at(b))
	})
}

// where is the condition in the words of its file, or as the server prints it; false if no file can say it.
func (s *snapshotRun) where(ctx context.Context, conn *sql.Conn, def *Table, x IndexInfo) (string, bool) {
	if x.Where == "" {
		return "", true
	}
	words := []string{x.Where}
	if a, ok := s.live.Applied[fold(def.Name)]; ok {
		for _, was := range a.Table.Indexes {
			if strings.EqualFold(was.Name, x.Name) && was.Where != "" {
				words = []string{was.Where, x.Where}
			}
		}
	}
	for _, where := range words {
		if checkExpression(where) != nil {
			continue
		}
		try := &Table{Name: def.Name, Columns: def.Columns, PrimaryKey: def.PrimaryKey, Indexes: []Index{{Name: "w", Columns: x.Columns, Where: where}}}
		if printed, err := s.print(ctx, conn, try); err == nil && printed.Indexes[0].Where == x.Where {
			return where, true
		}
	}
	return "", false
}

func (s *snapshotRun) keys(t *TableInfo, def *Table) {
	for _, fk := range t.ForeignKeys {
		bad := slices.ContainsFunc(fk.Columns, func(name string) bool { return def.Column(name) == nil }) || checkName(fk.RefTable) != nil ||
			len(fk.RefColumns) != len(fk.Columns)
		double := slices.ContainsFunc(def.ForeignKeys, func(o ForeignKey) bool {
			return equalFold(o.Columns, fk.Columns) && (len(fk.Columns) == 1 || strings.EqualFold(o.RefTable, fk.RefTable))
		})
		if bad || double {
			s.note("foreign key %s of %s cannot be written: name its columns, and keep one for each", fk, t.Name)
			continue
		}
		def.ForeignKeys = append(def.ForeignKeys, fk)
	}
}

// printedDefault is a column's default as the server prints it, and what it may have been written as.
type printedDefault struct {
	text        string // "" for none
	literal     string // its value, if isLiteral
	isLiteral   bool
	hex         string // its value where that is of bytes
	expressions []string
}

// of gives each definition each default that it may have: the current time, the value, then an expression.
func (p printedDefault) of(list []Column) []*Column {
	var out []*Column
	for _, def := range list {
		values := []*Value{nil}
		if p.text != "" {
			values = p.values(&def)
		}
		for _, v := range values {
			with := def
			with.Default = v
			out = append(out, &with)
		}
	}
	return out
}

func (p printedDefault) values(c *Column) []*Value {
	var out []*Value
	if !p.isLiteral {
		out = append(out, &Value{Expr: now})
	} else if v := p.value(c); v != nil {
		out = append(out, v)
	}
	for _, text := range p.expressions {
		if checkExpression(text) == nil {
			out = append(out, &Value{Expr: text})
		}
	}
	return out
}

// value is the literal as a file has it, or nil.
func (p printedDefault) value(c *Column) *Value {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: p.literal}
	switch c.Type {
	case Binary:
		return &Value{Text: p.hex}
	case JSON, JSONB:
		var doc yaml.Node
		if yaml.Unmarshal([]byte(p.literal), &doc) != nil || len(doc.Content) != 1 {
			return nil
		}
		n = doc.Content[0]
	case String, NanoID, Text, Enum, UUID, SpecificType:
		n.Tag = "!!str"
	}
	v, err := canonical(c, n)
	if err != nil {
		return nil
	}
	return literalOf(v)
}
