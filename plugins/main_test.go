package plugins

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("deploy", deployChild), testkit.Child("put", putChild), testkit.Child("hammer", hammerChild))
}

// smallWasm is a module that says nothing.
const smallWasm = "\x00asm\x01\x00\x00\x00"

// blogYAML is a manifest with every key.
const blogYAML = `name: blog
version: 1.4.0-rc.1+build.5
description: Posts & comments
mount: {path: /blog, hosts: [blog.example.org, "*.blog.example.org"]}
wasm: build/blog.wasm
build: make "my target"
capabilities:
  db:
    tables:
      posts: [delete, select, insert, update]
      authors: [select]
    raw: true
  cache: true
  buffer: {tables: [posts]}
  ws: {origins: [app.example.org]}
  http: {hosts: [api.example.com, "*.example.org", 127.0.0.1]}
limits:
  time: 500ms
  memory: 32MiB
  instances: 4
isolation: warm
config:
  title: My blog
  per_page: 020
  debug: true
  api_token:
assets: web/assets
schema: db/schema
migrations: db/migration
`

// writeFiles makes files below dir.
func writeFiles(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// blogFiles is a plugin's folder that goes with blogYAML.
func blogFiles() map[string]string {
	return map[string]string{
		ManifestName:                    blogYAML,
		"build/blog.wasm":               smallWasm + string(make([]byte, 5000)),
		"web/assets/app.css":            "body { margin: 0 }",
		"web/assets/img/ünï.svg":        "<svg/>",
		"web/assets/.well-known/a.txt":  "known",
		"web/assets/.DS_Store":          "no",
		"web/assets/.git/HEAD":          "no",
		"db/schema/posts.yaml":          "columns: {}",
		"db/migration/1_seed.up.sql":    "select 1",
		"not/in/the/bundle/at/all.text": "no",
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
