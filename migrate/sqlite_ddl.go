package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// sqliteNow is the current time in the fixed width of each type; SQLite's clock has milliseconds.
func sqliteNow(t Type) string {
	switch t {
	case Date:
		return "strftime('%Y-%m-%d', 'now')"
	case Time:
		return "strftime('%H:%M:%f000000', 'now')"
	case Integer, BigInteger:
		return "unixepoch('now')"
	}
	return "strftime('%Y-%m-%dT%H:%M:%f000000Z', 'now')"
}

// sqliteType is the declared type: see the table in doc.go for why each is called so.
func sqliteType(c *Column) string {
	unsigned := ""
	if c.Unsigned {
		unsigned = " UNSIGNED"
	}
	switch c.Type {
	case Increments, BigIncrements:
		return "INTEGER"
	case Integer:
		return "INTEGER" + unsigned
	case BigInteger:
		return "BIGINT" + unsigned
	case Float:
		return "DOUBLE"
	case Decimal:
		return fmt.Sprintf("DECIMAL_TEXT(%d,%d)", c.Precision, c.Scale)
	case String, NanoID:
		return fmt.Sprintf("VARCHAR(%d)", c.Length)
	case Boolean:
		return "BOOLEAN"
	case Date:
		return "DATE"
	case Time:
		return "TIME"
	case Datetime:
		return "DATETIME"
	case Timestamp:
		return "TIMESTAMP"
	case Binary:
		return "BLOB"
	case JSON:
		return "JSON_TEXT"
	case JSONB:
		return "JSONB_TEXT"
	case UUID:
		return "UUID_TEXT"
	case SpecificType:
		return c.Specific
	}
	return "TEXT"
}

func (sqlite) literal(c *Column, v *Value) string {
	if v == nil {
		return "NULL"
	}
	if v.Expr == now {
		return "(" + sqliteNow(c.Type) + ")"
	}
	if v.Expr != "" {
		return "(" + v.Expr + ")"
	}
	switch c.Type {
	case Increments, BigIncrements, Integer, BigInteger, Float, Boolean:
		return v.Text
	case Binary:
		return "X'" + v.Text + "'"
	}
	return quoteText(v.Text)
}

func isSerial(c *Column) bool { return c.Type == Increments || c.Type == BigIncrements }

// sqliteChecks are the conditions that SQLite has no type for. Enum values are sorted: their order says nothing.
func sqliteChecks(c *Column) []string {
	var out []string
	if c.Type == Enum {
		values := make([]string, 0, len(c.Values))
		for _, v := range slices.Sorted(slices.Values(c.Values)) {
			values = append(values, quoteText(v))
		}
		out = append(out, fmt.Sprintf("CHECK (%s IN (%s))", quoteName(c.Name), strings.Join(values, ", ")))
	}
	if c.Unsigned {
		out = append(out, fmt.Sprintf("CHECK (%s >= 0)", quoteName(c.Name)))
	}
	return out
}

// sqliteColumn writes one column. Its nullable must be decided.
func sqliteColumn(c *Column) string {
	words := []string{quoteName(c.Name), sqliteType(c)}
	if isSerial(c) {
		return strings.Join(append(words, "PRIMARY KEY AUTOINCREMENT"), " ")
	}
	if c.Nullable != nil && !*c.Nullable {
		words = append(words, "NOT NULL")
	}
	if c.Default != nil {
		words = append(words, "DEFAULT "+sqlite{}.literal(c, c.Default))
	}
	return strings.Join(append(words, sqliteChecks(c)...), " ")
}

func sqliteReferences(fk ForeignKey) string {
	s := "REFERENCES " + quoteName(fk.RefTable) + " (" + quoteNames(fk.RefColumns) + ")"
	if fk.OnDelete != noAction {
		s += " ON DELETE " + fk.OnDelete
	}
	if fk.OnUpdate != noAction {
		s += " ON UPDATE " + fk.OnUpdate
	}
	return s
}

// sqliteForeignKey writes a table constraint.
func sqliteForeignKey(fk ForeignKey) string {
	return "FOREIGN KEY (" + quoteNames(fk.Columns) + ") " + sqliteReferences(fk)
}

// sqliteTable writes the statement for a new table, foreign keys included: SQLite lets a key point to a table that is not there
// yet, so cycles need no second pass.
func sqliteTable(t *Table) string {
	var lines []string
	serial := false
	for _, c := range t.Columns {
		serial = serial || isSerial(c)
		lines = append(lines, sqliteColumn(c))
	}
	if len(t.PrimaryKey) > 0 && !serial {
		lines = append(lines, "PRIMARY KEY ("+quoteNames(t.PrimaryKey)+")")
	}
	for _, fk := range t.ForeignKeys {
		lines = append(lines, sqliteForeignKey(fk))
	}
	return "CREATE TABLE " + quoteName(t.Name) + " (\n  " + strings.Join(lines, ",\n  ") + "\n)"
}

func sqliteIndex(table string, x Index) string {
	s := "CREATE "
	if x.Unique {
		s += "UNIQUE "
	}
	s += "INDEX " + quoteName(x.Name) + " ON " + quoteName(table) + " (" + quoteNames(x.Columns) + ")"
	if x.Where != "" {
		s += " WHERE " + x.Where
	}
	return s
}
