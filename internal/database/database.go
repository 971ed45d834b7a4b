package database

import (
	"context"
	"database/sql"
	"sync/atomic"

	"github.com/odac-run/odachost/abi"
)

// DB is one open database.
type DB struct {
	cfg     Config
	catalog atomic.Pointer[Catalog]
}

// Open opens the database and reads its tables. Close it.
func Open(ctx context.Context, cfg Config) (*DB, error) { return nil, ErrUnsupported }

// Query runs one statement of any verb by itself and appends the encoded [abi.Result] to dst. With an error dst comes back
// as it was. The message is a MessagePack fixmap of at most 4 pairs without the key "h" ([abi.Result].Cached), so that a cache can add it:
// add 1 to the first byte and append the pair.
func (db *DB) Query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	return dst, ErrUnsupported
}

// Begin starts a transaction. One that writes holds the writer until it ends. When ctx ends the transaction is rolled back.
func (db *DB) Begin(ctx context.Context, readOnly bool) (*Tx, error) { return nil, ErrUnsupported }

// Touch is a table that a query reads or writes.
type Touch struct {
	Table string
	Verb  abi.Verb
	// Indirect: the query does not name the table. A view, a trigger or a foreign key leads there. Grants do not ask for it,
	// caches and their invalidation do.
	Indirect bool
}

// Touches lists the tables that q reads and writes: those it names first, with the verb for each (a joined table is selected from; an
// insert that updates on conflict is an insert and an update), then those that views, triggers and foreign keys lead to. An unknown
// table is [abi.ErrnoInvalid]. The slice is shared: do not change it.
func (db *DB) Touches(q *abi.Query) ([]Touch, error) { return nil, ErrUnsupported }

// Catalog is what is known of the tables now. It never changes; Reload replaces it.
func (db *DB) Catalog() *Catalog { return db.catalog.Load() }

// Reload reads the tables again, after a migration. nanoids gives for a table its nanoid columns with their length in characters (0 is
// 21); tables that it does not name keep what they had.
func (db *DB) Reload(ctx context.Context, nanoids map[string]map[string]int) error {
	return ErrUnsupported
}

// SQL opens the same database through database/sql, for migrations: once, lazily. Close of the DB closes it. After a change of tables call
// [DB.Reload].
func (db *DB) SQL() (*sql.DB, error) { return nil, ErrUnsupported }

// Target is where package buffer flushes to: it implements buffer.Target.
func (db *DB) Target() *Target { return nil }

// Version is the engine and its version, such as "sqlite 3.53.1".
func (db *DB) Version() string { return "" }

// Ping reads from the database, to say whether it answers.
func (db *DB) Ping(ctx context.Context) error { return ErrUnsupported }

// Checkpoint moves the write-ahead log of SQLite into the database file and empties it, as far as readers let it.
func (db *DB) Checkpoint(ctx context.Context) error { return ErrUnsupported }

// Close waits for statements that run, rolls back transactions that are open, and closes the database. What comes after it gets
// [abi.ErrnoClosed]. A second Close does nothing.
func (db *DB) Close() error { return nil }

// Stat is a snapshot of counters.
type Stat struct {
	Readers       int    // connections that read
	ReadersInUse  int    // of them at work
	WriterInUse   bool   // the writer is at work or held by a transaction
	Waiting       int    // callers in the queues
	Queries       uint64 // statements run
	Errors        uint64 // of them with an error
	Compiled      int    // compiled shapes kept
	Reopened      uint64 // connections replaced after a fault
	WALBytes      int64  // size of the write-ahead log
	DatabaseBytes int64  // size of the database file
}

// Stat takes a snapshot.
func (db *DB) Stat() Stat { return Stat{} }

// Tx is a transaction. Its statements run in turn. Statements given a context of their own also end with the transaction's.
type Tx struct{}

// Query is like [DB.Query], within the transaction. In a read-only one a write is [abi.ErrnoInvalid].
func (tx *Tx) Query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	return dst, ErrUnsupported
}

// Commit makes the transaction durable. After an error nothing of it is in the database, unless the text says that it is not known.
func (tx *Tx) Commit(ctx context.Context) error { return ErrUnsupported }

// Rollback undoes the transaction and frees its connection. After Commit or Rollback it does nothing and returns nil.
func (tx *Tx) Rollback() error { return nil }
