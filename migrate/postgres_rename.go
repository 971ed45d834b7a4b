package migrate

import (
	"context"
	"slices"
	"strings"
)

// rename gives the columns their new names in all that the server has about them, as the server itself will: it keeps no text, but prints
// each from what it knows.
func (p postgres) rename(_ context.Context, live *Database, renames []Rename) (*Database, []*Step, error) {
	out := *live
	out.Tables = map[string]*TableInfo{}
	for name, t := range live.Tables {
		out.Tables[name] = pgRenameIn(t, renames)
	}
	var steps []*Step
	for _, r := range renames {
		steps = append(steps, r.step(p, pgMoment))
	}
	return &out, steps, nil
}

func pgRenameIn(t *TableInfo, renames []Rename) *TableInfo {
	out := *t
	own := func(name string) string { return renamed(renames, t.Name, name) }
	names := func(table string, of []string) []string {
		of = slices.Clone(of)
		for i := range of {
			of[i] = renamed(renames, table, of[i])
		}
		return of
	}
	out.PrimaryKey = names(t.Name, t.PrimaryKey)
	out.Columns = nil
	for _, c := range t.Columns {
		column := *c
		column.Name = own(c.Name)
		column.Checks = nil
		for _, check := range c.Checks {
			column.Checks = append(column.Checks, pgRenameCheck(check, own))
		}
		out.Columns = append(out.Columns, &column)
	}
	out.Indexes = slices.Clone(t.Indexes)
	for i, x := range t.Indexes {
		out.Indexes[i].Columns = names(t.Name, x.Columns)
		out.Indexes[i].Where = renameInExpression(x.Where, own)
	}
	out.ForeignKeys = slices.Clone(t.ForeignKeys)
	for i, fk := range t.ForeignKeys {
		out.ForeignKeys[i].Columns = names(t.Name, fk.Columns)
		out.ForeignKeys[i].RefColumns = names(fk.RefTable, fk.RefColumns)
	}
	if t.pg != nil {
		pg := *t.pg
		pg.checks = slices.Clone(t.pg.checks)
		for i, c := range t.pg.checks {
			pg.checks[i].column, pg.checks[i].text = own(c.column), pgRenameCheck(c.text, own)
		}
		out.pg = &pg
	}
	return &out
}

// pgRenameCheck renames in a text of pgCheckText.
func pgRenameCheck(check string, name func(string) string) string {
	body, ok := strings.CutPrefix(check, "CHECK ")
	if !ok {
		return check
	}
	return "CHECK " + renameInExpression(body, name)
}
