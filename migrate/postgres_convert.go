package migrate

import (
	"fmt"
	"strings"
)

// pgConversion is how a column's values become those of another type.
type pgConversion struct {
	expr  string // the new value
	loses string // true for a row whose value would not survive, NULL aside; "" if none can
	// probe says that only the server can tell whether it reads the value: it is asked to.
	probe bool
	// rewrites says that every row is written anew.
	rewrites bool
}

// pgKind is the class of values of a type as the server prints it.
func pgKind(printed string) string {
	base, _, _ := strings.Cut(printed, "(")
	switch strings.TrimSpace(base) {
	case "smallint", "integer", "bigint":
		return "int"
	case "double precision", "real":
		return "float"
	case "numeric":
		return "decimal"
	case "character varying", "text", "character", "citext":
		return "text"
	case "boolean":
		return "bool"
	case "date":
		return "date"
	case "time", "time without time zone":
		return "time"
	case "timestamp with time zone", "timestamp without time zone", "timestamp":
		return "datetime"
	case "bytea":
		return "bytes"
	case "json", "jsonb":
		return "json"
	case "uuid":
		return "uuid"
	}
	return "other"
}

const (
	pgWhole = "'^(0|-?[1-9][0-9]{0,18})$'"
	pgDigit = "'^-?[0-9]{1,250}([.][0-9]{1,250})?$'"
	pgStamp = `'YYYY-MM-DD"T"HH24:MI:SS.US"000Z"'`
)

// pgConvert plans the values of column name from the printed type to that of c, which prints as to.
func pgConvert(name, from, to string, c *Column) pgConversion {
	x := quoteName(name)
	kind, typ := pgKind(from), pgKind(to)
	if c.Type == SpecificType && typ != kind {
		return pgConversion{expr: x + "::text::" + c.Specific, probe: true, rewrites: true}
	}
	var out pgConversion
	var ok bool
	switch typ {
	case "int":
		out, ok = pgToInt(x, kind, to)
	case "float":
		out, ok = pgToFloat(x, kind)
	case "decimal":
		out, ok = pgToDecimal(x, kind, from, to, c)
	case "text":
		return pgToText(x, kind, from, to, c)
	case "bool":
		out, ok = pgToBool(x, kind)
	case "date", "time", "datetime":
		out, ok = pgToTime(x, kind, typ, from, to)
	case "json":
		out, ok = pgConversion{expr: x + "::" + to, probe: kind == "text"}, kind == "text" || kind == "json"
	case "uuid":
		out, ok = pgConversion{expr: x + "::uuid", loses: "lower(" + x + ") !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'"}, kind == "text"
	case "bytes":
		out, ok = pgConversion{expr: "pg_catalog.convert_to(" + x + ", 'UTF8')"}, kind == "text"
	default:
		out, ok = pgConversion{expr: x + "::text::" + to, probe: true}, true
	}
	if !ok {
		return pgConversion{expr: "NULL", loses: "true", rewrites: true}
	}
	out.rewrites = out.expr != x
	return out
}

// pgCast is a cast of a text by the server's own reading.
func pgCast(x, to string) string { return x + "::" + to }

func pgIntRange(typ string) (low, above string) {
	switch typ {
	case "smallint":
		return "-32768", "32768"
	case "integer":
		return "-2147483648", "2147483648"
	}
	return "-9223372036854775808", "9223372036854775808"
}

func pgToInt(x, kind, to string) (pgConversion, bool) {
	low, above := pgIntRange(to)
	outside := fmt.Sprintf("(%%s < %s OR %%s >= %s)", low, above)
	over := func(v string) string { return fmt.Sprintf(outside, v, v) }
	switch kind {
	case "int":
		return pgConversion{expr: pgCast(x, to), loses: over(x + "::numeric")}, true
	case "bool":
		return pgConversion{expr: x + "::integer::" + to}, true
	case "float", "decimal":
		return pgConversion{expr: pgCast(x, to), loses: x + " <> trunc(" + x + ") OR " + over(x)}, true
	case "text":
		return pgConversion{
			expr: x + "::text::" + to, loses: fmt.Sprintf("CASE WHEN %s ~ %s THEN %s ELSE true END", x, pgWhole, over(x+"::numeric")),
		}, true
	}
	return pgConversion{}, false
}

func pgToFloat(x, kind string) (pgConversion, bool) {
	const to = "double precision"
	switch kind {
	case "float":
		return pgConversion{expr: pgCast(x, to)}, true
	case "int", "decimal":
		return pgConversion{expr: pgCast(x, to), loses: fmt.Sprintf("abs(%s) > 1e300 OR %s::%s::numeric <> %s", x, x, to, x)}, true
	case "bool":
		return pgConversion{expr: x + "::integer::" + to}, true
	case "text":
		return pgConversion{expr: x + "::text::" + to, loses: fmt.Sprintf(
			"CASE WHEN %s ~ %s THEN abs(%s::numeric) > 1e300 OR %s::numeric <> %s::text::%s::numeric ELSE true END", x, pgDigit, x, x, x, to)}, true
	}
	return pgConversion{}, false
}

func pgToDecimal(x, kind, from, to string, c *Column) (pgConversion, bool) {
	over := func(v string) string {
		return fmt.Sprintf("%s <> round(%s, %d) OR abs(%s) >= 1e%d", v, v, c.Scale, v, c.Precision-c.Scale)
	}
	switch kind {
	case "decimal":
		var precision, scale int
		if n, _ := fmt.Sscanf(from, "numeric(%d,%d)", &precision, &scale); n == 2 && scale == c.Scale && precision <= c.Precision {
			return pgConversion{expr: x}, true
		}
		return pgConversion{expr: pgCast(x, to), loses: over(x)}, true
	case "int":
		return pgConversion{expr: pgCast(x, to), loses: over(x + "::numeric")}, true
	case "bool":
		return pgConversion{expr: x + "::integer::" + to}, true
	case "float":
		return pgConversion{expr: pgCast(x, to), loses: fmt.Sprintf(
			"CASE WHEN abs(%s) < 1e300 THEN %s OR %s::numeric::double precision <> %s ELSE true END", x, over(x+"::numeric"), x, x)}, true
	case "text":
		return pgConversion{
			expr: x + "::text::" + to, loses: fmt.Sprintf("CASE WHEN %s ~ %s THEN %s ELSE true END", x, pgDigit, over(x+"::numeric")),
		}, true
	}
	return pgConversion{}, false
}

func pgToText(x, kind, from, to string, c *Column) pgConversion {
	limited := c.Type == String || c.Type == NanoID
	var length int
	n, _ := fmt.Sscanf(from, "character varying(%d)", &length)
	widens := from == "text" || from == "character varying" || n == 1
	if kind == "text" && widens && (!limited || n == 1 && length <= c.Length) {
		return pgConversion{expr: x}
	}
	expr := map[string]string{
		"date": "to_char(" + x + ", 'YYYY-MM-DD')", "datetime": "to_char(" + x + " AT TIME ZONE 'UTC', " + pgStamp + ")",
	}[kind]
	switch {
	case kind == "bytes":
		return pgConversion{expr: "NULL", loses: "true", rewrites: true}
	case from == "timestamp without time zone":
		expr = "to_char(" + x + ", " + pgStamp + ")"
	case expr == "":
		expr = x + "::text"
	}
	out := pgConversion{expr: expr, rewrites: true}
	if limited {
		out.loses = fmt.Sprintf("char_length(%s) > %d", expr, c.Length)
		out.expr = fmt.Sprintf("(%s)::%s", expr, to)
	}
	return out
}

func pgToBool(x, kind string) (pgConversion, bool) {
	switch kind {
	case "int", "float", "decimal":
		return pgConversion{expr: x + " <> 0", loses: x + " NOT IN (0, 1)"}, true
	case "text":
		return pgConversion{expr: "lower(" + x + ") IN ('true', '1')", loses: "lower(" + x + ") NOT IN ('true', 'false', '1', '0')"}, true
	}
	return pgConversion{}, false
}

func pgToTime(x, kind, typ, from, to string) (pgConversion, bool) {
	utc := x + " AT TIME ZONE 'UTC'"
	if from == "timestamp without time zone" {
		utc = x
	}
	switch typ + " from " + kind {
	case "date from datetime":
		return pgConversion{expr: "(" + utc + ")::date", loses: "(" + utc + ")::time <> '00:00'"}, true
	case "datetime from date":
		return pgConversion{expr: x + "::timestamp AT TIME ZONE 'UTC'"}, true
	case "datetime from datetime":
		if strings.Contains(from, " with ") != strings.Contains(to, " with ") {
			return pgConversion{expr: x + " AT TIME ZONE 'UTC'"}, true
		}
		return pgConversion{expr: x}, true
	case "date from date", "time from time":
		return pgConversion{expr: x}, true
	case "date from text":
		return pgConversion{expr: x + "::date", loses: x + " !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'", probe: true}, true
	case "time from text":
		return pgConversion{expr: x + "::time", loses: x + " !~ '^[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?$'", probe: true}, true
	case "datetime from text":
		return pgConversion{
			expr: x + "::timestamp with time zone", probe: true,
			loses: x + " !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$'",
		}, true
	}
	return pgConversion{}, false
}
