package engine

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/odac-run/odachost/host/internal/instrument"
	"github.com/odac-run/odachost/internal/testkit"
)

func benchmarkEcho(b *testing.B, size int, fresh bool, mode resetMode) {
	p := goGuest(b, newEngine(b, Config{reset: mode}), LoadConfig{})
	in := newInstance(b, p)
	d := &echoData{in: make([]byte, size)}
	deadline := time.Now().Add(time.Hour)
	times := make([]time.Duration, 0, b.N)
	for b.Loop() {
		start := time.Now()
		if _, err := in.Call(context.Background(), d, deadline, "echo", uint64(size)); err != nil {
			b.Fatal(err)
		}
		if fresh {
			if err := in.Reset(); err != nil {
				b.Fatal(err)
			}
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1000, "p99-us")
}

func BenchmarkFreshEcho64(b *testing.B)     { benchmarkEcho(b, 64, true, resetBest) }
func BenchmarkFreshEcho4K(b *testing.B)     { benchmarkEcho(b, 4096, true, resetBest) }
func BenchmarkFreshEcho64Drop(b *testing.B) { benchmarkEcho(b, 64, true, resetDrop) }
func BenchmarkFreshEcho64Copy(b *testing.B) { benchmarkEcho(b, 64, true, resetCopy) }
func BenchmarkWarmEcho64(b *testing.B)      { benchmarkEcho(b, 64, false, resetBest) }
func BenchmarkWarmEcho64K(b *testing.B)     { benchmarkEcho(b, 65536, false, resetBest) }

// BenchmarkNewInstance is an instance made from the image, and closed.
func BenchmarkNewInstance(b *testing.B) {
	p := goGuest(b, newEngine(b, Config{}), LoadConfig{})
	for b.Loop() {
		in, err := p.New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := in.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStop is how long after its deadline a guest ends that never would. -benchtime 200x gives a p99.
func BenchmarkStop(b *testing.B) {
	e := newEngine(b, Config{})
	var all []time.Duration
	stop := func(b *testing.B, p *Program, export string, args ...uint64) {
		var late []time.Duration
		for b.Loop() {
			in := newInstance(b, p)
			deadline := time.Now().Add(5 * time.Millisecond)
			_, _ = in.Call(b.Context(), nil, deadline, export, args...)
			late = append(late, time.Since(deadline))
			_ = in.Close()
		}
		all = append(all, late...)
		slices.Sort(late)
		b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "p99-ms")
	}
	for name, build := range hostileShapes() {
		var m wasmModule
		build(&m)
		p := load(b, e, m.bytes(), LoadConfig{Modules: []Module{nopModule()}})
		b.Run(name, func(b *testing.B) { stop(b, p, "run") })
	}
	guest := goGuest(b, e, LoadConfig{})
	for export, args := range map[string][]uint64{"spin": nil, "recurse": {60}, "sleep": {60_000}, "wait": nil, "waitloop": nil} {
		b.Run("go "+export, func(b *testing.B) { stop(b, guest, export, args...) })
	}
	work := load(b, e, testkit.BuildGuest(b, "testdata/work"), LoadConfig{})
	b.Run("go regexpbomb", func(b *testing.B) { stop(b, work, "regexpbomb") })
	b.Run("start function", func(b *testing.B) {
		var m wasmModule
		m.start = 1 + m.fn("", m.typ(nil, nil), 0, 0x03, 0x40, 0x0c, 0, 0x0b)
		wasm := m.bytes()
		var late []time.Duration
		for b.Loop() {
			start := time.Now()
			if _, err := e.Load(b.Context(), wasm, LoadConfig{InitTimeout: 5 * time.Millisecond}); err == nil {
				b.Fatal("it ended")
			}
			late = append(late, time.Since(start)-5*time.Millisecond) // loading included
		}
		all = append(all, late...)
		slices.Sort(late)
		b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "p99-ms")
	})
	if len(all) > 0 {
		b.Run("all", func(b *testing.B) {
			for b.Loop() { // nothing is measured, only reported
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "all-p99-ms")
		})
	}
}

// BenchmarkLoad measures a cold load, and one from a cache directory by a new engine, of a 2 MB plugin.
func BenchmarkLoad(b *testing.B) {
	wasm := testkit.BuildGuest(b, "testdata/guest")
	cfg := LoadConfig{Modules: []Module{testModule()}}
	once := func(b *testing.B, dir string) {
		e, err := New(Config{CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		p, err := e.Load(b.Context(), wasm, cfg)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
	}
	b.Run("instrument", func(b *testing.B) {
		b.SetBytes(int64(len(wasm)))
		for b.Loop() {
			if _, _, err := instrument.Module(wasm, instrument.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			once(b, b.TempDir())
		}
	})
	b.Run("cached", func(b *testing.B) {
		dir := b.TempDir()
		once(b, dir)
		for b.Loop() {
			once(b, dir)
		}
	})
}
