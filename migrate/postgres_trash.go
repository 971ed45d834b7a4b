package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// pgKeepTable writes the statements that set a table aside: without its keys to others, whose rows would otherwise be held by rows that
// nobody sees, and without the names that a new table may want. Names of indexes are the schema's.
func pgKeepTable(live *TableInfo, t *Trashed) []string {
	t.keyless()
	var queries []string
	for _, fk := range live.ForeignKeys {
		queries = append(queries, pgAlterTable(live.Name, "DROP CONSTRAINT IF EXISTS "+quoteName(fk.name)))
	}
	names := slices.Clone(live.pg.invalid)
	for _, x := range live.Indexes {
		names = append(names, x.Name)
	}
	if live.pg.primaryKey != "" {
		names = append(names, live.pg.primaryKey)
	}
	for i, name := range names {
		aside := fmt.Sprintf("%s_%d", t.Place(), i)
		queries = append(queries, pgRenameIndex(name, aside))
		t.kept.After = append(t.kept.After, pgRenameIndex(aside, name))
	}
	return append(queries, pgAlterTable(live.Name, "RENAME TO "+quoteName(t.Place())))
}

// pgKeepColumn writes the statements that set a column aside in its table: renamed, so that it takes no time whatever it holds, and without
// what would stop others' rows.
func pgKeepColumn(live *TableInfo, t *Trashed) []string {
	is := func(name string) bool { return strings.EqualFold(name, t.Column) }
	column := live.Column(t.Column)
	var clauses []string
	for _, fk := range live.ForeignKeys { // a hand's: ours went before
		if slices.ContainsFunc(fk.Columns, is) {
			clauses = append(clauses, "DROP CONSTRAINT IF EXISTS "+quoteName(fk.name))
		}
	}
	var renames []string
	for i, check := range live.pg.checks {
		if is(check.column) {
			aside := fmt.Sprintf("%s_%d", t.Place(), i)
			renames = append(renames, pgRenameConstraint(live.Name, check.name, aside))
			t.kept.After = append(t.kept.After, pgRenameConstraint(live.Name, aside, check.name))
		}
	}
	name := quoteName(column.Name)
	switch {
	case column.Generated: // its values are computed: it takes none
	case column.AutoIncrement:
		clauses = append(clauses, "ALTER COLUMN "+name+" DROP IDENTITY", "ALTER COLUMN "+name+" DROP NOT NULL")
	default:
		clauses = append(clauses, "ALTER COLUMN "+name+" DROP DEFAULT", "ALTER COLUMN "+name+" DROP NOT NULL")
	}
	if len(clauses) > 0 {
		renames = append(renames, pgAlterTable(live.Name, clauses...))
	}
	return append(renames, pgAlterTable(live.Name, "RENAME COLUMN "+name+" TO "+quoteName(t.Place())))
}

func pgRenameConstraint(table, from, to string) string {
	return pgAlterTable(table, "RENAME CONSTRAINT "+quoteName(from)+" TO "+quoteName(to))
}

func (postgres) restore(live *Database, t *Trashed) ([]string, error) {
	at := live.kept[t.Place()]
	if t.Column == "" {
		return append([]string{pgAlterTable(at, "RENAME TO "+quoteName(t.Table))}, t.kept.After...), nil
	}
	if !strings.EqualFold(at, t.Table) {
		return nil, fmt.Errorf("%w: %s is in table %s: restore that first", ErrTrash, t, at)
	}
	return append([]string{pgAlterTable(at, "RENAME COLUMN "+quoteName(t.Place())+" TO "+quoteName(t.Column))}, t.kept.After...), nil
}

func (postgres) purge(t *Trashed, table string) []string {
	if t.Column == "" {
		return []string{"DROP TABLE " + quoteName(table)}
	}
	return []string{pgAlterTable(table, "DROP COLUMN "+quoteName(t.Place()))}
}
