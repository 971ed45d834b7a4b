package database

import (
	"strconv"
	"strings"

	"github.com/odac-run/odachost/abi"
)

type mysqlDialect struct{ mariadb bool }

func (mysqlDialect) quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// param casts where MySQL would compare or add as floats.
func (mysqlDialect) param(_ int, c *Column, u use) string {
	switch {
	case c.Type == TypeDecimal && u != useWrite && u != useLike:
		return "CAST(? AS DECIMAL(65,30))"
	case (c.Type == TypeTime || c.Type == TypeDate) && u == useCompare:
		return "CAST(? AS DATETIME(6))"
	}
	return "?"
}

// maxParams is what a 16-bit number of the protocol counts.
func (mysqlDialect) maxParams() int { return 65535 }

func (mysqlDialect) defaults() string { return " () VALUES ()" }

func (d mysqlDialect) deleteFrom(table, alias string) string {
	if alias == table {
		return "DELETE FROM " + d.quote(table)
	}
	return "DELETE " + d.quote(alias) + " FROM " + d.quote(table) + " AS " + d.quote(alias)
}

// returns: MariaDB has RETURNING for two verbs, MySQL for none.
func (d mysqlDialect) returns(v abi.Verb) bool {
	return d.mariadb && (v == abi.VerbInsert || v == abi.VerbDelete)
}

// duplicates is the variable in which an insert counts the rows whose key was taken: the server's own count does not tell them from new
// ones.
const duplicates = "@odac_duplicates"

// conflict has no word for one key among several. So a row that is taken by another one fails, by a subquery of two rows.
func (d mysqlDialect) conflict(_ *Table, u upsert) string {
	name, target, update, add := d.quote(u.counted), u.target, u.update, u.add
	same := make([]string, 0, len(target)+1)
	if u.mine != "" {
		same = append(same, u.mine)
	}
	for _, c := range target {
		same = append(same, d.quote(c.Name)+" <=> VALUES("+d.quote(c.Name)+")")
	}
	keep := name
	if len(same) > 0 {
		keep = "if(" + strings.Join(same, " AND ") + ", " + name + ", (SELECT 1 FROM (SELECT 1 UNION SELECT 2) AS odac_other WHERE " + name + " IS NOT NULL OR 1 = 1))"
	}
	// Columns are set in this order, so the key is looked at before it is changed.
	sql := " ON DUPLICATE KEY UPDATE " + name + " = if((" + duplicates + " := " + duplicates + " + 1) IS NULL, NULL, " + keep + ")"
	for _, c := range update {
		sql += ", " + d.quote(c.Name) + " = VALUES(" + d.quote(c.Name) + ")"
	}
	for _, c := range add {
		sql += ", " + d.quote(c.Name) + " = " + d.add(d.quote(c.Name), "VALUES("+d.quote(c.Name)+")", c)
	}
	return sql
}

// limit has no word for an offset without one.
func (mysqlDialect) limit(limit, offset string) string {
	switch {
	case offset == "" && limit == "":
		return ""
	case offset == "":
		return " LIMIT " + limit
	case limit == "":
		limit = "18446744073709551615"
	}
	return " LIMIT " + limit + " OFFSET " + offset
}

// lock: MariaDB has no FOR SHARE, and MySQL takes the older words too, but not with the wait.
func (d mysqlDialect) lock(l abi.Lock, w abi.Wait) string {
	if d.mariadb {
		return lockWords(l, w, " LOCK IN SHARE MODE")
	}
	return lockWords(l, w, " FOR SHARE")
}

func (d mysqlDialect) truncate(table string) string { return "DELETE FROM " + d.quote(table) }

func (mysqlDialect) sortable(expr string, _ *Column) string { return expr }

func (mysqlDialect) order(expr string, _ *Column, desc, _ bool) string {
	if desc {
		return expr + " DESC"
	}
	return expr
}

// hidden is not needed: the server tells the key that it made.
func (mysqlDialect) hidden(*statement, *abi.Query) string { return "" }

func (mysqlDialect) aggregate(fn, expr string, c *Column) (string, Column) {
	result := Column{Name: fn + " of " + c.Name, Type: c.Type, Precision: c.Precision, Scale: c.Scale}
	switch {
	case fn == "min", fn == "max":
	case c.Type == TypeDecimal && fn == "sum":
		result.Precision = 0
	case c.Type == TypeDecimal:
		result.Precision, result.Scale = 0, c.Scale+avgDigits
		return "CAST(avg(" + expr + ") AS DECIMAL(65," + strconv.Itoa(min(result.Scale, 38)) + "))", result
	case fn == "avg":
		result.Type = TypeFloat
		return "avg(" + expr + " + 0e0)", result
	}
	return fn + "(" + expr + ")", result
}

func (mysqlDialect) add(expr, param string, _ *Column) string {
	return "coalesce(" + expr + ", 0) + " + param
}

// like folds letters, whatever the column's collation does, and nothing else.
func (mysqlDialect) like(expr, param string) string {
	return "lower(CONVERT(" + expr + " USING utf8mb4)) COLLATE utf8mb4_bin LIKE lower(" + param + ")"
}
