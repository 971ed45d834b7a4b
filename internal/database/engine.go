package database

import (
	"context"
	"database/sql"

	"github.com/odac-run/odachost/abi"
)

// engine is one kind of database, opened. It owns connections and nothing else: what a query means is decided before.
type engine interface {
	// acquire waits in order of arrival for a connection. The caller releases it.
	acquire(ctx context.Context, write bool) (session, error)
	// inspect reads the tables and what each write to them leads to.
	inspect(ctx context.Context) (*Catalog, error)
	dialect() dialect
	sql() (*sql.DB, error)
	checkpoint(ctx context.Context) error
	stat(s *Stat)
	version() string
	// close waits for the connections that are out.
	close() error
}

// session is a connection that its holder has to itself. Its errors are *abi.Error.
type session interface {
	// run executes one statement and appends the encoded result to dst. It is all or nothing.
	run(ctx context.Context, st *statement, q *abi.Query, b Budget, dst []byte) ([]byte, error)
	begin(ctx context.Context) error
	commit(ctx context.Context) error
	rollback()
	// inTx says whether a transaction is open: an error can have ended it.
	inTx() bool
	release()
}

// dialect is what differs between databases in the text of a statement.
type dialect interface {
	quote(name string) string
	// param is the n-th parameter, from 1.
	param(n int) string
	// sortable makes an expression of c's type compare and sort as its values do.
	sortable(expr string, c *Column) string
	// aggregate is sum, min, max or avg of a column, and the column that describes the result.
	aggregate(fn, expr string, c *Column) (string, Column)
	// add is the value of c plus a parameter, null counting as 0, exact or an error.
	add(expr, param string, c *Column) string
	// like is the comparison with a pattern in which \ escapes.
	like(expr, param string) string
	// maxParams is the most parameters of one statement.
	maxParams() int
}
