package migrate

import (
	"fmt"
	"slices"
	"strings"
)

const maxSamples = 5

// count counts the rows of now for which cond holds, with samples of their keys and of the column.
func (p *sqlitePlanner) count(st *sqliteState, cond, column string) (int64, []string, error) {
	if st.rows == 0 {
		return 0, nil, nil
	}
	return countWhere(p.ctx, p.q, st.name, st.source, cond, func() ([]string, error) { return p.samples(st, cond, column) })
}

// samples prints up to five keys of rows for which cond holds, as key=value, with the columns given.
func (p *sqlitePlanner) samples(st *sqliteState, cond string, columns ...string) ([]string, error) {
	var parts []string
	for _, name := range append(slices.Clone(st.live.PrimaryKey), columns...) {
		text := quoteText(name+"=") + " || substr(quote(" + quoteName(name) + "), 1, 100)"
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	query := fmt.Sprintf("SELECT %s FROM %s WHERE %s LIMIT %d", strings.Join(parts, " || ' ' || "), st.source, cond, maxSamples)
	return texts(p.ctx, p.q, query)
}

// duplicates looks for rows that a unique index would refuse.
func (p *sqlitePlanner) duplicates(st *sqliteState, name string, columns []string, where string) ([]Hazard, error) {
	if st.rows < 2 {
		return nil, nil
	}
	var conds, values []string
	for _, c := range columns {
		conds = append(conds, quoteName(c)+" IS NOT NULL")
		values = append(values, "substr(quote("+quoteName(c)+"), 1, 100)")
	}
	if where != "" {
		conds = append(conds, "("+where+")")
	}
	groups := fmt.Sprintf("FROM %s WHERE %s GROUP BY %s HAVING count(*) > 1", st.source, strings.Join(conds, " AND "), quoteNames(columns))
	h := Hazard{Level: Refuse, Table: st.name, Object: name}
	if err := p.q.QueryRowContext(p.ctx, "SELECT count(*) FROM (SELECT 1 "+groups+")").Scan(&h.Count); err != nil {
		return nil, fmt.Errorf("migrate: look for duplicates in %s: %w", st.name, err)
	}
	if h.Count == 0 {
		return nil, nil
	}
	keys := "''"
	if len(st.live.PrimaryKey) > 0 {
		key := "quote(" + strings.Join(quoteAll(st.live.PrimaryKey), ") || ',' || quote(") + ")"
		keys = fmt.Sprintf("' in keys ' || min(%s) || ' and ' || max(%s)", key, key)
	}
	var err error
	h.Samples, err = texts(p.ctx, p.q, fmt.Sprintf("SELECT %s || %s %s LIMIT %d", strings.Join(values, " || ', ' || "), keys, groups, maxSamples))
	h.Message = fmt.Sprintf("unique %s on %s (%s): %d values are there more than once", name, st.name, strings.Join(columns, ", "), h.Count)
	h.Fix = fmt.Sprintf("find them: SELECT %s, count(*) FROM %s GROUP BY %s HAVING count(*) > 1", quoteNames(columns), quoteName(st.name), quoteNames(columns))
	return []Hazard{h}, err
}

// uniqueHazards looks for duplicates under a new unique index. A column that this plan adds has one value in every row, so it
// tells none apart, or NULL, which are all different; what an expression gives shows only when it runs.
func (p *sqlitePlanner) uniqueHazards(tc *TableChange, st *sqliteState, x Index) ([]Hazard, error) {
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
		if value == nil || value.Expr != "" || x.Where != "" {
			return nil, nil
		}
	}
	if len(there) > 0 {
		return p.duplicates(st, x.Name, there, x.Where)
	}
	if st.rows < 2 {
		return nil, nil
	}
	return []Hazard{{
		Level: Refuse, Table: st.name, Object: x.Name, Count: st.rows,
		Message: fmt.Sprintf("unique %s on %s (%s): %d rows would get the same value", x.Name, st.name, strings.Join(x.Columns, ", "), st.rows),
		Fix:     fmt.Sprintf("%s: add the column without a default, fill it, then make it unique", x.Pos),
	}}, nil
}

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoteName(n)
	}
	return out
}

// alterColumns edits the changed columns and looks for rows that would lose by it.
func (p *sqlitePlanner) alterColumns(tc *TableChange, e *edit) error {
	for _, cc := range tc.AlterColumns {
		c := cc.To.def
		e.alterColumn(cc)
		x := quoteName(c.Name)
		expr := x
		if cc.Type {
			conv := convert(c.Name, cc.From.Type, c)
			expr = conv.expr
			if conv.loses != "" {
				cond := x + " IS NOT NULL AND (" + conv.loses + ")"
				if err := p.refuse(e, c.Name, cond, fmt.Sprintf("%%d rows would lose their value as %s", cc.To.Type)); err != nil {
					return err
				}
			}
		}
		if cc.NotNull && cc.To.NotNull {
			if c.Backfill != nil {
				expr = fmt.Sprintf("coalesce(%s, %s)", expr, sqlite{}.literal(c, c.Backfill))
			} else if err := p.refuse(e, c.Name, x+" IS NULL", "%d rows are NULL, write backfill: <value> or update them"); err != nil {
				return err
			}
		}
		for _, check := range sqliteChecks(c) {
			toks, _ := lex(check) // our own text
			if !slices.Contains(cc.AddChecks, normal(toks)) {
				continue
			}
			cond := "NOT (" + strings.ReplaceAll(strings.TrimPrefix(check, "CHECK "), x, "("+expr+")") + ")"
			if err := p.refuse(e, c.Name, cond, "%d rows hold a value that is no longer allowed"); err != nil {
				return err
			}
		}
		e.setCopy(c.Name, expr)
	}
	return nil
}

// refuse adds a hazard if any row meets cond.
func (p *sqlitePlanner) refuse(e *edit, column, cond, message string) error {
	n, samples, err := p.count(e.st, cond, column)
	if err != nil || n == 0 {
		return err
	}
	e.hazards = append(e.hazards, Hazard{
		Level: Refuse, Table: e.st.name, Object: column, Count: n, Samples: samples,
		Message: e.st.name + "." + column + ": " + fmt.Sprintf(message, n),
		Fix:     fmt.Sprintf("find them: SELECT * FROM %s WHERE %s", quoteName(e.st.name), cond),
	})
	return nil
}

func (p *sqlitePlanner) primaryKey(tc *TableChange, e *edit) error {
	def := tc.want.def
	for _, name := range def.PrimaryKey {
		if tc.live.Column(name) == nil {
			if isSerial(def.Column(name)) { // numbers itself in the copy
				continue
			}
			if e.st.rows > 1 {
				e.hazards = append(e.hazards, Hazard{
					Level: Refuse, Table: tc.Name, Object: name, Count: e.st.rows,
					Message: fmt.Sprintf("%s.%s is new and part of the primary key, and the table has %d rows", tc.Name, name, e.st.rows),
					Fix:     "add the column first, fill it, then make it primary",
				})
			}
			e.setPrimaryKey(def)
			return nil
		}
	}
	e.setPrimaryKey(def)
	known := func(name string) bool { return tc.live.Column(name) != nil }
	if len(def.PrimaryKey) == 0 || !slices.ContainsFunc(def.PrimaryKey, known) || slices.ContainsFunc(def.PrimaryKey, func(n string) bool { return !known(n) }) {
		return nil
	}
	h, err := p.duplicates(e.st, "primary key", def.PrimaryKey, "")
	e.hazards = append(e.hazards, h...)
	return err
}
