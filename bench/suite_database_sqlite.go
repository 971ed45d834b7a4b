package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/host"
)

// nativeSQLite is the driver's own connection, statements prepared once, nothing between it and the program.
type nativeSQLite struct {
	db                                               *sqlite3.Conn
	one, all, add, change, hits, begin, commit, undo *sqlite3.Stmt
}

func newNativeSQLite(ctx context.Context, cfg host.DatabaseConfig, tables []string) (native, error) {
	db, err := sqlite3.OpenContext(ctx, "file:"+cfg.Filename)
	if err != nil {
		return nil, err
	}
	p := &nativeSQLite{db: db}
	// As the host's: durable commits, 4 MB of pages.
	err = db.Exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-4000; PRAGMA temp_store=MEMORY; " + strings.Join(tables, "; "))
	for text, st := range map[string]**sqlite3.Stmt{
		pointSQL: &p.one, rowsSQL: &p.all, insertSQL: &p.add, updateSQL: &p.change, hitsSQL: &p.hits,
		"BEGIN IMMEDIATE": &p.begin, "COMMIT": &p.commit, "ROLLBACK": &p.undo,
	} {
		if err == nil {
			*st, _, err = db.PrepareFlags(strings.ReplaceAll(text, "$", "?"), sqlite3.PREPARE_PERSISTENT)
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *nativeSQLite) close() error {
	var errs []error
	for _, st := range []*sqlite3.Stmt{p.one, p.all, p.add, p.change, p.hits, p.begin, p.commit, p.undo} {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	return errors.Join(append(errs, p.db.Close())...)
}

func (p *nativeSQLite) point(_ context.Context, i int) error {
	var it item
	if err := p.one.BindInt64(1, int64(i%1000+1)); err != nil {
		return err
	}
	if !p.one.Step() {
		return errors.Join(errOther, p.one.Reset())
	}
	it.id, it.name, it.note = p.one.ColumnInt64(0), p.one.ColumnText(1), p.one.ColumnText(2)
	return p.one.Reset()
}

func (p *nativeSQLite) rows1000(context.Context, int) error {
	items := make([]item, 0, 1000)
	st := p.all
	for st.Step() {
		items = append(items, item{})
		it := &items[len(items)-1]
		it.id, it.name, it.note, it.views, it.score = st.ColumnInt64(0), st.ColumnText(1), st.ColumnText(2), st.ColumnInt64(3), st.ColumnFloat(4)
		it.price, it.live, it.meta = st.ColumnText(5), st.ColumnBool(6), st.ColumnText(9)
		var err error
		if it.seen, err = time.Parse(time.RFC3339Nano, st.ColumnText(7)); err != nil {
			return err
		}
		if it.day, err = time.Parse(time.DateOnly, st.ColumnText(8)); err != nil {
			return err
		}
	}
	if len(items) != 1000 {
		return errors.Join(errOther, st.Err())
	}
	return st.Reset()
}

func (p *nativeSQLite) insert(_ context.Context, i int) error {
	err := errors.Join(p.add.BindText(1, "an entry"), p.add.BindText(2, "12.50"),
		p.add.BindText(3, time.Unix(int64(i), 0).UTC().Format("2006-01-02T15:04:05.000000000Z")))
	if err == nil {
		err = p.add.Exec()
	}
	if p.db.LastInsertRowID() == 0 {
		return errOther
	}
	return err
}

func (p *nativeSQLite) tx(_ context.Context, i int) error {
	if err := p.begin.Exec(); err != nil {
		return err
	}
	err := p.change.BindInt64(1, int64(i%10+1))
	if err == nil {
		err = p.change.Exec()
	}
	if err == nil {
		err = p.hits.BindInt64(1, int64(i%10+1))
	}
	if err == nil && (!p.hits.Step() || p.hits.ColumnInt64(1) == 0) {
		err = errOther
	}
	if err == nil {
		err = p.hits.Reset()
	}
	if err != nil {
		return errors.Join(err, p.undo.Exec())
	}
	return p.commit.Exec()
}
