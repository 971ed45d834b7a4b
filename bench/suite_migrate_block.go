package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/migrate"
)

// migrateRows is how many rows the table has; MIGRATE_ROWS changes it.
const migrateRows = 1_000_000

const (
	blockBefore = `
columns:
  id: increments
  name: {type: string, length: 100}
  n: integer
  state: text
  parent: integer
  old: integer
indexes:
  - {columns: [n]}
`
	// All of it is online: no step writes the table anew.
	blockAfter = `
columns:
  id: increments
  name: {type: string, length: 200, default: none}
  n: {type: integer, nullable: false, backfill: 7}
  state: {type: enum, values: [draft, live]}
  parent: {type: integer, references: {table: parents}}
  fresh: {type: integer, renamedFrom: null}
  filled: {type: string, nullable: false, default: other, backfill: some}
  computed: {type: string, backfill: {expression: "name || '!'"}}
indexes:
  - {columns: [name]}
  - {columns: [name, id], unique: true}
`
)

// migrateBlock applies a plan to tables of a tenth of the rows and of all, under writers of single rows.
func migrateBlock(ctx context.Context, t testing.TB) error {
	rows := migrateRows
	if n, err := strconv.Atoi(os.Getenv("MIGRATE_ROWS")); err == nil {
		rows = n
	}
	for _, n := range []int{rows / 10, rows} {
		url := testkit.Postgres(t)
		db, err := sql.Open("pgx", url)
		if err != nil {
			return err
		}
		application, err := sql.Open("pgx", url+"&application_name="+blockWriters)
		if err == nil {
			err = errors.Join(blockUnder(ctx, db, application, n, n == rows), application.Close())
		}
		if err = errors.Join(err, db.Close()); err != nil {
			return err
		}
	}
	return nil
}

func blockSchema(t string) (*migrate.Schema, error) {
	return migrate.LoadFS(fstest.MapFS{"t.yaml": {Data: []byte(t)}, "parents.yaml": {Data: []byte("columns: {id: increments}")}}, ".")
}

func blockUnder(ctx context.Context, db, application *sql.DB, rows int, report bool) error {
	before, err := blockSchema(blockBefore)
	if err != nil {
		return err
	}
	after, err := blockSchema(blockAfter)
	if err != nil {
		return err
	}
	if _, err := migrateTo(ctx, db, before, nil); err != nil {
		return err
	}
	fill := fmt.Sprintf(`INSERT INTO t (name, n, state, parent, old) SELECT 'name ' || i, CASE WHEN i %% 2 = 0 THEN i END, 'live', 1 + i %% 10, i FROM generate_series(1, %d) i`, rows)
	for _, query := range []string{"INSERT INTO parents SELECT FROM generate_series(1, 10)", fill, "ANALYZE t"} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	w := startWriters(ctx, application, rows, 4)
	time.Sleep(time.Second)
	w.longest.Store(0)
	began, heap := time.Now(), watchHeap()
	waits := watchWaits(ctx, db)
	var step string
	_, err = migrateTo(ctx, db, after, func(e migrate.Event) {
		if !e.Done {
			return
		}
		if waits.more() {
			step = fmt.Sprintf("%s %s", e.Kind, e.Message)
		}
		if report {
			fmt.Printf("# %6.1f s %s %s, %d rows\n", time.Since(began).Seconds(), e.Kind, e.Message, e.Rows)
		}
	})
	waited, looked := waits.stop()
	peak := heap()
	if err := errors.Join(err, w.stop(), waits.err); err != nil {
		return err
	}
	size := fmt.Sprintf("%d rows", rows)
	figure("migrate.pg.heap_mib", peak, "MiB", "("+size+", at most, above what was there before)")
	if report {
		figure("migrate.pg.block_ms", waited.Seconds()*1e3, "ms", fmt.Sprintf("(%s; what a writer waited for a lock, by the server, which was asked %d times; longest in: %s; "+
			"%d writes meanwhile, the slowest, with all else that the machine was at, %.0f ms; whole plan %.1f s)",
			size, looked, step, w.writes.Load(), time.Duration(w.longest.Load()).Seconds()*1e3, time.Since(began).Seconds()))
	}
	return nil
}

// writers write single rows all the time.
type writers struct {
	longest, writes atomic.Int64
	stop            func() error
}

func startWriters(ctx context.Context, db *sql.DB, rows, count int) *writers {
	w := &writers{}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for i := range count {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for ctx.Err() == nil {
				query := fmt.Sprintf("UPDATE t SET n = %d WHERE id = %d", r.IntN(1000), 1+r.IntN(rows))
				if r.IntN(4) == 0 {
					query = fmt.Sprintf("INSERT INTO t (name, n, state, parent) VALUES ('new %d %d', 1, 'draft', 1)", i, w.writes.Load())
				}
				began := time.Now()
				if _, err := db.ExecContext(ctx, query); err != nil && ctx.Err() == nil {
					err = fmt.Errorf("%s: %w", query, err)
					failed.Store(&err)
					return
				}
				took := int64(time.Since(began))
				w.writes.Add(1)
				for seen := w.longest.Load(); took > seen && !w.longest.CompareAndSwap(seen, took); seen = w.longest.Load() {
				}
				time.Sleep(2 * time.Millisecond) // the machine is not what is measured
			}
		})
	}
	w.stop = func() error {
		cancel()
		all.Wait()
		if err := failed.Load(); err != nil {
			return *err
		}
		return nil
	}
	return w
}

// watchHeap samples the heap until it is called, which returns its peak above now in MiB.
func watchHeap() func() float64 {
	var base, peak, m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&base)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				if runtime.ReadMemStats(&m); m.HeapAlloc > peak.HeapAlloc {
					peak = m
				}
			}
		}
	}()
	return func() float64 {
		close(done)
		<-ended
		return max(0, float64(peak.HeapAlloc)-float64(base.HeapAlloc)) / (1 << 20)
	}
}

// blockWriters is the application_name of the writers.
const blockWriters = "writers"

// waits is for how long the server has writers wait for locks.
type waits struct {
	longest, seen time.Duration
	mu            sync.Mutex
	looked        int
	err           error
	stop          func() (longest time.Duration, looked int)
}

// watchWaits asks all the time since when each writer waits.
func watchWaits(ctx context.Context, db *sql.DB) *waits {
	w := &waits{}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			var ms float64
			err := db.QueryRowContext(ctx, "SELECT COALESCE(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0) * 1000 FROM pg_locks l JOIN pg_stat_activity a USING (pid) "+
				"WHERE NOT l.granted AND a.application_name = '"+blockWriters+"'").Scan(&ms)
			w.mu.Lock()
			if err != nil && ctx.Err() == nil {
				w.err = err
				cancel()
			}
			w.looked++
			w.longest = max(w.longest, time.Duration(ms*float64(time.Millisecond)))
			w.mu.Unlock()
			time.Sleep(2 * time.Millisecond)
		}
	}()
	w.stop = func() (time.Duration, int) {
		cancel()
		<-ended
		return w.longest, w.looked
	}
	return w
}

// more tells whether somebody waited longer than ever since it was asked the last time.
func (w *waits) more() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.seen = w.longest }()
	return w.longest > w.seen
}
