package migrate

import (
	"slices"
	"strings"
)

// mysqlTable is what SHOW CREATE TABLE tells beyond TableInfo.
type mysqlTable struct {
	columns  map[string]*mysqlColumn // by folded name
	checks   []mysqlCheck            // of the table
	implicit []IndexInfo             // made for a foreign key and named after it
}

// mysqlColumn is one column as it is printed.
type mysqlColumn struct {
	definition string // all behind the name
	base       string // the type alone
	kind       string // with its character set and collation
	comment    string // as a literal, "" for none
	check      string // CHECK (...), "" for none
	generated  string // what it is computed from
}

// mysqlCheck is a constraint of a table.
type mysqlCheck struct{ name, text string }

// mysqlLex splits what the server prints while sql_mode knows backslash escapes and no ANSI quotes.
func mysqlLex(s string) ([]token, error) {
	var out []token
	for i := 0; i < len(s); {
		t := token{start: i}
		switch c := s[i]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
			continue
		case strings.HasPrefix(s[i:], "/*!"): // what other servers do not know is inside
			for i += 3; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			}
			continue
		case strings.HasPrefix(s[i:], "*/"):
			i += 2
			continue
		case c == '\'' || c == '`' || c == '"':
			n := mysqlQuoted(s[i:])
			if n == 0 {
				return nil, errUnterminated
			}
			i += n
			t.text = s[t.start:i]
			if t.literal, t.quoted = c != '`', c == '`'; t.quoted {
				t.text = strings.ReplaceAll(t.text[1:len(t.text)-1], "``", "`")
			}
		case isWord(c):
			for i < len(s) && (isWord(s[i]) || s[i] == '.' && c >= '0' && c <= '9') {
				i++
			}
			t.word, t.text = true, s[t.start:i]
		default:
			i++
			t.text = s[t.start:i]
		}
		t.end = i
		out = append(out, t)
	}
	return out, nil
}

// mysqlQuoted is the length of the quoted text that s begins with, 0 if it does not end.
func mysqlQuoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] != '`':
			i++
		case s[i] == s[0] && i+1 < len(s) && s[i+1] == s[0]:
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return 0
}

// parseMySQLTable reads what SHOW CREATE TABLE prints.
func (m mysql) parseMySQLTable(name, text string) *TableInfo {
	t := &TableInfo{Name: name, mysql: &mysqlTable{columns: map[string]*mysqlColumn{}}}
	toks, err := mysqlLex(text)
	open := slices.IndexFunc(toks, token.opens)
	if err != nil || open < 0 {
		t.Opaque = "its definition cannot be read"
		return t
	}
	var items [][]token
	depth, first, end := 0, open+1, len(toks)
	for i := open; i < len(toks) && end == len(toks); i++ {
		switch {
		case toks[i].opens():
			depth++
		case toks[i].closes():
			depth--
		}
		if depth == 0 || depth == 1 && toks[i].text == "," && !toks[i].quoted {
			items = append(items, toks[first:i])
			first = i + 1
		}
		if depth == 0 {
			end = i
		}
	}
	collation := t.mysqlOptions(toks[min(end+1, len(toks)):])
	for _, item := range items {
		if len(item) > 0 && item[0].quoted {
			t.mysqlColumn(text, item, collation)
		}
	}
	for _, item := range items {
		if len(item) > 0 && !item[0].quoted {
			m.mysqlConstraint(t, text, item)
		}
	}
	t.hideImplicit()
	return t
}

// mysqlOptions reads what is behind the columns and returns the collation of columns that print none.
func (t *TableInfo) mysqlOptions(toks []token) (collation string) {
	after := func(i int) string {
		if i++; i < len(toks) && toks[i].text == "=" {
			i++
		}
		if i < len(toks) {
			return toks[i].text
		}
		return ""
	}
	for i, tok := range toks {
		switch {
		case tok.is("ENGINE") && !strings.EqualFold(after(i), "InnoDB"):
			t.Opaque = "engine " + after(i)
		case tok.is("PARTITION"):
			t.Opaque = "partitioned"
		case tok.is("VERSIONING"):
			t.Opaque = "system versioned"
		case tok.is("CHARSET") && collation == "":
			collation = after(i) + " default"
		case tok.is("COLLATE"):
			collation = after(i)
		}
	}
	return collation
}

var mysqlColumnWords = []string{"CHARACTER", "COLLATE", "NOT", "NULL", "DEFAULT", "AUTO_INCREMENT", "COMMENT", "CHECK", "GENERATED", "ON", "AS", "INVISIBLE", "WITHOUT", "COMPRESSED", "REF_SYSTEM_ID"}

// mysqlColumn reads one column. Its parts are words at the outer level and what follows each.
func (t *TableInfo) mysqlColumn(text string, item []token, collation string) {
	c, my := &ColumnInfo{Name: item[0].text}, &mysqlColumn{}
	if len(item) > 1 {
		my.definition = text[item[1].start:item[len(item)-1].end]
	}
	text0 := func(toks []token) string {
		if len(toks) == 0 {
			return ""
		}
		return text[toks[0].start:toks[len(toks)-1].end]
	}
	textual := false
	for i := 1; i < len(item); {
		end := mysqlPartEnd(item, i)
		part := item[i:end]
		i = end
		switch word := part[0]; {
		case word.is("CHARACTER"):
			textual = true
			my.kind += " " + text0(part)
			if len(part) > 2 {
				collation = part[2].text + " default"
			}
		case word.is("COLLATE") && len(part) > 1:
			textual, collation = true, part[1].text
			my.kind += " " + text0(part)
		case word.is("NOT"):
			c.NotNull = true
		case word.is("DEFAULT"):
			if c.Default = text0(part[1:]); strings.EqualFold(c.Default, "NULL") {
				c.Default = ""
			}
		case word.is("ON"): // ON UPDATE
			c.Default = strings.TrimSpace(c.Default + " " + text0(part))
		case word.is("AUTO_INCREMENT"):
			c.AutoIncrement = true
		case word.is("COMMENT"):
			my.comment = text0(part[1:])
		case word.is("CHECK"):
			my.check = text0(part)
		case word.is("GENERATED"), word.is("AS"):
			c.Generated, my.generated = true, text0(part)
		case my.base == "" && !word.isAny(mysqlColumnWords...):
			my.base = text0(part)
			my.kind = my.base
		}
	}
	c.Type = my.base
	textual = textual || mysqlKind(my.base) == "text" && !strings.Contains(my.base, "uuid")
	switch {
	case my.check == "CHECK (json_valid("+mysqlName(c.Name)+"))" && my.base == "longtext":
		c.Type = "json"
	case my.check != "":
		c.Checks = []string{my.check}
	}
	if textual && collation != "utf8mb4_bin" && c.Type != "json" {
		c.Type += " collate " + collation
	}
	t.Columns = append(t.Columns, c)
	t.mysql.columns[fold(c.Name)] = my
}

// mysqlPartEnd finds where the part of a column that begins at i ends.
func mysqlPartEnd(item []token, i int) int {
	fixed := 0
	skip := i + 1 // what belongs to the part whatever it is
	switch word := item[i]; {
	case word.is("CHARACTER"):
		fixed = 3
	case word.isAny("NOT", "COLLATE", "COMMENT"):
		fixed = 2
	case word.isAny("DEFAULT", "CHECK", "AS"):
		skip = i + 2
	case word.isAny("ON", "GENERATED"):
		skip = i + 3
	case word.isAny(mysqlColumnWords...):
		fixed = 1
	}
	if fixed > 0 {
		return min(i+fixed, len(item))
	}
	depth := 0
	for j := i; j < len(item); j++ {
		switch {
		case item[j].opens():
			depth++
		case item[j].closes():
			depth--
		case j >= skip && depth == 0 && item[j].isAny(mysqlColumnWords...):
			return j
		}
	}
	return len(item)
}

// mysqlConstraint reads a key or constraint of the table.
func (m mysql) mysqlConstraint(t *TableInfo, text string, item []token) {
	open := slices.IndexFunc(item, token.opens)
	if open < 0 {
		return
	}
	columns, end := parenthesised(item, open)
	switch {
	case item[0].is("PRIMARY"):
		t.PrimaryKey = columns
	case item[0].isAny("UNIQUE", "KEY", "FULLTEXT", "SPATIAL"):
		x := IndexInfo{Name: item[open-1].text, Columns: columns, Unique: item[0].is("UNIQUE"), SQL: "ADD " + text[item[0].start:item[len(item)-1].end]}
		hash := slices.ContainsFunc(item[end:], func(t token) bool { return t.is("HASH") })
		x.Plain = item[0].isAny("UNIQUE", "KEY") && end-open == 2*len(columns)+1 && !hash
		t.Indexes = append(t.Indexes, x)
	case item[0].is("CONSTRAINT") && len(item) > 3 && item[2].is("FOREIGN"):
		if fk, ok := mysqlForeignKey(item); ok {
			t.ForeignKeys = append(t.ForeignKeys, fk)
		}
	case item[0].is("CONSTRAINT") && len(item) > 3 && item[2].is("CHECK"):
		check := mysqlCheck{item[1].text, text[item[2].start:item[end-1].end]}
		if c := m.checkColumn(t, item[open:end]); c != nil {
			c.Checks = append(c.Checks, check.text)
		}
		t.mysql.checks = append(t.mysql.checks, check)
	}
}

// checkColumn returns the one column that a check is about. MySQL prints all checks as those of the table, MariaDB does not.
func (m mysql) checkColumn(t *TableInfo, toks []token) *ColumnInfo {
	if m.mariadb {
		return nil
	}
	var found *ColumnInfo
	for _, tok := range toks {
		if c := t.Column(tok.text); tok.quoted && c != nil {
			if found != nil && found != c {
				return nil
			}
			found = c
		}
	}
	return found
}

const mysqlUnchecked = "_odac_unchecked"

func mysqlForeignKey(item []token) (ForeignKey, bool) {
	fk := ForeignKey{name: item[1].text, OnDelete: noAction, OnUpdate: noAction}
	fk.invalid = strings.HasSuffix(fk.name, mysqlUnchecked)
	open := slices.IndexFunc(item, token.opens)
	columns, end := parenthesised(item, open)
	fk.Columns = columns
	if end+2 >= len(item) || !item[end].is("REFERENCES") {
		return fk, false
	}
	next := end + 1
	for !item[next].opens() { // database.table
		fk.RefTable = item[next].text
		if next++; next >= len(item) {
			return fk, false
		}
	}
	fk.RefColumns, end = parenthesised(item, next)
	for i := end; i+2 < len(item); i++ {
		if !item[i].is("ON") {
			continue
		}
		action := strings.ToUpper(item[i+2].text)
		if action == "SET" || action == "NO" {
			action += " " + strings.ToUpper(item[min(i+3, len(item)-1)].text)
		}
		if action == "RESTRICT" { // the same in InnoDB
			action = noAction
		}
		if item[i+1].is("DELETE") {
			fk.OnDelete = action
		} else {
			fk.OnUpdate = action
		}
	}
	return fk, true
}

// hideImplicit takes the indexes that exist for a foreign key out of those that are compared: they come and go with it.
func (t *TableInfo) hideImplicit() {
	t.Indexes = slices.DeleteFunc(t.Indexes, func(x IndexInfo) bool {
		implicit := !x.Unique && slices.ContainsFunc(t.ForeignKeys, func(fk ForeignKey) bool {
			name := strings.TrimSuffix(x.Name, mysqlUnchecked)
			return equalFold(x.Columns, fk.Columns) && (strings.EqualFold(name, strings.TrimSuffix(fk.name, mysqlUnchecked)) || strings.EqualFold(name, mysqlKeyName(t.Name, fk)))
		})
		if implicit {
			t.mysql.implicit = append(t.mysql.implicit, x)
		}
		return implicit
	})
}
