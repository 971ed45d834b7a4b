package migrate

import (
	"fmt"
	"slices"
	"strings"
)

func pgFillName(table, column string) string { return pgName("_odac_fill", table+"\x00"+column, "") }

// addColumn plans a new column. Where rows get one value, PostgreSQL keeps it beside the table and writes none of them.
func (p *pgPlanner) addColumn(tc *TableChange, st *pgState, info *ColumnInfo) error {
	c := info.def
	s := &Step{
		Kind: AddColumn, Table: st.name, Summary: st.name + "." + c.Name, Post: "the column is there",
		Inverse: pgAlterTable(st.name, "DROP COLUMN "+quoteName(c.Name)),
	}
	x := quoteName(c.Name)
	clauses := []string{"ADD COLUMN " + pgColumn(c)}
	perRow := c.Backfill != nil && c.Backfill.Expr != "" && c.Backfill.Expr != now
	switch {
	case isSerial(c), st.rows == 0:
		if isSerial(c) {
			pgRewrites(s, st)
		}
	case c.Backfill != nil && !perRow: // the value as the default, of those rows
		first := *c
		first.Default = c.Backfill
		clauses = []string{"ADD COLUMN " + pgColumn(&first)}
	case perRow:
		first := *c
		first.Default, first.Nullable = nil, nil
		clauses = []string{"ADD COLUMN " + pgColumn(&first)}
		mark := pgFillName(st.name, c.Name) // so that another run goes on if this one is killed
		if err := p.fillable(&pgEdit{tc: tc, st: st}, c, "true"); err != nil {
			return err
		}
		clauses = append(clauses, "ADD "+pgConstraint(mark, "CHECK ("+x+" IS NULL OR "+x+" IS NOT NULL) NOT VALID"))
		p.fill(st, c, st.rows)
		if info.NotNull {
			check := pgNotNullName(st.name, c.Name)
			p.used[check] = true
			clauses = append(clauses, "ADD "+pgConstraint(check, "CHECK ("+x+" IS NOT NULL) NOT VALID"))
			p.validate(stageValidate, st.name, check)
			p.notNull(st, c.Name, check)
		}
	case c.Default != nil:
		if volatile(c.Default.Expr) {
			pgRewrites(s, st)
		}
	case info.NotNull:
		s.Hazards = append(s.Hazards, Hazard{
			Level: Refuse, Table: st.name, Object: c.Name, Count: st.rows,
			Message: fmt.Sprintf("%s.%s is NOT NULL without a default, and the table has %d rows", st.name, c.Name, st.rows),
			Fix:     fmt.Sprintf("%s: write backfill: <value>, a default, or nullable: true", c.Pos),
		})
	}
	for _, check := range pgTableChecks(st.name, c) {
		if st.rows > 0 {
			check += " NOT VALID"
		}
		clauses = append(clauses, "ADD "+check)
	}
	if st.rows > 0 {
		for _, check := range pgChecks(c, x) {
			p.validate(stageValidate, st.name, pgCheckName(st.name, c.Name, check))
		}
	}
	s.SQL = []string{pgAlterTable(st.name, clauses...)}
	if st.rows > 0 && c.Backfill != nil && !isSerial(c) { // from now on its own default
		set := "DROP DEFAULT"
		if c.Default != nil {
			set = "SET DEFAULT " + postgres{}.literal(c, c.Default)
		}
		if c.Default != nil || !perRow {
			s.SQL = append(s.SQL, pgAlterTable(st.name, "ALTER COLUMN "+x+" "+set))
		}
	}
	p.add(stageAlter, s)
	return nil
}

// primaryKey plans another primary key.
func (p *pgPlanner) primaryKey(tc *TableChange, st *pgState) error {
	def := tc.want.def
	if !tc.PrimaryKey || equalFold(tc.live.PrimaryKey, tc.want.PrimaryKey) || len(def.PrimaryKey) == 0 {
		return nil
	}
	s := &Step{
		Kind: AlterTable, Table: st.name, Summary: fmt.Sprintf("%s: primary key (%s)", st.name, strings.Join(def.PrimaryKey, ", ")),
		SQL: []string{pgAlterTable(st.name, "ADD PRIMARY KEY ("+quoteNames(def.PrimaryKey)+")")}, Lock: pgNobody,
		Check: "duplicates counted", Post: "the key is there", NoInverse: "apply the schema of before",
	}
	if st.rows > 0 {
		s.Lock, s.Rows = pgAll, st.rows
		s.Hazards = append(s.Hazards, Hazard{
			Level: Approve, Table: st.name, Count: st.rows, Message: fmt.Sprintf("builds the primary key of %d rows of %s, while readers and writers wait", st.rows, st.name),
		})
	}
	isNew := func(name string) bool { return tc.live.Column(name) == nil }
	switch fresh := slices.ContainsFunc(def.PrimaryKey, isNew); {
	case fresh && slices.ContainsFunc(def.PrimaryKey, func(n string) bool { return isSerial(def.Column(n)) }): // numbers itself
	case fresh && st.rows > 1:
		s.Hazards = append(s.Hazards, Hazard{
			Level: Refuse, Table: tc.Name, Object: "primary key", Count: st.rows,
			Message: fmt.Sprintf("a column of the primary key of %s is new, and the table has %d rows", tc.Name, st.rows),
			Fix:     "add the column first, fill it, then make it primary",
		})
	case !fresh:
		h, err := p.duplicates(st, "primary key", def.PrimaryKey, "")
		if err != nil {
			return err
		}
		s.Hazards = append(s.Hazards, h...)
	}
	p.add(stagePrimary, s)
	return nil
}
