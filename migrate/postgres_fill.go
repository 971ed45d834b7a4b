package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A backfill goes through the table by its blocks, a transaction for each batch, and makes batches as large as take pgBatchTime. Nothing is
// kept of the rows, and a row is locked for as long as its batch takes. What comes in behind it has a value already.
const (
	pgBatchTime  = 40 * time.Millisecond
	pgFirstBatch = 16 // blocks of 8 KiB
	pgMaxBatch   = 4096
)

// fill plans the backfill of n rows of a column that is there by then.
func (p *pgPlanner) fill(st *pgState, c *Column, n int64) {
	mark := pgFillName(st.name, c.Name)
	p.used[mark] = true
	set := fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s IS NULL", quoteName(st.name), quoteName(c.Name), postgres{}.literal(c, c.Backfill), quoteName(c.Name))
	p.add(stageFill, &Step{
		Kind: Backfill, Table: st.name, Summary: st.name + "." + c.Name, Rows: n, SQL: []string{set}, Lock: pgBatches,
		Post: "no row is without a value", NoInverse: "the column was empty before", outside: true,
		run: func(ctx context.Context, conn *sql.Conn, progress func(int64)) (int64, error) {
			return pgFillBlocks(ctx, conn, st.name, set, progress)
		},
	})
	if st.live.leftover(mark) != nil || st.live.Column(c.Name) == nil {
		p.add(stageNotNull, &Step{
			Kind: AlterTable, Table: st.name, Summary: fmt.Sprintf("%s: %s is filled", st.name, c.Name), SQL: []string{pgDropConstraint(st.name, mark)},
			Post: "the mark of the backfill is gone", NoInverse: "it is only a mark",
		})
	}
}

// pgFillBlocks runs update over the table, block after block.
func pgFillBlocks(ctx context.Context, conn *sql.Conn, table, update string, progress func(int64)) (int64, error) {
	var blocks, rows int64
	size := "SELECT pg_catalog.pg_relation_size($1::text::pg_catalog.regclass) / pg_catalog.current_setting('block_size')::bigint"
	if err := conn.QueryRowContext(ctx, size, quoteName(table)).Scan(&blocks); err != nil {
		return 0, err
	}
	batch := int64(pgFirstBatch)
	said := time.Now()
	for at := int64(0); at < blocks; {
		start := time.Now()
		next := min(at+batch, blocks)
		n, err := execCount(ctx, conn, fmt.Sprintf("%s AND ctid >= '(%d,0)'::tid AND ctid < '(%d,0)'::tid", update, at, next))
		if err != nil {
			return rows, err
		}
		rows += n
		at = next
		switch took := time.Since(start); {
		case took < pgBatchTime/2:
			batch = min(2*batch, pgMaxBatch)
		case took > pgBatchTime:
			batch = max(batch/2, 1)
		}
		if time.Since(said) > time.Second {
			said = time.Now()
			progress(rows)
		}
	}
	return rows, nil
}

// fillable looks for rows to which an expression would give no value, where one is needed.
func (p *pgPlanner) fillable(e *pgEdit, c *Column, empty string) error {
	if c.Backfill == nil || c.Backfill.Expr == "" || c.Nullable == nil || *c.Nullable {
		return nil
	}
	_, err := p.refuse(e, c.Name, "("+empty+") AND "+postgres{}.literal(c, c.Backfill)+" IS NULL", "the backfill gives %d rows no value")
	return err
}

// pgPatient runs statements that make nobody wait, however long they wait themselves.
func pgPatient(queries ...string) func(context.Context, *sql.Conn, func(int64)) (int64, error) {
	return func(ctx context.Context, conn *sql.Conn, _ func(int64)) (rows int64, err error) {
		return 0, patiently(ctx, conn, func() error {
			for _, query := range queries {
				if err := execOne(ctx, conn, query); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// patiently lets do wait for as long as the whole apply may.
func patiently(ctx context.Context, conn *sql.Conn, do func() error) error {
	if _, err := conn.ExecContext(ctx, "SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('"+pgWait+"'), false)"); err != nil {
		return err
	}
	err := do()
	if ctx.Err() != nil { // the connection is closed, or about to be
		return err
	}
	if end := pgSet(ctx, conn, pgSettings[0][0], pgSettings[0][1]); err == nil {
		err = end
	}
	return err
}
