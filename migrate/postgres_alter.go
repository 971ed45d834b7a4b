package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// pgEdit collects what one ALTER TABLE does.
type pgEdit struct {
	tc       *TableChange
	st       *pgState
	clauses  []string
	after    []string // statements behind it
	changes  []string // for the summary
	hazards  []Hazard
	rewrites bool
}

func (e *pgEdit) clause(format string, args ...any) {
	e.clauses = append(e.clauses, fmt.Sprintf(format, args...))
}

func (e *pgEdit) column(c string, format string, args ...any) {
	e.clause("ALTER COLUMN %s %s", quoteName(c), fmt.Sprintf(format, args...))
}

func (e *pgEdit) change(format string, args ...any) {
	e.changes = append(e.changes, fmt.Sprintf(format, args...))
}

func pgAlterTable(table string, clauses ...string) string {
	return "ALTER TABLE " + quoteName(table) + " " + strings.Join(clauses, ", ")
}

// alter plans the changes of a table that is there, but for its foreign keys and what it drops.
func (p *pgPlanner) alter(tc *TableChange) error {
	st, err := p.state(tc.live)
	if err != nil {
		return err
	}
	p.dropIndexes(tc, st)
	e := &pgEdit{tc: tc, st: st}
	if tc.PrimaryKey && !equalFold(tc.live.PrimaryKey, tc.want.PrimaryKey) && st.live.pg.primaryKey != "" {
		e.clause("DROP CONSTRAINT %s", quoteName(st.live.pg.primaryKey))
		e.change("primary key (none)")
	}
	for _, cc := range tc.AlterColumns {
		if err := p.alterColumn(e, cc); err != nil {
			return err
		}
	}
	p.addEdit(e)
	for _, c := range tc.AddColumns {
		if err := p.addColumn(tc, st, c); err != nil {
			return err
		}
	}
	if err := p.primaryKey(tc, st); err != nil {
		return err
	}
	for _, x := range tc.AddIndexes {
		if err := p.addIndex(tc, st, x); err != nil {
			return err
		}
	}
	if tc.Adopt {
		p.adopt(st)
	}
	return nil
}

// adopt asks for approval of the first step that changes a table of nobody.
func (p *pgPlanner) adopt(st *pgState) {
	for _, steps := range p.stages {
		for _, s := range steps {
			if strings.EqualFold(s.Table, st.name) {
				s.Hazards = append(s.Hazards, Hazard{
					Level: Approve, Table: st.name, Count: st.rows, Message: fmt.Sprintf("table %s was not made by us: this takes it over and changes it", st.name),
				})
				return
			}
		}
	}
}

func (p *pgPlanner) addEdit(e *pgEdit) {
	if len(e.clauses)+len(e.after)+len(e.hazards) == 0 {
		return
	}
	s := &Step{
		Kind: AlterTable, Table: e.st.name, Summary: e.st.name + ": " + strings.Join(e.changes, ", "), Hazards: e.hazards,
		Check: "rows that would lose by it counted", Post: "the columns are as the schema says", NoInverse: "apply the schema of before",
	}
	if len(e.clauses) > 0 {
		s.SQL = append(s.SQL, pgAlterTable(e.st.name, e.clauses...))
	}
	s.SQL = append(s.SQL, e.after...)
	if e.rewrites {
		pgRewrites(s, e.st)
	}
	p.add(stageAlter, s)
}

// pgRewrites marks a step that writes every row anew under a lock that nobody passes.
func pgRewrites(s *Step, st *pgState) {
	if st.rows == 0 {
		return
	}
	s.Rewrite, s.Rows, s.Lock = true, st.rows, pgAll
	s.Hazards = append(s.Hazards, Hazard{
		Level: Approve, Table: st.name, Count: st.rows, Message: fmt.Sprintf("writes all %d rows of %s anew, while readers and writers wait", st.rows, st.name),
	})
}

func (p *pgPlanner) alterColumn(e *pgEdit, cc *ColumnChange) error {
	c := cc.To.def
	// What is there is dropped before a change of type, for it may be no value of the new one.
	if cc.From.Default != "" && (cc.Type || cc.Auto || cc.Default && cc.To.Default == "") {
		e.column(c.Name, "DROP DEFAULT")
	}
	conv := pgConversion{expr: quoteName(c.Name)}
	if cc.Type {
		conv = pgConvert(c.Name, cc.From.Type, cc.To.Type, c)
		if err := p.alterType(e, cc, conv); err != nil {
			return err
		}
	}
	if (cc.Default || cc.Type) && cc.To.Default != "" {
		e.column(c.Name, "SET DEFAULT %s", postgres{}.literal(c, c.Default))
	}
	if cc.Default {
		e.change("%s default %s", c.Name, or(cc.To.Default, "(none)"))
	}
	for _, check := range cc.DropChecks {
		for _, at := range e.st.live.pg.checks {
			if at.text == check && at.column == cc.From.Name {
				e.clause("DROP CONSTRAINT %s", quoteName(at.name))
				e.change("%s no longer %s", c.Name, strings.ToLower(check))
			}
		}
	}
	if err := p.addChecks(e, cc, conv); err != nil {
		return err
	}
	if cc.Auto {
		p.alterIdentity(e, cc)
	} else if cc.NotNull {
		return p.alterNull(e, cc)
	}
	return nil
}

func (p *pgPlanner) alterType(e *pgEdit, cc *ColumnChange, conv pgConversion) error {
	c := cc.To.def
	using := ""
	if conv.expr != quoteName(c.Name) {
		using = " USING " + conv.expr
	}
	e.column(c.Name, "TYPE %s%s", pgType(c), using)
	e.change("%s type %s", c.Name, cc.To.Type)
	e.rewrites = e.rewrites || conv.rewrites
	needed, err := p.dependents(e.st, c.Name, "its type cannot change")
	e.hazards = append(e.hazards, needed...)
	if err != nil || e.st.rows == 0 {
		return err
	}
	if conv.loses != "" {
		cond := quoteName(c.Name) + " IS NOT NULL AND (" + conv.loses + ")"
		lost, err := p.refuse(e, c.Name, cond, fmt.Sprintf("%%d rows would lose their value as %s", cc.To.Type))
		if err != nil || lost {
			return err
		}
	}
	if conv.probe {
		return p.probe(e, c, conv, cc.To.Type)
	}
	return nil
}

// addChecks adds what the new type does not hold by itself; over rows it is looked at afterwards, while writers go on.
func (p *pgPlanner) addChecks(e *pgEdit, cc *ColumnChange, conv pgConversion) error {
	c := cc.To.def
	for i, check := range pgChecks(c, quoteName(c.Name)) {
		text := cc.To.Checks[i]
		if !slices.Contains(cc.AddChecks, text) {
			continue
		}
		name := pgCheckName(e.st.name, c.Name, check)
		half := slices.IndexFunc(e.st.live.pg.checks, func(at pgCheck) bool { return at.text == text+notValid })
		definition := pgConstraint(name, "CHECK ("+check+")")
		switch {
		case half >= 0:
			name = e.st.live.pg.checks[half].name
		case e.st.rows == 0:
			e.clause("ADD %s", definition)
		default:
			e.clause("ADD %s NOT VALID", definition)
		}
		e.change("%s %s", c.Name, strings.ToLower(text))
		if e.st.rows == 0 && half < 0 {
			continue
		}
		cond := "NOT (" + pgChecks(c, "("+conv.expr+")")[i] + ")"
		if conv.loses != "" {
			cond = "CASE WHEN " + conv.loses + " THEN false ELSE " + cond + " END"
		}
		if !conv.probe {
			if _, err := p.refuse(e, c.Name, cond, "%d rows hold a value that is no longer allowed"); err != nil {
				return err
			}
		}
		p.validate(stageValidate, e.st.name, name)
	}
	return nil
}

// validate looks at the rows of before a constraint.
func (p *pgPlanner) validate(stage pgStage, table, name string) {
	p.add(stage, &Step{
		Kind: Validate, Table: table, Summary: fmt.Sprintf("%s of %s", name, table), SQL: []string{pgAlterTable(table, "VALIDATE CONSTRAINT "+quoteName(name))},
		Lock: pgOnline, Post: "all rows hold it", NoInverse: "it takes nothing away", outside: true,
	})
}

// alterIdentity makes the column number itself, or no longer.
func (p *pgPlanner) alterIdentity(e *pgEdit, cc *ColumnChange) {
	name := cc.To.Name
	if !cc.To.AutoIncrement {
		e.column(name, "DROP IDENTITY")
		e.change("%s no longer numbers itself", name)
		if cc.NotNull {
			e.column(name, "DROP NOT NULL")
		}
		return
	}
	e.change("%s numbers itself", name)
	add := "ADD GENERATED BY DEFAULT AS IDENTITY"
	if cc.NotNull {
		e.column(name, "SET NOT NULL")
	}
	sequence, ok := strings.CutPrefix(cc.From.Default, "nextval('")
	sequence, owned := strings.CutSuffix(sequence, "'::regclass)")
	if ok && owned { // what serial made
		e.after = append(e.after, "DROP SEQUENCE IF EXISTS "+strings.ReplaceAll(sequence, "''", "'"))
	}
	e.after = append(e.after, pgAlterTable(e.st.name, "ALTER COLUMN "+quoteName(name)+" "+add), pgCountOn(e.st.name, name))
}

func pgNotNullName(table, column string) string { return pgName("_odac_nn", table+"\x00"+column, "") }

// alterNull lets a column hold NULL or forbids it, over rows without a lock that anybody feels: a check that is not validated keeps new
// NULLs out, the rows are filled and looked at, and the server takes the check for proof.
func (p *pgPlanner) alterNull(e *pgEdit, cc *ColumnChange) error {
	c := cc.To.def
	switch {
	case !cc.To.NotNull:
		e.column(c.Name, "DROP NOT NULL")
		e.change("%s null", c.Name)
		return nil
	case e.st.rows == 0:
		e.column(c.Name, "SET NOT NULL")
		e.change("%s not null", c.Name)
		return nil
	}
	check := pgNotNullName(e.st.name, c.Name)
	half := e.st.live.leftover(check)
	if half == nil {
		e.clause("ADD %s NOT VALID", pgConstraint(check, "CHECK ("+quoteName(c.Name)+" IS NOT NULL)"))
		e.change("%s gets no new null", c.Name)
	}
	p.used[check] = true
	null := quoteName(c.Name) + " IS NULL"
	if c.Backfill == nil {
		if _, err := p.refuse(e, c.Name, null, "%d rows are NULL, write backfill: <value> or update them"); err != nil {
			return err
		}
	} else {
		n, _, err := p.count(e.st, null, c.Name)
		if err != nil {
			return err
		}
		if err := p.fillable(e, c, null); err != nil {
			return err
		}
		if n > 0 {
			p.fill(e.st, c, n)
		}
	}
	if half == nil || !half.valid {
		p.validate(stageValidate, e.st.name, check)
	}
	p.notNull(e.st, c.Name, check)
	return nil
}

// notNull ends what alterNull began.
func (p *pgPlanner) notNull(st *pgState, column, check string) {
	s := &Step{
		Kind: AlterTable, Table: st.name, Summary: fmt.Sprintf("%s: %s not null", st.name, column),
		SQL:  []string{pgAlterTable(st.name, "ALTER COLUMN "+quoteName(column)+" SET NOT NULL"), pgDropConstraint(st.name, check)},
		Post: "no row is without a value", Inverse: pgAlterTable(st.name, "ALTER COLUMN "+quoteName(column)+" DROP NOT NULL"),
	}
	p.add(stageNotNull, s)
}
