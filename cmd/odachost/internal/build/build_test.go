package build

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPluginError(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.yaml"), "name: x\nversion: 1.0.0\nbuild: [go, run, main.go]\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { missing() }\n")
	err := Plugin(t.Context(), dir)
	var failed *Error
	if !errors.As(err, &failed) || failed.Command != "go run main.go" || !strings.Contains(failed.Output, "main.go:3:15: undefined: missing") {
		t.Errorf("error = %v", err)
	}
	write(t, filepath.Join(dir, "plugin.yaml"), "name: x\nversion: 1.0.0\nbuild: [no-such-tool]\n")
	if err := Plugin(t.Context(), dir); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "set build in plugin.yaml") {
		t.Errorf("error = %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Plugin(canceled, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

// TestNew makes a plugin, builds it and runs its tests as a user without a network does.
func TestNew(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "")
	dir := filepath.Join(t.TempDir(), "blog")
	if err := New(t.Context(), dir, "blog", ""); err != nil {
		t.Fatal(err)
	}
	if err := Plugin(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"vet", "."}, {"test", "."}} {
		if err := goCommand(t.Context(), dir, nil, args...); err != nil {
			t.Error(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "gofmt", "-l", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v\n%s", err, out)
	}
	if err := New(t.Context(), dir, "blog", ""); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a second time: %v", err)
	}
}

func TestNewLeavesNothingBehind(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no Go here
	dir := filepath.Join(t.TempDir(), "blog")
	if err := New(t.Context(), dir, "blog", ""); err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("error = %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := New(t.Context(), dir, "blog", ""); err == nil {
		t.Error("no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

func TestCheckout(t *testing.T) {
	found := Checkout()
	if found == "" {
		t.Fatal("the checkout of this test was not found")
	}
	elsewhere := t.TempDir()
	write(t, filepath.Join(elsewhere, "go.mod"), "module "+modulePath+"\n")
	checkout = elsewhere
	t.Cleanup(func() { checkout = "" })
	if got := Checkout(); got != elsewhere {
		t.Errorf("Checkout() = %s, want what the linker said: %s", got, elsewhere)
	}
	write(t, filepath.Join(elsewhere, "go.mod"), "module other\n")
	if got := Checkout(); got != found {
		t.Errorf("Checkout() = %s, want %s: the other is no checkout any more", got, found)
	}
	if err := New(t.Context(), filepath.Join(t.TempDir(), "x"), "x", elsewhere); err == nil || !strings.Contains(err.Error(), "is no checkout") {
		t.Errorf("error = %v", err)
	}
}
