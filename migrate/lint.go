package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that Lint found in schema files.
type Finding struct {
	Pos     string `json:"pos"`  // file:line
	Rule    string `json:"rule"` // its name, such as foreign-key-index
	Message string `json:"message"`
	// Error says that a plan, or one of the databases, refuses it; the rest is advice, or what a plan will ask about.
	Error bool `json:"error,omitempty"`
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Pos, f.Rule, f.Message) }

// linter collects findings.
type linter struct{ out []Finding }

func (l *linter) warn(pos, rule, format string, args ...any) {
	l.out = append(l.out, Finding{Pos: pos, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

func (l *linter) fail(pos, rule, format string, args ...any) {
	l.out = append(l.out, Finding{Pos: pos, Rule: rule, Message: fmt.Sprintf(format, args...), Error: true})
}

func (l *linter) sorted() []Finding {
	slices.SortStableFunc(l.out, func(a, b Finding) int { return comparePos(a.Pos, b.Pos) })
	return l.out
}

// comparePos orders file:line by file and by number.
func comparePos(a, b string) int {
	i, j := strings.LastIndexByte(a, ':'), strings.LastIndexByte(b, ':')
	if i < 0 || j < 0 || a[:i] != b[:j] {
		return cmp.Compare(a, b)
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// Lint looks for problems in a schema without a database: keys without an index, names that a database reserves, keys that point
// nowhere, and what one of the databases would refuse. Findings come in the order of the files.
func Lint(s *Schema) []Finding {
	l := &linter{}
	indexes := map[string]string{}
	for _, t := range s.sorted() {
		l.table(t)
		for _, fk := range t.ForeignKeys {
			l.key(s, t, fk)
		}
		for _, x := range t.Indexes {
			l.index(t, x)
			if other := indexes[fold(x.Name)]; other != "" {
				l.fail(x.Pos, "index-name", "index name %s is also used in table %s: give it another", x.Name, other)
			}
			indexes[fold(x.Name)] = t.Name
		}
	}
	return l.sorted()
}

func (l *linter) table(t *Table) {
	l.name(t.Pos, "table", t.Name)
	if len(t.PrimaryKey) == 0 {
		l.warn(t.Pos, "primary-key", "table %s has no primary key: its rows cannot be told apart, and what a plan takes away cannot be brought back", t.Name)
	}
	for _, c := range t.Columns {
		l.name(c.Pos, "column", c.Name)
		if c.Primary && unbounded(c) {
			l.fail(c.Pos, "key-type", "column %s: MySQL has no key over type %s: use a string with a length", c.Name, c.Type)
		}
	}
}

// unbounded tells whether the values have no length of their own, which MySQL wants in an index.
func unbounded(c *Column) bool {
	return c.Type == Text || c.Type == Binary || c.Type == JSON || c.Type == JSONB
}

func (l *linter) name(pos, what, name string) {
	if slices.Contains(reservedWords, strings.ToUpper(name)) {
		l.warn(pos, "reserved-word", "%s %s is a word of SQL: text queries have to quote it", what, name)
	}
	if strings.ToLower(name) != name {
		l.warn(pos, "upper-case", "%s %s has upper case letters: text queries have to quote it on PostgreSQL", what, name)
	}
}

func (l *linter) index(t *Table, x Index) {
	for _, name := range x.Columns {
		c := t.Column(name)
		if unbounded(c) {
			l.fail(x.Pos, "key-type", "index %s: MySQL has no index over type %s (%s): use a string with a length", x.Name, c.Type, name)
		}
		if x.Unique && nullable(c) {
			l.warn(x.Pos, "nullable-unique", "unique %s: rows where %s is null are never equal, so any number of them may be there: write nullable: false", x.Name, name)
		}
	}
	for _, o := range t.Indexes {
		shorter := len(x.Columns) < len(o.Columns) && equalFold(x.Columns, o.Columns[:len(x.Columns)])
		if shorter && !x.Unique && x.Where == "" && o.Where == "" {
			l.warn(x.Pos, "double-index", "index %s is the beginning of %s, which does its work too: remove it", x.Name, o.Name)
		}
	}
	if !x.Unique && x.Where == "" && len(x.Columns) <= len(t.PrimaryKey) && equalFold(x.Columns, t.PrimaryKey[:len(x.Columns)]) {
		l.warn(x.Pos, "double-index", "index %s is the beginning of the primary key, which does its work too: remove it", x.Name)
	}
}

func nullable(c *Column) bool { return !c.Primary && (c.Nullable == nil || *c.Nullable) }

func (l *linter) key(s *Schema, t *Table, fk ForeignKey) {
	indexed := beginsWith(t.PrimaryKey, fk.Columns) || slices.ContainsFunc(t.Indexes, func(x Index) bool {
		return x.Where == "" && beginsWith(x.Columns, fk.Columns)
	})
	if !indexed {
		l.warn(fk.Pos, "foreign-key-index", "foreign key %s has no index: a delete in %s reads all of %s: add indexes: - {columns: [%s]}",
			fk, fk.RefTable, t.Name, strings.Join(fk.Columns, ", "))
	}
	to := s.table(fk.RefTable)
	if to == nil {
		l.warn(fk.Pos, "foreign-key-table", "foreign key %s: there is no %s.yaml here: the table has to be there already, and a plan asks for approval", fk, fk.RefTable)
		return
	}
	if err := checkReference(s, &Database{}, fk); err != nil {
		l.fail(fk.Pos, "foreign-key-target", "%s", err)
		return
	}
	for i, name := range fk.Columns {
		from, target := t.Column(name), to.Column(fk.RefColumns[i])
		if a, b := keyType(from), keyType(target); a != b {
			l.fail(from.Pos, "foreign-key-type", "column %s is %s and references %s.%s, which is %s: make them the same", name, a, to.Name, target.Name, b)
		}
		if fk.OnDelete == "SET NULL" && !nullable(from) {
			l.fail(from.Pos, "set-null", "column %s: onDelete: set null needs nullable: true", name)
		}
	}
}

// beginsWith tells whether the first columns of an index are these, in any order.
func beginsWith(index, columns []string) bool {
	return len(index) >= len(columns) && equalFold(sorted(index[:len(columns)]), sorted(columns))
}

func (s *Schema) table(name string) *Table {
	for _, t := range s.Tables {
		if strings.EqualFold(t.Name, name) {
			return t
		}
	}
	return nil
}

// keyType is the type as a foreign key compares it on the strictest of the databases.
func keyType(c *Column) string {
	switch c.Type {
	case Increments:
		return string(Integer)
	case BigIncrements:
		return string(BigInteger)
	case NanoID, String:
		return "text of a length"
	case Decimal:
		return fmt.Sprintf("decimal(%d,%d)", c.Precision, c.Scale)
	}
	if c.Unsigned {
		return string(c.Type) + " unsigned"
	}
	return string(c.Type)
}

// reservedWords are reserved by PostgreSQL, MySQL or SQLite, of those that come to mind as a name.
var reservedWords = strings.Fields(`ACCESS ADD ALL ALTER ANALYZE AND ANY AS ASC AUTHORIZATION BETWEEN BOTH BY CASCADE CASE CAST CHANGE CHARACTER CHECK COLLATE
	COLUMN COMMIT CONDITION CONSTRAINT CONVERT CREATE CROSS CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR DATABASE DATABASES DEFAULT
	DEFERRABLE DELETE DESC DESCRIBE DISTINCT DIV DROP DUAL EACH ELSE END ESCAPE EXCEPT EXISTS EXIT EXPLAIN FALSE FETCH FOR FORCE FOREIGN FROM FULL FULLTEXT
	FUNCTION GRANT GROUP GROUPS HAVING HIGH_PRIORITY IF IGNORE IN INDEX INNER INSERT INTERSECT INTERVAL INTO IS ITERATE JOIN KEY KEYS KILL LATERAL LEADING
	LEAVE LEFT LIKE LIMIT LINES LOAD LOCK LOOP MATCH MOD NATURAL NOT NULL OF OFFSET ON OPTION OR ORDER OUT OUTER OVER PARTITION PLACING PRIMARY PROCEDURE
	RANGE RANK READ RECURSIVE REFERENCES RELEASE RENAME REPEAT REPLACE REQUIRE RESTRICT RETURN RETURNING REVOKE RIGHT ROW ROWS SCHEMA SCHEMAS SELECT
	SESSION_USER SET SHOW SIGNAL SIMILAR SOME SQL STARTING SYSTEM TABLE THEN TO TRAILING TRANSACTION TRIGGER TRUE UNDO UNION UNIQUE UNLOCK UNSIGNED UPDATE
	USAGE USE USER USING VALUES VARIADIC VARYING WHEN WHERE WHILE WINDOW WITH WRITE XOR`)
