package migrate

import (
	"errors"
	"path"
	"strings"
)

// ParseTable reads one schema file; its name, <table>.yaml, names the table. All mistakes are returned together, each a
// [*FileError]. What needs the other files, such as the columns that a foreign key points to, is looked at when it is planned.
func ParseTable(file string, data []byte) (*Table, error) {
	name, isYAML := strings.CutSuffix(path.Base(file), ".yaml")
	if !isYAML {
		return nil, &FileError{File: file, Message: "rename it to end in .yaml"}
	}
	if err := checkName(name); err != nil {
		return nil, &FileError{File: file, Message: "table " + err.Error()}
	}
	table, errs := parseTable(file, name, data)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return table, nil
}
