package database

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// everyone is the policy that lets all roles reach all rows of a table on which others are restricted. Without one, row-level security shows
// none.
const everyone = "odac_everyone"

// setPolicies makes the restrictive policies of a role exactly these, by table. One that is as it should be is left alone: to change it locks
// the table.
func (t postgresTenancy) setPolicies(ctx context.Context, tx pgx.Tx, place, role string, want map[string]string) error {
	rows, err := tx.Query(ctx, `SELECT c.relname::text, coalesce(obj_description(p.oid, 'pg_policy'), '') FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND p.polname = $2 AND c.relrowsecurity AND NOT p.polpermissive AND EXISTS (SELECT FROM pg_policy e WHERE e.polrelid = c.oid AND e.polname = $3)`, place, role, everyone)
	if err != nil {
		return err
	}
	type policy struct{ Table, Text string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[policy])
	if err != nil {
		return err
	}
	have := map[string]string{}
	for _, p := range list {
		if have[p.Table] = p.Text; want[p.Table] == "" {
			if err := execAll(ctx, tx, "DROP POLICY "+t.quote(role)+" ON "+t.quote(place)+"."+t.quote(p.Table)); err != nil {
				return err
			}
		}
	}
	for _, table := range slices.Sorted(maps.Keys(want)) {
		if have[table] == want[table] {
			continue
		}
		name, sql := t.quote(place)+"."+t.quote(table), want[table]
		if err := execAll(ctx, tx,
			"ALTER TABLE "+name+" ENABLE ROW LEVEL SECURITY",
			"DROP POLICY IF EXISTS "+t.quote(everyone)+" ON "+name,
			"CREATE POLICY "+t.quote(everyone)+" ON "+name+" USING (true) WITH CHECK (true)",
			"DROP POLICY IF EXISTS "+t.quote(role)+" ON "+name,
			"CREATE POLICY "+t.quote(role)+" ON "+name+" AS RESTRICTIVE TO "+t.quote(role)+" USING ("+sql+") WITH CHECK ("+sql+")",
			"COMMENT ON POLICY "+t.quote(role)+" ON "+name+" IS "+quoteText(sql),
		); err != nil {
			return err
		}
	}
	return t.openTables(ctx, tx, place)
}

// openTables ends row-level security where nobody is restricted any more.
func (t postgresTenancy) openTables(ctx context.Context, tx pgx.Tx, place string) error {
	rows, err := tx.Query(ctx, `SELECT c.relname::text FROM pg_policy e JOIN pg_class c ON c.oid = e.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND e.polname = $2 AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname <> $2)`, place, everyone)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		name := t.quote(place) + "." + t.quote(table)
		if err := execAll(ctx, tx, "DROP POLICY "+t.quote(everyone)+" ON "+name, "ALTER TABLE "+name+" DISABLE ROW LEVEL SECURITY"); err != nil {
			return err
		}
	}
	return nil
}
