package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// count counts the rows of now for which cond holds, with samples of their keys and of the column.
func (p *mysqlPlanner) count(st *mysqlState, cond, column string) (int64, []string, error) {
	if st.rows == 0 {
		return 0, nil, nil
	}
	return countWhere(p.ctx, p.q, st.live.Name, st.source, cond, func() ([]string, error) { return p.samples(st, cond, column) })
}

// shown is an expression whose text shows the value of a column, at most a hundred characters of it.
func (st *mysqlState) shown(name string) string {
	x := mysqlName(name)
	kind := "text"
	if c := st.live.Column(name); c != nil {
		kind = mysqlKind(c.Type)
	}
	switch kind {
	case "int", "decimal", "float", "bool":
		return "coalesce(CAST(" + x + " AS CHAR), 'NULL')"
	case "blob", "other":
		return "coalesce(concat('X''', hex(left(" + x + ", 50)), ''''), 'NULL')"
	}
	return "quote(left(" + x + ", 100))"
}

// samples prints up to five keys of rows for which cond holds, as key=value, with the columns given.
func (p *mysqlPlanner) samples(st *mysqlState, cond string, columns ...string) ([]string, error) {
	var parts []string
	for _, name := range append(slices.Clone(st.live.PrimaryKey), columns...) {
		text := "concat(" + quoteText(name+"=") + ", " + st.shown(name) + ")"
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return texts(p.ctx, p.q, fmt.Sprintf("SELECT concat_ws(' ', %s) FROM %s WHERE %s LIMIT %d", strings.Join(parts, ", "), st.source, cond, maxSamples))
}

// refuse adds a hazard if any row meets cond.
func (p *mysqlPlanner) refuse(e *mysqlEdit, column, cond, message string) error {
	n, samples, err := p.count(e.st, cond, column)
	if err != nil || n == 0 {
		return err
	}
	e.now.hazards = append(e.now.hazards, Hazard{
		Level: Refuse, Table: e.tc.Name, Object: column, Count: n, Samples: samples,
		Message: e.tc.Name + "." + column + ": " + fmt.Sprintf(message, n),
		Fix:     fmt.Sprintf("find them: SELECT * FROM %s WHERE %s", mysqlName(e.tc.Name), cond),
	})
	return nil
}

// duplicates looks for rows that a unique index would refuse.
func (p *mysqlPlanner) duplicates(st *mysqlState, name string, columns []string) ([]Hazard, error) {
	if st.rows < 2 {
		return nil, nil
	}
	var conds, values, keys []string
	for _, c := range columns {
		conds = append(conds, mysqlName(c)+" IS NOT NULL")
		values = append(values, st.shown(c))
	}
	for _, c := range st.live.PrimaryKey {
		keys = append(keys, st.shown(c))
	}
	groups := fmt.Sprintf("FROM %s WHERE %s GROUP BY %s HAVING count(*) > 1", st.source, strings.Join(conds, " AND "), mysqlNames(columns))
	h := Hazard{Level: Refuse, Table: st.live.Name, Object: name}
	if err := p.q.QueryRowContext(p.ctx, "SELECT count(*) FROM (SELECT 1 "+groups+") AS g").Scan(&h.Count); err != nil {
		return nil, fmt.Errorf("migrate: look for duplicates in %s: %w", st.live.Name, err)
	}
	if h.Count == 0 {
		return nil, nil
	}
	shown := "concat_ws(', ', min(" + strings.Join(values, "), min(") + "))"
	if len(keys) > 0 {
		key := "concat_ws(',', " + strings.Join(keys, ", ") + ")"
		shown = fmt.Sprintf("concat(%s, ' in keys ', min(%s), ' and ', max(%s))", shown, key, key)
	}
	var err error
	h.Samples, err = texts(p.ctx, p.q, fmt.Sprintf("SELECT %s %s LIMIT %d", shown, groups, maxSamples))
	h.Message = fmt.Sprintf("unique %s on %s (%s): %d values are there more than once", name, st.live.Name, strings.Join(columns, ", "), h.Count)
	h.Fix = fmt.Sprintf("find them: SELECT %s, count(*) FROM %s GROUP BY %s HAVING count(*) > 1", mysqlNames(columns), mysqlName(st.live.Name), mysqlNames(columns))
	return []Hazard{h}, err
}

// uniqueHazards looks for duplicates under a new unique index. A column that this plan adds has one value in every row, so it tells
// none apart, or NULL, which are all different; what an expression gives shows only when it runs.
func (p *mysqlPlanner) uniqueHazards(tc *TableChange, st *mysqlState, x IndexInfo) ([]Hazard, error) {
	var there []string
	for _, name := range x.Columns {
		if tc.live.Column(name) != nil {
			there = append(there, name)
			continue
		}
		fill := tc.want.Column(name).def
		value := fill.Backfill
		if value == nil {
			value = fill.Default
		}
		if value == nil || value.Expr != "" {
			return nil, nil
		}
	}
	if len(there) > 0 {
		return p.duplicates(st, x.Name, there)
	}
	if st.rows < 2 {
		return nil, nil
	}
	return []Hazard{{
		Level: Refuse, Table: st.live.Name, Object: x.Name, Count: st.rows,
		Message: fmt.Sprintf("unique %s on %s (%s): %d rows would get the same value", x.Name, st.live.Name, strings.Join(x.Columns, ", "), st.rows),
		Fix:     "add the column without a default, fill it, then make it unique",
	}}, nil
}
