package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/odac-run/odachost/internal/testkit"
)

// watched is a watcher on a folder, and what it saw.
type watched struct {
	*watcher
	t    *testing.T
	dir  string
	seen []string // what Changed named, each once
	asks int      // how often it named something
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{t: t, dir: t.TempDir()}
	w.put("main.go", "one")
	w.put("plugin.wasm", "one")
	w.put("sub/deep/a.go", "one")
	var err error
	if w.watcher, err = newWatcher([]string{w.dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *watched) put(name, text string) {
	w.t.Helper()
	file := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// until takes changes until one names the file.
func (w *watched) until(name string) {
	w.t.Helper()
	ctx := testkit.Context(w.t)
	for !slices.Contains(w.seen, filepath.FromSlash(name)) {
		select {
		case <-w.Changes():
			if changed := w.Changed(); len(changed) > 0 {
				w.asks++
				w.seen = append(w.seen, changed...)
			}
		case <-ctx.Done():
			w.t.Fatalf("%s was not seen; seen are %q", name, w.seen)
		}
	}
	slices.Sort(w.seen)
	w.seen = slices.Compact(w.seen)
}

func (w *watched) want(names ...string) {
	w.t.Helper()
	if diff := cmp.Diff(names, w.seen); diff != "" {
		w.t.Errorf("seen (-want +got):\n%s", diff)
	}
}

func TestWatchOwnOutput(t *testing.T) {
	w := watch(t)
	w.put("plugin.wasm", "two")
	w.put("blog.odac", "two")
	w.put(".odac/data", "two")
	w.put(".git/index", "two")
	w.put("node_modules/x.js", "two")
	w.put("main.go", "one") // saved without a change
	w.put("main.go~", "two")
	w.put(".main.go.swp", "two")
	w.put("dev.log", "two")
	w.put("4913", "")
	w.put("last.go", "two")
	w.until("last.go")
	w.want("last.go")
}

func TestWatchEditors(t *testing.T) {
	w := watch(t)
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(w.dir, from), filepath.Join(w.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	// vim: asks whether it may write, moves the old file away, writes a new one.
	w.put("4913", "")
	move("main.go", "main.go~")
	w.put("main.go", "by vim")
	w.until("main.go")
	w.want("main.go")

	// JetBrains and many others: write beside it, move over it.
	w.seen = nil
	w.put("main.go___jb_tmp___", "by goland")
	move("main.go", "main.go___jb_old___")
	move("main.go___jb_tmp___", "main.go")
	if err := os.Remove(filepath.Join(w.dir, "main.go___jb_old___")); err != nil {
		t.Fatal(err)
	}
	w.until("main.go")
	w.want("main.go")

	w.seen = nil
	if err := os.Remove(filepath.Join(w.dir, "main.go")); err != nil {
		t.Fatal(err)
	}
	w.until("main.go")
	w.want("main.go")
}

func TestWatchNewFolders(t *testing.T) {
	w := watch(t)
	w.put("sub/deep/a.go", "two")
	w.until("sub/deep/a.go")
	w.put("new/folder/b.go", "one")
	w.until("new/folder/b.go")
	w.put("new/folder/b.go", "two")
	w.put("assets/.well-known/c", "one")
	w.until("assets/.well-known/c")
	w.seen = nil
	w.put("new/folder/b.go", "three")
	w.until("new/folder/b.go")
	w.want(filepath.FromSlash("new/folder/b.go"))
}

func TestWatchBurst(t *testing.T) {
	w := watch(t)
	const files = 500
	for i := range files {
		w.put(fmt.Sprintf("file%d.go", i), "one")
		w.put("main.go", fmt.Sprint("again ", i))
	}
	w.put("zz.go", "last")
	w.until("zz.go")
	if got := len(w.seen); got != files+2 {
		t.Errorf("%d files were seen, want %d", got, files+2)
	}
	if w.asks > files/10 {
		t.Errorf("%d saves were %d changes", 2*files, w.asks)
	}
}
