package database

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

// tripMeter passes bytes on between clients and a server and counts round trips: how often a client speaks after the server did.
type tripMeter struct {
	net.Listener
	delay time.Duration // each way, for benchmarks
	trips atomic.Int64
	wg    sync.WaitGroup
}

func newTripMeter(t testing.TB, server string) *tripMeter {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &tripMeter{Listener: l}
	m.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			up, err := new(net.Dialer).DialContext(context.Background(), "tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			var spoke atomic.Bool // the client, last
			m.wg.Go(func() {
				m.pass(up, client, func() {
					if !spoke.Swap(true) {
						m.trips.Add(1)
					}
				})
			})
			m.wg.Go(func() { m.pass(client, up, func() { spoke.Store(false) }) })
		}
	})
	return m
}

func (m *tripMeter) pass(to, from net.Conn, seen func()) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		seen()
		if m.delay > 0 {
			time.Sleep(m.delay)
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// metered opens a database with the schema through a tripMeter.
func (f fixture) metered(t testing.TB) (*DB, *tripMeter) {
	t.Helper()
	cfg, err := f.config(t).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	_, address := cfg.address()
	m := newTripMeter(t, address)
	t.Cleanup(func() { // after the database is closed
		_ = m.Close()
		m.wg.Wait()
	})
	cfg.URL, cfg.Port = "", m.Addr().(*net.TCPAddr).Port
	f.config = func(testing.TB) Config { return cfg }
	return f.newDB(t), m
}

// Statements whose shape a connection knows take one trip, and so do those of a batch on PostgreSQL; its end takes another where its answers
// have to be looked at first.
func TestTrips(t *testing.T) {
	for _, f := range fixtures[1:] {
		t.Run(f.name, func(t *testing.T) {
			db, m := f.metered(t)
			seed(t, db)
			read := &abi.Query{Table: "users", Columns: columns("name"), Where: where(cond(abi.CondEq, "id", 1)), Limit: 1}
			write := update("users", where(cond(abi.CondEq, "id", 1)), "age", 7)
			more := insert("log", "what", "x")
			known := func(what string, want int64, run func() error) {
				t.Helper()
				for range 2 {
					if err := run(); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
				}
				before := m.trips.Load()
				if err := run(); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if got := m.trips.Load() - before; got != want {
					t.Errorf("%s: %d trips, want %d", what, got, want)
				}
			}
			one := func(db querier, q *abi.Query) func() error {
				return func() error { _, err := query(db, q); return err }
			}
			together := func(db batcher, queries ...*abi.Query) func() error {
				return func() error { _, err := batch(db, queries...); return err }
			}
			known("a read", 1, one(db, read))
			known("a write", 1, one(db, write))
			if f.name != "postgres" {
				return
			}
			known("ten reads", 1, together(db, slices.Repeat([]*abi.Query{read}, 10)...))
			known("ten writes", 1, together(db, slices.Repeat([]*abi.Query{write}, 10)...))
			known("writes and a read", 2, together(db, write, more, read))
			tx := begin(t, db, false)
			defer tx.Rollback() //nolint:errcheck // returns nil
			known("a read in a transaction", 1, one(tx, read))
			known("writes in a transaction", 1, together(tx, write, write, write))
			known("writes and a read in a transaction", 2, together(tx, write, read))
		})
	}
}

// What a batch did is undone when one of its answers is over the budget, or it is canceled, and a transaction around it goes on.
func TestBatchUndone(t *testing.T) { onEngines(t, testBatchUndone) }

func testBatchUndone(t *testing.T, db *DB) {
	fillLog(t, db)
	seed(t, db)
	rows := count(t, db, "log")
	more, all := insert("log", "what", "x"), &abi.Query{Table: "users"}
	over := []abi.Query{*more, *all, *more}
	late := []abi.Query{*more, *slow, *more}
	for name, run := range map[string]func(list []abi.Query, ctx context.Context, b Budget) error{
		"alone": func(list []abi.Query, ctx context.Context, b Budget) error {
			out, err := db.Batch(ctx, list, b, []byte("kept"))
			if string(out) != "kept" {
				t.Errorf("%d bytes with the error", len(out))
			}
			return err
		},
		"in a transaction": func(list []abi.Query, ctx context.Context, b Budget) error {
			tx := begin(t, db, false)
			must(t, tx, insert("users", "name", "zoe"))
			_, err := tx.Batch(ctx, list, b, nil)
			if n := count(t, tx, "log"); n != rows {
				t.Errorf("%d rows in the transaction after a batch that failed, want %d", n, rows)
			}
			must(t, tx, insert("users", "name", "yan"))
			if failed := tx.Commit(context.Background()); failed != nil {
				t.Errorf("commit: %v", failed)
			}
			return err
		},
	} {
		if err := run(over, t.Context(), Budget{MaxRows: 2}); errnoOf(err) != abi.ErrnoLimit || !strings.Contains(err.Error(), "query 1 of the batch") {
			t.Errorf("%s, over the budget: %v", name, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if err := run(late, ctx, Budget{}); errnoOf(err) != abi.ErrnoTimeout {
			t.Errorf("%s, canceled: %v", name, err)
		}
		cancel()
		if n := count(t, db, "log"); n != rows {
			t.Errorf("%s: %d rows, want %d", name, n, rows)
		}
	}
	// More shapes than a connection has prepared at once.
	var list []*abi.Query
	for i := range 2 * maxPrepared {
		q := &abi.Query{Table: "users", Columns: columns("name")}
		for range i {
			q.Where = append(q.Where, cond(abi.CondNe, "id", 0))
		}
		list = append(list, q)
	}
	if r, err := batch(db, list...); err != nil || len(r) != len(list) || len(r[len(list)-1].Rows) != 3+4 {
		t.Errorf("%d results, %v", len(r), err)
	}
}

// Tables that change under prepared statements cost a batch a second attempt, no more.
func TestBatchOfOldPlans(t *testing.T) {
	db := fixtures[1].newDB(t, func(c *Config) { c.ConnectionLimit = 1 })
	read, write := &abi.Query{Table: "log"}, insert("log", "what", "x")
	for range 2 {
		if _, err := batch(db, write, read); err != nil {
			t.Fatal(err)
		}
	}
	std, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.ExecContext(t.Context(), "ALTER TABLE log ALTER COLUMN what TYPE varchar(50)"); err != nil {
		t.Fatal(err)
	}
	if r, err := batch(db, write, read); err != nil || len(r[1].Rows) != 3 {
		t.Errorf("%v, %v", r, err)
	}
}

// BenchmarkBatch is ten reads over a line that takes a millisecond each way.
func BenchmarkBatch(b *testing.B) {
	db, m := fixtures[1].metered(b)
	m.delay = time.Millisecond
	var list []abi.Query
	for i := range 10 {
		list = append(list, abi.Query{Table: "users", Where: where(cond(abi.CondEq, "id", i))})
	}
	var buf []byte
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			for b.Loop() {
				for at := 0; at < 10; at += n {
					var err error
					if buf, err = db.Batch(context.Background(), list[at:at+n], Budget{}, buf[:0]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			for i := range list {
				var err error
				if buf, err = db.Query(context.Background(), &list[i], Budget{}, buf[:0]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
