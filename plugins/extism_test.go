package plugins

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExtismBundle(t *testing.T) {
	wasm := append(wasmModule[:8:8], 0, 2, 1, 'x')
	sum := fmt.Sprintf("%x", sha256.Sum256(wasm))
	pack := func(extism string) (*Bundle, error) {
		dir := t.TempDir()
		for name, data := range map[string]string{
			"plugin.yaml": "name: x\nversion: 1.0.0\nextism: " + extism + "\n", "plugin.wasm": string(wasm), "lib.wasm": string(wasm), "not.wasm": "not", "texts/a.txt": "a",
		} {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return Pack(dir)
	}
	b, err := pack("{hash: " + sum + ", modules: [{name: lib, wasm: lib.wasm, hash: " + sum + "}], files: {/data: texts}, routes: [{path: /a, export: a}]}")
	if err != nil {
		t.Fatal(err)
	}
	if b, err = Open(b.Bytes()); err != nil || len(b.Modules()) != 1 || b.Modules()[0].Name != "lib" || len(b.Files()) != 1 || b.Files()[0].Path != "/data" {
		t.Fatalf("opened again: %+v, %v", b, err)
	}
	if _, err := b.Files()[0].FS.Open("a.txt"); err != nil {
		t.Error(err)
	}
	if b, err := pack("true"); err != nil || b.Manifest().Extism == nil || b.Manifest().Extism.Log != "debug" {
		t.Errorf("extism: true: %v", err)
	}
	if b, err := pack("false"); err != nil || b.Manifest().Extism != nil {
		t.Errorf("extism: false: %v", err)
	}
	for extism, part := range map[string]string{
		"{hash: " + strings.Repeat("0", 64) + "}":                                         "digest does not match: the module has the hash " + sum,
		"{modules: [{name: lib, wasm: lib.wasm, hash: " + strings.Repeat("0", 64) + "}]}": "module lib has the hash",
		"{modules: [{name: lib, wasm: not.wasm}]}":                                        "not.wasm: is not WebAssembly",
		"{modules: [{name: lib, wasm: none.wasm}]}":                                       "none.wasm",
		"{modules: [{name: lib}]}":                                                        "lacks wasm",
		"{modules: [lib.wasm]}":                                                           "write {name: ..., wasm: ...}",
		"{modules: [{name: main, wasm: lib.wasm}]}":                                       "not main",
		"{modules: [{name: a, wasm: lib.wasm}, {name: a, wasm: lib.wasm}]}":               "two modules named a",
		"{hash: abc}":                                     "sha256sum",
		"{routes: [{path: a, export: a}]}":                "a pattern starts with a slash",
		"{routes: [{path: /a}]}":                          "lacks export",
		"{routes: [{path: /a, export: a, method: post}]}": "not an HTTP method",
		"{routes: [{path: /a, export: a, type: json}]}":   "not a content type",
		"{log: loud}":                                     "unknown level",
		"{files: {data: texts}}":                          "not a path below the root",
		"{files: {/: texts}}":                             "not a path below the root",
		"{files: {/data: ../other}}":                      "not a path below the folder",
		"{files: {/data: none}}":                          "none is not a folder",
		"{files: {/a: texts, /a/b: texts}}":               "lies within another path",
		"yes please":                                      "write true",
	} {
		if _, err := pack(extism); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v; want %q", extism, err, part)
		}
	}
	files := map[string][]byte{entryManifest: []byte("name: x\nversion: 1.0.0\n"), entryWasm: wasm, folderModules + "lib.wasm": wasm}
	m, err := ParseManifest(ManifestName, files[entryManifest])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fromFiles(m, files, defaultBundleLimits); !errors.Is(err, ErrNotBundle) {
		t.Errorf("a module that nobody names: %v", err)
	}
}
