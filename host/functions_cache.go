package host

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/host/internal/engine"
)

// odac:cache/v1: selects that are read through the cache. What is granted is what odac:db/v1 is granted.

func cacheModule() engine.Module {
	return engine.Module{Name: abi.ModuleCache, Funcs: []engine.Func{
		function(abi.FuncCachedQuery, cachedQuery),
		function(abi.FuncCacheClear, cacheClear),
	}}
}

func cachedQuery(c *call, req, resp []byte) ([]byte, error) {
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
	conn, touches, err := c.access(&q)
	if err != nil {
		return nil, err
	}
	// Two plugins with other budgets may not share what one of them could not have read.
	budget := c.budget()
	var rows [16]byte
	binary.LittleEndian.PutUint64(rows[:], uint64(budget.MaxRows))
	binary.LittleEndian.PutUint64(rows[8:], uint64(budget.MaxBytes))
	key := cache.KeyOf([]byte(conn.tenant), []byte(conn.name), []byte(c.rev.key.name), rows[:], req)
	value, status, err := conn.cache.Get(c.context(), key, conn.tables(touches, false), ttlOf(q.TTL), func(ctx context.Context) ([]byte, error) {
		return conn.db.Query(ctx, &q, budget, nil)
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
	}
	conn.cache.Invalidate(conn.table(in.Name))
	return resp, nil
}
