package jsschema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
	"go.yaml.in/yaml/v3"
)

const (
	maxNodes = 200_000 // values in one file, seeds included
	maxDepth = 64      // of values inside one another
)

// converter turns what one file exported into the nodes of a YAML file.
type converter struct {
	file  string
	lines lines
	notes []string
	errs  []error
	nodes int
}

func (c *converter) fail(path, format string, args ...any) {
	c.errs = append(c.errs, &Error{c.file, c.lines.at(path), fmt.Sprintf(format, args...)})
}

func (c *converter) note(path, format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf("%s:%d: ", c.file, c.lines.at(path))+fmt.Sprintf(format, args...))
}

// olap are the keys that only ClickHouse reads.
var olap = []string{"engine", "orderBy", "partitionBy", "ttl", "settings"}

func (c *converter) table(root *goja.Object) *yaml.Node {
	out := mapping(0)
	for _, key := range root.Keys() {
		value := root.Get(key)
		switch {
		case absent(value):
		case slices.Contains(olap, key):
			c.fail(key, "%s is a key of ClickHouse, which has no counterpart here: remove it, or keep this table where it is", key)
		case key == "columns":
			put(out, key, c.columns(value))
		case key == "seedKey":
			put(out, key, c.value(key, value, 0))
			put(out, "seedMode", text("sync")) // odac.js writes what differs, at each run
		case key == "seed":
			put(out, key, c.seed(root, value))
		case key == "indexes":
			if node := c.value(key, value, 0); len(node.Content) > 0 {
				node.Style = 0 // each index on a line of its own
				put(out, key, node)
			}
		default:
			c.fail(key, "there is no key %q in a schema: remove it", key)
		}
	}
	return out
}

func (c *converter) columns(value goja.Value) *yaml.Node {
	out := mapping(0)
	columns, ok := value.(*goja.Object)
	if !ok || columns.ClassName() != "Object" {
		c.fail("columns", "columns is no object: write columns: {id: {type: 'increments'}}")
		return out
	}
	for _, name := range columns.Keys() {
		path := join("columns", name)
		def, ok := columns.Get(name).(*goja.Object)
		if !ok || def.ClassName() != "Object" {
			c.fail(path, "column %s is no object: write %s: {type: 'string'}", name, name)
			continue
		}
		put(out, name, c.column(path, def))
	}
	return out
}

// known are the types that both sides call the same.
var known = []string{
	"increments", "bigIncrements", "integer", "bigInteger", "float", "decimal", "string", "text", "boolean", "date", "datetime", "timestamp",
	"time", "binary", "json", "jsonb", "uuid", "nanoid", "enum", "specificType", "timestamps",
}

// column carries one column over. odac.js hands a type that it does not know to the database as it is written.
func (c *converter) column(path string, def *goja.Object) *yaml.Node {
	out := mapping(yaml.FlowStyle)
	typ := ""
	if t := def.Get("type"); !absent(t) {
		typ = t.String()
	}
	serial := typ == "increments" || typ == "bigIncrements"
	for _, key := range def.Keys() {
		at, value := join(path, key), def.Get(key)
		switch {
		case absent(value):
		case key == "type" && !slices.Contains(known, typ):
			put(out, key, text("specificType"))
			put(out, "specificType", text(typ))
		case key == "ttl":
			c.fail(at, "ttl is a key of ClickHouse, which has no counterpart here: remove it")
		case key == "textType":
			c.note(at, "%s is left out: text holds what %s holds", key, value)
		case typ == "specificType" && (key == "length" || key == "specificType"):
			put(out, "specificType", c.value(at, value, 0))
		case key == "length" && typ == "binary", (key == "precision" || key == "scale") && typ == "float":
			c.note(at, "%s is left out: type %s has none", key, typ)
		case key == "unique" && serial, key == "primary" && serial:
			// its type says so
		case key == "default":
			if goja.IsNull(value) {
				continue
			}
			put(out, key, c.defaultValue(at, typ, value))
		default:
			put(out, key, c.value(at, value, 0))
		}
	}
	return out
}

// nowTexts are the texts that odac.js hands to the database without quotes.
var nowTexts = []string{"current_timestamp", "current_timestamp()", "now()"}

func (c *converter) defaultValue(path, typ string, value goja.Value) *yaml.Node {
	if s, ok := value.Export().(string); ok && slices.Contains(nowTexts, strings.ToLower(strings.TrimSpace(s))) {
		out := mapping(yaml.FlowStyle)
		put(out, "expression", text("now()"))
		return out
	}
	return c.cell(path, typ, value)
}

// cell is the value of a column. A text in a JSON column is JSON already, for the reference writes it as it is.
func (c *converter) cell(path, typ string, value goja.Value) *yaml.Node {
	s, isText := value.Export().(string)
	if !isText || typ != "json" && typ != "jsonb" {
		return c.value(path, value, 0)
	}
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		c.fail(path, "%q is no JSON: write an object, or a text that holds JSON", s)
		return text(s)
	}
	return jsonNode(v)
}

func (c *converter) seed(root *goja.Object, value goja.Value) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	rows, ok := value.(*goja.Object)
	if !ok || rows.ClassName() != "Array" {
		c.fail("seed", "seed is no list: write seed: [{...}]")
		return out
	}
	columns, _ := root.Get("columns").(*goja.Object)
	for _, i := range rows.Keys() {
		path := join("seed", i)
		row, ok := rows.Get(i).(*goja.Object)
		if !ok || row.ClassName() != "Object" {
			c.fail(path, "a row of seed is no object: write {name: 'value'}")
			continue
		}
		node := mapping(yaml.FlowStyle)
		for _, name := range row.Keys() {
			typ := ""
			if columns != nil {
				if def, ok := columns.Get(name).(*goja.Object); ok && !absent(def.Get("type")) {
					typ = def.Get("type").String()
				}
			}
			if v := row.Get(name); !absent(v) {
				put(node, name, c.cell(join(path, name), typ, v))
			}
		}
		out.Content = append(out.Content, node)
	}
	return out
}

// value carries over what has a form in YAML.
func (c *converter) value(path string, value goja.Value, depth int) *yaml.Node {
	if c.nodes++; c.nodes > maxNodes || depth > maxDepth {
		if c.nodes <= maxNodes+1 {
			c.fail(path, "is too large or refers to itself: at most %d values, %d inside one another", maxNodes, maxDepth)
		}
		c.nodes = maxNodes + 1
		return text("")
	}
	object, ok := value.(*goja.Object)
	if !ok {
		return c.scalar(path, value)
	}
	switch object.ClassName() {
	case "Array":
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, i := range object.Keys() {
			out.Content = append(out.Content, c.value(join(path, i), object.Get(i), depth+1))
		}
		return out
	case "Object":
		out := mapping(yaml.FlowStyle)
		for _, key := range object.Keys() {
			if v := object.Get(key); !absent(v) {
				put(out, key, c.value(join(path, key), v, depth+1))
			}
		}
		return out
	case "Date":
		if at, ok := object.Export().(time.Time); ok {
			return text(at.UTC().Format(time.RFC3339Nano))
		}
	}
	c.fail(path, "a %s cannot be carried over: write the value itself", strings.ToLower(object.ClassName()))
	return text("")
}

func (c *converter) scalar(path string, value goja.Value) *yaml.Node {
	if goja.IsNull(value) {
		return scalar("!!null", "null")
	}
	switch v := value.Export().(type) {
	case string:
		return text(v)
	case bool:
		return scalar("!!bool", strconv.FormatBool(v))
	case int64:
		return scalar("!!int", strconv.FormatInt(v, 10))
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return scalar("!!float", strconv.FormatFloat(v, 'f', -1, 64))
		}
	case fmt.Stringer: // a BigInt
		return scalar("!!int", v.String())
	}
	c.fail(path, "%s cannot be carried over: write a text, a number, true, false or null", value)
	return text("")
}

// absent is a key that was given undefined.
func absent(v goja.Value) bool { return v == nil || goja.IsUndefined(v) }

func jsonNode(v any) *yaml.Node {
	switch v := v.(type) {
	case nil:
		return scalar("!!null", "null")
	case bool:
		return scalar("!!bool", strconv.FormatBool(v))
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return scalar("!!float", v.String())
		}
		return scalar("!!int", v.String())
	case []any:
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, item := range v {
			out.Content = append(out.Content, jsonNode(item))
		}
		return out
	case map[string]any:
		out := mapping(yaml.FlowStyle)
		for _, key := range sortedKeys(v) {
			put(out, key, jsonNode(v[key]))
		}
		return out
	}
	return text(fmt.Sprint(v))
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func mapping(style yaml.Style) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: style}
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func text(s string) *yaml.Node { return scalar("!!str", s) }

func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, text(key), value)
}
