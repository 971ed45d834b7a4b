package buffer_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/buffer/buffertest"
)

// sqliteTarget is a plain Target on SQLite: every change is a statement of its own.
type sqliteTarget struct{ db *sql.DB }

const sqliteTables = `
CREATE TABLE IF NOT EXISTS odac_buffer_ledger (node TEXT NOT NULL, lane TEXT NOT NULL, applied INTEGER NOT NULL,
	PRIMARY KEY (node, lane)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS odac_buffer_dead (id INTEGER PRIMARY KEY, node TEXT NOT NULL, lane TEXT NOT NULL,
	first_lsn INTEGER NOT NULL, last_lsn INTEGER NOT NULL, kind TEXT NOT NULL, change TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS odac_buffer_dead_lane ON odac_buffer_dead (node, lane, last_lsn);`

func itemsSchema() string {
	var s strings.Builder
	s.WriteString(`CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, title TEXT NOT NULL CHECK (length(title) <= 100), n INTEGER, note TEXT, data BLOB`)
	for i := 1; i <= 20; i++ {
		fmt.Fprintf(&s, ", c%02d INTEGER", i)
	}
	s.WriteString(`); CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, note TEXT NOT NULL);`)
	return s.String()
}

func openSQLite(path string) (*sqliteTarget, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	if _, err := db.Exec(itemsSchema()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &sqliteTarget{db}, nil
}

func newSQLite(t testing.TB, path string) *sqliteTarget {
	t.Helper()
	target, err := openSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.db.Close() })
	return target
}

func (s *sqliteTarget) Applied(ctx context.Context, node string, lane buffer.Lane) (buffer.LSN, error) {
	tx, err := s.db.BeginTx(ctx, nil) // immediate: waits for whoever writes
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec(sqliteTables); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(`INSERT INTO odac_buffer_ledger VALUES (?, ?, 0) ON CONFLICT DO NOTHING`, node, lane.String()); err != nil {
		return 0, err
	}
	var at int64
	if err := tx.QueryRow(`SELECT applied FROM odac_buffer_ledger WHERE node = ? AND lane = ?`, node, lane.String()).Scan(&at); err != nil {
		return 0, err
	}
	return buffer.LSN(at), tx.Commit()
}

func (s *sqliteTarget) Dead(ctx context.Context, node string, lane buffer.Lane, from, to buffer.LSN) ([]buffer.Dead, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT kind, change, reason FROM odac_buffer_dead
		WHERE node = ? AND lane = ? AND last_lsn > ? AND last_lsn <= ?`, node, lane.String(), int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []buffer.Dead
	for rows.Next() {
		var kind, change, reason string
		if err := rows.Scan(&kind, &change, &reason); err != nil {
			return nil, err
		}
		var c buffer.Change
		if err := json.Unmarshal([]byte(change), &c); err != nil {
			return nil, err
		}
		k := map[string]buffer.Kind{"insert": buffer.KindInsert, "set": buffer.KindSet, "delete": buffer.KindDelete}[kind]
		out = append(out, buffer.Dead{Kind: k, Key: c.Key, First: c.First, Last: c.Last, Reason: reason})
	}
	return out, rows.Err()
}

func (s *sqliteTarget) Apply(ctx context.Context, b *buffer.Batch) (buffer.Result, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return buffer.Result{}, err
	}
	defer func() { _ = tx.Rollback() }()
	res, err := tx.Exec(`UPDATE odac_buffer_ledger SET applied = ? WHERE node = ? AND lane = ? AND applied = ?`,
		int64(b.To), b.Node, b.Lane.String(), int64(b.From))
	if err != nil {
		return buffer.Result{}, err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return buffer.Result{}, errors.Join(buffer.ErrFenced, err)
	}
	a := applier{tx: tx, batch: b, stmts: map[string]*sql.Stmt{}}
	defer a.close()
	for _, phase := range []struct {
		kind    buffer.Kind
		changes []buffer.Change
		exec    func(*buffer.Change) error
	}{
		{buffer.KindInsert, b.Inserts, a.insert},
		{buffer.KindSet, b.Updates, a.update},
		{buffer.KindDelete, b.Deletes, a.delete},
	} {
		for i := range phase.changes {
			if err := ctx.Err(); err != nil {
				return buffer.Result{}, err
			}
			err := phase.exec(&phase.changes[i])
			if err != nil && !poison(err) {
				return buffer.Result{}, err
			}
			if err == nil {
				continue
			}
			if err := a.setAside(phase.kind, &phase.changes[i], err); err != nil {
				return buffer.Result{}, err
			}
		}
	}
	return a.res, tx.Commit()
}

// poison tells whether the row is at fault, not the moment.
func poison(err error) bool {
	for _, code := range []error{
		sqlite3.BUSY, sqlite3.LOCKED, sqlite3.FULL, sqlite3.IOERR, sqlite3.INTERRUPT, sqlite3.READONLY,
		sqlite3.NOMEM, sqlite3.CANTOPEN, sqlite3.CORRUPT, sqlite3.PROTOCOL, sqlite3.NOTADB,
	} {
		if errors.Is(err, code) {
			return false
		}
	}
	var lite *sqlite3.Error
	return errors.As(err, &lite) || errors.Is(err, errRow)
}

var errRow = errors.New("row")

type applier struct {
	tx    *sql.Tx
	batch *buffer.Batch
	stmts map[string]*sql.Stmt
	res   buffer.Result
}

func (a *applier) close() {
	for _, s := range a.stmts {
		_ = s.Close()
	}
}

func (a *applier) exec(query string, args []any) (int64, error) {
	stmt := a.stmts[query]
	if stmt == nil {
		var err error
		if stmt, err = a.tx.Prepare(query); err != nil {
			return 0, err
		}
		a.stmts[query] = stmt
	}
	res, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (a *applier) insert(c *buffer.Change) error {
	var names, marks []string
	var args []any
	for _, cols := range [][]buffer.Column{c.Key, c.Set} {
		for _, col := range cols {
			names, marks, args = append(names, quote(col.Name)), append(marks, "?"), append(args, col.Value.Any())
		}
	}
	_, err := a.exec("INSERT INTO "+quote(a.batch.Lane.Table)+" ("+strings.Join(names, ",")+") VALUES ("+strings.Join(marks, ",")+")", args)
	return err
}

func where(c *buffer.Change, args []any) (string, []any) {
	var conds []string
	for _, col := range c.Key {
		conds, args = append(conds, quote(col.Name)+" = ?"), append(args, col.Value.Any())
	}
	return " WHERE " + strings.Join(conds, " AND "), args
}

func (a *applier) update(c *buffer.Change) error {
	var sets []string
	var args, guardArgs []any
	guard := ""
	for _, col := range c.Set {
		sets, args = append(sets, quote(col.Name)+" = ?"), append(args, col.Value.Any())
	}
	for _, d := range c.Add {
		name := quote(d.Name)
		sets, args = append(sets, name+" = coalesce("+name+", 0) + ?"), append(args, d.By)
		if d.By >= 0 {
			guard += " AND typeof(" + name + ") IN ('integer', 'null') AND coalesce(" + name + ", 0) <= ?"
			guardArgs = append(guardArgs, math.MaxInt64-d.By)
		} else {
			guard += " AND typeof(" + name + ") IN ('integer', 'null') AND coalesce(" + name + ", 0) >= ?"
			guardArgs = append(guardArgs, math.MinInt64-d.By)
		}
	}
	cond, args := where(c, args)
	table := quote(a.batch.Lane.Table)
	n, err := a.exec("UPDATE "+table+" SET "+strings.Join(sets, ", ")+cond+guard, append(args, guardArgs...))
	if err != nil || n > 0 {
		return err
	}
	cond, args = where(c, nil)
	if err := a.tx.QueryRow("SELECT count(*) FROM "+table+cond, args...).Scan(&n); err != nil {
		return err
	}
	switch {
	case n > 0:
		return fmt.Errorf("%w: increment of something else than an integer, or past 64 bits", errRow)
	case a.batch.Missing == buffer.MissingDrop:
		a.res.Dropped++
		return nil
	case a.batch.Missing == buffer.MissingUpsert:
		up := buffer.Change{Key: c.Key, Set: append([]buffer.Column{}, c.Set...)}
		for _, d := range c.Add {
			up.Set = append(up.Set, buffer.Column{Name: d.Name, Value: buffer.Int(d.By)})
		}
		return a.insert(&up)
	default:
		return fmt.Errorf("%w: no such row", errRow)
	}
}

func (a *applier) delete(c *buffer.Change) error {
	cond, args := where(c, nil)
	_, err := a.exec("DELETE FROM "+quote(a.batch.Lane.Table)+cond, args)
	return err
}

func (a *applier) setAside(kind buffer.Kind, c *buffer.Change, reason error) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	a.res.Dead = append(a.res.Dead, buffer.Dead{Kind: kind, Key: c.Key, First: c.First, Last: c.Last, Reason: reason.Error()})
	_, err = a.exec(`INSERT INTO odac_buffer_dead (node, lane, first_lsn, last_lsn, kind, change, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		[]any{a.batch.Node, a.batch.Lane.String(), int64(c.First), int64(c.Last), kind.String(), string(data), reason.Error(), time.Now().UTC()})
	return err
}

func TestSQLiteConforms(t *testing.T) {
	buffertest.TestTarget(t, func(t *testing.T) buffertest.Fixture {
		s := newSQLite(t, t.TempDir()+"/db")
		return buffertest.Fixture{Target: s, Conn: "default", Row: s.row, Count: s.count}
	})
}

func (s *sqliteTarget) row(ctx context.Context, id string, columns ...string) ([]buffer.Value, error) {
	dest, out := make([]any, len(columns)), make([]any, len(columns))
	for i := range out {
		dest[i] = &out[i]
	}
	err := s.db.QueryRowContext(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM items WHERE id = ?", id).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	values := make([]buffer.Value, len(out))
	for i, v := range out {
		switch v := v.(type) {
		case int64:
			values[i] = buffer.Int(v)
		case float64:
			values[i] = buffer.Float(v)
		case string:
			values[i] = buffer.Text(v)
		case []byte:
			values[i] = buffer.Bytes(v)
		}
	}
	return values, err
}

func (s *sqliteTarget) count(ctx context.Context, table string) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n)
	return n, err
}
