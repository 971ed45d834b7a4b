package migrate

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML writes the table as a schema file, which ParseTable reads as the same table. Seeds are not in it.
func (t *Table) YAML() ([]byte, error) {
	root := yamlMap(0)
	columns := yamlMap(0)
	for _, c := range t.filed() {
		yamlPut(columns, c.Name, t.columnNode(c))
	}
	yamlPut(root, "columns", columns)
	indexes := &yaml.Node{Kind: yaml.SequenceNode}
	for _, x := range t.Indexes {
		if t.inColumn(x) == "" {
			indexes.Content = append(indexes.Content, indexNode(t.Name, x))
		}
	}
	if len(indexes.Content) > 0 {
		yamlPut(root, "indexes", indexes)
	}
	keys := &yaml.Node{Kind: yaml.SequenceNode}
	for _, fk := range t.ForeignKeys {
		if len(fk.Columns) > 1 {
			keys.Content = append(keys.Content, keyNode(fk))
		}
	}
	if len(keys.Content) > 0 {
		yamlPut(root, "foreignKeys", keys)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("migrate: write table %s: %w", t.Name, err)
	}
	return b.Bytes(), nil
}

// filed are the columns in the order of the file: the primary key has the order of its columns there.
func (t *Table) filed() []*Column {
	out := slices.Clone(t.Columns)
	slices.SortStableFunc(out, func(a, b *Column) int { return t.keyPlace(a) - t.keyPlace(b) })
	if names := primaryNames(t.Columns); equalFold(names, t.PrimaryKey) {
		return t.Columns
	}
	return out
}

func primaryNames(columns []*Column) []string {
	var out []string
	for _, c := range columns {
		if c.Primary {
			out = append(out, c.Name)
		}
	}
	return out
}

func (t *Table) keyPlace(c *Column) int {
	if i := slices.IndexFunc(t.PrimaryKey, func(s string) bool { return strings.EqualFold(s, c.Name) }); i >= 0 {
		return i
	}
	return len(t.PrimaryKey)
}

// inColumn is the column whose "unique: true" stands for the index, "" if it is written out.
func (t *Table) inColumn(x Index) string {
	if x.Unique && len(x.Columns) == 1 && x.Where == "" && !x.Named {
		return x.Columns[0]
	}
	return ""
}

func (t *Table) columnNode(c *Column) *yaml.Node {
	out := yamlMap(yaml.FlowStyle)
	yamlPut(out, "type", yamlText(string(c.Type)))
	number := func(key string, n int, write bool) {
		if write {
			yamlPut(out, key, yamlScalar("!!int", fmt.Sprint(n)))
		}
	}
	flag := func(key string, write bool) {
		if write {
			yamlPut(out, key, yamlScalar("!!bool", "true"))
		}
	}
	number("length", c.Length, c.Type == String && c.Length != 255 || c.Type == NanoID && c.Length != nanoidLength)
	number("precision", c.Precision, c.Type == Decimal)
	number("scale", c.Scale, c.Type == Decimal)
	if c.Type == Enum {
		yamlPut(out, "values", yamlList(c.Values))
	}
	if c.Type == SpecificType {
		yamlPut(out, "specificType", yamlText(c.Specific))
	}
	flag("unsigned", c.Unsigned)
	flag("primary", c.Primary && !isSerial(c))
	if c.Nullable != nil && !c.Primary {
		yamlPut(out, "nullable", yamlScalar("!!bool", fmt.Sprint(*c.Nullable)))
	}
	if c.Default != nil {
		yamlPut(out, "default", valueNode(c, c.Default))
	}
	flag("unique", slices.ContainsFunc(t.Indexes, func(x Index) bool { return t.inColumn(x) == c.Name }))
	for _, fk := range t.ForeignKeys {
		if len(fk.Columns) == 1 && strings.EqualFold(fk.Columns[0], c.Name) {
			target := yamlMap(yaml.FlowStyle)
			yamlPut(target, "table", yamlText(fk.RefTable))
			yamlPut(target, "column", yamlText(fk.RefColumns[0]))
			yamlPut(out, "references", target)
			putActions(out, fk)
		}
	}
	if c.Comment != "" {
		yamlPut(out, "comment", yamlText(c.Comment))
	}
	return out
}

func putActions(n *yaml.Node, fk ForeignKey) {
	if fk.OnDelete != noAction {
		yamlPut(n, "onDelete", yamlText(strings.ToLower(fk.OnDelete)))
	}
	if fk.OnUpdate != noAction {
		yamlPut(n, "onUpdate", yamlText(strings.ToLower(fk.OnUpdate)))
	}
}

func indexNode(table string, x Index) *yaml.Node {
	out := yamlMap(yaml.FlowStyle)
	yamlPut(out, "columns", yamlList(x.Columns))
	if x.Unique {
		yamlPut(out, "unique", yamlScalar("!!bool", "true"))
	}
	if x.Named && x.Name != indexName(table, x) {
		yamlPut(out, "name", yamlText(x.Name))
	}
	if x.Where != "" {
		yamlPut(out, "where", yamlText(x.Where))
	}
	return out
}

func keyNode(fk ForeignKey) *yaml.Node {
	out := yamlMap(yaml.FlowStyle)
	yamlPut(out, "columns", yamlList(fk.Columns))
	target := yamlMap(yaml.FlowStyle)
	yamlPut(target, "table", yamlText(fk.RefTable))
	yamlPut(target, "columns", yamlList(fk.RefColumns))
	yamlPut(out, "references", target)
	putActions(out, fk)
	return out
}

// valueNode writes a default so that it is read back as the same value.
func valueNode(c *Column, v *Value) *yaml.Node {
	if v.Expr != "" {
		out := yamlMap(yaml.FlowStyle)
		yamlPut(out, "expression", yamlText(v.Expr))
		return out
	}
	switch c.Type {
	case Integer, BigInteger:
		return yamlScalar("!!int", v.Text)
	case Float, Decimal:
		if strings.ContainsAny(v.Text, ".e") {
			return yamlScalar("!!float", v.Text)
		}
		return yamlScalar("!!int", v.Text)
	case Boolean:
		return yamlScalar("!!bool", fmt.Sprint(v.Text == "1"))
	case Binary:
		if b, err := hex.DecodeString(v.Text); err == nil {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!binary", Value: base64.StdEncoding.EncodeToString(b), Style: yaml.TaggedStyle}
		}
	case JSON, JSONB:
		dec := json.NewDecoder(strings.NewReader(v.Text))
		dec.UseNumber()
		var value any
		if dec.Decode(&value) == nil {
			return jsonNode(value)
		}
	}
	return yamlText(v.Text)
}

func jsonNode(v any) *yaml.Node {
	switch v := v.(type) {
	case nil:
		return yamlScalar("!!null", "null")
	case bool:
		return yamlScalar("!!bool", fmt.Sprint(v))
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return yamlScalar("!!float", v.String())
		}
		return yamlScalar("!!int", v.String())
	case []any:
		out := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			out.Content = append(out.Content, jsonNode(item))
		}
		return out
	case map[string]any:
		out := yamlMap(yaml.FlowStyle)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			yamlPut(out, key, jsonNode(v[key]))
		}
		return out
	}
	return yamlText(fmt.Sprint(v))
}

func yamlMap(style yaml.Style) *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Style: style} }

func yamlScalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func yamlText(s string) *yaml.Node { return yamlScalar("!!str", s) }

func yamlList(items []string) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, s := range items {
		out.Content = append(out.Content, yamlText(s))
	}
	return out
}

func yamlPut(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, yamlText(key), value)
}
