package buffer_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/buffer"
)

// log writes n rows of about 200 bytes, one block each, with the database away, and leaves the directory as a kill would.
func writeLog(t *testing.T, dir string, n int) {
	t.Helper()
	h := &hooked{Target: newSQLite(t, t.TempDir()+"/unused")}
	h.set(away, awayBatch, nil)
	cfg := config(dir, h)
	cfg.SegmentBytes = 64 << 10
	b := mustOpen(t, cfg)
	for i := range n {
		did(t)(b.Insert(t.Context(), items, buffer.Disk, key(fmt.Sprintf("k%04d", i)), cols(text("note", strings.Repeat("x", 150)), text("title", "t"))))
	}
	var left *buffer.UnflushedError
	if err := crash(b); n > 0 && (!errors.As(err, &left) || left.Writes != int64(n)) {
		t.Fatalf("crash: %v", err)
	}
}

// drain opens the log on a new database, flushes it, and gives the number of rows.
func drain(t *testing.T, dir string) int {
	t.Helper()
	s := newSQLite(t, t.TempDir()+"/db")
	b := mustOpen(t, config(dir, s))
	must(t, b.Flush(t.Context()))
	must(t, b.Close(t.Context()))
	n, err := s.count(t.Context(), "items")
	must(t, err)
	if n > 0 {
		s.wantCount(t, "odac_buffer_dead", 0)
	}
	return n
}

// lastBlock gives the offset and the end of the last block of a segment.
func lastBlock(t *testing.T, path string) (at, end int) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	at = strings.LastIndex(string(data), "DBLK")
	end = len(strings.TrimRight(string(data), "\x00"))
	if at < 0 {
		t.Fatalf("no block in %s", path)
	}
	return at, end
}

func edit(t *testing.T, path string, change func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, change(data), 0o600))
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir, 1000)
	writeLogMore := segments(t, dir)
	if len(writeLogMore) < 4 {
		t.Fatalf("%d segments, want several", len(writeLogMore))
	}
	if n := drain(t, dir); n != 1000 {
		t.Errorf("%d rows of 1000", n)
	}
	if left := segments(t, dir); len(left) != 1 {
		t.Errorf("segments after a clean close: %v", left)
	}
	info, err := os.Stat(segments(t, dir)[0])
	must(t, err)
	if info.Size() > 100 {
		t.Errorf("the log has %d bytes after a clean close", info.Size())
	}
	if n := drain(t, dir); n != 0 {
		t.Errorf("%d rows again", n)
	}
}

// TestTornTail: however the last block is cut or spoilt, the ones before it are there and the log goes on.
func TestTornTail(t *testing.T) {
	master := t.TempDir()
	writeLog(t, master, 20)
	seg := filepath.Base(segments(t, master)[0])
	at, end := lastBlock(t, filepath.Join(master, seg))
	spoil := map[string]func([]byte) []byte{
		"flipped":    func(d []byte) []byte { d[end-3] ^= 1; return d },
		"no magic":   func(d []byte) []byte { d[at] = 0; return d },
		"length":     func(d []byte) []byte { d[at+11] = 0xff; return d },
		"zeroed end": func(d []byte) []byte { clear(d[at+50:]); return d },
		"garbage after": func(d []byte) []byte {
			clear(d[at : at+8])
			for i := end; i < len(d); i++ {
				d[i] = byte(i * 7)
			}
			return d
		},
	}
	for cut := at; cut < end; cut += 17 {
		spoil[fmt.Sprintf("cut at %d", cut-at)] = func(d []byte) []byte { return d[:cut] }
	}
	for name, change := range spoil {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, master)
			edit(t, filepath.Join(dir, seg), change)
			s := newSQLite(t, t.TempDir()+"/db")
			b := mustOpen(t, config(dir, s))
			did(t)(b.Insert(t.Context(), items, buffer.Disk, key("after"), cols(text("title", "t"))))
			_ = crash(b)
			if n := drainInto(t, dir, s); n != 20 {
				t.Errorf("%d rows, want 19 and the one after", n)
			}
		})
	}
}

func drainInto(t *testing.T, dir string, s *sqliteTarget) int {
	t.Helper()
	b := mustOpen(t, config(dir, s))
	must(t, b.Close(t.Context()))
	n, err := s.count(t.Context(), "items")
	must(t, err)
	s.wantCount(t, "odac_buffer_dead", 0)
	return n
}

// TestCorrupt: damage before the tail is an error that names file and offset.
func TestCorrupt(t *testing.T) {
	master := t.TempDir()
	writeLog(t, master, 1000)
	segs := segments(t, master)
	first, middle, last := filepath.Base(segs[0]), filepath.Base(segs[1]), filepath.Base(segs[len(segs)-1])
	tail, _ := lastBlock(t, segs[1])
	for _, c := range []struct {
		name   string
		file   string
		change func([]byte) []byte
		named  string
		offset int64 // -1: any
	}{
		{"flipped bit", middle, func(d []byte) []byte { d[1000] ^= 4; return d }, middle, -1},
		{"flipped bit in the last file", last, func(d []byte) []byte { d[200] ^= 4; return d }, last, 64},
		{"zeroed page", first, func(d []byte) []byte { clear(d[4096:8192]); return d }, first, -1},
		{"last block of a full file", middle, func(d []byte) []byte { d[tail+40] ^= 1; return d }, middle, int64(tail)},
		{"short file", middle, func(d []byte) []byte { return d[:5000] }, middle, -1},
		{"header", middle, func(d []byte) []byte { d[33] ^= 1; return d }, middle, 0},
		{"empty file", middle, func([]byte) []byte { return nil }, middle, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, master)
			edit(t, filepath.Join(dir, c.file), c.change)
			_, err := buffer.Open(config(dir, newSQLite(t, t.TempDir()+"/db")))
			var bad *buffer.CorruptError
			if !errors.As(err, &bad) || filepath.Base(bad.File) != c.named || c.offset >= 0 && bad.Offset != c.offset {
				t.Fatalf("%v, want damage in %s at %d", err, c.named, c.offset)
			}
		})
	}
	t.Run("foreign file", func(t *testing.T) {
		dir, other := copyDir(t, master), t.TempDir()
		writeLog(t, other, 1)
		data, err := os.ReadFile(segments(t, other)[0])
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, middle), data, 0o600))
		_, err = buffer.Open(config(dir, newSQLite(t, t.TempDir()+"/db")))
		var bad *buffer.CorruptError
		if !errors.As(err, &bad) {
			t.Fatalf("%v", err)
		}
	})
	t.Run("as it was", func(t *testing.T) {
		if n := drain(t, copyDir(t, master)); n != 1000 {
			t.Errorf("%d rows", n)
		}
	})
}

// TestSegmentsReturn: a long run under a small log keeps few files, and uses them again.
func TestSegmentsReturn(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	dir := t.TempDir()
	cfg := config(dir, s)
	cfg.SegmentBytes, cfg.MaxLogBytes = 64<<10, 256<<10
	b := mustOpen(t, cfg)
	payload := strings.Repeat("x", 2000)
	const n = 600
	for i := range n {
		did(t)(b.Insert(t.Context(), items, buffer.Disk, key(fmt.Sprint(i)), cols(text("note", payload), text("title", "t"))))
		if i%20 == 0 {
			must(t, b.Flush(t.Context()))
		}
	}
	if st := b.Stat(); st.LogBytes > cfg.MaxLogBytes {
		t.Errorf("the log has %d bytes in %d segments", st.LogBytes, st.Segments)
	}
	_ = crash(b) // what the active file held in its former life does not count
	if rows := drainInto(t, dir, s); rows != n {
		t.Errorf("%d rows, want %d", rows, n)
	}
}

// TestLogFull: MaxLogBytes refuses with a typed error, and the log goes on once segments are free.
func TestLogFull(t *testing.T) {
	s := newSQLite(t, t.TempDir()+"/db")
	h := &hooked{Target: s}
	h.set(nil, awayBatch, nil)
	cfg := config(t.TempDir(), h)
	cfg.SegmentBytes, cfg.MaxLogBytes = 64<<10, 256<<10
	b := mustOpen(t, cfg)
	insert := func(i int) error {
		lsn, err := b.Insert(t.Context(), items, buffer.Disk, key(fmt.Sprint(i)), cols(text("note", strings.Repeat("x", 2000)), text("title", "t")))
		if (lsn == 0) != (err != nil) {
			t.Fatalf("LSN %d, %v", lsn, err)
		}
		return err
	}
	n := 0
	var err error
	for err == nil && n < 1000 {
		if err = insert(n); err == nil {
			n++
		}
	}
	wantErr(t, "write to a full log", err, buffer.ErrBufferFull)
	h.set(nil, nil, nil)
	must(t, b.Flush(t.Context()))
	must(t, insert(n))
	must(t, b.Close(t.Context()))
	s.wantCount(t, "items", n+1)
}
