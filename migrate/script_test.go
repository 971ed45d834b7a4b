package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlitedriver "github.com/ncruces/go-sqlite3/driver"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the cases of MIGRATIONS.md: testdata/*.txtar. Their commands:
//
//	sql 'STATEMENT' or @FILE       run it; rows are printed, columns parted by |
//	status DIR [key=value...]      print the plan; nothing may be written (the file's bytes are compared)
//	apply DIR [key=value...]       plan and apply: owner=, drift=, approve=yes, expand=yes, then the next plan must be empty,
//	                               unless then=more
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			db, err := openFile(filepath.Join(env.WorkDir, "test.db"))
			env.Values["db"] = db
			env.Values["file"] = filepath.Join(env.WorkDir, "test.db")
			env.Values["work"] = env.WorkDir
			env.Defer(func() { _ = db.Close() })
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"sql": command(scriptSQL), "apply": command(scriptApply), "status": command(scriptStatus),
		},
	})
}

// openFile opens without waiting for the disk: the tests kill processes, not the machine.
func openFile(file string) (*sql.DB, error) {
	return sqlitedriver.Open("file:" + filepath.ToSlash(file) + "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(0)")
}

func command(run func(ts *testscript.TestScript, db *sql.DB, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		ts.Stdout() // forget the output of the command before
		err := run(ts, ts.Value("db").(*sql.DB), args)
		if err != nil {
			fmt.Fprintln(ts.Stderr(), err)
		}
		if (err != nil) != neg {
			ts.Fatalf("%v: error %v", args, err)
		}
	}
}

func scriptSQL(ts *testscript.TestScript, db *sql.DB, args []string) error {
	query := strings.Join(args, " ")
	if file, ok := strings.CutPrefix(query, "@"); ok {
		query = ts.ReadFile(file)
	}
	return printRows(ts.Stdout(), db, query)
}

func printRows(w io.Writer, db *sql.DB, query string) error {
	rows, err := db.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprint(v)
		}
		fmt.Fprintln(w, strings.Join(texts, "|"))
	}
	return rows.Err()
}

// scriptArgs splits DIR and key=value and loads the schema.
func scriptArgs(ts *testscript.TestScript, args []string) (*Schema, map[string]string, error) {
	flags := map[string]string{}
	for _, a := range args[1:] {
		k, v, _ := strings.Cut(a, "=")
		flags[k] = v
	}
	schema, err := LoadFS(os.DirFS(ts.MkAbs(".")), args[0])
	return schema, flags, err
}

func planOn(db *sql.DB, schema *Schema, flags map[string]string) (*Plan, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return Status(context.Background(), conn, schema, Options{Owner: flags["owner"], Drift: DriftPolicy(flags["drift"])})
}

func scriptStatus(ts *testscript.TestScript, db *sql.DB, args []string) error {
	schema, flags, err := scriptArgs(ts, args)
	if err != nil {
		return err
	}
	file := ts.Value("file").(string)
	before, _ := os.ReadFile(file)
	plan, err := planOn(db, schema, flags)
	if err != nil {
		return err
	}
	if after, _ := os.ReadFile(file); string(before) != string(after) {
		return errors.New("status wrote to the database")
	}
	if _, err := plan.JSON(); err != nil {
		return err
	}
	fmt.Fprint(ts.Stdout(), plan)
	return nil
}

func scriptApply(ts *testscript.TestScript, db *sql.DB, args []string) error {
	schema, flags, err := scriptArgs(ts, args)
	if err != nil {
		return err
	}
	plan, err := planOn(db, schema, flags)
	if err != nil {
		return err
	}
	o := ApplyOptions{ExpandOnly: flags["expand"] != ""}
	if flags["approve"] != "" {
		o.Approve = plan.Hash
	}
	var kinds []string
	o.Progress = func(e Event) {
		if e.Done && e.Kind != Record {
			kinds = append(kinds, string(e.Kind)+" "+e.Table)
		}
	}
	report, err := plan.Apply(context.Background(), db, o)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		fmt.Fprintln(ts.Stdout(), k)
	}
	for _, n := range report.Nulled {
		fmt.Fprintln(ts.Stdout(), "nulled", n.Table, n.Key, n.Old)
	}
	for _, h := range report.Incomplete {
		fmt.Fprintln(ts.Stdout(), "incomplete:", h.Message, h.Samples)
	}
	if flags["then"] == "more" {
		return nil
	}
	next, err := planOn(db, schema, flags)
	if err == nil && !next.Empty() {
		return fmt.Errorf("the second plan is not empty: %s", next)
	}
	return err
}
