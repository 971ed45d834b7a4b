package engine

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/odac-run/odachost/internal/testkit"
)

// workload is a function of a guest that keeps a processor busy for about a millisecond.
type workload struct {
	language, export string
	arg              uint64
}

var workloads = []workload{
	{"go", "sieve", 200_000},
	{"go", "sha", 100},
	{"go", "jsonround", 300},
	{"go", "regex", 100},
	{"go", "fannkuch", 7},
	{"c", "sieve", 500_000},
	{"c", "sha", 60},
	{"c", "jsonround", 3000},
	{"c", "regex", 300},
	{"c", "fannkuch", 8},
}

// recursion is not of the five that the overhead is promised for.
var recursion = []workload{{"go", "recurse", 20}, {"c", "recurse", 27}}

func workGuests(b *testing.B) map[string][]byte {
	c, err := os.ReadFile("testdata/corpus/c.wasm")
	if err != nil {
		b.Fatal(err)
	}
	return map[string][]byte{"go": testkit.BuildGuest(b, "testdata/work"), "c": c}
}

// runner returns what runs a workload once in an instance of its own.
func runner(b *testing.B, p *Program, w workload) func() error {
	in := newInstance(b, p)
	return func() error {
		_, err := in.Call(context.Background(), nil, time.Time{}, w.export, w.arg)
		return err
	}
}

// compare runs a workload in two ways in turn, and returns by how much the least processor time of the second is more, as
// a ratio: 0.1 is a tenth more.
func compare(b *testing.B, first, second func() error) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := [2]time.Duration{time.Hour, time.Hour}
	for b.Loop() {
		for i, run := range []func() error{first, second} {
			start := cpuTime(b)
			if err := run(); err != nil {
				b.Fatal(err)
			}
			least[i] = min(least[i], cpuTime(b)-start)
		}
	}
	over := float64(least[1])/float64(least[0]) - 1
	b.ReportMetric(float64(least[0].Microseconds()), "plain-us")
	b.ReportMetric(100*over, "overhead-%")
	return over
}

// summary reports the median and the worst of the workloads.
func summary(b *testing.B, over []float64) {
	if len(over) == 0 {
		return
	}
	slices.Sort(over)
	b.Run("all", func(b *testing.B) {
		for b.Loop() { // nothing is measured, only reported
		}
		b.ReportMetric(100*over[len(over)/2], "median-%")
		b.ReportMetric(100*over[len(over)-1], "worst-%")
	})
}

// BenchmarkOverhead compares each workload with the same on an uninstrumented module.
func BenchmarkOverhead(b *testing.B) {
	ctx := context.Background()
	e := newEngine(b, Config{})
	var over []float64
	for language, wasm := range workGuests(b) {
		p := load(b, e, wasm, LoadConfig{})
		rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
		b.Cleanup(func() { rt.Close(ctx) })
		wasi_snapshot_preview1.MustInstantiate(ctx, rt)
		plain, err := rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
		if err != nil {
			b.Fatal(err)
		}
		for _, w := range slices.Concat(workloads, recursion) {
			if w.language != language {
				continue
			}
			b.Run(language+" "+w.export, func(b *testing.B) {
				f, stack := plain.ExportedFunction(w.export), make([]uint64, 1)
				n := compare(b, func() error {
					stack[0] = w.arg
					return f.CallWithStack(ctx, stack)
				}, runner(b, p, w))
				if b.N > 1 && w.export != "recurse" {
					over = append(over, n)
				}
			})
		}
	}
	summary(b, over)
}

// BenchmarkFuel compares counting fuel with not counting it.
func BenchmarkFuel(b *testing.B) {
	e := newEngine(b, Config{})
	var over []float64
	for language, wasm := range workGuests(b) {
		plain, metered := load(b, e, wasm, LoadConfig{}), load(b, e, wasm, LoadConfig{Fuel: -1})
		for _, w := range workloads {
			if w.language != language {
				continue
			}
			b.Run(language+" "+w.export, func(b *testing.B) {
				if n := compare(b, runner(b, plain, w), runner(b, metered, w)); b.N > 1 {
					over = append(over, n)
				}
			})
		}
	}
	summary(b, over)
}
