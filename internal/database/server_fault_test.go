package database

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/testkit"
)

// server is an engine whose server can be killed.
type server struct {
	name   string
	start  func(t testing.TB) (*testkit.Server, Config)
	schema string
}

var servers = []server{
	{"postgres", func(t testing.TB) (*testkit.Server, Config) {
		s, url := testkit.PostgresServer(t)
		return s, Config{URL: url}
	}, "CREATE TABLE log (id bigserial PRIMARY KEY, what bigint NOT NULL UNIQUE)"},
	{"mariadb", func(t testing.TB) (*testkit.Server, Config) {
		s, name := testkit.MariaDBServer(t)
		return s, Config{URL: mariadbURL(name)}
	}, "CREATE TABLE log (id bigint AUTO_INCREMENT PRIMARY KEY, what bigint NOT NULL UNIQUE)"},
}

func onServers(t *testing.T, run func(t *testing.T, s server)) {
	t.Helper()
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) { run(t, s) })
	}
}

// openAt opens a database with four connections and a table log.
func (s server) openAt(t testing.TB, cfg Config) *DB {
	t.Helper()
	cfg.ConnectionLimit = 4
	db, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, ok := db.Catalog().Table("log"); !ok {
		ddl(t, db, s.schema)
	}
	return db
}

// The server dies and comes back under load: who writes hears success, a clear errno, or that it is not known; what succeeded is there,
// what failed is not, no half of a transaction is, and nobody restarts anything.
func TestServerKilledUnderLoad(t *testing.T) { onServers(t, testServerKilledUnderLoad) }

func testServerKilledUnderLoad(t *testing.T, s server) {
	srv, cfg := s.start(t)
	db := s.openAt(t, cfg)
	var (
		wg               sync.WaitGroup
		next, done, down atomic.Int64
		mu               sync.Mutex
		good, bad        []int64
	)
	stop := make(chan struct{})
	for w := range 6 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := next.Add(2)
				err := writeTwo(db, n, w%2 == 0)
				switch {
				case err == nil:
					done.Add(1)
				case errnoOf(err) != abi.ErrnoUnavailable && errnoOf(err) != abi.ErrnoClosed && errnoOf(err) != abi.ErrnoBusy:
					t.Errorf("a write while the server is down: %v", err)
				default:
					down.Add(1)
				}
				mu.Lock()
				switch {
				case err == nil:
					good = append(good, n)
				case !strings.Contains(err.Error(), "not known"):
					bad = append(bad, n)
				}
				mu.Unlock()
			}
		})
	}
	for range 2 {
		at := done.Load()
		testkit.Eventually(t, "writes are done", func() bool { return done.Load() > at+20 })
		srv.Kill(t)
		at = down.Load()
		testkit.Eventually(t, "writers hear of it", func() bool { return down.Load() > at+20 })
		srv.Start(t)
	}
	at := done.Load()
	testkit.Eventually(t, "writes are done again", func() bool { return done.Load() > at+20 })
	close(stop)
	wg.Wait()
	there := map[int64]bool{}
	for _, row := range must(t, db, &abi.Query{Table: "log", Columns: []abi.Column{{Name: "what"}}, Limit: 1e6}).Rows {
		there[row[0].AsInt()] = true
	}
	for _, n := range good {
		if !there[n] || !there[n+1] {
			t.Errorf("%d was acknowledged and is not there", n)
		}
	}
	for _, n := range bad {
		if there[n] || there[n+1] {
			t.Errorf("%d failed and is there", n)
		}
	}
	for n := range there {
		if !there[n^1] {
			t.Errorf("half of %d is there", n)
		}
	}
}

// writeTwo inserts n and n+1, in one statement or in a transaction of two.
func writeTwo(db *DB, n int64, together bool) error {
	if together {
		q := insert("log", "what", n)
		q.Rows = append(q.Rows, abi.Values{abi.Int(n + 1)})
		_, err := db.Query(context.Background(), q, Budget{MaxRows: -1}, nil)
		return err
	}
	tx, err := db.Begin(context.Background(), TxOptions{})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // returns nil
	for _, x := range []int64{n, n + 1} {
		if _, err := query(tx, insert("log", "what", x)); err != nil {
			return err
		}
	}
	return tx.Commit(context.Background())
}

// cutter passes bytes on between clients and a server, until it is told to cut.
type cutter struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	limit atomic.Int64 // bytes of the server's after which connections are cut; 0 is never
	wg    sync.WaitGroup
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l}
	c.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, client, up)
			c.mu.Unlock()
			c.wg.Go(func() { _, _ = io.Copy(up, client); _ = up.Close() })
			c.wg.Go(func() { c.down(client, up) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
		c.wg.Wait()
	})
	return c
}

func (c *cutter) down(client, up net.Conn) {
	defer func() { _, _ = client.Close(), up.Close() }()
	passed := int64(0)
	buf := make([]byte, 4096)
	for {
		n, err := up.Read(buf)
		if err != nil {
			return
		}
		if passed += int64(n); c.limit.Load() > 0 && passed > c.limit.Load() {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// A connection that is cut in the middle of a result is an error, not a short result; idle ones that were cut are replaced unseen.
func TestConnectionCut(t *testing.T) { onServers(t, testConnectionCut) }

func testConnectionCut(t *testing.T, s server) {
	_, cfg := s.start(t)
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	_, address := cfg.address()
	c := newCutter(t, address)
	cfg.URL, cfg.Port = "", c.Addr().(*net.TCPAddr).Port
	db := s.openAt(t, cfg)
	q := insert("log", "what", 0)
	for i := range 5000 {
		q.Rows = append(q.Rows, abi.Values{abi.Int(int64(i + 1))})
	}
	must(t, db, q)
	c.limit.Store(20_000) // of each connection
	c.cut()
	dst := []byte("kept")
	all := &abi.Query{Table: "log"}
	if out, err := db.Query(t.Context(), all, Budget{}, dst); errnoOf(err) != abi.ErrnoUnavailable || string(out) != "kept" {
		t.Errorf("a cut result: %d bytes, %v", len(out), err)
	}
	tx := begin(t, db, true)
	if _, err := tx.Query(t.Context(), all, Budget{}, nil); errnoOf(err) != abi.ErrnoUnavailable {
		t.Errorf("a cut result in a transaction: %v", err)
	}
	if _, err := query(tx, &abi.Query{Table: "log", Limit: 1}); errnoOf(err) != abi.ErrnoClosed {
		t.Errorf("its transaction goes on: %v", err)
	}
	c.limit.Store(0)
	for range 3 {
		c.cut()
		count(t, db, "log") // a read is sent again
		c.cut()
		if err := begin(t, db, false).Rollback(); err != nil { // and so is a begin
			t.Error(err)
		}
	}
	if n := len(must(t, db, all).Rows); n != 5001 {
		t.Errorf("%d rows", n)
	}
}

// When all connections are taken the next waits, no longer than the busy timeout or its own deadline, and then is told so.
func TestPoolExhausted(t *testing.T) {
	for _, f := range fixtures[1:] {
		t.Run(f.name, func(t *testing.T) {
			db := f.newDB(t, func(c *Config) { c.ConnectionLimit, c.BusyTimeout = 2, 50*time.Millisecond })
			held := []*Tx{begin(t, db, false), begin(t, db, true)}
			if _, err := query(db, &abi.Query{Table: "log"}); errnoOf(err) != abi.ErrnoBusy || !strings.Contains(err.Error(), "all 2 connections") {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			if _, err := db.Begin(ctx, TxOptions{}); errnoOf(err) != abi.ErrnoTimeout {
				t.Errorf("got %v", err)
			}
			for _, tx := range held {
				if err := tx.Rollback(); err != nil {
					t.Fatal(err)
				}
			}
			count(t, db, "log")
			if s := db.Stat(); s.Readers != 2 || s.ReadersInUse != 0 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
