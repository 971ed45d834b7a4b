package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// DefaultFile is read when it is there and no other file is named.
const DefaultFile = "odachost.yaml"

// document is a koanf.Parser for YAML that keeps scalars as they were written (1.10 stays 1.10) and remembers the line of
// each key.
type document struct {
	file  string
	lines map[string]int // by dotted path
	errs  []error
}

// Unmarshal implements koanf.Parser.
func (d *document) Unmarshal(text []byte) (map[string]any, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, d.syntax(err)
	}
	if len(root.Content) == 0 {
		return map[string]any{}, nil // an empty file
	}
	top := root.Content[0]
	if top.Kind != yaml.MappingNode {
		if top.Tag == "!!null" {
			return map[string]any{}, nil
		}
		return nil, d.wrong(top, "is no section: write keys, such as listen: 127.0.0.1:8080")
	}
	values := d.mapping(top, "")
	return values, errors.Join(d.errs...)
}

// Marshal implements koanf.Parser.
func (d *document) Marshal(values map[string]any) ([]byte, error) { return yaml.Marshal(values) }

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (d *document) syntax(err error) error {
	at := syntaxLine.FindStringSubmatch(err.Error())
	if at == nil {
		return fmt.Errorf("%s: %w", d.file, err)
	}
	if at[1] == "" {
		return fmt.Errorf("%s: not YAML: %s", d.file, err.Error()[len(at[0]):])
	}
	return fmt.Errorf("%s:%s: not YAML: %s", d.file, at[1], err.Error()[len(at[0]):])
}

func (d *document) wrong(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", d.file, n.Line, fmt.Sprintf(format, args...))
}

func (d *document) mapping(n *yaml.Node, prefix string) map[string]any {
	values := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := prefix + key.Value
		switch _, twice := values[key.Value]; {
		case key.Kind != yaml.ScalarNode, key.Tag == "!!merge", key.Value == "":
			d.errs = append(d.errs, d.wrong(key, "%q is no key: write a plain word", prefix+key.Value))
			continue
		case twice:
			d.errs = append(d.errs, d.wrong(key, "%s: is written twice: delete one", path))
			continue
		}
		d.lines[path] = key.Line
		switch value.Kind {
		case yaml.MappingNode:
			values[key.Value] = d.mapping(value, path+".")
		case yaml.SequenceNode:
			values[key.Value] = d.list(value, path)
		case yaml.AliasNode:
			d.errs = append(d.errs, d.wrong(value, "%s: aliases are not read: write the value again", path))
		default:
			if value.Tag == "!!null" {
				values[key.Value] = nil
			} else {
				values[key.Value] = value.Value
			}
		}
	}
	return values
}

func (d *document) list(n *yaml.Node, path string) []string {
	list := []string{}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			d.errs = append(d.errs, d.wrong(item, "%s: wants a list of single values", path))
			continue
		}
		list = append(list, item.Value)
	}
	return list
}

// where names a path of the file.
func (d *document) where(path string) string {
	if line := d.lines[path]; line > 0 {
		return fmt.Sprintf("%s:%d", d.file, line)
	}
	return d.file
}

// readFile reads the file into a layer; a file that nobody named may be missing. The document is nil without a file.
func readFile(name string, named bool) (*koanf.Koanf, *document, error) {
	layer := koanf.New(".")
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return layer, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("configuration file %s is not there: correct --config or ODAC_CONFIG", name)
	case err != nil:
		return nil, nil, fmt.Errorf("configuration file: %w", err)
	}
	d := &document{file: name, lines: make(map[string]int)}
	values, err := d.Unmarshal(text)
	if err != nil {
		return nil, nil, err
	}
	return layer, d, load(layer, values)
}
