package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/database"
)

// tenant is the boundary of isolation: its own database behind each connection name, its own tags in the cache, its own
// lanes in the buffer.
type tenant struct {
	name  string
	host  *Host
	share share // of the calls that run at once

	mu      sync.Mutex
	conns   map[string]*connection
	opening map[string]*opening

	listeners map[channel][]*deployment
	hearing   map[string]context.CancelFunc // by connection
}

// opening is a connection that somebody opens: others wait for it, and not for those of other names.
type opening struct {
	done chan struct{}
	conn *connection
	err  error
}

// connection is one database of a tenant by its name.
type connection struct {
	host         *Host
	tenant, name string
	db           *database.DB // as the tenant itself
	cache        *cache.Cache

	changes  atomic.Uint64                 // that a table's columns exchanged their names, or went
	changing atomic.Pointer[chan struct{}] // closed when the change under way is over

	// On a server where the tenant has a place, each plugin has a role of its own: see Host.grant.
	tenancy *database.Tenancy // else nil
	secrets *secrets
	mu      sync.Mutex
	roles   map[string]*database.DB // by plugin
}

// as is the database as a plugin's revision may reach it.
func (c *connection) as(rev *revision) (*database.DB, error) {
	db, err := c.role(rev.key.name)
	if err == nil && rev.access != nil {
		db = db.Under(rev.access)
	}
	return db, err
}

// role is the database as a plugin's role sees it.
func (c *connection) role(plugin string) (*database.DB, error) {
	if c.tenancy == nil {
		return c.db, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if db, ok := c.roles[plugin]; ok {
		return db, nil
	}
	password, err := c.secrets.password(c.tenant, c.name, plugin)
	if err != nil {
		return nil, err
	}
	db, err := c.db.As(c.tenancy.Role(c.tenant, c.name, plugin), password, pluginConns)
	if err != nil {
		return nil, err
	}
	c.roles[plugin] = db
	return db, nil
}

// overtaken says whether a statement that the database refused was compiled for tables that have changed since the count of changes was
// taken: it is worth another try. It waits for a change that is under way.
func (c *connection) overtaken(ctx context.Context, changes uint64, err error) bool {
	if e := new(abi.Error); !errors.As(err, &e) || e.Errno != abi.ErrnoInvalid && !database.TablesChanged(e) {
		return false
	}
	if over := c.changing.Load(); over != nil {
		select {
		case <-*over:
		case <-ctx.Done():
			return false
		}
	}
	return c.changes.Load() != changes
}

// change marks a change of tables, until it is called.
func (c *connection) change() (done func()) {
	over := make(chan struct{})
	c.changing.Store(&over)
	return func() {
		c.changes.Add(1)
		c.changing.CompareAndSwap(&over, nil)
		close(over)
	}
}

func (c *connection) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, db := range c.roles {
		errs = append(errs, db.Close())
	}
	clear(c.roles)
	return errors.Join(append(errs, c.db.Close())...)
}

// defaultConn is the connection that "" names.
const defaultConn = "default"

// conn opens a connection the first time it is asked for. Only names of the configuration exist.
func (t *tenant) conn(ctx context.Context, name string) (*connection, error) {
	if name == "" {
		name = defaultConn
	}
	t.mu.Lock()
	c, ok := t.conns[name]
	if ok {
		t.mu.Unlock()
		return c, nil
	}
	o, ok := t.opening[name]
	if !ok {
		o = &opening{done: make(chan struct{})}
		t.opening[name] = o
	}
	t.mu.Unlock()
	if !ok {
		t.host.background.Go(func() { t.keep(o, name) })
	}
	select {
	case <-o.done:
		return o.conn, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// keep opens a connection for all who wait, whoever of them leaves meanwhile: where there is no server it ends by itself.
func (t *tenant) keep(o *opening, name string) {
	o.conn, o.err = t.open(context.Background(), name)
	t.mu.Lock()
	if delete(t.opening, name); o.err == nil {
		t.conns[name] = o.conn
	}
	t.mu.Unlock()
	close(o.done)
}

func (t *tenant) open(ctx context.Context, name string) (*connection, error) {
	cfg, ok := t.host.config.Databases[name]
	if !ok {
		return nil, abi.NewError(abi.ErrnoNotFound, fmt.Sprintf("there is no database %q: add database.%s to the host's configuration", name, name))
	}
	cfg, tenancy, err := t.place(name, cfg)
	if err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("host: database %s of tenant %s: %w", name, t.name, err)
	}
	return &connection{
		host: t.host, tenant: t.name, name: name, db: db, cache: t.host.cache, tenancy: tenancy, secrets: &t.host.secrets, roles: make(map[string]*database.DB),
	}, nil
}

// opened is a connection if it is open.
func (t *tenant) opened(name string) (*connection, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.conns[name]
	return c, ok
}

// place gives each tenant its own: of SQLite a file, below the data folder or what the operator named for the default tenant; on a server
// what AddTenant made. A default tenant that was not added has the configuration's own user and database.
func (t *tenant) place(name string, cfg DatabaseConfig) (DatabaseConfig, *database.Tenancy, error) {
	tenancy, err := t.host.tenancy(name)
	if err != nil {
		return cfg, nil, err
	}
	cfg.Logger = t.host.log.With("tenant", t.name, "database", name)
	if tenancy != nil {
		_, missing := os.Stat(t.host.placeFile(t.name, name))
		switch {
		case missing == nil:
			password, err := t.host.secrets.password(t.name, name, "")
			owner := tenancy.Owner(t.name, name, password)
			owner.Logger = cfg.Logger
			return owner, tenancy, err
		case t.name == DefaultTenant:
			return cfg, nil, nil
		}
		return cfg, nil, abi.NewError(abi.ErrnoUnavailable, fmt.Sprintf("tenant %s has no place on database %s: odachost tenant add %s makes it", t.name, name, t.name))
	}
	if cfg.URL != "" && t.name == DefaultTenant {
		return cfg, nil, nil
	}
	if cfg.Filename == "" || t.name != DefaultTenant {
		cfg.URL = ""
		cfg.Filename = filepath.Join(t.host.tenantDir(t.name), name+".db")
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Filename), 0o700); err != nil {
		return cfg, nil, fmt.Errorf("host: folder of database %s: %w", name, err)
	}
	return cfg, nil, nil
}

func (t *tenant) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closeLocked()
}

func (t *tenant) closeLocked() error {
	var errs []error
	for _, c := range t.conns {
		errs = append(errs, c.close())
	}
	clear(t.conns)
	return errors.Join(errs...)
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
