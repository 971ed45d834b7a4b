package buffer_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/buffer"
)

var items = buffer.Lane{Tenant: "acme", Conn: "default", Table: "items"}

func key(id string) []buffer.Column { return []buffer.Column{{Name: "id", Value: buffer.Text(id)}} }

func text(name, v string) buffer.Column { return buffer.Column{Name: name, Value: buffer.Text(v)} }

func integer(name string, v int64) buffer.Column {
	return buffer.Column{Name: name, Value: buffer.Int(v)}
}

func cols(c ...buffer.Column) []buffer.Column { return c }

func by(name string, n int64) []buffer.Delta { return []buffer.Delta{{Name: name, By: n}} }

func config(dir string, target buffer.Target) buffer.Config {
	return buffer.Config{
		Dir: dir, Node: "n1", Target: target, FlushInterval: 2 * time.Millisecond, MaxBackoff: 10 * time.Millisecond,
		SegmentBytes: 1 << 20, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func mustOpen(t testing.TB, cfg buffer.Config) *buffer.Buffer {
	t.Helper()
	b, err := buffer.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = crash(b) })
	return b
}

// crash closes b without flushing: the directory is left as a kill would leave it.
func crash(b *buffer.Buffer) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return b.Close(ctx)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func did(t testing.TB) func(buffer.LSN, error) {
	return func(lsn buffer.LSN, err error) {
		t.Helper()
		if err != nil || lsn == 0 {
			t.Fatalf("LSN %d, %v", lsn, err)
		}
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

// want checks columns of a row of items; no values: there is no such row.
func (s *sqliteTarget) want(t testing.TB, id string, columns []string, values ...buffer.Value) {
	t.Helper()
	got, err := s.row(t.Context(), id, columns...)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(values) {
		t.Fatalf("row %s: %v, want %v", id, got, values)
	}
	for i := range values {
		if got[i] != values[i] {
			t.Errorf("row %s: %s = %v, want %v", id, columns[i], got[i], values[i])
		}
	}
}

func (s *sqliteTarget) wantCount(t testing.TB, table string, want int) {
	t.Helper()
	if n, err := s.count(t.Context(), table); err != nil || n != want {
		t.Errorf("%s has %d rows, %v; want %d", table, n, err, want)
	}
}

// hooked is a Target with faults: each hook may be nil.
type hooked struct {
	buffer.Target
	mu      sync.Mutex
	applied func() error              // before Applied
	before  func(*buffer.Batch) error // before Apply
	after   func(*buffer.Batch) error // after a commit: its answer is lost
	seen    []buffer.Batch            // what Apply was called with
}

func (h *hooked) set(applied func() error, before, after func(*buffer.Batch) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.applied, h.before, h.after = applied, before, after
}

func (h *hooked) Applied(ctx context.Context, node string, lane buffer.Lane) (buffer.LSN, error) {
	h.mu.Lock()
	hook := h.applied
	h.mu.Unlock()
	if hook != nil {
		if err := hook(); err != nil {
			return 0, err
		}
	}
	return h.Target.Applied(ctx, node, lane)
}

func (h *hooked) Apply(ctx context.Context, b *buffer.Batch) (buffer.Result, error) {
	h.mu.Lock()
	before, after := h.before, h.after
	h.seen = append(h.seen, *b)
	h.mu.Unlock()
	if before != nil {
		if err := before(b); err != nil {
			return buffer.Result{}, err
		}
	}
	res, err := h.Target.Apply(ctx, b)
	if err == nil && after != nil {
		if err := after(b); err != nil {
			return buffer.Result{}, err
		}
	}
	return res, err
}

var errAway = errors.New("the database is away")

func away() error { return errAway }

func awayBatch(*buffer.Batch) error { return errAway }

// copyDir copies a log, without its lock.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	must(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LOCK" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, d.Name()), data, 0o600)
	}))
	return to
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	must(t, err)
	return paths
}
