package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/abi"
)

// sqlite is the engine over one file: a connection that writes and several that read, each with a memory of its own.
//
// Lock order: none. A connection is had by who took it from its queue.
type sqlite struct {
	cfg      Config
	path     string
	number   string // of the version
	writer   *queue
	readers  *queue
	reopened atomic.Uint64
	full     atomic.Bool // a write was refused because of cfg.MaxSizeBytes, and none was made since

	std     func() (*sql.DB, error)
	stdOpen atomic.Pointer[sql.DB]
}

// maxMemory bounds the memory of one connection. Over it a statement fails with abi.ErrnoLimit and its connection is replaced.
const maxMemory = 128 << 20

func openSQLite(ctx context.Context, cfg Config) (*sqlite, error) {
	path, err := filepath.Abs(cfg.Filename)
	if err != nil {
		return nil, fmt.Errorf("database: filename %q: %w", cfg.Filename, err)
	}
	e := &sqlite{cfg: cfg, path: path, writer: newQueue(1), readers: newQueue(cfg.ConnectionLimit)}
	e.std = sync.OnceValues(e.openStd)
	for range cfg.ConnectionLimit {
		e.readers.give(&sqliteConn{engine: e, queue: e.readers}) // opened by its first user
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	w := &sqliteConn{engine: e, queue: e.writer, write: true}
	if err := w.open(ctx); err != nil {
		return nil, e.openError(err)
	}
	e.writer.give(w)
	e.number, err = w.text("SELECT sqlite_version()")
	if err != nil {
		_ = e.close() // the first error says what is wrong
		return nil, e.openError(err)
	}
	return e, nil
}

// createFile makes a new database readable by its owner only; the log beside it follows. SQLite itself would make it for everybody.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("database: the folder of %s does not exist: create it", path)
	case err != nil:
		return fmt.Errorf("database: open %s: %w", path, err)
	}
	return f.Close()
}

// openError is for the operator who starts the program: it may say everything.
func (e *sqlite) openError(err error) error {
	return fmt.Errorf("database: open %s: %w", e.path, err)
}

// dsn is the file as a URI, in which SQLite takes parameters.
func (e *sqlite) dsn(parameters string) string {
	path := filepath.ToSlash(e.path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/...
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: parameters}).String()
}

func (e *sqlite) dialect() dialect { return sqliteDialect{} }

func (e *sqlite) version() string { return "sqlite " + e.number }

func (e *sqlite) acquire(ctx context.Context, write bool) (session, error) {
	c, err := e.take(ctx, write)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (e *sqlite) take(ctx context.Context, write bool) (*sqliteConn, error) {
	q := e.readers
	if write {
		q = e.writer
	}
	c, err := q.take(ctx, e.cfg.BusyTimeout)
	if err != nil {
		return nil, err
	}
	if c.db == nil || c.broken {
		if err := c.reopen(ctx); err != nil {
			c.release()
			return nil, err
		}
	}
	return c, nil
}

// checkpoint waits for the writer, so that no write runs beside it, and for no reader: then writers would wait for readers.
func (e *sqlite) checkpoint(ctx context.Context) (err error) {
	c, err := e.take(ctx, true)
	if err != nil {
		return err
	}
	defer c.release()
	defer c.guard(&err)
	c.db.SetInterrupt(ctx)
	if err := c.db.BusyTimeout(0); err != nil {
		return c.fail(ctx, err, "the log")
	}
	_, _, err = c.db.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	if errors.Is(err, sqlite3.BUSY) {
		err = nil // moved what readers let it
	}
	return c.fail(ctx, errors.Join(err, c.db.BusyTimeout(e.cfg.BusyTimeout)), "the log")
}

func (e *sqlite) stat(s *Stat) {
	s.Readers, s.ReadersInUse = e.readers.size, e.readers.inUse()
	s.WriterInUse = e.writer.inUse() > 0
	s.Waiting = int(e.readers.waiting.Load() + e.writer.waiting.Load())
	s.Reopened = e.reopened.Load()
	if fi, err := os.Stat(e.path + "-wal"); err == nil {
		s.WALBytes = fi.Size()
	}
	if fi, err := os.Stat(e.path); err == nil {
		s.DatabaseBytes = fi.Size()
	}
}

func (e *sqlite) as(Config) (engine, error) {
	return nil, abi.NewError(abi.ErrnoUnsupported, "database: sqlite has no users")
}

func (e *sqlite) sql() (*sql.DB, error) { return e.std() }

func (e *sqlite) openStd() (*sql.DB, error) {
	if e.writer.isClosed() {
		return nil, errClosed
	}
	db, err := driver.Open(e.dsn("_txlock=immediate"), func(c *sqlite3.Conn) error {
		return prepareStd(c, e.cfg)
	})
	if err != nil {
		return nil, e.openError(err)
	}
	e.stdOpen.Store(db)
	return db, nil
}

func (e *sqlite) close() error {
	e.writer.close()
	e.readers.close()
	var errs []error
	if db := e.stdOpen.Load(); db != nil {
		errs = append(errs, db.Close())
	}
	for range e.readers.size {
		errs = append(errs, e.readers.last().close())
	}
	errs = append(errs, e.writer.last().close()) // last: it checkpoints and removes the log
	return errors.Join(errs...)
}
