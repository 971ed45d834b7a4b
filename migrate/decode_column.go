package migrate

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// columnFile is what only the file of a column has.
type columnFile struct {
	unique                     bool
	primary                    bool
	references                 *yaml.Node
	onDelete, onUpdate         string
	def, backfill              *yaml.Node
	length, precision, scaleAt *yaml.Node
}

func (d *decoder) columns(t *Table, n *yaml.Node) {
	d.each(n, "columns", func(key, value *yaml.Node) {
		if value.Kind == yaml.ScalarNode && value.ShortTag() == "!!str" { // title: text is short for title: {type: text}
			value = &yaml.Node{Kind: yaml.MappingNode, Line: value.Line, Content: []*yaml.Node{
				{Kind: yaml.ScalarNode, Value: "type", Line: value.Line}, value,
			}}
		}
		d.column(t, key, value)
	})
}

func (d *decoder) column(t *Table, key, value *yaml.Node) {
	c := &Column{Name: key.Value, Pos: d.pos(key)}
	var f columnFile
	var typ string
	what := "column " + c.Name
	keep := func(into **yaml.Node) field { return func(n *yaml.Node) { *into = n } }
	before := len(d.errs)
	d.fields(value, what, map[string]field{
		"type":         d.text(&typ, what+": type"),
		"length":       func(n *yaml.Node) { f.length = n; d.integer(&c.Length, 1, 65535, what+": length")(n) },
		"precision":    func(n *yaml.Node) { f.precision = n; d.integer(&c.Precision, 1, 65, what+": precision")(n) },
		"scale":        func(n *yaml.Node) { f.scaleAt = n; d.integer(&c.Scale, 0, 30, what+": scale")(n) },
		"values":       d.list(&c.Values, what+": values"),
		"specificType": d.text(&c.Specific, what+": specificType"),
		"nullable":     func(n *yaml.Node) { c.Nullable = new(bool); d.boolean(c.Nullable, what+": nullable")(n) },
		"default":      keep(&f.def),
		"unsigned":     d.boolean(&c.Unsigned, what+": unsigned"),
		"primary":      d.boolean(&f.primary, what+": primary"),
		"unique":       d.boolean(&f.unique, what+": unique"),
		"references":   keep(&f.references),
		"onDelete":     d.action(&f.onDelete, what+": onDelete"),
		"onUpdate":     d.action(&f.onUpdate, what+": onUpdate"),
		"comment":      d.text(&c.Comment, what+": comment"),
		"renamedFrom": func(n *yaml.Node) {
			if c.NotRenamed = n.ShortTag() == "!!null"; !c.NotRenamed {
				d.text(&c.RenamedFrom, what+": renamedFrom")(n)
			}
		},
		"backfill": keep(&f.backfill),
	})
	if len(d.errs) > before {
		return
	}
	c.Type = Type(typ)
	if c.Type == timestamps {
		d.timestamps(t, c, value)
		return
	}
	if err := checkName(c.Name); err != nil {
		d.fail(key, "column %s", err)
		return
	}
	if other := t.Column(c.Name); other != nil {
		d.fail(key, "column %s differs from %s only in case or comes from timestamps: keep one", c.Name, other.Name)
		return
	}
	t.Columns = append(t.Columns, c)
	d.typeOf(c, &f, value)
	if len(d.errs) > before {
		return
	}
	if f.primary || c.Type == Increments || c.Type == BigIncrements {
		c.Primary = true
		t.PrimaryKey = append(t.PrimaryKey, c.Name)
		if c.Nullable != nil && *c.Nullable {
			d.fail(value, "%s: a primary key is never null: remove nullable", what)
		}
		c.Nullable = new(bool)
	}
	c.Default = d.value(c, f.def, what+": default")
	c.Backfill = d.value(c, f.backfill, what+": backfill")
	if f.unique && !c.Primary {
		t.Indexes = append(t.Indexes, Index{Columns: []string{c.Name}, Unique: true, Pos: c.Pos})
	}
	d.reference(t, c, &f, value)
}

// timestamps adds the two columns that the virtual type stands for.
func (d *decoder) timestamps(t *Table, c *Column, value *yaml.Node) {
	if len(value.Content) > 2 {
		d.fail(value, "column %s: timestamps takes no other key: write created_at and updated_at out as type timestamp", c.Name)
		return
	}
	for _, name := range []string{"created_at", "updated_at"} {
		if t.Column(name) != nil {
			d.fail(value, "column %s is there already: remove it, or the timestamps", name)
			return
		}
		t.Columns = append(t.Columns, &Column{
			Name: name, Type: Timestamp, Nullable: new(bool), Default: &Value{Expr: now}, Pos: c.Pos,
		})
	}
}

var specificPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_ ]*(\( *[0-9]+ *(, *[0-9]+ *)?\))?$`)

// typeOf checks the type and fills the lengths that the file left out.
func (d *decoder) typeOf(c *Column, f *columnFile, n *yaml.Node) {
	what := "column " + c.Name
	if c.Type == "" {
		d.fail(n, "%s has no type: write type: string", what)
		return
	}
	if !slices.Contains(types, c.Type) {
		var names []string
		for _, t := range types {
			names = append(names, string(t))
		}
		d.fail(n, "%s: unknown type %q%s", what, c.Type, suggest(string(c.Type), names))
		return
	}
	only := func(written bool, key string, on ...Type) {
		if written && !slices.Contains(on, c.Type) {
			d.fail(n, "%s: %s has no meaning for type %s: remove it", what, key, c.Type)
		}
	}
	only(f.length != nil, "length", String, NanoID)
	only(f.precision != nil, "precision", Decimal)
	only(f.scaleAt != nil, "scale", Decimal)
	only(c.Values != nil, "values", Enum)
	only(c.Specific != "", "specificType", SpecificType)
	only(c.Unsigned, "unsigned", Increments, BigIncrements, Integer, BigInteger)
	switch c.Type {
	case Increments, BigIncrements:
		c.Unsigned = false // it never goes below one, so there is nothing to hold it to
	case String:
		setDefault(&c.Length, 255)
	case NanoID:
		setDefault(&c.Length, nanoidLength)
	case Decimal:
		setDefault(&c.Precision, 10)
		if f.scaleAt == nil {
			c.Scale = min(2, c.Precision)
		}
		if c.Scale > c.Precision {
			d.fail(n, "%s: scale %d is over precision %d: precision counts all digits", what, c.Scale, c.Precision)
		}
	case Enum:
		if len(c.Values) == 0 {
			d.fail(n, "%s: an enum needs values: [a, b]", what)
		}
	case SpecificType:
		if !specificPattern.MatchString(c.Specific) {
			d.fail(n, "%s: specificType %q: write a type as the database spells it: specificType: CITEXT", what, c.Specific)
		}
		if word := strings.ToUpper(c.Specific); strings.Contains(word, "PRIMARY") || strings.Contains(word, "REFERENCES") ||
			strings.Contains(word, "GENERATED") || strings.Contains(word, "CONSTRAINT") {
			d.fail(n, "%s: specificType %q: only a type goes here", what, c.Specific)
		}
	}
}

func setDefault(into *int, n int) {
	if *into == 0 {
		*into = n
	}
}

func (d *decoder) action(into *string, what string) field {
	return func(n *yaml.Node) {
		action := strings.ToUpper(strings.Join(strings.Fields(n.Value), " "))
		if n.Kind != yaml.ScalarNode || !slices.Contains([]string{noAction, "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"}, action) {
			d.fail(n, "%s: write no action, restrict, cascade, set null or set default", what)
			return
		}
		*into = action
	}
}

func (d *decoder) reference(t *Table, c *Column, f *columnFile, n *yaml.Node) {
	if f.references == nil {
		if f.onDelete != "" || f.onUpdate != "" {
			d.fail(n, "column %s: onDelete and onUpdate need references: {table: users, column: id}", c.Name)
		}
		return
	}
	fk := ForeignKey{Columns: []string{c.Name}, OnDelete: f.onDelete, OnUpdate: f.onUpdate, Pos: c.Pos}
	var column string
	d.fields(f.references, "references", map[string]field{
		"table":  d.text(&fk.RefTable, "references: table"),
		"column": d.text(&column, "references: column"),
	})
	if column == "" {
		column = "id"
	}
	fk.RefColumns = []string{column}
	d.addForeignKey(t, fk, f.references)
}

func (d *decoder) addForeignKey(t *Table, fk ForeignKey, n *yaml.Node) {
	if checkName(fk.RefTable) != nil {
		d.fail(n, "references: write table: users")
		return
	}
	for _, name := range fk.RefColumns {
		if checkName(name) != nil {
			d.fail(n, "references: write column: id")
			return
		}
	}
	if fk.OnDelete == "" {
		fk.OnDelete = noAction
	}
	if fk.OnUpdate == "" {
		fk.OnUpdate = noAction
	}
	for _, other := range t.ForeignKeys {
		if equalFold(other.Columns, fk.Columns) && strings.EqualFold(other.RefTable, fk.RefTable) {
			d.fail(n, "a foreign key from %s to %s is there already: keep one", strings.Join(fk.Columns, ", "), fk.RefTable)
			return
		}
	}
	t.ForeignKeys = append(t.ForeignKeys, fk)
}
