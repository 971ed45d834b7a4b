package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// LintAgainst looks for what a step from an older schema to this one may cost: what it takes away, what it narrows, and what a
// database with rows may refuse. Nothing of it is certain without the rows; a plan counts them.
func LintAgainst(old, s *Schema) []Finding {
	l := &linter{}
	for _, was := range old.sorted() {
		if is := s.table(was.Name); is == nil {
			l.warn(was.Pos, "drops-table", "table %s goes, with all its rows: a plan asks for approval, and keeps it for a while", was.Name)
		} else {
			l.against(was, is)
		}
	}
	return l.sorted()
}

func (l *linter) against(was, is *Table) {
	taken := map[string]bool{}
	var newcomers []*Column
	for _, c := range is.Columns {
		old := was.Column(c.Name)
		if old == nil && c.RenamedFrom != "" {
			old = was.Column(c.RenamedFrom)
		}
		if old == nil {
			newcomers = append(newcomers, c)
			l.adds(is, c)
			continue
		}
		taken[fold(old.Name)] = true
		l.changes(is, old, c)
	}
	for _, c := range was.Columns {
		if taken[fold(c.Name)] {
			continue
		}
		l.warn(is.Pos, "drops-column", "column %s.%s goes, with its values (it was in %s): a plan asks for approval, and keeps it for a while", is.Name, c.Name, c.Pos)
		for _, n := range newcomers {
			if n.Type == c.Type && !n.NotRenamed {
				l.fail(n.Pos, "ambiguous-rename", "column %s comes as %s of the same type goes: write renamedFrom: %s, or renamedFrom: null if it is another", n.Name, c.Name, c.Name)
			}
		}
	}
	if names := renamedNames(is); !equalFold(was.PrimaryKey, names) {
		l.warn(is.Pos, "primary-key-changes", "the primary key of %s changes from (%s) to (%s): the table is written anew", is.Name,
			strings.Join(was.PrimaryKey, ", "), strings.Join(is.PrimaryKey, ", "))
	}
	for _, x := range is.Indexes {
		same := func(o Index) bool { return o.Unique && equalFold(o.Columns, x.Columns) && o.Where == x.Where }
		if x.Unique && !slices.ContainsFunc(was.Indexes, same) {
			l.warn(x.Pos, "adds-unique", "unique over (%s) is new: rows that are equal there are refused", strings.Join(x.Columns, ", "))
		}
	}
	for _, fk := range is.ForeignKeys {
		if !slices.ContainsFunc(was.ForeignKeys, fk.sameTarget) {
			l.warn(fk.Pos, "adds-foreign-key", "foreign key %s is new: rows without a parent are set to null, or the key waits", fk)
		}
	}
}

// renamedNames is the primary key under the names that its columns had.
func renamedNames(t *Table) []string {
	out := slices.Clone(t.PrimaryKey)
	for i, name := range out {
		if c := t.Column(name); c.RenamedFrom != "" {
			out[i] = c.RenamedFrom
		}
	}
	return out
}

func (l *linter) adds(t *Table, c *Column) {
	if !nullable(c) && c.Default == nil && c.Backfill == nil && !isSerial(c) {
		l.warn(c.Pos, "adds-not-null", "column %s.%s is new and not null: a table with rows refuses it: write a default or backfill: <value>", t.Name, c.Name)
	}
}

func (l *linter) changes(t *Table, was, is *Column) {
	if why := loses(was, is); why != "" {
		l.warn(is.Pos, "narrows", "column %s.%s: %s: a row that would lose its value is refused", t.Name, is.Name, why)
	}
	if nullable(was) && is.Nullable != nil && !*is.Nullable && is.Backfill == nil {
		l.warn(is.Pos, "not-null", "column %s.%s becomes not null: rows where it is null are refused: write backfill: <value>", t.Name, is.Name)
	}
}

// loses says how values of one definition may not fit into another.
func loses(was, is *Column) string {
	a, b := typeName(was), typeName(is)
	switch {
	case was.Type == Enum && is.Type == Enum:
		for _, v := range was.Values {
			if !slices.Contains(is.Values, v) {
				return fmt.Sprintf("enum value %q goes", v)
			}
		}
		return ""
	case a == b:
		if !was.Unsigned && is.Unsigned {
			return "it becomes unsigned"
		}
		return ""
	case isText(was) && (is.Type == Text || isText(is) && is.Length >= was.Length):
	case was.Type == Enum && (is.Type == Text || is.Type == String):
	case was.Type == Decimal && is.Type == Decimal && is.Scale >= was.Scale && is.Precision-is.Scale >= was.Precision-was.Scale:
	case wholes[was.Type] > 0 && wholes[was.Type] <= wholes[is.Type], was.Type == Boolean && wholes[is.Type] > 0:
	case was.Type == Datetime && is.Type == Timestamp, was.Type == Timestamp && is.Type == Datetime, was.Type == JSON && is.Type == JSONB, was.Type == JSONB && is.Type == JSON:
	case was.Type != Binary && is.Type == Text:
	default:
		return a + " to " + b
	}
	return ""
}

var wholes = map[Type]int{Integer: 1, Increments: 1, BigInteger: 2, BigIncrements: 2}

func isText(c *Column) bool { return c.Type == String || c.Type == NanoID }

func typeName(c *Column) string {
	switch c.Type {
	case String, NanoID:
		return fmt.Sprintf("%s(%d)", c.Type, c.Length)
	case Decimal:
		return fmt.Sprintf("decimal(%d,%d)", c.Precision, c.Scale)
	case SpecificType:
		return c.Specific
	}
	return string(c.Type)
}
