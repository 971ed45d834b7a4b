package database

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// statement is a query's shape, checked against the catalog and compiled: everything but the values.
type statement struct {
	verb    abi.Verb
	table   *Table
	sql     string
	params  []param
	out     []*Column // of the result's columns; empty when there are none
	header  []byte    // "c" and the names of the result's columns, encoded
	inserts []insertColumn
	set     []*Column // update: columns of q.Fields
	add     []*Column // update: columns of q.Increments
	key     *Column   // insert: the primary key if it is one column
	touches []Touch
	walls   map[string]*wall // of SQLite: what it may reach of tables that were granted in part
	guard   *guard           // of the rows that it writes; nil if there is no policy on them
	lock    bool             // a select that locks what it reads
	empties bool             // a delete that begins generated keys again

	raw      *rawText       // of a plugin's SQL text
	catalog  *Catalog       // of SQL text: which it was described with
	reach    map[Touch]bool // of SQL text: all that it may reach for when it runs
	volatile bool           // the answer changes without a write

	// What an insert returns behind the columns of the result, see dialect.hidden.
	hiddenKey bool // its key
	hiddenNew bool // whether the row is new

	once sync.Once
	many *statement // insert: the same for rowsAtOnce rows
}

// rowsAtOnce is how many rows one statement inserts where there are many: beyond it, it hardly gets faster.
const rowsAtOnce = 64

// wide is the same insert for rowsAtOnce rows, nil where there cannot be one: a row that is in conflict is looked at alone.
func (st *statement) wide(d dialect, q *abi.Query) *statement {
	n := len(st.params)
	if q.Conflict != nil || n == 0 || n*rowsAtOnce > d.maxParams() {
		return nil
	}
	st.once.Do(func() {
		out := &statement{verb: st.verb, table: st.table, out: st.out, header: st.header, inserts: st.inserts, key: st.key, hiddenKey: st.hiddenKey, guard: st.guard, walls: st.walls}
		names := make([]string, 0, n)
		row := func(first int) string {
			values := make([]string, 0, n)
			for i := range st.params {
				values = append(values, d.param(first+i+1, st.params[i].column, st.params[i].use))
			}
			return "(" + strings.Join(values, ", ") + ")"
		}
		for _, in := range st.inserts {
			names = append(names, d.quote(in.column.Name))
		}
		head := insertHead(d, st.table, names)
		var b strings.Builder
		b.WriteString(head)
		for range rowsAtOnce {
			b.WriteString(word(len(out.params), "") + row(len(out.params)))
			out.params = append(out.params, st.params...)
		}
		b.WriteString(st.sql[len(head)+len(row(0)):])
		out.sql = b.String()
		st.many = out
	})
	return st.many
}

// known says whether an insert knows the key of its row before it runs: it is given, or filled.
func (st *statement) known() bool {
	return slices.ContainsFunc(st.inserts, func(in insertColumn) bool { return in.column == st.key })
}

// returns sets the columns of the result.
func (st *statement) returns(names []string, columns []*Column) {
	st.out, st.header = columns, encodeHeader(names)
}

// use says what a parameter is for.
type use uint8

const (
	useWrite   use = iota // stored: must fit the column
	useCompare            // compared with the column
	useLike               // a pattern
	useDelta              // added to the column
)

// param is a parameter of a statement: what it must be, and where in the query its value is.
type param struct {
	column *Column
	use    use
	list   list
	sub    int16      // whose list: an index in q.Subs, -1 is the query
	join   uint16     // of listOn
	item   uint16     // in the list
	value  uint16     // of the condition
	fixed  *abi.Value // of listFixed
}

// list is a part of a query that has values.
type list uint8

const (
	listWhere list = iota
	listHaving
	listOn
	listAfter
	listLimit
	listOffset
	listSet // of an update's row
	listDelta
	listRow // the i-th of statement.inserts, in each row of an insert
	listNow
	listArg
	listFixed // a policy's
)

// value is what the query gives for a parameter that is not of an insert's row. The query has the shape that the statement was compiled
// for.
func (p *param) of(q *abi.Query, now *time.Time) (abi.Value, error) {
	var conds []abi.Cond
	switch p.list {
	case listWhere:
		if conds = q.Where; p.sub >= 0 {
			conds = q.Subs[p.sub].Where
		}
	case listHaving:
		if conds = q.Having; p.sub >= 0 {
			conds = q.Subs[p.sub].Having
		}
	case listOn:
		joins := q.Joins
		if p.sub >= 0 {
			joins = q.Subs[p.sub].Joins
		}
		conds = joins[p.join].On
	case listLimit, listOffset:
		limit, offset := q.Limit, q.Offset
		if p.sub >= 0 {
			limit, offset = q.Subs[p.sub].Limit, q.Subs[p.sub].Offset
		}
		if limit < 0 || offset < 0 {
			return abi.Value{}, invalidf("limit %d and offset %d: neither is below 0", limit, offset)
		}
		if p.list == listOffset {
			limit = offset
		}
		return abi.Int(limit), nil
	case listAfter:
		if v := q.After[p.item]; !v.IsNull() {
			return v, nil
		}
		return abi.Value{}, invalidf("after: %s is null: order by columns that are never null", p.column.Name)
	case listSet:
		return q.Rows[0][p.item], nil
	case listDelta:
		d := &q.Increments[p.item]
		if d.By.IsNull() {
			return abi.Value{}, invalidf("increment of %s by null", clip(d.Column))
		}
		return d.By, nil
	case listArg:
		return q.Args[p.item], nil
	case listFixed:
		return *p.fixed, nil
	case listNow:
		if now.IsZero() {
			*now = time.Now()
		}
		return abi.Time(*now), nil
	default:
		return abi.Value{}, failf(abi.ErrnoInternal, "a parameter has no value")
	}
	return conds[p.item].Values[p.value], nil
}

// checkRow refuses an update whose row is not that of its fields.
func (st *statement) checkRow(q *abi.Query) error {
	row := abi.Values(nil)
	if len(q.Rows) == 1 {
		row = q.Rows[0]
	}
	if st.verb == abi.VerbUpdate && (len(q.Rows) > 1 || len(row) != len(st.set)) {
		return invalidf("update of %s needs one row with %s", st.table.Name, plural(len(st.set), "value"))
	}
	if st.verb == abi.VerbUpdate && st.guard != nil {
		return st.guard.checkSet(row)
	}
	return nil
}

// fill says where the value of a column comes from when the row has none.
type fill uint8

const (
	fillNone fill = iota
	fillNanoid
	fillNow
	fillPin // with the one value that a policy allows
)

type insertColumn struct {
	column *Column
	source int // index in the row, -1 is none
	fill   fill
	value  abi.Value // of fillPin
}

// filled is the value of the column where the row has none.
func (in *insertColumn) filled(now time.Time) abi.Value {
	switch in.fill {
	case fillPin:
		return in.value
	case fillNanoid:
		return abi.Text(newNanoid(in.column.Nanoid))
	}
	return abi.Time(now)
}

// countColumn describes a number that is of no column.
var countColumn = &Column{Type: TypeInt}

func encodeHeader(names []string) []byte {
	b := msgp.AppendString(nil, "c")
	b = msgp.AppendArrayHeader(b, uint32(len(names)))
	for _, name := range names {
		b = msgp.AppendString(b, name)
	}
	return b
}

// maxStatements bounds each of a catalog's two generations of compiled statements.
const maxStatements = 512

// statements keeps compiled statements by shape in two generations: when the young one is full it becomes the old one, and what is
// used again comes back. A statement that is not used is so forgotten after two generations.
type statements struct {
	mu    sync.RWMutex // guards what is below; nothing is called under it
	young map[string]*statement
	old   map[string]*statement
}

func (s *statements) get(shape []byte) *statement {
	s.mu.RLock()
	st, ok := s.young[string(shape)]
	if ok {
		s.mu.RUnlock()
		return st
	}
	st = s.old[string(shape)]
	s.mu.RUnlock()
	if st != nil {
		s.put(shape, st)
	}
	return st
}

func (s *statements) put(shape []byte, st *statement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= maxStatements {
		s.old, s.young = s.young, make(map[string]*statement, maxStatements)
	}
	s.young[string(shape)] = st
}

func (s *statements) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.young) + len(s.old)
}
