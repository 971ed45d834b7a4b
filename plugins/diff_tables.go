package plugins

import (
	"maps"
	"slices"
	"strings"
)

// tables are the tables of db; a nil manifest has none.
func (m *Manifest) tables() map[string]Table {
	if m == nil || m.Capabilities.DB == nil {
		return nil
	}
	return m.Capabilities.DB.Tables
}

// uncoveredTables is what tables allow and others do not, by table and verb.
func uncoveredTables(tables, others map[string]Table) []GrantChange {
	var changes []GrantChange
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		t, other := tables[name], others[name]
		add := func(what string, columns []string) {
			if len(columns) > 0 {
				what += " " + strings.Join(columns, ", ")
			}
			if t.Where != nil {
				what += " where " + t.Where.String()
			}
			changes = append(changes, GrantChange{Capability: CapabilityDB, Detail: name + ": " + what})
		}
		n := len(changes)
		for _, verb := range t.Verbs {
			columns, some := t.Columns[verb]
			others, limited := other.Columns[verb]
			switch {
			case !slices.Contains(other.Verbs, verb), !t.Where.implies(other.Where), limited && !some:
				add(string(verb), columns)
			case limited:
				more := slices.DeleteFunc(slices.Clone(columns), func(c string) bool { return slices.Contains(others, c) })
				if len(more) > 0 {
					add(string(verb), more)
				}
			}
		}
		if _, limited := other.Columns[Select]; len(changes) == n && t.finds() && !other.finds() && (limited || !slices.Contains(other.Verbs, Select)) {
			add("conditions on every column", nil)
		}
	}
	return changes
}

// finds says whether conditions may name columns although select is not allowed.
func (t Table) finds() bool { return !slices.Contains(t.Verbs, Select) && len(t.Columns) == 0 }
