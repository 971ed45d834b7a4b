package migrate

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// columns guesses what a declared type was written for. See doc.go for the table.
func (s sqlite) columns(_ *TableInfo, c *ColumnInfo) []*Column {
	var out []Column
	add := func(def Column) { out = append(out, def) }
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
	p := printedDefault{text: c.Default, expressions: []string{c.Default}}
	p.literal, p.hex, p.isLiteral = sqliteUnprinted(c.Default)
	return p.of(out)
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

// sqliteUnprinted is the value of a default that is a literal.
func sqliteUnprinted(text string) (literal, hexed string, ok bool) {
	switch {
	case strings.HasPrefix(text, "'"):
		return strings.ReplaceAll(text[1:len(text)-1], "''", "'"), "", true
	case strings.HasPrefix(strings.ToLower(text), "x'"):
		digits := strings.ToLower(text[2 : len(text)-1])
		b, err := hex.DecodeString(digits)
		return string(b), digits, err == nil
	case text == "true" || text == "false":
		return text, "", true
	}
	number := strings.ReplaceAll(text, " ", "") // - 1
	return number, "", number != "" && strings.Trim(number, "+-.0123456789eE") == ""
}
