// Package cache is a read-through cache of query results that never returns what an acknowledged write has made old.
//
// # Contract
//
// After a write is acknowledged no later read on this node returns the older value, and no value is kept that was read before
// an invalidation that has since happened. What the caller must do for it:
//
//   - a read names every table that its result depends on, those of subqueries, joins and views too ([Cache.Get]);
//   - a load reads what was committed when it was called, or later: not from a snapshot that is older;
//   - a write calls [Cache.BeginWrite] before anybody can see its rows, and [Write.End] after that and before it is acknowledged, on
//     every outcome, an error or a lost answer included. A transaction does so around its COMMIT, with all tables it wrote, and
//     does not read through the cache;
//   - whatever changes rows by another way calls [Cache.Invalidate]; where it is not known which tables changed, with the handle of
//     the whole connection.
//
// # How
//
// Each table has one 64-bit word: a generation and the number of writes in flight. A read notes the words of its tables
// first, its stamps, and then loads; a result is stored only if the words are still the same and nothing was in flight, and
// served only while that is so. To invalidate is one atomic addition, with no index of keys, nothing to fetch and nothing to
// race with. Beside its tables' words a read notes that of its connection, which moves when it is not known what was written.
//
// There is one load at a time for a key and its stamps; who asks meanwhile shares it. A load has its own deadline, and goes on when
// the caller that began it leaves. Values are the same immutable bytes on a hit and on a miss.
//
// Memory is bounded: the sum of all entries by Config.MaxBytes (W-TinyLFU decides who stays), a tenant's by [Cache.Limit], an entry's by
// Config.MaxEntryBytes, table handles by Config.MaxTables. A cache that cannot help stands aside: the load runs, with status [Bypass].
//
// All methods may be called from several goroutines. This is the tier in this process; a shared one keeps this interface.
//
// Lock order: otter's bucket lock, then tenant.mu. flights.mu, space.mu and Cache.mu are never held together with another lock, and no
// load runs under any.
package cache
