package database

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

var joinWords = map[string]string{"": " JOIN ", "inner": " JOIN ", "left": " LEFT JOIN ", "right": " RIGHT JOIN ", "cross": " CROSS JOIN "}

func (k *compiler) selects() error {
	joins, err := k.joins()
	if err != nil {
		return err
	}
	list, err := k.selectList()
	if err != nil {
		return err
	}
	k.sql.WriteString("SELECT ")
	if k.q.Distinct {
		k.sql.WriteString("DISTINCT ")
	}
	k.sql.WriteString(list)
	k.sql.WriteString(" FROM " + k.tableSQL(k.scope[0]) + joins)
	if err := k.clause(" WHERE ", k.q.Where, false); err != nil {
		return err
	}
	if err := k.group(); err != nil {
		return err
	}
	if err := k.clause(" HAVING ", k.q.Having, true); err != nil {
		return err
	}
	if err := k.order(); err != nil {
		return err
	}
	return k.limit()
}

func (k *compiler) joins() (string, error) {
	var b strings.Builder
	for i := range k.q.Joins {
		j := &k.q.Joins[i]
		word, ok := joinWords[j.Kind]
		if !ok {
			return "", invalidf("join %s: use inner, left, right or cross", clip(j.Kind))
		}
		if _, err := k.from(j.Table, j.As); err != nil {
			return "", err
		}
		b.WriteString(word + k.tableSQL(k.scope[len(k.scope)-1]))
		on, err := k.conditions(j.On, false)
		switch {
		case err != nil:
			return "", err
		case (on == "") != (j.Kind == "cross"):
			return "", invalidf("join of %s: a cross join takes no condition, every other needs one", clip(j.Table))
		case on != "":
			b.WriteString(" ON " + on)
		}
	}
	return b.String(), nil
}

func (k *compiler) clause(word string, conds []abi.Cond, having bool) error {
	sql, err := k.conditions(conds, having)
	if err == nil && sql != "" {
		k.sql.WriteString(word + sql)
	}
	return err
}

// selectList compiles the columns and names them.
func (k *compiler) selectList() (string, error) {
	var (
		list, names []string
		out         []*Column
		aggregates  bool
		aliased     = map[string]output{}
	)
	add := func(sql, name string, c *Column) {
		k.listed = append(k.listed, sql)
		list, names, out = append(list, sql+" AS "+k.dialect.quote(name)), append(names, name), append(out, c)
	}
	wanted := k.q.Columns
	if len(wanted) == 0 {
		wanted = []abi.Column{{Name: "*"}}
	}
	for i := range wanted {
		c := &wanted[i]
		if c.As != "" {
			if err := checkAlias(c.As); err != nil {
				return "", err
			}
		}
		if stars, ok := k.stars(c); ok {
			if c.As != "" || len(k.q.Group) > 0 {
				return "", invalidf("%s takes no alias and no group: name the columns", clip(c.Name))
			}
			for _, s := range stars {
				for j := range s.table.Columns {
					column := &s.table.Columns[j]
					name := column.Name
					if slices.Contains(names, name) {
						name = s.alias + "." + name
					}
					sql, _, err := k.columnOf(s, column.Name)
					if err != nil {
						return "", err
					}
					add(sql, name, column)
				}
			}
			continue
		}
		sql, column, name, err := k.item(c)
		if err != nil {
			return "", err
		}
		aggregates = aggregates || c.Func != ""
		if c.As == "" && slices.Contains(names, name) && strings.Contains(c.Name, ".") && c.Func == "" {
			name = c.Name
		}
		if c.As != "" || c.Func != "" {
			aliased[name] = output{sql, column}
		}
		add(sql, name, column)
	}
	if err := k.checkGrouped(wanted, aggregates); err != nil {
		return "", err
	}
	k.names = aliased
	return strings.Join(list, ", "), k.returns(names, out)
}

// stars says whether c is "*" or "posts.*", and of which tables.
func (k *compiler) stars(c *abi.Column) ([]source, bool) {
	if c.Func != "" {
		return nil, false
	}
	if c.Name == "*" {
		return k.scope, true
	}
	if alias, ok := strings.CutSuffix(c.Name, ".*"); ok {
		for _, s := range k.scope {
			if s.alias == alias {
				return []source{s}, true
			}
		}
	}
	return nil, false
}

// item compiles one column or aggregate.
func (k *compiler) item(c *abi.Column) (sql string, column *Column, name string, err error) {
	bare := c.Name[strings.LastIndexByte(c.Name, '.')+1:]
	if c.Func == "" {
		sql, column, err = k.column(c.Name)
		name = bare
	} else {
		sql, column, err = k.function(c.Func, c.Name)
		name = c.Func
		if bare != "" && bare != "*" {
			name += "_" + bare
		}
	}
	if c.As != "" {
		name = c.As
	}
	return sql, column, name, err
}

// function compiles an aggregate of a column; count also of "" and "*", which is all rows.
func (k *compiler) function(fn, name string) (string, *Column, error) {
	if fn == "count" && (name == "" || name == "*") {
		return "count(*)", countColumn, nil
	}
	switch fn {
	case "count", "sum", "min", "max", "avg":
	default:
		return "", nil, invalidf("function %s: use count, sum, min, max or avg", clip(fn))
	}
	sql, column, err := k.column(name)
	if err != nil {
		return "", nil, err
	}
	switch {
	case fn == "count":
		return "count(" + sql + ")", countColumn, nil
	case fn == "sum" || fn == "avg":
		switch column.Type {
		case TypeInt, TypeFloat, TypeDecimal, TypeAny:
		default:
			return "", nil, invalidf("%s of %s: the column is not a number", fn, clip(name))
		}
	}
	sql, result := k.dialect.aggregate(fn, sql, column)
	return sql, &result, nil
}

// checkGrouped holds SQLite to what the other databases ask: beside aggregates stand columns of group only.
func (k *compiler) checkGrouped(wanted []abi.Column, aggregates bool) error {
	if !aggregates && len(k.q.Group) == 0 {
		if len(k.q.Having) > 0 {
			return invalidf("having needs a group or an aggregate: use where")
		}
		return nil
	}
	k.grouped = map[string]bool{}
	for _, name := range k.q.Group {
		sql, _, err := k.column(name)
		if err != nil {
			return err
		}
		k.grouped[sql] = true
	}
	for i := range wanted {
		if wanted[i].Func != "" {
			continue
		}
		sql, _, err := k.column(wanted[i].Name)
		if err != nil {
			return err
		}
		if !k.grouped[sql] {
			return invalidf("column %s stands beside an aggregate: add it to group", clip(wanted[i].Name))
		}
	}
	return nil
}

func (k *compiler) group() error {
	for i, name := range k.q.Group {
		sql, _, err := k.column(name)
		if err != nil {
			return err
		}
		k.sql.WriteString(word(i, " GROUP BY ") + sql)
	}
	return nil
}

func (k *compiler) order() error {
	for i, o := range k.q.Order {
		sql, column, err := k.ordered(o.Column)
		if err != nil {
			return err
		}
		k.sql.WriteString(word(i, " ORDER BY ") + k.dialect.sortable(sql, column))
		if o.Desc {
			k.sql.WriteString(" DESC")
		}
	}
	return nil
}

func (k *compiler) ordered(name string) (string, *Column, error) {
	if o, ok := k.names[name]; ok {
		return o.sql, o.column, nil
	}
	sql, column, err := k.column(name)
	switch {
	case err != nil:
		return "", nil, err
	case k.grouped != nil && !k.grouped[sql]:
		return "", nil, invalidf("order by %s, which is not in group: order by a column of group or an alias", clip(name))
	case k.q.Distinct && !slices.Contains(k.listed, sql):
		return "", nil, invalidf("order by %s, which distinct does not select: select it too", clip(name))
	}
	return sql, column, nil
}

func word(i int, first string) string {
	if i == 0 {
		return first
	}
	return ", "
}

func (k *compiler) limit() error {
	if k.q.Limit == 0 && k.q.Offset == 0 {
		return nil
	}
	k.sql.WriteString(" LIMIT " + k.param(countColumn, useCompare))
	if k.q.Offset != 0 {
		k.sql.WriteString(" OFFSET " + k.param(countColumn, useCompare))
	}
	return nil
}
