package testkit

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata instead of comparing with it")

// Golden compares got with the file testdata/name of the package under test, and shows the difference. With go test -update
// it writes the file instead: read the change with git diff before you commit it.
func Golden(t testing.TB, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatalf("testkit: %v", err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatalf("testkit: %v", err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("testkit: %v (go test -update writes it)", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("testkit: %s differs, - expected + got (go test -update rewrites it):\n%s", file, cmp.Diff(string(want), string(got)))
	}
}
