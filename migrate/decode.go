package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder reads the nodes of one file and collects its mistakes.
type decoder struct {
	file string
	errs []error
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, &FileError{File: d.file, Line: n.Line, Message: fmt.Sprintf(format, args...)})
}

// failAt is fail for what was read before and has its Pos.
func (d *decoder) failAt(pos, format string, args ...any) {
	line, _ := strconv.Atoi(pos[strings.LastIndexByte(pos, ':')+1:])
	d.fail(&yaml.Node{Line: line}, format, args...)
}

func (d *decoder) pos(n *yaml.Node) string { return d.file + ":" + strconv.Itoa(n.Line) }

// field is what to do with the value of one key.
type field func(value *yaml.Node)

// fields walks a mapping strictly: an unknown or repeated key is a mistake.
func (d *decoder) fields(n *yaml.Node, what string, known map[string]field) {
	d.each(n, what, func(key, value *yaml.Node) {
		read, ok := known[key.Value]
		if !ok {
			d.fail(key, "%s: unknown key %q%s", what, key.Value, suggest(key.Value, slices.Sorted(maps.Keys(known))))
			return
		}
		read(value)
	})
}

func (d *decoder) each(n *yaml.Node, what string, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s: write a mapping (key: value)", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.fail(key, "%s: a key must be a plain name", what)
			continue
		}
		if seen[key.Value] {
			d.fail(key, "%s: %q is written twice: keep one", what, key.Value)
			continue
		}
		seen[key.Value] = true
		visit(key, value)
	}
}

func (d *decoder) text(into *string, what string) field {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
			d.fail(n, "%s: write a text", what)
			return
		}
		*into = n.Value
	}
}

func (d *decoder) boolean(into *bool, what string) field {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(into) != nil {
			d.fail(n, "%s: write true or false", what)
		}
	}
}

func (d *decoder) integer(into *int, low, high int, what string) field {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || n.Decode(into) != nil || *into < low || *into > high {
			d.fail(n, "%s: write a whole number from %d to %d", what, low, high)
			*into = low
		}
	}
}

func (d *decoder) list(into *[]string, what string) field {
	return func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
			*into = []string{n.Value}
			return
		}
		if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
			d.fail(n, "%s: write a list: [a, b]", what)
			return
		}
		for _, item := range n.Content {
			var s string
			d.text(&s, what)(item)
			if slices.Contains(*into, s) {
				d.fail(item, "%s: %q is written twice: keep one", what, s)
				continue
			}
			*into = append(*into, s)
		}
	}
}

// parseTable reads one file. The table is never nil, so that later checks can go on.
func parseTable(file, name string, data []byte) (*Table, []error) {
	d := &decoder{file: file}
	t := &Table{Name: name, Pos: file + ":1"}
	root, err := parseYAML(data)
	if err != nil {
		return t, []error{&FileError{File: file, Line: yamlLine(err), Message: yamlMessage(err)}}
	}
	if root == nil {
		return t, []error{&FileError{File: file, Line: 1, Message: "is empty: write at least columns"}}
	}
	d.noAnchors(root)
	if len(d.errs) > 0 {
		return t, d.errs
	}
	var seed, seedKey, seedMode, indexes, keys *yaml.Node
	keep := func(into **yaml.Node) field { return func(n *yaml.Node) { *into = n } }
	d.fields(root, "table "+name, map[string]field{
		"columns":     func(n *yaml.Node) { d.columns(t, n) },
		"indexes":     keep(&indexes),
		"foreignKeys": keep(&keys),
		"seed":        keep(&seed),
		"seedKey":     keep(&seedKey),
		"seedMode":    keep(&seedMode),
	})
	if len(t.Columns) == 0 && len(d.errs) == 0 {
		d.fail(root, "table %s has no columns: write columns: {id: {type: increments}}", name)
	}
	d.indexes(t, indexes)
	d.foreignKeys(t, keys)
	d.check(t)
	if len(d.errs) == 0 {
		d.seed(t, seed, seedKey, seedMode)
	}
	return t, d.errs
}

func parseYAML(data []byte) (*yaml.Node, error) {
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err == nil {
			err = fmt.Errorf("yaml: line %d: a second document: one table a file", more.Line)
		}
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}

// yamlLine takes the line out of the parser's message, which has no other place for it.
func yamlLine(err error) int {
	_, rest, found := strings.Cut(err.Error(), "line ")
	if !found {
		return 1
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	line, err := strconv.Atoi(rest[:end])
	if err != nil {
		return 1
	}
	return line
}

func yamlMessage(err error) string {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "+strconv.Itoa(yamlLine(err))+": "); ok {
		message = rest
	}
	return "is no valid YAML: " + message
}

// noAnchors refuses aliases: a file of a kilobyte could otherwise stand for gigabytes.
func (d *decoder) noAnchors(n *yaml.Node) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(n, "anchors and aliases are not allowed: write the value out")
		return
	}
	for _, child := range n.Content {
		d.noAnchors(child)
	}
}

// suggest names the nearest of known, or all of them.
func suggest(got string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if dist := distance(strings.ToLower(got), strings.ToLower(k)); dist < bestDistance {
			best, bestDistance = k, dist
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %q?", best)
	}
	return ": write one of " + strings.Join(known, ", ")
}

func distance(a, b string) int {
	if len(a) > 32 || len(b) > 32 {
		return 32
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
