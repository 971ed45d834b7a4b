package buffer_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/odac-run/odachost/buffer"
)

// TestHammer: writers of every level, readers and flushers at once, on a database of which every fourth call fails before
// or after its commit, through two restarts in the middle. Counters are exact, and no reader sees one go back.
func TestHammer(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	chance := func(*buffer.Batch) error {
		if rand.IntN(8) == 0 {
			return errAway
		}
		return nil
	}
	h.set(func() error { return chance(nil) }, chance, chance)
	cfg := config(t.TempDir(), h)
	cfg.SegmentBytes, cfg.MaxBatchRows = 64<<10, 40
	cfg.FlushInterval, cfg.MaxBackoff = time.Millisecond, time.Millisecond
	lanes := []buffer.Lane{items, {Tenant: "other", Conn: "default", Table: "items"}}
	const counters = 3
	name := func(lane, counter int) string { return fmt.Sprintf("counter%d-%d", lane, counter) }
	var want [2][counters]atomic.Int64
	var rows atomic.Int64
	for round := range 3 {
		b := mustOpen(t, cfg)
		if round == 0 {
			for l, lane := range lanes {
				for c := range counters {
					did(t)(b.Insert(t.Context(), lane, buffer.Disk, key(name(l, c)), cols(text("title", "t"), integer("n", 0))))
				}
			}
			must(t, b.Flush(t.Context())) // the ledger's table is there
		}
		var writers, others sync.WaitGroup
		stop := make(chan struct{})
		for g := range 12 {
			writers.Go(func() {
				l, c := g%2, g%counters
				for i := range 120 {
					n := rand.Int64N(1000)
					level := [...]buffer.Level{buffer.Disk, buffer.Memory, buffer.Disk, buffer.Disk}[i%4]
					if i%16 == 3 {
						level = buffer.Applied
					}
					id := key(fmt.Sprintf("r%d-%d-%d", round, g, i))
					_, err := b.Write(t.Context(), lanes[l], level,
						buffer.Op{Kind: buffer.KindInsert, Key: id, Set: cols(text("title", "t"))},
						buffer.Op{Kind: buffer.KindIncrement, Key: key(name(l, c)), Add: by("n", n)})
					if err == nil && i%5 == 0 {
						_, err = b.Set(t.Context(), lanes[l], buffer.Memory, id, cols(text("note", "set")))
					}
					if err == nil && i%10 == 0 {
						_, err = b.Delete(t.Context(), lanes[l], buffer.Disk, id)
						rows.Add(-1)
					}
					if err != nil {
						t.Errorf("write: %v", err)
						return
					}
					want[l][c].Add(n)
					rows.Add(1)
				}
			})
		}
		for l := range lanes {
			others.Go(func() {
				var seen [counters]int64
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					c := i % counters
					n, err := readCounter(t, b, s, lanes[l], name(l, c))
					if err != nil || n < seen[c] {
						t.Errorf("counter %d went from %d to %d, %v", c, seen[c], n, err)
						return
					}
					seen[c] = n
					if i%20 == 0 {
						if err := b.Flush(t.Context(), lanes[l]); err != nil {
							t.Errorf("flush: %v", err)
						}
						_ = b.Stat()
					}
				}
			})
		}
		writers.Wait()
		close(stop)
		others.Wait()
		if round == 1 {
			_ = crash(b) // the rest is applied after the next Open
		} else {
			must(t, b.Close(t.Context()))
		}
	}
	for l := range lanes {
		for c := range counters {
			s.want(t, name(l, c), []string{"n"}, buffer.Int(want[l][c].Load()))
		}
	}
	s.wantCount(t, "items", int(rows.Load())+2*counters)
	s.wantCount(t, "odac_buffer_dead", 0)
}

func readCounter(t *testing.T, b *buffer.Buffer, s *sqliteTarget, lane buffer.Lane, id string) (int64, error) {
	t.Helper()
	p, err := b.Pending(t.Context(), lane, key(id))
	if err != nil {
		return 0, err
	}
	var base, exists, applied int64
	err = s.db.QueryRowContext(t.Context(), `SELECT coalesce((SELECT n FROM items WHERE id = ?1), 0), (SELECT count(*) FROM items WHERE id = ?1),
		coalesce((SELECT applied FROM odac_buffer_ledger WHERE node = ?2 AND lane = ?3), 0)`, id, b.Node(), lane.String()).Scan(&base, &exists, &applied)
	return p.Above(buffer.LSN(applied), exists == 1).Int("n", base), err
}
