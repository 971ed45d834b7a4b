package engine

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// bulkSizes are around those from which a known number of bytes is filled and copied in another way.
var bulkSizes = []uint32{0, 1, 15, 16, 17, 31, 32, 33, 40, 272, 319, 320, 511, 512, 513, 4096, 4097, 65536, 65537}

// bulkModule fills and copies memory by instructions of known size: c, f and v with the size. A function before them does so many times.
func bulkModule(before int) []byte {
	var m wasmModule
	m.memory = []byte{0, 2}
	two, one := m.typ([]byte{I32, I32}, nil), m.typ([]byte{I32}, nil)
	m.fn("before", one, 0, bytes.Repeat(cat(0x20, 0, 0x41, 0, 0x41, sleb(320), 0xfc, 11, 0), before))
	for _, n := range bulkSizes {
		m.fn(fmt.Sprint("c", n), two, 0, 0x20, 0, 0x20, 1, 0x41, sleb(n), 0xfc, 10, 0, 0)
		m.fn(fmt.Sprint("f", n), one, 0, 0x20, 0, 0x41, sleb(0x1a5), 0x41, sleb(n), 0xfc, 11, 0)
		m.fn(fmt.Sprint("v", n), two, 0, 0x20, 0, 0x20, 1, 0x41, sleb(n), 0xfc, 11, 0)
	}
	return m.bytes()
}

// TestBulkOfKnownSize: fills and copies whose size the module says do what they did, also where the regions overlap or the memory ends, and where there were
// so many of them before that the instrumentation has no more room.
func TestBulkOfKnownSize(t *testing.T) {
	for _, before := range []int{0, 300} {
		t.Run(fmt.Sprint("after ", before), func(t *testing.T) { testBulk(t, bulkModule(before)) })
	}
}

func testBulk(t *testing.T, plain []byte) {
	const end = 2 * pageBytes
	out, _, err := instrument.Module(plain, instrument.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	metered, _, err := instrument.Metered(plain, instrument.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if vectors := bytes.Count(out, []byte{0xfd, 11, 0}); vectors < 50 || vectors > 4000 {
		t.Errorf("%d vector instructions", vectors)
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
	defer rt.Close(ctx)
	tick := api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = instrument.Budget })
	if _, err := rt.NewHostModuleBuilder(instrument.TickModule).NewFunctionBuilder().
		WithGoFunction(tick, []ValueType{I32}, []ValueType{I32}).Export(instrument.TickName).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	var mods []api.Module
	for i, wasm := range [][]byte{plain, out, metered} {
		mod, err := rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		memory, _ := mod.Memory().Read(0, end)
		for at := range memory {
			memory[at] = byte(at*7 + at>>8)
		}
		mods = append(mods, mod)
	}
	run := func(name string, args ...uint64) {
		t.Helper()
		var want string
		for i, mod := range mods {
			_, err := mod.ExportedFunction(name).Call(ctx, args...)
			got := "done"
			if err != nil {
				got = newTrap(err).Reason
			}
			if i == 0 {
				want = got
			} else if got != want {
				t.Fatalf("%s %v: %s, want %s", name, args, got, want)
			}
			first, _ := mods[0].Memory().Read(0, end)
			if memory, _ := mod.Memory().Read(0, end); !bytes.Equal(memory, first) {
				t.Fatalf("%s %v: the memory is another one", name, args)
			}
		}
	}
	for _, n := range bulkSizes {
		size := fmt.Sprint(n)
		at := []uint64{0, 5, 1000, uint64(1000 + n - 1), uint64(1000 + n), uint64(1000 + n/2), 1001, 999, end - uint64(n), end - uint64(n) + 1, end - 1, end, 1<<32 - 1, (1<<32 - uint64(n)) & (1<<32 - 1)}
		for _, to := range at {
			run("f"+size, to)
			run("v"+size, to, 77)
			for _, from := range at {
				run("c"+size, to, from)
			}
		}
	}
}

// BenchmarkBulk is what fills and copies of known sizes take.
func BenchmarkBulk(b *testing.B) {
	for _, n := range []uint32{40, 272, 4096} {
		var m wasmModule
		m.memory = []byte{0, 2}
		typ := m.typ([]byte{I32}, nil)
		loop := func(body ...any) []byte { // body, so many times
			return cat(append(append([]any{0x03, 0x40}, body...), 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b)...)
		}
		m.fn("copy", typ, 0, loop(0x41, sleb(8192), 0x41, 0, 0x41, sleb(n), 0xfc, 10, 0, 0))
		m.fn("fill", typ, 0, loop(0x41, sleb(8192), 0x41, 0, 0x41, sleb(n), 0xfc, 11, 0))
		in := newInstance(b, load(b, newEngine(b, Config{}), m.bytes(), LoadConfig{}))
		for _, what := range []string{"copy", "fill"} {
			b.Run(fmt.Sprint(what, n), func(b *testing.B) {
				for b.Loop() {
					call(b, in, what, 1000)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/each")
			})
		}
	}
}
