package engine

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// BenchmarkStretch is how much processor time hostile guests take from one tick to the next, which is what a stop waits
// for, and from the last to the end. Unlike BenchmarkStop it does not depend on what else the machine does.
func BenchmarkStretch(b *testing.B) {
	for _, metered := range []bool{false, true} {
		for name, build := range hostileShapes() {
			var m wasmModule
			build(&m)
			rewrite, kind := instrument.Module, "plain "
			if metered {
				rewrite, kind = instrument.Metered, "fuel "
			}
			out, _, err := rewrite(m.bytes(), instrument.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			b.Run(kind+name, func(b *testing.B) {
				var all []time.Duration
				var end time.Duration
				for b.Loop() {
					stretches, last := stretchesOf(b, out)
					all, end = append(all, stretches...), max(end, last)
				}
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "max-ms")
				b.ReportMetric(float64(end.Microseconds())/1000, "end-ms")
			})
		}
	}
}

// stretchTicks is after how many ticks the guest is ended.
const stretchTicks = 100

func stretchesOf(b *testing.B, wasm []byte) (stretches []time.Duration, end time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ms := newMemories(resetBest)
	memory, err := ms.make(1024 * pageBytes)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		memory.Free()
		if err := ms.close(); err != nil {
			b.Error(err)
		}
	}()
	ctx := experimental.WithMemoryAllocator(context.Background(), memory.allocator())
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features).WithMemoryLimitPages(1024))
	defer rt.Close(ctx)
	enough := errors.New("enough")
	var last time.Duration
	tick := api.GoFunc(func(_ context.Context, stack []uint64) {
		now := cpuTime(b)
		stretches = append(stretches, now-last)
		if len(stretches) == stretchTicks {
			last = cpuTime(b)
			panic(enough)
		}
		stack[0] = instrument.Budget
		last = cpuTime(b)
	})
	for module, f := range map[string]func(wazero.HostFunctionBuilder) wazero.HostModuleBuilder{
		instrument.TickModule: func(f wazero.HostFunctionBuilder) wazero.HostModuleBuilder {
			return f.WithGoFunction(tick, []ValueType{I32}, []ValueType{I32}).Export(instrument.TickName)
		},
		"test:host/v1": func(f wazero.HostFunctionBuilder) wazero.HostModuleBuilder {
			return f.WithFunc(func() {}).Export("nop")
		},
	} {
		if _, err := f(rt.NewHostModuleBuilder(module).NewFunctionBuilder()).Instantiate(ctx); err != nil {
			b.Fatal(err)
		}
	}
	mod, err := rt.Instantiate(ctx, wasm)
	if err != nil {
		b.Fatal(err)
	}
	last = cpuTime(b)
	if _, err := mod.ExportedFunction("run").Call(ctx); !errors.Is(err, enough) {
		b.Fatal(err)
	}
	return stretches[1:], cpuTime(b) - last
}

// cpuTime is the processor time that the thread took.
func cpuTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
