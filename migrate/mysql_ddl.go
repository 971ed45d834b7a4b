package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

func (m mysql) String() string {
	if m.mariadb {
		return "MariaDB"
	}
	return "MySQL"
}

// typeOf is the declared type: see the table in doc.go for why each is called so. Texts carry their collation where the table may
// have another.
func (m mysql) typeOf(c *Column, collate bool) string {
	unsigned, bin := "", ""
	if c.Unsigned {
		unsigned = " UNSIGNED"
	}
	if collate {
		bin = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	}
	switch c.Type {
	case Increments:
		return "INT"
	case BigIncrements:
		return "BIGINT"
	case Integer:
		return "INT" + unsigned
	case BigInteger:
		return "BIGINT" + unsigned
	case Float:
		return "DOUBLE" + unsigned
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)%s", c.Precision, c.Scale, unsigned)
	case String, NanoID:
		return fmt.Sprintf("VARCHAR(%d)%s", c.Length, bin)
	case Enum:
		return "VARCHAR(255)" + bin
	case Boolean:
		return "TINYINT(1)"
	case Date:
		return "DATE"
	case Time:
		return "TIME(6)"
	case Datetime, Timestamp:
		return "DATETIME(6)"
	case Binary:
		return "LONGBLOB"
	case JSON, JSONB:
		return "JSON"
	case UUID:
		if m.mariadb && m.version >= 100700 {
			return "UUID"
		}
		return "CHAR(36)" + bin
	case SpecificType:
		return c.Specific
	}
	return "LONGTEXT" + bin
}

// now is the current time in UTC. For datetimes it is that of the session, since no other default can be added to a table that has
// rows without writing it anew: every session of internal/database, and of this package, is in UTC.
func (mysql) now(t Type) string {
	switch t {
	case Date:
		return "(utc_date())"
	case Time:
		return "(utc_time(6))"
	case Integer, BigInteger:
		return "(unix_timestamp())"
	}
	return "current_timestamp(6)"
}

func (m mysql) literal(c *Column, v *Value) string { return m.literalBy(mysqlText, c, v) }

// mysqlQuote quotes a text for definitions, in the sql_mode of our sessions: MariaDB keeps the expressions of defaults and checks as
// it prints them, and prints what mysqlText writes wrongly.
func mysqlQuote(s string) string { return quoteText(strings.ReplaceAll(s, `\`, `\\`)) }

func (m mysql) literalBy(text func(string) string, c *Column, v *Value) string {
	switch {
	case v == nil:
		return "NULL"
	case v.Expr == now:
		return m.now(c.Type)
	case v.Expr != "":
		return "(" + v.Expr + ")"
	}
	switch c.Type {
	case Increments, BigIncrements, Integer, BigInteger, Float, Decimal, Boolean:
		return v.Text
	case Binary:
		return "X'" + v.Text + "'"
	case Datetime, Timestamp: // TimeLayout, cut to microseconds
		if len(v.Text) == len(TimeLayout) {
			return "'" + v.Text[:10] + " " + v.Text[11:26] + "'"
		}
	case Time:
		if len(v.Text) == len(TimeOfDayLayout) {
			return "'" + v.Text[:15] + "'"
		}
	}
	return text(v.Text)
}

// defaultOf writes what stands behind DEFAULT. MySQL takes a text or JSON only as an expression.
func (m mysql) defaultOf(c *Column) string {
	text := m.literalBy(mysqlQuote, c, c.Default)
	large := slices.Contains([]Type{Text, Binary, JSON, JSONB}, c.Type)
	if !m.mariadb && large && !strings.HasPrefix(text, "(") {
		return "(" + text + ")"
	}
	return text
}

// check is the condition of an enum. It is a CHECK over a VARCHAR and no ENUM: an ENUM takes the text '1' for its first value, sorts by
// the order of its values, and can only grow at its end without being written anew, whereas MariaDB changes the CHECK of a column at
// once. Values are sorted: their order says nothing.
func (m mysql) check(c *Column) string {
	if c.Type != Enum {
		return ""
	}
	values := make([]string, 0, len(c.Values))
	for _, v := range slices.Sorted(slices.Values(c.Values)) {
		values = append(values, mysqlQuote(v))
	}
	return fmt.Sprintf("CHECK (%s IN (%s))", mysqlName(c.Name), strings.Join(values, ", "))
}

// column writes one column. Its nullable must be decided.
func (m mysql) column(c *Column, collate bool) string {
	return mysqlName(c.Name) + " " + m.definition(c, collate, c.Default != nil, m.check(c), "")
}

// definition writes what is behind the name. comment is a literal that is kept where the file has none.
func (m mysql) definition(c *Column, collate, withDefault bool, check, comment string) string {
	words := []string{m.typeOf(c, collate), "NULL"}
	if !*c.Nullable || isSerial(c) {
		words[1] = "NOT NULL"
	}
	switch {
	case isSerial(c):
		words = append(words, "AUTO_INCREMENT")
	case withDefault:
		words = append(words, "DEFAULT "+m.defaultOf(c))
	}
	if c.Comment != "" {
		comment = mysqlQuote(c.Comment)
	}
	if comment != "" {
		words = append(words, "COMMENT "+comment)
	}
	if check != "" {
		words = append(words, check)
	}
	return strings.Join(words, " ")
}

// lines are the columns and keys of a table, with those foreign keys.
func (m mysql) lines(t *Table, collate bool, keys []ForeignKey) string {
	var lines []string
	for _, c := range t.Columns {
		lines = append(lines, m.column(c, collate))
	}
	if len(t.PrimaryKey) > 0 {
		lines = append(lines, "PRIMARY KEY ("+mysqlNames(t.PrimaryKey)+")")
	}
	for _, x := range t.Indexes {
		lines = append(lines, mysqlIndex(x.Name, x.Columns, x.Unique))
	}
	for _, fk := range keys {
		lines = append(lines, mysqlConstraintOf(mysqlKeyName(t.Name, fk), fk))
	}
	return strings.Join(lines, ",\n  ")
}

func (m mysql) table(t *Table, keys []ForeignKey) string {
	return "CREATE TABLE " + mysqlName(t.Name) + " (\n  " + m.lines(t, false, keys) + "\n) " + mysqlTableOptions
}

func mysqlIndex(name string, columns []string, unique bool) string {
	s := "KEY " + mysqlName(name) + " (" + mysqlNames(columns) + ")"
	if unique {
		return "UNIQUE " + s
	}
	return s
}

func mysqlConstraintOf(name string, fk ForeignKey) string {
	s := fmt.Sprintf("CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s)", mysqlName(name), mysqlNames(fk.Columns), mysqlName(fk.RefTable), mysqlNames(fk.RefColumns))
	if fk.OnDelete != noAction {
		s += " ON DELETE " + fk.OnDelete
	}
	if fk.OnUpdate != noAction {
		s += " ON UPDATE " + fk.OnUpdate
	}
	return s
}

// mysqlKeyName names a foreign key, and the index that goes with it. Names are one space in a database; the server takes 64
// characters, and the mark of an unchecked key needs room.
func mysqlKeyName(table string, fk ForeignKey) string {
	name := table + "_" + strings.Join(fk.Columns, "_") + "_fk"
	if len(name) > 64-len(mysqlUnchecked)-2 {
		sum := sha256.Sum256([]byte(table + "\x00" + strings.Join(fk.Columns, "\x00")))
		name = name[:64-len(mysqlUnchecked)-2-9] + "_" + hex.EncodeToString(sum[:4])
	}
	return name
}
