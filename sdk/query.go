package odac

import (
	"slices"
	"strings"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Database is a connection by name.
type Database struct{ conn string }

// On is the connection of that name, On("") the default one.
func On(connection string) Database { return Database{connection} }

// DB starts a query on a table of the default connection: "posts", or "posts as p".
func DB(table string) Query { return On("").DB(table) }

// DB starts a query on a table of the connection.
func (d Database) DB(table string) Query {
	name, as := cutAlias(table)
	return Query{q: common{Conn: d.conn, Table: name, As: as}, call: wire.DBQuery}
}

// Query is a statement that is being built: an immutable value. Each method returns a changed copy and leaves its receiver as it
// was. Columns are identifiers, "title" or "posts.title", never SQL. Values are nil, bool, integers, floats, string, []byte,
// time.Time, [Value] and pointers to them. What is wrong with a query is the error of the call that runs it.
type Query struct {
	q     common
	rare  *rare // nil if there is nothing of it; it never changes
	call  wire.Func
	where conds
	all   bool // write without a condition
	cache bool
	merge bool // insert: a conflict overwrites every field but the key's
	err   error
}

// common is what most queries are made of, as the fields of [abi.Query]. It is copied at each step, so that what few queries have is elsewhere.
type common struct {
	Conn          string
	Table, As     string
	Tx            uint32
	Verb          abi.Verb
	Columns       []abi.Column
	Order         []abi.Order
	Limit, Offset int64
	Fields        []string
	Rows          []abi.Values
	Increments    []abi.Delta
	TTL           int64
}

// rare is what few queries have.
type rare struct {
	From      uint32
	Distinct  bool
	Truncate  bool
	Lock      abi.Lock
	Wait      abi.Wait
	Joins     []abi.Join
	Group     []string
	After     []Value
	Unions    []abi.Union
	Conflict  *abi.Conflict
	Returning []string
	SQL       string
	Args      []Value
	Names     []string
	have      conds
	subs      []subuse // sub-queries, by the numbers that they have within this query, from 1
}

var nothingRare rare

// few is what there is of it, to read.
func (q *Query) few() *rare {
	if q.rare == nil {
		return &nothingRare
	}
	return q.rare
}

// change is what there is of it, as the query's own, to change.
func (q *Query) change() *rare {
	r := *q.few()
	q.rare = &r
	return &r
}

// Map is a row to write: values by column.
type Map map[string]any

// Column is an item of a select list: a column, or a function of one.
type Column struct {
	c   abi.Column
	sub *Query
}

// Col is a column, for As.
func Col(name string) Column { return Column{c: abi.Column{Name: name}} }

// Sub is the one value of a sub-query, which sees the tables of the query around it. It wants As.
func Sub(q Query) Column { return Column{sub: &q} }

// CountDistinct counts the different values of a column.
func CountDistinct(column string) Column {
	return Column{c: abi.Column{Name: column, Func: "count", Distinct: true}}
}

// Count counts rows ("*") or the values of a column that are not null.
func Count(column string) Column { return Column{c: abi.Column{Name: column, Func: "count"}} }

// Sum adds a column's values.
func Sum(column string) Column { return Column{c: abi.Column{Name: column, Func: "sum"}} }

// Min is a column's smallest value.
func Min(column string) Column { return Column{c: abi.Column{Name: column, Func: "min"}} }

// Max is a column's largest value.
func Max(column string) Column { return Column{c: abi.Column{Name: column, Func: "max"}} }

// Avg is the average of a column's values.
func Avg(column string) Column { return Column{c: abi.Column{Name: column, Func: "avg"}} }

// As names the item in the result.
func (c Column) As(name string) Column {
	c.c.As = name
	return c
}

// Select chooses what is read: names of columns ("title", "posts.*", "title as t") and [Column] values. Without it every column
// is read.
func (q Query) Select(columns ...any) Query {
	list := takeColumns(len(q.q.Columns) + len(columns))
	n := copy(list, q.q.Columns)
	for i, c := range columns {
		switch c := c.(type) {
		case string:
			list[n+i].Name, list[n+i].As = cutAlias(c)
		case Column:
			if c.sub != nil {
				q, c.c.Sub = q.use(*c.sub)
			}
			list[n+i] = c.c
		default:
			return q.fail("Select takes names and odac.Column values")
		}
	}
	q.q.Columns = list
	return q
}

// Distinct drops repeated rows from the result.
func (q Query) Distinct() Query {
	q.change().Distinct = true
	return q
}

// Join adds rows of another table ("authors", "authors as a") where two columns are equal. Rows without a match are dropped.
func (q Query) Join(table, column, other string) Query { return q.join("inner", table, column, other) }

// LeftJoin is Join that keeps rows without a match, with nulls.
func (q Query) LeftJoin(table, column, other string) Query {
	return q.join("left", table, column, other)
}

// RightJoin is Join that keeps the other table's rows without a match, with nulls.
func (q Query) RightJoin(table, column, other string) Query {
	return q.join("right", table, column, other)
}

// CrossJoin adds every row of another table to every row.
func (q Query) CrossJoin(table string) Query {
	name, as := cutAlias(table)
	return q.addJoin(abi.Join{Kind: "cross", Table: name, As: as})
}

// JoinOn is Join under any condition: q.JoinOn("authors as a", func(on odac.Query) odac.Query { return on.WhereColumn("a.id", "=", "author_id") }).
func (q Query) JoinOn(table string, on func(on Query) Query) Query {
	return q.joinOn("inner", table, on)
}

// LeftJoinOn is JoinOn that keeps rows without a match, with nulls.
func (q Query) LeftJoinOn(table string, on func(on Query) Query) Query {
	return q.joinOn("left", table, on)
}

// JoinQuery is Join with the rows of a query as the table, called as.
func (q Query) JoinQuery(sub Query, as, column, other string) Query {
	return q.joinQuery("inner", sub, as, column, other)
}

// LeftJoinQuery is JoinQuery that keeps rows without a match, with nulls.
func (q Query) LeftJoinQuery(sub Query, as, column, other string) Query {
	return q.joinQuery("left", sub, as, column, other)
}

func (q Query) join(kind, table, column, other string) Query {
	name, as := cutAlias(table)
	on := []abi.Cond{{Op: abi.CondEq, Column: column, Other: other}}
	return q.addJoin(abi.Join{Kind: kind, Table: name, As: as, On: on})
}

func (q Query) joinOn(kind, table string, on func(on Query) Query) Query {
	q, w := q.group(on)
	name, as := cutAlias(table)
	return q.addJoin(abi.Join{Kind: kind, Table: name, As: as, On: w.list})
}

func (q Query) joinQuery(kind string, sub Query, as, column, other string) Query {
	q, n := q.use(sub)
	on := []abi.Cond{{Op: abi.CondEq, Column: column, Other: other}}
	return q.addJoin(abi.Join{Kind: kind, From: n, As: as, On: on})
}

func (q Query) addJoin(j abi.Join) Query {
	r := q.change()
	r.Joins = append(slices.Clip(r.Joins), j)
	return q
}

// Order sorts by terms such as "created_at desc", "title". Further calls add terms.
func (q Query) Order(terms ...string) Query {
	list := slices.Clip(q.q.Order)
	for _, t := range terms {
		name, dir, _ := strings.Cut(strings.TrimSpace(t), " ")
		dir = strings.TrimSpace(dir)
		desc := strings.EqualFold(dir, "desc")
		if dir != "" && !desc && !strings.EqualFold(dir, "asc") {
			return q.fail(`Order wants "column", "column asc" or "column desc", got "` + t + `"`)
		}
		list = append(list, abi.Order{Column: name, Desc: desc})
	}
	q.q.Order = list
	return q
}

// Limit reads at most n rows; 0 is no limit but the host's budget.
func (q Query) Limit(n int) Query {
	if n < 0 {
		return q.fail("Limit is negative")
	}
	q.q.Limit = int64(n)
	return q
}

// Offset skips the first n rows.
func (q Query) Offset(n int) Query {
	if n < 0 {
		return q.fail("Offset is negative")
	}
	q.q.Offset = int64(n)
	return q
}

// Group makes one row of all rows that agree in these columns.
func (q Query) Group(columns ...string) Query {
	r := q.change()
	r.Group = append(slices.Clip(r.Group), columns...)
	return q
}

// Cache reads through the cache: an answer may come from it for at most ttl (0 is the host's default), and never after a write
// to one of the query's tables. In a transaction it changes nothing.
func (q Query) Cache(ttl time.Duration) Query {
	q.q.TTL = ttl.Milliseconds()
	if ttl > 0 && q.q.TTL == 0 {
		q.q.TTL = 1
	}
	q.cache = true
	if q.q.Tx == 0 {
		q.call = wire.CacheQuery
	}
	return q
}

// AllRows lets Update, Increment and Delete go without a condition, which is otherwise an error.
func (q Query) AllRows() Query {
	q.all = true
	return q
}

// fail keeps the first mistake for the call that runs the query.
func (q Query) fail(text string) Query {
	if q.err == nil {
		q.err = newError(Invalid, "odac: query on "+q.q.Table+": "+text)
	}
	return q
}

func cutAlias(s string) (name, as string) {
	if strings.IndexByte(s, ' ') < 0 {
		return s, ""
	}
	name, as, _ = strings.Cut(s, " as ")
	return strings.TrimSpace(name), strings.TrimSpace(as)
}
