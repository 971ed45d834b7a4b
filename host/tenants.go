package host

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
)

// A tenant's folder, tenants/<name> below the data folder, holds its SQLite files and, for each connection to a server on which it was given a
// place, an empty file <connection>.place.

const (
	tenantsFolder = "tenants"
	placeSuffix   = ".place"
	// keyFile is what passwords of tenants and plugins on servers are made from. It is 0600 below the data folder; hosts on the same server
	// share it. Without it nobody opens what they have there, until tenant add gives them passwords of a new one.
	keyFile = "tenants.key"
	// pluginConns is the most connections of one plugin to one server.
	pluginConns = 4
)

// ErrTenantInUse says that a tenant cannot be removed: it has plugins.
var ErrTenantInUse = errors.New("host: the tenant has plugins")

// secrets makes passwords from the key.
type secrets struct {
	once sync.Once
	file string
	key  []byte
	err  error
}

// password is drawn from the key for one role: the owner's if plugin is empty. Nothing of it is stored.
func (s *secrets) password(tenant, conn, plugin string) (string, error) {
	s.once.Do(func() { s.key, s.err = readKey(s.file) })
	if s.err != nil {
		return "", s.err
	}
	mac := hmac.New(sha256.New, s.key)
	for _, part := range []string{"odachost password 1", tenant, conn, plugin} {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// readKey reads the key, or draws it where there is none.
func readKey(file string) ([]byte, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: it ends the program instead
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		_, err = f.Write(key)
		return key, errors.Join(err, f.Sync(), f.Close())
	case !errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("host: key of the tenants' passwords: %w", err)
	}
	if key, err = os.ReadFile(file); err != nil {
		return nil, fmt.Errorf("host: key of the tenants' passwords: %w", err)
	}
	if info, err := os.Stat(file); err != nil || len(key) != 32 || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return nil, fmt.Errorf("host: %s must be 32 bytes that only its owner may read (mode 0600)", file)
	}
	return key, nil
}

func (h *Host) tenantDir(tenant string) string {
	return filepath.Join(h.config.DataDir, tenantsFolder, tenant)
}

func (h *Host) placeFile(tenant, conn string) string {
	return filepath.Join(h.tenantDir(tenant), conn+placeSuffix)
}

// AddTenant gives a tenant a place of its own on each database server of the configuration, and a folder for its files. Again, it makes what is
// missing and sets the passwords anew. It returns the names of the connections to servers.
func (h *Host) AddTenant(ctx context.Context, name string) ([]string, error) {
	if err := plugins.CheckName(name); err != nil {
		return nil, fmt.Errorf("host: tenant %w", err)
	}
	if err := os.MkdirAll(h.tenantDir(name), 0o700); err != nil {
		return nil, fmt.Errorf("host: folder of tenant %s: %w", name, err)
	}
	var places []string
	for _, conn := range slices.Sorted(maps.Keys(h.config.Databases)) {
		tenancy, err := h.tenancy(conn)
		if err != nil {
			return places, err
		}
		if tenancy == nil {
			continue
		}
		password, err := h.secrets.password(name, conn, "")
		if err != nil {
			return places, err
		}
		if err := tenancy.Add(ctx, name, conn, password); err != nil {
			return places, err
		}
		if err := os.WriteFile(h.placeFile(name, conn), nil, 0o600); err != nil {
			return places, fmt.Errorf("host: folder of tenant %s: %w", name, err)
		}
		places = append(places, conn)
	}
	return places, nil
}

// tenancy is nil for a connection to files.
func (h *Host) tenancy(conn string) (*database.Tenancy, error) {
	cfg := h.config.Databases[conn]
	cfg.Logger = h.log.With("database", conn)
	cfg.Filename = "-" // a file of each tenant's own, which is no matter here
	server, err := cfg.HasServer()
	if err != nil || !server {
		return nil, err
	}
	return database.NewTenancy(cfg)
}

// RemoveTenant drops all data of a tenant without plugins: its places on servers, its folder with its files.
func (h *Host) RemoveTenant(ctx context.Context, name string) error {
	if err := plugins.CheckName(name); err != nil {
		return fmt.Errorf("host: tenant %w", err)
	}
	for _, d := range h.all() {
		if d.key.tenant == name && d.current.Load() != nil {
			return fmt.Errorf("%w: remove %s first", ErrTenantInUse, d.key.name)
		}
	}
	t := h.tenant(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.closeLocked(); err != nil {
		return err
	}
	for _, conn := range slices.Sorted(maps.Keys(h.config.Databases)) {
		if _, err := os.Stat(h.placeFile(name, conn)); err != nil {
			continue
		}
		tenancy, err := h.tenancy(conn)
		if err == nil && tenancy != nil {
			err = tenancy.Remove(ctx, name, conn)
		}
		if err != nil {
			return err
		}
		if err := os.Remove(h.placeFile(name, conn)); err != nil {
			return fmt.Errorf("host: folder of tenant %s: %w", name, err)
		}
	}
	if err := os.RemoveAll(h.tenantDir(name)); err != nil {
		return fmt.Errorf("host: folder of tenant %s: %w", name, err)
	}
	return nil
}

// Tenant is one line of [Host.Tenants].
type Tenant struct {
	Name    string
	Places  []string // connections to servers on which it has a place
	Plugins []string // that serve
	// Bytes is what its tables and indexes have in SQLite files, their logs included, and on servers; -1 if a server did not say.
	Bytes int64
}

// Tenants lists the tenants that have a folder or a plugin, by name, with their sizes.
func (h *Host) Tenants(ctx context.Context) ([]Tenant, error) {
	list, err := h.listTenants()
	if err == nil {
		h.addSizes(ctx, list)
	}
	return list, err
}

func (h *Host) listTenants() ([]Tenant, error) {
	found := make(map[string]*Tenant)
	at := func(name string) *Tenant {
		if found[name] == nil {
			found[name] = &Tenant{Name: name}
		}
		return found[name]
	}
	entries, err := os.ReadDir(filepath.Join(h.config.DataDir, tenantsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("host: folder of the tenants: %w", err)
	}
	for _, e := range entries {
		t := at(e.Name())
		for conn := range h.config.Databases {
			if _, err := os.Stat(h.placeFile(e.Name(), conn)); err == nil {
				t.Places = append(t.Places, conn)
			}
		}
		slices.Sort(t.Places)
	}
	for _, d := range h.all() {
		if d.current.Load() != nil {
			t := at(d.key.tenant)
			t.Plugins = append(t.Plugins, d.key.name)
		}
	}
	out := make([]Tenant, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[name])
	}
	return out, nil
}

// grant brings the privileges of the revision's plugin on servers to what it was granted. While an older revision still serves, what that one
// was granted stays too.
func (h *Host) grant(ctx context.Context, rev, old *revision) error {
	tables := rev.tables
	if old != nil {
		tables = bothTables(rev.tables, old.tables)
	}
	return h.eachPlace(rev.key, func(t *database.Tenancy, name string) error {
		password, err := h.secrets.password(rev.key.tenant, name, rev.key.name)
		if err != nil {
			return err
		}
		conn, err := rev.tenant.conn(ctx, name)
		if err != nil {
			return err
		}
		return t.Grant(ctx, rev.key.tenant, name, rev.key.name, password, tables, conn.db.Catalog())
	})
}

// revoke takes everything from a plugin that was removed.
func (h *Host) revoke(ctx context.Context, k key) error {
	return h.eachPlace(k, func(t *database.Tenancy, conn string) error { return t.Revoke(ctx, k.tenant, conn, k.name) })
}

func (h *Host) eachPlace(k key, do func(t *database.Tenancy, conn string) error) error {
	for _, conn := range slices.Sorted(maps.Keys(h.config.Databases)) {
		if _, err := os.Stat(h.placeFile(k.tenant, conn)); err != nil {
			continue
		}
		tenancy, err := h.tenancy(conn)
		if err == nil && tenancy != nil {
			err = do(tenancy, conn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
