package jsschema

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/odac-run/odachost/migrate"
)

// maxFileBytes bounds one JavaScript file.
const maxFileBytes = 4 << 20

// Options are those of Import. The zero value is usable.
type Options struct {
	// Time is how long one file may run. Zero is two seconds.
	Time time.Duration
}

// Result is what Import made.
type Result struct {
	// Files are the schema files by name, as <table>.yaml or <connection>/<table>.yaml.
	Files map[string][]byte
	// Notes say what was left out because it means nothing here, each with file and line.
	Notes []string
}

// Import reads every .js file of fsys and of its folders, which are connections. All that cannot be carried over is returned
// together, each an [*Error]; there is then no result.
func Import(fsys fs.FS, o Options) (*Result, error) {
	if o.Time == 0 {
		o.Time = 2 * time.Second
	}
	var names []string
	for _, pattern := range []string{"*.js", "*/*.js"} {
		found, err := fs.Glob(fsys, pattern)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	out := &Result{Files: map[string][]byte{}}
	var errs []error
	for _, name := range names {
		data, notes, err := importFile(fsys, name, o.Time)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out.Files[strings.TrimSuffix(name, ".js")+".yaml"] = data
		out.Notes = append(out.Notes, notes...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

func importFile(fsys fs.FS, name string, limit time.Duration) ([]byte, []string, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", name, err)
	}
	if info.Size() > maxFileBytes {
		return nil, nil, &Error{name, 1, fmt.Sprintf("is larger than %d bytes", maxFileBytes)}
	}
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", name, err)
	}
	c := &converter{file: name}
	var root *yaml.Node
	if err := evaluate(name, string(source), limit, func(e exports) error {
		c.lines = e.lines
		root = c.table(e.root)
		return errors.Join(c.errs...)
	}); err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# from %s\n", name)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, nil, fmt.Errorf("write %s: %w", name, err)
	}
	_, err = migrate.ParseTable(strings.TrimSuffix(name, ".js")+".yaml", b.Bytes())
	return b.Bytes(), c.notes, c.translate(err, b.Bytes())
}

// translate takes the mistakes that package migrate found in the YAML back to the lines of the JavaScript.
func (c *converter) translate(err error, data []byte) error {
	if err == nil {
		return nil
	}
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return err
	}
	list := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		list = many.Unwrap()
	}
	out := make([]error, 0, len(list))
	for _, e := range list {
		var mistake *migrate.FileError
		if errors.As(e, &mistake) {
			e = &Error{c.file, c.lines.at(pathAt(doc.Content[0], mistake.Line, "")), mistake.Message}
		}
		out = append(out, e)
	}
	return errors.Join(out...)
}

// pathAt is the path of the outermost key on a line: a column or a row is written on one.
func pathAt(n *yaml.Node, line int, at string) string {
	for i, child := range n.Content {
		key := strconv.Itoa(i)
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 0:
			if child.Line == line {
				return join(at, child.Value)
			}
			continue
		case n.Kind == yaml.MappingNode:
			key = n.Content[i-1].Value
		case child.Line == line:
			return join(at, key)
		}
		if found := pathAt(child, line, join(at, key)); found != "" {
			return found
		}
	}
	return ""
}
