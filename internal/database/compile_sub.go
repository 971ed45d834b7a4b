package database

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// subquery is one of q.Subs while the query is compiled.
type subquery struct {
	state subState
	table *Table // of a common table expression, once its columns are known
}

type subState uint8

const (
	subUnused subState = iota
	subOpen            // being compiled
	subDone
)

// take begins the use of a sub-query that is used once.
func (k *compiler) take(n uint32) (*abi.Select, int, error) {
	i := int(n) - 1
	switch {
	case i < 0 || i >= len(k.q.Subs):
		return nil, 0, invalidf("sub-query %d: the query has %d", n, len(k.q.Subs))
	case k.q.Subs[i].Name != "":
		return nil, 0, invalidf("%s is a common table expression: it can be selected from and joined", clip(k.q.Subs[i].Name))
	case k.subs[i].state != subUnused:
		return nil, 0, invalidf("sub-query %d is used twice: make it a common table expression", n)
	case k.nested >= maxNest:
		return nil, 0, invalidf("sub-queries are nested deeper than %d", maxNest)
	}
	return &k.q.Subs[i], i, nil
}

// nest compiles a sub-query. outer is the block whose columns it sees, nil for none.
func (k *compiler) nest(n uint32, outer *block) (*block, string, error) {
	sel, i, err := k.take(n)
	if err != nil {
		return nil, "", err
	}
	return k.inner(&block{compiler: k, outer: outer, sel: sel, sub: i})
}

func (k *compiler) inner(b *block) (*block, string, error) {
	k.subs[b.sub].state = subOpen
	k.nested++
	defer func() { k.nested-- }()
	if err := b.from(b.sel.Table, b.sel.From, b.sel.As); err != nil {
		return nil, "", err
	}
	sql, err := b.selects()
	if err != nil {
		return nil, "", err
	}
	k.subs[b.sub].state = subDone
	return b, sql, nil
}

// fromSub makes a table of a sub-query or a common table expression.
func (b *block) fromSub(s *source, n uint32) error {
	i := int(n) - 1
	if i < 0 || i >= len(b.q.Subs) || b.q.Subs[i].Name == "" {
		if s.alias == "" {
			return invalidf("sub-query %d as a table needs an alias", n)
		}
		inner, sql, err := b.nest(n, nil)
		if err != nil {
			return err
		}
		b.depth = max(b.depth, inner.depth+1)
		s.table, s.sql = inner.asTable(s.alias), "("+sql+") AS "+b.dialect.quote(s.alias)
		return nil
	}
	name, sub := b.q.Subs[i].Name, &b.subs[i]
	switch {
	case sub.table == nil:
		return invalidf("%s is used before it is there: common table expressions come in order", clip(name))
	case sub.state == subOpen:
		if b.self != sub {
			return invalidf("%s may select from itself in the last of its unions only", clip(name))
		}
		if b.selfs++; b.selfs > 1 {
			return invalidf("%s selects from itself twice", clip(name))
		}
	}
	if s.alias == "" {
		s.alias = name
	}
	s.table, s.sql = sub.table, b.dialect.quote(name)
	return nil
}

// asTable describes the block's result as a table.
func (b *block) asTable(name string) *Table {
	t := &Table{Name: name, View: true, byName: map[string]int{}}
	for i, column := range b.out {
		c := *column
		c.Name, c.Nanoid, c.Generated = b.names[i], 0, true
		t.byName[c.Name] = len(t.Columns)
		t.Columns = append(t.Columns, c)
	}
	return t
}

// with compiles the common table expressions, in order. Each sees those before it.
func (k *compiler) with() (string, error) {
	var list []string
	recursive := ""
	for i := range k.q.Subs {
		sel := &k.q.Subs[i]
		if sel.Name == "" {
			if sel.Recursive {
				return "", invalidf("sub-query %d: only a common table expression is recursive", i+1)
			}
			continue
		}
		if k.q.Verb != abi.VerbSelect {
			return "", invalidf("%s takes sub-queries in its conditions, no common table expression", k.q.Verb)
		}
		if err := k.checkName(i); err != nil {
			return "", err
		}
		if sel.Recursive {
			if len(sel.Unions) == 0 || len(sel.Order) > 0 || sel.Limit != 0 || sel.Offset != 0 {
				return "", invalidf("%s is recursive: it needs a union, and takes neither order, limit nor offset", clip(sel.Name))
			}
			recursive = "RECURSIVE "
		}
		b, sql, err := k.inner(&block{compiler: k, sel: sel, sub: i})
		if err != nil {
			return "", err
		}
		if k.subs[i].table == nil {
			k.subs[i].table = b.asTable(sel.Name)
		}
		columns := make([]string, len(b.names))
		for j, name := range b.names {
			columns[j] = k.dialect.quote(name)
		}
		list = append(list, k.dialect.quote(sel.Name)+" ("+strings.Join(columns, ", ")+") AS ("+sql+")")
	}
	if len(list) == 0 {
		return "", nil
	}
	return "WITH " + recursive + strings.Join(list, ", ") + " ", nil
}

// checkName refuses a name that would hide a table, whatever the case of its letters.
func (k *compiler) checkName(i int) error {
	name := k.q.Subs[i].Name
	if err := checkAlias(name); err != nil {
		return err
	}
	hides := reserved(name)
	for table := range k.catalog.tables {
		hides = hides || strings.EqualFold(table, name)
	}
	if hides {
		return invalidf("common table expression %s: a table is called so, use another name", clip(name))
	}
	if slices.ContainsFunc(k.q.Subs[:i], func(s abi.Select) bool { return strings.EqualFold(s.Name, name) }) {
		return invalidf("two common table expressions are called %s", clip(name))
	}
	return nil
}

// unions compiles what follows a select, with the types of its columns narrowed to what all parts share.
func (b *block) unions() (string, error) {
	var text strings.Builder
	for i, u := range b.sel.Unions {
		sel, sub, err := b.take(u.Sub)
		if err != nil {
			return "", err
		}
		if len(sel.Order) > 0 || sel.Limit != 0 || sel.Offset != 0 || len(sel.Unions) > 0 {
			return "", invalidf("a part of a union takes neither order, limit, offset nor unions: they are the whole's")
		}
		part := &block{compiler: b.compiler, outer: b.outer, sel: sel, sub: sub}
		recursive := b.sel.Recursive && i == len(b.sel.Unions)-1
		if recursive {
			b.subs[b.sub].table = b.asTable(b.sel.Name)
			part.self = &b.subs[b.sub]
		}
		part, sql, err := b.inner(part)
		if err != nil {
			return "", err
		}
		if recursive && part.selfs == 0 {
			return "", invalidf("%s is recursive, but the last of its unions does not select from it", clip(b.sel.Name))
		}
		if err := b.widen(part); err != nil {
			return "", err
		}
		b.depth = max(b.depth, part.depth)
		if text.WriteString(" UNION "); u.All {
			text.WriteString("ALL ")
		}
		text.WriteString(sql)
	}
	return text.String(), nil
}

// widen checks that a part of a union fits.
func (b *block) widen(part *block) error {
	if len(part.out) != len(b.out) {
		return invalidf("a union of %s and %s: select as many in each part", plural(len(b.out), "column"), plural(len(part.out), "column"))
	}
	for i, c := range b.out {
		p := part.out[i]
		switch {
		case c.Type == p.Type && c.Scale == p.Scale:
			continue
		case c.Type == TypeAny || p.Type == TypeAny, family(c.Type) == family(p.Type) && c.Type != TypeDecimal && p.Type != TypeDecimal:
			b.out[i] = &Column{Name: c.Name}
			if family(c.Type) == TypeInt && family(p.Type) == TypeInt {
				b.out[i].Type = TypeFloat
			}
		default:
			return invalidf("a union of %s and %s, which are of different types", clip(b.names[i]), clip(part.names[i]))
		}
	}
	return nil
}

// checkUsed refuses a sub-query that nothing uses.
func (k *compiler) checkUsed() error {
	for i := range k.subs {
		if k.subs[i].state == subUnused {
			return invalidf("sub-query %d is not used", i+1)
		}
	}
	return nil
}
