package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/odac-run/odachost/internal/console"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// pack writes the guest of testdata as a bundle, with texts of its manifest replaced by pairs.
func pack(file, work string, wasm []byte, pairs []string) error {
	dir, err := os.MkdirTemp(work, "pack-")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(sourceDir, "testdata", "guest"))); err != nil {
		return err
	}
	manifest := filepath.Join(dir, plugins.ManifestName)
	text, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if !bytes.Contains(text, []byte(pairs[i])) {
			return fmt.Errorf("the manifest has no %q", pairs[i])
		}
		text = bytes.ReplaceAll(text, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	err = errors.Join(os.WriteFile(manifest, text, 0o600), os.WriteFile(filepath.Join(dir, plugins.DefaultWasm), wasm, 0o600))
	if err != nil {
		return err
	}
	b, err := plugins.Pack(dir)
	if err != nil {
		return err
	}
	return b.WriteFile(file)
}

// TestCommandsAtOnce starts several commands on a data folder without a host: one of them runs it, the others find it or
// wait for it to go.
func TestCommandsAtOnce(t *testing.T) {
	wasm := testkit.BuildGuest(t, filepath.Join("testdata", "guest"))
	dir := t.TempDir()
	t.Setenv("ODAC_CODE_DIR", filepath.Join(os.TempDir(), "odachost-test-cache"))
	var commands sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprintf("guest%d", i)
		file := filepath.Join(dir, name+".odac")
		if err := pack(file, dir, wasm, []string{"name: guest", "name: " + name + "\nmount: /" + name}); err != nil {
			t.Fatal(err)
		}
		commands.Go(func() {
			var out bytes.Buffer
			if status := Run(testkit.Context(t), []string{"deploy", file, "--approve", "--tenant", name, "--data", filepath.Join(dir, "data")}, nil, &out, &out); status != 0 {
				t.Errorf("status %d:\n%s", status, out.String())
			}
		})
	}
	commands.Wait()
	var list, errs bytes.Buffer
	if status := Run(t.Context(), []string{"plugins", "--data", filepath.Join(dir, "data")}, nil, &list, &errs); status != 0 || strings.Count(list.String(), "no host runs") != 4 {
		t.Errorf("status %d:\n%s%s", status, list.String(), errs.String())
	}
}

// TestInterrupted ends a command before it has begun.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	var out bytes.Buffer
	if status := Run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--data", dir, "--deploy", filepath.Join("testdata", "guest")}, nil, &out, &out); status != 1 {
		t.Errorf("status %d:\n%s", status, out.String())
	}
}

func TestLogForPeople(t *testing.T) {
	var out bytes.Buffer
	h := newLogHandler(console.New(&out), slog.LevelInfo)
	log := slog.New(h).With("plugin", "default/board", "revision", "abc")
	h.hushed.Store(true)
	log.Info("serving")
	h.hushed.Store(false)
	log.Info("serving", "version", "1.0.0")
	log.Debug("not this")
	log.Warn("over the limit\x1b[2J", "id", "k3", "error", errors.New(`a "b" c`), "trap", nil)
	slog.New(h).With("plugin", "acme/board").WithGroup("http").Error("bad", "status", 500)
	got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d `).ReplaceAllString(out.String(), "")
	want := `INFO  board: serving version=1.0.0
WARN  board: over the limit\x1b[2J id=k3 error="a \"b\" c"
ERROR acme/board: bad http.status=500
`
	if got != want {
		t.Errorf("log = %s\nwant %s", got, want)
	}
}
