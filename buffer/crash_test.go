package buffer_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("load", loadChild), testkit.Child("die", dieChild))
}

// loadChild writes under load until it is killed: each write inserts a row with a random n and adds n to one of four
// counters, as one unit, and sets the note of the counter. It prints a line for each acknowledgement.
func loadChild(args []string) int {
	dir, path, round := args[0], args[1], args[2]
	s, err := openSQLite(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg := config(dir, s)
	cfg.SegmentBytes = 128 << 10 // many segments
	b, err := buffer.Open(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			level := [...]buffer.Level{buffer.Disk, buffer.Disk, buffer.Disk, buffer.Applied}[g%4]
			for i := 0; ; i++ {
				id, n := fmt.Sprintf("r%s-%d-%d", round, g, i), rand.Int64N(1<<40)
				_, err := b.Write(context.Background(), items, level,
					buffer.Op{Kind: buffer.KindInsert, Key: key(id), Set: cols(text("title", id), integer("n", n))},
					buffer.Op{Kind: buffer.KindIncrement, Key: key("counter" + strconv.Itoa(g%4)), Add: by("n", n)},
					buffer.Op{Kind: buffer.KindIncrement, Key: key("counter" + strconv.Itoa(g%4)), Add: by("c01", 1)})
				if err != nil {
					fmt.Fprintln(os.Stderr, id, err)
					return
				}
				mu.Lock()
				fmt.Fprintln(out, id)
				_ = out.Flush()
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return 1
}

// TestKill kills the process at random moments under load: every acknowledged row is there, every counter is the exact sum
// of the rows that are there, and nothing was set aside (a row applied twice would be).
func TestKill(t *testing.T) {
	dir, path := t.TempDir(), t.TempDir()+"/db"
	s := newSQLite(t, path)
	b := mustOpen(t, config(dir, s))
	for i := range 4 {
		did(t)(b.Insert(t.Context(), items, buffer.Disk, key("counter"+strconv.Itoa(i)), cols(text("title", "t"), integer("n", 0))))
	}
	must(t, b.Close(t.Context()))
	must(t, s.db.Close()) // the children have the database alone, and a kill leaves its files as they are

	var acked []string
	const rounds = 14
	for round := range rounds {
		p := testkit.Spawn(t, "load", dir, path, strconv.Itoa(round))
		for range 1 + rand.IntN(1500) {
			line, ok := p.Line()
			if !ok {
				t.Fatalf("the child of round %d ended by itself", round)
			}
			acked = append(acked, line)
		}
		acked = append(acked, p.Drain()...)
	}

	s = newSQLite(t, path)
	b = mustOpen(t, config(dir, s))
	must(t, b.Flush(t.Context()))
	must(t, b.Close(t.Context()))
	rows := ids(t, s.db)
	missing := 0
	for _, id := range acked {
		if !rows[id] {
			missing++
		}
	}
	t.Logf("%d acknowledged, %d rows, %d kills", len(acked), len(rows), rounds)
	if missing > 0 {
		t.Errorf("%d acknowledged rows are missing", missing)
	}
	s.wantCount(t, "odac_buffer_dead", 0)
	for i := range 4 {
		var sum, count, n, c01 int64
		must(t, s.db.QueryRowContext(t.Context(), `SELECT sum(n), count(*) FROM items WHERE id LIKE 'r%' AND
			CAST(substr(substr(id, instr(id, '-') + 1), 1, instr(substr(id, instr(id, '-') + 1), '-') - 1) AS INTEGER) % 4 = ?`, i).Scan(&sum, &count))
		must(t, s.db.QueryRowContext(t.Context(), `SELECT n, c01 FROM items WHERE id = ?`, "counter"+strconv.Itoa(i)).Scan(&n, &c01))
		if n != sum || c01 != count {
			t.Errorf("counter %d is %d after %d increments, its %d rows sum up to %d", i, n, c01, count, sum)
		}
	}
}

func ids(t *testing.T, db *sql.DB) map[string]bool {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT id FROM items WHERE id LIKE 'r%'")
	must(t, err)
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var id string
		must(t, rows.Scan(&id))
		out[id] = true
	}
	must(t, rows.Err())
	return out
}

// dieChild writes one row and one increment, and dies before the commit, or between the commit and the trim.
func dieChild(args []string) int {
	s, err := openSQLite(args[1])
	if err != nil {
		return 3
	}
	h := &hooked{Target: s}
	die := func(*buffer.Batch) error { os.Exit(42); return nil }
	if args[2] == "before" {
		h.set(nil, die, nil)
	} else {
		h.set(nil, nil, die)
	}
	b, err := buffer.Open(config(args[0], h))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	_, err = b.Write(context.Background(), items, buffer.Applied,
		buffer.Op{Kind: buffer.KindInsert, Key: key(args[3]), Set: cols(text("title", "t"))},
		buffer.Op{Kind: buffer.KindIncrement, Key: key("counter"), Add: by("n", 1)})
	fmt.Fprintln(os.Stderr, "still alive:", err)
	return 3
}

// TestDieAtCommit: the two moments that matter, each several times on one log.
func TestDieAtCommit(t *testing.T) {
	dir, path := t.TempDir(), t.TempDir()+"/db"
	s := newSQLite(t, path)
	b := mustOpen(t, config(dir, s))
	did(t)(b.Insert(t.Context(), items, buffer.Disk, key("counter"), cols(text("title", "t"))))
	must(t, b.Close(t.Context()))
	moments := strings.Fields("before after before before after after")
	for i, moment := range moments {
		if code := testkit.Spawn(t, "die", dir, path, moment, "r"+strconv.Itoa(i)).Wait(); code != 42 {
			t.Fatalf("child %d (%s the commit) ended with %d", i, moment, code)
		}
	}
	b = mustOpen(t, config(dir, s))
	must(t, b.Close(t.Context()))
	s.want(t, "counter", []string{"n"}, buffer.Int(int64(countRows(t, s))))
	if n := countRows(t, s); n < 1 {
		t.Errorf("%d rows", n)
	}
	s.wantCount(t, "odac_buffer_dead", 0)
}

func countRows(t *testing.T, s *sqliteTarget) int { t.Helper(); return len(ids(t, s.db)) }
