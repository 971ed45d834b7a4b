package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// specSuites are the folders of the specification's tests in wazero's module, and what they need enabled.
var specSuites = map[string]api.CoreFeatures{
	"v1":             api.CoreFeaturesV1,
	"v2":             api.CoreFeaturesV2,
	"tail-call":      api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall,
	"extended-const": api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst,
	"threads":        api.CoreFeaturesV2 | experimental.CoreFeaturesThreads,
}

// specKnown are the lines of scripts at which the two runs differ, and why that is right.
var specKnown = map[string]string{
	"v1/linking:248":       "a data segment that does not fit is found after a table of another module was written; no module imports tables here",
	"v2/ref_func:113":      "the start function is exported, and so may be referred to",
	"threads/atomic:492":   "a wait in a memory that is not shared traps, in other words",
	"threads/atomic:493":   "a wait in a memory that is not shared traps, in other words",
	"v2/binary-leb128:969": "an opcode that is longer than need be could be read in two ways",
}

// TestSpec runs every script of the WebAssembly specification's tests three times, as it is, instrumented with a budget so
// small that nearly every check is a tick, and metered, and compares each result, trap and byte of memory.
func TestSpec(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Skipf("where is wazero's source? go list: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("the specification's tests are not in the module cache: %v", err)
	}
	for name, f := range specSuites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scripts, err := filepath.Glob(filepath.Join(root, name, "testdata", "*.json"))
			if err != nil || len(scripts) == 0 {
				t.Fatalf("no scripts: %v", err)
			}
			for _, script := range scripts {
				t.Run(strings.TrimSuffix(filepath.Base(script), ".json"), func(t *testing.T) { runScript(t, root, script, f) })
			}
		})
	}
}

type specCommand struct {
	Type, Name, Filename, As, Text string
	Line                           int
	ModuleType                     string `json:"module_type"`
	Action                         struct {
		Type, Field, Module string
		Args                []specValue
	}
}

type specValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// rewriting is instrument.Module or instrument.Metered.
type rewriting func([]byte, instrument.Limits) ([]byte, *instrument.Info, error)

// specSide is one of the runs of a script.
type specSide struct {
	rewrite rewriting // nil: as it is
	runtime wazero.Runtime
	modules map[string]api.Module
	current api.Module
	ctx     context.Context
}

func runScript(t *testing.T, root, script string, f api.CoreFeatures) {
	raw, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Commands []specCommand }
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	var sides [3]*specSide
	for i, rewrite := range []rewriting{nil, instrument.Module, instrument.Metered} {
		sides[i] = newSpecSide(t, root, f, rewrite)
	}
	actions := 0
	for _, c := range doc.Commands {
		if strings.HasSuffix(c.Filename, ".wat") {
			continue // malformed text is no concern of ours
		}
		var results [3]string
		for i, s := range sides {
			results[i] = s.run(t, filepath.Dir(script), c)
		}
		actions++
		key := fmt.Sprintf("%s:%d", strings.TrimPrefix(t.Name(), "TestSpec/"), c.Line)
		memory := specMemory(sides[0].current)
		for i, what := range []string{"plain", "instrumented", "metered"} {
			if results[0] != results[i] && specKnown[key] == "" {
				t.Errorf("line %d: %s %s\n plain: %s\n %s: %s", c.Line, c.Type, c.Action.Field, results[0], what, results[i])
			}
			if !bytes.Equal(memory, specMemory(sides[i].current)) {
				t.Fatalf("line %d: %s %s: %s: the memories differ", c.Line, c.Type, c.Action.Field, what)
			}
		}
	}
	t.Logf("%d commands", actions)
}

func specMemory(m api.Module) []byte {
	// wazero answers a nil pointer in an interface that is not nil.
	if m == nil || reflect.ValueOf(m.Memory()).IsNil() {
		return nil
	}
	b, _ := m.Memory().Read(0, m.Memory().Size())
	return b
}

func newSpecSide(t *testing.T, root string, f api.CoreFeatures, rewrite rewriting) *specSide {
	s := &specSide{rewrite: rewrite, modules: map[string]api.Module{}}
	bg := context.Background()
	s.ctx = experimental.WithImportResolver(bg, func(name string) api.Module { return s.modules[name] })
	s.runtime = wazero.NewRuntimeWithConfig(bg, wazero.NewRuntimeConfig().WithCoreFeatures(f|api.CoreFeatureMutableGlobal))
	t.Cleanup(func() { _ = s.runtime.Close(bg) })
	tick := api.GoFunc(func(_ context.Context, stack []uint64) {
		if int32(uint32(stack[0])) >= 0 {
			panic("tick with a balance that is not negative")
		}
		stack[0] = 20
	})
	_, err := s.runtime.NewHostModuleBuilder(instrument.TickModule).NewFunctionBuilder().
		WithGoFunction(tick, []ValueType{I32}, []ValueType{I32}).Export(instrument.TickName).Instantiate(bg)
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.runtime.InstantiateWithConfig(bg, wasm, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	s.modules["spectest"] = m
	return s
}

// run does one command and says what came of it, in words that are the same on both sides.
func (s *specSide) run(t *testing.T, dir string, c specCommand) string {
	switch c.Type {
	case "module":
		m, err := s.instantiate(t, dir, c.Filename)
		if err != nil {
			t.Logf("line %d: rewritten=%v: %v", c.Line, s.rewrite != nil, err)
			s.current = nil
			return "module failed"
		}
		s.current = m
		if c.Name != "" {
			s.modules["\x00"+c.Name] = m
		}
		return "module"
	case "register":
		s.modules[c.As] = s.module(c.Name)
		return "registered"
	case "assert_malformed", "assert_invalid", "assert_unlinkable", "assert_uninstantiable":
		_, err := s.instantiate(t, dir, c.Filename)
		return fmt.Sprint(c.Type, " ", err != nil)
	case "action", "assert_return", "assert_trap", "assert_exhaustion", "assert_exception":
		return s.action(c)
	}
	t.Fatalf("line %d: unknown command %s", c.Line, c.Type)
	return ""
}

func (s *specSide) module(name string) api.Module {
	if name == "" {
		return s.current
	}
	return s.modules["\x00"+name]
}

func (s *specSide) instantiate(t *testing.T, dir, file string) (api.Module, error) {
	wasm, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	var info *instrument.Info
	if s.rewrite != nil {
		if wasm, info, err = s.rewrite(wasm, instrument.Limits{TableElements: math.MaxInt32}); err != nil {
			return nil, err
		}
	}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	m, err := s.runtime.InstantiateWithConfig(s.ctx, wasm, config)
	if err != nil || s.rewrite == nil {
		return m, err
	}
	for _, d := range info.Data {
		if !m.Memory().Write(d.Offset, d.Bytes) {
			return nil, errors.New("out of bounds memory access")
		}
	}
	if info.Start {
		_, err = m.ExportedFunction(instrument.StartExport).Call(s.ctx)
	}
	return m, err
}

func (s *specSide) action(c specCommand) string {
	m := s.module(c.Action.Module)
	if m == nil {
		return "no module"
	}
	if c.Action.Type == "get" {
		return fmt.Sprint(m.ExportedGlobal(c.Action.Field).Get())
	}
	f := m.ExportedFunction(c.Action.Field)
	if f == nil {
		return "no function"
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.bits()...)
	}
	results, err := f.Call(s.ctx, args...)
	if err != nil {
		reason := newTrap(err).Reason
		return "trap: " + reason
	}
	return showResults(results, f.Definition().ResultTypes())
}

func showResults(results []uint64, types []ValueType) string {
	var b strings.Builder
	for _, t := range types {
		v := results[0]
		results = results[1:]
		switch {
		case t == F32 && math.IsNaN(float64(math.Float32frombits(uint32(v)))), t == F64 && math.IsNaN(math.Float64frombits(v)):
			b.WriteString("nan ")
		case t == 0x7b: // v128
			fmt.Fprintf(&b, "%#x:%#x ", v, results[0])
			results = results[1:]
		case t == 0x70 || t == 0x63 || t == 0x64: // a function is an address
			fmt.Fprintf(&b, "null=%v ", v == 0)
		default:
			fmt.Fprintf(&b, "%#x ", v)
		}
	}
	return b.String()
}

// bits returns a value as wazero wants it.
func (v specValue) bits() []uint64 {
	if v.Type == "v128" {
		lanes := v.Value.([]any)
		bits := 128 / len(lanes)
		var words [2]uint64
		for i, l := range lanes {
			words[i*bits/64] |= number(l.(string), bits) << (i * bits % 64)
		}
		return words[:]
	}
	s, ok := v.Value.(string)
	if !ok || s == "null" {
		return []uint64{0}
	}
	bits := 64
	if strings.HasSuffix(v.Type, "32") {
		bits = 32
	}
	n := number(s, bits)
	if v.Type == "externref" {
		n++ // wazero takes 0 for null
	}
	return []uint64{n}
}

func number(s string, bits int) uint64 {
	if strings.HasPrefix(s, "nan") {
		if bits == 32 {
			return 0x7fc00000
		}
		return 0x7ff8000000000000
	}
	if strings.HasPrefix(s, "-") {
		n, _ := strconv.ParseInt(s, 10, 64)
		return uint64(n) & (1<<bits - 1)
	}
	n, _ := strconv.ParseUint(s, 10, bits)
	return n
}
