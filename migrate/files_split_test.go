package migrate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		name, dialect, text string
		want                []string // text with its line
	}{
		{"nothing", dialectSQLite, " -- only this; \n /* and; */ ;; ", nil},
		{"two", dialectSQLite, "a;\n\nb", []string{"1 a", "3 b"}},
		{"strings", dialectSQLite, `i 'a;''b;'; i "x;y", [p;q], ` + "`r;s`;", []string{`1 i 'a;''b;'`, `1 i "x;y", [p;q], ` + "`r;s`"}},
		{"comments", dialectSQLite, "-- x;\na /* ; */ b -- ;\n;c", []string{"2 a /* ; */ b -- ;", "3 c"}},
		{"no backslash", dialectSQLite, `i '\';j`, []string{`1 i '\'`, "1 j"}},
		{
			"trigger", dialectSQLite, "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n UPDATE a SET x = CASE WHEN 1 THEN 2 END;\n DELETE FROM b;\nEND;\nx",
			[]string{"1 CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n UPDATE a SET x = CASE WHEN 1 THEN 2 END;\n DELETE FROM b;\nEND", "5 x"},
		},
		{"a table called trigger", dialectSQLite, `CREATE TABLE "trigger" (x); y`, []string{`1 CREATE TABLE "trigger" (x)`, "1 y"}},
		{"dollars", dialectPostgres, "DO $$ BEGIN; END; $$; x $a$ $$; $b$ $a$; $1;y", []string{"1 DO $$ BEGIN; END; $$", "1 x $a$ $$; $b$ $a$", "1 $1", "1 y"}},
		{"escapes", dialectPostgres, `i E'\';', '\'; j`, []string{`1 i E'\';', '\'`, "1 j"}},
		{"nested comments", dialectPostgres, "a /* /* ; */ ; */ b; c", []string{"1 a /* /* ; */ ; */ b", "1 c"}},
		{"a rule", dialectPostgres, "CREATE RULE r AS ON INSERT TO a DO (x; y); z", []string{"1 CREATE RULE r AS ON INSERT TO a DO (x; y)", "1 z"}},
		{
			"a body", dialectPostgres, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1 THEN 2 END; SELECT 1; END; z",
			[]string{"1 CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1 THEN 2 END; SELECT 1; END", "1 z"},
		},
		{"mysql", dialectMySQL, "i 'a\\';', \"b\\\";\" # x;\n; j -- ;\n; k --1;l", []string{"1 i 'a\\';', \"b\\\";\" # x;", "2 j -- ;", "3 k --1", "3 l"}},
		{
			"mysql body", dialectMySQL, "CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN IF x THEN BEGIN y; END; END IF; CASE z WHEN 1 THEN a; END CASE; WHILE 1 DO b; END WHILE; END; q",
			[]string{"1 CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN IF x THEN BEGIN y; END; END IF; CASE z WHEN 1 THEN a; END CASE; WHILE 1 DO b; END WHILE; END", "1 q"},
		},
		{"mysql version comment", dialectMySQL, "/*!40101 SET x = 1; */; a", []string{"1 /*!40101 SET x = 1; */", "1 a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, err := scriptOf(tt.dialect).split(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, st := range all {
				got = append(got, string(rune('0'+st.line))+" "+st.sql)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSplitRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a;\nb 'x":              "line 2: a quote or comment is not closed",
		"a /* x":                "line 1: a quote or comment is not closed",
		"x;\n begin immediate;": "line 2: BEGIN: a file is in a transaction",
		"COMMIT":                "line 1: COMMIT: ",
		"delimiter //\nx":       "line 1: DELIMITER is a command of the mysql client",
		"x $$ y":                "line 1: a quote or comment is not closed",
	} {
		dialect := dialectSQLite
		if strings.Contains(text, "$$") {
			dialect = dialectPostgres
		}
		if _, err := scriptOf(dialect).split(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
