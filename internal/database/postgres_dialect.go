package database

import (
	"strconv"
	"strings"

	"github.com/odac-run/odachost/abi"
)

type postgresDialect struct{ standard }

func (postgresDialect) param(n int, _ *Column, _ use) string { return "$" + strconv.Itoa(n) }

// maxParams is what a 16-bit number of the protocol counts.
func (postgresDialect) maxParams() int { return 65535 }

func (postgresDialect) sortable(expr string, _ *Column) string { return expr }

// order says where nulls go only where there can be some: without it an index serves.
func (postgresDialect) order(expr string, _ *Column, desc, nullable bool) string {
	if desc {
		expr += " DESC"
	}
	switch {
	case nullable && desc:
		return expr + " NULLS LAST"
	case nullable:
		return expr + " NULLS FIRST"
	}
	return expr
}

// hidden returns the key where the database makes it, and where a row may have been updated instead whether it was inserted: then no
// transaction has locked or deleted it yet.
func (d postgresDialect) hidden(st *statement, q *abi.Query) string {
	var list []string
	if st.key != nil && !st.known() {
		st.hiddenKey = true
		list = append(list, d.quote(st.key.Name))
	}
	if st.key != nil && q.Conflict != nil && len(q.Conflict.Update)+len(q.Conflict.Add) > 0 {
		st.hiddenNew = true
		list = append(list, "(xmax = 0)")
	}
	return strings.Join(list, ", ")
}

func (d postgresDialect) conflict(t *Table, u upsert) string {
	sql := onConflict(d, t, u)
	if u.mine != "" {
		// A row that is not mine ends the statement with an error that names the policy. What is read as a boolean there depends on the row, so
		// that it is not computed before there is one.
		key := d.quote(t.Name) + "." + d.quote(u.target[0].Name)
		sql += " WHERE CASE WHEN " + u.mine + " THEN true ELSE CAST('" + notMine + "' || CAST(" + key + " AS text) AS boolean) END"
	}
	return sql
}

// notMine begins the text that PostgreSQL cannot read as a boolean.
const notMine = "odac: not mine "

func (postgresDialect) limit(limit, offset string) string {
	sql := ""
	if limit != "" {
		sql += " LIMIT " + limit
	}
	if offset != "" {
		sql += " OFFSET " + offset
	}
	return sql
}

func (postgresDialect) lock(l abi.Lock, w abi.Wait) string { return lockWords(l, w, " FOR SHARE") }

func (postgresDialect) aggregate(fn, expr string, c *Column) (string, Column) {
	result := Column{Name: fn + " of " + c.Name, Type: c.Type, Precision: c.Precision, Scale: c.Scale}
	switch {
	case fn == "min", fn == "max":
		if c.Type == TypeBool || c.Type == TypeUUID { // PostgreSQL has no order of the first, and before version 18 none of the second
			return "(" + fn + "(" + expr + "::text))" + "::" + c.cast(), result
		}
		return fn + "(" + expr + ")", result
	case c.Type == TypeDecimal && fn == "sum":
		result.Precision = 0
	case c.Type == TypeDecimal && c.Scale >= 0:
		result.Precision, result.Scale = 0, c.Scale+avgDigits
		return "round(avg(" + expr + "), " + strconv.Itoa(result.Scale) + ")", result
	case fn == "avg" && c.Type == TypeInt:
		result.Type = TypeFloat
		return "avg(" + expr + ")::float8", result
	case c.Type == TypeInt:
		return "sum(" + expr + ")::int8", result
	}
	return fn + "(" + expr + ")", result
}

func (c *Column) cast() string {
	if c.Type == TypeBool {
		return "bool"
	}
	return "uuid"
}

func (postgresDialect) add(expr, param string, _ *Column) string {
	return "coalesce(" + expr + ", 0) + " + param
}

func (postgresDialect) like(expr, param string) string { return expr + "::text ILIKE " + param }
