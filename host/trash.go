package host

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

// Trash lists, by database, what migrations of the serving revision's plugin took away and what can still be brought back.
func (h *Host) Trash(ctx context.Context, tenant, name string) (map[string][]*migrate.Trashed, error) {
	kept := map[string][]*migrate.Trashed{}
	err := h.eachPlaced(ctx, tenant, name, func(p *placed) error {
		db, err := p.conn.db.SQL()
		if err != nil {
			return err
		}
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		kept[p.conn.name], err = migrate.Trash(ctx, c, p.rev.key.name)
		return errors.Join(err, c.Close())
	})
	return kept, err
}

// Restore brings one thing back by its id: see [migrate.Restore]. The error is [migrate.ErrTrash] where it is not there.
func (h *Host) Restore(ctx context.Context, tenant, name, id string) (back *migrate.Trashed, err error) {
	var missing error
	err = h.eachPlaced(ctx, tenant, name, func(p *placed) error {
		if back != nil {
			return nil
		}
		err := h.change(ctx, p.conn, p.schema, func(db *sql.DB) error {
			var err error
			back, err = migrate.Restore(ctx, db, p.rev.key.name, id, migrate.ApplyOptions{})
			return err
		})
		if errors.Is(err, migrate.ErrTrash) { // perhaps it is in another database
			missing = err
			return nil
		}
		return err
	})
	if err == nil && back == nil {
		err = missing
	}
	return back, err
}

// Purge takes away for good, by database, what was dropped longer ago than age; zero is everything.
func (h *Host) Purge(ctx context.Context, tenant, name string, age time.Duration) (map[string][]*migrate.Trashed, error) {
	gone := map[string][]*migrate.Trashed{}
	err := h.eachPlaced(ctx, tenant, name, func(p *placed) error {
		db, err := p.conn.db.SQL()
		if err != nil {
			return err
		}
		gone[p.conn.name], err = migrate.Purge(ctx, db, p.rev.key.name, age, migrate.ApplyOptions{})
		return err
	})
	return gone, err
}

// placed is what a revision has in one of its databases.
type placed struct {
	rev    *revision
	conn   *connection
	schema *migrate.Schema
	files  *migrate.Files
}

// eachPlaced is for each database of the serving revision's schema, while no deployment changes it.
func (h *Host) eachPlaced(ctx context.Context, tenant, name string, do func(*placed) error) error {
	return h.serving(tenant, name, func(rev *revision, b *plugins.Bundle) error {
		schema, files, err := loadSchema(b)
		if err != nil {
			return err
		}
		for _, database := range connections(schema, files) {
			conn, err := rev.tenant.conn(ctx, database)
			if err != nil {
				return err
			}
			if err := do(&placed{rev, conn, schema.Connection(database), files.Connection(database)}); err != nil {
				return fmt.Errorf("host: plugin %s: database %s: %w", name, database, err)
			}
		}
		return nil
	})
}
