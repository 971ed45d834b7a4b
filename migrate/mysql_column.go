package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// alterColumn plans the change of one column, with what rows would lose by it. A MODIFY says all of a column anew, so what does not
// change is said as it is.
func (e *mysqlEdit) alterColumn(cc *ColumnChange) error {
	c := cc.To.def
	if cc.Default && !cc.Type && !cc.NotNull && !cc.Auto && len(cc.AddChecks)+len(cc.DropChecks) == 0 {
		e.setDefault(e.now, cc.To)
		return nil
	}
	if err := e.columnHazards(cc); err != nil {
		return err
	}
	level, what, after := e.columnLevel(cc)
	fill := cc.NotNull && cc.To.NotNull && c.Backfill != nil
	a := e.then
	switch {
	case fill && cc.Type: // the value is one of the new type
		nullable := *cc
		to := *cc.To
		to.NotNull, nullable.To = false, &to
		e.modify(a, &nullable, max(level, mysqlInPlace), what, after)
		e.refill = append(e.refill, e.backfill(e.tc.live, c, c.Backfill, 0))
		e.modify(e.last, cc, mysqlInPlace, []string{c.Name + " not null"}, nil)
		return nil
	case fill:
		n, _, err := e.p.count(e.st, mysqlName(c.Name)+" IS NULL", c.Name)
		if err != nil {
			return err
		}
		if n > 0 {
			e.fill = append(e.fill, e.backfill(e.tc.live, c, c.Backfill, n))
		}
	case level == mysqlInstant && len(after) == 0:
		a = e.now
	}
	e.modify(a, cc, level, what, after)
	return nil
}

// modify adds the clause.
func (e *mysqlEdit) modify(a *mysqlAlter, cc *ColumnChange, level int, what []string, after []mysqlAfter) {
	m, my := e.p.m, e.my(cc)
	name := mysqlName(cc.To.Name)
	if from, to := mysqlKind(cc.From.Type), mysqlKind(cc.To.Type); cc.Type && (from == "uuid") != (to == "uuid") && from != "text" && to != "text" {
		// The server does not even try, whatever is in the column: a text is between.
		e.now.add(AlterTable, mysqlCopy, cc.To.Name+" a text", "MODIFY COLUMN %s VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL", name)
		e.apart = true
	}
	a.add(AlterTable, level, strings.Join(what, ", "), "MODIFY COLUMN %s %s", name, e.definition(cc))
	a.after = append(a.after, after...)
	if m.mariadb {
		return
	}
	for _, check := range cc.DropChecks { // MySQL has checks of tables only
		for _, known := range e.tc.live.mysql.checks {
			if known.text == check {
				a.add(AlterTable, mysqlInstant, "", "DROP CHECK %s", mysqlName(known.name))
			}
		}
	}
	if len(cc.AddChecks) > 0 && my != nil {
		a.add(AlterTable, mysqlCopy, "", "ADD %s", m.check(cc.To.def))
	}
}

func (e *mysqlEdit) my(cc *ColumnChange) *mysqlColumn {
	return e.tc.live.mysql.columns[fold(cc.From.Name)]
}

// definition is that of the schema, except for what stays different: drift that is adopted, and what a hand added.
func (e *mysqlEdit) definition(cc *ColumnChange) string {
	m, my, c := e.p.m, e.my(cc), *cc.To.def
	nullable := !cc.To.NotNull
	if !cc.NotNull && cc.From.NotNull != cc.To.NotNull && cc.To.NotNull == !*c.Nullable {
		nullable = !cc.From.NotNull
	}
	c.Nullable = &nullable
	check := ""
	if m.mariadb {
		check = my.check
		if len(cc.AddChecks)+len(cc.DropChecks) > 0 || cc.From.Type == "json" {
			check = m.check(&c)
		}
	}
	text := m.definition(&c, true, c.Default != nil, check, my.comment)
	if !cc.Type && cc.From.Type != cc.To.Type {
		base, collation, ok := strings.Cut(cc.From.Type, " collate ")
		if ok {
			base += " COLLATE " + strings.TrimSuffix(collation, " default")
		}
		text = base + strings.TrimPrefix(text, m.typeOf(&c, true))
	}
	if !cc.Default && cc.From.Default != cc.To.Default {
		c.Default = &Value{Text: "_odac_default"}
		text = m.definition(&c, true, false, "", "")
		if cc.From.Default != "" {
			text += " DEFAULT " + cc.From.Default
		}
		if check != "" {
			text += " " + check
		}
	}
	return text
}

// columnLevel tells how the change is done, in words too, and what has to be looked at after it: MariaDB changes the check of a column
// without looking at its rows.
func (e *mysqlEdit) columnLevel(cc *ColumnChange) (level int, what []string, after []mysqlAfter) {
	c, m := cc.To.def, e.p.m
	name := mysqlName(c.Name)
	undo := fmt.Sprintf("ALTER TABLE %s MODIFY COLUMN %s %s%s", mysqlName(e.tc.live.Name), name, e.my(cc).definition, m.algorithm(mysqlInPlace))
	look := func(cond string) {
		after = append(after, mysqlAfter{cond: fmt.Sprintf("SELECT 1 FROM %s WHERE %s IS NOT NULL AND (%s)", mysqlName(e.tc.live.Name), name, cond), undo: undo})
	}
	if cc.Type {
		what = append(what, fmt.Sprintf("%s %s to %s", c.Name, cc.From.Type, cc.To.Type))
		level = m.typeLevel(e.my(cc).base, cc.From.Type, cc.To.Type, e.tc.want.mysql.columns[fold(c.Name)].base)
	}
	if cc.NotNull {
		what = append(what, c.Name+" "+nullText(cc.To))
		level = max(level, mysqlInPlace)
	}
	if cc.Default {
		what = append(what, c.Name+" default "+or(cc.To.Default, "(none)"))
	}
	if cc.Auto {
		what = append(what, c.Name+" numbers itself")
		level = mysqlCopy
	}
	if len(cc.AddChecks)+len(cc.DropChecks) > 0 {
		what = append(what, c.Name+" values")
		if check := m.check(c); check != "" && len(cc.AddChecks) > 0 && level < mysqlCopy {
			look("NOT (" + strings.TrimPrefix(check, "CHECK ") + ")")
		}
	}
	return level, what, after
}

// typeLevel tells how a column gets another type. A text grows in place; all other types are stored in another way.
func (m mysql) typeLevel(fromBase, from, to, toBase string) int {
	if strings.Contains(from, " collate ") || strings.Contains(to, " collate ") || from == "json" || to == "json" {
		return mysqlCopy
	}
	if fromBase == toBase {
		return mysqlInstant
	}
	var before, now int
	n, _ := fmt.Sscanf(fromBase, "varchar(%d)", &before)
	k, _ := fmt.Sscanf(toBase, "varchar(%d)", &now)
	oneByte := func(length int) bool { return 4*length <= 255 } // of the length
	switch {
	case n == 0 || k == 0 || now < before:
		return mysqlCopy
	case m.mariadb:
		return mysqlInstant
	case oneByte(before) == oneByte(now):
		return mysqlInPlace
	}
	return mysqlCopy
}

// columnHazards looks for rows that would lose by the change.
func (e *mysqlEdit) columnHazards(cc *ColumnChange) error {
	c, m := cc.To.def, e.p.m
	x := mysqlName(c.Name)
	refuse := func(cond, message string) error { return e.p.refuse(e, c.Name, cond, message) }
	if cc.Type {
		if loses := m.loses(x, e.my(cc).base, cc.From.Type, c); loses != "" {
			if err := refuse(x+" IS NOT NULL AND ("+loses+")", "%d rows would lose their value as "+cc.To.Type); err != nil {
				return err
			}
		}
	}
	if cc.NotNull && cc.To.NotNull && c.Backfill == nil {
		if err := refuse(x+" IS NULL", "%d rows are NULL, write backfill: <value> or update them"); err != nil {
			return err
		}
	}
	if cc.Auto && cc.To.AutoIncrement {
		if err := refuse(x+" = 0", "%d rows have the number 0, which would be numbered anew"); err != nil {
			return err
		}
	}
	if check := m.check(c); check != "" && len(cc.AddChecks) > 0 {
		cond := x + " IS NOT NULL AND NOT " + strings.TrimPrefix(check, "CHECK ")
		if err := refuse(cond, "%d rows hold a value that is no longer allowed"); err != nil {
			return err
		}
	}
	mine := e.my(cc).check
	if m.mariadb && mine != "" && cc.From.Type != "json" && len(cc.AddChecks) > 0 && !slices.Contains(cc.DropChecks, mine) {
		e.now.hazards = append(e.now.hazards, Hazard{
			Level: Refuse, Table: e.tc.Name, Object: c.Name, Message: fmt.Sprintf("%s.%s has %s, which is not ours, and a column has one", e.tc.Name, c.Name, mine),
			Fix: "make it a constraint of the table",
		})
	}
	return nil
}

// primaryKey replaces the key, if it is another.
func (e *mysqlEdit) primaryKey() error {
	def, live := e.tc.want.def, e.tc.live
	if equalFold(def.PrimaryKey, live.PrimaryKey) {
		return nil
	}
	what := "primary key (" + strings.Join(def.PrimaryKey, ", ") + ")"
	if len(live.PrimaryKey) > 0 {
		e.then.add(AlterTable, mysqlInPlace, "", "DROP PRIMARY KEY")
	}
	if len(def.PrimaryKey) > 0 {
		e.then.add(AlterTable, mysqlInPlace, what, "ADD PRIMARY KEY (%s)", mysqlNames(def.PrimaryKey))
	}
	known := func(name string) bool { return live.Column(name) != nil }
	for _, name := range def.PrimaryKey {
		if known(name) || isSerial(def.Column(name)) {
			continue
		}
		if e.st.rows > 1 {
			e.then.hazards = append(e.then.hazards, Hazard{
				Level: Refuse, Table: e.tc.Name, Object: name, Count: e.st.rows,
				Message: fmt.Sprintf("%s.%s is new and part of the primary key, and the table has %d rows", e.tc.Name, name, e.st.rows),
				Fix:     "add the column first, fill it, then make it primary",
			})
		}
		return nil
	}
	if len(def.PrimaryKey) == 0 || slices.ContainsFunc(def.PrimaryKey, func(name string) bool { return !known(name) }) {
		return nil
	}
	h, err := e.p.duplicates(e.st, "primary key", def.PrimaryKey)
	e.then.hazards = append(e.then.hazards, h...)
	return err
}
