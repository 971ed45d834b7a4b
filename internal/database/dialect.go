package database

import (
	"strings"

	"github.com/odac-run/odachost/abi"
)

// standard is the part of SQL that SQLite and PostgreSQL write alike.
type standard struct{}

func (standard) quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (standard) defaults() string { return " DEFAULT VALUES" }

func (s standard) deleteFrom(table, alias string) string {
	if alias == table {
		return "DELETE FROM " + s.quote(table)
	}
	return "DELETE FROM " + s.quote(table) + " AS " + s.quote(alias)
}

func (standard) returns(abi.Verb) bool { return true }

func (s standard) truncate(table string) string { return "DELETE FROM " + s.quote(table) }

// onConflict is the conflict of the standard dialects.
func onConflict(d dialect, t *Table, u upsert) string {
	var b strings.Builder
	target, update, add := u.target, u.update, u.add
	b.WriteString(" ON CONFLICT")
	for i, c := range target {
		b.WriteString(word(i, " (") + d.quote(c.Name))
	}
	if len(target) > 0 {
		b.WriteString(")")
	}
	if len(update)+len(add) == 0 {
		return b.String() + " DO NOTHING"
	}
	for i, c := range update {
		b.WriteString(word(i, " DO UPDATE SET ") + d.quote(c.Name) + " = excluded." + d.quote(c.Name))
	}
	for i, c := range add {
		name := d.quote(c.Name)
		b.WriteString(word(i+len(update), " DO UPDATE SET ") + name + " = " + d.add(d.quote(t.Name)+"."+name, "excluded."+name, c))
	}
	return b.String()
}

// lock ends a select: what it locks, and what it does about rows that others have locked.
func lockWords(l abi.Lock, w abi.Wait, share string) string {
	sql := map[abi.Lock]string{abi.LockUpdate: " FOR UPDATE", abi.LockShare: share}[l]
	if sql == "" {
		return ""
	}
	return sql + map[abi.Wait]string{abi.WaitError: " NOWAIT", abi.WaitSkip: " SKIP LOCKED"}[w]
}
