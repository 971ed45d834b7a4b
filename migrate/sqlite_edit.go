package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// edit collects the changes to one table's CREATE text and how its rows are copied into the new one.
type edit struct {
	st      *sqliteState
	rebuild bool
	copies  []copied
	hazards []Hazard
	what    []string
}

// copied is one column of the copy: where it goes and the expression over the old row.
type copied struct{ name, expr string }

func newEdit(st *sqliteState) *edit {
	e := &edit{st: st}
	for _, item := range st.ct.items {
		generated := slices.ContainsFunc(item.parts, func(p part) bool { return p.kind == "GENERATED" })
		if item.column != "" && !generated {
			e.copies = append(e.copies, copied{item.column, quoteName(item.column)})
		}
	}
	return e
}

func (e *edit) note(format string, args ...any) {
	e.what = append(e.what, fmt.Sprintf(format, args...))
}

func (e *edit) setCopy(column, expr string) {
	for i := range e.copies {
		if strings.EqualFold(e.copies[i].name, column) {
			e.copies[i].expr = expr
		}
	}
}

// addColumn puts a new column behind the others. Its value in the copy is the backfill, else the default.
func (e *edit) addColumn(c *Column, inline map[string]ForeignKey) {
	text := sqliteColumn(c)
	if fk, ok := inline[fold(c.Name)]; ok {
		text += " " + sqliteReferences(fk)
	}
	info := parseTableInfo("x", "CREATE TABLE x ("+text+")")
	e.st.ct.items = append(e.st.ct.items, info.create.items...)
	switch {
	case c.Backfill != nil:
		e.copies = append(e.copies, copied{c.Name, sqlite{}.literal(c, c.Backfill)})
	case c.Default != nil:
		e.copies = append(e.copies, copied{c.Name, sqlite{}.literal(c, c.Default)})
	}
	e.note("add %s", c.Name)
}

func (e *edit) dropColumn(name string) {
	e.rebuild = true
	e.st.ct.items = slices.DeleteFunc(e.st.ct.items, func(it *createItem) bool { return strings.EqualFold(it.column, name) && it.column != "" })
	e.copies = slices.DeleteFunc(e.copies, func(c copied) bool { return strings.EqualFold(c.name, name) })
}

// alterColumn edits only the clauses that change; a collation or a hand-made check stays as it is written.
func (e *edit) alterColumn(cc *ColumnChange) {
	e.rebuild = true
	c := cc.To.def
	item := e.st.ct.column(c.Name)
	item.dirty = true
	if cc.Type {
		item.typ = cc.To.Type
		e.note("%s %s to %s", c.Name, cc.From.Type, cc.To.Type)
	}
	if cc.NotNull {
		item.remove(func(p part) bool { return p.kind == "NOT" || p.kind == "NULL" })
		if cc.To.NotNull {
			item.set("NOT", "NOT NULL")
		}
		e.note("%s %s", c.Name, nullText(cc.To))
	}
	if cc.Default {
		item.remove(func(p part) bool { return p.kind == "DEFAULT" })
		if c.Default != nil {
			item.set("DEFAULT", "DEFAULT "+sqlite{}.literal(c, c.Default))
		}
		e.note("%s default %s", c.Name, or(cc.To.Default, "(none)"))
	}
	item.remove(func(p part) bool { return p.kind == "CHECK" && slices.Contains(cc.DropChecks, normal(p.toks)) })
	for _, text := range sqliteChecks(c) {
		toks, _ := lex(text) // our own text
		if slices.Contains(cc.AddChecks, normal(toks)) {
			item.parts = append(item.parts, part{kind: "CHECK", sql: text, toks: toks})
		}
	}
	if len(cc.AddChecks)+len(cc.DropChecks) > 0 {
		e.note("%s values", c.Name)
	}
}

// dropKeys takes foreign keys out, wherever they are written.
func (e *edit) dropKeys(keys []ForeignKey) {
	for _, drop := range keys {
		e.rebuild = true
		e.note("drop foreign key %s", drop)
		matches := func(column string, p part) bool {
			fk, ok := p.foreignKey(column)
			if ok && len(fk.RefColumns) == 0 {
				fk.RefColumns = drop.RefColumns
			}
			return ok && fk.equal(drop)
		}
		e.st.ct.items = slices.DeleteFunc(e.st.ct.items, func(it *createItem) bool {
			return it.column == "" && matches("", it.parts[0])
		})
		for _, it := range e.st.ct.items {
			it.remove(func(p part) bool { return it.column != "" && matches(it.column, p) })
		}
	}
}

func (e *edit) addKey(fk ForeignKey) {
	e.rebuild = true
	e.note("add foreign key %s", fk)
	e.constraint("FOREIGN", sqliteForeignKey(fk))
}

func (e *edit) constraint(kind, text string) {
	toks, _ := lex(text) // our own text
	e.st.ct.items = append(e.st.ct.items, &createItem{raw: text, parts: []part{{kind: kind, sql: text, toks: toks}}})
}

// setPrimaryKey replaces the primary key.
func (e *edit) setPrimaryKey(def *Table) {
	e.rebuild = true
	e.note("primary key (%s)", strings.Join(def.PrimaryKey, ", "))
	e.st.ct.items = slices.DeleteFunc(e.st.ct.items, func(it *createItem) bool { return it.column == "" && it.parts[0].kind == "PRIMARY" })
	for _, it := range e.st.ct.items {
		it.remove(func(p part) bool { return p.kind == "PRIMARY" })
	}
	for _, name := range def.PrimaryKey {
		if c := def.Column(name); isSerial(c) {
			if it := e.st.ct.column(name); it != nil { // else it is added with its key
				it.remove(func(p part) bool { return p.kind == "NOT" || p.kind == "DEFAULT" })
				it.typ, it.dirty = "INTEGER", true
				it.set("PRIMARY", "PRIMARY KEY AUTOINCREMENT")
			}
			return
		}
	}
	for _, name := range def.PrimaryKey {
		if it := e.st.ct.column(name); it != nil {
			it.set("NOT", "NOT NULL")
		}
	}
	if len(def.PrimaryKey) > 0 {
		e.constraint("PRIMARY", "PRIMARY KEY ("+quoteNames(def.PrimaryKey)+")")
	}
}

// step writes the rebuild: sqlite.org/lang_altertable.html section 7, with foreign keys off for the whole transaction.
func (e *edit) step(kind StepKind, phase Phase) *Step {
	const prefix = "_odac_new_"
	st := e.st
	scratch := prefix + st.name
	var into, from []string
	for _, c := range e.copies {
		into = append(into, c.name)
		from = append(from, c.expr)
	}
	queries := []string{
		st.ct.sql(scratch),
		fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", quoteName(scratch), quoteNames(into), strings.Join(from, ", "), quoteName(st.name)),
	}
	if st.autoIncrement() && st.wasAutoIncrement() { // else a deleted highest id would be given out again
		queries = append(queries,
			fmt.Sprintf("DELETE FROM sqlite_sequence WHERE name = %s", quoteText(scratch)),
			fmt.Sprintf("INSERT INTO sqlite_sequence (name, seq) SELECT %s, seq FROM sqlite_sequence WHERE name = %s", quoteText(scratch), quoteText(st.name)))
	}
	queries = append(queries, "DROP TABLE "+quoteName(st.name),
		// Without it the rename would rewrite or refuse what refers to the table that is not there for a moment.
		"PRAGMA legacy_alter_table = 1",
		fmt.Sprintf("ALTER TABLE %s RENAME TO %s", quoteName(scratch), quoteName(st.name)),
		"PRAGMA legacy_alter_table = 0")
	for _, x := range st.indexes {
		queries = append(queries, x.SQL)
	}
	queries = append(queries, st.triggers...)
	return &Step{
		Kind: kind, Table: st.name, Summary: st.name + ": " + strings.Join(e.what, ", "), Phase: phase, SQL: queries, Rewrite: true, Rows: st.rows,
		Hazards: e.hazards, Check: "rows that would lose a value counted", Post: "definition as planned, rows, sequence, indexes and triggers kept",
		NoInverse: "plan the previous schema to go back",
	}
}

func (st *sqliteState) autoIncrement() bool {
	return strings.Contains(strings.ToUpper(st.ct.sql("x")), "AUTOINCREMENT")
}

func (st *sqliteState) wasAutoIncrement() bool {
	return slices.ContainsFunc(st.live.Columns, func(c *ColumnInfo) bool { return c.AutoIncrement })
}
