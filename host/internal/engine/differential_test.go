package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// generator makes valid modules that end: every loop counts down a local of its own, and functions call only later ones.
type generator struct {
	*rand.Rand
	code    []byte
	labels  []byte // the kind of each open label, outermost first: 'f', 'b', 'l' (never branched to but by its counter)
	fn      int
	counter int
	budget  int
}

const (
	genFuncs  = 4
	genLocals = 4 // besides the counters
)

func (g *generator) emit(parts ...any) { g.code = append(g.code, cat(parts...)...) }

// value leaves an i32 on the stack.
func (g *generator) value(depth int) {
	if depth == 0 {
		if g.IntN(2) == 0 {
			g.emit(0x41, g.IntN(64))
		} else {
			g.emit(0x20, g.IntN(genLocals))
		}
		return
	}
	switch g.IntN(9) {
	case 0:
		g.value(depth - 1)
		g.emit(0x2d, 0, leb(uint32(g.IntN(70000)))) // i32.load8_u
	case 1:
		g.value(depth - 1)
		g.emit(0x45) // i32.eqz
	case 2: // an if with a result
		g.value(depth - 1)
		g.emit(0x04, 0x7f)
		g.labels = append(g.labels, 'b')
		g.value(depth - 1)
		g.emit(0x05)
		g.value(depth - 1)
		g.labels = g.labels[:len(g.labels)-1]
		g.emit(0x0b)
	case 3: // a block left with a value
		g.emit(0x02, 0x7f)
		g.labels = append(g.labels, 'b')
		g.value(depth - 1)
		g.value(depth - 1)
		g.emit(0x0d, 0)
		g.labels = g.labels[:len(g.labels)-1]
		g.emit(0x0b)
	case 4:
		if g.fn+1 < genFuncs {
			g.value(depth - 1)
			g.emit(0x10, g.fn+1+g.IntN(genFuncs-g.fn-1))
			return
		}
		fallthrough
	case 5:
		g.emit(0x23, 0) // global.get
	default:
		g.value(depth - 1)
		g.value(depth - 1)
		ops := []int{0x6a, 0x6b, 0x6c, 0x6d, 0x70, 0x71, 0x72, 0x73, 0x74, 0x76, 0x48, 0x4b, 0x46}
		g.emit(ops[g.IntN(len(ops))])
	}
}

// branchable is a label that may be branched to, -1 if none is meant.
func (g *generator) branchable() int {
	l := g.IntN(len(g.labels))
	if g.labels[len(g.labels)-1-l] == 'b' {
		return l
	}
	return -1
}

func (g *generator) statement(depth int) {
	if g.budget--; g.budget < 0 {
		return
	}
	block := func(kind byte, body func()) {
		g.labels = append(g.labels, kind)
		body()
		g.labels = g.labels[:len(g.labels)-1]
		g.emit(0x0b)
	}
	several := func() {
		for range 1 + g.IntN(3) {
			g.statement(depth - 1)
		}
	}
	switch n := g.IntN(13); {
	case depth > 0 && n == 0:
		g.emit(0x02, 0x40)
		block('b', several)
	case depth > 0 && n == 1:
		g.value(1)
		g.emit(0x04, 0x40)
		block('b', func() { several(); g.emit(0x05); several() })
	case depth > 0 && n <= 4:
		c := genLocals + g.counter
		g.counter++
		g.emit(0x41, 1+g.IntN(6), 0x21, c, 0x03, 0x40)
		block('l', func() {
			several()
			g.emit(0x20, c, 0x41, 1, 0x6b, 0x22, c, 0x0d, 0)
		})
	case n == 5:
		if l := g.branchable(); l >= 0 {
			g.value(1)
			g.emit(0x0d, l)
		}
	case n == 6:
		if l, m := g.branchable(), g.branchable(); l >= 0 && m >= 0 {
			g.emit(0x02, 0x40)
			g.value(1)
			g.emit(0x0e, 2, 0, l+1, m+1, 0x0b) // br_table inside a block of its own
		}
	case n == 7:
		g.value(2)
		g.emit(0x24, 0)
	case n == 8:
		g.value(1)
		g.value(2)
		g.emit(0x3a, 0, leb(uint32(g.IntN(66000))))
	case n == 9: // memory.fill
		g.value(1)
		g.value(1)
		g.emit(0x41, leb(uint32(g.IntN(64))), 0x41, 10, 0x74, 0xfc, 11, 0)
	case n == 10: // memory.copy, now and then of much
		g.value(1)
		g.value(1)
		g.emit(0x41, g.IntN(64), 0x41, 8, 0x74, 0xfc, 10, 0, 0)
	case n == 11 && g.IntN(3) == 0:
		g.value(1)
		g.emit(0x04, 0x40)
		g.value(1)
		g.emit(0x0f, 0x0b) // return
	default:
		g.value(3)
		g.emit(0x21, g.IntN(genLocals))
	}
}

func generate(seed1, seed2 uint64) []byte {
	r := rand.New(rand.NewPCG(seed1, seed2))
	var m wasmModule
	t := m.typ([]byte{I32}, []byte{I32})
	m.memory = []byte{0, 3}
	m.globals = [][]byte{{I32, 1, 0x41, 3, 0x0b}}
	for fn := range genFuncs {
		g := &generator{Rand: r, fn: fn, labels: []byte{'f'}, budget: 40}
		for range 1 + g.IntN(6) {
			g.statement(4)
		}
		g.value(2)
		m.fn(fmt.Sprint("f", fn), t, genLocals-1+g.counter, g.code)
	}
	return m.bytes()
}

// generateDispatches makes modules of functions as Go's compiler makes them: a loop around blocks, one of which a br_table enters by the number in a local.
// Each block writes where it is to memory, and goes on to the next or, by one of many ways, back to the loop.
func generateDispatches(seed1, seed2 uint64) []byte {
	const acc, pc, count, other = 0, 1, 2, 3
	r := rand.New(rand.NewPCG(seed1, seed2))
	var m wasmModule
	t := m.typ([]byte{I32}, []byte{I32})
	m.memory = []byte{0, 1}
	m.globals = [][]byte{{I32, 1, 0x41, 3, 0x0b}}
	for fn := range genFuncs {
		blocks, numbers := 1+r.IntN(12), 1+r.IntN(20)
		g := &generator{Rand: r}
		g.emit(0x02, 0x40, 0x03, 0x40)
		for range blocks {
			g.emit(0x02, 0x40)
		}
		selector := []int{pc, pc, pc, other}[r.IntN(4)]
		switch r.IntN(10) { // not what Go writes: the dispatch does more
		case 0:
			g.emit(0x20, acc, 0x41, 1, 0x6a, 0x21, acc, 0x20, selector)
		case 1:
			g.emit(0x20, selector, 0x20, acc, 0x41, 1, 0x71, 0x73)
		case 2:
			g.emit(0x20, selector, 0x20, acc, 0x41, 1, 0x6a, 0x21, acc)
		default:
			g.emit(0x20, selector)
		}
		g.emit(0x0e, numbers)
		for range numbers + 1 {
			if target := r.IntN(blocks + 1); target < blocks {
				g.emit(target)
			} else {
				g.emit(blocks + 1) // beyond the loop
			}
		}
		for i := range blocks {
			loop := blocks - 1 - i
			number := r.IntN(numbers + 2)
			cond := []any{0x20, acc, 0x41, 1 << r.IntN(5), 0x71}
			g.emit(0x0b, 0x20, count, 0x41, 1, 0x6a, 0x22, count, 0x41, 0xf0, 0, 0x4a, 0x0d, loop+1) // at most 112 steps
			g.emit(0x20, count, 0x41, i, 0x3a, 0, 0, 0x20, acc, 0x41, 5, 0x6c, 0x41, i+1, 0x6a, 0x21, acc)
			switch r.IntN(11) {
			case 0, 1:
				g.emit(0x41, number, 0x21, pc, 0x0c, loop)
			case 2, 3, 4:
				g.emit(cat(cond...), 0x04, 0x40, 0x41, number, 0x21, pc, 0x0c, loop+1, 0x0b)
			case 5:
				g.emit(0x20, acc, 0x41, 15, 0x71, 0x21, pc, 0x0c, loop)
			case 6:
				g.emit(cat(cond...), 0x04, 0x40, 0x41, number, 0x21, other, 0x0c, loop+1, 0x0b)
			case 7:
				g.emit(0x41, number, 0x21, pc, 0x41, 3, 0x21, acc, 0x0c, loop)
			case 8:
				g.emit(0x41, number, 0x21, pc, cat(cond...), 0x0d, loop)
			case 9:
				g.emit(0x02, 0x40, 0x41, number, 0x22, pc, 0x04, 0x40, 0x41, number, 0x21, pc, 0x0c, loop+2, 0x0b, 0x0b)
			case 10:
				g.emit(0x41, number, 0x21, pc, 0x20, acc, 0x41, 15, 0x71, 0x22, pc, 0x1a, 0x0c, loop)
			}
		}
		g.emit(0x0b, 0x0b, 0x20, acc)
		m.fn(fmt.Sprint("f", fn), t, 3, g.code)
	}
	return m.bytes()
}

// FuzzDifferential runs generated modules as they are and instrumented, and compares results, traps, the global and
// memory.
func FuzzDifferential(f *testing.F) {
	for i := range uint64(60) {
		f.Add(i, i*i)
	}
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64) {
		for _, wasm := range [][]byte{generate(seed1, seed2), generateDispatches(seed1, seed2)} {
			plain := observe(t, wasm, "")
			for what, rewrite := range map[string]rewriting{"instrumented": instrument.Module, "metered": instrument.Metered} {
				out, info, err := rewrite(wasm, instrument.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if len(info.Globals) != 1 {
					t.Fatalf("globals: %v", info.Globals)
				}
				if got := observe(t, out, info.Globals[0]); got != plain {
					t.Errorf("plain: %.300q\n%s: %.300q", plain, what, got)
				}
			}
		}
	})
}

// observe runs all functions of a generated module and tells what can be seen of it.
func observe(t *testing.T, wasm []byte, global string) string {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
	defer rt.Close(ctx)
	tick := api.GoFunc(func(_ context.Context, stack []uint64) {
		if int32(uint32(stack[0])) >= 0 {
			panic("tick with a balance that is not negative")
		}
		stack[0] = 7
	})
	if _, err := rt.NewHostModuleBuilder(instrument.TickModule).NewFunctionBuilder().
		WithGoFunction(tick, []ValueType{I32}, []ValueType{I32}).Export(instrument.TickName).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := rt.Instantiate(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	for i := range genFuncs {
		for _, arg := range []uint64{0, 1, 77} {
			res, err := m.ExportedFunction(fmt.Sprint("f", i)).Call(ctx, arg)
			if err != nil {
				fmt.Fprintf(&seen, "%s;", newTrap(err).Reason)
			} else {
				fmt.Fprintf(&seen, "%d;", res[0])
			}
		}
	}
	if global != "" && m.ExportedGlobal(global) == nil {
		t.Errorf("global %s is not exported", global)
	}
	all, _ := m.Memory().Read(0, m.Memory().Size())
	seen.Write(all)
	return seen.String()
}

// FuzzAccepted says that no module becomes valid by being instrumented, and that nothing makes the rewriting panic or
// swell.
func FuzzAccepted(f *testing.F) {
	for i := range uint64(8) {
		f.Add(generate(i, 1))
	}
	for _, build := range hostileShapes() {
		var m wasmModule
		build(&m)
		if b := m.bytes(); len(b) < 4096 {
			f.Add(b)
		}
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithMemoryLimitPages(1024))
	f.Cleanup(func() { rt.Close(ctx) })
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, info, err := instrument.Module(wasm, instrument.Limits{BodyBytes: 1 << 16, Functions: 1000, TableElements: 1000})
		if err != nil {
			var at *instrument.Error
			if !errors.As(err, &at) || at.Offset < 0 || at.Offset > len(wasm) {
				t.Fatalf("error without an offset: %v", err)
			}
			return
		}
		if len(out) > 4*len(wasm)+1<<20+1<<16 {
			t.Fatalf("%d bytes became %d", len(wasm), len(out))
		}
		code, err := rt.CompileModule(ctx, out)
		exact, _, err2 := instrument.Metered(wasm, instrument.Limits{BodyBytes: 1 << 16, Functions: 1000, TableElements: 1000})
		if err2 != nil {
			t.Fatalf("not metered: %v", err2)
		}
		metered, err2 := rt.CompileModule(ctx, exact)
		if err2 == nil {
			metered.Close(ctx)
		}
		if (err == nil) != (err2 == nil) {
			t.Fatalf("valid only one way: %v, metered %v", err, err2)
		}
		if err != nil {
			return
		}
		defer code.Close(ctx)
		if info.Start || len(info.Data) > 0 {
			return // the start's export declares a reference; data is validated by the host
		}
		original, err := rt.CompileModule(ctx, wasm)
		// wazero refuses an empty custom section at the very end of a module, where the original's may be.
		if err != nil && !strings.Contains(err.Error(), "custom section") {
			t.Fatalf("valid only when instrumented: %v", err)
		}
		if err != nil {
			return
		}
		original.Close(ctx)
	})
}
