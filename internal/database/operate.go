package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
)

// Operate opens any database through database/sql, for migrations that a person runs: it sets nothing up that stays, such as WAL mode.
// Without write a file of SQLite is opened for reading only, and one that is not there is an empty database. Close closes it.
func Operate(ctx context.Context, cfg Config, write bool) (db *sql.DB, closeDB func() error, err error) {
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, nil, err
	}
	if cfg.Type == typeSQLite {
		return operateFile(ctx, cfg, write)
	}
	server, err := Open(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	if db, err = server.SQL(); err != nil {
		return nil, nil, errors.Join(err, server.Close())
	}
	return db, server.Close, nil
}

func operateFile(ctx context.Context, cfg Config, write bool) (*sql.DB, func() error, error) {
	path, err := filepath.Abs(cfg.Filename)
	if err != nil {
		return nil, nil, fmt.Errorf("database: %w", err)
	}
	e := &sqlite{cfg: cfg, path: path}
	dsn := e.dsn("mode=ro")
	if write {
		dsn = e.dsn("_txlock=immediate")
	} else if _, err := os.Stat(cfg.Filename); errors.Is(err, fs.ErrNotExist) {
		dsn = "file::memory:"
	}
	db, err := driver.Open(dsn, func(c *sqlite3.Conn) error { return prepareStd(c, cfg) })
	if err == nil {
		err = db.PingContext(ctx)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("database: open %s: %w", cfg.Filename, err)
	}
	return db, db.Close, nil
}
