package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// usage counts what a process may run out of.
func usage(t *testing.T) (descriptors, mappings, goroutines int) {
	t.Helper()
	// Code is unmapped by finalizers, which run after a collection; the second waits for the first's.
	for range 3 {
		runtime.GC()
		done := make(chan struct{})
		runtime.SetFinalizer(new([8]int64), func(*[8]int64) { close(done) })
		runtime.GC()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("finalizers do not run")
		}
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds), bytes.Count(maps, []byte{'\n'}), runtime.NumGoroutine()
}

// resident is what the process holds in memory, in MiB.
func resident(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// TestFlat loads and unloads programs again and again, several at a time, some of the same bytes, over a cache directory.
// ENGINE_CYCLES=10000 is the long way.
func TestFlat(t *testing.T) {
	cycles := 400
	if n, err := strconv.Atoi(os.Getenv("ENGINE_CYCLES")); err == nil {
		cycles = n
	}
	e := newEngine(t, Config{})
	once := func(i int) error {
		var m wasmModule
		m.memory = []byte{0, 4}
		m.fn("run", m.typ(nil, nil), 0, 0x41, i%48, 0x41, 1, 0x36, 2, 0)
		m.fn("fault", 0, 0, 0x00)
		p, err := e.Load(t.Context(), m.bytes(), LoadConfig{})
		if err != nil {
			return err
		}
		for range 4 {
			in, err := p.New(t.Context())
			if err != nil {
				return err
			}
			if _, err := in.Call(t.Context(), nil, time.Time{}, "run"); err != nil {
				return err
			}
			_, _ = in.Call(t.Context(), nil, time.Now().Add(time.Hour), "fault")
			_ = in.Reset()
		}
		return p.Close()
	}
	cycle := func(n int) {
		var wg sync.WaitGroup
		var next atomic.Int64
		for range 4 {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(n); i = next.Add(1) {
					if err := once(int(i) / 2); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	cycle(100)
	fds, maps, goroutines := usage(t)
	before := resident(t)
	cycle(cycles)
	fds2, maps2, goroutines2 := usage(t)
	after := resident(t)
	if fds2 > fds+2 || maps2 > maps+40 || goroutines2 > goroutines+2 || after > before+before/4+16 {
		t.Errorf("after %d cycles: descriptors %d to %d, mappings %d to %d, goroutines %d to %d, resident %d to %d MiB",
			cycles, fds, fds2, maps, maps2, goroutines, goroutines2, before, after)
	}
	t.Logf("%d cycles: descriptors %d to %d, mappings %d to %d, goroutines %d to %d, resident %d to %d MiB",
		cycles, fds, fds2, maps, maps2, goroutines, goroutines2, before, after)
}

// TestCompilesOnce counts the files that the compiler writes into its cache while the same bytes are loaded many times at once.
func TestCompilesOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, Config{CacheDir: dir})
	folders, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("folders of the cache: %v, %v", folders, err)
	}
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, folders[0], unix.IN_CREATE); err != nil {
		t.Fatal(err)
	}
	var m wasmModule
	m.fn("run", m.typ(nil, nil), 0)
	for range 3000 { // enough to be at it when the next comes
		m.fn("", 0, 1, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41, 9, 0x48, 0x0d, 0, 0x0b)
	}
	wasm := m.bytes()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p, err := e.Load(t.Context(), wasm, LoadConfig{})
			if err != nil {
				t.Error(err)
			} else if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	written := 0
	for buf := make([]byte, 4096); ; {
		n, err := unix.Read(watch, buf)
		if err != nil {
			break // there is no more
		}
		for at := 0; at < n; at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:])) {
			written++
		}
	}
	// Each compilation writes a file of its own, and renames it. Host modules are not kept.
	if files, _ := filepath.Glob(filepath.Join(folders[0], "*")); written != len(files) || written == 0 {
		t.Errorf("%d files were written, and %d are there: something was compiled twice", written, len(files))
	}
}
