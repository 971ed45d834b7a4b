package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// filesTableSQL are the columns of the record of files. done and done_sum say how far a file came whose statements run one by one.
const filesTableSQL = `
  <owner> VARCHAR(100) NOT NULL,
  <name> VARCHAR(150) NOT NULL,
  <sum> VARCHAR(64) NOT NULL,
  <batch> BIGINT NOT NULL,
  <started> VARCHAR(30) NOT NULL,
  <finished> VARCHAR(30) NOT NULL,
  <error> TEXT NOT NULL,
  <done> BIGINT NOT NULL,
  <done_sum> VARCHAR(64) NOT NULL,
  PRIMARY KEY (<owner>, <name>)
`

// AppliedFile is the record of one file.
type AppliedFile struct {
	Name  string
	Sum   string // SHA-256 of the .up.sql that was applied
	Batch int64  // files of one Apply share it
	// Started and Finished are in TimeLayout; Finished is "" if the file is not applied. Error is why.
	Started, Finished, Error string
	// Done is how many statements of an unfinished file are there for good.
	Done int

	doneSum string
}

var filesColumns = []string{"name", "sum", "batch", "started", "finished", "error", "done", "done_sum"}

// AppliedFiles returns what was applied of the owner's migration files, and what failed, by name. It writes nothing.
func AppliedFiles(ctx context.Context, conn *sql.Conn, owner string) ([]AppliedFile, error) {
	d, err := detect(ctx, conn)
	if err != nil {
		return nil, err
	}
	db, err := d.inspect(ctx, conn)
	if err != nil {
		return nil, err
	}
	return readFiles(ctx, d, conn, db, or(owner, "app"))
}

func readFiles(ctx context.Context, d dialect, q querier, db *Database, owner string) ([]AppliedFile, error) {
	if !db.ours[filesTable] {
		return nil, nil
	}
	x := d.syntax()
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s = %s ORDER BY %s",
		x.names(filesColumns), x.name(filesTable), x.name("owner"), x.text(owner), x.name("name")))
	if err != nil {
		return nil, fmt.Errorf("migrate: read %s: %w", filesTable, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	var out []AppliedFile
	for rows.Next() {
		var f AppliedFile
		if err := rows.Scan(&f.Name, &f.Sum, &f.Batch, &f.Started, &f.Finished, &f.Error, &f.Done, &f.doneSum); err != nil {
			return nil, fmt.Errorf("migrate: read %s: %w", filesTable, err)
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// planFiles makes a step of each pending file. A file that was applied must be there as it was.
func planFiles(ctx context.Context, d dialect, q querier, in planInput, o Options) ([]*Step, error) {
	if o.Files == nil {
		return nil, nil
	}
	applied, err := readFiles(ctx, d, q, in.live, o.Owner)
	if err != nil {
		return nil, err
	}
	if err := o.Files.check(applied); err != nil {
		return nil, err
	}
	r := &fileRunner{d: d, dialect: in.live.Dialect, options: o, tables: ownTables(in, o.Owner), batch: 1}
	records := map[string]AppliedFile{}
	last := ""
	for _, f := range applied {
		r.batch = max(r.batch, f.Batch+1)
		records[f.Name] = f
		if f.Finished != "" {
			last = f.Name
		}
	}
	var out []*Step
	for _, f := range o.Files.list {
		if records[f.Name].Finished != "" {
			continue
		}
		step, err := r.step(f, records[f.Name])
		if err != nil {
			return nil, err
		}
		if f.Name < last {
			step.Hazards = append(step.Hazards, Hazard{Level: Note, Object: f.Name, Message: fmt.Sprintf("%s runs after %s, which comes later by name", f.Name, last)})
		}
		out = append(out, step)
	}
	return out, nil
}

// check compares the files with what was applied.
func (f *Files) check(applied []AppliedFile) error {
	var errs []error
	for _, a := range applied {
		if a.Finished == "" {
			continue
		}
		file := f.find(a.Name)
		switch {
		case file == nil:
			errs = append(errs, fmt.Errorf("%w: %s.up.sql was applied on %s and is missing: put it back, or roll it back with the version that has it",
				ErrFiles, a.Name, a.Finished))
		case file.Sum != a.Sum:
			errs = append(errs, fmt.Errorf("%w: %s was edited after it was applied on %s (SHA-256 %.12s, was %.12s): put the old text back, "+
				"and write what is to change as a new file", ErrFiles, file.up.at, a.Finished, file.Sum, a.Sum))
		}
	}
	return errors.Join(errs...)
}

// ownTables are the tables that the owner's files are about.
func ownTables(in planInput, owner string) []string {
	names := map[string]bool{}
	for _, t := range in.schema.Tables {
		names[t.Name] = true
	}
	for _, a := range in.live.Applied {
		if a.Owner == owner {
			names[a.Table.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// fileRunner runs the files of one plan.
type fileRunner struct {
	d       dialect
	dialect string
	options Options
	tables  []string
	batch   int64
}

func (r *fileRunner) step(f *File, was AppliedFile) (*Step, error) {
	list, err := f.up.statements(r.dialect)
	if err != nil {
		return nil, err
	}
	if was.Done > 0 {
		if was.Done > len(list) || sumOf(list[:was.Done]) != was.doneSum {
			return nil, fmt.Errorf("%w: %s stopped after its first %d statements, and these were edited since: put them back as they ran, and repair the rest",
				ErrFiles, f.up.at, was.Done)
		}
	}
	s := &Step{
		Kind: RunFile, Summary: f.Name, Phase: Expand, Lock: "as its statements do",
		Post: "recorded with its SHA-256", NoInverse: "there is no " + f.Name + ".down.sql",
		outside: f.up.alone || r.dialect == dialectMySQL,
	}
	if was.Done > 0 {
		s.Summary += fmt.Sprintf(", from statement %d of %d", was.Done+1, len(list))
	}
	for _, st := range list[was.Done:] {
		s.SQL = append(s.SQL, st.sql)
	}
	if f.down.at != "" {
		s.Inverse, s.NoInverse = f.down.at, ""
	}
	if r.options.AskFiles {
		s.Hazards = append(s.Hazards, Hazard{Level: Approve, Object: f.Name, Message: fmt.Sprintf("%s is SQL that can do all that this connection can: read it", f.Name)})
	}
	now := AppliedFile{Name: f.Name, Sum: f.Sum, Batch: r.batch, Done: was.Done, doneSum: was.doneSum}
	s.run = func(ctx context.Context, conn *sql.Conn, progress func(int64)) (int64, error) {
		if s.outside {
			return r.oneByOne(ctx, conn, f.up, list, now, progress)
		}
		return r.together(ctx, conn, f.up, list, now)
	}
	s.file = &now
	return s, nil
}

func sumOf(list []statement) string {
	var b strings.Builder
	for _, st := range list {
		b.WriteString(st.sql + "\x00")
	}
	return sum(b.String())
}

func timestamp() string { return time.Now().UTC().Format(TimeLayout) }

// together runs all statements in the transaction that is open.
func (r *fileRunner) together(ctx context.Context, conn *sql.Conn, text fileText, list []statement, now AppliedFile) (int64, error) {
	now.Started = timestamp()
	rows, err := r.statements(ctx, conn, text, list)
	if err != nil {
		return rows, err
	}
	now.Finished, now.Done = timestamp(), 0
	return rows, writeFile(ctx, r.d, conn, r.options.Owner, now)
}

// oneByOne runs each statement by itself and remembers it, so that a second run goes on behind the last. MySQL has transactions for
// rows alone: there the statement and its record share one, which a statement that defines something ends by itself.
func (r *fileRunner) oneByOne(ctx context.Context, conn *sql.Conn, text fileText, list []statement, now AppliedFile, progress func(int64)) (rows int64, err error) {
	now.Started = timestamp()
	for i := now.Done; i < len(list); i++ {
		n, err := r.alone(ctx, conn, text, list[i], func() error {
			now.Done, now.doneSum = i+1, sumOf(list[:i+1])
			return writeFile(ctx, r.d, conn, r.options.Owner, now)
		})
		rows += n
		if err != nil {
			now.Done, now.doneSum = i, sumOf(list[:i])
			now.Error = err.Error()
			return rows, errors.Join(fmt.Errorf("%w; statements before it stay: %d of %d", err, i, len(list)),
				writeFile(context.WithoutCancel(ctx), r.d, conn, r.options.Owner, now))
		}
		progress(rows)
	}
	now.Finished, now.Done, now.doneSum = timestamp(), 0, ""
	return rows, writeFile(ctx, r.d, conn, r.options.Owner, now)
}

func (r *fileRunner) alone(ctx context.Context, conn *sql.Conn, text fileText, st statement, record func() error) (n int64, err error) {
	shared := r.dialect == dialectMySQL && !text.alone
	if shared {
		if _, err := conn.ExecContext(ctx, "START TRANSACTION"); err != nil {
			return 0, err
		}
	}
	if n, err = r.statements(ctx, conn, text, []statement{st}); err == nil {
		err = record()
	}
	if shared {
		end := "COMMIT"
		if err != nil {
			end = "ROLLBACK"
		}
		if _, ended := conn.ExecContext(context.WithoutCancel(ctx), end); err == nil {
			err = ended
		}
	}
	return n, err
}

func (r *fileRunner) statements(ctx context.Context, conn *sql.Conn, text fileText, list []statement) (rows int64, err error) {
	for _, st := range list {
		n, err := r.exec(ctx, conn, st.sql)
		if err != nil {
			return rows, fmt.Errorf("%s:%d: %w", text.at, st.line, err)
		}
		rows += n
	}
	return rows, nil
}

func (r *fileRunner) exec(ctx context.Context, conn *sql.Conn, query string) (n int64, err error) {
	if r.options.FileTime > 0 {
		bounded, cancel := context.WithTimeout(ctx, r.options.FileTime)
		defer cancel()
		defer func() { err = withCause(bounded, err) }()
		ctx = bounded
	}
	if r.options.Confine != nil {
		release, err := r.options.Confine(conn, r.tables)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, release()) }()
	}
	if r.dialect == dialectSQLite { // preparing refuses a second statement, if this package saw one where SQLite sees two
		return execCount(ctx, conn, query)
	}
	res, err := conn.ExecContext(ctx, query) // not every statement can be prepared there
	if err != nil {
		return 0, err
	}
	n, err = res.RowsAffected()
	return max(n, 0), err
}

// writeFile replaces the record of a file.
func writeFile(ctx context.Context, d dialect, conn *sql.Conn, owner string, f AppliedFile) error {
	if err := forgetFile(ctx, d, conn, owner, f.Name); err != nil {
		return err
	}
	x := d.syntax()
	values := []string{
		x.text(owner), x.text(f.Name), x.text(f.Sum), fmt.Sprint(f.Batch), x.text(f.Started), x.text(f.Finished), x.text(f.Error), fmt.Sprint(f.Done), x.text(f.doneSum),
	}
	return execOne(ctx, conn, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", x.name(filesTable),
		x.names(append([]string{"owner"}, filesColumns...)), strings.Join(values, ", ")))
}

func forgetFile(ctx context.Context, d dialect, conn *sql.Conn, owner, name string) error {
	x := d.syntax()
	return execOne(ctx, conn, fmt.Sprintf("DELETE FROM %s WHERE %s = %s AND %s = %s", x.name(filesTable), x.name("owner"), x.text(owner), x.name("name"), x.text(name)))
}

// fileFailed remembers why a file failed whose transaction was rolled back. It is of use to people, so that an error here is none.
func (a *applier) fileFailed(ctx context.Context, owner string, f AppliedFile, failed error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if a.begin(ctx) != nil {
		return
	}
	f.Started, f.Error = timestamp(), failed.Error()
	err := a.makeState(ctx)
	if err == nil {
		err = writeFile(ctx, a.d, a.conn, owner, f)
	}
	_ = a.end(ctx, err == nil)
}
