package cache_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/cache"
)

// The hammer: readers and writers of a few tables, whose rows are versions that only grow. Each reader notes which versions were
// acknowledged before it asks; an answer with an older one is stale.

const tables = 4

// source is what is cached: committed versions.
type source interface {
	// read returns the versions of two tables in one snapshot.
	read(ctx context.Context, a, b int) ([2]uint64, error)
	// write raises the versions of two tables in one transaction and returns them. Some fail and roll back.
	write(ctx context.Context, a, b int) ([2]uint64, error)
}

// front is a cache before a source.
type front interface {
	get(ctx context.Context, a, b int, load cache.Load) ([]byte, error)
	write(a, b int, commit func())
}

// stamped is the cache under test.
type stamped struct {
	c       *cache.Cache
	handles [tables]*cache.Table
	whole   *cache.Table
}

func newStamped(c *cache.Cache) *stamped {
	s := &stamped{c: c, whole: c.Table(cache.Tag{Tenant: "acme", Conn: "default"})}
	for i := range s.handles {
		s.handles[i] = c.Table(cache.Tag{Tenant: "acme", Conn: "default", Table: fmt.Sprint("t", i)})
	}
	return s
}

func (s *stamped) get(ctx context.Context, a, b int, load cache.Load) ([]byte, error) {
	got, _, err := s.c.Get(ctx, cache.KeyOf([]byte{byte(a), byte(b)}), []*cache.Table{s.handles[a], s.handles[b]}, 0, load)
	return got, err
}

func (s *stamped) write(a, b int, commit func()) {
	switch rand.IntN(10) {
	case 0: // somebody who does not know what was written
		defer s.c.BeginWrite(s.whole).End()
		commit()
	case 1: // somebody who says so only afterwards
		commit()
		s.c.Invalidate(s.handles[a], s.handles[b])
	default:
		w := s.c.BeginWrite(s.handles[a], s.handles[b])
		commit()
		w.End()
	}
}

// naive is the way of the reference: delete what was written, store whatever was read.
type naive struct {
	mu sync.Mutex
	m  map[[2]int][]byte
}

func (n *naive) get(ctx context.Context, a, b int, load cache.Load) ([]byte, error) {
	n.mu.Lock()
	got, ok := n.m[[2]int{a, b}]
	n.mu.Unlock()
	if ok {
		return got, nil
	}
	got, err := load(ctx)
	if err == nil {
		n.mu.Lock()
		n.m[[2]int{a, b}] = got
		n.mu.Unlock()
	}
	return got, err
}

func (n *naive) write(a, b int, commit func()) {
	commit()
	n.mu.Lock()
	defer n.mu.Unlock()
	for q := range n.m {
		if q[0] == a || q[1] == a || q[0] == b || q[1] == b {
			delete(n.m, q)
		}
	}
}

type outcome struct{ reads, loads, writes, stale int64 }

// hammer runs for so many reads and writes at least, whatever the scheduler prefers, and until enough says so.
func hammer(t *testing.T, f front, src source, minReads, minWrites int64, enough func() bool) (o outcome) {
	t.Helper()
	var acked [tables]atomic.Uint64
	var reads, loads, writes, stale atomic.Int64
	var readers, writers sync.WaitGroup
	for range 6 {
		readers.Go(func() {
			for reads.Add(1) <= minReads || writes.Load() < minWrites || !enough() {
				if stale.Load() > 1000 {
					return // broken, and shown often enough
				}
				a := rand.IntN(tables)
				b := (a + 1 + rand.IntN(tables-1)) % tables
				atLeast := [2]uint64{acked[a].Load(), acked[b].Load()}
				got, err := f.get(t.Context(), a, b, func(ctx context.Context) ([]byte, error) {
					loads.Add(1)
					versions, err := src.read(ctx, a, b)
					pause() // between what was read and its storing
					return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, versions[0]), versions[1]), err
				})
				if err != nil {
					t.Error(err)
					return
				}
				if binary.BigEndian.Uint64(got) < atLeast[0] || binary.BigEndian.Uint64(got[8:]) < atLeast[1] {
					stale.Add(1)
				}
				runtime.Gosched()
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				a := rand.IntN(tables)
				b := (a + 1 + rand.IntN(tables-1)) % tables
				var now [2]uint64
				var err error
				f.write(a, b, func() {
					pause()
					now, err = src.write(t.Context(), a, b)
					pause()
				})
				if err != nil {
					continue // rolled back: nothing to acknowledge
				}
				writes.Add(1)
				raise(&acked[a], now[0])
				raise(&acked[b], now[1])
				for until := reads.Load() + rand.Int64N(60); reads.Load() < until; { // let some reads hit
					select {
					case <-done:
						return
					default:
						runtime.Gosched()
					}
				}
			}
		})
	}
	readers.Wait()
	close(done)
	writers.Wait()
	return outcome{reads.Load(), loads.Load(), writes.Load(), stale.Load()}
}

// pause lets others run, now and then for long.
func pause() {
	for range rand.IntN(3) * rand.IntN(3) {
		runtime.Gosched()
	}
}

func raise(to *atomic.Uint64, version uint64) {
	for now := to.Load(); now < version && !to.CompareAndSwap(now, version); now = to.Load() {
	}
}

// memory is a source with one order of commits.
type memory struct {
	mu       sync.RWMutex
	versions [tables]uint64
}

func (m *memory) read(_ context.Context, a, b int) ([2]uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return [2]uint64{m.versions[a], m.versions[b]}, nil
}

func (m *memory) write(_ context.Context, a, b int) ([2]uint64, error) {
	if rand.IntN(20) == 0 {
		return [2]uint64{}, errRolledBack
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[a]++
	m.versions[b]++
	return [2]uint64{m.versions[a], m.versions[b]}, nil
}

var errRolledBack = errors.New("rolled back")

// sqlite is a real database: WAL, readers beside the writer.
type sqlite struct{ db *sql.DB }

func newSQLite(t *testing.T) *sqlite {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.ToSlash(filepath.Join(t.TempDir(), "hammer.db"))+
		"?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range tables {
		if _, err := db.Exec(fmt.Sprintf("CREATE TABLE t%d (v INTEGER); INSERT INTO t%[1]d VALUES (0)", i)); err != nil {
			t.Fatal(err)
		}
	}
	return &sqlite{db}
}

func (s *sqlite) read(ctx context.Context, a, b int) (v [2]uint64, err error) {
	err = s.db.QueryRowContext(ctx, fmt.Sprintf("SELECT t%d.v, t%d.v FROM t%[1]d, t%[2]d", a, b)).Scan(&v[0], &v[1])
	return v, err
}

func (s *sqlite) write(ctx context.Context, a, b int) (v [2]uint64, err error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return v, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing to roll back
	for i, table := range []int{a, b} {
		if err := tx.QueryRowContext(ctx, fmt.Sprintf("UPDATE t%d SET v = v + 1 RETURNING v", table)).Scan(&v[i]); err != nil {
			return v, err
		}
	}
	if rand.IntN(20) == 0 {
		return v, errRolledBack
	}
	return v, tx.Commit()
}

func TestHammer(t *testing.T) {
	for name, tt := range map[string]struct {
		src           source
		reads, writes int64
	}{
		"memory": {&memory{}, 100_000, 1000},
		"sqlite": {newSQLite(t), 15_000, 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, cache.Config{})
			// A run without hits, or without loads that a write overtook, would prove nothing.
			o := hammer(t, newStamped(c), tt.src, tt.reads, tt.writes, func() bool {
				s := c.Stat()
				return s.Hits > 100 && s.Refused > 100 && s.Stale > 100
			})
			t.Logf("%+v, %+v", o, c.Stat())
			if o.stale != 0 {
				t.Errorf("%d of %d reads were stale", o.stale, o.reads)
			}
		})
	}
}

// TestHammerFindsStaleReads proves that the hammer can fail.
func TestHammerFindsStaleReads(t *testing.T) {
	for range 100 {
		if o := hammer(t, &naive{m: map[[2]int][]byte{}}, &memory{}, 50_000, 100, func() bool { return true }); o.stale > 0 {
			t.Logf("%+v", o)
			return
		}
	}
	t.Error("a cache without stamps went through the hammer without a stale read")
}
