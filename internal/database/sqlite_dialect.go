package database

import (
	"strconv"

	"github.com/odac-run/odachost/abi"
)

// Names of the collation and functions that every connection of ours has.
const (
	decimalOrder = "odac_decimal"
	decimalAdd   = "odac_decimal_add"
	decimalSum   = "odac_decimal_sum"
	decimalAvg   = "odac_decimal_avg"
	integerAdd   = "odac_integer_add"
	rowPermit    = "odac_row_permit"
)

// avgDigits is by how many digits the average of decimals is longer than its column.
const avgDigits = 6

type sqliteDialect struct{ standard }

func (sqliteDialect) param(int, *Column, use) string { return "?" }

// maxParams is SQLITE_MAX_VARIABLE_NUMBER.
func (sqliteDialect) maxParams() int { return 32766 }

func (sqliteDialect) sortable(expr string, c *Column) string {
	if c.Type == TypeDecimal {
		return expr + " COLLATE " + decimalOrder
	}
	return expr
}

func (d sqliteDialect) aggregate(fn, expr string, c *Column) (string, Column) {
	result := Column{Name: fn + " of " + c.Name, Type: c.Type, Precision: c.Precision, Scale: c.Scale}
	switch {
	case fn == "min", fn == "max":
		return fn + "(" + d.sortable(expr, c) + ")", result
	case c.Type == TypeDecimal && fn == "sum":
		result.Precision = 0
		return decimalSum + "(" + expr + ", " + strconv.Itoa(c.Scale) + ")", result
	case c.Type == TypeDecimal:
		result.Precision, result.Scale = 0, c.Scale+avgDigits
		return decimalAvg + "(" + expr + ", " + strconv.Itoa(c.Scale) + ")", result
	case fn == "avg":
		result.Type = TypeFloat
	}
	return fn + "(" + expr + ")", result
}

func (sqliteDialect) add(expr, param string, c *Column) string {
	switch c.Type {
	case TypeInt:
		return integerAdd + "(" + expr + ", " + param + ")"
	case TypeDecimal:
		return decimalAdd + "(" + expr + ", " + param + ", " + strconv.Itoa(c.Scale) + ", " + strconv.Itoa(c.Precision) + ")"
	}
	return "coalesce(" + expr + ", 0) + " + param
}

func (sqliteDialect) like(expr, param string) string { return expr + " LIKE " + param + ` ESCAPE '\'` }

func (sqliteDialect) limit(limit, offset string) string {
	switch {
	case offset == "" && limit == "":
		return ""
	case offset == "":
		return " LIMIT " + limit
	case limit == "":
		limit = "-1"
	}
	return " LIMIT " + limit + " OFFSET " + offset
}

// lock needs no words: a transaction that writes has the whole file to itself.
func (sqliteDialect) lock(abi.Lock, abi.Wait) string { return "" }

func (d sqliteDialect) conflict(t *Table, u upsert) string {
	sql := onConflict(d, t, u)
	if u.mine != "" {
		sql += " WHERE " + rowPermit + "(" + u.mine + ")"
	}
	return sql
}

// hidden is not needed: SQLite tells the row id.
func (sqliteDialect) hidden(*statement, *abi.Query) string { return "" }

func (d sqliteDialect) order(expr string, c *Column, desc, _ bool) string {
	if desc {
		return d.sortable(expr, c) + " DESC"
	}
	return d.sortable(expr, c)
}
