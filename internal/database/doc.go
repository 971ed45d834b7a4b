// Package database runs statements that are data ([abi.Query]) on a database and writes the answers in their wire form.
//
//	db, err := database.Open(ctx, database.Config{Type: "sqlite", Filename: "data/blog.db"})
//	err = db.Reload(ctx, nanoids)                        // after a migration: read the tables again
//	what, err := db.Describe(ctx, q)                     // what it touches, for grants and cache tags, before it runs
//	dst, err = db.Run(ctx, what, q, database.Budget{}, dst) // appends an encoded abi.Result to dst; db.Query is both
//	dst, err = db.Batch(ctx, qs, database.Budget{}, dst) // several, all or none: an abi.BatchResult
//	cursor, err := db.Cursor(ctx, q)                     // cursor.Next appends an abi.Page
//	tx, err := db.Begin(ctx, database.TxOptions{})       // tx.Query, Batch, Cursor, Begin (a savepoint), Commit, Rollback
//	target := db.Target()                                // where package buffer flushes to
//	std, err := db.SQL()                                 // the same database through database/sql, for package migrate
//
// One [DB] is one connection name of one tenant. On SQLite the tenant is a file; on PostgreSQL a schema and a login role, on MySQL and
// MariaDB a database and a user, which [Tenancy] makes, together with a role for each plugin ([DB.As]): the database is the wall. An
// engine is an engine and a dialect behind the two small interfaces in engine.go; everything else, from the checks of a query to the form of
// its answer, is shared.
//
// # Contract
//
//   - A query is checked against the [Catalog] before any SQL exists. An unknown table or column, a condition that is not well
//     formed, a value that its column cannot hold: [abi.ErrnoInvalid], naming it. What is not in the catalog cannot be named: tables of
//     SQLite ("sqlite_...") and of this program ("_odac_...", "odac_buffer_...") are not in it, and SQLite's authorizer refuses them once more.
//   - Values are parameters. Identifiers are names of the catalog, quoted. An alias is letters, digits and "_".
//   - Every error is an [*abi.Error] with one of abi's errnos; sqlite_errno.go, postgres_errno.go and mysql_errno.go have each
//     engine's one map from driver errors to them. The text names tables, columns and budgets, never the driver's words: those go to [Config.Logger].
//   - A write that returned without an error is on disk: WAL mode with synchronous FULL on SQLite, synchronous_commit on PostgreSQL, for
//     direct writes, transactions and the buffer's flush alike. On MySQL it is the server's setting; one that is not durable is logged at Open.
//   - Where a connection was lost after a write was sent, the error ([abi.ErrnoUnavailable]) says that it is not known whether it was made. A
//     read, and a write of which nothing was sent, is sent again; so is a statement outside of a transaction that lost against another.
//   - A statement is all or nothing, also an insert of many rows, also inside a transaction, which goes on after the error unless
//     it says that it was rolled back ([abi.ErrnoClosed] from then on).
//   - When ctx ends the statement is interrupted, on the server too: [abi.ErrnoTimeout] or [abi.ErrnoCanceled], nothing written. A server ends
//     it besides after [Config.StatementTimeout].
//   - On SQLite writers queue in order of arrival for the one write connection, readers for the pool of read-only ones; on a server all
//     queue for one pool. Who waits longer than [Config.BusyTimeout], there or for a lock, gets [abi.ErrnoBusy].
//   - What [DB.Notify] and [Tx.Notify] say is heard by [DB.Listen], on PostgreSQL alone, at most once, and of a transaction when it commits.
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
// Like: % is any text, _ any one character, \ takes the special meaning from the character after it. Case of letters does
// not count, on SQLite of ASCII letters only. A pattern has at most 256 bytes.
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
// Sub-queries are q.Subs, by number. Each is used once, in a condition, a select list, from, a join or a union; one with a name is a
// common table expression, which those after it and the query use as often as they like. In a condition or a select list a
// sub-query sees the columns of the queries around it, elsewhere not. All are compiled with the whole, nested at most 8 deep.
//
// After is keyset pagination: rows behind the one with these values in the order's columns, which are never null. A lock needs a
// transaction that writes; SQLite's holds the whole file, so there it is checked and changes nothing. Truncate is a delete of every row after which
// generated keys begin again.
//
// # SQL text
//
// q.SQL is one statement in the database's own words, with q.Args for its parameters. Nothing of it is compiled, so nothing is filled in: no
// nanoid, no created_at, no updated_at, and values are those of [TypeAny]. Its touches come from SQLite's authorizer and are exact; while it runs
// it reaches for nothing else, calls the functions of sqlite_raw.go only, and has the limits there, which are those of Cloudflare's
// workerd or tighter. Its author may read why the database refuses it; of tables that he was not granted he learns nothing, because
// [DB.Describe] gives what it touches with the error too.
//
// On a server text runs only on a [DB] of [DB.As], because the role's grants are what holds it. What the server cannot be told the text is asked
// for before it is sent (raw_rules.go): it calls functions of a list, names nothing of the server's own, and is one statement that selects or
// changes rows, so that it leaves nothing in its session. PostgreSQL says by its locks which tables a text reaches, without running any of it;
// on MySQL it is every table whose name is in the text. The columns of an answer have the types of the server; on MySQL a bool is a number. A row of more
// than 16 MiB is [abi.ErrnoLimit] before its memory is taken.
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
//
// On PostgreSQL the same, by the column's own type, and: times have microseconds, finer ones are cut off; NaN and the infinities of
// double, numeric and the times are values ("NaN" as a decimal, "infinity" as text for a time); text has no zero byte; jsonb is written as
// the server prints it; arrays are JSON arrays, of which numbers, booleans and documents are themselves and every other element is text;
// enum, inet, interval and all others are text. json has no equality. Text compares by the collation of its column.
//
// On MySQL: times have the digits of their column, up to microseconds; there are neither NaN nor infinities; TINYINT(1) is bool, JSON of
// MariaDB too is JSON; text compares by the collation of its column, which is utf8mb4_bin in databases that Tenancy makes.
//
// What a server cannot do is [abi.ErrnoUnsupported]: on MySQL an update that returns rows, and in a sub-query of "in" a
// limit. A truncate leaves generated keys where they are, and a cursor in a transaction of MySQL holds at most 16 MiB.
package database
