package migrate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/odac-run/odachost/internal/testkit"
)

// Rows that come between the look at them and a change that the server does not check: the change is taken back, and the next try sees
// them.
func TestMariaDBMeanwhile(t *testing.T) {
	dsn := testkit.MariaDB(t)
	db, other := openMariaDB(t, dsn), openMariaDB(t, dsn)
	before := "columns:\n  id: increments\n  s: {type: enum, values: [a, z]}\n  p: integer\n  q: {type: integer, nullable: false}\n"
	parent := "columns: {id: increments}"
	apply(t, db, files(t, "t.yaml", before, "p.yaml", parent))
	run(t, db, "INSERT INTO p (id) VALUES (1)", "INSERT INTO t (s, p, q) VALUES ('a', 1, 1)")
	apply := func(table, insert string) (*Report, error) {
		plan := planFor(t, db, files(t, "t.yaml", table, "p.yaml", parent))
		return plan.Apply(t.Context(), db, ApplyOptions{Progress: func(e Event) {
			if e.Step > 0 && !e.Done && insert != "" && e.Kind != Record {
				run(t, other, insert)
				insert = ""
			}
		}})
	}
	_, err := apply(strings.Replace(before, "[a, z]", "[a]", 1), "INSERT INTO t (s, q) VALUES ('z', 1)")
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Hazards[0].Count != 1 {
		t.Errorf("a value that is no longer allowed: %v", err)
	}
	run(t, other, "INSERT INTO t (s, q) VALUES ('z', 1)")

	report, err := apply(strings.Replace(before, "p: integer", "p: {type: integer, references: {table: p}}", 1), "INSERT INTO t (p, q) VALUES (99, 1)")
	if err != nil || len(report.Nulled) != 1 || report.Nulled[0].Old["p"] != "'99'" {
		t.Errorf("an orphan that can be null: %v, %v", report, err)
	}
	before = strings.Replace(before, "p: integer", "p: {type: integer, references: {table: p}}", 1)
	report, err = apply(strings.Replace(before, "nullable: false", "nullable: false, references: {table: p}", 1), "INSERT INTO t (q) VALUES (99)")
	if err != nil || len(report.Incomplete) != 1 || report.Incomplete[0].Count != 1 {
		t.Errorf("an orphan that cannot be null: %v, %v", report, err)
	}
	if got := query(t, db, "SHOW CREATE TABLE t"); strings.Contains(got, mysqlUnchecked) || strings.Count(got, "FOREIGN KEY") != 1 {
		t.Errorf("left: %s", got)
	}
}

// Every value under every change of type: what the look at the rows lets pass arrives as it was, and the server refuses none of it.
func TestMariaDBConversions(t *testing.T) {
	db := mariadb(t)
	m := mysql{mariadb: true, version: 101100}
	column := func(def string) *Column {
		t.Helper()
		s, err := LoadFS(fstest.MapFS{"s/t.yaml": {Data: []byte("columns:\n  x: {" + def + "}\n")}}, "s")
		if err != nil {
			t.Fatal(err)
		}
		c := s.Tables["t"].Columns[0]
		c.Nullable = new(bool)
		*c.Nullable = true
		return c
	}
	kinds := []struct {
		def    string
		values []string
	}{
		{"type: integer", []string{"0", "-1", "12", "2147483647", "70000"}},
		{"type: integer, unsigned: true", []string{"0", "4294967295"}},
		{"type: bigInteger", []string{"9007199254740993", "-9223372036854775808", "7"}},
		{"type: bigInteger, unsigned: true", []string{"18446744073709551615", "1"}},
		{"type: float", []string{"0.1", "1.5", "-3", "1e300", "1e16", "2"}},
		{"type: decimal, precision: 20, scale: 5", []string{"1.50000", "12", "123456789012345.12345", "-0.05", "0.5"}},
		{"type: decimal, precision: 4, scale: 1", []string{"1.5", "999.9", "-3"}},
		{"type: string", []string{"''", "'a'", "'12'", "'012'", "' 12'", "'1.5'", "'1.50'", "'-0'", "'1e3'", "'true'", "'2024-02-30'", "'2024-02-29'", "'2024-02-29 10:11:12.5'", "'10:11:12'", "'24:00:00'", "'[1]'", "'99999999999999999999'", "'ünï '", "'123e4567-e89b-12d3-a456-426614174000'"}},
		{"type: string, length: 3", []string{"'a  '", "'日本語'"}},
		{"type: text", []string{"'x'", "'{}'", "repeat('y', 70000)"}},
		{"type: boolean", []string{"0", "1"}},
		{"type: date", []string{"'2024-02-29'"}},
		{"type: time", []string{"'10:11:12.000001'"}},
		{"type: timestamp", []string{"'2024-02-29'", "'2024-02-29 10:11:12.000005'"}},
		{"type: json", []string{"'{\"a\": 1}'", "'12'"}},
		{"type: binary", []string{"X'00ff'", "X'61'"}},
		{"type: uuid", []string{"'123e4567-e89b-12d3-a456-426614174000'"}},
		{"type: enum, values: [a, '12']", []string{"'a'", "'12'"}},
	}
	run(t, db, "SET GLOBAL innodb_stats_persistent = 0")
	passed := 0
	for _, from := range kinds {
		a := column(from.def)
		for _, to := range kinds {
			b := column(to.def)
			if m.typeOf(a, false) == m.typeOf(b, false) {
				continue
			}
			run(t, db, "DROP TABLE IF EXISTS t", "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, "+m.column(a, true)+", was LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin) "+mysqlTableOptions,
				"INSERT INTO t (x) VALUES ("+strings.Join(from.values, "), (")+")", "UPDATE t SET was = "+map[bool]string{true: "hex(x)", false: "CAST(x AS CHAR)"}[a.Type == Binary])
			info := m.parseMySQLTable("t", strings.TrimPrefix(query(t, db, "SHOW CREATE TABLE t"), "t|"))
			if loses := m.loses("`x`", info.mysql.columns["x"].base, info.Column("x").Type, b); loses != "" {
				run(t, db, "DELETE FROM t WHERE x IS NOT NULL AND ("+loses+")")
			}
			if uuid := func(c *Column) bool { return c.Type == UUID }; uuid(a) != uuid(b) && mysqlKind(strings.ToLower(m.typeOf(a, false))) != "text" && mysqlKind(strings.ToLower(m.typeOf(b, false))) != "text" {
				run(t, db, "ALTER TABLE t MODIFY x VARCHAR(255) NULL") // as modify does
			}
			if _, err := db.Exec("ALTER TABLE t MODIFY x " + m.definition(b, true, false, "", "") + ", ALGORITHM=COPY"); err != nil {
				t.Errorf("%s to %s passed and was refused: %v", from.def, to.def, err)
				continue
			}
			var same string
			switch {
			case mysqlKind(strings.ToLower(m.typeOf(b, false))) == "datetime":
				same = "CAST(was AS DATETIME(6)) = x"
			case a.Type == Binary:
				same = "was = hex(x)"
			case b.Type == Binary:
				same = "CAST(was AS BINARY) = x"
			case b.Type == Time:
				same = "CAST(was AS TIME(6)) = x"
			case b.Type == UUID, b.Type == Date:
				same = "left(was, char_length(x)) = CAST(x AS CHAR) AND trim(TRAILING '0' FROM substr(was, 1 + char_length(x))) IN ('', ' 00:00:00.', ' 00:00:')"
			default:
				same = fmt.Sprintf("CAST(x AS CHAR) = was OR (%s) = (%s)", number("x"), number("was"))
			}
			if got := query(t, db, "SELECT was, x FROM t WHERE x IS NULL OR NOT ("+same+")"); got != "" {
				t.Errorf("%s to %s changed %s", from.def, to.def, got)
			}
			passed += strings.Count(query(t, db, "SELECT id FROM t"), "\n")
		}
	}
	t.Logf("%d values passed", passed)
	if passed < 250 {
		t.Errorf("only %d values passed", passed)
	}
}

// number is a number's text without a fraction of zeros.
func number(x string) string {
	x = "CAST(" + x + " AS CHAR)"
	return fmt.Sprintf("CASE WHEN instr(%s, '.') > 0 THEN trim(TRAILING '.' FROM trim(TRAILING '0' FROM %s)) ELSE %s END", x, x, x)
}
