//go:build !portable

package engine

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// privateKiB is what the process has to itself of instances' memories, which are pages of images that were written to, and what
// the Go heap holds, both in KiB.
func privateKiB(tb testing.TB) (mapped, heap float64) {
	tb.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	image := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		name, rest, _ := strings.Cut(line, ":")
		if strings.Contains(name, "-") && !strings.Contains(name, "_") {
			image = strings.Contains(line, "odachost-image")
		}
		if image && name == "Anonymous" {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				tb.Fatal(err)
			}
			mapped += kib
		}
	}
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return mapped, float64(stats.HeapAlloc) / 1024
}

// idleInstances makes instances that served a call and were reset.
func idleInstances(tb testing.TB, p *Program, n int) []*Instance {
	tb.Helper()
	all := make([]*Instance, n)
	for i := range all {
		in, err := p.New(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		for range 10 {
			if _, err := in.Call(tb.Context(), &echoData{in: make([]byte, 64)}, time.Time{}, "echo", 64); err != nil {
				tb.Fatal(err)
			}
			if err := in.Reset(); err != nil {
				tb.Fatal(err)
			}
		}
		all[i] = in
	}
	return all
}

const idleCount = 64

// BenchmarkIdleInstance is what an instance of a Go plugin has to itself after calls: at once, and when it was trimmed.
func BenchmarkIdleInstance(b *testing.B) {
	p := goGuest(b, newEngine(b, Config{}), LoadConfig{})
	for b.Loop() {
		mapped, heap := privateKiB(b)
		all := idleInstances(b, p, idleCount)
		used, usedHeap := privateKiB(b)
		for _, in := range all {
			if err := in.Trim(); err != nil {
				b.Fatal(err)
			}
		}
		trimmed, trimmedHeap := privateKiB(b)
		b.ReportMetric((used-mapped+usedHeap-heap)/idleCount, "used-KiB")
		b.ReportMetric((trimmed-mapped+trimmedHeap-heap)/idleCount, "private-KiB")
		for _, in := range all {
			if err := in.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestTrim says that a trimmed instance holds no page of its own, is the image, and serves.
func TestTrim(t *testing.T) {
	p := goGuest(t, newEngine(t, Config{}), LoadConfig{})
	before, _ := privateKiB(t)
	all := idleInstances(t, p, 4)
	used, _ := privateKiB(t)
	for _, in := range all {
		if err := in.Trim(); err != nil {
			t.Fatal(err)
		}
	}
	trimmed, _ := privateKiB(t)
	if used <= before || trimmed > before {
		t.Errorf("private memory: %v KiB before, %v used, %v trimmed", before, used, trimmed)
	}
	for _, in := range all {
		if string(in.bytes()) != string(p.image.bytes()) {
			t.Error("a trimmed instance is not the image")
		}
		call(t, in, "count")
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := in.Trim(); err == nil {
			t.Error("a closed instance was trimmed")
		}
	}
}
