package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/instrument"
	"github.com/odac-run/odachost/internal/testkit"
)

// TestBinaryen runs modules that Binaryen makes of random bytes, of all the instructions that it knows, as they are,
// instrumented and metered, on the compiler and the interpreter. ODACHOST_TEST_BINARYEN=from:n tries other n modules.
func TestBinaryen(t *testing.T) {
	wasmOpt := testkit.Need(t, "wasm-opt")
	from, n := uint64(1), uint64(15)
	if v := os.Getenv("ODACHOST_TEST_BINARYEN"); v != "" {
		a, b, _ := strings.Cut(v, ":")
		from, _ = strconv.ParseUint(a, 10, 64)
		n, _ = strconv.ParseUint(b, 10, 64)
	}
	dir := t.TempDir()
	ran := 0
	for seed := from; seed < from+n; seed++ {
		in, out := filepath.Join(dir, "random"), filepath.Join(dir, "module.wasm")
		r := rand.New(rand.NewPCG(seed, 1))
		random := make([]byte, 2000+r.IntN(6000))
		for i := 0; i+8 <= len(random); i += 8 {
			binary.LittleEndian.PutUint64(random[i:], r.Uint64())
		}
		if err := os.WriteFile(in, random, 0o600); err != nil {
			t.Fatal(err)
		}
		made := exec.CommandContext(t.Context(), wasmOpt, "-ttf", in, "-o", out, "--enable-bulk-memory", "--enable-simd",
			"--enable-sign-ext", "--enable-multivalue", "--enable-nontrapping-float-to-int", "--enable-threads", "--denan")
		if text, err := made.CombinedOutput(); err != nil {
			t.Logf("seed %d: wasm-opt: %v: %.200s", seed, err, text)
			continue
		}
		wasm, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := runExports(t, wasm, nil, wazero.NewRuntimeConfigCompiler())
		if !ok {
			continue
		}
		ran++
		for what, rewrite := range map[string]rewriting{"instrumented": instrument.Module, "metered": instrument.Metered} {
			rewritten, info, err := rewrite(wasm, instrument.Limits{})
			if err != nil {
				t.Errorf("seed %d: %v", seed, err)
				continue
			}
			for engine, config := range map[string]wazero.RuntimeConfig{"compiler": wazero.NewRuntimeConfigCompiler(), "interpreter": wazero.NewRuntimeConfigInterpreter()} {
				if got, _ := runExports(t, rewritten, info, config); got != want {
					t.Errorf("seed %d: %s on the %s:\ngot  %s\nwant %s", seed, what, engine, got, want)
				}
			}
		}
	}
	if ran < int(n)/2 {
		t.Errorf("only %d of %d modules could be run", ran, n)
	}
}

// runExports calls each exported function of a module with zeros, and tells results, traps, what it told its imports, and
// memory; false if the module cannot be instantiated.
func runExports(t *testing.T, wasm []byte, info *instrument.Info, config wazero.RuntimeConfig) (string, bool) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(features).WithMemoryLimitPages(200))
	defer rt.Close(ctx)
	code, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		t.Logf("compile: %v", err)
		return "", false
	}
	var told strings.Builder
	hosts := map[string]wazero.HostModuleBuilder{}
	for _, f := range code.ImportedFunctions() {
		module, name, _ := f.Import()
		if hosts[module] == nil {
			hosts[module] = rt.NewHostModuleBuilder(module)
		}
		params, results := f.ParamTypes(), f.ResultTypes()
		hosts[module].NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
			if name == instrument.TickName {
				stack[0] = 5
				return
			}
			for i, p := range params {
				if p == I32 || p == F32 {
					stack[i] &= 1<<32 - 1 // the compiler leaves the rest as it is
				}
			}
			fmt.Fprintf(&told, "%s%x ", name, stack[:len(params)])
			clear(stack[:len(results)])
		}), params, results).Export(name)
	}
	for _, h := range hosts {
		if _, err := h.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	m, err := rt.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Logf("instantiate: %v", err)
		return "", false
	}
	if info != nil { // what the host does for a rewritten module
		for _, d := range info.Data {
			if !m.Memory().Write(d.Offset, d.Bytes) {
				return "", false
			}
		}
		if info.Start {
			if _, err := m.ExportedFunction(instrument.StartExport).Call(ctx); err != nil {
				return "", false
			}
		}
	}
	for _, x := range exportsOf(code) {
		f := m.ExportedFunction(x)
		stack := make([]uint64, max(2*len(f.Definition().ParamTypes()), 2*len(f.Definition().ResultTypes()), 1))
		if err := f.CallWithStack(ctx, stack); err != nil {
			// An access that is neither aligned nor in bounds traps as one on the compiler, as the other on the interpreter.
			fmt.Fprintf(&told, "%s: %s\n", x, strings.ReplaceAll(newTrap(err).Reason, "unaligned atomic", "out of bounds memory access"))
			if strings.Contains(err.Error(), "stack overflow") {
				return "", false // where it does so is each engine's own affair
			}
			continue
		}
		fmt.Fprintf(&told, "%s = %x\n", x, stack[:len(f.Definition().ResultTypes())])
	}
	if m.Memory() != nil {
		if b, ok := m.Memory().Read(0, m.Memory().Size()); ok {
			fmt.Fprintf(&told, "memory %d %x", len(b), sha256.Sum256(b))
		}
	}
	return told.String(), true
}

// exportsOf are the names of the exported functions that the module had itself, in order; none with parameters that zeros
// do not fit.
func exportsOf(code wazero.CompiledModule) (names []string) {
	for name := range code.ExportedFunctions() {
		if !strings.HasPrefix(name, instrument.Prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
