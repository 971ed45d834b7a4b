package plugins

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

func packBlog(t testing.TB) *Bundle {
	t.Helper()
	return must[*Bundle](t)(Pack(writeFiles(t, t.TempDir(), blogFiles())))
}

// minimal is a bundle of a manifest with this version and the small module.
func minimal(t testing.TB, yaml string) *Bundle {
	t.Helper()
	dir := writeFiles(t, t.TempDir(), map[string]string{ManifestName: yaml, DefaultWasm: smallWasm})
	return must[*Bundle](t)(Pack(dir))
}

func TestPackAndOpen(t *testing.T) {
	packed := packBlog(t)
	opened := must[*Bundle](t)(OpenVerified(packed.Bytes(), packed.Digest()))
	for name, b := range map[string]*Bundle{"packed": packed, "opened": opened} {
		var files []string
		for _, f := range []struct {
			name string
			fs   fs.FS
		}{{"assets", b.Assets()}, {"migrations", b.Migrations()}, {"schema", b.Schema()}} {
			err := fs.WalkDir(f.fs, ".", func(name string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					files = append(files, f.name+"/"+name)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			"assets/.well-known/a.txt", "assets/app.css", "assets/img/ünï.svg", "migrations/1_seed.up.sql", "schema/posts.yaml",
		}
		if !slices.Equal(files, want) {
			t.Errorf("%s: files %q, want %q", name, files, want)
		}
		if b.Manifest().Name != "blog" || len(b.Wasm()) != 5008 || b.Digest() != DigestOf(b.Bytes()) {
			t.Errorf("%s: manifest %+v, %d bytes of wasm, digest %s", name, b.Manifest(), len(b.Wasm()), b.Digest())
		}
		if css, err := fs.ReadFile(b.Assets(), "app.css"); err != nil || string(css) != "body { margin: 0 }" {
			t.Errorf("%s: app.css %q, %v", name, css, err)
		}
		if err := fstest.TestFS(b.Assets(), "app.css", "img/ünï.svg", ".well-known/a.txt"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEmptyFolders(t *testing.T) {
	b := minimal(t, "name: a\nversion: 1.0.0\n")
	for _, f := range []fs.FS{b.Assets(), b.Migrations(), b.Schema()} {
		if list, err := fs.ReadDir(f, "."); err != nil || len(list) != 0 {
			t.Errorf("list %v, %v", list, err)
		}
	}
}

func TestAssetsServe(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/app.css", nil)
	r.Header.Set("Range", "bytes=0-3")
	http.FileServerFS(packBlog(t).Assets()).ServeHTTP(w, r)
	if w.Code != http.StatusPartialContent || w.Body.String() != "body" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestZipToolsList holds the file against the standard library's reader, as a stand-in for any tool.
func TestZipToolsList(t *testing.T) {
	data := packBlog(t).Bytes()
	z := must[*zip.Reader](t)(zip.NewReader(bytes.NewReader(data), int64(len(data))))
	var b strings.Builder
	for _, f := range z.File {
		fmt.Fprintln(&b, f.Mode(), f.Modified.UTC().Format(time.DateOnly), f.Method, f.UncompressedSize64, f.Name)
		r := must[io.ReadCloser](t)(f.Open())
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	testkit.Golden(t, "bundle_list.txt", []byte(b.String()))
}

func TestPackIsDeterministic(t *testing.T) {
	first := packBlog(t)
	dir := writeFiles(t, t.TempDir(), blogFiles())
	if err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := os.Chmod(name, 0o700); err != nil {
			return err
		}
		return os.Chtimes(name, time.Unix(1, 0), time.Unix(1e9, 0))
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if again := must[*Bundle](t)(Pack(dir)); !bytes.Equal(first.Bytes(), again.Bytes()) {
			t.Fatalf("digest %s, then %s", first.Digest(), again.Digest())
		}
	}
}

// TestFrozenBundle opens a bundle that an earlier version of this package wrote. It is never rewritten.
func TestFrozenBundle(t *testing.T) {
	text := must[[]byte](t)(os.ReadFile(filepath.Join("testdata", "v1.odac.hex")))
	data := must[[]byte](t)(hex.DecodeString(strings.Join(strings.Fields(string(text)), "")))
	b := must[*Bundle](t)(Open(data))
	if b.Manifest().Name != "frozen" || b.Digest() != "sha256:28c4807013cf50a508eafd7d9294ae28600d1579fa4421858f113c976ab9e62e" {
		t.Errorf("name %s, digest %s", b.Manifest().Name, b.Digest())
	}
}

// edit writes the bundle's entries again after change, without the checks of Pack.
func edit(t testing.TB, b *Bundle, change func([]entry) []entry) []byte {
	t.Helper()
	entries := must[[]entry](t)(readEntries(b.Bytes(), defaultBundleLimits))
	return must[[]byte](t)(assemble(change(entries)))
}

func TestOpenRefuses(t *testing.T) {
	b := packBlog(t)
	good := b.Bytes()
	tiny := defaultBundleLimits
	tiny.files, tiny.unpackedBytes, tiny.wasmBytes, tiny.nameBytes = 9, 12_000, 6000, 40
	tiny.ratioFrom, tiny.ratio = 8000, 20
	changed := func(at int, to byte) []byte {
		data := bytes.Clone(good)
		data[at] = to
		return data
	}
	rename := func(from, to string) []byte {
		return edit(t, b, func(list []entry) []entry {
			for i := range list {
				if list[i].name == from {
					list[i].name = to
				}
			}
			return list
		})
	}
	with := func(name, text string) []byte {
		return edit(t, b, func(list []entry) []entry {
			list = append(list, must[entry](t)(newEntry(name, []byte(text))))
			slices.SortStableFunc(list[1:], func(a, b entry) int { return strings.Compare(a.name, b.name) })
			return list
		})
	}
	without := func(name string) []byte {
		return edit(t, b, func(list []entry) []entry {
			return slices.DeleteFunc(list, func(e entry) bool { return e.name == name })
		})
	}
	replaced := func(name, text string) []byte {
		return edit(t, b, func(list []entry) []entry {
			i := slices.IndexFunc(list, func(e entry) bool { return e.name == name })
			list[i] = must[entry](t)(newEntry(name, []byte(text)))
			return list
		})
	}
	var repacked bytes.Buffer
	z := zip.NewWriter(&repacked)
	for _, name := range []string{entryMarker, entryWasm, entryManifest} {
		must[int](t)(must[io.Writer](t)(z.Create(name)).Write([]byte("1\n")))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	symlink := func() []byte {
		data := bytes.Clone(good)
		i := bytes.LastIndex(data, []byte("assets/app.css")) - 46 // the central header
		copy(data[i+38:], []byte{0, 0, 0xff, 0xa1})
		return data
	}
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, ErrTruncated},
		{"a module", []byte(smallWasm), ErrNotBundle},
		{"a text", []byte("name: blog\n"), ErrNotBundle},
		{"two bytes", good[:2], ErrTruncated},
		{"the start", good[:35], ErrTruncated},
		{"no version", good[:41], ErrTruncated},
		{"half", good[:len(good)/2], ErrTruncated},
		{"one byte less", good[:len(good)-1], ErrTruncated},
		{"one byte more", append(bytes.Clone(good), 0), ErrTruncated},
		{"a newer format", changed(41, '2'), ErrBundleVersion},
		{"no number", changed(41, 'x'), ErrNotBundle},
		{"version zero", changed(41, '0'), ErrNotBundle},
		{"more in the marker", edit(t, b, func(list []entry) []entry {
			list[0].packed, list[0].size = []byte("1\nhidden and more"), 17
			list[0].crc = crc32.ChecksumIEEE(list[0].packed)
			return list
		}), ErrNotBundle},
		{"another zip", repacked.Bytes(), ErrNotBundle},
		{"text before it", append([]byte("#!/bin/sh\n"), good...), ErrNotBundle},
		{"a time", changed(11, 1), ErrNotBundle},
		{"a symbolic link", symlink(), ErrNotBundle},
		{"a bit in a file", changed(bytes.Index(good, []byte("body {")), 'B'), ErrDamaged},
		{"a bit in the module", changed(bytes.Index(good, []byte("plugin.wasm"))+11+8, 0xff), ErrDamaged},
		{"no module", without(entryWasm), ErrNotBundle},
		{"no manifest", without(entryManifest), ErrNotBundle},
		{"not a module", replaced(entryWasm, "hello"), ErrNotBundle},
		{"a component", replaced(entryWasm, "\x00asm\x0d\x00\x01\x00"), ErrNotBundle},
		{"module version 2", replaced(entryWasm, "\x00asm\x02\x00\x00\x00"), ErrNotBundle},
		{"unknown name", with("readme.txt", ""), ErrNotBundle},
		{"folder", with("assets/x/", ""), ErrNotBundle},
		{"folder and file", with("assets/app.css/x", ""), ErrNotBundle},
		{"twice", with("assets/app.css", ""), ErrNotBundle},
		{"absolute", rename("assets/app.css", "/assets/app.css"), ErrNotBundle},
		{"up", rename("assets/app.css", "assets/../../app.css"), ErrNotBundle},
		{"backslash", rename("assets/app.css", `assets/..\app.css`), ErrNotBundle},
		{"colon", rename("assets/app.css", `assets/c:app.css`), ErrNotBundle},
		{"newline", rename("assets/app.css", "assets/app\n.css"), ErrNotBundle},
		{"not UTF-8", rename("assets/app.css", "assets/app\xff.css"), ErrNotBundle},
		{"not sorted", rename("assets/app.css", "assets/zzz.css"), ErrNotBundle},
		{"long name", with("assets/"+strings.Repeat("x", 40), ""), ErrNotBundle},
		{"many files", edit(t, b, func(list []entry) []entry { return append(list, list...) }), ErrTooLarge},
		{"much", with("assets/much.bin", strings.Repeat("much", 3000)), ErrTooLarge},
		{"large module", replaced(entryWasm, smallWasm+strings.Repeat("x", 6000)), ErrTooLarge},
		{"large manifest", replaced(entryManifest, strings.Repeat("#", maxManifestBytes+1)), ErrTooLarge},
		{"bomb", replaced("schema/posts.yaml", strings.Repeat("#", 6000)), ErrTooLarge},
		{"longer than it says", edit(t, b, func(list []entry) []entry { list[1].size--; list[4].size--; return list }), ErrDamaged},
		{"shorter than it says", edit(t, b, func(list []entry) []entry { list[4].size++; return list }), ErrDamaged},
		{"bad manifest", replaced(entryManifest, "name: Blog\n"), nil},
	}
	var out strings.Builder
	for _, test := range tests {
		_, err := openBundle("blog.odac", test.data, tiny)
		var manifest *ManifestError
		switch {
		case err == nil:
			t.Errorf("%s: opened", test.name)
		case test.want == nil && !errors.As(err, &manifest), test.want != nil && !errors.Is(err, test.want):
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		default:
			fmt.Fprintf(&out, "=== %s\n%v\n\n", test.name, err)
		}
	}
	testkit.Golden(t, "bundle_errors.txt", []byte(out.String()))
	wide := tiny
	wide.unpackedBytes, wide.ratio, wide.files = 1<<20, 1000, 100
	if _, err := openBundle("blog.odac", good, wide); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestOpenEveryByte changes each byte of a bundle in turn: no such file opens.
func TestOpenEveryByte(t *testing.T) {
	good := minimal(t, "name: a\nversion: 1.0.0\n").Bytes()
	for i := range good {
		data := bytes.Clone(good)
		data[i] ^= 0x20
		if _, err := Open(data); err == nil {
			t.Errorf("opened with byte %d of %d changed from %q to %q", i, len(good), good[i], data[i])
		}
		if _, err := Open(good[:i]); !errors.Is(err, ErrTruncated) {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
}

func TestOpenVerified(t *testing.T) {
	b := packBlog(t)
	if _, err := OpenVerified(b.Bytes(), DigestOf(nil)); !errors.Is(err, ErrDigest) {
		t.Errorf("error %v", err)
	}
}

func TestPackRefuses(t *testing.T) {
	const head = "name: blog\nversion: 1.0.0\n"
	var out strings.Builder
	for _, test := range []struct {
		name  string
		files map[string]string
		link  [2]string
	}{
		{"no module", map[string]string{ManifestName: head + "wasm: out.wasm\n"}, [2]string{}},
		{"module is a folder", map[string]string{ManifestName: head, "plugin.wasm/x": ""}, [2]string{}},
		{"module is a text", map[string]string{ManifestName: head, "plugin.wasm": "hello"}, [2]string{}},
		{"no folder", map[string]string{ManifestName: head + "assets: web\n", "plugin.wasm": smallWasm}, [2]string{}},
		{"folder is a file", map[string]string{ManifestName: head + "schema: web\n", "plugin.wasm": smallWasm, "web": ""}, [2]string{}},
		{"link to a file", map[string]string{ManifestName: head, "plugin.wasm": smallWasm, "assets/a": ""}, [2]string{"a", "assets/b"}},
		{"link for a folder", map[string]string{ManifestName: head, "plugin.wasm": smallWasm, "web/a": ""}, [2]string{"web", "assets"}},
		{"colon", map[string]string{ManifestName: head, "plugin.wasm": smallWasm, "assets/a:b": ""}, [2]string{}},
		{"bad manifest", map[string]string{ManifestName: "name: blog\n"}, [2]string{}},
	} {
		dir := writeFiles(t, t.TempDir(), test.files)
		if test.link[0] != "" {
			if err := os.Symlink(test.link[0], filepath.Join(dir, test.link[1])); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Pack(dir)
		if err == nil {
			t.Errorf("%s: packed", test.name)
			continue
		}
		fmt.Fprintf(&out, "=== %s\n%s\n\n", test.name, strings.ReplaceAll(err.Error(), dir, "blog"))
	}
	testkit.Golden(t, "pack_errors.txt", []byte(out.String()))
}

func TestPackKeepsOutsideOut(t *testing.T) {
	secret := filepath.Join(writeFiles(t, t.TempDir(), map[string]string{"secret.wasm": smallWasm}), "secret.wasm")
	dir := writeFiles(t, t.TempDir(), map[string]string{ManifestName: "name: a\nversion: 1.0.0\n"})
	if err := os.Symlink(secret, filepath.Join(dir, DefaultWasm)); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(dir); err == nil {
		t.Error("packed a module from outside of the folder")
	}
}

func TestSources(t *testing.T) {
	dir := writeFiles(t, t.TempDir(), blogFiles())
	b := must[*Bundle](t)(Folder(dir).Load(t.Context()))
	file := filepath.Join(t.TempDir(), "blog.odac")
	if err := b.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, file, filepath.Join(dir, ManifestName)} {
		source := must[Source](t)(FindSource(name))
		if again := must[*Bundle](t)(source.Load(t.Context())); again.Digest() != b.Digest() {
			t.Errorf("%s: digest %s, want %s", source, again.Digest(), b.Digest())
		}
	}
	for _, name := range []string{filepath.Join(dir, "missing"), t.TempDir()} {
		if source, err := FindSource(name); err == nil {
			if _, err = source.Load(t.Context()); err == nil {
				t.Errorf("loaded %s", name)
			}
		}
	}
	if _, err := OpenFile(dir); !errors.Is(err, ErrNotBundle) {
		t.Errorf("open a folder: %v", err)
	}
}

func TestDigest(t *testing.T) {
	d := DigestOf([]byte("x"))
	for _, s := range []string{string(d), d.Hex()} {
		if got, err := ParseDigest(s); err != nil || got != d {
			t.Errorf("ParseDigest(%q) = %s, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "sha256:", "sha256:xyz", strings.ToUpper(d.Hex()), d.Hex() + "0", "md5:" + d.Hex(), "../../etc/passwd"} {
		if got, err := ParseDigest(s); err == nil {
			t.Errorf("ParseDigest(%q) = %s", s, got)
		}
	}
	if len(d.Short()) != 12 || Digest("").Short() != "" {
		t.Error("short")
	}
}

func FuzzOpen(f *testing.F) {
	b := packBlog(f)
	f.Add(b.Bytes())
	f.Add(minimal(f, "name: a\nversion: 1.0.0\n").Bytes())
	f.Add(b.Bytes()[:100])
	limits := defaultBundleLimits
	limits.unpackedBytes, limits.fileBytes = 1<<20, 1<<20
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := openBundle("fuzz", data, limits)
		if err != nil {
			return
		}
		if again := edit(t, b, func(list []entry) []entry { return list }); !bytes.Equal(again, data) {
			t.Fatal("opened what this package does not write")
		}
	})
}

// FuzzOpenEntry puts one entry of somebody's making into a bundle whose frame is right.
func FuzzOpenEntry(f *testing.F) {
	b := minimal(f, "name: a\nversion: 1.0.0\n")
	f.Add("assets/a.txt", zip.Store, int64(1), uint32(0xe8b7be43), []byte("a"))
	f.Add("schema/../x", zip.Deflate, int64(1<<40), uint32(0), []byte{3, 0})
	limits := defaultBundleLimits
	limits.unpackedBytes, limits.fileBytes = 1<<20, 1<<20
	f.Fuzz(func(t *testing.T, name string, method uint16, size int64, crc uint32, packed []byte) {
		if len(name) > 1000 || size < 0 || strings.HasSuffix(name, "/") { // the zip writer makes no such file
			return
		}
		data := edit(t, b, func(list []entry) []entry {
			list = append(list, entry{name: name, method: method, crc: crc, size: size, packed: packed})
			slices.SortStableFunc(list[1:], func(a, b entry) int { return strings.Compare(a.name, b.name) })
			return list
		})
		opened, err := openBundle("fuzz", data, limits)
		if err != nil {
			return
		}
		for _, folder := range []fs.FS{opened.Assets(), opened.Migrations(), opened.Schema()} {
			if err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				_, err = fs.ReadFile(folder, name)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	// 2.3 MB that deflates by about two thirds, as a Go plugin does.
	wasm := []byte(smallWasm)
	for i := uint32(1); len(wasm) < 2_300_000; i = i*1664525 + 1013904223 {
		wasm = append(wasm, byte(i>>24), byte(i>>28), 0x20, 0x00, 0x6a, 0x41)
	}
	files := blogFiles()
	files["build/blog.wasm"] = string(wasm)
	bundle := must[*Bundle](b)(Pack(writeFiles(b, b.TempDir(), files)))
	b.ReportMetric(float64(len(bundle.Bytes())), "packed-bytes")
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		if _, err := Open(bundle.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	dir := writeFiles(b, b.TempDir(), blogFiles())
	for b.Loop() {
		if _, err := Pack(dir); err != nil {
			b.Fatal(err)
		}
	}
}
