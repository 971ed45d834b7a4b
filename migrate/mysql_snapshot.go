package migrate

import (
	"encoding/hex"
	"strings"
)

// columns guesses what a printed type was written for. See doc.go for the table.
func (m mysql) columns(t *TableInfo, c *ColumnInfo) []*Column {
	base, n, scale := typeArgs(c.Type)
	base, unsigned := strings.CutSuffix(base, " unsigned")
	types := map[string]Type{
		"int": Integer, "bigint": BigInteger, "double": Float, "longtext": Text, "date": Date, "longblob": Binary, "json": JSON, "uuid": UUID,
		"decimal": Decimal, "varchar": String, "tinyint": Boolean, "time": Time, "datetime": Datetime, "char": UUID,
	}
	// What stands in parentheses; -1 is anything: a width says nothing.
	lengths := map[Type]int{Integer: -1, BigInteger: -1, Boolean: 1, Time: 6, Datetime: 6, Decimal: -1, String: -1}
	typ, known := types[base]
	want := lengths[typ]
	if base == "char" {
		want = 36
	}
	var out []Column
	switch {
	case c.AutoIncrement && (typ == Integer || typ == BigInteger):
		out = append(out, Column{Type: map[Type]Type{Integer: Increments, BigInteger: BigIncrements}[typ]})
	case !known || want >= 0 && want != n:
	case typ == String:
		if values := mysqlEnumValues(c); len(values) > 0 {
			out = append(out, Column{Type: Enum, Values: values})
		}
		out = append(out, Column{Type: String, Length: n})
	case typ == Decimal:
		out = append(out, Column{Type: Decimal, Precision: n, Scale: scale})
	default:
		out = append(out, Column{Type: typ, Unsigned: unsigned})
	}
	my := t.mysql.columns[fold(c.Name)]
	if specificPattern.MatchString(my.base) {
		out = append(out, Column{Type: SpecificType, Specific: my.base})
	}
	literal, ok := mysqlUnprinted(c.Default)
	if comment, ok := mysqlUnprinted(my.comment); ok {
		for i := range out {
			out[i].Comment = comment
		}
	}
	return printedDefault{
		text: c.Default, literal: literal, isLiteral: ok, hex: hex.EncodeToString([]byte(literal)),
		expressions: []string{strings.TrimSuffix(strings.TrimPrefix(c.Default, "("), ")"), c.Default},
	}.of(out)
}

// mysqlEnumValues reads the texts of the checks over the column: whether they are an enum's, the shadow tells.
func mysqlEnumValues(c *ColumnInfo) []string {
	var values []string
	for _, check := range c.Checks {
		toks, err := mysqlLex(check)
		if err != nil {
			continue
		}
		for _, t := range toks {
			if v, ok := mysqlUnprinted(t.text); t.literal && ok {
				values = append(values, v)
			}
		}
	}
	return values
}

// mysqlUnprinted is the value of a literal, as SHOW CREATE TABLE prints it.
func mysqlUnprinted(text string) (string, bool) {
	if digits, ok := strings.CutPrefix(text, "X'"); ok {
		b, err := hex.DecodeString(strings.TrimSuffix(digits, "'"))
		return string(b), err == nil
	}
	if len(text) < 2 || text[0] != '\'' {
		return text, text != "" && strings.Trim(text, "+-.0123456789eE") == ""
	}
	var out strings.Builder
	for i := 1; i < len(text)-1; i++ {
		switch ch := text[i]; {
		case ch == '\'': // doubled
			i++
			out.WriteByte(ch)
		case ch == '\\' && i+1 < len(text)-1:
			i++
			if at := strings.IndexByte(`0nrtZ`, text[i]); at >= 0 {
				out.WriteByte("\x00\n\r\t\x1a"[at])
			} else {
				out.WriteByte(text[i])
			}
		default:
			out.WriteByte(ch)
		}
	}
	return out.String(), true
}
