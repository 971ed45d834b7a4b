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

// written resolves the names of a list of columns that the verb writes, or select finds rows by, each once.
func (b *block) written(fields []string, verb abi.Verb) ([]*Column, error) {
	columns := make([]*Column, 0, len(fields))
	for _, name := range fields {
		name = b.bare(name)
		err := b.access.checkRead(b.st.table.Name, name)
		if verb != abi.VerbSelect {
			err = b.access.check(b.st.table.Name, verb, name)
		}
		if err != nil {
			return nil, err
		}
		column, ok := b.st.table.Column(name)
		switch {
		case !ok:
			return nil, invalidf("table %s has no column %s", b.st.table.Name, clip(name))
		case slices.Contains(columns, column):
			return nil, invalidf("column %s of %s is given twice", clip(name), b.st.table.Name)
		case column.Generated:
			return nil, invalidf("column %s of %s is computed by the database", clip(name), b.st.table.Name)
		}
		columns = append(columns, column)
	}
	return columns, nil
}

func (b *block) inserts() (string, error) {
	st, q := b.st, b.q
	if q.As != "" {
		return "", invalidf("insert into %s takes no alias", clip(q.Table))
	}
	if st.table.View {
		return "", invalidf("%s is a view: write to its tables", clip(q.Table))
	}
	given, err := b.written(q.Fields, abi.VerbInsert)
	if err != nil {
		return "", err
	}
	if st.inserts, st.guard, err = b.inserted(given); err != nil {
		return "", err
	}
	if len(st.table.Key) == 1 {
		st.key, _ = st.table.Column(st.table.Key[0])
	}
	sql := "INSERT INTO " + b.dialect.quote(st.table.Name)
	if len(st.inserts) == 0 {
		sql += b.dialect.defaults()
	} else {
		names, values := make([]string, 0, len(st.inserts)), make([]string, 0, len(st.inserts))
		for i, in := range st.inserts {
			names = append(names, b.dialect.quote(in.column.Name))
			values = append(values, b.param(param{column: in.column, use: useWrite, list: listRow, sub: -1, item: uint16(i)}))
		}
		sql = insertHead(b.dialect, st.table, names) + "(" + strings.Join(values, ", ") + ")"
	}
	conflict, err := b.conflict()
	if err != nil {
		return "", err
	}
	returning, err := b.returning()
	if hidden := b.dialect.hidden(st, q); hidden != "" {
		returning += word(len(returning), " RETURNING ") + hidden
	}
	return sql + conflict + returning, err
}

// inserted are the columns of an insert: those that are given, and those that are filled where they are not. What the policy pins to one value is filled
// with it.
func (k *compiler) inserted(given []*Column) ([]insertColumn, *guard, error) {
	t := k.st.table
	p, err := k.policyOn(t)
	if err != nil {
		return nil, nil, err
	}
	pins := p.pins()
	var list []insertColumn
	var columns []*Column
	add := func(c *Column, source int) {
		in := insertColumn{c, source, fillOf(c), abi.Null()}
		if value, ok := pins[c.Name]; ok {
			in.fill, in.value = fillPin, value
		}
		if source >= 0 || in.fill != fillNone {
			list, columns = append(list, in), append(columns, c)
		}
	}
	for i, c := range given {
		add(c, i)
	}
	for i := range t.Columns {
		if c := &t.Columns[i]; !slices.Contains(given, c) {
			add(c, -1)
		}
	}
	g, err := k.guardInsert(t, columns)
	return list, g, err
}

// insertHead is an insert of columns, up to its rows.
func insertHead(d dialect, t *Table, names []string) string {
	return "INSERT INTO " + d.quote(t.Name) + " (" + strings.Join(names, ", ") + ") VALUES "
}

// conflict says what happens to a row whose unique key is taken.
func (b *block) conflict() (string, error) {
	st, conflict := b.st, b.q.Conflict
	if conflict == nil {
		return "", nil
	}
	if len(st.inserts) == 0 {
		return "", invalidf("insert of a row without values takes no conflict")
	}
	target, err := b.written(conflict.Columns, abi.VerbSelect)
	if err != nil {
		return "", err
	}
	if len(target) > 0 && !st.table.unique(target) {
		return "", invalidf("conflict: %s has no unique key of just the columns %s", st.table.Name, clip(strings.Join(conflict.Columns, ", ")))
	}
	if len(conflict.Update)+len(conflict.Add) == 0 {
		return b.dialect.conflict(st.table, upsert{target: target, counted: b.counted()}), nil
	}
	if len(target) == 0 {
		return "", invalidf("conflict with update needs columns: those of the unique key")
	}
	if err := b.access.check(st.table.Name, abi.VerbUpdate, ""); err != nil {
		return "", err
	}
	names := slices.Concat(conflict.Update, conflict.Add)
	all, err := b.written(names, abi.VerbUpdate)
	if err == nil {
		_, err = b.written(names, abi.VerbSelect) // databases ask it of columns whose new value is that of the row that was not inserted
	}
	if err != nil {
		return "", err
	}
	update, add := all[:len(conflict.Update)], all[len(conflict.Update):]
	for i := range st.inserts {
		if c := st.inserts[i].column; c.Name == updatedAt && maintained(c) && !slices.Contains(all, c) {
			update = append(slices.Clip(update), c)
		}
	}
	for _, c := range slices.Concat(update, add) {
		if !slices.ContainsFunc(st.inserts, func(in insertColumn) bool { return in.column == c }) {
			return "", invalidf("conflict updates %s, which is not among the fields", clip(c.Name))
		}
		if slices.Contains(add, c) && !number(c) {
			return "", invalidf("conflict adds to %s: the column is not a number", clip(c.Name))
		}
	}
	b.touch(st.table.Name, abi.VerbUpdate)
	// The new row has passed the guard. What is overwritten must not mix with what stays into a row that would not.
	if _, err := b.guardUpdate(st.table, update, add); err != nil {
		return "", err
	}
	mine, err := b.rows(&b.scope[0])
	if b.access != nil && b.access.walled {
		mine = "" // the database refuses the row, which says more than to leave it alone
	}
	return b.dialect.conflict(st.table, upsert{target, update, add, b.counted(), mine}), err
}

// counted is a column that may be read and overwritten with itself, for dialects that need one.
func (b *block) counted() string {
	t, of := b.st.table, b.access.of(b.st.table.Name)
	for i := range t.Columns {
		if c := &t.Columns[i]; !c.Generated && (len(of.Columns) == 0 || of.allows(abi.VerbUpdate, c.Name) && of.reads(c.Name)) {
			return c.Name
		}
	}
	return t.Columns[0].Name
}

func (k *compiler) quoted(columns []*Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = k.dialect.quote(c.Name)
	}
	return strings.Join(names, ", ")
}

// number says whether a column can be added to.
func number(c *Column) bool {
	return c.Type == TypeInt || c.Type == TypeFloat || c.Type == TypeDecimal || c.Type == TypeAny
}

func (b *block) updates() (string, error) {
	st, q := b.st, b.q
	if st.table.View {
		return "", invalidf("%s is a view: write to its tables", clip(q.Table))
	}
	all := slices.Clone(q.Fields)
	for i := range q.Increments {
		all = append(all, q.Increments[i].Column)
	}
	columns, err := b.written(all, abi.VerbUpdate)
	if err == nil {
		_, err = b.written(all[len(q.Fields):], abi.VerbSelect) // what is added to is read
	}
	if err != nil {
		return "", err
	}
	if len(columns) == 0 {
		return "", invalidf("update of %s has neither fields nor increments", clip(q.Table))
	}
	st.set, st.add = columns[:len(q.Fields)], columns[len(q.Fields):]
	if st.guard, err = b.guardUpdate(st.table, st.set, st.add); err != nil {
		return "", err
	}
	var sets []string
	set := func(c *Column, value string) { sets = append(sets, b.dialect.quote(c.Name)+" = "+value) }
	for i, c := range st.set {
		set(c, b.param(param{column: c, use: useWrite, list: listSet, sub: -1, item: uint16(i)}))
	}
	for i, c := range st.add {
		if !number(c) {
			return "", invalidf("increment of %s: the column is not a number", clip(c.Name))
		}
		delta := b.param(param{column: c, use: useDelta, list: listDelta, sub: -1, item: uint16(i)})
		set(c, b.dialect.add(b.dialect.quote(c.Name), delta, c))
	}
	if c, ok := st.table.Column(updatedAt); ok && maintained(c) && !slices.Contains(columns, c) {
		set(c, b.param(param{column: c, use: useWrite, list: listNow, sub: -1}))
	}
	condition, err := b.condition()
	return "UPDATE " + b.tableSQL(b.scope[0]) + " SET " + strings.Join(sets, ", ") + condition, err
}

func (b *block) deletes() (string, error) {
	st, q := b.st, b.q
	if st.table.View {
		return "", invalidf("%s is a view: write to its tables", clip(q.Table))
	}
	if q.Truncate {
		if len(q.Where)+len(q.Returning) > 0 || q.As != "" {
			return "", invalidf("truncate of %s takes no condition, no alias and no returning", clip(q.Table))
		}
		mine, err := b.rows(&b.scope[0])
		if mine != "" {
			return b.dialect.truncate(st.table.Name) + " WHERE " + mine, err
		}
		st.empties = len(b.access.of(st.table.Name).Where) == 0
		return b.dialect.truncate(st.table.Name), err
	}
	condition, err := b.condition()
	return b.dialect.deleteFrom(st.table.Name, b.scope[0].alias) + condition, err
}

// condition ends an update or delete.
func (b *block) condition() (string, error) {
	if len(b.q.Where) == 0 {
		return "", invalidf("%s of %s without a condition would reach every row: add one, or And of zero conditions to mean every row", b.q.Verb, clip(b.q.Table))
	}
	if _, err := b.confine(0, ""); err != nil {
		return "", err
	}
	where, err := b.where()
	if err != nil {
		return "", err
	}
	returning, err := b.returning()
	return where + returning, err
}

func (b *block) returning() (string, error) {
	if len(b.q.Returning) == 0 {
		return "", nil
	}
	st := b.st
	if !b.dialect.returns(b.q.Verb) {
		return "", failf(abi.ErrnoUnsupported, "%s returns no rows on this database: read them in the same transaction", b.q.Verb)
	}
	if err := b.access.check(st.table.Name, abi.VerbSelect, ""); err != nil {
		return "", err
	}
	shown := b.scope[0].table
	for _, name := range b.q.Returning {
		if name == "*" {
			for i := range shown.Columns {
				b.names, b.out = append(b.names, shown.Columns[i].Name), append(b.out, &shown.Columns[i])
			}
			continue
		}
		column, ok := shown.Column(b.bare(name))
		if !ok {
			return "", b.noColumn(b.scope[0], b.bare(name))
		}
		b.names, b.out = append(b.names, column.Name), append(b.out, column)
	}
	b.touch(st.table.Name, abi.VerbSelect)
	st.returns(b.names, b.out)
	return " RETURNING " + b.quoted(b.out), unique(b.names)
}
