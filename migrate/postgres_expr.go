package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// renameInExpression gives columns other names in an expression that the server printed. It prints a column by its name alone;
// what follows a :: or stands before a parenthesis is a type or a function.
func renameInExpression(expr string, name func(column string) string) string {
	toks, err := lex(expr)
	if err != nil {
		return expr // what the server prints has its quotes closed
	}
	var b strings.Builder
	at := 0
	for i, t := range toks {
		is := func(n int, text string) bool {
			return i+n >= 0 && i+n < len(toks) && toks[i+n].text == text && !toks[i+n].quoted
		}
		if !t.name() || t.literal || is(-1, ":") || is(-1, ".") || is(1, "(") || is(1, ".") {
			continue
		}
		if to := name(t.text); to != t.text {
			b.WriteString(expr[at:t.start])
			b.WriteString(quoteName(to))
			at = t.end
		}
	}
	return b.String() + expr[at:]
}

// pgCheckText is a check's text in ColumnInfo.Checks: of an expression over column from, as one over column to.
func pgCheckText(expr, from, to string) string {
	return "CHECK (" + pgQuoted(expr, func(s string) (string, bool) { return to, s == from }) + ")"
}

// pgQuoted gives columns their names, quoted always: the server does so only where it must.
func pgQuoted(expr string, column func(name string) (to string, ok bool)) string {
	marked := renameInExpression(expr, func(s string) string {
		if to, ok := column(s); ok {
			return to + "\x00" // so that it differs, and is written
		}
		return s
	})
	return strings.ReplaceAll(marked, "\x00", "")
}

// pgFunctions are those that an expression of a schema file may call: they read no table, file or setting, and change nothing. True marks
// one that gives another value for each row.
var pgFunctions = map[string]bool{
	"now": false, "coalesce": false, "nullif": false, "greatest": false, "least": false, "lower": false, "upper": false, "length": false,
	"char_length": false, "octet_length": false, "trim": false, "btrim": false, "ltrim": false, "rtrim": false, "substr": false, "substring": false, "replace": false,
	"concat": false, "concat_ws": false, "left": false, "right": false, "lpad": false, "rpad": false, "repeat": false, "position": false, "strpos": false, "split_part": false,
	"initcap": false, "reverse": false, "md5": false, "abs": false, "ceil": false, "floor": false, "round": false, "trunc": false, "mod": false, "power": false, "sqrt": false,
	"sign": false, "cast": false, "extract": false, "date_trunc": false, "date_part": false, "to_char": false, "to_date": false, "to_timestamp": false, "to_number": false,
	"make_date": false, "timezone": false, "age": false, "json_build_object": false, "jsonb_build_object": false, "json_build_array": false, "jsonb_build_array": false,
	"to_json": false, "to_jsonb": false, "jsonb_typeof": false, "encode": false, "decode": false, "sha256": false, "interval": false, "decimal": false, "numeric": false,
	"varchar": false, "char": false, "character": false, "varying": false, "timestamp": false, "timestamptz": false, "time": false,
	"gen_random_uuid": true, "random": true, "clock_timestamp": true, "statement_timestamp": true,
	// Words before a parenthesis that are no functions.
	"in": false, "and": false, "or": false, "not": false, "any": false, "all": false, "some": false, "between": false, "like": false, "ilike": false, "is": false, "when": false,
	"then": false, "else": false, "case": false, "from": false, "distinct": false, "similar": false, "to": false, "array": false, "zone": false, "for": false, "as": false,
}

// pgCheckExpression refuses what could reach out of the row: a function may run the text that it is given as a query.
func pgCheckExpression(expr string) error {
	toks, err := lex(expr)
	if err != nil {
		return err
	}
	for i, t := range toks {
		if t.quoted && strings.ContainsAny(expr[t.start:t.start+1], "[`") {
			return fmt.Errorf("PostgreSQL quotes a name as %s", quoteName(t.text))
		}
		if t.name() && i+1 < len(toks) && toks[i+1].opens() {
			if _, known := pgFunctions[fold(t.text)]; !known {
				return fmt.Errorf("an expression cannot call %s: do it in a file of migration/", t.text)
			}
		}
	}
	return nil
}

// volatile tells whether an expression gives each row another value.
func volatile(expr string) bool {
	toks, err := lex(expr)
	return err != nil || slices.ContainsFunc(toks, func(t token) bool { return t.name() && pgFunctions[fold(t.text)] })
}
