package summed_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/odac-run/odachost/host/internal/summed"
	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestDamage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "file")
	if _, ok := summed.Read(file, 100); ok {
		t.Error("a missing file was read")
	}
	content := []byte("what was kept")
	for range 2 { // the second replaces the first
		if err := summed.Write(file, content); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := summed.Read(file, int64(len(content))); !ok || !bytes.Equal(got, content) {
		t.Fatalf("read %q, %v", got, ok)
	}
	if _, ok := summed.Read(file, int64(len(content))-1); ok {
		t.Error("a file over the limit was read")
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(file, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := summed.Read(file, 100); ok {
			t.Errorf("the first %d bytes were taken for all", cut)
		}
		flipped := bytes.Clone(whole)
		flipped[cut] ^= 1
		if err := os.WriteFile(file, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := summed.Read(file, 100); ok {
			t.Errorf("a file with byte %d changed was read", cut)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := summed.Write(filepath.Join(file, "below"), content); err == nil {
		t.Error("a file was made below a file")
	}
}
