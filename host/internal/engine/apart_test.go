package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

// compilers are processes that compile, and some that do not.
func compilers() []testkit.Option {
	count := func(file string) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString("x")
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			panic(err)
		}
	}
	return []testkit.Option{
		testkit.Child("compiles", func(args []string) int {
			count(args[0])
			return CompileMain(args[1:], os.Stdin, os.Stderr)
		}),
		testkit.Child("crashes", func([]string) int {
			done := make(chan struct{})
			go func() { panic("a fault in the compiler") }()
			<-done
			return 0
		}),
		testkit.Child("does nothing", func([]string) int { return 0 }),
		testkit.Child("humble", reportHumble),
		testkit.Child("hangs", func(args []string) int {
			count(args[0])
			<-make(chan struct{})
			return 0
		}),
	}
}

const nop = 0x01

// large is a module that is too large to be compiled at once; body is that of its function.
func large(body ...any) []byte {
	var m wasmModule
	m.fn("answer", m.typ(nil, []byte{I32}), 0, append([]any{bytes.Repeat([]byte{nop}, smallBytes)}, body...)...)
	return m.bytes()
}

func TestCompileApart(t *testing.T) {
	wasm := large(0x41, 42)
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	answers := func(cache string, compiler []string) {
		t.Helper()
		e := newEngine(t, Config{CacheDir: filepath.Join(dir, cache), Compiler: compiler})
		if n := call(t, newInstance(t, load(t, e, wasm, LoadConfig{})), "answer"); n != 42 {
			t.Errorf("answer = %d", n)
		}
	}
	for range 2 { // the second time the code is there
		answers("one", testkit.Command("compiles", started))
	}
	if text, err := os.ReadFile(started); err != nil || string(text) != "x" {
		t.Errorf("compilers started: %q, %v; want one", text, err)
	}
	answers("two", testkit.Command("does nothing"))
	answers("three", []string{filepath.Join(dir, "no such program")})
}

// TestCompiledByProcess: the code that a process left is the one that is loaded.
func TestCompiledByProcess(t *testing.T) {
	dir := t.TempDir()
	e := newEngine(t, Config{CacheDir: dir})
	out, err := e.rewrite(&LoadConfig{}, large(0x41, 42))
	if err != nil {
		t.Fatal(err)
	}
	files := func() (list []string) {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	var said bytes.Buffer
	if status := compileMain([]string{dir, "100"}, bytes.NewReader(out.wasm), &said); status != 0 || said.Len() > 0 {
		t.Fatalf("status %d: %s", status, &said)
	}
	before := files()
	if len(before) != 1 {
		t.Fatalf("%d files of code, want one", len(before))
	}
	load(t, e, large(0x41, 42), LoadConfig{MaxMemoryBytes: 100 * pageBytes})
	if after := files(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("code in %v, then in %v", before, after)
	}
}

func TestCompilerFails(t *testing.T) {
	dir := t.TempDir()
	bad := large(0x42, 1) // an i64 for an i32
	_, here := newEngine(t, Config{CacheDir: filepath.Join(dir, "here")}).Load(t.Context(), bad, LoadConfig{})
	_, apart := newEngine(t, Config{CacheDir: filepath.Join(dir, "apart"), Compiler: testkit.Command("compiles", filepath.Join(dir, "started"))}).Load(t.Context(), bad, LoadConfig{})
	if here == nil || apart == nil || here.Error() != apart.Error() {
		t.Errorf("here: %v\napart: %v", here, apart)
	}
	for range 2 { // what failed is not kept
		var failed *CompileError
		_, err := newEngine(t, Config{CacheDir: filepath.Join(dir, "crash"), Compiler: testkit.Command("crashes")}).Load(t.Context(), large(0x41, 42), LoadConfig{})
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "the compiler failed") || !strings.Contains(err.Error(), "a fault in the compiler") {
			t.Errorf("%v", err)
		}
	}
}

func TestCompilerIsCanceled(t *testing.T) {
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		testkit.Eventually(t, "the compiler is at work", func() bool { _, err := os.Stat(started); return err == nil })
		cancel()
	}()
	began := time.Now()
	_, err := newEngine(t, Config{CacheDir: filepath.Join(dir, "cache"), Compiler: testkit.Command("hangs", started)}).Load(ctx, large(0x41, 42), LoadConfig{})
	if !errors.Is(err, context.Canceled) || time.Since(began) > maxCompileTime/2 {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	late, stop := context.WithTimeout(t.Context(), 200*time.Millisecond) // the caller's own deadline is no fault of the module's
	defer stop()
	var failed *CompileError
	_, err = newEngine(t, Config{CacheDir: filepath.Join(dir, "cache"), Compiler: testkit.Command("hangs", started)}).Load(late, large(0x41, 42), LoadConfig{})
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &failed) {
		t.Errorf("past the caller's deadline: %v", err)
	}
}

func TestCompileMainArguments(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
		in   io.Reader
	}{
		{"wants a cache directory", []string{dir}, strings.NewReader("")},
		{"pages", []string{dir, "many"}, strings.NewReader("")},
		{"cache", []string{file, "1"}, strings.NewReader("")},
		{"read the module", []string{dir, "1"}, broken{}},
	} {
		var said bytes.Buffer
		if status := compileMain(c.args, c.in, &said); status != 1 || !strings.Contains(said.String(), c.want) {
			t.Errorf("%q: status %d, %q", c.args, status, &said)
		}
	}
}

// broken is a pipe whose other end is gone.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fmt.Errorf("broken: %w", io.ErrUnexpectedEOF) }
