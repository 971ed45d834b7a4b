package migrate

import (
	"fmt"
	"strings"
)

// pgTwin keeps columns equal by a BEFORE trigger, which runs before NOT NULL is looked at.
var pgTwin = &twinSyntax{
	able: func(t *TableInfo) bool { return t.pg != nil },
	widens: func(from, to *Column) bool {
		grows := from.Type == to.Type && from.Length <= to.Length
		switch from.Type {
		case String, NanoID:
			return grows || to.Type == Text || to.Type == String && from.Length <= to.Length
		case Enum:
			return to.Type == Enum || to.Type == Text
		case Decimal:
			return to.Type == Decimal && from.Scale == to.Scale && from.Precision <= to.Precision
		}
		return false
	},
	convert: func(x, from, to string, c *Column) (expr, loses string) {
		const stand = "_odac_x"
		conv := pgConvert(stand, from, to, c)
		put := func(s string) string { return strings.ReplaceAll(s, quoteName(stand), x) }
		return put(conv.expr), put(conv.loses)
	},
	differs: func(a, b string) string {
		return "((" + a + ")::text COLLATE \"C\" IS DISTINCT FROM (" + b + ")::text)"
	},
	typed: func(literal, printed string) string { return "(" + literal + ")::" + printed },
	relax: func(t *TableInfo, column string) []string {
		return []string{"ALTER TABLE " + quoteName(t.Name) + " ALTER COLUMN " + quoteName(column) + " DROP NOT NULL"}
	},
	drop: func(o Object) []string {
		return []string{"DROP TRIGGER " + quoteName(o.Name) + " ON " + quoteName(o.Table), "DROP FUNCTION " + quoteName(o.Name) + "()"}
	},
	swap: func(_ *Database, table, a, b string) []string {
		rename := func(from, to string) string {
			return fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", quoteName(table), quoteName(from), quoteName(to))
		}
		const scratch = "_odac_swap"
		return []string{rename(a, scratch), rename(b, a), rename(scratch, b)}
	},
	triggers: pgSync,
}

// pgSync writes the function and the trigger.
func pgSync(s *syncing) []string {
	from, to := "NEW."+quoteName(s.from), "NEW."+quoteName(s.to)
	var body strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&body, format+"\n", args...) }
	copyOld := func(indent string) {
		if loses := s.newLoses(from); loses != "" {
			line("%sIF %s IS NOT NULL AND (%s) THEN RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = %s; END IF;", indent, from, loses,
				pgText(fmt.Sprintf("%s.%s: a value that is none of %s, to which the column changes", s.table, s.twin.Old, s.twin.ToType)))
		}
		line("%s%s := %s;", indent, to, s.toNew(from))
	}
	line("BEGIN")
	switch {
	case s.both:
		line("  IF %s THEN", s.apart(from, to))
		line("    IF TG_OP = 'INSERT' AND %s THEN", s.x.differs(to, s.fallback))
		line("      %s := %s;", from, s.toOld(to))
		line("    ELSIF TG_OP = 'UPDATE' AND %s THEN", s.x.differs(to, "OLD."+quoteName(s.to)))
		line("      %s := %s;", from, s.toOld(to))
		line("    ELSE")
		copyOld("      ")
		line("    END IF;")
		line("  END IF;")
	default:
		source := quoteName(s.source)
		line("  IF TG_OP = 'UPDATE' AND NOT %s THEN RETURN NEW; END IF;", s.x.differs("NEW."+source, "OLD."+source))
		if s.source == s.from {
			copyOld("  ")
		} else {
			line("  %s := %s;", from, s.toOld(to))
		}
	}
	line("  RETURN NEW;")
	body.WriteString("END")
	name := quoteName(s.name)
	return []string{
		"CREATE OR REPLACE FUNCTION " + name + "() RETURNS trigger LANGUAGE plpgsql AS " + strings.TrimSpace(pgText(body.String())),
		"CREATE TRIGGER " + name + " BEFORE INSERT OR UPDATE ON " + quoteName(s.table) + " FOR EACH ROW EXECUTE FUNCTION " + name + "()",
	}
}
