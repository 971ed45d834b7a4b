package host

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/database"
)

// odac:cache/v1: selects that are read through the cache. What is granted is what odac:db/v1 is granted.

func cacheModule() hostModule {
	return hostModule{abi.ModuleCache, []hostFunction{
		{abi.FuncCachedQuery, cachedQuery},
		{abi.FuncCacheClear, cacheClear},
	}}
}

func cachedQuery(c *call, req, resp []byte) ([]byte, error) {
	// Two plugins with other budgets may not share what one of them could not have read.
	budget := c.budget()
	var rows [16]byte
	binary.LittleEndian.PutUint64(rows[:], uint64(budget.MaxRows))
	binary.LittleEndian.PutUint64(rows[8:], uint64(budget.MaxBytes))
	key := cache.KeyOf(c.rev.reads.plugin, rows[:], req)
	if read, ok := c.rev.reads.get(key); ok {
		if value, ok := read.conn.cache.Peek(key, read.tables); ok {
			return appendCached(resp, value, true), nil
		}
	}
	var q abi.Query
	if err := decode(req, &q); err != nil {
		return nil, err
	}
	if q.Verb != abi.VerbSelect || q.Tx != 0 {
		return nil, invalid("only a select outside of a transaction can be cached")
	}
	if q.TTL < 0 {
		return nil, invalid("a cached query's time to live is 0 (the host's default) or more")
	}
	conn, err := c.rev.tenant.conn(c.context(), q.Conn)
	if err != nil {
		return nil, err
	}
	return c.again(conn, 0, func() ([]byte, error) { return c.cached(conn, &q, key, resp) })
}

// cached answers a query that is not in the cache.
func (c *call) cached(conn *connection, q *abi.Query, key cache.Key, resp []byte) ([]byte, error) {
	budget := c.budget()
	catalog := conn.db.Catalog() // before access looks at it
	_, db, what, err := c.access(q.Conn, q)
	switch {
	case err != nil:
		return nil, err
	case what.Write:
		return nil, invalid("only a select outside of a transaction can be cached")
	case what.Volatile:
		return db.Run(c.context(), what, q, budget, resp)
	}
	tables := conn.tables(what.Touches, false)
	c.rev.reads.put(key, knownRead{conn, catalog, tables})
	c.ec.Wait() // another goroutine loads it
	value, status, err := conn.cache.Get(c.context(), key, tables, ttlOf(q.TTL), func(ctx context.Context) ([]byte, error) {
		return db.Query(ctx, q, budget, nil) // compiled now: the tables may have changed since they were looked at
	})
	switch {
	case errors.Is(err, cache.ErrLoadTimeout):
		return nil, abi.NewError(abi.ErrnoTimeout, "the query took too long")
	case errors.Is(err, cache.ErrClosed):
		return nil, abi.NewError(abi.ErrnoCanceled, "the host is stopping")
	case err != nil:
		return nil, err
	}
	return appendCached(resp, value, status == cache.Hit), nil
}

// reads remembers what the cached queries of a revision came to: a query of the same bytes was allowed to it, and has the same
// tables as long as the catalog is the same. So a hit needs neither a look at the grants nor the query's text.
type reads struct {
	plugin []byte // tells the keys of one plugin from those of others, and of what it was granted from what it was granted before

	mu    sync.RWMutex
	known map[cache.Key]knownRead
}

type knownRead struct {
	conn    *connection
	catalog *database.Catalog
	tables  []*cache.Table
}

// maxReads bounds what is remembered; when it is reached all is forgotten.
const maxReads = 4096

func newReads(rev *revision) *reads {
	plugin := append(append([]byte(rev.key.tenant), 0), rev.key.name...)
	if rev.access != nil {
		plugin = append(append(plugin, 0), rev.access.Digest()...)
	}
	return &reads{plugin: plugin, known: make(map[cache.Key]knownRead)}
}

func (r *reads) get(key cache.Key) (knownRead, bool) {
	r.mu.RLock()
	read, ok := r.known[key]
	r.mu.RUnlock()
	return read, ok && read.conn.db.Catalog() == read.catalog
}

func (r *reads) put(key cache.Key, read knownRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxReads {
		clear(r.known)
	}
	r.known[key] = read
}

func ttlOf(milliseconds int64) time.Duration {
	return time.Duration(min(milliseconds, int64(24*365*time.Hour/time.Millisecond))) * time.Millisecond
}

// appendCached appends an encoded abi.Result and, where it came from the cache, says so in it: the database encodes a
// small map, so that one more pair is one more in its first byte.
func appendCached(resp, value []byte, hit bool) []byte {
	start := len(resp)
	resp = append(resp, value...)
	if hit && len(value) > 0 {
		resp[start]++
		resp = msgp.AppendBool(msgp.AppendString(resp, "h"), true)
	}
	return resp
}

func cacheClear(c *call, req, resp []byte) ([]byte, error) {
	var in abi.Table
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	conn, err := c.rev.tenant.conn(c.context(), in.Conn)
	if err != nil {
		return nil, err
	}
	if in.Name != "" {
		if err := c.granted(in.Name, abi.VerbSelect); err != nil {
			return nil, err
		}
		conn.cache.Invalidate(conn.table(in.Name))
		return resp, nil
	}
	for table, t := range c.rev.tables { // everything that the plugin may read, and nothing of others
		if slices.Contains(t.Verbs, abi.VerbSelect) {
			conn.cache.Invalidate(conn.table(table))
		}
	}
	return resp, nil
}
