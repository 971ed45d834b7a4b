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
)

// compile checks q and returns its statement, from the catalog's cache if the shape is known.
func (c *Catalog) compile(d dialect, q *abi.Query) (*statement, error) {
	buf := shapes.Get().(*[]byte)
	shape := appendShape((*buf)[:0], q)
	st := c.statements.get(shape)
	var err error
	if st == nil {
		if st, err = newStatement(c, d, q); err == nil && len(shape) <= 64<<10 {
			c.statements.put(shape, st)
		}
	}
	if cap(shape) <= 64<<10 {
		*buf = shape
		shapes.Put(buf)
	}
	return st, err
}

func newStatement(c *Catalog, d dialect, q *abi.Query) (*statement, error) {
	k := &compiler{catalog: c, dialect: d, q: q, st: &statement{verb: q.Verb}}
	if err := k.check(); err != nil {
		return nil, err
	}
	table, err := k.from(q.Table, q.As)
	if err != nil {
		return nil, err
	}
	k.st.table = table
	switch q.Verb {
	case abi.VerbSelect:
		err = k.selects()
	case abi.VerbInsert:
		err = k.inserts()
	case abi.VerbUpdate:
		err = k.updates()
	case abi.VerbDelete:
		err = k.deletes()
	}
	if err != nil {
		return nil, err
	}
	if n := len(k.st.params); n > d.maxParams() {
		return nil, invalidf("the query has %d values, at most %d are possible: split it", n, d.maxParams())
	}
	k.st.sql = k.sql.String()
	k.st.touches = c.close(k.touched)
	return k.st, nil
}

// compiler turns one query into SQL. Parameters are numbered in the order in which they are written, which is the order of the
// values in the query: see arguments.
type compiler struct {
	catalog *Catalog
	dialect dialect
	q       *abi.Query
	st      *statement
	sql     strings.Builder
	scope   []source
	names   map[string]output // columns of a select by alias, for order and having
	grouped map[string]bool   // expressions of group; nil if rows stand for themselves
	listed  []string          // expressions of the select list
	touched []Touch
}

// output is an aliased column of a select: its expression and what describes its values.
type output struct {
	sql    string
	column *Column
}

// source is a table in the query, under its alias.
type source struct {
	table *Table
	alias string
}

// check refuses what does not belong to the verb, so that nothing that a query says is silently left out.
func (k *compiler) check() error {
	q := k.q
	if int(q.Verb) >= len(abi.Verbs) {
		return invalidf("verb %d is unknown", q.Verb)
	}
	isSelect, isInsert, isUpdate := q.Verb == abi.VerbSelect, q.Verb == abi.VerbInsert, q.Verb == abi.VerbUpdate
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
	if n := max(len(q.Columns), len(q.Fields), len(q.Increments), len(q.Returning), len(q.Group), len(q.Order)); n > maxFields {
		return invalidf("a list of %d names is too long, at most %d", n, maxFields)
	}
	if len(q.Joins) > maxJoins {
		return invalidf("%d joins are too many, at most %d", len(q.Joins), maxJoins)
	}
	return nil
}

// from adds a table to the scope.
func (k *compiler) from(name, alias string) (*Table, error) {
	table, ok := k.catalog.Table(name)
	if !ok {
		return nil, invalidf("there is no table %s", clip(name))
	}
	if alias == "" {
		alias = name
	} else if err := checkAlias(alias); err != nil {
		return nil, err
	}
	for _, s := range k.scope {
		if s.alias == alias {
			return nil, invalidf("two tables are called %s: give one an alias", clip(alias))
		}
	}
	k.scope = append(k.scope, source{table, alias})
	k.touch(name, k.q.Verb)
	return table, nil
}

func (k *compiler) touch(table string, verb abi.Verb) {
	if t := (Touch{Table: table, Verb: verb}); !slices.Contains(k.touched, t) {
		k.touched = append(k.touched, t)
	}
}

// tableSQL is a table as it stands in from, update and delete.
func (k *compiler) tableSQL(s source) string {
	if s.alias == s.table.Name {
		return k.dialect.quote(s.table.Name)
	}
	return k.dialect.quote(s.table.Name) + " AS " + k.dialect.quote(s.alias)
}

// column resolves "title" or "posts.title" to its SQL and metadata.
func (k *compiler) column(name string) (string, *Column, error) {
	if prefix, bare, ok := strings.Cut(name, "."); ok {
		for _, s := range k.scope {
			if s.alias == prefix {
				return k.columnOf(s, bare)
			}
		}
		return "", nil, invalidf("column %s: no table of the query is called %s", clip(name), clip(prefix))
	}
	found := -1
	for i, s := range k.scope {
		if _, ok := s.table.byName[name]; ok {
			if found >= 0 {
				return "", nil, invalidf("column %s is in %s and in %s: write %s", clip(name), k.scope[found].alias, s.alias, clip(k.scope[found].alias+"."+name))
			}
			found = i
		}
	}
	if found < 0 {
		if len(k.scope) == 1 {
			return "", nil, invalidf("table %s has no column %s", k.scope[0].table.Name, clip(name))
		}
		return "", nil, invalidf("no table of the query has a column %s", clip(name))
	}
	return k.columnOf(k.scope[found], name)
}

func (k *compiler) columnOf(s source, name string) (string, *Column, error) {
	column, ok := s.table.Column(name)
	if !ok {
		return "", nil, invalidf("table %s has no column %s", s.table.Name, clip(name))
	}
	return k.dialect.quote(s.alias) + "." + k.dialect.quote(name), column, nil
}

// bare resolves a column of the query's own table, for lists in which SQL takes no qualified name.
func (k *compiler) bare(name string) (*Column, error) {
	if prefix, rest, ok := strings.Cut(name, "."); ok && prefix == k.scope[0].alias {
		name = rest
	}
	column, ok := k.st.table.Column(name)
	if !ok {
		return nil, invalidf("table %s has no column %s", k.st.table.Name, clip(name))
	}
	return column, nil
}

// param writes down a parameter and returns its SQL.
func (k *compiler) param(c *Column, u use) string {
	k.st.params = append(k.st.params, param{c, u})
	return k.dialect.param(len(k.st.params))
}

// returns sets the columns of the result.
func (k *compiler) returns(names []string, columns []*Column) error {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return invalidf("two columns of the result are called %s: give one an alias", clip(name))
		}
	}
	k.st.out, k.st.header = columns, encodeHeader(names)
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
