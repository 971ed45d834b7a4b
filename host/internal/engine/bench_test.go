package engine

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

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

// BenchmarkOverhead compares each CPU-bound function of the guest with the same on an uninstrumented module.
func BenchmarkOverhead(b *testing.B) {
	wasm := testkit.BuildGuest(b, "testdata/work")
	ctx := context.Background()
	e := newEngine(b, Config{})
	p := load(b, e, wasm, LoadConfig{})
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
	defer rt.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	plain, err := rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		b.Fatal(err)
	}
	for _, w := range []struct {
		export string
		arg    uint64
	}{{"sieve", 200_000}, {"sha", 100}, {"jsonround", 300}, {"regex", 100}, {"fannkuch", 7}, {"recurse", 20}} {
		b.Run(w.export, func(b *testing.B) {
			in := newInstance(b, p)
			f := plain.ExportedFunction(w.export)
			with, without := time.Hour, time.Hour
			for b.Loop() {
				start := time.Now()
				if _, err := in.Call(ctx, nil, time.Time{}, w.export, w.arg); err != nil {
					b.Fatal(err)
				}
				with = min(with, time.Since(start))
				start = time.Now()
				if _, err := f.Call(ctx, w.arg); err != nil {
					b.Fatal(err)
				}
				without = min(without, time.Since(start))
			}
			b.ReportMetric(float64(without.Microseconds()), "plain-us")
			b.ReportMetric(100*(float64(with)/float64(without)-1), "overhead-%")
		})
	}
}

// BenchmarkStop is how long after its deadline a guest ends that never would.
func BenchmarkStop(b *testing.B) {
	e := newEngine(b, Config{})
	stop := func(b *testing.B, p *Program, export string, args ...uint64) {
		var late []time.Duration
		for b.Loop() {
			in := newInstance(b, p)
			deadline := time.Now().Add(5 * time.Millisecond)
			_, _ = in.Call(b.Context(), nil, deadline, export, args...)
			late = append(late, time.Since(deadline))
			_ = in.Close()
		}
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
	p := goGuest(b, e, LoadConfig{})
	for export, args := range map[string][]uint64{"spin": nil, "recurse": {60}, "sleep": {60_000}} {
		b.Run("go "+export, func(b *testing.B) { stop(b, p, export, args...) })
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
