package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxFileBytes bounds one schema file: its seeds are part of it, a data set is not.
const maxFileBytes = 4 << 20

// FileError is one mistake in a schema file and what to write instead.
type FileError struct {
	File    string
	Line    int // 0 where the mistake is the file's name
	Message string
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("migrate: %s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("migrate: %s:%d: %s", e.File, e.Line, e.Message)
}

// LoadFS reads dir/<table>.yaml for the default connection and dir/<connection>/<table>.yaml for others. A missing dir is an
// empty schema. All mistakes of all files are returned together, each a [*FileError].
func LoadFS(fsys fs.FS, dir string) (*Schema, error) {
	schema := &Schema{Tables: map[string]*Table{}, others: map[string]*Schema{}}
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return schema, nil
	}
	if err != nil {
		return nil, fmt.Errorf("migrate: read %s: %w", dir, err)
	}
	errs := schema.loadDir(fsys, dir, entries)
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		folder := path.Join(dir, entry.Name())
		if err := checkName(entry.Name()); err != nil || entry.Name() == DefaultConnection {
			errs = append(errs, &FileError{File: folder, Message: "is no connection name: " +
				"use letters, digits and _, and put the files of the default connection directly under " + dir})
			continue
		}
		inner, err := fs.ReadDir(fsys, folder)
		if err != nil {
			return nil, fmt.Errorf("migrate: read %s: %w", folder, err)
		}
		other := &Schema{Tables: map[string]*Table{}}
		errs = append(errs, other.loadDir(fsys, folder, inner)...)
		schema.others[entry.Name()] = other
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return schema, nil
}

func (s *Schema) loadDir(fsys fs.FS, dir string, entries []fs.DirEntry) (errs []error) {
	folded := map[string]string{}
	for _, entry := range entries {
		file := path.Join(dir, entry.Name())
		name, isYAML := strings.CutSuffix(entry.Name(), ".yaml")
		switch {
		case entry.IsDir() || strings.HasPrefix(entry.Name(), "."):
			continue
		case strings.HasSuffix(entry.Name(), ".yml"):
			errs = append(errs, &FileError{File: file, Message: "rename it to end in .yaml"})
			continue
		case !isYAML:
			continue
		}
		if err := checkName(name); err != nil {
			errs = append(errs, &FileError{File: file, Message: "table " + err.Error()})
			continue
		}
		if other := folded[fold(name)]; other != "" {
			errs = append(errs, &FileError{File: file, Message: "differs from " + other + " only in case: keep one"})
			continue
		}
		folded[fold(name)] = entry.Name()
		data, err := readFile(fsys, file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		table, fileErrs := parseTable(file, name, data)
		errs = append(errs, fileErrs...)
		s.Tables[name] = table
	}
	return errs
}

func readFile(fsys fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(fsys, file)
	if err == nil && info.Size() > maxFileBytes {
		return nil, &FileError{File: file, Message: fmt.Sprintf("is larger than %d bytes: load such data by a migration", maxFileBytes)}
	}
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("migrate: read %s: %w", file, err)
	}
	return data, nil
}

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// checkName accepts what all three databases accept as a name: at most 63 bytes (PostgreSQL cuts longer ones).
func checkName(name string) error {
	folded := fold(name)
	switch {
	case len(name) > 63:
		return fmt.Errorf("name %q has over 63 bytes: shorten it", name)
	case !namePattern.MatchString(name):
		return fmt.Errorf("name %q: use letters, digits and _, and begin with a letter", name)
	case strings.HasPrefix(folded, "_odac_"), strings.HasPrefix(folded, "sqlite_"), strings.HasPrefix(folded, "pg_"):
		return fmt.Errorf("name %q is reserved: choose one that does not begin with _odac_, sqlite_ or pg_", name)
	}
	return nil
}

// sorted returns the tables by name.
func (s *Schema) sorted() []*Table {
	out := make([]*Table, 0, len(s.Tables))
	for _, t := range s.Tables {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Table) int { return strings.Compare(a.Name, b.Name) })
	return out
}
