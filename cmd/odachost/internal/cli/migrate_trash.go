package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/internal/console"
	"github.com/odac-run/odachost/migrate"
)

// trashFlags are for what works on a plugin's databases, or on one that is named.
func (t *target) trashFlags(c *cobra.Command) {
	addConfig(c)
	addTenant(c, &t.tenant)
	c.Flags().StringVar(&t.database, "database", "", "URL of a database, such as sqlite:data/app.db, instead of a plugin")
	c.Flags().StringVar(&t.owner, "owner", "app", "with --database: who the tables belonged to")
	t.connection = migrate.DefaultConnection
}

// trashArgs wants a plugin or --database, and more.
func (t *target) trashArgs(more int) cobra.PositionalArgs {
	return func(c *cobra.Command, list []string) error {
		switch {
		case t.database == "":
			return args(1+more, 1+more)(c, list)
		case len(list) > more:
			return usageError{errors.New("name a plugin, or a database with --database, not both")}
		}
		return args(more, more)(c, list)
	}
}

func migrateTrash(s *streams) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "trash [PLUGIN]", Short: "List what migrations took away and what restore can bring back", Args: t.trashArgs(0),
		RunE: func(c *cobra.Command, args []string) (err error) {
			var list []admin.Trashed
			if t.database == "" {
				err = withHost(c, s, false, func(ctx context.Context, conn connection) (err error) {
					list, err = conn.Trash(ctx, t.tenant, args[0])
					return err
				})
			} else {
				err = t.open(c.Context(), false, func(ctx context.Context, d *direct) error {
					kept, err := migrate.Trash(ctx, d.conn, t.owner)
					list = admin.TrashOf(t.connection, kept)
					return err
				})
			}
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return s.println("nothing is kept")
			}
			rows := make([][]string, 0, len(list))
			for _, kept := range list {
				rows = append(rows, []string{kept.ID, kept.Database, kept.String(), kept.Dropped})
			}
			console.New(s.out).Table([]string{"ID", "DATABASE", "WHAT", "DROPPED"}, rows)
			return nil
		},
	}
	t.trashFlags(c)
	return c
}

func migrateRestore(s *streams) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "restore [PLUGIN] ID", Short: "Bring back a table or column that a migration took away", Args: t.trashArgs(1),
		Long: `Bring back a table or column that a migration took away: odachost migrate trash lists the ids.

A table comes with its rows, a column with its values in the rows that are still there, and may be null. Write it into the schema files
again, or the next plan wants to drop it.`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			var back admin.Trashed
			if t.database == "" {
				err = withHost(c, s, false, func(ctx context.Context, conn connection) (err error) {
					back, err = conn.Restore(ctx, t.tenant, args[0], args[1])
					return err
				})
			} else {
				err = t.open(c.Context(), true, func(ctx context.Context, d *direct) error {
					restored, err := migrate.Restore(ctx, d.db, t.owner, args[0], migrate.ApplyOptions{})
					if err == nil {
						back.Trashed = *restored
					}
					return err
				})
			}
			if err != nil {
				return err
			}
			return s.println("restored " + back.String())
		},
	}
	t.trashFlags(c)
	return c
}

func migratePurge(s *streams) *cobra.Command {
	var t target
	var older time.Duration
	c := &cobra.Command{
		Use: "purge [PLUGIN]", Short: "Take away for good what restore could bring back", Args: t.trashArgs(0),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if older < 0 {
				return usageError{errors.New("--older is a time that has passed, such as 24h")}
			}
			var list []admin.Trashed
			if t.database == "" {
				err = withHost(c, s, false, func(ctx context.Context, conn connection) (err error) {
					list, err = conn.Purge(ctx, t.tenant, args[0], older)
					return err
				})
			} else {
				err = t.open(c.Context(), true, func(ctx context.Context, d *direct) error {
					gone, err := migrate.Purge(ctx, d.db, t.owner, older, migrate.ApplyOptions{})
					list = admin.TrashOf(t.connection, gone)
					return err
				})
			}
			if err != nil {
				return err
			}
			for _, gone := range list {
				if err := s.println("purged " + gone.String()); err != nil {
					return err
				}
			}
			if len(list) == 0 {
				return s.println("nothing to purge")
			}
			return nil
		},
	}
	t.trashFlags(c)
	c.Flags().DurationVar(&older, "older", 0, "only what was dropped longer ago, such as 24h")
	return c
}
