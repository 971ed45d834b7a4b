package database

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// policyOn is the policy on a table, nil if every row may be reached.
func (k *compiler) policyOn(t *Table) (policy, error) {
	where := k.access.of(t.Name).Where
	if len(where) == 0 {
		return nil, nil
	}
	p, err := policyOf(t, where)
	if err != nil {
		return nil, failf(abi.ErrnoDenied, "the policy on table %s does not fit it: %v", t.Name, err)
	}
	return p, nil
}

// rows is the policy as a condition on a table of the block, "" if there is none, or if the database's user may not read what it compares. Then the database holds
// the rows back by itself. It does so in any case; but its user is the plugin's, of which two revisions may serve for a while, and the condition is this one's.
func (k *compiler) rows(s *source) (string, error) {
	if s.full == nil || k.access != nil && k.access.walled && !k.access.of(s.full.Name).ReadsPolicy() {
		return "", nil
	}
	p, err := k.policyOn(s.full)
	if err != nil || len(p) == 0 {
		return "", err
	}
	list := append(slices.Concat(p...), abi.Cond{Op: abi.CondAnd, N: uint32(len(p))})
	return k.fixedCondition(s, list)
}

// fixedCondition compiles conditions of the host's on one table.
func (k *compiler) fixedCondition(s *source, list []abi.Cond) (string, error) {
	b := &block{compiler: k, sub: -1, scope: []source{{table: s.full, full: s.full, alias: s.alias}}, fixed: list}
	return b.conditions(list, spot{list: listFixed})
}

// confine puts the policies on the block's tables where they keep the meaning of its joins: in where for a table of which a join makes no nulls, in on for the
// right side of a left join. With a right join each is a table of its own.
func (b *block) confine(i int, kind string) (on string, err error) {
	s := &b.scope[i]
	sql, err := b.rows(s)
	if err != nil || sql == "" {
		return "", err
	}
	switch {
	case slices.ContainsFunc(b.sel.Joins, func(j abi.Join) bool { return j.Kind == "right" }):
		s.sql = b.derived(s, sql)
	case kind == "left":
		return sql, nil
	default:
		b.limits = append(b.limits, sql)
	}
	return "", nil
}

// derived is the table as a sub-query of the rows that may be reached.
func (b *block) derived(s *source, where string) string {
	columns := make([]string, 0, len(s.table.Columns)+1)
	for i := range s.table.Columns {
		columns = append(columns, b.dialect.quote(s.table.Columns[i].Name))
	}
	if len(columns) == 0 {
		columns = append(columns, "1 AS "+b.dialect.quote("1"))
	}
	from := source{table: s.full, alias: s.alias}
	sql := "(SELECT " + strings.Join(columns, ", ") + " FROM " + b.tableSQL(from) + " WHERE " + where + ")"
	if s.alias == s.full.Name { // tableSQL adds any other
		sql += " AS " + b.dialect.quote(s.alias)
	}
	return sql
}

// guardInsert makes the guard of an insert. columns are those of a row, all of them.
func (k *compiler) guardInsert(t *Table, columns []*Column) (*guard, error) {
	p, err := k.policyOn(t)
	if err != nil || len(p) == 0 {
		return nil, err
	}
	g := &guard{table: t.Name, parts: p, at: map[string]int{}}
	for _, name := range partColumns(slices.Concat(p...)) {
		at := slices.IndexFunc(columns, func(c *Column) bool { return c.Name == name })
		if at < 0 {
			return nil, failf(abi.ErrnoDenied, "insert into %s without %s: the policy on the table compares it, so give it a value", t.Name, name)
		}
		g.at[name] = at
	}
	return g, nil
}

// guardUpdate makes the guard of an update, nil if it writes nothing that the policy compares. The parts of the policy of which nothing is written hold
// on, because they held for the row.
func (k *compiler) guardUpdate(t *Table, set, add []*Column) (*guard, error) {
	p, err := k.policyOn(t)
	if err != nil {
		return nil, err
	}
	g := &guard{table: t.Name, at: map[string]int{}, cols: map[string]*Column{}}
	for _, part := range p {
		names, known := partColumns(part), 0
		for _, name := range names {
			if slices.ContainsFunc(add, func(c *Column) bool { return c.Name == name }) {
				return nil, failf(abi.ErrnoDenied, "increment of %s.%s: the policy on the table compares it, so set it to a value", t.Name, name)
			}
			if at := slices.IndexFunc(set, func(c *Column) bool { return c.Name == name }); at >= 0 {
				g.at[name], g.cols[name] = at, set[at]
				known++
			}
		}
		switch known {
		case 0:
		case len(names):
			g.parts = append(g.parts, part)
		default:
			return nil, failf(abi.ErrnoDenied, "update of some of %s of %s: the policy on the table compares them together, so set all of them or none", strings.Join(names, ", "), t.Name)
		}
	}
	if len(g.parts) == 0 {
		return nil, nil
	}
	return g, nil
}

// checkSet is check for the values of an update as they were given.
func (g *guard) checkSet(given abi.Values) error {
	row := make(abi.Values, len(given))
	for name, at := range g.at {
		v, err := g.cols[name].accept(given[at], useWrite)
		if err != nil {
			return err
		}
		row[at] = v
	}
	return g.check(row)
}

// walls are what SQLite's authorizer holds the statement to, by table; nil holds it to nothing.
func (k *compiler) walls() map[string]*wall {
	var walls map[string]*wall
	for _, touch := range k.touched {
		t, ok := k.catalog.Table(touch.Table)
		if ok && k.access.of(touch.Table).limited() && walls[touch.Table] == nil {
			if walls == nil {
				walls = map[string]*wall{}
			}
			walls[touch.Table] = k.access.wall(t)
		}
	}
	return walls
}
