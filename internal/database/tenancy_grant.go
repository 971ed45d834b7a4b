package database

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// tableGrant is what a plugin's role gets on one table of a server.
type tableGrant struct {
	table *Table
	// columns are by verb; nil is the verb on the whole table, an empty list is nothing.
	columns map[abi.Verb][]string
	policy  string // PostgreSQL: the condition on its rows; "" is every row
}

// grantOf is what the role needs on the server so that it can do what the access allows.
func (a *Access) grantOf(t *Table, kind string) (tableGrant, error) {
	of := a.of(t.Name)
	g := tableGrant{table: t, columns: map[abi.Verb][]string{}}
	for _, verb := range of.Verbs {
		g.columns[verb] = slices.DeleteFunc(slices.Clone(of.Columns[verb]), func(c string) bool { _, ok := t.Column(c); return !ok })
	}
	has := func(v abi.Verb) bool { return slices.Contains(of.Verbs, v) }
	if len(of.Columns) == 0 && !has(abi.VerbSelect) && (has(abi.VerbUpdate) || has(abi.VerbDelete)) {
		g.columns[abi.VerbSelect] = nil
	}
	p, err := policyOf(t, of.Where)
	if err != nil {
		return g, err
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		_, pinned := p.pins()[c.Name]
		if pinned || fillOf(c) != fillNone {
			g.add(of, abi.VerbInsert, c.Name)
		}
		if maintained(c) && c.Name == updatedAt {
			g.add(of, abi.VerbUpdate, c.Name)
		}
	}
	if len(of.Columns) > 0 {
		g.needed(of, kind, p)
	}
	if kind == typePostgres && len(p) > 0 {
		g.policy, err = policyText(t, of.Where)
	}
	return g, err
}

// add adds a column to a verb that is limited to some.
func (g *tableGrant) add(of TableAccess, verb abi.Verb, column string) {
	if len(of.Columns[verb]) > 0 {
		g.columns[verb] = appendNew(g.columns[verb], column)
	}
}

// needed adds the columns that the host's statements read although the plugin may not.
func (g *tableGrant) needed(of TableAccess, kind string, p policy) {
	list, all := g.columns[abi.VerbSelect]
	if all && list == nil {
		return
	}
	insert := slices.Contains(of.Verbs, abi.VerbInsert)
	if insert && len(g.table.Key) == 1 { // of the row that was inserted
		list = appendNew(list, g.table.Key[0])
	}
	if insert && slices.Contains(of.Verbs, abi.VerbUpdate) {
		if c, ok := g.table.Column(updatedAt); ok && maintained(c) {
			list = appendNew(list, updatedAt)
		}
		if kind == typePostgres {
			list = appendNew(list, "xmax")
		}
	}
	if kind == typeMySQL {
		for _, name := range partColumns(slices.Concat(p...)) {
			list = appendNew(list, name)
		}
	}
	if len(list) > 0 {
		g.columns[abi.VerbSelect] = list
	}
}

// verbWords are the words of SQL for the verbs.
var verbWords = [...]string{"SELECT", "INSERT", "UPDATE", "DELETE"}

// privileges is what stands between GRANT and ON.
func (g *tableGrant) privileges(quote func(string) string) string {
	var out []string
	for v, word := range verbWords {
		columns, ok := g.columns[abi.Verb(v)]
		if !ok || columns != nil && len(columns) == 0 {
			continue
		}
		if columns != nil {
			names := make([]string, len(columns))
			for i, c := range columns {
				names[i] = quote(c)
			}
			word += " (" + strings.Join(names, ", ") + ")"
		}
		out = append(out, word)
	}
	return strings.Join(out, ", ")
}

// quoteText is a string as PostgreSQL reads it, whose strings have no escapes but the doubled quote.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// policyText is a policy as PostgreSQL keeps it: without parameters.
func policyText(t *Table, where []abi.Cond) (string, error) {
	k := &compiler{dialect: postgresDialect{}, st: &statement{}, access: NewAccess(map[string]TableAccess{t.Name: {Where: where}}, nil)}
	sql, err := k.rows(&source{table: t, full: t, alias: t.Name})
	if err != nil {
		return "", err
	}
	parts := strings.Split(sql, mark) // every second one is the number of a value, in their order
	for i := 1; i < len(parts); i += 2 {
		switch v := *k.pool[(i-1)/2].fixed; v.Kind() {
		case abi.KindBool, abi.KindInt, abi.KindDecimal:
			parts[i] = v.String()
		default:
			parts[i] = quoteText(v.AsText())
		}
	}
	return strings.Join(parts, ""), nil
}
