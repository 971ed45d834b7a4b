package database

import (
	"slices"
	"strconv"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// Limits of one query's shape. SQLite's own, set at open, are wider.
const (
	maxConds  = 4096
	maxDepth  = 24 // of and, or and not
	maxJoins  = 16
	maxFields = 1000
	maxNest   = 8 // of sub-queries
)

// compile checks q and returns its statement, from the catalog's cache if the shape is known. It may reach everything.
func (c *Catalog) compile(d dialect, q *abi.Query) (*statement, error) {
	return c.compileFor(d, nil, q)
}

// compileFor is compile for who may reach what a allows.
func (c *Catalog) compileFor(d dialect, a *Access, q *abi.Query) (*statement, error) {
	buf := shapes.Get().(*[]byte)
	shape := appendShape(a.shape((*buf)[:0]), q)
	st := c.statements.get(shape)
	var err error
	if st == nil {
		if st, err = newStatement(c, d, a, q); err == nil && len(shape) <= 64<<10 {
			c.statements.put(shape, st)
		}
	}
	if cap(shape) <= 64<<10 {
		*buf = shape
		shapes.Put(buf)
	}
	return st, err
}

func newStatement(c *Catalog, d dialect, a *Access, q *abi.Query) (*statement, error) {
	k := &compiler{catalog: c, dialect: d, access: a, q: q, st: &statement{verb: q.Verb}, subs: make([]subquery, len(q.Subs))}
	if err := k.check(); err != nil {
		return nil, err
	}
	with, err := k.with()
	if err != nil {
		return nil, err
	}
	b := k.query()
	if err := b.from(q.Table, q.From, q.As); err != nil {
		return nil, err
	}
	if k.st.table = b.scope[0].full; k.st.table == nil {
		k.st.table = b.scope[0].table
	}
	sql := ""
	switch q.Verb {
	case abi.VerbSelect:
		if sql, err = b.selects(); err == nil {
			k.st.returns(b.names, b.out)
		}
	case abi.VerbInsert:
		sql, err = b.inserts()
	case abi.VerbUpdate:
		sql, err = b.updates()
	case abi.VerbDelete:
		sql, err = b.deletes()
	}
	if err == nil {
		err = k.checkUsed()
	}
	if err != nil {
		return nil, err
	}
	if err := k.finish(with + sql); err != nil {
		return nil, err
	}
	k.st.touches, k.st.walls = c.close(k.touched), k.walls()
	return k.st, nil
}

// compiler turns one query into SQL. Its parts are compiled in whatever order it takes; where a value goes the text has a mark, which
// finish replaces by a parameter.
type compiler struct {
	catalog *Catalog
	dialect dialect
	access  *Access
	q       *abi.Query
	st      *statement
	pool    []param // by the number in their marks
	subs    []subquery
	nested  int // depth of sub-queries, now
	touched []Touch
}

// block is one select of a query, or its write: what names mean there.
type block struct {
	*compiler
	outer   *block // whose columns it sees as well; nil if there is none
	sel     *abi.Select
	sub     int // its index in q.Subs, -1 is the query itself
	scope   []source
	aliased map[string]output // columns of the result by alias, for order and having
	grouped map[string]bool   // expressions of group; nil if rows stand for themselves
	late    bool              // list, having and order, which see groups in the place of rows
	listed  []string          // expressions of the select list
	depth   int               // of its conditions, those of sub-queries included

	names []string // of the result's columns
	out   []*Column

	limits []string   // policies that stand in where
	fixed  []abi.Cond // of a block that is a policy: what is compared

	self  *subquery // the recursive table of which it is the repeated part
	selfs int       // how often it selects from it
}

// query is the block of the query itself.
func (k *compiler) query() *block {
	q := k.q
	return &block{compiler: k, sub: -1, sel: &abi.Select{
		Table: q.Table, From: q.From, As: q.As, Columns: q.Columns, Distinct: q.Distinct, Joins: q.Joins, Where: q.Where, Group: q.Group,
		Having: q.Having, Order: q.Order, Limit: q.Limit, Offset: q.Offset, Unions: q.Unions,
	}}
}

// output is an aliased column of a select: its expression and what describes its values.
type output struct {
	sql    string
	column *Column
}

// source is a table in a block, under its alias.
type source struct {
	table *Table // with the columns that may be named
	full  *Table // with all; nil for a sub-query
	alias string
	sql   string // as it stands in from; "" is the table's name
}

// mark begins and ends the number of a parameter in text that is not finished. No name has it: databases take none.
const mark = "\x00"

// finish replaces the marks by parameters, in the order of the text.
func (k *compiler) finish(text string) error {
	if n, most := strings.Count(text, mark)/2, k.dialect.maxParams(); n > most {
		return invalidf("the query has %d values, at most %d are possible: split it", n, most)
	}
	var b strings.Builder
	b.Grow(len(text))
	for {
		before, rest, found := strings.Cut(text, mark)
		b.WriteString(before)
		if !found {
			break
		}
		digits, after, _ := strings.Cut(rest, mark)
		n, err := strconv.Atoi(digits)
		if err != nil || n >= len(k.pool) {
			return failf(abi.ErrnoInternal, "the query cannot be compiled")
		}
		k.st.params = append(k.st.params, k.pool[n])
		b.WriteString(k.dialect.param(len(k.st.params), k.pool[n].column, k.pool[n].use))
		text = after
	}
	k.st.sql = b.String()
	return nil
}

// param writes down a parameter and returns its mark.
func (k *compiler) param(p param) string {
	k.pool = append(k.pool, p)
	return mark + strconv.Itoa(len(k.pool)-1) + mark
}

// check refuses what does not belong to the verb, so that nothing that a query says is silently left out.
func (k *compiler) check() error {
	q := k.q
	if int(q.Verb) >= len(abi.Verbs) {
		return invalidf("verb %d is unknown", q.Verb)
	}
	isSelect, isInsert, isUpdate, isDelete := q.Verb == abi.VerbSelect, q.Verb == abi.VerbInsert, q.Verb == abi.VerbUpdate, q.Verb == abi.VerbDelete
	for _, part := range []struct {
		name        string
		given, fits bool
	}{
		{"columns", len(q.Columns) > 0, isSelect},
		{"distinct", q.Distinct, isSelect},
		{"joins", len(q.Joins) > 0, isSelect},
		{"group", len(q.Group) > 0, isSelect},
		{"having", len(q.Having) > 0, isSelect},
		{"order", len(q.Order) > 0, isSelect},
		{"limit", q.Limit != 0, isSelect},
		{"offset", q.Offset != 0, isSelect},
		{"sub-query as its table", q.From != 0, isSelect},
		{"after", len(q.After) > 0, isSelect},
		{"unions", len(q.Unions) > 0, isSelect},
		{"lock", q.Lock != 0 || q.Wait != 0, isSelect},
		{"truncate", q.Truncate, isDelete},
		{"sub-queries", len(q.Subs) > 0, !isInsert},
		{"where", len(q.Where) > 0, !isInsert},
		{"fields", len(q.Fields) > 0, isInsert || isUpdate},
		{"rows", len(q.Rows) > 0, isInsert || isUpdate},
		{"increments", len(q.Increments) > 0, isUpdate},
		{"conflict", q.Conflict != nil, isInsert},
		{"returning", len(q.Returning) > 0, !isSelect},
	} {
		if part.given && !part.fits {
			return invalidf("%s of %s takes no %s", q.Verb, clip(q.Table), part.name)
		}
	}
	if n := max(len(q.Fields), len(q.Increments), len(q.Returning)); n > maxFields {
		return invalidf("a list of %d names is too long, at most %d", n, maxFields)
	}
	return nil
}

// from adds a table, or a sub-query, to the scope.
func (b *block) from(name string, sub uint32, alias string) error {
	s := source{alias: alias}
	if alias != "" {
		if err := checkAlias(alias); err != nil {
			return err
		}
	}
	if sub != 0 {
		if name != "" {
			return invalidf("table %s and sub-query %d in one place: use one of them", clip(name), sub)
		}
		if err := b.fromSub(&s, sub); err != nil {
			return err
		}
	} else {
		verb := abi.VerbSelect
		if b.sub < 0 && len(b.scope) == 0 {
			verb = b.q.Verb
		}
		if err := b.access.check(name, verb, ""); err != nil { // first: it answers the same whether or not the table is there
			return err
		}
		table, ok := b.catalog.Table(name)
		if !ok {
			return invalidf("there is no table %s", clip(name))
		}
		if err := b.access.checkView(table); err != nil {
			return err
		}
		s.table, s.full = b.access.visible(table), table
		if alias == "" {
			s.alias = name
		}
		b.touch(name, verb)
	}
	for _, other := range b.scope {
		if other.alias == s.alias {
			return invalidf("two tables are called %s: give one an alias", clip(s.alias))
		}
	}
	b.scope = append(b.scope, s)
	return nil
}

func (k *compiler) touch(table string, verb abi.Verb) {
	if t := (Touch{Table: table, Verb: verb}); !slices.Contains(k.touched, t) {
		k.touched = append(k.touched, t)
	}
}

// tableSQL is a table as it stands in from, update and delete.
func (k *compiler) tableSQL(s source) string {
	sql := s.sql
	if sql == "" {
		sql = k.dialect.quote(s.table.Name)
	}
	if s.alias == s.table.Name {
		return sql
	}
	return sql + " AS " + k.dialect.quote(s.alias)
}

// column resolves "title" or "posts.title" to its SQL and metadata: in the block itself, else in those around it.
func (b *block) column(name string) (string, *Column, error) {
	prefix, bare, qualified := strings.Cut(name, ".")
	for at := b; at != nil; at = at.outer {
		s, err := at.holder(name, prefix, qualified)
		if err != nil {
			return "", nil, err
		}
		if s == nil {
			continue
		}
		if !qualified {
			bare = name
		}
		sql, column, err := b.columnOf(*s, bare)
		if err == nil && at != b && at.late && at.grouped != nil && !at.grouped[sql] {
			return "", nil, invalidf("a sub-query uses %s, which is not in group: add it to group", clip(name))
		}
		return sql, column, err
	}
	switch {
	case qualified:
		return "", nil, invalidf("column %s: no table of the query is called %s", clip(name), clip(prefix))
	case len(b.scope) == 1:
		return "", nil, b.noColumn(b.scope[0], name)
	}
	for at := b; at != nil; at = at.outer {
		for _, s := range at.scope {
			if s.full != nil {
				if err := b.access.checkRead(s.full.Name, name); err != nil {
					return "", nil, err
				}
			}
		}
	}
	return "", nil, invalidf("no table of the query has a column %s", clip(name))
}

// holder is the table of the block that a column is of, nil if there is none.
func (b *block) holder(name, prefix string, qualified bool) (found *source, err error) {
	for i := range b.scope {
		s := &b.scope[i]
		if qualified {
			if s.alias == prefix {
				return s, nil
			}
			continue
		}
		if _, ok := s.table.byName[name]; ok {
			if found != nil {
				return nil, invalidf("column %s is in %s and in %s: write %s", clip(name), found.alias, s.alias, clip(found.alias+"."+name))
			}
			found = s
		}
	}
	return found, nil
}

// noColumn is the error for a column that a table does not have, or does not show: of a table that shows some only, they are the same.
func (k *compiler) noColumn(s source, name string) error {
	if s.full != nil {
		if err := k.access.checkRead(s.full.Name, name); err != nil {
			return err
		}
	}
	return invalidf("table %s has no column %s", s.table.Name, clip(name))
}

func (k *compiler) columnOf(s source, name string) (string, *Column, error) {
	column, ok := s.table.Column(name)
	if !ok {
		return "", nil, k.noColumn(s, name)
	}
	return k.dialect.quote(s.alias) + "." + k.dialect.quote(name), column, nil
}

// bare is a name without that of the query's own table, for lists in which SQL takes no qualified name.
func (b *block) bare(name string) string {
	if prefix, rest, ok := strings.Cut(name, "."); ok && prefix == b.scope[0].alias {
		return rest
	}
	return name
}

// unique refuses two columns of one name in a result.
func unique(names []string) error {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			return invalidf("two columns of the result are called %s: give one an alias", clip(name))
		}
		seen[name] = true
	}
	return nil
}

func checkAlias(alias string) error {
	ok := len(alias) <= abi.MaxNameBytes
	for i, r := range alias {
		ok = ok && (r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9')
	}
	if !ok {
		return invalidf("alias %s: use letters, digits and _, not a digit first", clip(alias))
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
