// Package database runs statements that are data ([abi.Query]) on a database and writes the answers in their wire form.
//
//	db, err := database.Open(ctx, database.Config{Type: "sqlite", Filename: "data/blog.db"})
//	err = db.Reload(ctx, nanoids)                        // after a migration: read the tables again
//	touches, err := db.Touches(q)                        // for grants and cache tags, before it runs
//	dst, err = db.Query(ctx, q, database.Budget{}, dst)  // appends an encoded abi.Result to dst
//	tx, err := db.Begin(ctx, false)                      // tx.Query, tx.Commit, tx.Rollback
//	target := db.Target()                                // where package buffer flushes to
//	std, err := db.SQL()                                 // the same database through database/sql, for package migrate
//
// One [DB] is one connection name of one tenant: the tenant is a file, so the file is the wall. SQLite is here; PostgreSQL and
// MySQL answer [ErrUnsupported] from Open until they come. They will be an engine and a dialect behind the two small interfaces
// in engine.go and dialect.go; everything else, from the checks of a query to the form of its answer, is shared.
//
// # Contract
//
//   - A query is checked against the [Catalog] before any SQL exists. An unknown table or column, a condition that is not well
//     formed, a value that its column cannot hold: [abi.ErrnoInvalid], naming it. What is not in the catalog cannot be named: tables of
//     SQLite ("sqlite_...") and of this program ("_odac_...", "odac_buffer_...") are not in it, and SQLite's authorizer refuses them once more.
//   - Values are parameters. Identifiers are names of the catalog, quoted. An alias is letters, digits and "_".
//   - Every error is an [*abi.Error] with one of abi's errnos; sqlite_errno.go has the one map from driver errors to them. The text
//     names tables, columns and budgets, never the driver's words: those go to [Config.Logger].
//   - A write that returned without an error is on disk: WAL mode with synchronous FULL, one fdatasync per commit, for
//     direct writes, transactions and the buffer's flush alike.
//   - A statement is all or nothing, also an insert of many rows, also inside a transaction, which goes on after the error unless
//     it says that it was rolled back ([abi.ErrnoClosed] from then on).
//   - When ctx ends the statement is interrupted: [abi.ErrnoTimeout] or [abi.ErrnoCanceled], nothing written.
//   - Writers queue in order of arrival for the one write connection, readers for the pool of read-only ones. Who waits longer than
//     [Config.BusyTimeout], there or for a file lock of another process, gets [abi.ErrnoBusy].
//   - A DB is safe for concurrent use; a [Tx] too, its statements run in turn.
//
// # Queries
//
// Names are exact, in the case of the schema. An unqualified column must be in one table of the query only. Result columns are
// named by their alias, or by the column's bare name; where two columns of one result would have the same name, the one of the
// later table is called "table.column" (by alias). A function without an alias is "count" for all rows, else "sum_price".
//
// An update or delete without a condition is refused with [abi.ErrnoInvalid]: the condition And of zero, which is true, says
// that every row is meant. (Or of zero is false.)
//
// Like: % is any text, _ any one character, \ takes the special meaning from the character after it. Case of ASCII letters does
// not count on SQLite. A pattern has at most 256 bytes.
//
// Compare with null: eq is "is null", ne is "is not null"; the others, and null in a list, are refused. An empty in is never true, an
// empty not in always. A comparison of decimals compares numbers, not text. Order puts nulls first, last when descending.
//
// Sum and avg of a decimal column are exact: sum has the column's scale, avg has 6 digits more, rounded half away from zero.
// Sum of integers over 64 bits is [abi.ErrnoInvalid].
//
// Insert fills what a row lacks or has as null: nanoid columns, and created_at and updated_at where they are DATETIME or TIMESTAMP. Update
// sets updated_at where the query does not. LastID is the primary key, of one column, of the last row inserted, generated or given; null
// if no row was inserted. Conflict.Update overwrites the named fields with the new row's; created keys and created_at stay.
//
// # Values
//
// By declared type, as package migrate declares columns (its doc.go has the table):
//
//	BOOLEAN                  bool
//	INTEGER, BIGINT          int, exact over 64 bits
//	DOUBLE                   float; infinities too. SQLite has no NaN: it is stored as null
//	DECIMAL_TEXT(p,s)        decimal, always with s digits after the point; rounded half away from zero like PostgreSQL and MySQL
//	DATETIME, TIMESTAMP      time, UTC, nanoseconds, years 0 to 9999
//	DATE                     time at midnight UTC
//	TIME                     text
//	JSON_TEXT, JSONB_TEXT    JSON, checked
//	BLOB                     bytes
//	VARCHAR(n), TEXT, ...    text; longer than n characters is refused
//	anything else            by SQLite's storage class: int, float, text or bytes
//
// A stored value that is not of its declared type (a file that others write) comes as its storage class says, never as an error.
// A value given is brought to the column's type where nothing is lost (an integer as float, a text as time) and refused otherwise.
package database
