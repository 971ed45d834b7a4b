package database

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

// pragma runs a pragma and returns its one number.
func pragma(db *sqlite3.Conn, sql string) (int64, error) {
	st, _, err := db.Prepare("PRAGMA " + sql)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	if st.Step() {
		n = st.ColumnInt64(0)
	}
	return n, errors.Join(st.Err(), st.Close())
}

// limitPages holds a connection that writes to the largest file. SQLite keeps that of each connection by itself. A file that is larger may not grow.
func limitPages(db *sqlite3.Conn, cfg Config) error {
	if cfg.MaxSizeBytes == 0 {
		return nil
	}
	size, err := pragma(db, "page_size")
	if err != nil {
		return err
	}
	_, err = pragma(db, "max_page_count="+strconv.FormatInt(max(1, cfg.MaxSizeBytes/size), 10))
	return err
}

// overSize is the error of a write that would make the file larger than it may be, nil if err is another one: SQLite calls a full disk the same, but then the file
// is far from its limit.
func (c *sqliteConn) overSize(err error) error {
	limit := c.engine.cfg.MaxSizeBytes
	if limit == 0 || c.db == nil || !errors.Is(err, sqlite3.FULL) {
		return nil
	}
	trusted := c.trusted
	c.trusted = true
	defer func() { c.trusted = trusted }()
	pages, err := pragma(c.db, "page_count")
	size, err2 := pragma(c.db, "page_size")
	if errors.Join(err, err2) == nil && pages*size < limit/2 {
		return nil
	}
	c.engine.full.Store(true)
	return errFull(limit)
}

func errFull(limit int64) error {
	return abi.NewError(abi.ErrnoLimit, fmt.Sprintf("database: the tenant's tables have reached %d bytes (maxSize of the database): delete rows, or ask the operator for more", limit))
}

// Full is an error if the last write was refused because of [Config.MaxSizeBytes]. Only SQLite knows.
func (db *DB) Full() error {
	if e, ok := db.engine.(*sqlite); ok && e.full.Load() {
		return errFull(e.cfg.MaxSizeBytes)
	}
	return nil
}
