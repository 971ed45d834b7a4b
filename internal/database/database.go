package database

import (
	"context"
	"database/sql"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
)

// DB is one open database, as somebody may reach it.
type DB struct {
	*opened
	access *Access // nil is everything
	role   bool    // of a user that has what it was granted, and nothing else
}

// opened is what the DBs of one database and user share.
type opened struct {
	cfg     Config
	engine  engine
	catalog *atomic.Pointer[Catalog] // shared with those of As
	queries atomic.Uint64
	errors  atomic.Uint64

	ctx   context.Context // ends when Close begins, and with it transactions
	close func() error

	reload  sync.Mutex    // one Reload at a time, so that none is lost
	cursors chan struct{} // holds a token for each cursor outside of a transaction
}

// Open opens the database and reads its tables. Close it.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	e, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	db := makeDB(cfg, e, new(atomic.Pointer[Catalog]))
	if err := db.Reload(ctx, nil); err != nil {
		_ = db.Close() // the first error says what is wrong
		return nil, err
	}
	return db, nil
}

func open(ctx context.Context, cfg Config) (engine, error) {
	switch cfg.Type {
	case typePostgres:
		return openPostgres(ctx, cfg)
	case typeMySQL:
		return openMySQL(ctx, cfg)
	}
	return openSQLite(ctx, cfg)
}

func makeDB(cfg Config, e engine, catalog *atomic.Pointer[Catalog]) *DB {
	db := &DB{opened: &opened{cfg: cfg, engine: e, catalog: catalog, cursors: make(chan struct{}, max(1, cfg.ConnectionLimit/2))}}
	var cancel context.CancelFunc
	db.ctx, cancel = context.WithCancel(context.Background())
	db.close = sync.OnceValue(func() error {
		cancel()
		return e.close()
	})
	return db
}

// As is the same database as another user of its server sees it, in a pool of its own of at most that many connections, which opens with its
// first use. What is known of the tables is shared. Close it before db. SQLite has no users.
func (db *DB) As(user, password string, connectionLimit int) (*DB, error) {
	cfg := db.cfg
	cfg.User, cfg.Password, cfg.ConnectionLimit = user, password, connectionLimit
	e, err := db.engine.as(cfg)
	if err != nil {
		return nil, err
	}
	out := makeDB(cfg, e, db.catalog)
	out.access, out.role = db.access, true
	return out, nil
}

// Under is the same database for statements that may reach what a allows and nothing else: every column that is not granted is as if it was not there, and
// the rows are those of its policies. It has nothing to close.
func (db *DB) Under(a *Access) *DB {
	if a != nil && db.walled() {
		walled := *a
		walled.walled = true
		a = &walled
	}
	return &DB{opened: db.opened, access: a, role: db.role}
}

// Query runs one statement of any verb by itself and appends the encoded [abi.Result] to dst. With an error dst comes back
// as it was. The message is a MessagePack fixmap of at most 4 pairs without the key "h" ([abi.Result].Cached), so that a cache can
// add it: add 1 to the first byte and append the pair.
func (db *DB) Query(ctx context.Context, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	st, err := db.statement(ctx, q)
	if err != nil {
		return dst, db.counted(err)
	}
	return db.Run(ctx, Description{statement: st}, q, budget, dst)
}

// Run is Query of what [DB.Describe] described without an error.
func (db *DB) Run(ctx context.Context, what Description, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	out, err := db.run(ctx, what.statement, q, budget, dst)
	return out, db.counted(err)
}

// counted counts a statement that was run, and its error.
func (db *DB) counted(err error) error {
	db.queries.Add(1)
	if err != nil {
		db.errors.Add(1)
	}
	return err
}

func (db *DB) run(ctx context.Context, st *statement, q *abi.Query, budget Budget, dst []byte) ([]byte, error) {
	if st.lock {
		return dst, invalidf("a lock lasts as long as its transaction: begin one for the select from %s", st.table.Name)
	}
	s, err := db.engine.acquire(ctx, st.verb != abi.VerbSelect)
	if err != nil {
		return dst, err
	}
	defer s.release()
	return s.run(ctx, st, q, budget.withDefaults(), dst)
}

// statement compiles q. With an error of SQL text the statement has only its touches.
func (db *DB) statement(ctx context.Context, q *abi.Query) (*statement, error) {
	if q.SQL == "" {
		return db.Catalog().compileFor(db.engine.dialect(), db.access, q)
	}
	st, err := db.raw(ctx, q)
	if err := db.mayRaw(st); err != nil {
		return st, err
	}
	return st, err
}

// raw describes SQL text, or finds it described.
func (db *DB) raw(ctx context.Context, q *abi.Query) (*statement, error) {
	if err := checkRaw(q); err != nil {
		return &statement{}, err
	}
	if db.OnServer() && !db.role {
		return &statement{}, failf(abi.ErrnoDenied, "SQL text runs as a role of the plugin's own, which this database has not: run odachost tenant add for the tenant, then deploy the plugin again")
	}
	e, ok := db.engine.(rawEngine)
	if !ok {
		return &statement{}, failf(abi.ErrnoUnsupported, "this database takes no SQL text: build the query")
	}
	c := db.Catalog()
	shape := appendNames(appendCount(append(append(db.access.shape(nil), rawShape), q.SQL...), len(q.Args)), q.Names)
	if st := c.statements.get(shape); st != nil {
		return st, nil
	}
	d := db.engine.dialect()
	raw, err := scanRaw(q.SQL, e.syntax(), d.param)
	if err != nil {
		return &statement{}, err
	}
	raw.access = db.access
	st, err := e.describe(ctx, c, raw)
	if err != nil {
		return st, err
	}
	if st.params, err = raw.bind(q); err != nil {
		return st, err
	}
	if len(shape) <= maxKeptText {
		c.statements.put(shape, st)
	}
	return st, nil
}

// maxKeptText is the longest text that is kept described, in bytes: longer texts are rarely sent twice.
const maxKeptText = 16 << 10

// rawShape begins the shape of SQL text; no verb is so high.
const rawShape = 0xff

// Description is what is known of a query before it runs.
type Description struct {
	Touches  []Touch
	Write    bool // it changes or locks rows
	Volatile bool // its answer changes without a write: do not cache it

	statement *statement
}

// Describe checks q and says what it does. SQL text, the first time, takes a connection that reads. With an error the touches are those that
// are known: whoever may not reach them should be told that, and not the error.
func (db *DB) Describe(ctx context.Context, q *abi.Query) (Description, error) {
	st, err := db.statement(ctx, q)
	if st == nil {
		return Description{}, err
	}
	return Description{Touches: st.touches, Write: st.verb != abi.VerbSelect || st.lock, Volatile: st.volatile || st.raw.now(q), statement: st}, err
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
// foreign keys lead to. A joined table, and one of a sub-query, is selected from; an insert that updates on conflict is an insert and an update; a
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
	st, err := db.Catalog().compileFor(db.engine.dialect(), db.access, q)
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

// Target is where package buffer flushes to. It moves no cache generation: who has a cache wraps it.
func (db *DB) Target() buffer.Target { return db.engine.target(db) }

// OnServer says whether the database is one of a server, with users, rather than a file.
func (db *DB) OnServer() bool { return db.cfg.Type != typeSQLite }

// Version is the engine and its version, such as "sqlite 3.53.1".
func (db *DB) Version() string { return db.engine.version() }

// Ping reads a row of some table, to say whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	for _, t := range db.Catalog().tables {
		q := &abi.Query{Table: t.Name, Limit: 1}
		st, err := db.statement(ctx, q)
		if err == nil {
			_, err = db.run(ctx, st, q, Budget{}, nil)
		}
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
