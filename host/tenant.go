package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/database"
)

// tenant is the boundary of isolation: its own database behind each connection name, its own tags in the cache, its own
// lanes in the buffer.
type tenant struct {
	name string
	host *Host

	mu    sync.Mutex
	conns map[string]*connection
}

// connection is one database of a tenant by its name.
type connection struct {
	tenant, name string
	db           *database.DB
	cache        *cache.Cache
}

// defaultConn is the connection that "" names.
const defaultConn = "default"

// conn opens a connection the first time it is asked for. Only names of the configuration exist.
func (t *tenant) conn(ctx context.Context, name string) (*connection, error) {
	if name == "" {
		name = defaultConn
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.conns[name]; ok {
		return c, nil
	}
	cfg, ok := t.host.config.Databases[name]
	if !ok {
		return nil, abi.NewError(abi.ErrnoNotFound, fmt.Sprintf("there is no database %q: add database.%s to the host's configuration", name, name))
	}
	cfg, err := t.place(name, cfg)
	if err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("host: database %s of tenant %s: %w", name, t.name, err)
	}
	c := &connection{tenant: t.name, name: name, db: db, cache: t.host.cache}
	t.conns[name] = c
	return c, nil
}

// place gives each tenant its own SQLite file: below the data folder, or what the operator named for the default
// tenant.
func (t *tenant) place(name string, cfg DatabaseConfig) (DatabaseConfig, error) {
	cfg.Logger = t.host.log.With("tenant", t.name, "database", name)
	if cfg.Type != "" && cfg.Type != "sqlite" || cfg.URL != "" {
		return cfg, nil
	}
	if cfg.Filename == "" || t.name != DefaultTenant {
		cfg.Filename = filepath.Join(t.host.config.DataDir, "tenants", t.name, name+".db")
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Filename), 0o700); err != nil {
		return cfg, fmt.Errorf("host: folder of database %s: %w", name, err)
	}
	return cfg, nil
}

func (t *tenant) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first error
	for _, c := range t.conns {
		if err := c.db.Close(); err != nil && first == nil {
			first = err
		}
	}
	clear(t.conns)
	return first
}

// tables are the cache's handles of what a statement touches: the tables it reads, or those it writes.
func (c *connection) tables(touches []database.Touch, write bool) []*cache.Table {
	handles := make([]*cache.Table, 0, len(touches))
	for _, t := range touches {
		if (t.Verb != abi.VerbSelect) == write {
			handles = append(handles, c.table(t.Table))
		}
	}
	return handles
}

// table is the cache's handle of one table; of the whole connection when the name is empty.
func (c *connection) table(name string) *cache.Table {
	return c.cache.Table(cache.Tag{Tenant: c.tenant, Conn: c.name, Table: name})
}

func (c *connection) lane(table string) buffer.Lane {
	return buffer.Lane{Tenant: c.tenant, Conn: c.name, Table: table}
}

// flushTarget brings the buffer's batches to the database of their lane, and marks the tables in the cache for as
// long as that takes.
type flushTarget struct{ host *Host }

var _ buffer.Target = flushTarget{}

func (f flushTarget) conn(ctx context.Context, lane buffer.Lane) (*connection, error) {
	return f.host.tenant(lane.Tenant).conn(ctx, lane.Conn)
}

// Applied implements buffer.Target.
func (f flushTarget) Applied(ctx context.Context, node string, lane buffer.Lane) (buffer.LSN, error) {
	c, err := f.conn(ctx, lane)
	if err != nil {
		return 0, err
	}
	return c.db.Target().Applied(ctx, node, lane)
}

// Apply implements buffer.Target.
func (f flushTarget) Apply(ctx context.Context, batch *buffer.Batch) (buffer.Result, error) {
	c, err := f.conn(ctx, batch.Lane)
	if err != nil {
		return buffer.Result{}, err
	}
	write := c.cache.BeginWrite(c.written(batch)...)
	defer write.End()
	return c.db.Target().Apply(ctx, batch)
}

// Dead implements buffer.Target.
func (f flushTarget) Dead(ctx context.Context, node string, lane buffer.Lane, from, to buffer.LSN) ([]buffer.Dead, error) {
	c, err := f.conn(ctx, lane)
	if err != nil {
		return nil, err
	}
	return c.db.Target().Dead(ctx, node, lane, from, to)
}

// written are the tables that a batch changes: its own, and those that triggers and foreign keys lead to.
func (c *connection) written(batch *buffer.Batch) []*cache.Table {
	tables := []*cache.Table{c.table(batch.Lane.Table)}
	for _, verb := range []abi.Verb{abi.VerbInsert, abi.VerbUpdate, abi.VerbDelete} {
		touches, err := c.db.Touches(&abi.Query{Verb: verb, Table: batch.Lane.Table})
		if err == nil {
			tables = append(tables, c.tables(touches, true)...)
		}
	}
	return tables
}
