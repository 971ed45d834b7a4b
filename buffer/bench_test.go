package buffer_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/odac-run/odachost/buffer"
)

// sink is a Target that applies nothing: it leaves the log and the fold to be measured.
type sink struct {
	mu sync.Mutex
	at map[string]buffer.LSN
}

func (s *sink) Applied(_ context.Context, node string, lane buffer.Lane) (buffer.LSN, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[node+lane.String()], nil
}

func (s *sink) Apply(_ context.Context, b *buffer.Batch) (buffer.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[b.Node+b.Lane.String()] = b.To
	return buffer.Result{}, nil
}

func (s *sink) Dead(context.Context, string, buffer.Lane, buffer.LSN, buffer.LSN) ([]buffer.Dead, error) {
	return nil, nil
}

// measure runs write from a number of goroutines and reports writes a second and the 99th percentile.
func measure(b *testing.B, target buffer.Target, writers int, write func(buf *buffer.Buffer, i int64) error) {
	cfg := config(b.TempDir(), target)
	cfg.SegmentBytes, cfg.FlushInterval = 0, 0 // the defaults
	buf := mustOpen(b, cfg)
	var next atomic.Int64
	took := make([][]time.Duration, writers)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				start := time.Now()
				if err := write(buf, i); err != nil {
					b.Error(err)
					return
				}
				took[w] = append(took[w], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	acked := b.Elapsed()
	must(b, buf.Close(context.Background()))
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/acked.Seconds(), "writes/s")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

func BenchmarkInsert(b *testing.B) {
	for _, level := range []buffer.Level{buffer.Disk, buffer.Memory} {
		for _, writers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", level, writers), func(b *testing.B) {
				measure(b, &sink{at: map[string]buffer.LSN{}}, writers, func(buf *buffer.Buffer, i int64) error {
					_, err := buf.Insert(context.Background(), items, level, key(fmt.Sprintf("%021d", i)), cols(integer("n", i), text("title", "a title of some length")))
					return err
				})
			})
		}
	}
}

func BenchmarkIncrement(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			measure(b, &sink{at: map[string]buffer.LSN{}}, writers, func(buf *buffer.Buffer, i int64) error {
				_, err := buf.Increment(context.Background(), items, buffer.Disk, key(fmt.Sprint(i%1000)), by("n", 1))
				return err
			})
		})
	}
}

// BenchmarkSQLite is the whole way: acknowledged on disk while SQLite takes what is pending.
func BenchmarkSQLite(b *testing.B) {
	b.Run("insert/64", func(b *testing.B) {
		measure(b, newSQLite(b, b.TempDir()+"/db"), 64, func(buf *buffer.Buffer, i int64) error {
			_, err := buf.Insert(context.Background(), items, buffer.Disk, key(fmt.Sprintf("%021d", i)), cols(integer("n", i), text("title", "a title of some length")))
			return err
		})
	})
	b.Run("increment/64", func(b *testing.B) {
		measure(b, newSQLite(b, b.TempDir()+"/db"), 64, func(buf *buffer.Buffer, i int64) error {
			_, err := buf.Increment(context.Background(), items, buffer.Disk, key(fmt.Sprint(i%1000)), by("n", 1))
			return err
		})
	})
}

func BenchmarkPending(b *testing.B) {
	h := &hooked{Target: &sink{at: map[string]buffer.LSN{}}}
	h.set(nil, awayBatch, nil)
	buf := mustOpen(b, config(b.TempDir(), h))
	for i := range 1000 {
		did(b)(buf.Increment(context.Background(), items, buffer.Memory, key(fmt.Sprint(i%10)), by("n", 1)))
	}
	k := key("5")
	b.ReportAllocs()
	for b.Loop() {
		p, err := buf.Pending(context.Background(), items, k)
		if err != nil || p.Above(0, true).Int("n", 0) != 100 {
			b.Fatal(p, err)
		}
	}
}
