package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rename carries the new names through a copy of live, as the server will through its own.
func (m mysql) rename(_ context.Context, live *Database, renames []Rename) (*Database, []*Step, error) {
	out := *live
	out.Tables = maps.Clone(live.Tables)
	for name, t := range live.Tables {
		if t.Opaque == "" {
			out.Tables[name] = t.renamed(renames)
		}
	}
	var steps []*Step
	for _, r := range renames {
		step := r.step(m, mysqlOnline)
		step.SQL[0] += m.algorithm(mysqlInstant)
		step.outside = true
		step.run = m.runner(step.SQL, nil)
		step.Hazards = live.readers(r.Table, r.From, "rename")
		steps = append(steps, step)
	}
	return &out, steps, nil
}

func (t *TableInfo) renamed(renames []Rename) *TableInfo {
	out := *t
	names := func(table string, names []string) []string {
		names = slices.Clone(names)
		for i := range names {
			names[i] = renamed(renames, table, names[i])
		}
		return names
	}
	my := *t.mysql
	out.mysql, out.Columns = &my, nil
	my.columns = map[string]*mysqlColumn{}
	for _, c := range t.Columns {
		column, printed := *c, *t.mysql.columns[fold(c.Name)]
		column.Name = renamed(renames, t.Name, c.Name)
		column.Checks = slices.Clone(c.Checks)
		for _, r := range renames {
			if strings.EqualFold(r.Table, t.Name) {
				for i := range column.Checks {
					column.Checks[i] = strings.ReplaceAll(column.Checks[i], mysqlName(r.From), mysqlName(r.To))
				}
				printed.check = strings.ReplaceAll(printed.check, mysqlName(r.From), mysqlName(r.To))
				printed.definition = strings.ReplaceAll(printed.definition, mysqlName(r.From), mysqlName(r.To))
			}
		}
		out.Columns = append(out.Columns, &column)
		my.columns[fold(column.Name)] = &printed
	}
	out.PrimaryKey = names(t.Name, t.PrimaryKey)
	out.Indexes, out.ForeignKeys, my.implicit = slices.Clone(t.Indexes), slices.Clone(t.ForeignKeys), slices.Clone(my.implicit)
	for _, list := range [][]IndexInfo{out.Indexes, my.implicit} {
		for i, x := range list {
			list[i].Columns = names(t.Name, x.Columns)
		}
	}
	for i, fk := range out.ForeignKeys {
		out.ForeignKeys[i].Columns, out.ForeignKeys[i].RefColumns = names(t.Name, fk.Columns), names(fk.RefTable, fk.RefColumns)
	}
	return &out
}

// viewReads tells whether a view, as the server prints it, reads the column: `alias`.`column`, the table being `db`.`table` `alias`.
func viewReads(text, table, column string) bool {
	toks, err := mysqlLex(text)
	if err != nil {
		return true
	}
	names := []string{table}
	is := func(i int, name string) bool {
		return i < len(toks) && toks[i].quoted && strings.EqualFold(toks[i].text, name)
	}
	for i := 2; i+1 < len(toks); i++ {
		if is(i, table) && toks[i-1].text == "." && toks[i+1].quoted {
			names = append(names, toks[i+1].text)
		}
	}
	for i := 2; i < len(toks); i++ {
		if is(i, column) && toks[i-1].text == "." && slices.ContainsFunc(names, func(name string) bool { return is(i-2, name) }) {
			return true
		}
	}
	return false
}

// readers are refusals for the views, triggers and computed columns that name a column: no server carries a new name into them.
func (db *Database) readers(table, column, verb string) []Hazard {
	var out []Hazard
	refuse := func(what string) {
		out = append(out, Hazard{
			Level: Refuse, Table: table, Object: column,
			Message: fmt.Sprintf("%s reads %s.%s", what, table, column), Fix: fmt.Sprintf("drop it, %s the column, then make it again", verb),
		})
	}
	for _, v := range db.Views {
		if viewReads(v.SQL, table, column) {
			refuse("view " + v.Name)
		}
	}
	names := func(text string) bool {
		toks, err := mysqlLex(text)
		return err != nil || slices.ContainsFunc(toks, func(t token) bool { return t.name() && strings.EqualFold(t.text, column) })
	}
	for _, o := range db.Triggers {
		if toks, _ := mysqlLex(o.SQL); names(o.SQL) && (strings.EqualFold(o.Table, table) ||
			slices.ContainsFunc(toks, func(t token) bool { return t.name() && strings.EqualFold(t.text, table) })) {
			refuse("trigger " + o.Name)
		}
	}
	if t := db.Tables[fold(table)]; t != nil && t.mysql != nil {
		for _, c := range t.Columns {
			if my := t.mysql.columns[fold(c.Name)]; my.generated != "" && names(my.generated) {
				refuse("column " + c.Name)
			}
		}
		for _, c := range t.mysql.checks {
			if names(c.text) && verb == "drop" {
				refuse("constraint " + c.name)
			}
		}
	}
	return out
}
