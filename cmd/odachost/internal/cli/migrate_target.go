package cli

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/migrate"
)

// target is what a command of migrate works on: a deployed plugin, or a folder of schema files and a database.
type target struct {
	tenant, approve              string
	schema, migrations, database string
	owner, connection, drift     string
}

func (t *target) flags(c *cobra.Command) {
	addConfig(c)
	addTenant(c, &t.tenant)
	f := c.Flags()
	f.StringVar(&t.schema, "schema", "", "folder of schema files, instead of a plugin")
	f.StringVar(&t.migrations, "migrations", "", "folder of migration files (default: migration beside the folder of schema files, if it is there)")
	f.StringVar(&t.database, "database", "", "with --schema: URL of the database, such as sqlite:data/app.db or postgres://user:password@host/name")
	f.StringVar(&t.owner, "owner", "app", "with --schema: who the tables belong to")
	f.StringVar(&t.connection, "connection", migrate.DefaultConnection, "which connection's files, or which database of a plugin")
	f.StringVar(&t.drift, "drift", "fail", "with --schema: what to do with what was changed by hand: fail, revert or adopt")
}

// args wants a plugin or --schema.
func (t *target) args() cobra.PositionalArgs {
	return func(c *cobra.Command, list []string) error {
		switch {
		case t.schema == "" && t.database == "":
			return args(1, 1)(c, list)
		case len(list) > 0:
			return usageError{errors.New("name a plugin, or a folder with --schema, not both")}
		case t.schema == "" || t.database == "":
			return usageError{errors.New("--schema and --database go together")}
		}
		return nil
	}
}

// direct is a database that is worked on without a host.
type direct struct {
	db      *sql.DB
	conn    *sql.Conn
	schema  *migrate.Schema
	options migrate.Options
}

// open opens the database, and for reading a connection of it.
func (t *target) open(ctx context.Context, write bool, do func(context.Context, *direct) error) (err error) {
	if t.database == "" {
		return usageError{errors.New("name a database, such as --database sqlite:data/app.db")}
	}
	db, closeDB, err := database.Operate(ctx, database.Config{URL: t.database}, write)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB()) }()
	d := &direct{db: db, options: migrate.Options{Owner: t.owner, Drift: migrate.DriftPolicy(t.drift)}}
	if d.schema, d.options.Files, err = t.files(); err != nil {
		return err
	}
	if !write {
		if d.conn, err = db.Conn(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.conn.Close()) }()
	}
	return do(ctx, d)
}

// files reads the folders. Without a folder of migration files, files are left alone.
func (t *target) files() (*migrate.Schema, *migrate.Files, error) {
	if t.schema == "" {
		return &migrate.Schema{}, nil, nil
	}
	schema, err := loadFolder(t.schema)
	if err != nil {
		return nil, nil, err
	}
	migrations := t.migrations
	if migrations == "" {
		migrations = filepath.Join(filepath.Dir(filepath.Clean(t.schema)), "migration")
		if _, err := os.Stat(migrations); err != nil {
			return schema.Connection(t.connection), nil, nil //nolint:nilerr // there are none
		}
	}
	files, err := migrate.LoadFiles(os.DirFS(filepath.Dir(filepath.Clean(migrations))), filepath.Base(filepath.Clean(migrations)))
	if err != nil {
		return nil, nil, err
	}
	return schema.Connection(t.connection), files.Connection(t.connection), nil
}

// loadFolder reads schema files; their mistakes are named as the folder is.
func loadFolder(dir string) (*migrate.Schema, error) {
	dir = filepath.Clean(dir)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, usageError{fmt.Errorf("%s is no folder", dir)}
	}
	if dir == "." {
		return migrate.LoadFS(os.DirFS("."), ".")
	}
	return migrate.LoadFS(os.DirFS(filepath.Dir(dir)), filepath.Base(dir))
}

func (t *target) plan(c *cobra.Command, s *streams, args []string) (list []admin.Migration, err error) {
	if t.schema == "" {
		return t.ofHost(c, s, args[0], false)
	}
	err = t.open(c.Context(), false, func(ctx context.Context, d *direct) error {
		plan, err := migrate.Status(ctx, d.conn, d.schema, d.options)
		if err != nil {
			return err
		}
		m, err := admin.MigrationOf(t.connection, plan, false)
		if err != nil {
			return err
		}
		applied, err := migrate.AppliedFiles(ctx, d.conn, t.owner)
		m.Files = admin.FilesOf(applied)
		list = append(list, m)
		return err
	})
	return list, err
}

func (t *target) apply(c *cobra.Command, s *streams, args []string) (list []admin.Migration, err error) {
	if t.schema == "" {
		return t.ofHost(c, s, args[0], true)
	}
	err = t.open(c.Context(), true, func(ctx context.Context, d *direct) error {
		plan, err := d.plan(ctx)
		if err != nil {
			return err
		}
		report, err := plan.Apply(ctx, d.db, migrate.ApplyOptions{Approve: t.approve, Progress: func(e migrate.Event) {
			if e.Done {
				s.console.Printf("step %d of %d: %s: %s", e.Step, e.Steps, e.Kind, e.Message)
			}
		}})
		if err != nil {
			return err
		}
		for _, n := range report.Nulled {
			s.console.Printf("set to null in %s: %v, was %v", n.Table, n.Key, n.Old)
		}
		m, err := admin.MigrationOf(t.connection, report.Plan, report.Applied)
		list = append(list, m)
		return err
	})
	return list, err
}

func (d *direct) plan(ctx context.Context) (plan *migrate.Plan, err error) {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return migrate.Status(ctx, conn, d.schema, d.options)
}

func (t *target) ofHost(c *cobra.Command, s *streams, plugin string, apply bool) (list []admin.Migration, err error) {
	err = withHost(c, s, false, func(ctx context.Context, conn connection) error {
		var err error
		list, err = conn.Migrate(ctx, t.tenant, plugin, apply, t.approve)
		return err
	})
	if c.Flags().Changed("connection") {
		list = slices.DeleteFunc(list, func(m admin.Migration) bool { return m.Database != t.connection })
	}
	return list, err
}

func (t *target) rollback(c *cobra.Command, s *streams, args []string) (list []admin.RolledBack, err error) {
	if t.schema == "" {
		err = withHost(c, s, false, func(ctx context.Context, conn connection) error {
			var err error
			list, err = conn.RollbackFiles(ctx, t.tenant, args[0])
			return err
		})
		return list, err
	}
	err = t.open(c.Context(), true, func(ctx context.Context, d *direct) error {
		if d.options.Files == nil {
			return usageError{errors.New("there is no folder of migration files: name it with --migrations")}
		}
		names, err := migrate.Rollback(ctx, d.db, d.options, migrate.ApplyOptions{})
		list = append(list, admin.RolledBack{Database: t.connection, Files: names})
		return err
	})
	return list, err
}
