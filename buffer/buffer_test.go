package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/buffer"
)

func TestWriteAndFlush(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	b := mustOpen(t, config(t.TempDir(), s))
	ctx, ok := t.Context(), did(t)
	ok(b.Insert(ctx, items, buffer.Disk, key("a"), cols(text("title", "A"), integer("n", 1))))
	ok(b.Increment(ctx, items, buffer.Memory, key("a"), by("n", 41)))
	ok(b.Set(ctx, items, buffer.Disk, key("a"), cols(text("note", "hello"))))
	ok(b.Insert(ctx, items, buffer.Applied, key("b"), cols(text("title", "B"))))
	s.want(t, "b", []string{"title"}, buffer.Text("B"))
	ok(b.Delete(ctx, items, buffer.Disk, key("b")))
	ok(b.Insert(ctx, items, buffer.Disk, key("b"), cols(text("title", "B2")))) // after a delete: next batch
	ok(b.Write(ctx, items, buffer.Disk,
		buffer.Op{Kind: buffer.KindInsert, Key: key("c"), Set: cols(text("title", "C"))},
		buffer.Op{Kind: buffer.KindIncrement, Key: key("c"), Add: by("n", 2)},
		buffer.Op{Kind: buffer.KindIncrement, Key: key("a"), Add: by("n", 1<<53)}))
	must(t, b.Flush(ctx))
	s.want(t, "a", []string{"title", "n", "note"}, buffer.Text("A"), buffer.Int(1<<53+42), buffer.Text("hello"))
	s.want(t, "b", []string{"title"}, buffer.Text("B2"))
	s.want(t, "c", []string{"n"}, buffer.Int(2))
	if st := b.Stat(); st.PendingBytes != 0 || len(st.Lanes) != 0 || st.Writes != 7 || st.AppliedWrites != 7 || st.DeadLetters != 0 {
		t.Errorf("stat after a flush: %+v", st)
	}
	must(t, b.Close(ctx))
	must(t, b.Close(ctx))
	_, err := b.Insert(ctx, items, buffer.Disk, key("d"), nil)
	wantErr(t, "write after close", err, buffer.ErrClosed)
}

func TestRefusals(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	cfg := config(t.TempDir(), s)
	cfg.MaxBatchRows = 3
	b := mustOpen(t, cfg)
	ctx := t.Context()
	done, cancel := context.WithCancel(ctx)
	cancel()
	ins := func(id string) buffer.Op {
		return buffer.Op{Kind: buffer.KindInsert, Key: key(id), Set: cols(text("title", "t"))}
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		lane  buffer.Lane
		level buffer.Level
		ops   []buffer.Op
		want  error
	}{
		{"replicated", ctx, items, buffer.Replicated, []buffer.Op{ins("a")}, buffer.ErrNeedsRedis},
		{"level", ctx, items, 9, []buffer.Op{ins("a")}, buffer.ErrInvalid},
		{"lane", ctx, buffer.Lane{Conn: "default"}, buffer.Disk, []buffer.Op{ins("a")}, buffer.ErrInvalid},
		{"nothing", ctx, items, buffer.Disk, nil, buffer.ErrInvalid},
		{"fold", ctx, items, buffer.Disk, []buffer.Op{ins("a"), ins("a")}, buffer.ErrInvalid},
		{"rows", ctx, items, buffer.Disk, []buffer.Op{ins("a"), ins("b"), ins("c"), ins("d")}, buffer.ErrTooLarge},
		{"segment", ctx, items, buffer.Disk, []buffer.Op{{
			Kind: buffer.KindInsert, Key: key("a"), Set: cols(text("title", string(make([]byte, 1<<20)))),
		}}, buffer.ErrTooLarge},
		{"context", done, items, buffer.Disk, []buffer.Op{ins("a")}, context.Canceled},
	} {
		lsn, err := b.Write(c.ctx, c.lane, c.level, c.ops...)
		if !errors.Is(err, c.want) || lsn != 0 {
			t.Errorf("%s: LSN %d, %v; want %v", c.name, lsn, err, c.want)
		}
	}
	must(t, b.Close(ctx))
	s.wantCount(t, "items", 0)
}

func TestConfig(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	for name, spoil := range map[string]func(*buffer.Config){
		"Dir":          func(c *buffer.Config) { c.Dir = "" },
		"Node":         func(c *buffer.Config) { c.Node = "" },
		"Target":       func(c *buffer.Config) { c.Target = nil },
		"SegmentBytes": func(c *buffer.Config) { c.SegmentBytes = 5 },
		"MaxLogBytes":  func(c *buffer.Config) { c.MaxLogBytes = 1 << 20 },
		"MaxLaneBytes": func(c *buffer.Config) { c.MaxLaneBytes = 1 << 40 },
		"MaxBatchRows": func(c *buffer.Config) { c.MaxBatchRows = -1 },
	} {
		cfg := config(t.TempDir(), s)
		spoil(&cfg)
		if b, err := buffer.Open(cfg); err == nil {
			_ = crash(b)
			t.Errorf("a bad %s is accepted", name)
		}
	}
	for _, l := range []buffer.Level{buffer.Disk, buffer.Memory, buffer.Applied, buffer.Replicated} {
		if got, err := buffer.ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("level %s reads as %s, %v", l, got, err)
		}
	}
	if _, err := buffer.ParseLevel("fast"); !errors.Is(err, buffer.ErrInvalid) {
		t.Errorf("level fast: %v", err)
	}
}

func TestLock(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	dir := t.TempDir()
	b := mustOpen(t, config(dir, s))
	_, err := buffer.Open(config(dir, s))
	wantErr(t, "second open", err, buffer.ErrLocked)
	must(t, b.Close(t.Context()))
	must(t, mustOpen(t, config(dir, s)).Close(t.Context()))
}

// TestPending reads a row as its documentation says, at every stage of a flush.
func TestPending(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	b := mustOpen(t, config(t.TempDir(), h))
	ctx, ok := t.Context(), did(t)
	read := func(id string) (int64, bool) {
		t.Helper()
		p, err := b.Pending(ctx, items, key(id))
		must(t, err)
		var base, applied, exists int64
		must(t, s.db.QueryRowContext(ctx, `SELECT coalesce((SELECT n FROM items WHERE id = ?1), 0), (SELECT count(*) FROM items WHERE id = ?1),
			coalesce((SELECT applied FROM odac_buffer_ledger WHERE node = ?2 AND lane = ?3), 0)`, id, b.Node(), items.String()).Scan(&base, &exists, &applied))
		e := p.Above(buffer.LSN(applied), exists == 1)
		return e.Int("n", base), e.Inserted || exists == 1 && !e.Deleted
	}
	ok(b.Insert(ctx, items, buffer.Applied, key("a"), cols(text("title", "A"), integer("n", 5))))
	h.set(nil, awayBatch, nil)
	ok(b.Increment(ctx, items, buffer.Memory, key("a"), by("n", 1)))
	ok(b.Increment(ctx, items, buffer.Disk, key("a"), by("n", 2)))
	ok(b.Insert(ctx, items, buffer.Memory, key("b"), cols(text("title", "B"))))
	if n, there := read("a"); n != 8 || !there {
		t.Errorf("a reads %d, %v; want 8", n, there)
	}
	if _, there := read("b"); !there {
		t.Error("a pending insert is not seen")
	}
	ok(b.Delete(ctx, items, buffer.Disk, key("a")))
	if n, there := read("a"); n != 0 || there {
		t.Errorf("deleted a reads %d, %v", n, there)
	}
	ok(b.Insert(ctx, items, buffer.Disk, key("a"), cols(text("title", "A"), integer("n", 100))))
	ok(b.Increment(ctx, items, buffer.Disk, key("a"), by("n", 1)))
	if n, there := read("a"); n != 101 || !there {
		t.Errorf("a made again reads %d, %v", n, there)
	}
	h.set(nil, nil, nil)
	must(t, b.Flush(ctx, items))
	if n, there := read("a"); n != 101 || !there {
		t.Errorf("flushed a reads %d, %v", n, there)
	}
	if p, err := b.Pending(ctx, items, key("a")); err != nil || !p.IsEmpty() {
		t.Errorf("pending after a flush: %+v, %v", p, err)
	}
}

// TestPoison: a refused row is set aside with its error, the rest of the batch is applied, level Applied is told.
func TestPoison(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	b := mustOpen(t, config(t.TempDir(), h))
	ctx, ok := t.Context(), did(t)
	ok(b.Insert(ctx, items, buffer.Applied, key("a"), cols(text("title", "A"))))
	lost := false // the answer of one commit is lost: what was set aside is read back
	h.set(nil, nil, func(*buffer.Batch) error {
		if !lost {
			lost = true
			return errAway
		}
		return nil
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			id, level := fmt.Sprint(i), buffer.Applied
			if i%3 == 0 {
				id = "a"
			}
			_, err := b.Insert(ctx, items, level, key(id), cols(text("title", "t")))
			var dead *buffer.DeadLetterError
			if (i%3 == 0) != errors.As(err, &dead) || (i%3 != 0 && err != nil) {
				t.Errorf("insert of %s: %v", id, err)
			}
		})
	}
	wg.Wait()
	lsn, err := b.Increment(ctx, items, buffer.Applied, key("nobody"), by("n", 1))
	var dead *buffer.DeadLetterError
	if !errors.As(err, &dead) || lsn == 0 || dead.Dead[0].First != lsn {
		t.Errorf("increment of no row: LSN %d, %v", lsn, err)
	}
	must(t, b.Close(ctx))
	s.wantCount(t, "items", 14)
	s.wantCount(t, "odac_buffer_dead", 8)
	s.want(t, "a", []string{"title"}, buffer.Text("A"))
}

// TestAmbiguousCommit: every commit is reported as failed, nothing is applied twice.
func TestAmbiguousCommit(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	h.set(nil, nil, awayBatch)
	b := mustOpen(t, config(t.TempDir(), h))
	ctx, ok := t.Context(), did(t)
	ok(b.Insert(ctx, items, buffer.Applied, key("a"), cols(text("title", "A"))))
	for range 50 {
		ok(b.Increment(ctx, items, buffer.Applied, key("a"), by("n", 3)))
	}
	must(t, b.Close(ctx))
	s.want(t, "a", []string{"n"}, buffer.Int(150))
}

// TestRetryIsTheSameBatch: what comes while the database is away does not enter a batch that was tried.
func TestRetryIsTheSameBatch(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	tries := make(chan buffer.LSN)
	h.set(nil, func(b *buffer.Batch) error { tries <- b.To; return errAway }, nil)
	b := mustOpen(t, config(t.TempDir(), h))
	ctx, ok := t.Context(), did(t)
	ok(b.Insert(ctx, items, buffer.Disk, key("a"), cols(text("title", "A"))))
	first := <-tries
	ok(b.Increment(ctx, items, buffer.Disk, key("a"), by("n", 1)))
	if again := <-tries; again != first {
		t.Errorf("tried up to %d, then up to %d", first, again)
	}
	h.set(nil, nil, nil)
	go func() {
		for range tries {
		}
	}()
	must(t, b.Flush(ctx))
	must(t, b.Close(ctx))
	close(tries)
	s.want(t, "a", []string{"n"}, buffer.Int(1))
}

// TestBackPressure: the lane's bound first, another lane still has room, and a full buffer is a typed error.
func TestBackPressure(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	h.set(nil, awayBatch, nil)
	cfg := config(t.TempDir(), h)
	cfg.MaxPendingBytes, cfg.MaxLaneBytes = 30_000, 20_000
	b := mustOpen(t, cfg)
	fill := func(lane buffer.Lane, prefix string) int {
		for i := 0; ; i++ {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			lsn, err := b.Insert(ctx, lane, buffer.Disk, key(fmt.Sprint(prefix, i)), cols(text("title", "t")))
			cancel()
			if lsn == 0 {
				wantErr(t, "write to a full buffer", err, buffer.ErrBufferFull)
				wantErr(t, "write to a full buffer", err, context.DeadlineExceeded)
				return i
			}
		}
	}
	n := fill(items, "a")
	other := buffer.Lane{Tenant: "zeta", Conn: "default", Table: "items"}
	m := fill(other, "b")
	if n == 0 || m == 0 || m >= n {
		t.Errorf("%d writes fit the lane, %d the other", n, m)
	}
	if st := b.Stat(); st.PendingBytes > cfg.MaxPendingBytes || len(st.Lanes) != 2 || !errors.Is(st.Lanes[0].Err, errAway) {
		t.Errorf("stat of a full buffer: %+v", st)
	}
	blocked := make(chan error)
	go func() {
		_, err := b.Insert(t.Context(), items, buffer.Disk, key("last"), cols(text("title", "t")))
		blocked <- err
	}()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := b.Flush(short)
	wantErr(t, "flush", err, context.DeadlineExceeded)
	wantErr(t, "flush", err, errAway)
	h.set(nil, nil, nil)
	must(t, <-blocked)
	must(t, b.Close(t.Context()))
	s.wantCount(t, "items", n+m+1)
}

// TestCloseUnflushed: Close says what is left, refuses who waits, and the next Open applies it.
func TestCloseUnflushed(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	h.set(away, awayBatch, nil)
	dir := t.TempDir()
	cfg := config(dir, h)
	cfg.MaxPendingBytes = 1000
	cfg.MaxLaneBytes = 1000
	b := mustOpen(t, cfg)
	ctx, ok := t.Context(), did(t)
	waiting := make(chan error, 2)
	for i := range 3 {
		ok(b.Insert(ctx, items, buffer.Disk, key(fmt.Sprint(i)), cols(text("title", "t"))))
	}
	for i := range 2 {
		go func() {
			_, err := b.Insert(ctx, items, buffer.Applied, key(fmt.Sprint("w", i)), cols(text("title", string(make([]byte, 100+600*i)))))
			waiting <- err
		}()
	}
	ctx2, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	err := b.Close(ctx2)
	var left *buffer.UnflushedError
	if !errors.As(err, &left) || left.Writes < 3 || len(left.Lanes) != 1 || left.Lanes[0] != items {
		t.Fatalf("close with the database away: %v", err)
	}
	for range 2 {
		wantErr(t, "a write that waited", <-waiting, buffer.ErrClosed)
	}
	b = mustOpen(t, config(dir, s))
	must(t, b.Close(ctx))
	s.wantCount(t, "items", int(left.Writes))
	s.wantCount(t, "odac_buffer_dead", 0)
}

// TestLanesDoNotWait: a lane whose database hangs does not stop another.
func TestLanesDoNotWait(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	release := make(chan struct{})
	h.set(nil, func(b *buffer.Batch) error {
		if b.Lane == items {
			<-release
		}
		return nil
	}, nil)
	b := mustOpen(t, config(t.TempDir(), h))
	ctx, ok := t.Context(), did(t)
	ok(b.Insert(ctx, items, buffer.Disk, key("a"), cols(text("title", "t"))))
	events := buffer.Lane{Conn: "default", Table: "events"}
	ok(b.Insert(ctx, events, buffer.Applied, nil, cols(text("note", "x"))))
	ok(b.Insert(ctx, events, buffer.Disk, nil, cols(text("note", "x"))))
	must(t, b.Flush(ctx, events))
	s.wantCount(t, "events", 2)
	s.wantCount(t, "items", 0)
	close(release)
	must(t, b.Close(ctx))
	s.wantCount(t, "items", 1)
}

func TestMissingPolicy(t *testing.T) {
	for policy, want := range map[buffer.Missing][3]int64{ // rows, dead letters, dropped
		buffer.MissingDeadLetter: {0, 1, 0}, buffer.MissingDrop: {0, 0, 1}, buffer.MissingUpsert: {1, 0, 0},
	} {
		s := newSQLite(t, t.TempDir()+"/db")
		cfg := config(t.TempDir(), s)
		cfg.Missing = func(buffer.Lane) buffer.Missing { return policy }
		b := mustOpen(t, cfg)
		did(t)(b.Set(t.Context(), items, buffer.Disk, key("a"), cols(text("title", "t"))))
		must(t, b.Flush(t.Context()))
		rows, err := s.count(t.Context(), "items")
		must(t, err)
		st := b.Stat()
		if got := [3]int64{int64(rows), st.DeadLetters, st.Dropped}; got != want {
			t.Errorf("policy %d: rows, dead, dropped %v; want %v", policy, got, want)
		}
		must(t, b.Close(t.Context()))
	}
}
