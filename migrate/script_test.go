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

// scriptServer is where a folder of scripts runs.
type scriptServer struct {
	folder string
	// empty makes an empty database for one script, which may keep files in work. dump prints all that the database holds.
	empty func(work string) (db *sql.DB, dump func() (string, error), err error)
}

// TestScripts runs the cases of MIGRATIONS.md on SQLite: testdata/*.txtar.
func TestScripts(t *testing.T) {
	runScripts(t, scriptServer{folder: "testdata", empty: func(work string) (*sql.DB, func() (string, error), error) {
		file := filepath.Join(work, "test.db")
		db, err := openFile(file)
		return db, func() (string, error) {
			b, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) { // nothing was asked of it yet
				err = nil
			}
			return string(b), err
		}, err
	}})
}

// runScripts runs the scripts of a folder, in parallel, each on a database of its own. Their commands:
//
//	sql 'STATEMENT' or @FILE       run it; rows are printed, columns parted by |
//	run FILE                       run the statements of a file
//	status DIR [key=value...]      print the plan; nothing may be written (dumps of the database are compared)
//	apply DIR [key=value...]       plan and apply: owner=, drift=, approve=yes, expand=yes, switch=yes, online=yes, abandon=yes, then the next plan must be empty,
//	                               unless then=more
//	rollback DIR [key=value...]    take the last batch of migration files back
//
//	restore [ID]                   bring the thing back, or list what can be; purge takes all away for good
//	snapshot DIR [owner=]          write the schema files of what is there; notes are printed
//
// DIR holds schema files, or, with migrations=DIR, migration files too.
func runScripts(t *testing.T, server scriptServer) {
	testscript.Run(t, testscript.Params{
		Dir:           server.folder,
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			db, dump, err := server.empty(env.WorkDir)
			if err != nil {
				return err
			}
			env.Values["db"], env.Values["dump"] = db, dump
			env.Defer(func() { _ = db.Close() })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"sql": command(scriptSQL), "apply": command(scriptApply), "status": command(scriptStatus), "rollback": command(scriptRollback), "snapshot": command(scriptSnapshot), "run": command(scriptRun),
			"restore": command(scriptRestore), "purge": command(scriptPurge),
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
			if b, ok := v.([]byte); ok { // MariaDB's text
				v = string(b)
			}
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

// scriptOptions are those of a plan.
func scriptOptions(ts *testscript.TestScript, flags map[string]string) (Options, error) {
	o := Options{Owner: flags["owner"], Drift: DriftPolicy(flags["drift"]), Online: flags["online"] != "", Abandon: flags["abandon"] != ""}
	if flags["migrations"] == "" {
		return o, nil
	}
	var err error
	o.Files, err = LoadFiles(os.DirFS(ts.MkAbs(".")), flags["migrations"])
	return o, err
}

func scriptRollback(ts *testscript.TestScript, db *sql.DB, args []string) error {
	_, flags, err := scriptArgs(ts, append([]string{"none"}, args...))
	if err != nil {
		return err
	}
	o, err := scriptOptions(ts, flags)
	if err != nil {
		return err
	}
	names, err := Rollback(context.Background(), db, o, ApplyOptions{})
	for _, name := range names {
		fmt.Fprintln(ts.Stdout(), "rolled back", name)
	}
	return err
}

func scriptRestore(ts *testscript.TestScript, db *sql.DB, args []string) error {
	if len(args) > 0 {
		back, err := Restore(context.Background(), db, "", args[0], ApplyOptions{})
		if err == nil {
			fmt.Fprintln(ts.Stdout(), "restored", back)
		}
		return err
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	list, err := Trash(context.Background(), conn, "")
	for _, t := range list {
		fmt.Fprintln(ts.Stdout(), t.ID, t)
	}
	return err
}

func scriptPurge(ts *testscript.TestScript, db *sql.DB, _ []string) error {
	gone, err := Purge(context.Background(), db, "", 0, ApplyOptions{})
	for _, t := range gone {
		fmt.Fprintln(ts.Stdout(), "purged", t)
	}
	return err
}

func scriptRun(ts *testscript.TestScript, db *sql.DB, args []string) error {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	live, err := Inspect(context.Background(), conn)
	if err != nil {
		return err
	}
	list, err := scriptOf(live.Dialect).split(ts.ReadFile(args[0]))
	for _, st := range list {
		if _, failed := conn.ExecContext(context.Background(), st.sql); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", st.sql, failed))
		}
	}
	return err
}

func scriptSnapshot(ts *testscript.TestScript, db *sql.DB, args []string) error {
	_, flags, err := scriptArgs(ts, append([]string{"none"}, args[1:]...))
	if err != nil {
		return err
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	files, err := Snapshot(context.Background(), conn, SnapshotOptions{Owner: flags["owner"]})
	if err != nil {
		return err
	}
	for _, note := range files.Notes {
		fmt.Fprintln(ts.Stdout(), note)
	}
	for name, data := range files.Files {
		file := ts.MkAbs(filepath.Join(args[0], name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, data, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

func planOn(db *sql.DB, schema *Schema, o Options) (*Plan, error) {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return Status(context.Background(), conn, schema, o)
}

func scriptStatus(ts *testscript.TestScript, db *sql.DB, args []string) error {
	schema, flags, err := scriptArgs(ts, args)
	if err != nil {
		return err
	}
	dump := ts.Value("dump").(func() (string, error))
	before, err := dump()
	if err != nil {
		return err
	}
	options, err := scriptOptions(ts, flags)
	if err != nil {
		return err
	}
	plan, err := planOn(db, schema, options)
	if err != nil {
		return err
	}
	if after, err := dump(); err != nil || before != after {
		return errors.Join(errors.New("status wrote to the database"), err)
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
	options, err := scriptOptions(ts, flags)
	if err != nil {
		return err
	}
	plan, err := planOn(db, schema, options)
	if err != nil {
		return err
	}
	o := ApplyOptions{ExpandOnly: flags["expand"] != "", NoContract: flags["switch"] != ""}
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
	next, err := planOn(db, schema, options)
	if err == nil && !next.Empty() {
		return fmt.Errorf("the second plan is not empty: %s", next)
	}
	return err
}
