package database

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// Columns of these names and a type of time are maintained.
const (
	createdAt = "created_at"
	updatedAt = "updated_at"
)

func maintained(c *Column) bool {
	return c.Type == TypeTime && !c.Generated && (c.Name == createdAt || c.Name == updatedAt)
}

func fillOf(c *Column) fill {
	switch {
	case c.Nanoid > 0:
		return fillNanoid
	case maintained(c):
		return fillNow
	}
	return fillNone
}

// written resolves the names of a list of columns to write, each once.
func (k *compiler) written(fields []string) ([]*Column, error) {
	columns := make([]*Column, 0, len(fields))
	for _, name := range fields {
		column, err := k.bare(name)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(columns, column):
			return nil, invalidf("column %s of %s is given twice", clip(name), k.st.table.Name)
		case column.Generated:
			return nil, invalidf("column %s of %s is computed by the database", clip(name), k.st.table.Name)
		}
		columns = append(columns, column)
	}
	return columns, nil
}

func (k *compiler) inserts() error {
	if k.q.As != "" {
		return invalidf("insert into %s takes no alias", clip(k.q.Table))
	}
	if k.st.table.View {
		return invalidf("%s is a view: write to its tables", clip(k.q.Table))
	}
	given, err := k.written(k.q.Fields)
	if err != nil {
		return err
	}
	for i, column := range given {
		k.st.inserts = append(k.st.inserts, insertColumn{column, i, fillOf(column)})
	}
	for i := range k.st.table.Columns {
		column := &k.st.table.Columns[i]
		if f := fillOf(column); f != fillNone && !slices.Contains(given, column) {
			k.st.inserts = append(k.st.inserts, insertColumn{column, -1, f})
		}
	}
	if len(k.st.table.Key) == 1 {
		k.st.key, _ = k.st.table.Column(k.st.table.Key[0])
	}
	k.sql.WriteString("INSERT INTO " + k.dialect.quote(k.st.table.Name))
	if len(k.st.inserts) == 0 {
		k.sql.WriteString(" DEFAULT VALUES")
	} else {
		names, values := make([]string, 0, len(k.st.inserts)), make([]string, 0, len(k.st.inserts))
		for _, in := range k.st.inserts {
			names = append(names, k.dialect.quote(in.column.Name))
			values = append(values, k.param(in.column, useWrite))
		}
		k.sql.WriteString(" (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")")
	}
	if err := k.conflict(); err != nil {
		return err
	}
	return k.returning()
}

func (k *compiler) conflict() error {
	conflict := k.q.Conflict
	if conflict == nil {
		return nil
	}
	if len(k.st.inserts) == 0 {
		return invalidf("insert of a row without values takes no conflict")
	}
	k.sql.WriteString(" ON CONFLICT")
	target, err := k.written(conflict.Columns)
	if err != nil {
		return err
	}
	if len(target) > 0 {
		if !k.st.table.unique(target) {
			return invalidf("conflict: %s has no unique key of just the columns %s", k.st.table.Name, clip(strings.Join(conflict.Columns, ", ")))
		}
		k.sql.WriteString(" (" + k.quoted(target) + ")")
	}
	if len(conflict.Update) == 0 {
		k.sql.WriteString(" DO NOTHING")
		return nil
	}
	if len(target) == 0 {
		return invalidf("conflict with update needs columns: those of the unique key")
	}
	update, err := k.written(conflict.Update)
	if err != nil {
		return err
	}
	for i := range k.st.inserts {
		if c := k.st.inserts[i].column; c.Name == updatedAt && maintained(c) && !slices.Contains(update, c) {
			update = append(update, c)
		}
	}
	for i, c := range update {
		if !slices.ContainsFunc(k.st.inserts, func(in insertColumn) bool { return in.column == c }) {
			return invalidf("conflict updates %s, which is not among the fields", clip(c.Name))
		}
		name := k.dialect.quote(c.Name)
		k.sql.WriteString(word(i, " DO UPDATE SET ") + name + " = excluded." + name)
	}
	k.touch(k.st.table.Name, abi.VerbUpdate)
	return nil
}

func (k *compiler) quoted(columns []*Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = k.dialect.quote(c.Name)
	}
	return strings.Join(names, ", ")
}

func (k *compiler) updates() error {
	if k.st.table.View {
		return invalidf("%s is a view: write to its tables", clip(k.q.Table))
	}
	all := slices.Clone(k.q.Fields)
	for i := range k.q.Increments {
		all = append(all, k.q.Increments[i].Column)
	}
	columns, err := k.written(all)
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		return invalidf("update of %s has neither fields nor increments", clip(k.q.Table))
	}
	k.st.set, k.st.add = columns[:len(k.q.Fields)], columns[len(k.q.Fields):]
	k.sql.WriteString("UPDATE " + k.tableSQL(k.scope[0]))
	for i, c := range k.st.set {
		k.sql.WriteString(word(i, " SET ") + k.dialect.quote(c.Name) + " = " + k.param(c, useWrite))
	}
	for i, c := range k.st.add {
		if c.Type != TypeInt && c.Type != TypeFloat && c.Type != TypeDecimal && c.Type != TypeAny {
			return invalidf("increment of %s: the column is not a number", clip(c.Name))
		}
		name := k.dialect.quote(c.Name)
		k.sql.WriteString(word(i+len(k.st.set), " SET ") + name + " = " + k.dialect.add(name, k.param(c, useDelta), c))
	}
	if c, ok := k.st.table.Column(updatedAt); ok && maintained(c) && !slices.Contains(columns, c) {
		k.sql.WriteString(", " + k.dialect.quote(c.Name) + " = " + k.param(c, useWrite))
		k.st.inserts = []insertColumn{{c, -1, fillNow}}
	}
	return k.condition()
}

func (k *compiler) deletes() error {
	if k.st.table.View {
		return invalidf("%s is a view: write to its tables", clip(k.q.Table))
	}
	k.sql.WriteString("DELETE FROM " + k.tableSQL(k.scope[0]))
	return k.condition()
}

// condition ends an update or delete.
func (k *compiler) condition() error {
	if len(k.q.Where) == 0 {
		return invalidf("%s of %s without a condition would reach every row: add one, or And of zero conditions to mean every row", k.q.Verb, clip(k.q.Table))
	}
	if err := k.clause(" WHERE ", k.q.Where, false); err != nil {
		return err
	}
	return k.returning()
}

func (k *compiler) returning() error {
	if len(k.q.Returning) == 0 {
		return nil
	}
	var names []string
	var columns []*Column
	for _, name := range k.q.Returning {
		if name == "*" {
			for i := range k.st.table.Columns {
				names, columns = append(names, k.st.table.Columns[i].Name), append(columns, &k.st.table.Columns[i])
			}
			continue
		}
		column, err := k.bare(name)
		if err != nil {
			return err
		}
		names, columns = append(names, column.Name), append(columns, column)
	}
	k.sql.WriteString(" RETURNING " + k.quoted(columns))
	k.touch(k.st.table.Name, abi.VerbSelect)
	return k.returns(names, columns)
}
