package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

// Migration is the plan for one database of a deployment.
type Migration struct {
	Database string
	Plan     *migrate.Plan
	Applied  bool
}

// Migrate plans what the serving revision's schema wants of its databases and, if apply is set, does it. approve is the
// hash of a plan with destructive steps that the operator allows. Without apply nothing is written.
func (h *Host) Migrate(ctx context.Context, tenant, name string, apply bool, approve string) ([]Migration, error) {
	or(&tenant, DefaultTenant)
	d := h.find(key{tenant, name})
	if d == nil {
		return nil, fmt.Errorf("%w: %s/%s", ErrNotDeployed, tenant, name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	rev := d.acquire()
	if rev == nil {
		return nil, fmt.Errorf("%w: %s/%s", ErrNotDeployed, tenant, name)
	}
	defer rev.release()
	stored, err := h.store.Revision(rev.digest)
	if err != nil {
		return nil, err
	}
	return h.migrate(ctx, rev, stored.Bundle, apply, approve)
}

// migrate plans, and applies if it is told to, the bundle's schema on the tenant's databases.
func (h *Host) migrate(ctx context.Context, rev *revision, b *plugins.Bundle, apply bool, approve string) ([]Migration, error) {
	schema, err := loadSchema(b)
	if err != nil || schema == nil {
		return nil, err
	}
	var done []Migration
	for _, name := range schema.Connections() {
		conn, err := rev.tenant.conn(ctx, name)
		if err != nil {
			return done, err
		}
		m, err := h.migrateConn(ctx, rev, conn, schema.Connection(name), apply, approve)
		if err != nil {
			return done, fmt.Errorf("host: plugin %s: schema of database %s: %w", rev.key.name, conn.name, err)
		}
		done = append(done, m)
	}
	return done, nil
}

// loadSchema reads a bundle's schema; nil when it has none.
func loadSchema(b *plugins.Bundle) (*migrate.Schema, error) {
	if entries, err := fs.ReadDir(b.Schema(), "."); err != nil || len(entries) == 0 {
		return nil, nil //nolint:nilerr,nilnil // a bundle without a schema
	}
	return migrate.LoadFS(b.Schema(), ".")
}

func (h *Host) migrateConn(ctx context.Context, rev *revision, conn *connection, schema *migrate.Schema, apply bool, approve string) (Migration, error) {
	m := Migration{Database: conn.name}
	db, err := conn.db.SQL()
	if err != nil {
		return m, err
	}
	pinned, err := db.Conn(ctx)
	if err != nil {
		return m, err
	}
	m.Plan, err = migrate.Status(ctx, pinned, schema, migrate.Options{Owner: rev.key.name})
	if err = errors.Join(err, pinned.Close()); err != nil || !apply {
		return m, err
	}
	if !m.Plan.Empty() {
		// What is buffered was written for the old tables.
		for _, t := range schema.Tables {
			if err := h.buffer.Flush(ctx, conn.lane(t.Name)); err != nil {
				return m, err
			}
		}
		write := conn.cache.BeginWrite(conn.table(""))
		_, err = m.Plan.Apply(ctx, db, migrate.ApplyOptions{Approve: approve})
		write.End()
		if err != nil {
			return m, err
		}
		m.Applied = true
		rev.log.Info("migrated", "database", conn.name, "steps", len(m.Plan.Steps))
	}
	return m, conn.db.Reload(ctx, nanoids(schema))
}

// nanoids are the columns that the database layer fills, which the database itself does not know.
func nanoids(schema *migrate.Schema) map[string]map[string]int {
	out := make(map[string]map[string]int)
	for _, t := range schema.Tables {
		out[t.Name] = t.NanoIDs()
	}
	return out
}

// restore prepares the database for a revision that was deployed before: what a new database file left undone. Where
// that would destroy something, as after a rollback, the database stays as it is.
func (h *Host) restore(ctx context.Context, rev *revision, b *plugins.Bundle) error {
	_, err := h.migrate(ctx, rev, b, true, "")
	var approval *migrate.ApprovalError
	if !errors.As(err, &approval) {
		return err
	}
	rev.log.Info("the database has more than this revision's schema: left as it is")
	schema, err := loadSchema(b)
	if err != nil {
		return err
	}
	for _, name := range schema.Connections() {
		conn, err := rev.tenant.conn(ctx, name)
		if err != nil {
			return err
		}
		if err := conn.db.Reload(ctx, nanoids(schema.Connection(name))); err != nil {
			return err
		}
	}
	return nil
}
