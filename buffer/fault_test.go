package buffer_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/odac-run/odachost/buffer"
)

// faulty is a log file that fails on demand.
type faulty struct {
	buffer.SegmentFile
	faults *faults
}

type faults struct {
	write    atomic.Pointer[error] // WriteAt writes half and fails with it
	sync     atomic.Pointer[error]
	truncate atomic.Pointer[error]
}

func (f *faults) wrap(file *os.File) buffer.SegmentFile { return faulty{buffer.OSFile(file), f} }

func (f faulty) WriteAt(p []byte, off int64) (int, error) {
	if err := f.faults.write.Load(); err != nil {
		n, _ := f.SegmentFile.WriteAt(p[:len(p)/2], off)
		return n, *err
	}
	return f.SegmentFile.WriteAt(p, off)
}

func (f faulty) Datasync() error {
	if err := f.faults.sync.Load(); err != nil {
		return *err
	}
	return f.SegmentFile.Datasync()
}

func (f faulty) Truncate(size int64) error {
	if err := f.faults.truncate.Load(); err != nil {
		return *err
	}
	return f.SegmentFile.Truncate(size)
}

func openFaulty(t *testing.T, dir string, target buffer.Target) (*buffer.Buffer, *faults) {
	t.Helper()
	f := &faults{}
	cfg := config(dir, target)
	cfg.SegmentBytes = 64 << 10
	b, err := buffer.OpenWith(cfg, f.wrap)
	must(t, err)
	t.Cleanup(func() { _ = crash(b) })
	return b, f
}

// TestSyncFails: after a failed fsync nothing is taken any more, what was acknowledged is applied, and the next Open works.
func TestSyncFails(t *testing.T) {
	for name, fail := range map[string]func(*faults, *error){
		"sync":  func(f *faults, err *error) { f.sync.Store(err) },
		"write": func(f *faults, err *error) { f.write.Store(err) },
		"cut tail": func(f *faults, err *error) {
			full := error(syscall.ENOSPC)
			f.write.Store(&full)
			f.truncate.Store(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSQLite(t, t.TempDir()+"/db")
			dir := t.TempDir()
			b, f := openFaulty(t, dir, s)
			for i := range 10 {
				did(t)(b.Insert(t.Context(), items, buffer.Disk, key(fmt.Sprint(i)), cols(text("title", "t"))))
			}
			eio := error(syscall.EIO)
			fail(f, &eio)
			for range 3 {
				_, err := b.Insert(t.Context(), items, buffer.Disk, key("lost"), cols(text("title", "t")))
				wantErr(t, "write", err, buffer.ErrReadOnly)
				wantErr(t, "write", err, syscall.EIO)
			}
			*f = faults{} // the disk is well again: the log does not trust it
			_, err := b.Insert(t.Context(), items, buffer.Memory, key("lost"), cols(text("title", "t")))
			wantErr(t, "write", err, buffer.ErrReadOnly)
			wantErr(t, "stat", b.Stat().Err, buffer.ErrReadOnly)
			must(t, b.Flush(t.Context()))
			s.wantCount(t, "items", 10)
			_ = b.Close(t.Context())
			n := drainInto(t, dir, s)
			if n != 10 && n != 11 { // the refused write may be on disk
				t.Errorf("%d rows", n)
			}
		})
	}
}

// TestDiskFullInBlock: a block that does not fit is cut off, its writes are not stored, and the log goes on in a new segment.
func TestDiskFullInBlock(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	dir := t.TempDir()
	b, f := openFaulty(t, dir, s)
	full := error(syscall.ENOSPC)
	stored := 0
	for i := range 30 {
		if i%3 == 1 {
			f.write.Store(&full)
		}
		lsn, err := b.Insert(t.Context(), items, buffer.Disk, key(fmt.Sprint(i)), cols(text("note", strings.Repeat("x", 3000)), text("title", "t")))
		f.write.Store(nil)
		if i%3 == 1 {
			wantErr(t, "write to a full disk", err, buffer.ErrDiskFull)
			if lsn != 0 {
				t.Error("a write that is not stored has a LSN")
			}
			continue
		}
		must(t, err)
		stored++
	}
	f.write.Store(&full)
	did(t)(b.Insert(t.Context(), items, buffer.Memory, key("memory"), cols(text("title", "t"))))
	must(t, b.Flush(t.Context()))
	if n := b.Stat().Lost; n != 1 {
		t.Errorf("%d writes of level memory lost, want 1", n)
	}
	if n := b.Stat().PendingBytes; n != 0 {
		t.Errorf("%d bytes are held by writes that were refused", n)
	}
	f.write.Store(nil)
	_ = crash(b)
	if n := drainInto(t, dir, s); n != stored {
		t.Errorf("%d rows, want %d", n, stored)
	}
}

// TestDiskFull fills a real small disk from many goroutines: whoever got no error is in the database, whoever got
// ErrDiskFull is not, and the log goes on, and opens again, once the database has taken what is pending.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	h.set(away, awayBatch, nil)
	cfg := config(dir, h)
	cfg.SegmentBytes = 128 << 10
	b := mustOpen(t, cfg)
	var mu sync.Mutex
	acked, refused := map[string]bool{}, 0
	fill := func(prefix string) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprint(prefix, g, "-", i)
					_, err := b.Insert(t.Context(), items, buffer.Disk, key(id), cols(text("note", strings.Repeat("x", 1000)), text("title", "t")))
					mu.Lock()
					if err == nil {
						acked[id] = true
					} else {
						refused++
					}
					mu.Unlock()
					if err != nil {
						if !errors.Is(err, buffer.ErrDiskFull) {
							t.Errorf("write to a full disk: %v", err)
						}
						return
					}
				}
			})
		}
		wg.Wait()
	}
	fill("a")
	if len(acked) < 100 || refused != 8 {
		t.Fatalf("%d acknowledged, %d refused", len(acked), refused)
	}
	_ = crash(b)
	b = mustOpen(t, cfg) // on the full disk
	fill("b")
	h.set(nil, nil, nil)
	must(t, b.Flush(t.Context()))
	did(t)(b.Insert(t.Context(), items, buffer.Disk, key("after"), cols(text("title", "t"))))
	must(t, b.Close(t.Context()))
	s.wantCount(t, "items", len(acked)+1)
	s.wantCount(t, "odac_buffer_dead", 0)
}

// smallDisk mounts a disk of its own.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a small disk needs Linux and root to mount a tmpfs")
	}
	dir := t.TempDir()
	if err := mountTmpfs(dir, bytes); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() { must(t, unmount(dir)) })
	return dir
}
