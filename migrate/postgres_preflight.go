package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// count counts the rows of now for which cond holds, with samples of their keys and of the column.
func (p *pgPlanner) count(st *pgState, cond, column string) (int64, []string, error) {
	if st.rows == 0 {
		return 0, nil, nil
	}
	return countWhere(p.ctx, p.q, st.name, st.source, cond, func() ([]string, error) { return p.samples(st, cond, column) })
}

func pgShow(column string) string { return "left(" + pgSyntax.show(quoteName(column)) + ", 100)" }

// samples prints up to five keys of rows for which cond holds, as key=value, with the columns given.
func (p *pgPlanner) samples(st *pgState, cond string, columns ...string) ([]string, error) {
	var parts []string
	for _, name := range append(slices.Clone(st.live.PrimaryKey), columns...) {
		if st.live.Column(name) == nil {
			continue
		}
		text := pgText(name+"=") + " || " + pgShow(name)
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	order := ""
	if len(st.live.PrimaryKey) > 0 {
		order = " ORDER BY " + quoteNames(st.live.PrimaryKey)
	}
	return texts(p.ctx, p.q, fmt.Sprintf("SELECT %s FROM %s WHERE %s%s LIMIT %d", strings.Join(parts, " || ' ' || "), st.source, cond, order, maxSamples))
}

// refuse adds a hazard if any row meets cond, and tells whether one does.
func (p *pgPlanner) refuse(e *pgEdit, column, cond, message string) (bool, error) {
	n, samples, err := p.count(e.st, cond, column)
	if err != nil || n == 0 {
		return false, err
	}
	e.hazards = append(e.hazards, Hazard{
		Level: Refuse, Table: e.st.name, Object: column, Count: n, Samples: samples,
		Message: e.st.name + "." + column + ": " + fmt.Sprintf(message, n),
		Fix:     fmt.Sprintf("find them: SELECT * FROM %s WHERE %s", quoteName(e.st.name), cond),
	})
	return true, nil
}

// probe has the server read every value as the new type, where no condition says whether it can.
func (p *pgPlanner) probe(e *pgEdit, c *Column, conv pgConversion, typ string) error {
	save, err := texts(p.ctx, p.q, "SAVEPOINT _odac_probe")
	_ = save // it has no rows
	inside := err == nil
	if err != nil && pgCode(err) != pgNoTransaction {
		return err
	}
	var n int64
	// The value is looked at, or it would not be made.
	err = p.q.QueryRowContext(p.ctx, "SELECT count("+conv.expr+") FROM "+e.st.source).Scan(&n)
	code := pgCode(err)
	if inside {
		end := "RELEASE SAVEPOINT _odac_probe"
		if err != nil {
			end = "ROLLBACK TO SAVEPOINT _odac_probe"
		}
		if _, err := texts(p.ctx, p.q, end); err != nil {
			return err
		}
	}
	if strings.HasPrefix(code, pgDataException) || strings.HasPrefix(code, pgSyntaxClass) {
		e.hazards = append(e.hazards, Hazard{
			Level: Refuse, Table: e.st.name, Object: c.Name, Message: fmt.Sprintf("%s.%s: PostgreSQL cannot read a value as %s: %s", e.st.name, c.Name, typ, err),
			Fix: fmt.Sprintf("find it: SELECT * FROM %s", quoteName(e.st.name)),
		})
		return nil
	}
	return err
}

// duplicates looks for rows that a unique index would refuse.
func (p *pgPlanner) duplicates(st *pgState, name string, columns []string, where string) ([]Hazard, error) {
	if st.rows < 2 {
		return nil, nil
	}
	var conds, values []string
	for _, c := range columns {
		conds = append(conds, quoteName(c)+" IS NOT NULL")
		values = append(values, pgShow(c))
	}
	if where != "" {
		conds = append(conds, "("+where+")")
	}
	groups := fmt.Sprintf("FROM %s WHERE %s GROUP BY %s HAVING count(*) > 1", st.source, strings.Join(conds, " AND "), quoteNames(columns))
	h := Hazard{Level: Refuse, Table: st.name, Object: name}
	if err := p.q.QueryRowContext(p.ctx, "SELECT count(*) FROM (SELECT 1 "+groups+") AS d").Scan(&h.Count); err != nil {
		return nil, fmt.Errorf("migrate: look for duplicates in %s: %w", st.name, err)
	}
	if h.Count == 0 {
		return nil, nil
	}
	keys := "''"
	if len(st.live.PrimaryKey) > 0 {
		var shown []string
		for _, c := range st.live.PrimaryKey {
			shown = append(shown, pgShow(c))
		}
		key := strings.Join(shown, " || ',' || ")
		list := fmt.Sprintf("pg_catalog.array_agg(%s ORDER BY %s)", key, quoteNames(st.live.PrimaryKey))
		keys = fmt.Sprintf("' in keys ' || (%s)[1] || ' and ' || (%s)[2]", list, list)
	}
	var err error
	h.Samples, err = texts(p.ctx, p.q, fmt.Sprintf("SELECT %s || %s %s ORDER BY 1 LIMIT %d", strings.Join(values, " || ', ' || "), keys, groups, maxSamples))
	h.Message = fmt.Sprintf("unique %s on %s (%s): %d values are there more than once", name, st.name, strings.Join(columns, ", "), h.Count)
	h.Fix = fmt.Sprintf("find them: SELECT %s, count(*) FROM %s GROUP BY %s HAVING count(*) > 1", quoteNames(columns), quoteName(st.name), quoteNames(columns))
	return []Hazard{h}, err
}

// pgDependents are what needs a column or, where the name is empty, any column of a table: with it PostgreSQL changes no type and drops nothing.
const pgDependents = `SELECT DISTINCT CASE
		WHEN r.oid IS NOT NULL THEN 'view ' || v.relname
		WHEN t.oid IS NOT NULL THEN 'trigger ' || t.tgname
		WHEN p.oid IS NOT NULL THEN 'policy ' || p.polname
		WHEN g.attgenerated <> '' THEN 'column ' || g.attname
		WHEN x.oid IS NOT NULL THEN 'function ' || x.proname END
	FROM pg_catalog.pg_depend d
	LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
	LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid AND r.ev_class <> d.refobjid
	LEFT JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
	LEFT JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid AND NOT t.tgisinternal AND d.refobjsubid > 0
	LEFT JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid AND d.refobjsubid > 0
	LEFT JOIN pg_catalog.pg_attrdef e ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = d.objid
	LEFT JOIN pg_catalog.pg_attribute g ON g.attrelid = e.adrelid AND g.attnum = e.adnum AND g.attnum <> d.refobjsubid
	LEFT JOIN pg_catalog.pg_proc x ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND x.oid = d.objid
	WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND (a.attname = $2::text OR $2::text = '')
		AND (r.oid IS NOT NULL OR t.oid IS NOT NULL AND $2::text <> '' OR p.oid IS NOT NULL AND $2::text <> '' OR g.attgenerated <> '' AND $2::text <> '' OR x.oid IS NOT NULL)
	ORDER BY 1`

// dependents refuses what views and the like of others stand in the way of.
func (p *pgPlanner) dependents(st *pgState, column, message string) ([]Hazard, error) {
	name := column
	if column != "" {
		name = p.nameNow(st.name, column)
	}
	all, err := texts(p.ctx, p.q, pgDependents, int64(st.live.pg.oid), name)
	var out []Hazard
	for _, what := range all {
		h := Hazard{Level: Refuse, Table: st.name, Object: column, Message: fmt.Sprintf("%s needs %s: %s", what, strings.TrimSuffix(st.name+"."+column, "."), message)}
		if view, ok := strings.CutPrefix(what, "view "); ok {
			h.Fix = "keep what pg_get_viewdef prints, DROP VIEW " + quoteName(view) + ", and create it again afterwards"
		}
		out = append(out, h)
	}
	return out, err
}
