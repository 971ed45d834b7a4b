package migrate

import (
	"fmt"
	"strings"
)

// mysqlKind is the class of values under a type as the server prints it.
func mysqlKind(printed string) string {
	base, _, _ := strings.Cut(strings.TrimSuffix(printed, " unsigned"), "(")
	base, _, _ = strings.Cut(strings.TrimSpace(base), " ")
	switch {
	case strings.HasPrefix(printed, "tinyint(1)"):
		return "bool"
	case base == "json", base == "uuid", base == "date", base == "time", base == "decimal":
		return base
	case base == "datetime", base == "timestamp":
		return "datetime"
	case base == "double", base == "float":
		return "float"
	case strings.HasSuffix(base, "int"):
		return "int"
	case strings.HasSuffix(base, "char"), strings.HasSuffix(base, "text"), base == "enum", base == "set":
		return "text"
	case strings.HasSuffix(base, "binary"), strings.HasSuffix(base, "blob"):
		return "blob"
	}
	return "other"
}

// loses is a condition that is true for a row whose value would not survive the change of x to the type of c; "" means that none can be
// lost. It does not mind NULL. The server is not asked: it rounds, cuts a time off, and stops in the middle of the table at what it
// does refuse.
func (m mysql) loses(x, base, from string, c *Column) string {
	const all = "1"
	kind, to := mysqlKind(from), mysqlKind(m.target(c))
	known := func(of map[string]string) string {
		if loses, ok := of[kind]; ok {
			return loses
		}
		return all
	}
	switch to {
	case "int":
		return known(mysqlToInt(x, base, strings.ToLower(m.typeOf(c, false))))
	case "bool":
		return known(map[string]string{"bool": "", "int": x + " NOT IN (0, 1)", "float": x + " NOT IN (0, 1)", "decimal": x + " NOT IN (0, 1)", "text": x + " NOT IN ('0', '1')"})
	case "float":
		text := fmt.Sprintf("CAST(CAST(%s AS DOUBLE) AS CHAR) NOT IN (%s)", x, mysqlTrimmed(x))
		return known(map[string]string{
			"float": "", "bool": "", "int": fmt.Sprintf("CAST(CAST(%s AS DOUBLE) AS DECIMAL(30,0)) <> %s", x, x), "decimal": text,
			"text": "NOT " + x + " REGEXP '^-?[0-9]+([.][0-9]+)?$' OR " + text,
		})
	case "decimal":
		return known(mysqlToDecimal(x, base, c))
	case "text":
		return known(mysqlToText(x, base, c))
	case "json":
		return known(map[string]string{"json": "", "int": "", "text": "NOT json_valid(" + x + ")"})
	case "uuid":
		return known(map[string]string{"uuid": "", "text": "NOT " + x + " REGEXP '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$'"})
	case "blob":
		return known(map[string]string{"blob": "", "text": ""})
	case "date":
		return known(map[string]string{
			"date": "", "datetime": "CAST(CAST(" + x + " AS DATE) AS DATETIME(6)) <> " + x,
			"text": "NOT " + x + " REGEXP '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' OR CAST(" + x + " AS DATE) IS NULL",
		})
	case "time":
		return known(map[string]string{"time": "", "text": "NOT " + x + " REGEXP '^([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,6}0*)?$'"})
	case "datetime":
		return known(map[string]string{
			"datetime": "", "date": "",
			"text": "NOT " + x + " REGEXP '^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6}0*)?$' OR CAST(" + x + " AS DATETIME(6)) IS NULL",
		})
	}
	if word, _, _ := strings.Cut(base, "("); kind == "other" && strings.HasPrefix(strings.ToLower(m.typeOf(c, false)), word) {
		return "" // the same type in another size: the server refuses what does not fit
	}
	return all
}

// target is the type of a column as the server prints it, near enough for mysqlKind.
func (m mysql) target(c *Column) string {
	return strings.ToLower(m.typeOf(c, false))
}

// mysqlTrimmed is the text of a number as it is, and without the zeros at the end of its fraction.
func mysqlTrimmed(x string) string {
	t := "CAST(" + x + " AS CHAR)"
	return fmt.Sprintf("%s, CASE WHEN instr(%s, '.') > 0 THEN trim(TRAILING '.' FROM trim(TRAILING '0' FROM %s)) ELSE %s END", t, t, t, t)
}

func mysqlIntRange(declared string) (low, high string) {
	unsigned := strings.Contains(declared, "unsigned")
	word, _, _ := strings.Cut(strings.TrimSpace(strings.Replace(declared, "(", " (", 1)), " ")
	ranges := map[string][3]string{
		"tinyint":   {"-128", "127", "255"},
		"smallint":  {"-32768", "32767", "65535"},
		"mediumint": {"-8388608", "8388607", "16777215"},
		"bigint":    {"-9223372036854775808", "9223372036854775807", "18446744073709551615"},
	}
	r, ok := ranges[word]
	if !ok {
		r = [3]string{"-2147483648", "2147483647", "4294967295"}
	}
	if unsigned {
		return "0", r[2]
	}
	return r[0], r[1]
}

func mysqlToInt(x, from, to string) map[string]string {
	low, high := mysqlIntRange(to)
	outside := fmt.Sprintf("%s NOT BETWEEN %s AND %s", x, low, high)
	number := "CAST(" + x + " AS DECIMAL(65,0))"
	ints := outside
	if word := func(s string) string { w, _, _ := strings.Cut(s, "("); return w }; word(from) == word(to) && strings.Contains(from, "unsigned") == strings.Contains(to, "unsigned") {
		ints = ""
	}
	if strings.HasPrefix(from, "int") && !strings.Contains(from, "unsigned") && strings.HasPrefix(to, "bigint") && !strings.Contains(to, "unsigned") {
		ints = ""
	}
	return map[string]string{
		"int": ints, "bool": "",
		"float":   x + " <> floor(" + x + ") OR abs(" + x + ") > 9007199254740992 OR " + outside,
		"decimal": x + " <> truncate(" + x + ", 0) OR " + outside,
		"text":    fmt.Sprintf("NOT %s REGEXP '^(0|-?[1-9][0-9]{0,30})$' OR %s NOT BETWEEN %s AND %s", x, number, low, high),
	}
}

func mysqlToDecimal(x, from string, c *Column) map[string]string {
	cast := fmt.Sprintf("CAST(%s AS DECIMAL(%d,%d)) <> %s", x, c.Precision, c.Scale, x)
	if c.Unsigned {
		cast += " OR " + x + " < 0"
	}
	exact := cast
	var precision, scale int
	if n, _ := fmt.Sscanf(from, "decimal(%d,%d)", &precision, &scale); n == 2 && scale <= c.Scale && precision-scale <= c.Precision-c.Scale && !c.Unsigned {
		exact = ""
	}
	sign := "-?"
	if c.Unsigned {
		sign = ""
	}
	whole := "0" // a zero before other digits would go
	if n := c.Precision - c.Scale; n > 0 {
		whole = fmt.Sprintf("(0|[1-9][0-9]{0,%d})", n-1)
	}
	pattern := fmt.Sprintf("^%s%s([.][0-9]{0,%d}0*)?$", sign, whole, c.Scale)
	return map[string]string{
		"decimal": exact, "int": cast, "bool": cast, "float": cast,
		"text": fmt.Sprintf("NOT %s REGEXP '%s' OR %s REGEXP '^-0[.]?0*$'", x, pattern, x),
	}
}

// mysqlToText: a number becomes its digits, a boolean 0 or 1, which is what it is here.
func mysqlToText(x, base string, c *Column) map[string]string {
	limit := 0
	if c.Type == SpecificType {
		_, _ = fmt.Sscanf(c.Specific[max(strings.Index(c.Specific, "("), 0):], "(%d)", &limit) // without one it is 0
	} else if c.Type != Text {
		limit = max(c.Length, 255*boolInt(c.Type == Enum), 36*boolInt(c.Type == UUID))
	}
	over := ""
	if limit > 0 {
		over = fmt.Sprintf("char_length(CAST(%s AS CHAR)) > %d", x, limit)
	}
	text := over
	var length int
	if n, _ := fmt.Sscanf(base, "varchar(%d)", &length); n == 1 && limit > 0 && length <= limit {
		text = ""
	}
	return map[string]string{
		"text": text, "json": over, "uuid": over, "date": over, "time": over, "datetime": over, "int": over, "decimal": over, "bool": over,
		"float": strings.TrimSuffix("CAST(CAST("+x+" AS CHAR) AS DOUBLE) <> "+x+" OR "+over, " OR "),
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
