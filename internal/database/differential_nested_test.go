package database

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// This file has an evaluation in memory of whole query trees, slow and obvious, over integers and nulls, and a generator of such
// trees. What SQLite answers to what is compiled must be the same rows.

// number is an integer or null.
type integer struct {
	n    int64
	null bool
}

func (x integer) String() string {
	if x.null {
		return "null"
	}
	return fmt.Sprint(x.n)
}

// relation is rows under names.
type relation struct {
	columns []string
	rows    [][]integer
}

// frame is one row of each table of a select, by alias; outer is that of the select around it.
type frame struct {
	aliases []string
	tables  []*relation
	rows    [][]integer
	outer   *frame
}

func (f *frame) get(name string) integer {
	alias, column, _ := strings.Cut(name, ".")
	for ; f != nil; f = f.outer {
		for i := range f.rows {
			if f.aliases[i] == alias {
				if f.rows[i] == nil {
					return integer{null: true} // of an outer join
				}
				return f.rows[i][slices.Index(f.tables[i].columns, column)]
			}
		}
	}
	panic("no column " + name)
}

// oracle evaluates one query.
type oracle struct {
	base map[string]*relation
	q    *abi.Query
	ctes map[uint32]*relation
}

func (o *oracle) source(name string, from uint32) *relation {
	if from == 0 {
		return o.base[name]
	}
	if r, ok := o.ctes[from]; ok {
		return r
	}
	r := o.evaluate(&o.q.Subs[from-1], nil)
	if o.q.Subs[from-1].Name != "" {
		o.ctes[from] = r
	}
	return r
}

func (o *oracle) evaluate(s *abi.Select, outer *frame) *relation {
	frames := []*frame{}
	first := o.source(s.Table, s.From)
	for _, row := range first.rows {
		frames = append(frames, &frame{[]string{s.As}, []*relation{first}, [][]integer{row}, outer})
	}
	for i := range s.Joins {
		j := &s.Joins[i]
		other := o.source(j.Table, j.From)
		var joined []*frame
		for _, f := range frames {
			with := func(row []integer) *frame {
				return &frame{append(slices.Clone(f.aliases), j.As), append(slices.Clone(f.tables), other), append(slices.Clone(f.rows), row), outer}
			}
			matched := false
			for _, row := range other.rows {
				if next := with(row); o.holds(j.On, next, nil) {
					joined, matched = append(joined, next), true
				}
			}
			if !matched && j.Kind == "left" {
				joined = append(joined, with(nil))
			}
		}
		frames = joined
	}
	frames = slices.DeleteFunc(frames, func(f *frame) bool { return !o.holds(s.Where, f, nil) })
	out := o.project(s, frames)
	for _, u := range s.Unions {
		part := o.evaluate(&o.q.Subs[u.Sub-1], outer)
		out.rows = append(slices.Clone(out.rows), part.rows...)
		if !u.All {
			out.rows = distinct(out.rows)
		}
	}
	if len(s.Order) > 0 {
		slices.SortStableFunc(out.rows, func(a, b []integer) int {
			for _, term := range s.Order {
				i := slices.Index(out.columns, term.Column)
				if c := compareIntegers(a[i], b[i]); c != 0 {
					if term.Desc {
						return -c
					}
					return c
				}
			}
			return 0
		})
	}
	out.rows = out.rows[min(int(s.Offset), len(out.rows)):]
	if s.Limit > 0 {
		out.rows = out.rows[:min(int(s.Limit), len(out.rows))]
	}
	return out
}

// compareIntegers sorts nulls first.
func compareIntegers(a, b integer) int {
	if a.null || b.null {
		return cmp.Compare(flagOf(!a.null), flagOf(!b.null))
	}
	return cmp.Compare(a.n, b.n)
}

func flagOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func distinct(rows [][]integer) (out [][]integer) {
	seen := map[string]bool{}
	for _, row := range rows {
		if key := fmt.Sprint(row); !seen[key] {
			seen[key] = true
			out = append(out, row)
		}
	}
	return out
}

func (o *oracle) project(s *abi.Select, frames []*frame) *relation {
	out := &relation{}
	aggregates := len(s.Group) > 0
	for _, c := range s.Columns {
		out.columns = append(out.columns, c.As)
		aggregates = aggregates || c.Func != ""
	}
	groups := [][]*frame{}
	switch {
	case !aggregates:
		for _, f := range frames {
			groups = append(groups, []*frame{f})
		}
	case len(s.Group) == 0:
		groups = append(groups, frames)
	default:
		at := map[string]int{}
		for _, f := range frames {
			key := ""
			for _, name := range s.Group {
				key += f.get(name).String() + " "
			}
			if _, ok := at[key]; !ok {
				at[key] = len(groups)
				groups = append(groups, nil)
			}
			groups[at[key]] = append(groups[at[key]], f)
		}
	}
	for _, g := range groups {
		if !o.holds(s.Having, nil, g) {
			continue
		}
		row := []integer{}
		for _, c := range s.Columns {
			switch {
			case c.Sub != 0:
				inner := o.evaluate(&o.q.Subs[c.Sub-1], g[0])
				row = append(row, inner.rows[0][0])
			case c.Func != "":
				row = append(row, aggregate(c.Func, c.Name, c.Distinct, g))
			default:
				row = append(row, g[0].get(c.Name))
			}
		}
		out.rows = append(out.rows, row)
	}
	if s.Distinct {
		out.rows = distinct(out.rows)
	}
	return out
}

func aggregate(fn, name string, different bool, frames []*frame) integer {
	var values []int64
	for _, f := range frames {
		if name == "*" {
			values = append(values, 0)
		} else if v := f.get(name); !v.null && !(different && slices.Contains(values, v.n)) {
			values = append(values, v.n)
		}
	}
	switch {
	case fn == "count":
		return integer{n: int64(len(values))}
	case len(values) == 0:
		return integer{null: true}
	case fn == "min":
		return integer{n: slices.Min(values)}
	case fn == "max":
		return integer{n: slices.Max(values)}
	}
	sum := int64(0)
	for _, v := range values {
		sum += v
	}
	return integer{n: sum}
}

// holds evaluates a condition over a row, or in having over a group.
func (o *oracle) holds(conds []abi.Cond, f *frame, group []*frame) bool {
	var stack []three
	for _, c := range conds {
		switch c.Op {
		case abi.CondNot:
			stack[len(stack)-1] = 2 - stack[len(stack)-1]
		case abi.CondAnd, abi.CondOr:
			parts := stack[len(stack)-int(c.N):]
			result := of(c.Op == abi.CondAnd)
			for _, x := range parts {
				if c.Op == abi.CondAnd {
					result = min(result, x)
				} else {
					result = max(result, x)
				}
			}
			stack = append(stack[:len(stack)-int(c.N)], result)
		default:
			stack = append(stack, o.leaf(c, f, group))
		}
	}
	return !slices.ContainsFunc(stack, func(x three) bool { return x != 2 })
}

func (o *oracle) leaf(c abi.Cond, f *frame, group []*frame) three {
	var inner *relation
	if c.Sub != 0 {
		inner = o.evaluate(&o.q.Subs[c.Sub-1], f)
	}
	if c.Op >= abi.CondExists {
		return of((len(inner.rows) > 0) == (c.Op == abi.CondExists))
	}
	var left integer
	if c.Func != "" {
		left = aggregate(c.Func, c.Column, false, group)
	} else {
		left = f.get(c.Column)
	}
	switch c.Op {
	case abi.CondNull:
		return of(left.null)
	case abi.CondNotNull:
		return of(!left.null)
	}
	var list []integer
	switch {
	case inner != nil:
		for _, row := range inner.rows {
			list = append(list, row[0])
		}
	case c.Other != "":
		list = []integer{f.get(c.Other)}
	default:
		for _, v := range c.Values {
			list = append(list, integer{n: v.AsInt()})
		}
	}
	if c.Op == abi.CondIn || c.Op == abi.CondNotIn {
		return in(left, list, c.Op == abi.CondNotIn)
	}
	right := list[0]
	if left.null || right.null {
		return 1
	}
	order := cmp.Compare(left.n, right.n)
	switch c.Op {
	case abi.CondEq:
		return of(order == 0)
	case abi.CondNe:
		return of(order != 0)
	case abi.CondLt:
		return of(order < 0)
	case abi.CondLe:
		return of(order <= 0)
	case abi.CondGt:
		return of(order > 0)
	}
	return of(order >= 0)
}

func in(left integer, list []integer, not bool) three {
	result := of(false)
	for _, x := range list {
		switch {
		case left.null || x.null:
			result = max(result, 1)
		case left.n == x.n:
			result = 2
		}
	}
	if not {
		return 2 - result
	}
	return result
}

// grower draws query trees.
type grower struct {
	*rand.Rand
	q       *abi.Query
	aliases int
	ctes    []uint32
}

var intTables = map[string][]string{"users": {"id", "age", "boss"}, "pairs": {"a", "b", "n"}}

// scoped are the columns that a select sees, with their aliases.
type scoped []string

func (g *grower) alias() string {
	g.aliases++
	return fmt.Sprintf("t%d", g.aliases)
}

func (g *grower) pick(s scoped) string { return s[g.IntN(len(s))] }

// add puts a sub-query at the end of the list.
func (g *grower) add(s abi.Select) uint32 {
	g.q.Subs = append(g.q.Subs, s)
	return uint32(len(g.q.Subs))
}

// table draws what a select is from, and its columns.
func (g *grower) table(depth int) (name string, from uint32, columns []string) {
	switch {
	case len(g.ctes) > 0 && g.IntN(3) == 0:
		from = g.ctes[g.IntN(len(g.ctes))]
	case depth > 0 && len(g.q.Subs) < 20 && g.IntN(4) == 0:
		from = g.add(g.tree(depth-1, nil, 1+g.IntN(2), false))
	default:
		name = []string{"users", "pairs"}[g.IntN(2)]
		return name, 0, intTables[name]
	}
	for _, c := range g.q.Subs[from-1].Columns {
		columns = append(columns, c.As)
	}
	return "", from, columns
}

// tree draws a select of so many columns; one has one row.
func (g *grower) tree(depth int, outer scoped, width int, one bool) abi.Select {
	var s abi.Select
	var own scoped
	include := func(alias string, columns []string) {
		for _, c := range columns {
			own = append(own, alias+"."+c)
		}
	}
	var names []string
	s.Table, s.From, names = g.table(depth)
	s.As = g.alias()
	include(s.As, names)
	if g.IntN(3) == 0 {
		j := abi.Join{Kind: []string{"inner", "left", "cross"}[g.IntN(3)]}
		j.Table, j.From, names = g.table(0)
		j.As = g.alias()
		include(j.As, names)
		if j.Kind != "cross" {
			j.On = []abi.Cond{{Op: abi.CondEq, Column: g.pick(own), Other: j.As + "." + names[g.IntN(len(names))]}}
		}
		s.Joins = append(s.Joins, j)
	}
	s.Where = g.conds(depth, own, outer)
	grouped := one || g.IntN(4) == 0
	if grouped && !one {
		s.Group = []string{g.pick(own)}
		if g.IntN(2) == 0 {
			s.Having = []abi.Cond{{Op: abi.CondGt, Func: "count", Column: "*", Values: abi.Values{abi.Int(int64(g.IntN(3)))}}}
		}
	}
	for i := range width {
		c := abi.Column{Name: g.pick(own), As: fmt.Sprintf("c%d", i)}
		switch {
		case grouped && !one && g.IntN(2) == 0:
			c.Name = s.Group[0]
		case grouped:
			c.Func = []string{"count", "sum", "min", "max"}[g.IntN(4)]
			c.Distinct = c.Func == "count" && g.IntN(2) == 0
		case depth > 0 && len(g.q.Subs) < 20 && g.IntN(8) == 0:
			c.Name, c.Sub = "", g.add(g.tree(depth-1, append(slices.Clip(own), outer...), 1, true))
		}
		s.Columns = append(s.Columns, c)
	}
	if one {
		return s
	}
	s.Distinct = g.IntN(5) == 0
	for depth > 0 && len(g.q.Subs) < 20 && g.IntN(5) == 0 {
		part := g.tree(0, nil, width, false)
		part.Order, part.Limit, part.Offset = nil, 0, 0
		s.Unions = append(s.Unions, abi.Union{Sub: g.add(part), All: g.IntN(2) == 0})
	}
	if g.IntN(3) == 0 { // a total order of the result: then a limit is no matter of chance
		for i := range width {
			s.Order = append(s.Order, abi.Order{Column: fmt.Sprintf("c%d", i), Desc: g.IntN(2) == 0})
		}
		s.Limit, s.Offset = int64(g.IntN(6)), int64(g.IntN(2))
	}
	return s
}

func (g *grower) conds(depth int, own, outer scoped) []abi.Cond {
	var list []abi.Cond
	on := 0
	for range g.IntN(4) {
		if on > 0 && g.IntN(3) == 0 {
			switch op := abi.CondOp(g.IntN(3)); op {
			case abi.CondNot:
				list = append(list, abi.Cond{Op: op})
			default:
				n := g.IntN(on + 1)
				list = append(list, abi.Cond{Op: op, N: uint32(n)})
				on += 1 - n
			}
			continue
		}
		on++
		all := append(slices.Clip(own), outer...)
		c := abi.Cond{Op: abi.CondEq + abi.CondOp(g.IntN(6)), Column: g.pick(all)}
		switch x := g.IntN(8); {
		case x < 3 && depth > 0 && len(g.q.Subs) < 20:
			switch x {
			case 0:
				c.Op, c.Column = abi.CondExists+abi.CondOp(g.IntN(2)), ""
				c.Sub = g.add(g.tree(depth-1, all, 1, false))
			case 1:
				c.Op = abi.CondIn + abi.CondOp(g.IntN(2))
				c.Sub = g.add(g.tree(depth-1, all, 1, false))
			default:
				c.Sub = g.add(g.tree(depth-1, all, 1, true))
			}
		case x == 3:
			c.Other = g.pick(all)
		case x == 4:
			c.Op = abi.CondNull + abi.CondOp(g.IntN(2))
		case x == 5:
			c.Op = abi.CondIn + abi.CondOp(g.IntN(2))
			c.Values = abi.Values{abi.Int(int64(g.IntN(4))), abi.Int(int64(g.IntN(4)))}
		default:
			c.Values = abi.Values{abi.Int(int64(g.IntN(5)))}
		}
		list = append(list, c)
	}
	return list
}

func (g *grower) grow() *abi.Query {
	g.q = &abi.Query{}
	for range g.IntN(3) {
		s := g.tree(1, nil, 2, false)
		s.Name = fmt.Sprintf("cte%d", len(g.q.Subs))
		g.ctes = append(g.ctes, g.add(s))
	}
	s := g.tree(2, nil, 1+g.IntN(3), false)
	g.q.Table, g.q.From, g.q.As, g.q.Columns, g.q.Distinct, g.q.Joins, g.q.Where, g.q.Group = s.Table, s.From, s.As, s.Columns, s.Distinct, s.Joins, s.Where, s.Group
	g.q.Having, g.q.Order, g.q.Limit, g.q.Offset, g.q.Unions = s.Having, s.Order, s.Limit, s.Offset, s.Unions
	return g.q
}

func lines(rows [][]integer) []string {
	list := make([]string, len(rows))
	for i, row := range rows {
		list[i] = fmt.Sprint(row)
	}
	slices.Sort(list)
	return list
}

// Query trees mean what an evaluation in memory says.
func TestTreesDifferential(t *testing.T) { onEngines(t, testTreesDifferential) }

func testTreesDifferential(t *testing.T, db *DB) {
	r := rand.New(rand.NewPCG(5, 6))
	base := map[string]*relation{"users": {columns: intTables["users"]}, "pairs": {columns: intTables["pairs"]}}
	draw := func(n int) integer { return integer{n: int64(r.IntN(n)), null: r.IntN(4) == 0} }
	give := func(x integer) any {
		if x.null {
			return nil
		}
		return x.n
	}
	for i := range 7 {
		age, boss := draw(4), integer{n: int64(1 + r.IntN(i+1)), null: i == 0 || r.IntN(3) == 0}
		must(t, db, insert("users", "id", i+1, "name", "x", "age", give(age), "boss", give(boss)))
		base["users"].rows = append(base["users"].rows, []integer{{n: int64(i + 1)}, age, boss})
		n := draw(4)
		must(t, db, insert("pairs", "a", i/3, "b", i%3, "n", give(n)))
		base["pairs"].rows = append(base["pairs"].rows, []integer{{n: int64(i / 3)}, {n: int64(i % 3)}, n})
	}
	shapes := map[string]int{}
	for i := range 1500 {
		q := (&grower{Rand: r}).grow()
		o := &oracle{base: base, q: q, ctes: map[uint32]*relation{}}
		want := lines(o.evaluate(&abi.Select{
			Table: q.Table, From: q.From, As: q.As, Columns: q.Columns, Distinct: q.Distinct, Joins: q.Joins, Where: q.Where, Group: q.Group, Having: q.Having,
			Order: q.Order, Limit: q.Limit, Offset: q.Offset, Unions: q.Unions,
		}, nil).rows)
		st, err := db.Catalog().compile(db.engine.dialect(), q)
		if errnoOf(err) == abi.ErrnoInvalid && strings.Contains(err.Error(), "is not in group") || errnoOf(err) == abi.ErrnoInvalid && strings.Contains(err.Error(), "is not used") {
			shapes["refused"]++
			continue
		}
		if err != nil {
			t.Fatalf("query %d: %v\n%+v", i, err, q)
		}
		result, err := query(db, q)
		// MariaDB has no limit within in, and does not skip the one row of a distinct constant.
		skips := q.Distinct && q.Offset > 0 || slices.ContainsFunc(q.Subs, func(s abi.Select) bool { return s.Distinct && s.Offset > 0 })
		if is(db, typeMySQL) && (errnoOf(err) == abi.ErrnoUnsupported || skips) {
			shapes["refused"]++
			continue
		}
		if err != nil {
			t.Fatalf("query %d: %v\n%s", i, err, st.sql)
		}
		var rows [][]integer
		for _, row := range result.Rows {
			var out []integer
			for _, v := range row {
				out = append(out, integer{n: v.AsInt(), null: v.IsNull()})
			}
			rows = append(rows, out)
		}
		if got := lines(rows); !slices.Equal(got, want) {
			t.Fatalf("query %d\n%s\ngot %v\nwant %v\n%+v", i, st.sql, got, want, q)
		}
		for name, has := range map[string]bool{"sub": len(q.Subs) > 0, "cte": strings.Contains(st.sql, "WITH"), "exists": strings.Contains(st.sql, "EXISTS"), "union": strings.Contains(st.sql, "UNION"), "rows": len(want) > 0} {
			if has {
				shapes[name]++
			}
		}
	}
	t.Logf("of 1500: %v", shapes)
	for _, name := range []string{"sub", "cte", "exists", "union", "rows"} {
		if shapes[name] < 150 {
			t.Errorf("only %d trees have %s: the generator is too tame", shapes[name], name)
		}
	}
}
