package database

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

var joinWords = map[string]string{"": " JOIN ", "inner": " JOIN ", "left": " LEFT JOIN ", "right": " RIGHT JOIN ", "cross": " CROSS JOIN "}

// selects compiles the block and the unions that follow it.
func (b *block) selects() (string, error) {
	if err := b.checkSizes(); err != nil {
		return "", err
	}
	joins, err := b.joins()
	if err != nil {
		return "", err
	}
	if err := b.checkGrouped(); err != nil {
		return "", err
	}
	b.late = true
	list, err := b.selectList()
	if err != nil {
		return "", err
	}
	b.late = false
	var sql strings.Builder
	sql.WriteString("SELECT ")
	if b.sel.Distinct {
		sql.WriteString("DISTINCT ")
	}
	sql.WriteString(list)
	sql.WriteString(" FROM " + b.tableSQL(b.scope[0]) + joins)
	where, err := b.where()
	if err != nil {
		return "", err
	}
	sql.WriteString(where)
	group, err := b.group()
	if err != nil {
		return "", err
	}
	sql.WriteString(group)
	b.late = true
	having, err := b.clause(" HAVING ", b.sel.Having, spot{list: listHaving})
	if err != nil {
		return "", err
	}
	sql.WriteString(having)
	unions, err := b.unions()
	if err != nil {
		return "", err
	}
	sql.WriteString(unions)
	order, err := b.order()
	if err != nil {
		return "", err
	}
	sql.WriteString(order)
	sql.WriteString(b.limit())
	if b.depth > maxDepth {
		return "", invalidf("conditions and sub-queries are nested deeper than %d", maxDepth)
	}
	lock, err := b.locks()
	return sql.String() + lock, err
}

func (b *block) checkSizes() error {
	if n := max(len(b.sel.Columns), len(b.sel.Group), len(b.sel.Order)); n > maxFields {
		return invalidf("a list of %d names is too long, at most %d", n, maxFields)
	}
	if len(b.sel.Joins) > maxJoins {
		return invalidf("%d joins are too many, at most %d", len(b.sel.Joins), maxJoins)
	}
	return nil
}

func (b *block) joins() (string, error) {
	var text strings.Builder
	if _, err := b.confine(0, ""); err != nil {
		return "", err
	}
	for i := range b.sel.Joins {
		j := &b.sel.Joins[i]
		word, ok := joinWords[j.Kind]
		if !ok {
			return "", invalidf("join %s: use inner, left, right or cross", clip(j.Kind))
		}
		if b.self != nil && (j.Kind == "left" || j.Kind == "right") {
			return "", invalidf("the repeated part of %s joins inner and cross only", clip(b.self.table.Name))
		}
		if err := b.from(j.Table, j.From, j.As); err != nil {
			return "", err
		}
		limit, err := b.confine(len(b.scope)-1, j.Kind)
		if err != nil {
			return "", err
		}
		text.WriteString(word + b.tableSQL(b.scope[len(b.scope)-1]))
		on, err := b.conditions(j.On, spot{list: listOn, join: i})
		switch {
		case err != nil:
			return "", err
		case (on == "") != (j.Kind == "cross"):
			return "", invalidf("join of %s: a cross join takes no condition, every other needs one", clip(b.scope[len(b.scope)-1].alias))
		case on != "" && limit != "":
			text.WriteString(" ON " + limit + " AND " + on)
		case on != "":
			text.WriteString(" ON " + on)
		}
	}
	return text.String(), nil
}

func (b *block) clause(word string, conds []abi.Cond, at spot) (string, error) {
	sql, err := b.conditions(conds, at)
	if err != nil || sql == "" {
		return "", err
	}
	return word + sql, nil
}

// where is the policies, the conditions, and that rows come after the ones that were read before.
func (b *block) where() (string, error) {
	all := b.limits
	sql, err := b.conditions(b.sel.Where, spot{list: listWhere})
	if err != nil {
		return "", err
	}
	if sql != "" {
		all = append(all, sql)
	}
	if b.sub < 0 && len(b.q.After) > 0 {
		after, err := b.after()
		if err != nil {
			return "", err
		}
		all = append(all, after)
	}
	if len(all) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), nil
}

// selectList compiles the columns and names them.
func (b *block) selectList() (string, error) {
	var list []string
	b.aliased = map[string]output{}
	taken := map[string]bool{}
	add := func(sql, name string, c *Column) {
		b.listed = append(b.listed, sql)
		list, b.names, b.out = append(list, sql+" AS "+b.dialect.quote(name)), append(b.names, name), append(b.out, c)
		taken[name] = true
	}
	for i := range b.wanted() {
		c := &b.wanted()[i]
		if c.As != "" {
			if err := checkAlias(c.As); err != nil {
				return "", err
			}
		}
		if stars, ok := b.stars(c); ok {
			if c.As != "" || len(b.sel.Group) > 0 {
				return "", invalidf("%s takes no alias and no group: name the columns", clip(c.Name))
			}
			for _, s := range stars {
				for j := range s.table.Columns {
					column := &s.table.Columns[j]
					name := column.Name
					if taken[name] {
						name = s.alias + "." + name
					}
					sql, _, err := b.columnOf(s, column.Name)
					if err != nil {
						return "", err
					}
					add(sql, name, column)
				}
			}
			continue
		}
		sql, column, name, err := b.item(c)
		if err != nil {
			return "", err
		}
		if c.As == "" && taken[name] && strings.Contains(c.Name, ".") && c.Func == "" {
			name = c.Name
		}
		if c.As != "" || c.Func != "" {
			b.aliased[name] = output{sql, column}
		}
		add(sql, name, column)
	}
	return strings.Join(list, ", "), unique(b.names)
}

var everyColumn = []abi.Column{{Name: "*"}}

// wanted is the select list.
func (b *block) wanted() []abi.Column {
	if len(b.sel.Columns) == 0 {
		return everyColumn
	}
	return b.sel.Columns
}

// stars says whether c is "*" or "posts.*", and of which tables.
func (b *block) stars(c *abi.Column) ([]source, bool) {
	if c.Func != "" || c.Sub != 0 {
		return nil, false
	}
	if c.Name == "*" {
		return b.scope, true
	}
	if alias, ok := strings.CutSuffix(c.Name, ".*"); ok {
		for _, s := range b.scope {
			if s.alias == alias {
				return []source{s}, true
			}
		}
	}
	return nil, false
}

// item compiles one column, aggregate or sub-query.
func (b *block) item(c *abi.Column) (sql string, column *Column, name string, err error) {
	bare := c.Name[strings.LastIndexByte(c.Name, '.')+1:]
	switch {
	case c.Distinct && c.Func != "count":
		return "", nil, "", invalidf("only count is of different values: count of %s", clip(c.Name))
	case c.Sub != 0:
		if c.Name != "" || c.Func != "" || c.As == "" {
			return "", nil, "", invalidf("a sub-query in the select list takes an alias, and neither a name nor a function")
		}
		inner, text, err := b.nest(c.Sub, b)
		if err != nil {
			return "", nil, "", err
		}
		if len(inner.out) != 1 {
			return "", nil, "", invalidf("the sub-query %s selects %s, it needs one", clip(c.As), plural(len(inner.out), "column"))
		}
		b.depth = max(b.depth, inner.depth+1)
		return "(" + text + ")", inner.out[0], c.As, nil
	case c.Func == "":
		sql, column, err = b.column(c.Name)
		name = bare
	default:
		sql, column, err = b.function(c.Func, c.Name, c.Distinct)
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
func (b *block) function(fn, name string, distinct bool) (string, *Column, error) {
	if fn == "count" && (name == "" || name == "*") && !distinct {
		return "count(*)", countColumn, nil
	}
	switch fn {
	case "count", "sum", "min", "max", "avg":
	default:
		return "", nil, invalidf("function %s: use count, sum, min, max or avg", clip(fn))
	}
	sql, column, err := b.column(name)
	if err != nil {
		return "", nil, err
	}
	switch {
	case distinct:
		return "count(DISTINCT " + sql + ")", countColumn, nil
	case fn == "count":
		return "count(" + sql + ")", countColumn, nil
	case fn == "sum" || fn == "avg":
		switch column.Type {
		case TypeInt, TypeFloat, TypeDecimal, TypeAny:
		default:
			return "", nil, invalidf("%s of %s: the column is not a number", fn, clip(name))
		}
	}
	sql, result := b.dialect.aggregate(fn, sql, column)
	return sql, &result, nil
}

// checkGrouped holds SQLite to what the other databases ask: beside aggregates stand columns of group only.
func (b *block) checkGrouped() error {
	wanted, aggregates := b.wanted(), false
	for i := range wanted {
		aggregates = aggregates || wanted[i].Func != ""
	}
	if !aggregates && len(b.sel.Group) == 0 {
		if len(b.sel.Having) > 0 {
			return invalidf("having needs a group or an aggregate: use where")
		}
		return nil
	}
	if b.self != nil {
		return invalidf("the repeated part of %s takes no aggregate and no group", clip(b.self.table.Name))
	}
	b.grouped = map[string]bool{}
	for _, name := range b.sel.Group {
		sql, _, err := b.column(name)
		if err != nil {
			return err
		}
		b.grouped[sql] = true
	}
	for i := range wanted {
		if _, stars := b.stars(&wanted[i]); stars || wanted[i].Func != "" || wanted[i].Sub != 0 {
			if stars && len(b.sel.Group) == 0 {
				return invalidf("column %s stands beside an aggregate: name the columns, and add them to group", clip(wanted[i].Name))
			}
			continue
		}
		sql, _, err := b.column(wanted[i].Name)
		if err != nil {
			return err
		}
		if !b.grouped[sql] {
			return invalidf("column %s stands beside an aggregate: add it to group", clip(wanted[i].Name))
		}
	}
	return nil
}

func (b *block) group() (string, error) {
	var text strings.Builder
	for i, name := range b.sel.Group {
		sql, _, err := b.column(name)
		if err != nil {
			return "", err
		}
		text.WriteString(word(i, " GROUP BY ") + sql)
	}
	return text.String(), nil
}

func (b *block) order() (string, error) {
	var text strings.Builder
	for i, o := range b.sel.Order {
		sql, column, err := b.ordered(o.Column)
		if err != nil {
			return "", err
		}
		text.WriteString(word(i, " ORDER BY ") + b.dialect.order(sql, column, o.Desc, !column.NotNull || b.makesNulls()))
	}
	return text.String(), nil
}

// makesNulls says whether a join makes nulls, or a sub-query's columns may have some.
func (b *block) makesNulls() bool {
	return slices.ContainsFunc(b.sel.Joins, func(j abi.Join) bool { return j.Kind == "left" || j.Kind == "right" }) ||
		slices.ContainsFunc(b.scope, func(s source) bool { return s.sql != "" }) || len(b.sel.Unions) > 0
}

func (b *block) ordered(name string) (string, *Column, error) {
	if len(b.sel.Unions) > 0 {
		if i := slices.Index(b.names, name); i >= 0 {
			return b.dialect.quote(name), b.out[i], nil
		}
		return "", nil, invalidf("order by %s, which is not among the columns of the union", clip(name))
	}
	if o, ok := b.aliased[name]; ok {
		if b.sel.Distinct { // the same expression with parameters of its own is another one to PostgreSQL
			return b.dialect.quote(name), o.column, nil
		}
		return o.sql, o.column, nil
	}
	sql, column, err := b.column(name)
	switch {
	case err != nil:
		return "", nil, err
	case b.grouped != nil && !b.grouped[sql]:
		return "", nil, invalidf("order by %s, which is not in group: order by a column of group or an alias", clip(name))
	case b.sel.Distinct && !slices.Contains(b.listed, sql):
		return "", nil, invalidf("order by %s, which distinct does not select: select it too", clip(name))
	}
	return sql, column, nil
}

// maxKeyset is the most columns of a keyset.
const maxKeyset = 8

// after is the keyset condition: (a > x) or (a = x and b > y), and so on, with "a >= x" first, which an index can use.
func (b *block) after() (string, error) {
	order := b.sel.Order
	switch {
	case len(order) != len(b.q.After) || len(order) > maxKeyset:
		return "", invalidf("after has %s for an order of %s: give one each, at most %d", plural(len(b.q.After), "value"), plural(len(order), "column"), maxKeyset)
	case len(b.sel.Unions) > 0 || b.grouped != nil:
		return "", invalidf("after goes with neither unions, group nor aggregates")
	}
	sql := ""
	for i := len(order) - 1; i >= 0; i-- {
		expr, column, err := b.column(order[i].Column)
		if errnoIs(err, abi.ErrnoDenied) {
			return "", err
		}
		if _, isAlias := b.aliased[order[i].Column]; isAlias || err != nil {
			return "", invalidf("after: order by columns of the tables, not %s", clip(order[i].Column))
		}
		value := func() string {
			return b.param(param{column: column, use: useCompare, list: listAfter, sub: -1, item: uint16(i)})
		}
		beyond, least, sorted := " > ", " >= ", b.dialect.sortable(expr, column)
		if order[i].Desc {
			beyond, least = " < ", " <= "
		}
		if sql == "" {
			sql = sorted + beyond + value()
			continue
		}
		sql = "(" + sorted + least + value() + " AND (" + sorted + beyond + value() + " OR " + sql + "))"
	}
	return sql, nil
}

func word(i int, first string) string {
	if i == 0 {
		return first
	}
	return ", "
}

func (b *block) limit() string {
	limit, offset := "", ""
	if b.sel.Limit != 0 {
		limit = b.param(param{column: countColumn, use: useCompare, list: listLimit, sub: int16(b.sub)})
	}
	if b.sel.Offset != 0 {
		offset = b.param(param{column: countColumn, use: useCompare, list: listOffset, sub: int16(b.sub)})
	}
	return b.dialect.limit(limit, offset)
}

// locks ends a select that locks the rows it reads.
func (b *block) locks() (string, error) {
	q := b.q
	if b.sub >= 0 || q.Lock == abi.LockNone && q.Wait == abi.WaitLock {
		return "", nil
	}
	switch {
	case q.Lock != abi.LockUpdate && q.Lock != abi.LockShare || q.Wait > abi.WaitSkip:
		return "", invalidf("lock %d with wait %d: lock for update or share, and wait, fail or skip", q.Lock, q.Wait)
	case q.Distinct || b.grouped != nil || len(q.Unions) > 0:
		return "", invalidf("a lock goes with neither distinct, group, aggregates nor unions")
	}
	for _, s := range b.scope {
		if s.sql != "" {
			return "", invalidf("a lock is on tables, not on the sub-query %s", clip(s.alias))
		}
	}
	b.st.lock = true
	return b.dialect.lock(q.Lock, q.Wait), nil
}
