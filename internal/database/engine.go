package database

import (
	"context"
	"database/sql"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// engine is one kind of database, opened. It owns connections and nothing else: what a query means is decided before.
type engine interface {
	// acquire waits in order of arrival for a connection. The caller releases it.
	acquire(ctx context.Context, write bool) (session, error)
	// inspect reads the tables and what each write to them leads to.
	inspect(ctx context.Context) (*Catalog, error)
	dialect() dialect
	sql() (*sql.DB, error)
	target(db *DB) buffer.Target
	// as is the same engine for another user, not connected yet.
	as(cfg Config) (engine, error)
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
	begin(ctx context.Context, o TxOptions) error
	// savepoint sets, releases or rolls back to and releases the n-th savepoint of the transaction, from 1.
	savepoint(ctx context.Context, op savepointOp, n int) error
	// stream begins a select of which the rows are fetched in pages.
	stream(ctx context.Context, st *statement, q *abi.Query) (rows, error)
	commit(ctx context.Context) error
	rollback()
	// inTx says whether a transaction is open: an error can have ended it.
	inTx() bool
	release()
}

// rows are the rest of a select's answer. They use their session; who has it calls them.
type rows interface {
	// next appends an encoded abi.Page. A row over the budget waits for the next call.
	next(ctx context.Context, b Budget, dst []byte) (out []byte, done bool, err error)
	close()
}

type savepointOp uint8

const (
	savepointSet savepointOp = iota
	savepointRelease
	savepointRollback
)

// rawEngine is an engine that takes SQL text.
type rawEngine interface {
	syntax() rawSyntax
	// describe makes a statement of text but for its parameters; with an error, its touches.
	describe(ctx context.Context, c *Catalog, raw *rawText) (*statement, error)
}

// upsert is what happens to the row that has the unique key of one that is inserted: update is overwritten, add is added to, neither is to leave the row. No
// target is any key.
type upsert struct {
	target, update, add []*Column
	counted             string // a column that may be read and overwritten with itself
	mine                string // a condition on the row without which it must not be touched; "" if there is none
}

// dialect is what differs between databases in the text of a statement.
type dialect interface {
	quote(name string) string
	// param is the n-th parameter, from 1, for a value of c.
	param(n int, c *Column, u use) string
	// defaults is what an insert of a row without values says behind the table.
	defaults() string
	// deleteFrom begins a delete of a table under an alias, which may be its name.
	deleteFrom(table, alias string) string
	// conflict is what an insert says of a unique key that is taken.
	conflict(t *Table, u upsert) string
	// returns says whether a verb can answer with rows.
	returns(v abi.Verb) bool
	// hidden are the expressions that an insert returns besides, for the engine to find the key of its row. "" is none.
	hidden(st *statement, q *abi.Query) string
	// order is one term of an order: nulls first, last when descending. nullable says that there may be some.
	order(expr string, c *Column, desc, nullable bool) string
	// sortable makes an expression of c's type compare and sort as its values do.
	sortable(expr string, c *Column) string
	// aggregate is sum, min, max or avg of a column, and the column that describes the result.
	aggregate(fn, expr string, c *Column) (string, Column)
	// add is the value of c plus a parameter, null counting as 0, exact or an error.
	add(expr, param string, c *Column) string
	// like is the comparison with a pattern in which \ escapes.
	like(expr, param string) string
	// limit ends a select; of what is "" there is none.
	limit(limit, offset string) string
	// lock ends a select in a transaction that writes.
	lock(l abi.Lock, w abi.Wait) string
	// truncate deletes every row.
	truncate(table string) string
	// maxParams is the most parameters of one statement.
	maxParams() int
}
