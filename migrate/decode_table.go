package migrate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) indexes(t *Table, n *yaml.Node) {
	if n != nil && n.Kind != yaml.SequenceNode {
		d.fail(n, "indexes: write a list: - {columns: [a, b]}")
		n = nil
	}
	if n != nil {
		for _, item := range n.Content {
			x := Index{Pos: d.pos(item)}
			before := len(d.errs)
			d.fields(item, "index", map[string]field{
				"columns": d.list(&x.Columns, "index: columns"),
				"unique":  d.boolean(&x.Unique, "index: unique"),
				"name":    d.text(&x.Name, "index: name"),
				"where":   d.text(&x.Where, "index: where"),
			})
			if len(d.errs) == before {
				d.index(t, x, item)
			}
		}
	}
	names := map[string]bool{}
	for i := range t.Indexes {
		x := &t.Indexes[i]
		if x.Name == "" {
			x.Name = indexName(t.Name, *x)
		}
		if names[fold(x.Name)] && n != nil {
			d.failAt(x.Pos, "two indexes are called %s: give one another name", x.Name)
		}
		names[fold(x.Name)] = true
	}
}

func (d *decoder) index(t *Table, x Index, n *yaml.Node) {
	if len(x.Columns) == 0 {
		d.fail(n, "index: write columns: [a, b]")
		return
	}
	x.Named = x.Name != ""
	if x.Named {
		if err := checkName(x.Name); err != nil {
			d.fail(n, "index %s", err)
			return
		}
	}
	if x.Where != "" {
		if err := checkExpression(x.Where); err != nil {
			d.fail(n, "index: where: %s", err)
			return
		}
	}
	for i, name := range x.Columns {
		c := t.Column(name)
		if c == nil {
			d.fail(n, "index: there is no column %q%s", name, suggest(name, columnNames(t)))
			return
		}
		x.Columns[i] = c.Name
	}
	for i, other := range t.Indexes { // unique: true on the column and the same index written out are one index
		if slices.Equal(other.Columns, x.Columns) && other.Unique == x.Unique && other.Where == x.Where {
			if x.Named && !other.Named {
				t.Indexes[i] = x
				return
			}
			if x.Named && x.Name != other.Name {
				d.fail(n, "index %s is the same as %s: keep one", x.Name, other.Name)
			}
			return
		}
	}
	t.Indexes = append(t.Indexes, x)
}

// indexName is the name of an index whose file gives none. Names are one space in PostgreSQL and SQLite, so the table is in it.
func indexName(table string, x Index) string {
	suffix := "_index"
	if x.Unique {
		suffix = "_unique"
	}
	name := table + "_" + strings.Join(x.Columns, "_") + suffix
	if x.Where != "" || len(name) > 63 {
		sum := sha256.Sum256([]byte(table + "\x00" + strings.Join(x.Columns, "\x00") + "\x00" + x.Where))
		tail := "_" + hex.EncodeToString(sum[:4]) + suffix
		name = name[:min(len(name)-len(suffix), 63-len(tail))] + tail
	}
	return name
}

func (d *decoder) foreignKeys(t *Table, n *yaml.Node) {
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "foreignKeys: write a list: - {columns: [a, b], references: {table: t, columns: [c, d]}}")
		return
	}
	for _, item := range n.Content {
		fk := ForeignKey{Pos: d.pos(item)}
		before := len(d.errs)
		d.fields(item, "foreign key", map[string]field{
			"columns":  d.list(&fk.Columns, "foreign key: columns"),
			"onDelete": d.action(&fk.OnDelete, "foreign key: onDelete"),
			"onUpdate": d.action(&fk.OnUpdate, "foreign key: onUpdate"),
			"references": func(n *yaml.Node) {
				d.fields(n, "references", map[string]field{
					"table":   d.text(&fk.RefTable, "references: table"),
					"columns": d.list(&fk.RefColumns, "references: columns"),
				})
			},
		})
		switch {
		case len(d.errs) > before:
		case len(fk.Columns) == 0 || len(fk.Columns) != len(fk.RefColumns):
			d.fail(item, "foreign key: columns and references.columns must be as many")
		default:
			d.addForeignKey(t, fk, item)
		}
	}
}

// check looks at what needs the whole table.
func (d *decoder) check(t *Table) {
	for _, name := range t.PrimaryKey {
		if c := t.Column(name); len(t.PrimaryKey) > 1 && (c.Type == Increments || c.Type == BigIncrements) {
			d.failAt(c.Pos, "column %s: %s is the whole primary key: remove primary from the other columns", name, c.Type)
		}
	}
	for i, fk := range t.ForeignKeys {
		for j, name := range fk.Columns {
			c := t.Column(name)
			if c == nil {
				d.failAt(fk.Pos, "foreign key: there is no column %q%s", name, suggest(name, columnNames(t)))
				return
			}
			t.ForeignKeys[i].Columns[j] = c.Name
			if fk.OnDelete == "SET NULL" && c.Nullable != nil && !*c.Nullable {
				d.failAt(fk.Pos, "column %s: onDelete: set null needs nullable: true", name)
			}
		}
	}
	taken := map[string]string{}
	for _, c := range t.Columns {
		if c.RenamedFrom == "" {
			continue
		}
		if t.Column(c.RenamedFrom) != nil {
			d.failAt(c.Pos, "column %s: renamedFrom: %s is still a column of this table: remove one of the two", c.Name, c.RenamedFrom)
		}
		if other := taken[fold(c.RenamedFrom)]; other != "" {
			d.failAt(c.Pos, "columns %s and %s are both renamedFrom %s: keep one", other, c.Name, c.RenamedFrom)
		}
		taken[fold(c.RenamedFrom)] = c.Name
	}
}

func (d *decoder) seed(t *Table, rows, by, mode *yaml.Node) {
	key := ""
	if by != nil {
		if d.text(&key, "seedKey")(by); len(d.errs) > 0 {
			return
		}
	}
	if rows == nil {
		if n := cmp.Or(by, mode); n != nil {
			d.fail(n, "seedKey and seedMode need seed: a list of rows")
		}
		return
	}
	s := &Seed{Mode: InsertOnly}
	if mode != nil {
		s.Mode = SeedMode(mode.Value)
		if s.Mode != InsertOnly && s.Mode != Sync {
			d.fail(mode, "seedMode: write insert-only or sync")
		}
	}
	c := t.Column(key)
	switch {
	case key == "":
		d.fail(rows, "seed without seedKey: write seedKey: <column>, by which a row is known again")
		return
	case c == nil:
		d.fail(by, "seedKey: there is no column %q%s", key, suggest(key, columnNames(t)))
		return
	case rows.Kind != yaml.SequenceNode:
		d.fail(rows, "seed: write a list of rows: - {%s: ...}", key)
		return
	}
	s.Key = c.Name
	seen := map[any]bool{}
	for _, item := range rows.Content {
		row := SeedRow{Values: map[string]any{}, Pos: d.pos(item)}
		d.each(item, "seed", func(name, value *yaml.Node) {
			c := t.Column(name.Value)
			if c == nil {
				d.fail(name, "seed: there is no column %q%s", name.Value, suggest(name.Value, columnNames(t)))
				return
			}
			v, err := canonical(c, value)
			if err != nil {
				d.fail(value, "seed: column %s: %s", c.Name, err)
				return
			}
			row.Values[c.Name] = v
		})
		k := row.Values[s.Key]
		if b, ok := k.([]byte); ok {
			k = string(b)
		}
		if k == nil || seen[k] {
			d.fail(item, "seed: each row needs its own %s, which is the seedKey", s.Key)
			continue
		}
		seen[k] = true
		s.Rows = append(s.Rows, row)
	}
	t.Seed = s
}

func columnNames(t *Table) []string {
	var out []string
	for _, c := range t.Columns {
		out = append(out, c.Name)
	}
	return out
}
