package migrate

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// columns guesses what a declared type was written for. See doc.go for the table.
func (s sqlite) columns(_ *TableInfo, c *ColumnInfo) []*Column {
	var out []*Column
	add := func(def Column) {
		out = append(out, s.withDefault(def, c.Default), s.withExpression(def, c.Default))
	}
	base, args, _ := strings.Cut(strings.TrimSuffix(c.Type, ")"), "(")
	base = strings.TrimSpace(base)
	var n, scale int
	numbers, _ := fmt.Sscanf(args, "%d,%d", &n, &scale)
	unsigned := strings.HasSuffix(c.Type, " UNSIGNED")
	simple := map[string]Type{
		"INTEGER": Integer, "BIGINT": BigInteger, "DOUBLE": Float, "TEXT": Text, "BOOLEAN": Boolean, "DATE": Date, "TIME": Time, "DATETIME": Datetime,
		"TIMESTAMP": Timestamp, "BLOB": Binary, "JSON_TEXT": JSON, "JSONB_TEXT": JSONB, "UUID_TEXT": UUID,
	}
	typ, known := simple[strings.TrimSuffix(base, " UNSIGNED")]
	switch {
	case c.AutoIncrement:
		add(Column{Type: Increments})
	case base == "DECIMAL_TEXT" && numbers == 2:
		add(Column{Type: Decimal, Precision: n, Scale: scale})
	case base == "VARCHAR" && numbers == 1:
		add(Column{Type: String, Length: n})
	case known && args == "":
		if values := enumValues(c); typ == Text && len(values) > 0 {
			add(Column{Type: Enum, Values: values})
		}
		add(Column{Type: typ, Unsigned: unsigned && (typ == Integer || typ == BigInteger)})
	}
	if specificPattern.MatchString(c.Type) {
		add(Column{Type: SpecificType, Specific: c.Type})
	}
	if len(out) == 0 { // no type at all, or one that no file can say
		add(Column{Type: Text})
	}
	return out
}

// enumValues reads CHECK (x IN ('a', 'b')) over the column.
func enumValues(c *ColumnInfo) []string {
	for _, check := range c.Checks {
		toks, err := lex(check)
		if err != nil || len(toks) < 7 || !toks[1].opens() || !strings.EqualFold(toks[2].text, c.Name) || !toks[3].is("IN") || !toks[4].opens() {
			continue
		}
		var values []string
		for i := 5; i < len(toks)-2; i++ {
			if toks[i].literal {
				values = append(values, strings.ReplaceAll(toks[i].text[1:len(toks[i].text)-1], "''", "'"))
			} else if toks[i].text != "," {
				values = nil
				break
			}
		}
		if len(values) > 0 {
			return values
		}
	}
	return nil
}

// withDefault reads a default that is a literal, or the current time in the column's own form.
func (s sqlite) withDefault(def Column, text string) *Column {
	switch {
	case text == "":
		return &def
	case text == s.printed(&def, &Value{Expr: now}):
		def.Default = &Value{Expr: now}
	case strings.HasPrefix(text, "'"):
		def.Default = &Value{Text: strings.ReplaceAll(text[1:len(text)-1], "''", "'")}
	case strings.HasPrefix(strings.ToLower(text), "x'"):
		if b, err := hex.DecodeString(text[2 : len(text)-1]); err == nil {
			def.Default = &Value{Text: hex.EncodeToString(b)}
		}
	case def.Type == Boolean && (text == "true" || text == "false"):
		def.Default = &Value{Text: map[string]string{"true": "1", "false": "0"}[text]}
	default:
		def.Default = &Value{Text: strings.ReplaceAll(text, " ", "")} // - 1
	}
	return &def
}

// withExpression takes the default as it is printed.
func (sqlite) withExpression(def Column, text string) *Column {
	if text != "" && checkExpression(text) == nil {
		def.Default = &Value{Expr: text}
	}
	return &def
}

// printed is how inspect prints a default.
func (s sqlite) printed(c *Column, v *Value) string {
	toks, err := lex(s.literal(c, v))
	if err != nil {
		return ""
	}
	return defaultText(toks)
}
