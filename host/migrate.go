package host

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

// Migration is the plan for one database of a deployment.
type Migration struct {
	Database string
	Plan     *migrate.Plan
	Applied  bool
	// Files is what was applied of the plugin's migration files before.
	Files []migrate.AppliedFile
}

// Migrate plans what the serving revision's schema wants of its databases and, if apply is set, does it. approve is the
// hash of a plan with destructive steps that the operator allows. Without apply nothing is written.
func (h *Host) Migrate(ctx context.Context, tenant, name string, apply bool, approve string) ([]Migration, error) {
	var done []Migration
	err := h.serving(tenant, name, func(rev *revision, b *plugins.Bundle) (err error) {
		if apply {
			if err := h.alone(ctx, rev.dep); err != nil {
				return err
			}
		}
		done, err = h.migrate(ctx, rev, b, migration{apply: apply, approve: approve})
		if err != nil || !apply {
			return err
		}
		return h.grant(ctx, rev, nil) // on tables that are new
	})
	return done, err
}

// serving is for who needs the revision that serves, and its bundle, while no deployment changes it.
func (h *Host) serving(tenant, name string, do func(*revision, *plugins.Bundle) error) error {
	or(&tenant, DefaultTenant)
	d := h.find(key{tenant, name})
	if d == nil {
		return fmt.Errorf("%w: %s/%s", ErrNotDeployed, tenant, name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	rev := d.acquire()
	if rev == nil {
		return fmt.Errorf("%w: %s/%s", ErrNotDeployed, tenant, name)
	}
	defer rev.release()
	stored, err := h.store.Revision(rev.digest)
	if err != nil {
		return err
	}
	return do(rev, stored.Bundle)
}

// RollbackMigrations takes the last batch of the serving revision's migration files back, on each of its databases, and returns
// their names, the last first. The files are pending again: deploy a revision without them.
func (h *Host) RollbackMigrations(ctx context.Context, tenant, name string) (map[string][]string, error) {
	done := map[string][]string{}
	err := h.eachPlaced(ctx, tenant, name, func(p *placed) error {
		return h.change(ctx, p.conn, p.schema, func(db *sql.DB) error {
			var err error
			done[p.conn.name], err = migrate.Rollback(ctx, db, planOptions(p.rev, p.conn, p.files), migrate.ApplyOptions{})
			return err
		})
	})
	return done, err
}

// migration is how one goes.
type migration struct {
	apply   bool
	approve string // hash of a plan that the operator allows
	// again says that the revision was deployed before: its files ran then, or were taken back since.
	again bool
	// online says that another revision serves meanwhile, so that nothing may be taken from it. until is the last phase of such a
	// migration, or of one that must leave what there is: "" is all of it.
	online bool
	until  migrate.Phase
	// contract ends what was left of one: it was approved then.
	contract bool
}

// due says whether the migration has something to do now.
func (how migration) due(p *migrate.Plan) bool {
	if how.until != migrate.Switch || !p.Left(migrate.Contract) {
		return !p.Empty()
	}
	return p.Left(migrate.Expand) || p.Left(migrate.Switch)
}

// approval is the hash that holds for the plan: the operator's. What goes later has to be approved before the first step, and then stays so.
func (how migration) approval(ctx context.Context, db *sql.DB, p *migrate.Plan) (string, error) {
	lost := p.Losses()
	switch {
	case len(lost) == 0 && how.until == "": // what goes is in another column
		return p.Hash, nil
	case how.contract && how.approve == "":
		return migrate.Approved(ctx, db, p.Owner)
	case how.until == migrate.Expand && how.approve != p.Hash && len(lost) > 0:
		return "", &migrate.ApprovalError{Hash: p.Hash, Hazards: lost}
	}
	return how.approve, nil
}

// migrate plans, and applies if it is told to, the bundle's schema and migration files on the tenant's databases.
func (h *Host) migrate(ctx context.Context, rev *revision, b *plugins.Bundle, how migration) ([]Migration, error) {
	schema, files, err := loadSchema(b)
	if err != nil {
		return nil, err
	}
	var done []Migration
	for _, name := range connections(schema, files) {
		conn, err := rev.tenant.conn(ctx, name)
		if err != nil {
			return done, err
		}
		m, err := h.migrateConn(ctx, rev, conn, schema.Connection(name), files.Connection(name), how)
		if err != nil {
			return done, fmt.Errorf("host: plugin %s: schema of database %s: %w", rev.key.name, conn.name, err)
		}
		done = append(done, m)
	}
	return done, nil
}

// connections are the names that have a schema or files.
func connections(schema *migrate.Schema, files *migrate.Files) []string {
	names := append(schema.Connections(), files.Connections()...)
	slices.Sort(names)
	return slices.Compact(names)
}

// loadSchema reads a bundle's schema and migration files. Their mistakes name the file as the bundle has it.
func loadSchema(b *plugins.Bundle) (*migrate.Schema, *migrate.Files, error) {
	schema, err := migrate.LoadFS(below{"schema", b.Schema()}, "schema")
	if err != nil {
		return nil, nil, err
	}
	files, err := migrate.LoadFiles(below{"migration", b.Migrations()}, "migration")
	return schema, files, err
}

// below is a file system one folder down.
type below struct {
	folder string
	fs.FS
}

// Open opens what is below the folder.
func (b below) Open(name string) (fs.File, error) {
	if name == b.folder {
		return b.FS.Open(".")
	}
	inner, ok := strings.CutPrefix(name, b.folder+"/")
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return b.FS.Open(inner)
}

// fileTime bounds one statement of a plugin's migration file, which holds up whoever writes to that database.
const fileTime = time.Minute

// planOptions are those of a plugin. Its files are SQL of a stranger: SQLite holds them to the plugin's own tables, and on a server, where
// they have the rights of the tenant, somebody has to read and approve them.
func planOptions(rev *revision, conn *connection, files *migrate.Files) migrate.Options {
	o := migrate.Options{Owner: rev.key.name, Files: files, FileTime: fileTime, AskFiles: true}
	if conn.db.Confines() {
		o.AskFiles, o.Confine = false, conn.db.Confine
	}
	return o
}

func (h *Host) migrateConn(
	ctx context.Context, rev *revision, conn *connection, schema *migrate.Schema, files *migrate.Files, how migration,
) (Migration, error) {
	m := Migration{Database: conn.name}
	db, err := conn.db.SQL()
	if err != nil {
		return m, err
	}
	o := planOptions(rev, conn, files)
	o.Online = how.online
	m.Plan, m.Files, err = status(ctx, db, schema, o, how.again)
	if err != nil || !how.apply {
		return m, err
	}
	if !how.due(m.Plan) {
		return m, conn.db.Reload(ctx, nanoids(schema))
	}
	if how.approve, err = how.approval(ctx, db, m.Plan); err != nil {
		return m, err
	}
	change := h.change
	if how.until == migrate.Expand {
		change = h.extend
	}
	err = change(ctx, conn, schema, func(db *sql.DB) error { return h.stages(ctx, db, schema, o, m.Plan, how) })
	if err != nil {
		return m, err
	}
	m.Applied = true
	rev.log.Info("migrated", "database", conn.name, "steps", len(m.Plan.Steps))
	return m, nil
}

// status plans. A revision that was deployed before has its files run again only where the database is a new one.
func status(ctx context.Context, db *sql.DB, schema *migrate.Schema, o migrate.Options, again bool) (plan *migrate.Plan, files []migrate.AppliedFile, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if again {
		live, err := migrate.Inspect(ctx, conn)
		if err != nil {
			return nil, nil, err
		}
		o.AskFiles = false // they were approved
		if len(live.Last(o.Owner).Tables) > 0 {
			o.Files = nil
		}
	}
	if files, err = migrate.AppliedFiles(ctx, conn, o.Owner); err != nil {
		return nil, nil, err
	}
	plan, err = migrate.Status(ctx, conn, schema, o)
	return plan, files, err
}

// change is extend for what may also take away: statements that fail meanwhile, because they were compiled for the tables of before, wait for
// its end and are run again.
func (h *Host) change(ctx context.Context, conn *connection, schema *migrate.Schema, do func(*sql.DB) error) error {
	done := conn.change()
	defer done()
	return h.extend(ctx, conn, schema, do)
}

// extend writes what is buffered, which is for the old tables, then changes them, and reads them again.
func (h *Host) extend(ctx context.Context, conn *connection, schema *migrate.Schema, do func(*sql.DB) error) error {
	db, err := conn.db.SQL()
	if err != nil {
		return err
	}
	for _, t := range schema.Tables {
		if err := h.buffer.Flush(ctx, conn.lane(t.Name)); err != nil {
			return err
		}
	}
	// Until the catalog is the new one: what is read by the old is not kept.
	defer conn.cache.BeginWrite(conn.table("")).End()
	if err := do(db); err != nil {
		return err
	}
	return conn.db.Reload(ctx, nanoids(schema))
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
// that would destroy something, as after a rollback, the database stays as it is. left says that something is left for its contract phase.
func (h *Host) restore(ctx context.Context, rev *revision, b *plugins.Bundle) (left bool, err error) {
	done, err := h.migrate(ctx, rev, b, migration{apply: true, again: true, online: rev.dep.current.Load() != nil, until: migrate.Switch})
	var approval *migrate.ApprovalError
	if !errors.As(err, &approval) {
		return slices.ContainsFunc(done, func(m Migration) bool { return m.Plan.Left(migrate.Contract) }), err
	}
	rev.log.Info("the database has more than this revision's schema: left as it is")
	schema, _, err := loadSchema(b)
	if err != nil {
		return false, err
	}
	for _, name := range schema.Connections() {
		conn, err := rev.tenant.conn(ctx, name)
		if err != nil {
			return false, err
		}
		if err := conn.db.Reload(ctx, nanoids(schema.Connection(name))); err != nil {
			return false, err
		}
	}
	return false, nil
}
