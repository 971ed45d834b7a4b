package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/odac-run/odachost/host"
)

// The statements of the native sides, with $ for a parameter.
const (
	pointSQL  = "SELECT id, name, note FROM items WHERE id = $ LIMIT 1"
	rowsSQL   = "SELECT id, name, note, views, score, price, live, seen, day, meta FROM items"
	insertSQL = "INSERT INTO entries (name, amount, at) VALUES ($, $, $)"
	updateSQL = "UPDATE entries SET hits = hits + 1 WHERE id = $"
	hitsSQL   = "SELECT id, hits FROM entries WHERE id = $ LIMIT 1"
)

var errOther = errors.New("other rows")

// item is what a program makes of a row.
type item struct {
	id, views         int64
	name, note, price string
	score             float64
	live              bool
	seen, day         time.Time
	meta              string
}

// nativePostgres is pgx with its own pool, which prepares what it sees again.
type nativePostgres struct{ pool *pgxpool.Pool }

func newNativePostgres(ctx context.Context, cfg host.DatabaseConfig, tables []string) (native, error) {
	pool, err := pgxpool.New(ctx, cfg.URL)
	if err != nil {
		return nil, err
	}
	for _, sql := range tables {
		if _, err := pool.Exec(ctx, sql); err != nil {
			pool.Close()
			return nil, err
		}
	}
	return &nativePostgres{pool}, nil
}

// numbered has the parameters as PostgreSQL writes them.
func numbered(sql string) string {
	var out strings.Builder
	for i, part := range strings.Split(sql, "$") {
		if i > 0 {
			fmt.Fprint(&out, "$", i)
		}
		out.WriteString(part)
	}
	return out.String()
}

func (p *nativePostgres) close() error {
	p.pool.Close()
	return nil
}

var pgPoint, pgInsert, pgUpdate, pgHits = numbered(pointSQL), numbered(insertSQL), numbered(updateSQL), numbered(hitsSQL)

func (p *nativePostgres) point(ctx context.Context, i int) error {
	var it item
	return p.pool.QueryRow(ctx, pgPoint, i%1000+1).Scan(&it.id, &it.name, &it.note)
}

func (p *nativePostgres) rows1000(ctx context.Context, _ int) error {
	rows, err := p.pool.Query(ctx, rowsSQL)
	if err != nil {
		return err
	}
	defer rows.Close()
	items := make([]item, 0, 1000)
	for rows.Next() {
		items = append(items, item{})
		it := &items[len(items)-1]
		if err := rows.Scan(&it.id, &it.name, &it.note, &it.views, &it.score, &it.price, &it.live, &it.seen, &it.day, &it.meta); err != nil {
			return err
		}
	}
	if len(items) != 1000 {
		return errOther
	}
	return rows.Err()
}

func (p *nativePostgres) insert(ctx context.Context, i int) error {
	var id int64
	return p.pool.QueryRow(ctx, pgInsert+" RETURNING id", "an entry", "12.50", time.Unix(int64(i), 0)).Scan(&id)
}

func (p *nativePostgres) tx(ctx context.Context, i int) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pgUpdate, i%10+1); err != nil {
			return err
		}
		var id, hits int64
		return tx.QueryRow(ctx, pgHits, i%10+1).Scan(&id, &hits)
	})
}

// nativeMariaDB is database/sql with prepared statements.
type nativeMariaDB struct {
	db                          *sql.DB
	one, all, add, change, hits *sql.Stmt
}

func newNativeMariaDB(ctx context.Context, cfg host.DatabaseConfig, tables []string) (native, error) {
	address := strings.TrimPrefix(cfg.URL, "mysql://")
	user, rest, _ := strings.Cut(address, "@")
	where, name, _ := strings.Cut(rest, "/")
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName, c.ParseTime, c.Collation = user, "tcp", where, name, true, "utf8mb4_bin"
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	p := &nativeMariaDB{db: sql.OpenDB(connector)}
	for _, text := range tables {
		if _, err := p.db.ExecContext(ctx, text); err != nil {
			return nil, errors.Join(err, p.db.Close())
		}
	}
	for text, st := range map[string]**sql.Stmt{pointSQL: &p.one, rowsSQL: &p.all, insertSQL: &p.add, updateSQL: &p.change, hitsSQL: &p.hits} {
		if *st, err = p.db.PrepareContext(ctx, strings.ReplaceAll(text, "$", "?")); err != nil {
			return nil, errors.Join(err, p.db.Close())
		}
	}
	return p, nil
}

// mariadbURL is the URL of what testkit calls user@tcp(host:port)/database.
func mariadbURL(name string) string {
	return "mysql://" + strings.NewReplacer("tcp(", "", ")", "").Replace(name)
}

func (p *nativeMariaDB) close() error { return p.db.Close() }

func (p *nativeMariaDB) point(ctx context.Context, i int) error {
	var it item
	return p.one.QueryRowContext(ctx, i%1000+1).Scan(&it.id, &it.name, &it.note)
}

func (p *nativeMariaDB) rows1000(ctx context.Context, _ int) error {
	rows, err := p.all.QueryContext(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	items := make([]item, 0, 1000)
	for rows.Next() {
		items = append(items, item{})
		it := &items[len(items)-1]
		if err := rows.Scan(&it.id, &it.name, &it.note, &it.views, &it.score, &it.price, &it.live, &it.seen, &it.day, &it.meta); err != nil {
			return err
		}
	}
	if len(items) != 1000 {
		return errOther
	}
	return rows.Err()
}

func (p *nativeMariaDB) insert(ctx context.Context, i int) error {
	result, err := p.add.ExecContext(ctx, "an entry", "12.50", time.Unix(int64(i), 0).UTC())
	if err != nil {
		return err
	}
	_, err = result.LastInsertId()
	return err
}

func (p *nativeMariaDB) tx(ctx context.Context, i int) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var id, hits int64
	_, err = tx.StmtContext(ctx, p.change).ExecContext(ctx, i%10+1)
	if err == nil {
		err = tx.StmtContext(ctx, p.hits).QueryRowContext(ctx, i%10+1).Scan(&id, &hits)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
