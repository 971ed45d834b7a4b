package engine

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"
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

// TestFlat loads and unloads a program again and again.
func TestFlat(t *testing.T) {
	e := newEngine(t, Config{})
	cycle := func(n int) {
		for i := range n {
			var m wasmModule
			m.memory = []byte{0, 4}
			m.fn("run", m.typ(nil, nil), 0, 0x41, i%64, 0x41, 1, 0x36, 2, 0)
			m.fn("fault", 0, 0, 0x00)
			p, err := e.Load(t.Context(), m.bytes(), LoadConfig{})
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				in, err := p.New(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				call(t, in, "run")
				_, _ = in.Call(t.Context(), nil, time.Now().Add(time.Hour), "fault")
				_ = in.Reset()
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cycle(20)
	fds, maps, goroutines := usage(t)
	cycle(200)
	fds2, maps2, goroutines2 := usage(t)
	if fds2 > fds+2 || maps2 > maps+40 || goroutines2 > goroutines+2 {
		t.Errorf("after 200 cycles: descriptors %d to %d, mappings %d to %d, goroutines %d to %d", fds, fds2, maps, maps2, goroutines, goroutines2)
	}
}
