package buffer_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/odac-run/odachost/buffer"
)

// TestFenceClone: two copies of one log run at once. What both hold is applied once; what the second one accepts
// afterwards is never applied as if it were the first one's, and the second one says so.
func TestFenceClone(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir, 20)
	twin := copyDir(t, dir)
	s := newSQLite(t, t.TempDir()+"/db")
	ctx, ok := t.Context(), did(t)
	a, b := mustOpen(t, config(dir, s)), mustOpen(t, config(twin, s))
	if a.Node() != b.Node() {
		t.Fatalf("nodes %s and %s", a.Node(), b.Node())
	}
	must(t, a.Flush(ctx))
	must(t, b.Flush(ctx)) // the same writes: there already
	s.wantCount(t, "items", 20)
	ok(a.Insert(ctx, items, buffer.Applied, key("from a"), cols(text("title", "t"))))
	lsn, err := b.Insert(ctx, items, buffer.Applied, key("from b"), cols(text("title", "t")))
	wantErr(t, "write of the second copy", err, buffer.ErrFenced)
	if lsn == 0 {
		t.Error("it is stored, and has no LSN")
	}
	_, err = b.Insert(ctx, items, buffer.Disk, key("from b again"), cols(text("title", "t")))
	wantErr(t, "write to a fenced lane", err, buffer.ErrFenced)
	wantErr(t, "flush of a fenced lane", b.Flush(ctx), buffer.ErrFenced)
	ok(a.Insert(ctx, items, buffer.Applied, key("from a again"), cols(text("title", "t"))))
	must(t, a.Close(ctx))
	err = b.Close(ctx)
	wantErr(t, "close of the second copy", err, buffer.ErrFenced)
	var left *buffer.UnflushedError
	if !errors.As(err, &left) || left.Writes != 1 {
		t.Errorf("close of the second copy: %v", err)
	}
	s.wantCount(t, "items", 22)
	s.want(t, "from b", []string{"title"})
}

// TestFenceBackup: a log that was restored from an older copy stops, before it loses what it is about to accept.
func TestFenceBackup(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir, 3)
	backup := copyDir(t, dir)
	s := newSQLite(t, t.TempDir()+"/db")
	b := mustOpen(t, config(dir, s))
	did(t)(b.Insert(t.Context(), items, buffer.Disk, key("newer"), cols(text("title", "t"))))
	must(t, b.Close(t.Context()))
	b = mustOpen(t, config(backup, s))
	wantErr(t, "flush", b.Flush(t.Context()), buffer.ErrFenced)
	_, err := b.Pending(t.Context(), items, key("k0000"))
	wantErr(t, "pending", err, buffer.ErrFenced)
	_, err = b.Insert(t.Context(), items, buffer.Disk, key("x"), cols(text("title", "t")))
	wantErr(t, "write", err, buffer.ErrFenced)
	wantErr(t, "close", b.Close(t.Context()), buffer.ErrFenced)
	s.wantCount(t, "items", 4)
	s.wantCount(t, "odac_buffer_dead", 0)
}

// TestSameName: two logs of their own under one node name do not meet in the ledger.
func TestSameName(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	a, b := mustOpen(t, config(t.TempDir(), s)), mustOpen(t, config(t.TempDir(), s))
	did(t)(a.Insert(t.Context(), items, buffer.Applied, key("counter"), cols(text("title", "t"))))
	for i := range 20 {
		for j, buf := range []*buffer.Buffer{a, b} {
			did(t)(buf.Insert(t.Context(), items, buffer.Disk, key(fmt.Sprint(i, j)), cols(text("title", "t"))))
			did(t)(buf.Increment(t.Context(), items, buffer.Disk, key("counter"), by("n", 1)))
		}
	}
	must(t, a.Close(t.Context()))
	must(t, b.Close(t.Context()))
	s.wantCount(t, "items", 41)
	s.want(t, "counter", []string{"n"}, buffer.Int(40))
}
