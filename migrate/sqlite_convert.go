package migrate

import (
	"fmt"
	"strings"
)

// conversion is how a column's values become those of another type: expr gives the new value and loses is true for a row whose
// value would not survive. "" means that none can be lost. Neither has to mind NULL.
type conversion struct {
	expr, loses string
	// rewrites says that values change, not only the declared type.
	rewrites bool
}

// sqliteKind is the class of values under a declared type.
func sqliteKind(declared string) string {
	base, _, _ := strings.Cut(strings.ToUpper(declared), "(")
	switch base = strings.TrimSpace(base); base {
	case "DOUBLE", "REAL", "FLOAT", "DOUBLE PRECISION":
		return "float"
	case "DECIMAL_TEXT":
		return "decimal"
	case "BOOLEAN", "BOOL":
		return "bool"
	case "DATE":
		return "date"
	case "TIME":
		return "time"
	case "DATETIME", "TIMESTAMP":
		return "datetime"
	case "BLOB":
		return "blob"
	case "JSON_TEXT", "JSONB_TEXT":
		return "json"
	case "UUID_TEXT":
		return "uuid"
	}
	switch {
	case strings.Contains(base, "INT"):
		return "int"
	case strings.Contains(base, "CHAR"), strings.Contains(base, "TEXT"), strings.Contains(base, "CLOB"):
		return "text"
	}
	return "other"
}

// convert plans the values of column name from a declared type to the type of c.
func convert(name, from string, c *Column) conversion {
	x := quoteName(name)
	kind := sqliteKind(from)
	to := sqliteKind(sqliteType(c))
	switch to {
	case "int":
		return toInt(x, kind, from, c)
	case "float":
		return toFloat(x, kind)
	case "decimal":
		return toDecimal(x, kind, from, c)
	case "text":
		return toText(x, kind, from, c)
	case "bool":
		return toBool(x, kind)
	case "json":
		return pick(kind, map[string]conversion{
			"json": {expr: x}, "int": {expr: castText(x), rewrites: true},
			"text": {expr: x, loses: "NOT json_valid(" + x + ")"},
		})
	case "uuid":
		return pick(kind, map[string]conversion{
			"uuid": {expr: x},
			"text": {expr: "lower(" + x + ")", loses: "length(" + x + ") <> 36 OR lower(" + x + ") GLOB '*[^0-9a-f-]*'", rewrites: true},
		})
	case "blob":
		return pick(kind, map[string]conversion{"blob": {expr: x}, "text": {expr: "CAST(" + x + " AS BLOB)", rewrites: true}})
	case "date", "time", "datetime":
		return toTime(x, kind, to)
	}
	return conversion{expr: x}
}

// pick returns the conversion for kind; without one, every value would be lost.
func pick(kind string, known map[string]conversion) conversion {
	if c, ok := known[kind]; ok {
		return c
	}
	return conversion{expr: "NULL", loses: "1", rewrites: true}
}

func castText(x string) string { return "CAST(" + x + " AS TEXT)" }

// trimmed is the text of a number without the zeros at the end of its fraction.
func trimmed(x string) string {
	t := castText(x)
	return fmt.Sprintf("CASE WHEN instr(%s, '.') > 0 THEN rtrim(rtrim(%s, '0'), '.') ELSE %s END", t, t, t)
}

func intRange(declared string) (low, high string) {
	switch {
	case strings.HasPrefix(declared, "BIGINT"):
		return "-9223372036854775808", "9223372036854775807"
	case strings.HasSuffix(declared, "UNSIGNED"):
		return "-2147483648", "4294967295" // its CHECK holds the lower end
	}
	return "-2147483648", "2147483647"
}

func toInt(x, kind, from string, c *Column) conversion {
	declared := sqliteType(c)
	low, high := intRange(declared)
	outside := fmt.Sprintf("CAST(%s AS INTEGER) NOT BETWEEN %s AND %s", x, low, high)
	if isSerial(c) || strings.HasPrefix(declared, "BIGINT") {
		outside = ""
	}
	or := func(loses string) string {
		if outside != "" {
			loses += " OR " + outside
		}
		return loses
	}
	cast := "CAST(" + x + " AS INTEGER)"
	loses := outside
	if strings.TrimSuffix(from, " UNSIGNED") == "INTEGER" && !strings.HasSuffix(from, "UNSIGNED") {
		loses = ""
	}
	return pick(kind, map[string]conversion{
		"int":     {expr: x, loses: loses},
		"bool":    {expr: x},
		"float":   {expr: cast, loses: or(cast + " <> " + x), rewrites: true},
		"decimal": {expr: cast, loses: or(castText(cast) + " <> " + trimmed(x)), rewrites: true},
		"text":    {expr: cast, loses: or(castText(cast) + " <> " + castText(x)), rewrites: true},
	})
}

func toFloat(x, kind string) conversion {
	cast := "CAST(" + x + " AS REAL)"
	text := fmt.Sprintf("%s NOT IN (%s, (%s) || '.0')", castText(cast), trimmed(x), trimmed(x))
	return pick(kind, map[string]conversion{
		"float":   {expr: x},
		"int":     {expr: cast, loses: "CAST(" + cast + " AS INTEGER) <> " + x, rewrites: true},
		"bool":    {expr: cast, rewrites: true},
		"decimal": {expr: cast, loses: text, rewrites: true},
		"text":    {expr: cast, loses: text, rewrites: true},
	})
}

func toDecimal(x, kind, from string, c *Column) conversion {
	d := "(" + trimmed(x) + ")"
	point := "instr(" + d + ", '.')"
	fraction := fmt.Sprintf("CASE WHEN %s = 0 THEN 0 ELSE length(%s) - %s END", point, d, point)
	whole := fmt.Sprintf("CASE WHEN %s = 0 THEN %s ELSE substr(%s, 1, %s - 1) END", point, d, d, point)
	expr := d
	if c.Scale > 0 {
		expr = fmt.Sprintf("%s || CASE WHEN %s = 0 THEN '.' ELSE '' END || substr('%s', (%s) + 1)",
			d, point, strings.Repeat("0", c.Scale), fraction)
	}
	malformed := fmt.Sprintf("%s GLOB '*[^0-9.-]*' OR %s IN ('', '-', '.', '-.') OR instr(substr(%s, 2), '-') > 0 OR "+
		"length(%s) - length(replace(%s, '.', '')) > 1", d, d, d, d, d)
	loses := fmt.Sprintf("%s OR (%s) > %d OR length(ltrim(%s, '-0')) > %d", malformed, fraction, c.Scale, whole, c.Precision-c.Scale)
	out := conversion{expr: expr, loses: loses, rewrites: true}
	var precision, scale int
	if n, _ := fmt.Sscanf(from, "DECIMAL_TEXT(%d,%d)", &precision, &scale); n == 2 && scale == c.Scale {
		out.expr, out.rewrites = x, false
		if precision <= c.Precision {
			out.loses = ""
		}
	}
	return pick(kind, map[string]conversion{"decimal": out, "int": out, "float": out, "text": out})
}

func toText(x, kind, from string, c *Column) conversion {
	limit := func(expr, loses string) string {
		if c.Type != String && c.Type != NanoID {
			return loses
		}
		over := fmt.Sprintf("length(%s) > %d", expr, c.Length)
		if loses == "" {
			return over
		}
		return loses + " OR " + over
	}
	cast := castText(x)
	text := conversion{expr: x, loses: limit(x, "")}
	var length int
	if n, _ := fmt.Sscanf(from, "VARCHAR(%d)", &length); n == 1 && length <= c.Length {
		text.loses = ""
	}
	plain := conversion{expr: cast, loses: limit(cast, ""), rewrites: true}
	word := fmt.Sprintf("CASE %s WHEN 1 THEN 'true' WHEN 0 THEN 'false' END", x)
	return pick(kind, map[string]conversion{
		"text": text, "decimal": plain, "json": plain, "uuid": plain, "date": plain, "time": plain, "datetime": plain, "int": plain,
		"float": {expr: cast, loses: limit(cast, "CAST("+cast+" AS REAL) <> "+x), rewrites: true},
		"bool":  {expr: word, loses: limit(word, x+" NOT IN (0, 1)"), rewrites: true},
	})
}

func toBool(x, kind string) conversion {
	number := conversion{expr: "CAST(" + x + " AS INTEGER)", loses: castText(x) + " NOT IN ('0', '1', '0.0', '1.0')", rewrites: true}
	return pick(kind, map[string]conversion{
		"bool": {expr: x}, "int": {expr: x, loses: x + " NOT IN (0, 1)"}, "float": number,
		"decimal": {expr: number.expr, loses: trimmed(x) + " NOT IN ('0', '1')", rewrites: true},
		"text": {
			expr:     "lower(" + castText(x) + ") IN ('true', '1')",
			loses:    "lower(" + castText(x) + ") NOT IN ('true', 'false', '1', '0')",
			rewrites: true,
		},
	})
}

func toTime(x, kind, to string) conversion {
	const day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
	const clock = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]"
	const midnight = "T00:00:00.000000000Z"
	switch to {
	case "date":
		return pick(kind, map[string]conversion{
			"date":     {expr: x},
			"datetime": {expr: "substr(" + x + ", 1, 10)", loses: "substr(" + x + ", 11) <> '" + midnight + "'", rewrites: true},
			"text":     {expr: x, loses: x + " NOT GLOB '" + day + "' OR date(" + x + ") IS NOT " + x},
		})
	case "time":
		return pick(kind, map[string]conversion{
			"time": {expr: x},
			"text": {expr: x, loses: x + " NOT GLOB '" + clock + "' OR time(" + x + ") IS NULL"},
		})
	}
	return pick(kind, map[string]conversion{
		"datetime": {expr: x},
		"date":     {expr: x + " || '" + midnight + "'", rewrites: true},
		"text":     {expr: x, loses: x + " NOT GLOB '" + day + "T" + clock + "Z' OR datetime(" + x + ") IS NULL"},
	})
}
