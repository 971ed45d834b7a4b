package testkit_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("count", count), testkit.Child("exit", func(args []string) int { return len(args) }),
		testkit.Child("leak", leak), testkit.Child("server", server))
}

// count prints numbers until it is killed, then half a line.
func count([]string) int {
	for i := range 3 {
		fmt.Println("line", i)
	}
	fmt.Print("half")
	select {}
}

// leak is a test run that passes and leaves a goroutine behind.
func leak([]string) int {
	if err := os.Unsetenv("ODACHOST_TESTKIT_CHILD"); err != nil {
		return 3
	}
	testkit.Main(leaky(make(chan struct{})))
	return 0
}

type leaky chan struct{}

func (l leaky) Run() int {
	go func() { <-l }()
	return 0
}

func TestMainFailsOnLeak(t *testing.T) {
	if code := testkit.Spawn(t, "leak").Wait(); code != 1 {
		t.Fatalf("exit code of a run that leaks = %d, want 1", code)
	}
}

func TestSpawnKillsAndReadsWhatWasWritten(t *testing.T) {
	p := testkit.Spawn(t, "count")
	if line, ok := p.Line(); !ok || line != "line 0" {
		t.Fatalf("first line = %q, %v", line, ok)
	}
	line, _ := p.Line()
	last, _ := p.Line()
	if line != "line 1" || last != "line 2" {
		t.Fatalf("lines = %q, %q", line, last)
	}
	if rest := p.Drain(); len(rest) != 0 {
		t.Fatalf("after the kill = %q, want nothing: a half line is not a line", rest)
	}
	p.Kill()
}

func TestSpawnExitCode(t *testing.T) {
	if code := testkit.Spawn(t, "exit", "a", "b", "c").Wait(); code != 3 {
		t.Fatalf("exit code = %d, want 3", code)
	}
}

func TestSpawnUnknownChild(t *testing.T) {
	if code := testkit.Spawn(t, "nobody").Wait(); code != 2 {
		t.Fatalf("exit code = %d, want 2", code)
	}
}

func TestBuildGuest(t *testing.T) {
	dir := filepath.Join("testdata", "guest")
	wasm := testkit.BuildGuest(t, dir)
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) || !bytes.Contains(wasm, []byte("answer")) {
		t.Fatalf("no module: %d bytes, %q", len(wasm), wasm[:min(8, len(wasm))])
	}
	if again := testkit.BuildGuest(t, dir); &again[0] != &wasm[0] {
		t.Fatal("built twice in one process")
	}
}

// recorder stands in for a test that is expected to fail.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

func (r *recorder) run(f func()) (said string) {
	defer func() {
		if p := recover(); p != nil && p != r {
			panic(p)
		}
		said = r.said
	}()
	f()
	return r.said
}

func TestBuildGuestShowsTheCompilersWords(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module broken\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { undeclared() }\n")
	r := &recorder{TB: t}
	if said := r.run(func() { testkit.BuildGuest(r, dir) }); !strings.Contains(said, "undefined: undeclared") {
		t.Fatalf("failure = %q", said)
	}
}

func TestGolden(t *testing.T) {
	testkit.Golden(t, "golden.txt", []byte("one\ntwo\n"))
	if flag.Lookup("update").Value.String() == "true" {
		return // what follows would be written, not compared
	}
	r := &recorder{TB: t}
	if said := r.run(func() { testkit.Golden(r, "golden.txt", []byte("one\nthree\n")) }); !strings.Contains(said, "three") {
		t.Fatalf("difference = %q", said)
	}
	if said := r.run(func() { testkit.Golden(r, "absent.txt", nil) }); !strings.Contains(said, "-update") {
		t.Fatalf("absent = %q", said)
	}
}

func TestNeedFindsAndInstalls(t *testing.T) {
	if path := testkit.Need(t, "go"); path == "" {
		t.Fatal("go runs this test and was not found")
	}
}

func TestFreePort(t *testing.T) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFDs(t *testing.T) {
	before := testkit.FDs()
	if before < 0 {
		t.Skip("only Linux says which file descriptors are open")
	}
	f, err := os.Open("testkit_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if now := testkit.FDs(); now != before+1 {
		t.Errorf("open = %d, want %d", now, before+1)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the descriptor is closed", func() bool { return testkit.FDs() == before })
}

func TestContextEndsWithTheTest(t *testing.T) {
	var ctx context.Context
	t.Run("inner", func(t *testing.T) { ctx = testkit.Context(t) })
	if ctx.Err() == nil {
		t.Fatal("the context outlives its test")
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
