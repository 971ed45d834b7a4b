package migrate

import (
	"fmt"
	"slices"
	"strings"
)

const mysqlMaxKeyBytes = 3072

// mysqlBytes is how much of a row, or of an index, the column takes at most; 0 if it can be in none.
func mysqlBytes(c *Column) int {
	switch c.Type {
	case String, NanoID:
		return 4*c.Length + 2
	case Enum:
		return 4*255 + 2
	case Text, Binary, JSON, JSONB:
		return 12
	case SpecificType:
		return 8000 // unknown: few in one shadow
	case UUID:
		return 4 * 36
	}
	return 30
}

// checkTable refuses what these servers do not have, and says what to write.
func (m mysql) checkTable(t *Table) []error {
	var errs []error
	fail := func(pos, format string, args ...any) {
		errs = append(errs, fmt.Errorf("migrate: %s: %s", pos, fmt.Sprintf(format, args...)))
	}
	key := func(pos, what string, columns []string) {
		bytes := 0
		for _, name := range columns {
			c := t.Column(name)
			if c == nil {
				continue
			}
			switch c.Type {
			case Text, Binary, JSON, JSONB:
				fail(pos, "%s: %s cannot index all of column %s of type %s: make it a string with a length of at most 768, or remove the index", what, m, name, c.Type)
				return
			case String, NanoID, Enum:
				bytes += mysqlBytes(c) - 2
			case SpecificType:
			default:
				bytes += 8
			}
		}
		if bytes > mysqlMaxKeyBytes {
			fail(pos, "%s takes %d bytes, and %s has at most %d for all columns of an index, 4 for each character: give the columns smaller lengths",
				what, bytes, m, mysqlMaxKeyBytes)
		}
	}
	key(t.Pos, "primary key of "+t.Name, t.PrimaryKey)
	for _, x := range t.Indexes {
		if x.Where != "" {
			fail(x.Pos, "index %s: %s has no index over some rows only: remove where, or index a column that is null in the other rows", x.Name, m)
		}
		key(x.Pos, "index "+x.Name, x.Columns)
	}
	for _, fk := range t.ForeignKeys {
		key(or(fk.Pos, t.Pos), "foreign key of "+t.Name, fk.Columns)
		if fk.OnDelete == "SET DEFAULT" || fk.OnUpdate == "SET DEFAULT" {
			fail(or(fk.Pos, t.Pos), "foreign key %s: %s has no set default: write set null or cascade", fk, m)
		}
	}
	for _, c := range t.Columns {
		for _, v := range []*Value{c.Default, c.Backfill} {
			if v != nil && v.Expr != "" {
				if word := mysqlForbidden(v.Expr); word != "" {
					fail(or(c.Pos, t.Pos), "column %s: an expression cannot call %s", c.Name, word)
				}
			}
		}
		implicit := m.mariadb && m.version < 100804 // what fills such a column cannot be turned off
		if implicit && c.Type == SpecificType && strings.HasPrefix(fold(c.Specific), "timestamp") && c.Default == nil {
			fail(or(c.Pos, t.Pos), "column %s: this server would make it change by itself: write type: timestamp, or give it a default", c.Name)
		}
		if c.Type == Enum && slices.ContainsFunc(c.Values, func(s string) bool { return len([]rune(s)) > 255 }) {
			fail(or(c.Pos, t.Pos), "column %s: a value of an enum has at most 255 characters on %s", c.Name, m)
		}
	}
	return errs
}

// mysqlForbidden finds a function that reaches beyond the row: a schema file may come from a plugin.
func mysqlForbidden(expr string) string {
	toks, err := lex(expr)
	if err != nil {
		return "what cannot be read"
	}
	for _, t := range toks {
		if t.name() && slices.Contains([]string{
			"load_file", "sleep", "benchmark", "get_lock", "release_lock", "release_all_locks", "is_free_lock", "is_used_lock", "master_pos_wait",
			"master_gtid_wait", "wait_for_executed_gtid_set", "source_pos_wait", "nextval", "setval", "lastval", "next",
		}, fold(t.text)) {
			return t.text
		}
	}
	return ""
}

// checkKeys refuses a foreign key between columns of two types, of which the server only says that the key is incorrectly formed.
func (m mysql) checkKeys(t *Table, tables []*Table) []error {
	var errs []error
	for _, fk := range t.ForeignKeys {
		for _, parent := range tables {
			for i, name := range fk.RefColumns {
				from, to := t.Column(fk.Columns[i]), parent.Column(name)
				if !strings.EqualFold(parent.Name, fk.RefTable) || from == nil || to == nil {
					continue
				}
				if a, b := m.typeOf(from, false), m.typeOf(to, false); mysqlStored(a) != mysqlStored(b) {
					errs = append(errs, fmt.Errorf("migrate: %s: foreign key %s: %s.%s is %s and %s.%s is %s, and %s wants the same type on both sides: change one",
						or(fk.Pos, t.Pos), fk, t.Name, from.Name, a, parent.Name, to.Name, b, m))
				}
			}
		}
	}
	return errs
}

// mysqlStored is a type without what may differ between the sides of a foreign key: the length of a text.
func mysqlStored(declared string) string {
	word, rest, _ := strings.Cut(declared, "(")
	switch word {
	case "VARCHAR", "CHAR":
		return "text"
	case "DECIMAL", "TINYINT":
		return word + rest
	}
	return strings.ToUpper(declared)
}
