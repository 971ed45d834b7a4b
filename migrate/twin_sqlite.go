package migrate

import (
	"fmt"
	"strings"
)

// sqliteTwin keeps columns equal by AFTER triggers: nothing else can write a row of SQLite. A row is checked before they run, so the two
// columns have no NOT NULL meanwhile, and the triggers refuse what it would.
var sqliteTwin = &twinSyntax{
	relaxed: true,
	able:    func(t *TableInfo) bool { return t.create != nil && !strings.Contains(fold(t.create.tail), "rowid") },
	widens: func(from, to *Column) bool {
		conv := convert(to.Name, sqliteType(from), to)
		return conv.loses == "" && !conv.rewrites && from.Type != Integer
	},
	convert: func(x, from, _ string, c *Column) (expr, loses string) {
		const stand = "_odac_x"
		conv := convert(stand, from, c)
		put := func(s string) string { return strings.ReplaceAll(s, quoteName(stand), x) }
		return put(conv.expr), put(conv.loses)
	},
	differs: func(a, b string) string { return "((" + a + ") COLLATE BINARY IS NOT (" + b + "))" },
	drop:    func(o Object) []string { return []string{"DROP TRIGGER " + quoteName(o.Name)} },
	swap:    sqliteSwap,
	triggers: func(s *syncing) []string {
		return []string{sqliteSync(s, "_i", "INSERT"), sqliteSync(s, "_u", "UPDATE")}
	},
}

// sqliteSync writes the trigger of one kind of write. It runs itself again only where SQLite is told to be recursive, and then finds the
// columns equal.
func sqliteSync(s *syncing, suffix, event string) string {
	from, to := "NEW."+quoteName(s.from), "NEW."+quoteName(s.to)
	var toWritten string // that the new column is the one that was written
	switch {
	case !s.both && s.source == s.from:
		toWritten = "0"
	case !s.both:
		toWritten = "1"
	case event == "INSERT":
		toWritten = s.x.differs(to, s.fallback)
	default:
		toWritten = s.x.differs(to, "OLD."+quoteName(s.to))
	}
	when := s.apart(from, to)
	switch {
	case !s.both && event == "UPDATE": // the hidden column keeps what it has until its twin changes
		source := quoteName(s.source)
		when = s.x.differs("NEW."+source, "OLD."+source)
	case !s.both:
		when = "1"
	}
	var body []string
	refuse := func(cond, message string) {
		body = append(body, "SELECT RAISE(ABORT, "+quoteText(message)+") WHERE "+cond)
	}
	if loses := s.newLoses(from); loses != "" && toWritten != "1" {
		refuse("NOT "+toWritten+" AND "+from+" IS NOT NULL AND ("+loses+")", fmt.Sprintf("%s.%s: a value that is none of %s, to which the column changes", s.table, s.twin.Old, s.twin.ToType))
	}
	if s.fromNotNull {
		empty := "CASE WHEN " + toWritten + " THEN " + s.toOld(to) + " ELSE " + from + " END IS NULL"
		when = "(" + when + " OR " + empty + ")"
		given := "CASE WHEN " + toWritten + " THEN " + to + " ELSE " + from + " END"
		refuse(given+" IS NULL", "NOT NULL constraint failed: "+s.table+"."+s.twin.New)
		if s.toOld(to) != to {
			refuse(empty, fmt.Sprintf("%s.%s: a value that is none of %s, which the revision before needs", s.table, s.twin.New, s.twin.FromType))
		}
	}
	body = append(body, fmt.Sprintf("UPDATE %s SET %s = CASE WHEN %s THEN %s ELSE %s END, %s = CASE WHEN %s THEN %s ELSE %s END WHERE _rowid_ = NEW._rowid_",
		quoteName(s.table), quoteName(s.from), toWritten, s.toOld(to), from, quoteName(s.to), toWritten, to, s.toNew(from)))
	if event == "UPDATE" { // of these: the triggers of another twin write its own, perhaps before an INSERT's own trigger has run
		event = fmt.Sprintf("UPDATE OF %s, %s", quoteName(s.from), quoteName(s.to))
	}
	return fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s WHEN %s BEGIN\n  %s;\nEND", quoteName(s.name+suffix), event, quoteName(s.table), when, strings.Join(body, ";\n  "))
}

// sqliteSwap exchanges two names. A rename would carry the old names through triggers and views, which mean the names: they are made
// again as they were written.
func sqliteSwap(db *Database, table, a, b string) []string {
	var drop, create []string
	mentions := func(o Object) bool {
		toks, err := lex(o.SQL)
		if err != nil {
			return true
		}
		for _, t := range toks {
			if t.name() && (strings.EqualFold(t.text, a) || strings.EqualFold(t.text, table)) {
				return true
			}
		}
		return false
	}
	for _, o := range db.Triggers {
		if !strings.HasPrefix(o.Name, syncPrefix) && mentions(o) {
			drop, create = append(drop, "DROP TRIGGER "+quoteName(o.Name)), append(create, o.SQL)
		}
	}
	for _, o := range db.Views {
		if mentions(o) {
			drop, create = append(drop, "DROP VIEW "+quoteName(o.Name)), append([]string{o.SQL}, create...)
		}
	}
	rename := func(from, to string) string {
		return fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", quoteName(table), quoteName(from), quoteName(to))
	}
	const scratch = "_odac_swap"
	return append(append(drop, rename(a, scratch), rename(b, a), rename(scratch, b)), create...)
}
