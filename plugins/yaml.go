package plugins

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a manifest that are checked before it is parsed: the parser's time grows with the square of nesting.
const (
	maxManifestBytes = 32 << 10
	maxCollections   = 2000
	maxProblems      = 20
)

// field is one key of a mapping. Parsing and the JSON schema both come from it, so that they cannot disagree.
type field struct {
	key    string
	doc    string
	schema map[string]any
	sub    []field // for the JSON schema: the keys of a mapping
	read   func(*decoder, value)
}

// value is a node with the dotted key under which it stands. Its name is the key's last part.
type value struct {
	key, name string
	at        position // of the key
	node      ast.Node
}

// pos is where the value stands, or its key when the parser gives no better place (a block mapping).
func (v value) pos() position {
	switch n := v.node.(type) {
	case nil, *ast.NullNode:
		return v.at
	case *ast.MappingNode:
		if !n.IsFlowStyle {
			return v.at
		}
	case *ast.LiteralNode:
		return tokenPosition(n.Start)
	}
	return tokenPosition(v.node.GetToken())
}

func tokenPosition(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, max(1, t.Position.Column)}
}

// decoder walks a manifest and collects what is wrong with it.
type decoder struct {
	problems []Problem
	seen     map[string]position
}

func (d *decoder) problem(at position, key, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{at.line, at.column, key, fmt.Sprintf(format, args...)})
	}
}

func (d *decoder) wrong(v value, format string, args ...any) {
	d.problem(v.pos(), v.key, format, args...)
}

// parseYAML gives the one document of a file. What it refuses is in d.problems.
func (d *decoder) parseYAML(data []byte) (ast.Node, bool) {
	switch {
	case len(data) > maxManifestBytes:
		d.problem(position{}, "", "is %s; a manifest is at most %s", FormatSize(int64(len(data))), FormatSize(maxManifestBytes))
		return nil, false
	case !utf8.Valid(data):
		d.problem(position{}, "", "is not UTF-8: save it as UTF-8")
		return nil, false
	case collections(data) > maxCollections:
		d.problem(position{}, "", "has more than %d lists, mappings and list items; a manifest needs far fewer", maxCollections)
		return nil, false
	}
	if at, c := controlCharacter(data); c >= 0 {
		d.problem(at, "", "has the control character %#02x: delete it", c)
		return nil, false
	}
	file, err := parseAST(data)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			d.problem(tokenPosition(syntax.Token), "", "is not YAML: %s", syntax.Message)
		} else {
			d.problem(position{}, "", "is not YAML: %s", err)
		}
		return nil, false
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch _, directive := doc.Body.(*ast.DirectiveNode); {
		case doc.Body == nil || directive:
		case body != nil:
			d.problem(tokenPosition(doc.Body.GetToken()), "", "is a second document: a manifest is one; delete the line ---")
			return nil, false
		default:
			body = doc.Body
		}
	}
	if body == nil {
		d.problem(position{}, "", "is empty: write at least name and version")
		return nil, false
	}
	return body, true
}

// collections is at least the depth of nesting.
func collections(data []byte) int {
	n := 0
	for _, start := range []string{"[", "{", "- ", "-\t", "-\n", "-\r", "? "} {
		n += bytes.Count(data, []byte(start))
	}
	return n
}

// parseAST keeps a mistake of the parser from being more than an unreadable file.
func parseAST(data []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	return parser.ParseBytes(data, 0)
}

func controlCharacter(data []byte) (position, int) {
	line, start := 1, 0
	for i, c := range data {
		switch {
		case c == '\n':
			line, start = line+1, i+1
		case c < ' ' && c != '\t' && c != '\r', c == 0x7f:
			return position{line, utf8.RuneCount(data[start:i]) + 1}, int(c)
		}
	}
	return position{}, -1
}

// plain refuses what a manifest has no use for: tags, anchors, aliases.
func (d *decoder) plain(v value) bool {
	switch v.node.(type) {
	case *ast.TagNode:
		d.wrong(v, "tags (!) are not read: write the value alone")
	case *ast.AnchorNode:
		d.wrong(v, "anchors (&) are not read: write the value alone, or quote one that starts with &")
	case *ast.AliasNode:
		d.wrong(v, "aliases (*) are not read: write the value out, or quote one that starts with *")
	default:
		return true
	}
	return false
}

// entries are a mapping's values, in order, with their keys.
func (d *decoder) entries(v value) []value {
	if !d.plain(v) {
		return nil
	}
	mapping, ok := v.node.(*ast.MappingNode)
	if !ok {
		d.wrong(v, "is %s: write keys and values below it", kindOf(v.node))
		return nil
	}
	list := make([]value, 0, len(mapping.Values))
	for _, entry := range mapping.Values {
		at := tokenPosition(entry.Key.GetToken())
		name, ok := keyText(entry.Key)
		if !ok {
			d.problem(at, v.key, "has a key that is not plain text: write key: value")
			continue
		}
		key := name
		if v.key != "" {
			key = v.key + "." + name
		}
		list = append(list, value{key: key, name: name, at: at, node: entry.Value})
	}
	return list
}

func keyText(key ast.Node) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return k.GetToken().Value, true
	}
	return "", false
}

// fields reads a mapping whose keys are known.
func (d *decoder) fields(v value, fields []field) {
	entries := d.entries(v)
	for _, e := range entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.name })
		if i < 0 {
			names := make([]string, len(fields))
			for j, f := range fields {
				names[j] = f.key
			}
			d.problem(e.at, e.key, "unknown key; %s", suggest(e.name, names))
			continue
		}
		if d.seen == nil {
			d.seen = map[string]position{}
		}
		d.seen[e.key] = e.at
		if d.plain(e) {
			fields[i].read(d, e)
		}
	}
}

// text is a scalar as it is written; numbers and booleans are their text.
func (d *decoder) text(v value) (string, bool) {
	if !d.plain(v) {
		return "", false
	}
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", true
		}
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		d.wrong(v, "has no value: write one or delete the key")
	default:
		d.wrong(v, "is %s: write one value", kindOf(v.node))
	}
	return "", false
}

func (d *decoder) boolean(v value) bool {
	if n, ok := v.node.(*ast.BoolNode); ok {
		return n.Value
	}
	d.wrong(v, "is %s: write true or false", kindOf(v.node))
	return false
}

func (d *decoder) list(v value) []value {
	if !d.plain(v) {
		return nil
	}
	sequence, ok := v.node.(*ast.SequenceNode)
	if !ok {
		d.wrong(v, "is %s: write a list, such as [a, b]", kindOf(v.node))
		return nil
	}
	list := make([]value, len(sequence.Values))
	for i, n := range sequence.Values {
		list[i] = value{key: fmt.Sprintf("%s[%d]", v.key, i), at: v.at, node: n}
	}
	return list
}

// texts is a list of different strings that check accepts, sorted.
func (d *decoder) texts(v value, check func(string) error) []string {
	list := d.list(v)
	var texts []string
	for _, item := range list {
		s, ok := d.text(item)
		if !ok {
			continue
		}
		if err := check(s); err != nil {
			d.wrong(item, "%v", err)
		} else if slices.Contains(texts, s) {
			d.wrong(item, "%q is there twice: delete one", s)
		} else {
			texts = append(texts, s)
		}
	}
	slices.Sort(texts)
	return texts
}

func (d *decoder) duration(v value) (time.Duration, bool) {
	s, ok := d.text(v)
	if !ok {
		return 0, false
	}
	n, err := ParseDuration(s)
	if err != nil {
		d.wrong(v, "%v", err)
	}
	return n, err == nil
}

func (d *decoder) size(v value) (int64, bool) {
	s, ok := d.text(v)
	if !ok {
		return 0, false
	}
	n, err := ParseSize(s)
	if err != nil {
		d.wrong(v, "%v", err)
	}
	return n, err == nil
}

func (d *decoder) count(v value) (int64, bool) {
	s, ok := d.text(v)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil {
		d.wrong(v, "%q is not a whole number: write one, such as 100", s)
	}
	return n, err == nil
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case nil, *ast.NullNode:
		return "without a value"
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "a text"
	case *ast.BoolNode:
		return "a boolean"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "not a plain value"
}
