package database

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/abi"
)

// confinedLimits are SQLite's while a statement of a plugin's migration file runs: it may be longer than text of a query, and work on any
// table that a schema can have.
var confinedLimits = []limit{
	{sqlite3.LIMIT_LENGTH, abi.MaxMessageBytes},
	{sqlite3.LIMIT_SQL_LENGTH, 1 << 20},
	{sqlite3.LIMIT_EXPR_DEPTH, 200},
	{sqlite3.LIMIT_COMPOUND_SELECT, 500},
	{sqlite3.LIMIT_VDBE_OP, 1 << 20},
	{sqlite3.LIMIT_FUNCTION_ARG, 16},
	{sqlite3.LIMIT_ATTACHED, 0},
	{sqlite3.LIMIT_LIKE_PATTERN_LENGTH, maxPattern},
	{sqlite3.LIMIT_TRIGGER_DEPTH, 10},
	{sqlite3.LIMIT_WORKER_THREADS, 0},
}

// Confines tells whether [DB.Confine] works here.
func (db *DB) Confines() bool {
	_, ok := db.engine.(*sqlite)
	return ok
}

// Confine holds the statements that conn, a connection of [DB.SQL], runs until release to the rows of the tables given: select, insert,
// update and delete, with the functions that text of queries may call. What defines something, opens a file, sets a pragma, or begins and
// ends transactions is refused, and so is every other table, also behind a view or a trigger. It is for SQLite; a server has roles.
func (db *DB) Confine(conn *sql.Conn, tables []string) (release func() error, err error) {
	if !db.Confines() {
		return nil, abi.NewError(abi.ErrnoUnsupported, "database: only SQLite confines a connection")
	}
	var before []limit
	err = withSQLite(conn, func(c *sqlite3.Conn) error {
		for _, l := range confinedLimits {
			before = append(before, limit{l.category, c.Limit(l.category, l.value)})
		}
		return c.SetAuthorizer(func(action sqlite3.AuthorizerActionCode, name, second, _, _ string) sqlite3.AuthorizerReturnCode {
			return confined(tables, action, name, second)
		})
	})
	if err != nil {
		return nil, err
	}
	return func() error {
		return withSQLite(conn, func(c *sqlite3.Conn) error {
			for _, l := range before {
				c.Limit(l.category, l.value)
			}
			return c.SetAuthorizer(nil)
		})
	}, nil
}

func confined(tables []string, action sqlite3.AuthorizerActionCode, name, second string) sqlite3.AuthorizerReturnCode {
	ok := false
	switch action {
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_RECURSIVE:
		ok = true
	case sqlite3.AUTH_FUNCTION:
		ok = rawFunctions[strings.ToLower(second)]
	case sqlite3.AUTH_READ:
		ok = name == "" || rawTables[strings.ToLower(name)] || ownTable(tables, name)
	case sqlite3.AUTH_INSERT, sqlite3.AUTH_UPDATE, sqlite3.AUTH_DELETE:
		ok = ownTable(tables, name)
	}
	if !ok {
		return sqlite3.AUTH_DENY
	}
	return sqlite3.AUTH_OK
}

func ownTable(tables []string, name string) bool {
	return !reserved(name) && slices.ContainsFunc(tables, func(t string) bool { return strings.EqualFold(t, name) })
}

func withSQLite(conn *sql.Conn, do func(*sqlite3.Conn) error) error {
	return conn.Raw(func(c any) error {
		raw, ok := c.(driver.Conn)
		if !ok {
			return errors.New("database: the connection is not one of SQLite")
		}
		if err := do(raw.Raw()); err != nil {
			return fmt.Errorf("database: confine a connection: %w", err)
		}
		return nil
	})
}
