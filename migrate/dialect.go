package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// The names of the dialects, as Database.Dialect and Plan.Dialect have them.
const (
	dialectSQLite   = "sqlite"
	dialectPostgres = "postgres"
	dialectMySQL    = "mysql" // and MariaDB
)

// dialect is what differs between database servers. Its methods hold no state: one value serves all connections.
type dialect interface {
	inspect(ctx context.Context, q querier) (*Database, error)
	// shadow creates the tables in a scratch place and inspects them. Nothing of it stays, also where conn is inside a transaction.
	shadow(ctx context.Context, conn *sql.Conn, tables []*Table) (*Database, error)
	// rename returns live as it will be after the renames, and a step for each.
	rename(ctx context.Context, live *Database, renames []Rename) (*Database, []*Step, error)
	// steps orders and writes the statements for the changes, with the hazards that the live data holds.
	steps(ctx context.Context, q querier, in planInput) (planOutput, error)
	// health counts problems by their description; one that is new before the commit ends the apply.
	health(ctx context.Context, q querier, db *Database) (map[string]int, error)

	// snapshot begins a transaction in which all reads are of one moment; end takes it back.
	snapshot(ctx context.Context, conn *sql.Conn) (end func() error, err error)
	// lock takes the migration lock, waiting until ctx ends, and prepares the connection. unlock puts it back as it was.
	lock(ctx context.Context, conn *sql.Conn) (unlock func() error, err error)
	// begin opens the transaction of the steps that are not Step.outside, waiting for a lock until ctx ends; end closes it.
	// After a failed statement end(commit false) must work too.
	begin(ctx context.Context, conn *sql.Conn) error
	end(ctx context.Context, conn *sql.Conn, commit bool) error
	// busy tells whether err says that others held a lock for too long: the apply plans again and goes on from there.
	busy(err error) bool

	// restore returns the statements that bring back what was put aside: a column without default and NOT NULL, which the next plan adds.
	restore(live *Database, t *Trashed) ([]string, error)
	// purge returns the statements that take it away for good; table is where it is (Database.kept).
	purge(t *Trashed, table string) []string

	// columns returns definitions that may be what the server prints as c, the likeliest first, without nullable and key. Snapshot tries
	// each in a shadow; a column of which none prints the same is left out.
	columns(t *TableInfo, c *ColumnInfo) []*Column

	// literal prints a value of a column as SQL; nil is NULL.
	literal(c *Column, v *Value) string
	syntax() *syntax
}

// syntax is how a dialect writes what all of them have.
type syntax struct {
	name  func(name string) string     // quotes an identifier
	text  func(s string) string        // quotes a text
	same  func(x, value string) string // equal, or both NULL
	show  func(x string) string        // an expression whose text is the SQL literal of x, "NULL" included
	state []string                     // statements that make the tables of state.go where they are missing
	hex   func(x string) string        // an expression whose text is the bytes of the JSON x in hexadecimal
	twin  *twinSyntax                  // nil: no column can have a Twin
	// commits says that a statement that changes a definition commits the transaction.
	commits bool
}

func (s *syntax) names(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = s.name(n)
	}
	return strings.Join(quoted, ", ")
}

// detect finds the dialect by asking: a wrapped driver hides its type. The question that a server would refuse comes last, since an
// error would end the transaction that conn may be in.
func detect(ctx context.Context, q querier) (dialect, error) {
	var version string
	err := q.QueryRowContext(ctx, "SELECT version()").Scan(&version)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("migrate: find the database's dialect: %w", err)
	case err != nil:
		if err := q.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
			return nil, fmt.Errorf("migrate: find the database's dialect: %w", err)
		}
		return sqlite{}, nil
	case strings.HasPrefix(version, "PostgreSQL "):
		return postgres{}, nil
	}
	if mysqlVersion.MatchString(version) {
		return newMySQL(version)
	}
	return nil, fmt.Errorf("migrate: this database is %s, which is not supported", version)
}
