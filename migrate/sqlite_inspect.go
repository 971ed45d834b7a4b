package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// inspect reads sqlite_schema and parses it: the text holds all that the pragmas tell and what they leave out.
func (s sqlite) inspect(ctx context.Context, q querier) (*Database, error) {
	db := &Database{Dialect: dialectSQLite, Tables: map[string]*TableInfo{}, Applied: map[string]Applied{}}
	rows, err := q.QueryContext(ctx, `SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema
		ORDER BY CASE type WHEN 'table' THEN 0 ELSE 1 END, name`)
	if err != nil {
		return nil, fmt.Errorf("migrate: inspect: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	db.ours = map[string]bool{}
	for rows.Next() {
		var kind, name, table, text string
		if err := rows.Scan(&kind, &name, &table, &text); err != nil {
			return nil, fmt.Errorf("migrate: inspect: %w", err)
		}
		if kind == "table" && strings.HasPrefix(name, "_odac_") {
			db.ours[name] = true
			db.keeps(name, name)
		}
		if strings.HasPrefix(fold(table), "_odac_") || strings.HasPrefix(fold(table), "sqlite_") {
			continue
		}
		db.object(kind, name, table, text)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("migrate: inspect: %w", err)
	}
	db.resolveKeys()
	if db.ours[stateTable] {
		return db, db.readState(ctx, q, sqliteSyntax)
	}
	return db, nil
}

func (db *Database) object(kind, name, table, text string) {
	switch kind {
	case "table":
		db.Tables[fold(name)] = parseTableInfo(name, text)
	case "index":
		if t := db.Tables[fold(table)]; t != nil && text != "" {
			t.Indexes = append(t.Indexes, parseIndex(name, text))
		}
	case "trigger":
		db.Triggers = append(db.Triggers, Object{Name: name, Table: table, SQL: text})
	case "view":
		db.Views = append(db.Views, Object{Name: name, SQL: text})
	}
}

// resolveKeys writes out the columns of keys that only name their table.
func (db *Database) resolveKeys() {
	for _, t := range db.Tables {
		for i, fk := range t.ForeignKeys {
			if parent := db.Tables[fold(fk.RefTable)]; len(fk.RefColumns) == 0 && parent != nil {
				t.ForeignKeys[i].RefColumns = parent.PrimaryKey
			}
		}
	}
}

func parseTableInfo(name, text string) *TableInfo {
	t := &TableInfo{Name: name}
	ct, err := parseCreateTable(text)
	if err != nil {
		t.Opaque = err.Error()
		return t
	}
	t.create = ct
	for _, item := range ct.items {
		if item.column == "" {
			t.constraint(item.parts[0])
			continue
		}
		c := &ColumnInfo{Name: item.column, Type: item.typ}
		for _, p := range item.parts {
			t.columnPart(c, p)
		}
		t.Columns = append(t.Columns, c)
	}
	for _, name := range t.PrimaryKey {
		if c := t.Column(name); c != nil && strings.Contains(fold(ct.tail), "rowid") {
			c.NotNull = true
		}
	}
	return t
}

func (t *TableInfo) constraint(p part) {
	switch p.kind {
	case "PRIMARY":
		t.PrimaryKey, _ = parenthesised(p.toks, 2)
	case "UNIQUE":
		columns, _ := parenthesised(p.toks, 1)
		t.Indexes = append(t.Indexes, IndexInfo{Columns: columns, Unique: true, Inline: true, Plain: true})
	case "FOREIGN":
		if fk, ok := p.foreignKey(""); ok {
			t.ForeignKeys = append(t.ForeignKeys, fk)
		}
	}
}

func (t *TableInfo) columnPart(c *ColumnInfo, p part) {
	switch p.kind {
	case "PRIMARY":
		t.PrimaryKey = []string{c.Name}
		c.AutoIncrement = slices.ContainsFunc(p.toks, func(tok token) bool { return tok.is("AUTOINCREMENT") })
		c.NotNull = c.NotNull || c.Type == "INTEGER" // an alias of the rowid
	case "NOT":
		c.NotNull = true
	case "DEFAULT":
		c.Default = defaultText(p.toks[1:])
	case "CHECK":
		c.Checks = append(c.Checks, normal(p.toks))
	case "UNIQUE":
		t.Indexes = append(t.Indexes, IndexInfo{Columns: []string{c.Name}, Unique: true, Inline: true, Plain: true})
	case "REFERENCES":
		if fk, ok := p.foreignKey(c.Name); ok {
			t.ForeignKeys = append(t.ForeignKeys, fk)
		}
	case "GENERATED":
		c.Generated = true
	}
}

// defaultText prints a default without parentheses around a lone literal; DEFAULT NULL is none.
func defaultText(toks []token) string {
	for len(toks) == 3 && toks[0].text == "(" && toks[2].text == ")" {
		toks = toks[1:2]
	}
	if len(toks) == 1 && toks[0].is("NULL") {
		return ""
	}
	if len(toks) == 1 && toks[0].quoted { // "abc" as a string, which old SQLite tools write
		return quoteText(toks[0].text)
	}
	return normal(toks)
}

func parseIndex(name, text string) IndexInfo {
	x := IndexInfo{Name: name, SQL: text}
	toks, err := lex(text)
	if err != nil {
		return x
	}
	toks = slices.DeleteFunc(toks, func(t token) bool { return t.comment })
	open := slices.IndexFunc(toks, token.opens)
	if open < 0 {
		return x
	}
	x.Unique = len(toks) > 1 && toks[1].is("UNIQUE")
	var end int
	x.Columns, end = parenthesised(toks, open)
	// Plain is names and commas and nothing else: (a, b).
	x.Plain = end-open == 2*len(x.Columns)+1
	if end < len(toks) && toks[end].is("WHERE") {
		x.Where = normal(toks[end+1:])
	}
	return x
}
