package migrate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// columns guesses what a printed type was written for. See doc.go for the table.
func (postgres) columns(_ *TableInfo, c *ColumnInfo) []*Column {
	base, n, scale := typeArgs(c.Type)
	types := map[string]Type{
		"integer": Integer, "bigint": BigInteger, "double precision": Float, "text": Text, "boolean": Boolean, "date": Date, "time without time zone": Time,
		"timestamp with time zone": Datetime, "bytea": Binary, "json": JSON, "jsonb": JSONB, "uuid": UUID, "numeric": Decimal, "character varying": String,
	}
	typ, known := types[base]
	simple := typ != Decimal && typ != String
	var out []Column
	switch {
	case c.AutoIncrement || pgSerial(c):
		out = append(out, Column{Type: map[Type]Type{Integer: Increments, BigInteger: BigIncrements}[typ]})
	case known && simple && n == 0:
		if values := pgEnumValues(c); typ == Text && len(values) > 0 {
			out = append(out, Column{Type: Enum, Values: values})
		}
		if typ == BigInteger && len(c.Checks) > 0 {
			out = append(out, Column{Type: Integer, Unsigned: true}, Column{Type: BigInteger, Unsigned: true})
		}
		out = append(out, Column{Type: typ})
	case typ == Decimal && n > 0:
		out = append(out, Column{Type: Decimal, Precision: n, Scale: scale})
	case typ == String && n > 0:
		out = append(out, Column{Type: String, Length: n})
	}
	if specificPattern.MatchString(c.Type) {
		out = append(out, Column{Type: SpecificType, Specific: c.Type})
	}
	text := c.Default
	if pgSerial(c) {
		text = ""
	}
	literal, ok := pgUnprinted(text)
	return printedDefault{text: text, literal: literal, isLiteral: ok, hex: strings.TrimPrefix(literal, `\x`), expressions: []string{text}}.of(out)
}

// pgSerial tells whether the column numbers itself as serial does: increments is an identity instead, which a plan makes of it.
func pgSerial(c *ColumnInfo) bool {
	return strings.HasPrefix(c.Default, "nextval(") && (c.Type == "integer" || c.Type == "bigint")
}

var (
	pgTextLiteral   = regexp.MustCompile(`'((?:[^']|'')*)'::text`)
	pgQuotedLiteral = regexp.MustCompile(`^\(*'((?:[^']|'')*)'(?:\)*::[a-z ]+(?:\([0-9, ]+\))?[a-z ]*)?\)*$`)
	pgBareLiteral   = regexp.MustCompile(`^\(*(-?[0-9][0-9.eE+-]*|true|false)(?:\)*::[a-z ]+(?:\([0-9, ]+\))?)?\)*$`)
	pgShortOffset   = regexp.MustCompile(`:\d\d(?:\.\d+)?[+-]\d\d$`)
)

// pgEnumValues reads the texts of the checks over the column: whether they are an enum's, the shadow tells.
func pgEnumValues(c *ColumnInfo) []string {
	var values []string
	for _, check := range c.Checks {
		for _, m := range pgTextLiteral.FindAllStringSubmatch(check, -1) {
			if v := strings.ReplaceAll(m[1], "''", "'"); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	return values
}

// pgUnprinted is the value of a default that is a literal.
func pgUnprinted(text string) (string, bool) {
	if m := pgQuotedLiteral.FindStringSubmatch(text); m != nil {
		s := strings.ReplaceAll(m[1], "''", "'")
		if pgShortOffset.MatchString(s) {
			s += ":00"
		}
		return s, true
	}
	if m := pgBareLiteral.FindStringSubmatch(text); m != nil {
		return m[1], true
	}
	return "", false
}

// typeArgs parts varying(10), numeric(10,2) and the like; what is not there is 0.
func typeArgs(typ string) (base string, n, scale int) {
	base, args, _ := strings.Cut(typ, "(")
	_, _ = fmt.Sscanf(args, "%d,%d", &n, &scale) // as many as there are
	if _, rest, ok := strings.Cut(args, ")"); ok {
		base += rest
	}
	return strings.TrimSpace(base), n, scale
}
