package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// keepTable writes the steps that set a table aside: without its keys to others, whose rows would otherwise be held by rows that
// nobody sees, and without the names that a new table may want.
func (p *sqlitePlanner) keepTable(st *sqliteState, t *Trashed) []string {
	t.kept.Make = []string{st.ct.sql(st.name)}
	for _, x := range st.indexes {
		t.kept.After = append(t.kept.After, x.SQL)
	}
	t.kept.After = append(t.kept.After, st.triggers...)
	bare := *st
	bare.ct, bare.indexes, bare.triggers = st.ct.clone(), nil, nil
	e := newEdit(&bare)
	e.dropKeys(st.live.ForeignKeys)
	queries := e.step(DropTable, Contract).SQL
	return append(queries,
		"PRAGMA legacy_alter_table = 1", // keys of other tables keep the name
		fmt.Sprintf("ALTER TABLE %s RENAME TO %s", quoteName(st.name), quoteName(t.Place())),
		"PRAGMA legacy_alter_table = 0")
}

// keepColumn copies a column's values with their keys, so that the table itself has nothing that SELECT * would show. Where rows have
// no key of their own, or it goes too, nothing can be kept.
func (p *sqlitePlanner) keepColumn(st *sqliteState, tc *TableChange, column string) (*Trashed, []string) {
	key := st.live.PrimaryKey
	goes := func(name string) bool {
		return slices.ContainsFunc(tc.DropColumns, func(c *ColumnInfo) bool { return strings.EqualFold(c.Name, name) })
	}
	if len(key) == 0 || slices.ContainsFunc(key, goes) || tc.PrimaryKey {
		return nil, nil
	}
	t := p.in.trash(DropColumn, st.name, column)
	if t == nil || t.kept.Def == nil || len(t.kept.Def.Columns) == 0 {
		return nil, nil
	}
	t.kept.Def.PrimaryKey = key
	return t, []string{fmt.Sprintf("CREATE TABLE %s AS SELECT %s, %s FROM %s WHERE %s IS NOT NULL",
		quoteName(t.Place()), quoteNames(key), quoteName(column), quoteName(st.name), quoteName(column))}
}

func (s sqlite) restore(live *Database, t *Trashed) ([]string, error) {
	place := quoteName(t.Place())
	if t.Column == "" {
		made := parseTableInfo(t.Table, t.kept.Make[0])
		if made.Opaque != "" {
			return nil, fmt.Errorf("%w: %s: %s", ErrTrash, t, made.Opaque)
		}
		var columns []string
		for _, c := range newEdit(&sqliteState{ct: made.create}).copies {
			columns = append(columns, c.name)
		}
		names := quoteNames(columns)
		queries := append(slices.Clone(t.kept.Make), fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", quoteName(t.Table), names, names, place))
		if slices.ContainsFunc(made.Columns, func(c *ColumnInfo) bool { return c.AutoIncrement }) {
			queries = append(queries, fmt.Sprintf("DELETE FROM sqlite_sequence WHERE name = %s", quoteText(t.Table)),
				fmt.Sprintf("INSERT INTO sqlite_sequence (name, seq) SELECT %s, seq FROM sqlite_sequence WHERE name = %s", quoteText(t.Table), quoteText(t.Place())))
		}
		return append(append(queries, "DROP TABLE "+place), t.kept.After...), nil
	}
	c := *t.kept.Def.Columns[0]
	nullable := true
	c.Nullable, c.Default, c.Primary = &nullable, nil, false
	key := t.kept.Def.PrimaryKey
	table := live.Tables[fold(t.Table)]
	pairs := make([]string, len(key))
	for i, name := range key {
		if table.Column(name) == nil {
			return nil, fmt.Errorf("%w: %s: the key %s of its table is not there any more", ErrTrash, t, name)
		}
		pairs[i] = fmt.Sprintf("_odac_k.%s = %s.%s", quoteName(name), quoteName(t.Table), quoteName(name))
	}
	return []string{
		"ALTER TABLE " + quoteName(t.Table) + " ADD COLUMN " + sqliteColumn(&c),
		fmt.Sprintf("UPDATE %s SET %s = _odac_k.%s FROM %s AS _odac_k WHERE %s", quoteName(t.Table), quoteName(c.Name), quoteName(c.Name), place, strings.Join(pairs, " AND ")),
		"DROP TABLE " + place,
	}, nil
}

func (sqlite) purge(t *Trashed, _ string) []string {
	return []string{"DROP TABLE " + quoteName(t.Place())}
}
