package migrate

import (
	"slices"
	"strings"
)

// createTable is the text of a CREATE TABLE, cut where an edit may be needed. What is not edited keeps its spelling.
type createTable struct {
	name  string
	items []*createItem
	tail  string // WITHOUT ROWID, STRICT
}

// createItem is one column or one table constraint.
type createItem struct {
	raw    string // with comments; used while clean
	dirty  bool
	column string // "" for a table constraint
	typ    string
	parts  []part
}

// part is one constraint, of a column or (alone in its item) of the table.
type part struct {
	kind string // PRIMARY, NOT, NULL, UNIQUE, CHECK, DEFAULT, COLLATE, REFERENCES, GENERATED, FOREIGN
	sql  string
	toks []token // without the CONSTRAINT name
}

var partStarts = []string{
	"CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS", "FOREIGN",
}

// parseCreateTable reads what sqlite_schema holds for a table.
func parseCreateTable(sql string) (*createTable, error) {
	toks, err := lex(sql)
	if err != nil {
		return nil, err
	}
	toks = slices.DeleteFunc(toks, func(t token) bool { return t.comment })
	open := slices.IndexFunc(toks, token.opens)
	if len(toks) < 4 || !toks[0].is("CREATE") || !toks[1].isAny("TABLE", "TEMP", "TEMPORARY") || open < 2 {
		return nil, &parseError{near: cut(sql), why: "no CREATE TABLE"}
	}
	ct := &createTable{name: toks[open-1].text}
	depth, first := 0, open+1
	for i := open; i < len(toks); i++ {
		t := toks[i]
		if t.quoted || t.literal {
			continue
		}
		switch t.text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 1 && t.text == "," || depth == 0 {
			item, err := parseItem(sql, toks[first:i])
			if err != nil {
				return nil, err
			}
			ct.items = append(ct.items, item)
			first = i + 1
		}
		if depth == 0 {
			ct.tail = strings.TrimSpace(sql[t.end:])
			return ct, nil
		}
	}
	return nil, &parseError{near: cut(sql), why: "parenthesis not closed"}
}

func parseItem(sql string, toks []token) (*createItem, error) {
	if len(toks) == 0 {
		return nil, &parseError{near: cut(sql), why: "empty column"}
	}
	item := &createItem{raw: sql[toks[0].start:toks[len(toks)-1].end]}
	if toks[0].isAny("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN") {
		item.parts = []part{makePart(sql, toks)}
		return item, nil
	}
	if item.column = toks[0].text; toks[0].literal {
		item.column = strings.ReplaceAll(strings.Trim(item.column, "'"), "''", "'")
	}
	if item.column == "" || !toks[0].name() && !toks[0].literal {
		return nil, &parseError{near: cut(sql), why: "column without a name"}
	}
	i := 1
	for i < len(toks) && !toks[i].isAny(partStarts...) {
		i++
	}
	item.typ = typeText(toks[1:i])
	for i < len(toks) {
		end := nextPart(toks, i)
		item.parts = append(item.parts, makePart(sql, toks[i:end]))
		i = end
	}
	return item, nil
}

// nextPart finds where the constraint at i ends.
func nextPart(toks []token, i int) int {
	named := toks[i].is("CONSTRAINT")
	if named {
		i += 2
		if i >= len(toks) {
			return len(toks)
		}
	}
	depth := 0
	for j := i + 1; j < len(toks); j++ {
		t, before := toks[j], toks[j-1]
		switch {
		case t.opens():
			depth++
		case t.closes():
			depth--
		case depth > 0 || !t.isAny(partStarts...):
		case t.is("NULL") && before.isAny("NOT", "SET", "DEFAULT"):
		case t.is("DEFAULT") && before.is("SET"):
		case t.is("NOT") && j+1 < len(toks) && toks[j+1].is("DEFERRABLE"):
		case t.is("AS") && before.is("ALWAYS"):
		case t.is("REFERENCES") && toks[i].is("FOREIGN"):
		default:
			return j
		}
	}
	return len(toks)
}

func makePart(sql string, toks []token) part {
	p := part{sql: sql[toks[0].start:toks[len(toks)-1].end], toks: toks}
	if toks[0].is("CONSTRAINT") && len(toks) > 2 {
		p.toks = toks[2:]
	}
	p.kind = strings.ToUpper(p.toks[0].text)
	if p.kind == "AS" {
		p.kind = "GENERATED"
	}
	return p
}

// typeText prints a declared type in one spelling: VARCHAR(10), DECIMAL_TEXT(10,2).
func typeText(toks []token) string {
	var b strings.Builder
	for i, t := range toks {
		if i > 0 && t.name() && toks[i-1].name() {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ToUpper(t.text))
	}
	return b.String()
}

// sql prints the statement for a table called name.
func (ct *createTable) sql(name string) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + quoteName(name) + " (\n")
	var columns, constraints []string
	for _, item := range ct.items {
		if item.column != "" {
			columns = append(columns, item.sql())
		} else {
			constraints = append(constraints, item.sql())
		}
	}
	for i, text := range append(columns, constraints...) {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString("  " + text)
	}
	b.WriteString("\n)")
	if ct.tail != "" {
		b.WriteString(" " + ct.tail)
	}
	return b.String()
}

func (it *createItem) sql() string {
	if !it.dirty {
		if strings.Contains(it.raw, "--") { // a line comment would swallow the comma
			return it.raw + "\n"
		}
		return it.raw
	}
	var words []string
	if it.column != "" {
		words = append(words, quoteName(it.column))
	}
	if it.typ != "" {
		words = append(words, it.typ)
	}
	for _, p := range it.parts {
		words = append(words, p.sql)
	}
	return strings.Join(words, " ")
}

func (ct *createTable) clone() *createTable {
	out := *ct
	out.items = make([]*createItem, len(ct.items))
	for i, item := range ct.items {
		c := *item
		c.parts = slices.Clone(item.parts)
		out.items[i] = &c
	}
	return &out
}

func (ct *createTable) column(name string) *createItem {
	for _, item := range ct.items {
		if item.column != "" && strings.EqualFold(item.column, name) {
			return item
		}
	}
	return nil
}

// remove takes out the parts that match; set puts one in the place of the first of its kind, or at the end.
func (it *createItem) remove(match func(part) bool) {
	n := len(it.parts)
	it.parts = slices.DeleteFunc(it.parts, match)
	it.dirty = it.dirty || len(it.parts) != n
}

func (it *createItem) set(kind, sql string) {
	it.dirty = true
	toks, _ := lex(sql)
	p := part{kind: kind, sql: sql, toks: toks}
	for i := range it.parts {
		if it.parts[i].kind == kind {
			it.parts[i] = p
			return
		}
	}
	it.parts = append(it.parts, p)
}

func cut(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// parenthesised returns the names in the first parentheses of toks and the position after them.
func parenthesised(toks []token, from int) ([]string, int) {
	if from >= len(toks) || !toks[from].opens() {
		return nil, from
	}
	var names []string
	depth := 0
	for i := from; i < len(toks); i++ {
		switch t := toks[i]; {
		case t.opens():
			depth++
		case t.closes():
			if depth--; depth == 0 {
				return names, i + 1
			}
		case depth == 1 && t.name() && (toks[i-1].text == "(" || toks[i-1].text == ","):
			names = append(names, t.text)
		}
	}
	return names, len(toks)
}

// foreignKey reads a REFERENCES or FOREIGN KEY part.
func (p part) foreignKey(column string) (ForeignKey, bool) {
	fk := ForeignKey{Columns: []string{column}, OnDelete: noAction, OnUpdate: noAction}
	i := 0
	switch p.kind {
	case "FOREIGN":
		fk.Columns, i = parenthesised(p.toks, 2)
	case "REFERENCES":
	default:
		return fk, false
	}
	if i+1 >= len(p.toks) || !p.toks[i].is("REFERENCES") {
		return fk, false
	}
	fk.RefTable = p.toks[i+1].text
	fk.RefColumns, i = parenthesised(p.toks, i+2)
	for ; i+2 < len(p.toks); i++ {
		if !p.toks[i].is("ON") {
			continue
		}
		action := strings.ToUpper(p.toks[i+2].text)
		if (action == "SET" || action == "NO") && i+3 < len(p.toks) {
			action += " " + strings.ToUpper(p.toks[i+3].text)
		}
		if p.toks[i+1].is("DELETE") {
			fk.OnDelete = action
		} else {
			fk.OnUpdate = action
		}
	}
	return fk, true
}
