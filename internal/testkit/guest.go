package testkit

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var guests sync.Map // absolute folder and flags -> func() (guest, error), once each

type guest struct {
	wasm []byte
	log  string
}

// BuildGuest compiles the main package in dir to a WASI reactor (GOOS=wasip1 GOARCH=wasm -buildmode=c-shared) with the Go
// toolchain that runs the test, and returns the module. It is built once in a process, whoever asks; the bytes are shared and
// must not be changed. Flags are further arguments of go build, such as "-ldflags=-s -w" or "-tags=slow".
//
// The guest's sources, and those of the packages of this module that it imports, count as inputs of the test, so that go test
// does not answer from its cache after one of them changed.
func BuildGuest(t testing.TB, dir string, flags ...string) []byte {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatalf("testkit: build guest %s: %v", dir, err)
	}
	key := abs + "\x00" + strings.Join(flags, "\x00")
	build, _ := guests.LoadOrStore(key, sync.OnceValues(func() (guest, error) { return buildGuest(abs, flags) }))
	g, err := build.(func() (guest, error))()
	if err != nil {
		t.Fatalf("testkit: build guest %s: %v\n%s", dir, err, g.log)
	}
	return g.wasm
}

func buildGuest(dir string, flags []string) (guest, error) {
	tmp, err := os.MkdirTemp("", "odachost-guest-")
	if err != nil {
		return guest{}, err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // a leftover in the temporary folder harms nobody
	out := filepath.Join(tmp, "guest.wasm")
	args := append([]string{"build", "-buildmode=c-shared", "-o", out}, flags...)
	if log, err := goTool(dir, append(args, ".")...); err != nil {
		return guest{log: log}, err
	}
	const files = `{{if not .Standard}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}`
	list, err := goTool(dir, "list", "-deps", "-f", files, ".")
	if err != nil {
		return guest{log: list}, err
	}
	for name := range strings.Lines(list) {
		_, _ = os.Stat(strings.TrimSpace(name)) // only so that go test notes the file
	}
	wasm, err := os.ReadFile(out)
	return guest{wasm: wasm}, err
}

// goTool runs the go command for a guest. Its output is standard output, or after a failure what it complained about.
func goTool(dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "go", args...) // several tests share one build
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), err
	}
	return stdout.String(), nil
}
