package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// How an ALTER TABLE is done. Up to mysqlInPlace others read and write meanwhile; the server itself refuses what would not be so.
const (
	mysqlInstant = iota // definitions only
	mysqlNoCopy         // an index is built
	mysqlInPlace        // the table is written anew beside its writers
	mysqlCopy           // the table is written anew while its writers wait
)

var mysqlAlgorithms = [...]string{", ALGORITHM=INSTANT, LOCK=NONE", ", ALGORITHM=NOCOPY, LOCK=NONE", ", ALGORITHM=INPLACE, LOCK=NONE", ", ALGORITHM=COPY, LOCK=SHARED"}

const (
	mysqlOnline = "others wait for at most a second at its beginning and end"
	mysqlBlocks = "writers wait until it is over, readers go on"
)

// algorithm is what an ALTER TABLE ends with. MySQL has no NOCOPY, and takes no LOCK beside INSTANT.
func (m mysql) algorithm(level int) string {
	switch {
	case m.mariadb:
		return mysqlAlgorithms[level]
	case level == mysqlInstant:
		return ", ALGORITHM=INSTANT"
	case level == mysqlNoCopy:
		return mysqlAlgorithms[mysqlInPlace]
	}
	return mysqlAlgorithms[level]
}

// mysqlAlter collects the clauses of one ALTER TABLE.
type mysqlAlter struct {
	m       mysql
	table   string
	clauses []string
	what    []string
	kinds   []StepKind
	level   int
	hazards []Hazard
	after   []mysqlAfter
}

// mysqlAfter is a condition that no row may meet once the ALTER is done: the server does not look. undo takes it back, and err, if not
// errMeanwhile, says so.
type mysqlAfter struct {
	cond, undo string
	err        error
}

func (a *mysqlAlter) add(kind StepKind, level int, what, format string, args ...any) {
	a.clauses = append(a.clauses, fmt.Sprintf(format, args...))
	if what != "" {
		a.what = append(a.what, what)
	}
	a.kinds = append(a.kinds, kind)
	a.level = max(a.level, level)
}

// step makes the ALTER of the clauses. rows are those that a rewrite writes.
func (a *mysqlAlter) step(rows int64) *Step {
	s := &Step{
		Kind: a.kinds[0], Table: a.table, Phase: Expand, Hazards: a.hazards, Lock: mysqlOnline, outside: true,
		Check: "rows that would lose a value counted", Post: "definition as planned", NoInverse: "plan the previous schema to go back",
		SQL: []string{"ALTER TABLE " + mysqlName(a.table) + " " + strings.Join(a.clauses, ", ") + a.m.algorithm(a.level)},
	}
	if slices.ContainsFunc(a.kinds, func(k StepKind) bool { return k != s.Kind }) {
		s.Kind = AlterTable
	}
	s.Summary = a.table + ": " + strings.Join(a.what, ", ")
	if a.level >= mysqlInPlace {
		s.Rewrite, s.Rows = true, rows
	}
	if a.level == mysqlCopy {
		s.Lock = mysqlBlocks
		if rows > 0 {
			s.Hazards = append(s.Hazards, Hazard{
				Level: Approve, Table: a.table, Object: "rows", Count: rows,
				Message: fmt.Sprintf("writes table %s anew (%d rows), and who writes to it waits meanwhile", a.table, rows),
			})
		}
	}
	s.run = a.m.runner(s.SQL, a.after)
	return s
}

// runner runs the statements, and looks at what the server does not look at.
func (m mysql) runner(queries []string, after []mysqlAfter) func(context.Context, *sql.Conn, func(int64)) (int64, error) {
	return func(ctx context.Context, conn *sql.Conn, _ func(int64)) (int64, error) {
		for _, query := range queries {
			if err := m.alter(ctx, conn, query); err != nil {
				return 0, err
			}
		}
		return 0, m.look(ctx, conn, after)
	}
}

func (m mysql) look(ctx context.Context, conn *sql.Conn, after []mysqlAfter) error {
	for _, a := range after {
		var met bool
		if err := conn.QueryRowContext(ctx, "SELECT EXISTS ("+a.cond+")").Scan(&met); err != nil {
			return err
		}
		if met {
			if err := m.alter(ctx, conn, a.undo); err != nil {
				return err
			}
			if a.err != nil {
				return a.err
			}
			return errMeanwhile
		}
	}
	return nil
}

// alter runs one ALTER TABLE. Where the server needs another algorithm than was expected of it, the next one that blocks nobody.
func (m mysql) alter(ctx context.Context, conn *sql.Conn, query string) error {
	err := execOne(ctx, conn, query)
	for level := mysqlInstant; level < mysqlInPlace && mysqlError(err, mysqlNotAlgorithm, mysqlNotBecause); level++ {
		if head, ok := strings.CutSuffix(query, m.algorithm(level)); ok {
			query = head + m.algorithm(level+1)
			err = execOne(ctx, conn, query)
		}
	}
	if mysqlError(err, mysqlNotAlgorithm, mysqlNotBecause) {
		return fmt.Errorf("%w; on this server it blocks the table: run it by hand at a quiet hour without its ALGORITHM and LOCK, then apply again", err)
	}
	return err
}

// withKeysUnchecked runs an ALTER that adds a foreign key: only without the check of the rows, which would copy the table, others can
// write meanwhile.
func (m mysql) withKeysUnchecked(ctx context.Context, conn *sql.Conn, queries ...string) (err error) {
	if _, err := conn.ExecContext(ctx, "SET SESSION foreign_key_checks = 0"); err != nil {
		return err
	}
	defer func() {
		_, back := conn.ExecContext(context.WithoutCancel(ctx), "SET SESSION foreign_key_checks = 1")
		if err == nil {
			err = back
		}
	}()
	for _, query := range queries {
		if err := m.alter(ctx, conn, query); err != nil {
			return err
		}
	}
	return nil
}

const mysqlBatch = 1000 // rows that one statement of a backfill writes

// backfill fills a column where it is NULL, in batches along the primary key, each committed. What a run that was killed left is
// still NULL.
func (m mysql) backfill(t *TableInfo, column, value string) func(context.Context, *sql.Conn, func(int64)) (int64, error) {
	update := fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s IS NULL", mysqlName(t.Name), mysqlName(column), value, mysqlName(column))
	return func(ctx context.Context, conn *sql.Conn, progress func(int64)) (rows int64, err error) {
		if len(t.PrimaryKey) != 1 {
			return execCount(ctx, conn, update)
		}
		key := mysqlName(t.PrimaryKey[0])
		from := "" // a literal
		for {
			after := ""
			if from != "" {
				after = fmt.Sprintf(" WHERE %s > %s", key, from)
			}
			var to sql.NullString
			query := fmt.Sprintf("SELECT max(k) FROM (SELECT %s AS k FROM %s%s ORDER BY 1 LIMIT %d) AS b", key, mysqlName(t.Name), after, mysqlBatch)
			if err := conn.QueryRowContext(ctx, query).Scan(&to); err != nil || !to.Valid {
				return rows, err
			}
			literal := mysqlText(to.String)
			switch c := t.Column(t.PrimaryKey[0]); mysqlKind(c.Type) {
			case "int", "decimal", "float", "bool":
				literal = to.String
			case "blob":
				literal = fmt.Sprintf("X'%x'", to.String)
			}
			batch := update + fmt.Sprintf(" AND %s <= %s", key, literal)
			if from != "" {
				batch += fmt.Sprintf(" AND %s > %s", key, from)
			}
			n, err := execCount(ctx, conn, batch)
			if err != nil {
				return rows, err
			}
			rows += n
			progress(rows)
			from = literal
		}
	}
}
