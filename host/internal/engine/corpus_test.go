package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

// corpus are the calls of guests on which every engine must agree: compiler and interpreter, each processor, with and
// without fuel. The sources are in testdata/corpus and testdata/work.
var corpus = []struct {
	module, export string
	args           []uint64
}{
	{"c", "sieve", []uint64{20_000}},
	{"c", "sha", []uint64{2}},
	{"c", "fannkuch", []uint64{6}},
	{"c", "jsonround", []uint64{20}},
	{"c", "regex", []uint64{3}},
	{"c", "recurse", []uint64{15}},
	{"rust", "sieve", []uint64{20_000}},
	{"rust", "words", []uint64{30}},
	{"rust", "shapes", []uint64{300}},
	{"rust", "sorted", []uint64{2000}},
	{"rust", "outside", []uint64{1}},
	{"rust", "outside", []uint64{3}}, // panics
	{"assemblyscript", "tree", []uint64{500}},
	{"assemblyscript", "sieve", []uint64{20_000}},
	{"assemblyscript", "strings", []uint64{300}},
	{"assemblyscript", "matrix", []uint64{12}},
	{"assemblyscript", "lanes", []uint64{500}},
	{"assemblyscript", "recurse", []uint64{15}},
	{"go", "sieve", []uint64{5000}},
	{"go", "sha", []uint64{1}},
	{"go", "jsonround", []uint64{3}},
	{"go", "regex", []uint64{2}},
	{"go", "fannkuch", []uint64{5}},
	{"go", "recurse", []uint64{10}},
}

// generatedModules of the corpus, made by the generator of FuzzDifferential.
const generatedModules = 20

// Where the run for another processor finds the Go guest, which it cannot build, and leaves its transcript.
const (
	corpusGuest      = "ODACHOST_TEST_GUEST"
	corpusTranscript = "ODACHOST_TEST_TRANSCRIPT"
)

// transcribe runs the corpus and tells what can be seen of it: results and traps, the memory, and the fuel if it is
// counted. Of the Go guest only results: its runtime draws random numbers, and looks at the clock.
func transcribe(t *testing.T, cfg Config, goGuest []byte, fuel int64) string {
	t.Helper()
	e := newEngine(t, cfg)
	var text strings.Builder
	programs := map[string]*Program{"go": load(t, e, goGuest, LoadConfig{Fuel: fuel, InitTimeout: time.Minute})}
	for _, name := range []string{"c", "rust", "assemblyscript"} {
		wasm, err := os.ReadFile(filepath.Join("testdata", "corpus", name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		programs[name] = load(t, e, wasm, LoadConfig{Fuel: fuel})
	}
	for i := range uint64(generatedModules) {
		programs[fmt.Sprint("generated", i)] = load(t, e, generate(i, 7), LoadConfig{Fuel: fuel})
	}
	tell := func(module, export string, args []uint64) {
		in := newInstance(t, programs[module])
		result, err := in.Call(context.Background(), nil, time.Time{}, export, args...)
		if err != nil {
			err = fmt.Errorf("%s", strings.SplitN(err.Error(), "\n", 2)[0])
		}
		fmt.Fprintf(&text, "%s.%s(%d) = %#x, %v", module, export, args, result, err)
		if module != "go" {
			fmt.Fprintf(&text, ", memory %x", sha256.Sum256(in.bytes()))
			if fuel != 0 {
				fmt.Fprintf(&text, ", fuel %d", in.FuelUsed())
			}
		}
		text.WriteByte('\n')
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range corpus {
		tell(c.module, c.export, c.args)
	}
	for i := range generatedModules {
		for fn := range genFuncs {
			tell(fmt.Sprint("generated", i), fmt.Sprint("f", fn), []uint64{3})
		}
	}
	return text.String()
}

func sameTranscript(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	theirs := strings.Split(got, "\n")
	for i, line := range strings.Split(want, "\n") {
		if i >= len(theirs) || theirs[i] != line {
			t.Fatalf("%s: line %d\ngot  %s\nwant %s", what, i+1, theirs[min(i, len(theirs)-1)], line)
		}
	}
	t.Fatalf("%s: more lines than wanted", what)
}

// TestCorpus compares the compiler of this machine with the interpreter, and counting fuel with not counting it.
func TestCorpus(t *testing.T) {
	guest := testkit.BuildGuest(t, "testdata/work")
	plain, metered := transcribe(t, Config{}, guest, 0), transcribe(t, Config{}, guest, -1)
	if strings.Count(plain, "<nil>") < len(corpus) {
		t.Errorf("too few calls succeed:\n%s", plain)
	}
	if !strings.Contains(plain, "rust.outside([3]) = 0x0, engine: guest trapped: unreachable") {
		t.Errorf("the Rust guest does not panic:\n%s", plain)
	}
	sameTranscript(t, "interpreter", transcribe(t, Config{Interpreter: true}, guest, 0), plain)
	sameTranscript(t, "interpreter with fuel", transcribe(t, Config{Interpreter: true}, guest, -1), metered)
	sameTranscript(t, "with fuel", withoutFuel(metered), plain)
}

func withoutFuel(transcript string) string {
	lines := strings.Split(transcript, "\n")
	for i := range lines {
		lines[i], _, _ = strings.Cut(lines[i], ", fuel ")
	}
	return strings.Join(lines, "\n")
}

// TestCorpusARM64 runs the corpus on the compiler for arm64, emulated: wazero has had faults there (issues #2158, #2382).
func TestCorpusARM64(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("emulation is tried on linux/amd64 only")
	}
	qemu := testkit.Need(t, "qemu-aarch64-static")
	dir := t.TempDir()
	binary, guest, transcript := filepath.Join(dir, "engine.test"), filepath.Join(dir, "go.wasm"), filepath.Join(dir, "transcript")
	wasm := testkit.BuildGuest(t, "testdata/work", "-ldflags=-s -w")
	if err := os.WriteFile(guest, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build for arm64: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), qemu, binary, "-test.run=^TestTranscript$", "-test.v")
	run.Env = append(os.Environ(), corpusGuest+"="+guest, corpusTranscript+"="+transcript)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("on arm64: %v\n%s", err, out)
	}
	got, err := os.ReadFile(transcript)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sameTranscript(t, "arm64", string(got), transcribe(t, Config{}, wasm, -1))
}

// TestTranscript is what TestCorpusARM64 runs on the other processor.
func TestTranscript(t *testing.T) {
	out := os.Getenv(corpusTranscript)
	if out == "" {
		t.Skip("TestCorpusARM64 runs it")
	}
	guest, err := os.ReadFile(os.Getenv(corpusGuest))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, []byte(transcribe(t, Config{}, guest, -1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
