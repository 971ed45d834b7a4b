package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// ErrFiles says that the migration files and what was applied of them do not fit together: a file was edited, or is missing.
var ErrFiles = errors.New("migrate: migration files")

// File is one migration: migration/<Name>.up.sql and, if it can be taken back, migration/<Name>.down.sql.
type File struct {
	Name string // the whole name without .up.sql: it is the key, and files run in its order
	Sum  string // SHA-256 of the .up.sql, in hexadecimal

	up, down fileText
}

// fileText is one of the two texts of a file.
type fileText struct {
	at, text string // path; "" if there is none
	// alone says that it has the line "-- odac: no-transaction": its statements run one by one.
	alone bool
}

// Files are the migration files of one connection, by name. They are read-only after LoadFiles and safe for concurrent use.
type Files struct {
	list   []*File
	others map[string]*Files
}

// List returns the files in their order.
func (f *Files) List() []*File {
	if f == nil {
		return nil
	}
	return slices.Clone(f.list)
}

// Connection returns the files of the named connection: none if there are none for it.
func (f *Files) Connection(name string) *Files {
	switch {
	case f == nil:
		return &Files{}
	case name == "" || name == DefaultConnection:
		return f
	case f.others[name] != nil:
		return f.others[name]
	}
	return &Files{}
}

// Connections returns the names of the connections that have files, sorted.
func (f *Files) Connections() []string {
	var names []string
	if f == nil {
		return nil
	}
	if len(f.list) > 0 {
		names = append(names, DefaultConnection)
	}
	for name := range f.others {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (f *Files) find(name string) *File {
	for _, file := range f.List() {
		if file.Name == name {
			return file
		}
	}
	return nil
}

const maxFileName = 150 // bytes: a key of MySQL holds it

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// LoadFiles reads dir/<name>.up.sql and .down.sql for the default connection and dir/<connection>/ for others. A missing dir is no
// files. All mistakes are returned together, each a [*FileError].
func LoadFiles(fsys fs.FS, dir string) (*Files, error) {
	out := &Files{others: map[string]*Files{}}
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("migrate: read %s: %w", dir, err)
	}
	errs := out.load(fsys, dir, entries)
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
		other := &Files{}
		errs = append(errs, other.load(fsys, folder, inner)...)
		out.others[entry.Name()] = other
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

func (f *Files) load(fsys fs.FS, dir string, entries []fs.DirEntry) (errs []error) {
	byName := map[string]*File{}
	for _, entry := range entries {
		at := path.Join(dir, entry.Name())
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), ".sql") {
			continue
		}
		name, isUp := strings.CutSuffix(entry.Name(), ".up.sql")
		name, isDown := strings.CutSuffix(name, ".down.sql")
		switch {
		case !isUp && !isDown:
			errs = append(errs, &FileError{File: at, Message: "rename it to end in .up.sql, or .down.sql for the way back"})
			continue
		case !fileName.MatchString(name) || len(name) > maxFileName:
			errs = append(errs, &FileError{File: at, Message: fmt.Sprintf("name it with letters, digits, _, - and ., at most %d of them", maxFileName)})
			continue
		}
		data, err := readFile(fsys, at)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		file := byName[name]
		if file == nil {
			file = &File{Name: name}
			byName[name] = file
			f.list = append(f.list, file)
		}
		text, err := newFileText(at, string(data))
		if err != nil {
			errs = append(errs, err)
		}
		if isUp {
			file.up, file.Sum = text, sum(text.text)
		} else {
			file.down = text
		}
	}
	slices.SortFunc(f.list, func(a, b *File) int { return strings.Compare(a.Name, b.Name) })
	for _, file := range f.list {
		if file.up.at == "" {
			errs = append(errs, &FileError{File: file.down.at, Message: "takes back " + file.Name + ".up.sql, and there is none: add it, or remove this one"})
		}
	}
	return errs
}

var directive = regexp.MustCompile(`(?m)^[ \t]*--[ \t]*odac:[ \t]*(.*?)[ \t\r]*$`)

func newFileText(at, text string) (fileText, error) {
	f := fileText{at: at, text: text}
	for _, m := range directive.FindAllStringSubmatchIndex(text, -1) {
		if word := text[m[2]:m[3]]; word != "no-transaction" {
			line := 1 + strings.Count(text[:m[0]], "\n")
			return f, &FileError{File: at, Line: line, Message: fmt.Sprintf("there is no directive %q: write -- odac: no-transaction", word)}
		}
		f.alone = true
	}
	return f, nil
}

func sum(text string) string {
	b := sha256.Sum256([]byte(text))
	return hex.EncodeToString(b[:])
}

// statements cuts the text for the dialect.
func (f fileText) statements(dialect string) ([]statement, error) {
	out, err := scriptOf(dialect).split(f.text)
	if err == nil && len(out) == 0 {
		err = errEmptyFile
	}
	if err != nil {
		return nil, fmt.Errorf("migrate: %s: %w", f.at, err)
	}
	return out, nil
}
