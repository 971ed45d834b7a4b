package database

import (
	"context"
	"database/sql"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/odac-run/odachost/abi"
)

// DB is one open database.
type DB struct {
	cfg     Config
	engine  engine
	catalog atomic.Pointer[Catalog]
	queries atomic.Uint64
	errors  atomic.Uint64

	ctx   context.Context // ends when Close begins, and with it transactions
	close func() error

	reload sync.Mutex // one Reload at a time, so that none is lost
}

// Open opens the database and reads its tables. Close it.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e, err := openSQLite(ctx, cfg)
	if err != nil {
		return nil, err
	}
	db := &DB{cfg: cfg, engine: e}
	var cancel context.CancelFunc
	db.ctx, cancel = context.WithCancel(context.Background())
	db.close = sync.OnceValue(func() error {
		cancel()
		return e.close()
	})
	if err := db.Reload(ctx, nil); err != nil {
		_ = db.Close() // the first error says what is wrong
		return nil, err
	}
	return db, nil
}

// Query runs one statement of any verb by itself and appends the encoded [abi.Result] to dst. With an error dst comes back
// as it was. The message is a MessagePack fixmap of at most 4 pairs without the key "h" ([abi.Result].Cached), so that a cache can
// add it: add 1 to the first byte and append the pair.
func (db *DB) Query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	db.queries.Add(1)
	out, err := db.query(ctx, q, budget, dst)
	if err != nil {
		db.errors.Add(1)
	}
	return out, err
}

func (db *DB) query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	st, err := db.Catalog().compile(db.engine.dialect(), q)
	if err != nil {
		return dst, err
	}
	s, err := db.engine.acquire(ctx, st.verb != abi.VerbSelect)
	if err != nil {
		return dst, err
	}
	defer s.release()
	return s.run(ctx, st, q, budget.withDefaults(), dst)
}

// Touch is a table that a query reads or writes.
type Touch struct {
	Table string
	Verb  abi.Verb
	// Indirect: the query does not name the table. A view, a trigger or a foreign key leads there. Grants do not ask for it,
	// caches and their invalidation do.
	Indirect bool
}

// Touches lists the tables that q reads and writes: those it names first, with the verb for each, then those that views, triggers and
// foreign keys lead to. A joined table is selected from; an insert that updates on conflict is an insert and an update; a
// write with returning is a select too. What a write looks at indirectly is left out. A write that says nothing but its table gives what any write of that verb may touch. An unknown
// table, and any other defect of q, is [abi.ErrnoInvalid]. The slice is shared: do not change it.
func (db *DB) Touches(q *abi.Query) ([]Touch, error) {
	if q.Verb != abi.VerbSelect && len(q.Fields)+len(q.Increments)+len(q.Where)+len(q.Returning) == 0 && q.Conflict == nil {
		c := db.Catalog()
		if _, ok := c.Table(q.Table); !ok || int(q.Verb) >= len(abi.Verbs) {
			return nil, invalidf("there is no %s of a table %s", q.Verb, clip(q.Table))
		}
		return c.close([]Touch{{Table: q.Table, Verb: q.Verb}}), nil
	}
	st, err := db.Catalog().compile(db.engine.dialect(), q)
	if err != nil {
		return nil, err
	}
	return st.touches, nil
}

// Catalog is what is known of the tables now. It never changes; Reload replaces it.
func (db *DB) Catalog() *Catalog { return db.catalog.Load() }

// Reload reads the tables again, after a migration. nanoids gives for a table its nanoid columns with their length in characters (0 is
// 21); tables that it does not name keep what they had.
func (db *DB) Reload(ctx context.Context, nanoids map[string]map[string]int) error {
	db.reload.Lock()
	defer db.reload.Unlock()
	c, err := db.engine.inspect(ctx)
	if err != nil {
		return err
	}
	all := map[string]map[string]int{}
	if old := db.Catalog(); old != nil {
		maps.Copy(all, old.nanoids)
	}
	maps.Copy(all, nanoids)
	c.setNanoids(all)
	db.catalog.Store(c)
	return nil
}

// SQL opens the same database through database/sql, for migrations: once, lazily. Close of the DB closes it. After a change of tables
// call [DB.Reload].
func (db *DB) SQL() (*sql.DB, error) { return db.engine.sql() }

// Target is where package buffer flushes to.
func (db *DB) Target() *Target { return &Target{db} }

// Version is the engine and its version, such as "sqlite 3.53.1".
func (db *DB) Version() string { return db.engine.version() }

// Ping reads a row of some table, to say whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	for _, t := range db.Catalog().tables {
		_, err := db.query(ctx, &abi.Query{Table: t.Name, Limit: 1}, Budget{}, nil)
		return err
	}
	_, err := db.engine.inspect(ctx) // no table yet: the schema is all there is to read
	return err
}

// Checkpoint moves the write-ahead log of SQLite into the database file and empties it, as far as readers let it.
func (db *DB) Checkpoint(ctx context.Context) error { return db.engine.checkpoint(ctx) }

// Close rolls back transactions that are open, waits for statements that run, and closes the database. What comes after it gets
// [abi.ErrnoClosed]. A second Close returns what the first did.
func (db *DB) Close() error { return db.close() }

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
func (db *DB) Stat() Stat {
	s := Stat{Queries: db.queries.Load(), Errors: db.errors.Load(), Compiled: db.Catalog().statements.len()}
	db.engine.stat(&s)
	return s
}
