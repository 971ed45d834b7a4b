package host

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/database"
)

// Disk quotas of tenants. SQLite holds its own file to the limit. On a server the sizes of all tenants are asked for at most once in sizeInterval, when
// one of them writes, and beside the write: a tenant gets over its limit by what it writes in that time, and what the server's own numbers lag. Who is over it
// may delete and read, and is looked at again after fullInterval.
const (
	sizeInterval = 10 * time.Second
	fullInterval = time.Second
	sizeTimeout  = 30 * time.Second
)

// sizes is what the tenants of one connection to a server have there.
type sizes struct {
	mu     sync.Mutex // nothing is called under it
	asked  time.Time
	asking bool
	of     func(tenant, conn string) int64 // nil before the first answer
}

// sizesOf are the sizes on a connection.
func (h *Host) sizesOf(conn string) *sizes {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sizes[conn] == nil {
		h.sizes[conn] = new(sizes)
	}
	return h.sizes[conn]
}

// ask brings the sizes up to date. An answer that does not come leaves the old ones.
func (s *sizes) ask(ctx context.Context, c *connection) {
	ctx, cancel := context.WithTimeout(ctx, sizeTimeout)
	defer cancel()
	of, err := c.tenancy.Sizes(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.asking = time.Now(), false
	if err == nil {
		s.of = of
		return
	}
	c.host.log.Warn("the sizes of tenants are not known: their quotas are not held", "database", c.name, "error", err)
}

// room is an error if the tenant has as much in the database as it may.
func (c *connection) room(ctx context.Context) error {
	limit := c.host.config.Databases[c.name].MaxSizeBytes
	if limit == 0 {
		return nil
	}
	if c.tenancy == nil {
		return c.db.Full()
	}
	s := c.host.sizesOf(c.name)
	s.mu.Lock()
	size, known := int64(0), s.of != nil
	if known {
		size = s.of(c.tenant, c.name)
	}
	interval := c.host.sizeInterval
	if size >= limit {
		interval = c.host.fullInterval
	}
	ask := !s.asking && time.Since(s.asked) >= interval
	s.asking = s.asking || ask
	s.mu.Unlock()
	switch {
	case ask && !known: // the first after a start waits for it
		s.ask(ctx, c)
		return c.room(ctx)
	case ask:
		c.host.background.Go(func() { s.ask(c.host.life, c) })
	}
	if size >= limit {
		return abi.NewError(abi.ErrnoLimit, fmt.Sprintf("the tenant has %d bytes in database %q and may have %d (database.%s.maxSize): delete rows, or ask the operator for more", size, c.name, limit, c.name))
	}
	return nil
}

// mayGrow refuses a statement that adds or changes rows where the tenant has as much as it may.
func (c *call) mayGrow(conn *connection, what database.Description) error {
	if !slices.ContainsFunc(what.Touches, func(t database.Touch) bool {
		return !t.Indirect && (t.Verb == abi.VerbInsert || t.Verb == abi.VerbUpdate)
	}) {
		return nil
	}
	if conn.tenancy == nil {
		return nil // SQLite says so itself
	}
	return conn.room(c.context())
}

// addSizes fills in what tenants have on disk and on servers.
func (h *Host) addSizes(ctx context.Context, list []Tenant) {
	on := make(map[string]func(tenant, conn string) int64)
	for _, conn := range slices.Sorted(maps.Keys(h.config.Databases)) {
		if !slices.ContainsFunc(list, func(t Tenant) bool { return slices.Contains(t.Places, conn) }) {
			continue
		}
		tenancy, err := h.tenancy(conn)
		if err == nil && tenancy != nil {
			on[conn], err = tenancy.Sizes(ctx)
		}
		if err != nil {
			h.log.Warn("the sizes of tenants are not known", "database", conn, "error", err)
		}
	}
	for i := range list {
		t := &list[i]
		t.Bytes = h.fileBytes(t.Name)
		for _, conn := range t.Places {
			if on[conn] == nil {
				t.Bytes = -1
				break
			}
			t.Bytes += on[conn](t.Name, conn)
		}
	}
}

// fileBytes are those of a tenant's SQLite files with their logs.
func (h *Host) fileBytes(tenant string) (bytes int64) {
	add := func(file string) {
		for _, suffix := range []string{"", "-wal"} {
			if info, err := os.Stat(file + suffix); err == nil && !info.IsDir() {
				bytes += info.Size()
			}
		}
	}
	entries, _ := os.ReadDir(h.tenantDir(tenant)) // without a folder there are no files
	for _, e := range entries {
		if e.Type()&fs.ModeType == 0 && strings.HasSuffix(e.Name(), ".db") {
			add(filepath.Join(h.tenantDir(tenant), e.Name()))
		}
	}
	if tenant == DefaultTenant {
		for name, db := range h.config.Databases {
			if server, err := db.HasServer(); db.Filename != "" && (err == nil && !server) && filepath.Dir(db.Filename) != h.tenantDir(tenant) {
				add(h.config.Databases[name].Filename)
			}
		}
	}
	return bytes
}
