package database

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// TableAccess is what may be done to one table.
type TableAccess struct {
	Verbs []abi.Verb
	// Columns gives for select, insert and update the columns that the verb may name; a verb that is not here has all. Where select is not among the
	// verbs, conditions may name all columns if no verb has a list, else none.
	Columns map[abi.Verb][]string
	// Where, postfix, says which rows the verbs reach, and what a row that is written must be; empty is every row. It compares columns with values by eq, ne,
	// lt, le, gt, ge (numbers only), in, not in, null and not null, joined by and and or.
	Where []abi.Cond
}

// limited says whether not all columns and rows may be reached.
func (t TableAccess) limited() bool { return len(t.Columns) > 0 || len(t.Where) > 0 }

// reads says whether conditions may name the column.
func (t TableAccess) reads(column string) bool {
	if columns, some := t.Columns[abi.VerbSelect]; some {
		return slices.Contains(columns, column)
	}
	return len(t.Columns) == 0 || slices.Contains(t.Verbs, abi.VerbSelect)
}

// ReadsPolicy says whether conditions may name all that the policy compares.
func (t TableAccess) ReadsPolicy() bool {
	return !slices.ContainsFunc(t.Where, func(c abi.Cond) bool { return c.Column != "" && !t.reads(c.Column) })
}

// allows says whether the verb may name the column; "" is the verb as such.
func (t TableAccess) allows(verb abi.Verb, column string) bool {
	columns, some := t.Columns[verb]
	return slices.Contains(t.Verbs, verb) && (column == "" || !some || slices.Contains(columns, column))
}

// Or is what either allows.
func (t TableAccess) Or(other TableAccess) TableAccess {
	var out TableAccess
	for v := range abi.Verbs {
		verb := abi.Verb(v)
		has, also := slices.Contains(t.Verbs, verb), slices.Contains(other.Verbs, verb)
		if !has && !also {
			continue
		}
		out.Verbs = append(out.Verbs, verb)
		mine, limited := t.Columns[verb]
		theirs, also2 := other.Columns[verb]
		if has && !limited || also && !also2 {
			continue
		}
		if out.Columns == nil {
			out.Columns = map[abi.Verb][]string{}
		}
		out.Columns[verb] = slices.Compact(slices.Sorted(slices.Values(slices.Concat(mine, theirs))))
	}
	if len(t.Where) > 0 && len(other.Where) > 0 {
		if out.Where = t.Where; !slices.EqualFunc(t.Where, other.Where, equalCond) {
			out.Where = append(slices.Concat(one(t.Where), one(other.Where)), abi.Cond{Op: abi.CondOr, N: 2})
		}
	}
	return out
}

// one is a condition that leaves one operand on the stack.
func one(where []abi.Cond) []abi.Cond {
	left := uint32(0)
	for _, c := range where {
		if c.Op == abi.CondAnd || c.Op == abi.CondOr {
			left -= min(c.N, left)
		}
		left++
	}
	return append(slices.Clone(where), abi.Cond{Op: abi.CondAnd, N: max(1, left)})
}

func equalCond(a, b abi.Cond) bool {
	return a.Op == b.Op && a.Column == b.Column && a.N == b.N && slices.EqualFunc(a.Values, b.Values, alike)
}

// Access is what statements may reach, by table. It never changes. A nil Access is everything.
type Access struct {
	tables map[string]TableAccess
	denied func(table string, verb abi.Verb, column string) error
	digest string
	// walled: the database itself holds back the rows too.
	walled bool
}

// NewAccess is for statements on those tables and no others. denied makes the error for what is not allowed; column is "" for the verb as such.
func NewAccess(tables map[string]TableAccess, denied func(table string, verb abi.Verb, column string) error) *Access {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		t := tables[name]
		fmt.Fprintf(h, "%q %v", name, t.Verbs)
		for verb := range abi.Verbs {
			if columns, some := t.Columns[abi.Verb(verb)]; some {
				fmt.Fprintf(h, " %d %q", verb, columns)
			}
		}
		for _, c := range t.Where {
			fmt.Fprintf(h, " %d %q %d", c.Op, c.Column, c.N)
			for _, v := range c.Values {
				fmt.Fprintf(h, " %d %q", v.Kind(), v.String())
			}
		}
		fmt.Fprintln(h)
	}
	return &Access{tables: tables, denied: denied, digest: string(h.Sum(nil)[:16])}
}

// Digest is the same for what allows the same, and differs for all else.
func (a *Access) Digest() string { return a.digest }

// shape begins the shape of what is compiled for it.
func (a *Access) shape(b []byte) []byte {
	if a == nil {
		return b
	}
	return append(append(b, accessShape, flags(a.walled)), a.digest...)
}

// accessShape is no verb and not rawShape.
const accessShape = 0xfe

// Limited says whether some table is not allowed with all its columns and rows.
func (a *Access) Limited() bool {
	for _, t := range a.tables {
		if t.limited() {
			return true
		}
	}
	return false
}

// of is what may be done to a table.
func (a *Access) of(table string) TableAccess {
	if a == nil {
		return TableAccess{}
	}
	return a.tables[table]
}

// check is nil if the verb may name the column.
func (a *Access) check(table string, verb abi.Verb, column string) error {
	if a == nil || a.tables[table].allows(verb, column) {
		return nil
	}
	return a.deny(table, verb, column)
}

// checkRead is nil if conditions may name the column.
func (a *Access) checkRead(table, column string) error {
	if a == nil || a.tables[table].reads(column) {
		return nil
	}
	return a.deny(table, abi.VerbSelect, column)
}

func (a *Access) deny(table string, verb abi.Verb, column string) error {
	if a.denied != nil {
		return a.denied(table, verb, column)
	}
	if column != "" {
		return failf(abi.ErrnoDenied, "%s of column %s of table %s was not granted", verb, clip(column), clip(table))
	}
	return failf(abi.ErrnoDenied, "%s on table %s was not granted", verb, clip(table))
}

// visible is the table with the columns that conditions and results may name.
func (a *Access) visible(t *Table) *Table {
	of := a.of(t.Name)
	if len(of.Columns) == 0 {
		return t
	}
	out := &Table{Name: t.Name, View: t.View, Key: t.Key, byName: map[string]int{}, keys: t.keys, indexes: t.indexes, reaches: t.reaches}
	for _, c := range t.Columns {
		if of.reads(c.Name) {
			out.byName[c.Name] = len(out.Columns)
			out.Columns = append(out.Columns, c)
		}
	}
	return out
}

// checkView refuses a view over a table that was granted in part: the view would give the rest of it.
func (a *Access) checkView(view *Table) error {
	if a == nil || !view.View {
		return nil
	}
	if len(a.of(view.Name).Where) > 0 {
		return failf(abi.ErrnoDenied, "a policy is on tables: view %s cannot have one", clip(view.Name))
	}
	for _, t := range view.reaches[abi.VerbSelect] {
		if a.of(t.Table).limited() {
			return failf(abi.ErrnoDenied, "view %s is over table %s, of which only a part was granted: select from the table", clip(view.Name), clip(t.Table))
		}
	}
	return nil
}

// checkText is check for what SQLite says of SQL text, whoever leads there: of a table that was granted in part it reaches for granted columns only.
func (a *Access) checkText(touch Touch, column string) error {
	of := a.of(touch.Table)
	columns, some := of.Columns[touch.Verb]
	switch {
	case len(of.Columns) == 0 || column == "" && !some:
		return nil
	case touch.Verb == abi.VerbInsert:
		return failf(abi.ErrnoDenied, "SQL text cannot insert into table %s, of which some columns were granted: build the query", clip(touch.Table))
	case touch.Verb == abi.VerbSelect && column != "":
		return a.checkRead(touch.Table, column)
	case column != "" && !slices.Contains(columns, column):
		return a.deny(touch.Table, touch.Verb, column)
	}
	return nil
}

// walled says whether the database's own user reaches no rows that a policy holds back.
func (db *DB) walled() bool { return db.role && db.cfg.Type == typePostgres }

// mayRaw refuses SQL text that reaches for what was not granted, or for a table of which the database cannot hold back what was not.
func (db *DB) mayRaw(st *statement) error {
	if db.access == nil {
		return nil
	}
	for _, t := range st.touches {
		of := db.access.of(t.Table)
		switch {
		case len(of.Where) > 0 && !db.walled():
			return failf(abi.ErrnoDenied, "SQL text cannot reach table %s, on which there is a policy that this database does not know: build the query", clip(t.Table))
		case !t.Indirect:
			if err := db.access.check(t.Table, t.Verb, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// wall is what a statement of SQLite may reach of a table that was granted in part, for the authorizer.
type wall struct{ read, update map[string]bool }

// wall adds to what was granted what the host and the database itself need: the policy's columns, those that it fills, and those of keys.
func (a *Access) wall(t *Table) *wall {
	of := a.of(t.Name)
	w := &wall{map[string]bool{}, map[string]bool{}}
	for i := range t.Columns {
		c := &t.Columns[i]
		key := slices.Contains(t.Key, c.Name) || slices.Contains(t.links, c.Name)
		w.read[c.Name] = key || of.reads(c.Name) || fillOf(c) != fillNone || slices.ContainsFunc(of.Where, func(w abi.Cond) bool { return w.Column == c.Name })
		w.update[c.Name] = slices.Contains(t.links, c.Name) || of.allows(abi.VerbUpdate, c.Name) || maintained(c)
	}
	return w
}

// Check says what of the access does not fit the tables that are there: columns that are not, policies that cannot be. It is for who deploys.
func (a *Access) Check(c *Catalog) error {
	for _, name := range slices.Sorted(maps.Keys(a.tables)) {
		t, there := c.Table(name)
		if !there {
			continue
		}
		of := a.tables[name]
		for verb := range abi.Verbs {
			for _, column := range of.Columns[abi.Verb(verb)] {
				if _, ok := t.Column(column); !ok {
					return fmt.Errorf("database: %s of table %s: there is no column %s", abi.Verb(verb), name, clip(column))
				}
			}
		}
		if t.View && len(of.Where) > 0 {
			return fmt.Errorf("database: where of %s: a policy is on tables, and this is a view", name)
		}
		if _, err := policyOf(t, of.Where); err != nil {
			return fmt.Errorf("database: where of table %s: %s", name, strings.TrimPrefix(err.Error(), "database: "))
		}
	}
	return nil
}
