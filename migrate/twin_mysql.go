package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// mysqlTwin keeps columns equal by BEFORE triggers, one for each kind of write, as MariaDB wants them.
var mysqlTwin = &twinSyntax{
	alone: true,
	able:  func(t *TableInfo) bool { return t.mysql != nil },
	widens: func(from, to *Column) bool {
		switch from.Type {
		case String, NanoID, Enum:
			return (to.Type == String || to.Type == from.Type) && from.Length <= to.Length
		case Decimal:
			return to.Type == Decimal && from.Scale == to.Scale && from.Precision <= to.Precision && from.Unsigned == to.Unsigned
		}
		return from.Type == to.Type
	},
	convert: func(x, from, to string, c *Column) (expr, loses string) {
		m := mysql{mariadb: true}
		return mysqlAs(x, from, to), m.loses(x, from, from, c)
	},
	differs: func(a, b string) string {
		return "(NOT (CAST(" + a + " AS BINARY) <=> CAST(" + b + " AS BINARY)))"
	},
	typed: func(literal, printed string) string { return mysqlAs(literal, "", printed) },
	relax: func(t *TableInfo, column string) []string {
		definition := strings.Replace(t.mysql.columns[fold(column)].definition, " NOT NULL", " NULL", 1)
		return []string{"ALTER TABLE " + mysqlName(t.Name) + " MODIFY COLUMN " + mysqlName(column) + " " + definition}
	},
	drop: func(o Object) []string { return []string{"DROP TRIGGER IF EXISTS " + mysqlName(o.Name)} },
	swap: func(_ *Database, table, a, b string) []string {
		return []string{fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s, RENAME COLUMN %s TO %s", mysqlName(table), mysqlName(a), mysqlName(b), mysqlName(b), mysqlName(a))}
	},
	triggers: func(s *syncing) []string {
		return []string{mysqlSync(s, "_i", "INSERT"), mysqlSync(s, "_u", "UPDATE")}
	},
	locked: mysqlLocked,
}

// mysqlAs is x as a value of a printed type.
func mysqlAs(x, from, to string) string {
	if from == to {
		return x
	}
	as := map[string]string{
		"int": "SIGNED", "bool": "SIGNED", "float": "DOUBLE", "date": "DATE", "time": "TIME(6)", "datetime": "DATETIME(6)", "text": "CHAR", "blob": "BINARY",
	}[mysqlKind(to)]
	switch {
	case mysqlKind(to) == "decimal":
		as = strings.TrimSuffix(to, " unsigned")
	case strings.HasSuffix(to, " unsigned"):
		as = "UNSIGNED"
	case as == "CHAR" && from == "", as == "":
		return x
	}
	return "CAST(" + x + " AS " + as + ")"
}

// mysqlSync writes the trigger of one kind of write.
func mysqlSync(s *syncing, suffix, event string) string {
	from, to := "NEW."+mysqlName(s.from), "NEW."+mysqlName(s.to)
	var body strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&body, format+"\n", args...) }
	copyOld := func(indent string) {
		if loses := s.newLoses(from); loses != "" {
			line("%sIF %s IS NOT NULL AND (%s) THEN SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 4025, MESSAGE_TEXT = %s; END IF;", indent, from, loses,
				mysqlQuote(fmt.Sprintf("%.40s.%.40s: a value that is none of %.30s", s.table, s.twin.Old, s.twin.ToType)))
		}
		line("%sSET %s = %s;", indent, to, s.toNew(from))
	}
	line("BEGIN")
	switch {
	case s.both:
		written := s.x.differs(to, s.fallback)
		if event == "UPDATE" {
			written = s.x.differs(to, "OLD."+mysqlName(s.to))
		}
		line("  IF %s THEN", s.apart(from, to))
		line("    IF %s THEN", written)
		line("      SET %s = %s;", from, s.toOld(to))
		line("    ELSE")
		copyOld("      ")
		line("    END IF;")
		line("  END IF;")
	default:
		changed := "TRUE"
		if source := mysqlName(s.source); event == "UPDATE" {
			changed = s.x.differs("NEW."+source, "OLD."+source)
		}
		line("  IF %s THEN", changed)
		if s.source == s.from {
			copyOld("    ")
		} else {
			line("    SET %s = %s;", from, s.toOld(to))
		}
		line("  END IF;")
	}
	body.WriteString("END")
	return fmt.Sprintf("CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW %s", mysqlName(s.name+suffix), event, mysqlName(s.table), body.String())
}

// mysqlLocked runs statements under a lock of the table: each ends a transaction, and a row that is written between them would have its
// value in one column.
func mysqlLocked(table string, queries []string) func(context.Context, *sql.Conn, func(int64)) (int64, error) {
	return func(ctx context.Context, conn *sql.Conn, _ func(int64)) (n int64, err error) {
		if _, err := conn.ExecContext(ctx, "LOCK TABLES "+mysqlName(table)+" WRITE"); err != nil {
			return 0, err
		}
		defer func() {
			if _, end := conn.ExecContext(context.WithoutCancel(ctx), "UNLOCK TABLES"); end != nil {
				err = errors.Join(err, spoil(conn, end))
			}
		}()
		for _, q := range queries {
			if _, err := conn.ExecContext(ctx, q); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}
}
