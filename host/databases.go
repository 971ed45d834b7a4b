package host

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/odac-run/odachost/internal/database"
)

// DatabaseStatus is one database that is open: a tenant's, by the name of its connection.
type DatabaseStatus struct {
	Tenant, Name string
	Server       string        // kind and version, such as "postgres 16.4"
	Latency      time.Duration // of reading one row now
	Err          error         // why that failed

	// Of the tenant's own connections and those of its plugins together.
	Connections int // at most
	InUse       int
	Waiting     int    // callers in the queues
	Queries     uint64 // statements since the start
	Errors      uint64 // of them with an error
	Reopened    uint64 // connections replaced after a fault
}

// databaseTimeout is how long a database may take to say that it is there.
const databaseTimeout = 5 * time.Second

// Databases asks each database that is open whether it answers, all at once, and lists them by tenant and name. One is opened when
// something needs it first.
func (h *Host) Databases(ctx context.Context) []DatabaseStatus {
	h.mu.Lock()
	tenants := make([]*tenant, 0, len(h.tenants))
	for _, t := range h.tenants {
		tenants = append(tenants, t)
	}
	h.mu.Unlock()
	var open []*connection
	for _, t := range tenants {
		t.mu.Lock()
		for _, c := range t.conns {
			open = append(open, c)
		}
		t.mu.Unlock()
	}
	slices.SortFunc(open, func(a, b *connection) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name))
	})
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	out := make([]DatabaseStatus, len(open))
	var asked sync.WaitGroup
	for i, c := range open {
		asked.Go(func() { out[i] = c.status(ctx) })
	}
	asked.Wait()
	return out
}

func (c *connection) status(ctx context.Context) DatabaseStatus {
	s := DatabaseStatus{Tenant: c.tenant, Name: c.name, Server: c.db.Version()}
	began := time.Now()
	s.Err = c.db.Ping(ctx)
	s.Latency = time.Since(began)
	s.add(c.db.Stat())
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, role := range c.roles {
		s.add(role.Stat())
	}
	return s
}

func (s *DatabaseStatus) add(stat database.Stat) {
	s.Connections += stat.Readers
	s.InUse += stat.ReadersInUse
	if stat.WriterInUse { // SQLite's, beside those that read
		s.InUse++
	}
	s.Waiting += stat.Waiting
	s.Queries += stat.Queries
	s.Errors += stat.Errors
	s.Reopened += stat.Reopened
}
