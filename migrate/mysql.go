package migrate

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
)

// mysql is the dialect of MariaDB from 10.6 and, untested, of MySQL from 8.0.16.
type mysql struct {
	mariadb bool
	version int // 10.11.19 is 101119
}

var mysqlVersion = regexp.MustCompile(`^([0-9]+)\.([0-9]+)\.([0-9]+)`)

// newMySQL refuses a server whose DDL is not atomic, or that ignores CHECK.
func newMySQL(version string) (dialect, error) {
	m := mysql{mariadb: strings.Contains(version, "MariaDB")}
	parts := mysqlVersion.FindStringSubmatch(version)
	for _, s := range parts[1:] {
		n, _ := strconv.Atoi(s) // digits
		m.version = 100*m.version + n
	}
	if m.mariadb && m.version < 100600 || !m.mariadb && m.version < 80016 {
		return nil, fmt.Errorf("migrate: the database is %s: use MariaDB from 10.6 or MySQL from 8.0.16, where an ALTER TABLE that is interrupted leaves the table as it was", version)
	}
	return m, nil
}

// Numbers of errors that are decided on.
const (
	mysqlLockWait     = 1205
	mysqlDeadlock     = 1213
	mysqlRecordMoved  = 1020 // snapshot isolation
	mysqlTableMoved   = 1412
	mysqlNotAlgorithm = 1845
	mysqlNotBecause   = 1846
	mysqlUserDeadlock = 3058
)

func mysqlError(err error, numbers ...uint16) bool {
	var e *mysqldriver.MySQLError
	if errors.As(err, &e) {
		for _, n := range numbers {
			if e.Number == n {
				return true
			}
		}
	}
	return false
}

// errMeanwhile says that rows came between the look at them and the change. The next plan sees them.
var errMeanwhile = errors.New("rows were written meanwhile that the change does not allow")

func (mysql) busy(err error) bool {
	return errors.Is(err, errMeanwhile) || mysqlError(err, mysqlLockWait, mysqlDeadlock, mysqlTableMoved, mysqlRecordMoved)
}

// A mysqlSetting is a variable of the session on which the meaning of our statements depends.
type mysqlSetting struct {
	name, value string
	mariadb     bool // there only
	since       int  // version of MariaDB in which it can be set
}

// mysqlReading is how definitions are read: quotes, escapes, time zone and character set decide how they print.
var mysqlReading = []mysqlSetting{
	{name: "sql_mode", value: "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"},
	{name: "time_zone", value: "+00:00"},
	{name: "sql_quote_show_create", value: "1"},
	{name: "character_set_client", value: "utf8mb4"},
	{name: "character_set_results", value: "utf8mb4"},
	{name: "collation_connection", value: "utf8mb4_bin"},
	{name: "explicit_defaults_for_timestamp", value: "1", since: 100804}, // else a TIMESTAMP changes by itself
}

// mysqlWriting is how a plan is applied. A statement that waits for the lock of a table makes all later ones on it wait too, so it
// gives up after a second, the least that the server knows, and is tried again.
var mysqlWriting = append([]mysqlSetting{
	{name: "lock_wait_timeout", value: "1"},
	{name: "innodb_lock_wait_timeout", value: "1"},
	{name: "foreign_key_checks", value: "1"},
	{name: "unique_checks", value: "1"},
	{name: "sql_safe_updates", value: "0"},
	{name: "sql_auto_is_null", value: "0"},
	{name: "autocommit", value: "1"},
	{name: "check_constraint_checks", value: "1", mariadb: true},
	{name: "max_statement_time", value: "0.000000", mariadb: true},
}, mysqlReading...)

// prepare sets what is not so yet; restore puts it back.
func (m mysql) prepare(ctx context.Context, q querier, settings []mysqlSetting) (restore func() error, err error) {
	var names []string
	var wanted []mysqlSetting
	for _, s := range settings {
		if m.mariadb && m.version >= s.since || !m.mariadb && !s.mariadb {
			names = append(names, "@@SESSION."+s.name)
			wanted = append(wanted, s)
		}
	}
	before := make([]sql.NullString, len(names))
	into := make([]any, len(names))
	for i := range before {
		into[i] = &before[i]
	}
	if err := q.QueryRowContext(ctx, "SELECT "+strings.Join(names, ", ")).Scan(into...); err != nil {
		return nil, fmt.Errorf("migrate: read the settings of the session: %w", err)
	}
	var sets, back []string
	for i, s := range wanted {
		if before[i].String != s.value {
			sets = append(sets, names[i]+" = "+mysqlSetTo(sql.NullString{String: s.value, Valid: true}))
			back = append(back, names[i]+" = "+mysqlSetTo(before[i]))
		}
	}
	set := func(ctx context.Context, to []string) error {
		if len(to) == 0 {
			return nil
		}
		if err := runQuery(ctx, q, "SET "+strings.Join(to, ", ")); err != nil {
			return fmt.Errorf("migrate: set the session: %w", err)
		}
		return nil
	}
	if err := set(ctx, sets); err != nil {
		return nil, err
	}
	return func() error { return set(context.WithoutCancel(ctx), back) }, nil
}

func mysqlSetTo(v sql.NullString) string {
	if _, err := strconv.ParseFloat(v.String, 64); err == nil {
		return v.String
	}
	if !v.Valid {
		return "NULL"
	}
	return quoteText(v.String)
}

// reading runs f in a session that prints definitions in one way.
func (m mysql) reading(ctx context.Context, q querier, f func() error) error {
	restore, err := m.prepare(ctx, q, mysqlReading)
	if err != nil {
		return err
	}
	return errors.Join(f(), restore())
}

// idle refuses a connection inside a transaction: what follows would commit it.
func (m mysql) idle(ctx context.Context, conn *sql.Conn) error {
	query := "SELECT @@in_transaction"
	if !m.mariadb {
		query = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = connection_id()"
	}
	var open int
	err := conn.QueryRowContext(ctx, query).Scan(&open)
	switch {
	case err != nil && m.mariadb:
		return fmt.Errorf("migrate: look for an open transaction: %w", err)
	case open > 0:
		return ErrBusyConnection
	}
	return nil // MySQL shows it only to users with the PROCESS privilege
}

// snapshot reads at one moment. The transaction is not READ ONLY, which takes no temporary table.
func (m mysql) snapshot(ctx context.Context, conn *sql.Conn) (func() error, error) {
	if err := m.idle(ctx, conn); err != nil {
		return nil, err
	}
	restore, err := m.prepare(ctx, conn, mysqlReading)
	if err != nil {
		return nil, err
	}
	end := func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return spoil(conn, errors.Join(err, restore()))
	}
	if _, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// spoil makes the pool forget a connection that could not be put back as it was.
func spoil(conn *sql.Conn, err error) error {
	if err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		return fmt.Errorf("migrate: restore the connection: %w", err)
	}
	return nil
}

// lock takes a lock of the server under a name of the database. It ends with the connection.
func (m mysql) lock(ctx context.Context, conn *sql.Conn) (func() error, error) {
	if err := m.idle(ctx, conn); err != nil {
		return nil, err
	}
	var database sql.NullString
	if err := conn.QueryRowContext(ctx, "SELECT database()").Scan(&database); err != nil {
		return nil, fmt.Errorf("migrate: ask for the database: %w", err)
	}
	if !database.Valid {
		return nil, errors.New("migrate: the connection has chosen no database: name one in the data source")
	}
	sum := sha256.Sum256([]byte(database.String))
	name := quoteText("odac_migrate_" + hex.EncodeToString(sum[:8])) // the server takes 64 characters
	restore, err := m.prepare(ctx, conn, mysqlWriting)
	if err != nil {
		return nil, err
	}
	for {
		var got sql.NullInt64
		err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 1)").Scan(&got)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("migrate: wait for the lock of another migration: %w", errors.Join(ctx.Err(), spoil(conn, restore())))
		case err == nil && got.Int64 == 1:
			return func() error {
				_, err := conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+name+")")
				return spoil(conn, errors.Join(err, restore()))
			}, nil
		case err != nil && !mysqlError(err, mysqlLockWait, mysqlDeadlock, mysqlUserDeadlock), err == nil && !got.Valid:
			return nil, errors.Join(fmt.Errorf("migrate: take the migration lock: %w", err), restore())
		}
	}
}

func (mysql) begin(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "START TRANSACTION"); err != nil {
		return fmt.Errorf("migrate: begin: %w", err)
	}
	return nil
}

func (mysql) end(ctx context.Context, conn *sql.Conn, commit bool) error {
	query := "ROLLBACK"
	if commit {
		query = "COMMIT"
	}
	if _, err := conn.ExecContext(ctx, query); err != nil {
		return fmt.Errorf("migrate: %s: %w", strings.ToLower(query), err)
	}
	return nil
}

// runQuery runs a statement for its error alone: a querier has no Exec.
func runQuery(ctx context.Context, q querier, query string) error {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	rows.Next()
	return rows.Err()
}

// health looks for views that no longer compile. The server itself keeps rows with their parents.
func (m mysql) health(ctx context.Context, q querier, db *Database) (map[string]int, error) {
	problems := map[string]int{}
	for _, v := range db.Views {
		err := runQuery(ctx, q, "SELECT * FROM "+mysqlName(v.Name)+" LIMIT 0")
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			problems[fmt.Sprintf("view %s: %s", v.Name, err)] = 1
		}
	}
	return problems, nil
}

func (m mysql) syntax() *syntax {
	if m.mariadb {
		return mariadbSyntax
	}
	x := *mariadbSyntax
	x.hex = func(x string) string { return "hex(CAST(" + x + " AS CHAR))" }
	return &x
}

var mariadbSyntax = &syntax{
	twin: mysqlTwin,
	name: mysqlName,
	text: mysqlText,
	same: func(x, value string) string { return x + " <=> " + value },
	show: func(x string) string { return "quote(" + x + ")" },
	hex:  func(x string) string { return "hex(" + x + ")" },
	state: []string{
		"CREATE TABLE IF NOT EXISTS `_odac_schema` (\n  `table_name` VARCHAR(190) NOT NULL PRIMARY KEY,\n  `owner` VARCHAR(190) NOT NULL,\n" +
			"  `definition` LONGTEXT NOT NULL\n) " + mysqlTableOptions,
		"CREATE TABLE IF NOT EXISTS `_odac_plan` (\n  `owner` VARCHAR(190) NOT NULL PRIMARY KEY,\n  `hash` VARCHAR(64) NOT NULL,\n" +
			"  `steps` LONGTEXT NOT NULL\n) " + mysqlTableOptions,
	},
	commits: true,
}

const mysqlTableOptions = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

// mysqlName quotes an identifier.
func mysqlName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func mysqlNames(names []string) string { return mariadbSyntax.names(names) }

// mysqlText quotes a text so that every sql_mode reads it the same: a backslash would be an escape in some.
func mysqlText(s string) string {
	if strings.ContainsAny(s, "\\\x00") {
		return "_utf8mb4 X'" + hex.EncodeToString([]byte(s)) + "'"
	}
	return quoteText(s)
}
