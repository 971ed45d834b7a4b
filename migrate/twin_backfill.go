package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// twinBatch is how many rows one transaction of a backfill looks at: enough to be quick, few enough for writers not to notice.
var twinBatch int64 = 2000

// backfill copies what the rows have in the old column. Triggers keep what is written meanwhile.
func (p *twinPlan) backfill(s *syncing, live *TableInfo, rows int64, hazards []Hazard) *Step {
	x := p.d.syntax()
	set, value := s.to, s.toNew(x.name(s.from))
	if !s.both && s.source == s.to {
		set, value = s.from, s.toOld(x.name(s.to))
	}
	differs := s.x.differs(x.name(set), value)
	query := fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s", x.name(s.table), x.name(set), value, differs)
	step := &Step{
		Kind: Backfill, Table: s.table, Summary: fmt.Sprintf("%s.%s from %s", s.table, set, map[string]string{s.to: s.from, s.from: s.to}[set]), Rows: rows, Rewrite: rows > 0,
		SQL: []string{query}, Hazards: hazards, Lock: "readers go on, writers wait for a batch of rows", Check: "rows whose value would be lost counted",
		Post: "both columns are equal in every row", NoInverse: "the column was empty before",
	}
	if rows <= twinBatch || len(live.PrimaryKey) == 0 {
		return step
	}
	step.outside = true
	step.run = func(ctx context.Context, conn *sql.Conn, progress func(int64)) (int64, error) {
		b := &batches{d: p.d, conn: conn, table: s.table, key: live.PrimaryKey, query: query}
		return b.run(ctx, progress)
	}
	return step
}

// batches runs an UPDATE over a table in the order of its key, a transaction for each batch. It changes only rows that need it, so that
// after a kill it is begun again and goes quickly over what is done.
type batches struct {
	d     dialect
	conn  *sql.Conn
	table string
	key   []string
	query string // ends in a condition
}

func (b *batches) run(ctx context.Context, progress func(int64)) (int64, error) {
	var done int64
	after := ""
	for {
		last, err := b.bound(ctx, after)
		if err != nil {
			return done, err
		}
		var conds []string
		if after != "" {
			conds = append(conds, " AND "+b.tuple()+" > "+after)
		}
		if last != "" {
			conds = append(conds, " AND "+b.tuple()+" <= "+last)
		}
		n, err := b.batch(ctx, b.query+strings.Join(conds, ""))
		if err != nil {
			return done, err
		}
		done += n
		progress(done)
		if last == "" {
			return done, nil
		}
		after = last
	}
}

func (b *batches) tuple() string { return "(" + b.d.syntax().names(b.key) + ")" }

// bound is the key of the batch's last row, as SQL; "" when there are fewer rows.
func (b *batches) bound(ctx context.Context, after string) (string, error) {
	x := b.d.syntax()
	exprs := make([]string, len(b.key))
	for i, name := range b.key {
		exprs[i] = x.show(x.name(name))
	}
	where := ""
	if after != "" {
		where = " WHERE " + b.tuple() + " > " + after
	}
	rows, err := queryTexts(ctx, b.conn, len(exprs), fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT 1 OFFSET %d",
		strings.Join(exprs, ", "), x.name(b.table), where, x.names(b.key), twinBatch-1))
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return "(" + strings.Join(rows[0], ", ") + ")", nil
}

func (b *batches) batch(ctx context.Context, query string) (n int64, err error) {
	if err := b.d.begin(ctx, b.conn); err != nil {
		return 0, err
	}
	n, err = execCount(ctx, b.conn, query)
	if end := b.d.end(context.WithoutCancel(ctx), b.conn, err == nil); err == nil {
		err = end
	}
	return n, err
}
