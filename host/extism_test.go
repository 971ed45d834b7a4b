package host_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// clangModule compiles a file of testdata for WebAssembly without a C library.
func clangModule(t testing.TB, file string) []byte {
	t.Helper()
	clang := testkit.Need(t, "clang")
	testkit.Need(t, "wasm-ld")
	out := filepath.Join(t.TempDir(), "out.wasm")
	cmd := exec.CommandContext(t.Context(), clang, "--target=wasm32", "-O2", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-o", out, file)
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, log)
	}
	return read(t, out)
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// extismGuests are one plugin in the languages of Extism's PDKs, unmodified.
var extismGuests = map[string]func(testing.TB) []byte{
	"go":             func(t testing.TB) []byte { return testkit.BuildGuest(t, "testdata/guests/pdkgo") },
	"c":              func(t testing.TB) []byte { return clangModule(t, "testdata/guests/pdkc/main.c") },
	"assemblyscript": func(t testing.TB) []byte { return read(t, "testdata/guests/pdkas/main.wasm") },
}

// extismBundle packs a module with the manifest of pdkgo, changed by pairs of old and new text, and further files.
func extismBundle(t testing.TB, wasm []byte, files map[string][]byte, pairs ...string) *plugins.Bundle {
	t.Helper()
	text := string(read(t, "testdata/guests/pdkgo/plugin.yaml"))
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the manifest has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.yaml"), []byte(text))
	write(t, filepath.Join(dir, "plugin.wasm"), wasm)
	for name, data := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), data)
	}
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// outside is a server of the internet: allowed.example and denied.example, on this machine.
func outside(t *testing.T) (port string) {
	mux := http.NewServeMux()
	mux.HandleFunc("/answer", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Answered", r.Header.Get("X-Asked"))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s", r.Method, body)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost:"+r.URL.Port()+"/answer", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 64<<10)) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestExtismPlugins(t *testing.T) {
	port := outside(t)
	for language, build := range extismGuests {
		t.Run(language, func(t *testing.T) {
			s := open(t, t.TempDir(), func(c *host.Config) { c.PrivateHosts = []string{"127.0.0.1"} })
			s.deploy(extismBundle(t, build(t), nil, "allowed.example", "127.0.0.1", "limits: {", "limits: {result: 32KiB, "))
			call := func(export, input string) (string, error) {
				out, err := s.Call(t.Context(), "", "pdk", export, []byte(input))
				return string(out), err
			}
			want := func(export, input, output string) {
				t.Helper()
				if out, err := call(export, input); out != output || err != nil {
					t.Errorf("%s(%.40q) = %.80q, %v; want %.80q", export, input, out, err, output)
				}
			}
			fails := func(export, input string, errno abi.Errno, code uint32, part string) {
				t.Helper()
				out, err := call(export, input)
				var failure *host.PluginError
				if !errors.As(err, &failure) || failure.Errno != errno || failure.Code != code || !strings.Contains(failure.Text, part) || out != "" {
					t.Errorf("%s(%.40q) = %.40q, %+v; want %s, code %d, %q", export, input, out, failure, errno.Kind(), code, part)
				}
			}
			for _, n := range []int{0, 1, 7, 8, 9, 64, 1000, 65536, 1 << 20} {
				want("echo", strings.Repeat("x", n), strings.Repeat("x", n))
			}
			fails("fail", "zeal", abi.ErrnoInternal, 3, "failed with zeal")
			fails("complain", "", abi.ErrnoInternal, 0, "complaint")
			want("code", "0", "")
			fails("code", "42", abi.ErrnoInternal, 42, "code returned non-zero exit code: 42")
			fails("code", "-1", abi.ErrnoInternal, 1<<32-1, "non-zero exit code: 4294967295")
			if out, err := call("config", "greeting"); err != nil || !strings.Contains(out, "hello") || !strings.Contains(out, "true") {
				t.Errorf("config: %q, %v", out, err)
			}
			if out, err := call("config", "nothing"); err != nil || !strings.Contains(out, "false") {
				t.Errorf("config of an unknown key: %q, %v", out, err)
			}
			want("count", "", "1")
			want("count", "", "2")
			want("forget", "", "")
			want("count", "", "1")
			fails("hoard", "2000", abi.ErrnoLimit, 0, "Variable store is full")
			want("hoard", "500", "")
			want("hoard", "600", "") // in place of the 500
			want("remember", "", "1")
			want("remember", "", "1") // nothing survives in memory

			want("log", "line", map[string]string{"c": "1"}[language])
			if text := s.log.String(); !strings.Contains(text, "debug line") || !strings.Contains(text, "warn line") || strings.Contains(text, "trace line") {
				t.Errorf("the log: %s", text)
			}
			if out, err := call("http", "http://127.0.0.1:"+port+"/answer"); !strings.Contains(out, "POST body") || language == "go" && !strings.HasPrefix(out, "201 yes") {
				t.Errorf("http: %q, %v", out, err)
			}
			fails("http", "http://127.0.0.1:"+port+"/away", abi.ErrnoDenied, 0, "localhost")
			fails("http", "http://localhost:"+port+"/answer", abi.ErrnoDenied, 0, "may not send requests to localhost")
			fails("http", "http://127.0.0.1:"+port+"/large", abi.ErrnoTooLarge, 0, "limits.result")
			fails("http", "ftp://127.0.0.1/", abi.ErrnoInvalid, 0, "neither http nor https")
			fails("trap", "", abi.ErrnoInternal, 0, "trapped")
			fails("params", "", abi.ErrnoNotFound, 0, "unknown function: params")
			fails("missing", "", abi.ErrnoNotFound, 0, "unknown function: missing")
			want("echo", "still there", "still there")
		})
	}
}

func TestExtismPrivateAddress(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(extismBundle(t, extismGuests["assemblyscript"](t), nil, "allowed.example", `"*"`))
	_, err := s.Call(t.Context(), "", "pdk", "http", []byte("http://localhost:"+outside(t)+"/answer"))
	var failure *host.PluginError
	if !errors.As(err, &failure) || failure.Errno != abi.ErrnoDenied || !strings.Contains(failure.Text, "not a public address") {
		t.Errorf("a request inside: %v", err)
	}
}

func TestExtismTimeout(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(extismBundle(t, extismGuests["assemblyscript"](t), nil, "time: 2s", "time: 50ms"))
	_, err := s.Call(t.Context(), "", "pdk", "spin", nil)
	var failure *host.PluginError
	if !errors.As(err, &failure) || failure.Errno != abi.ErrnoTimeout {
		t.Errorf("a loop without end: %v", err)
	}
}

func TestExtismExit(t *testing.T) {
	for _, isolation := range []string{"fresh", "warm", "single"} {
		t.Run(isolation, func(t *testing.T) {
			s := open(t, t.TempDir())
			s.deploy(extismBundle(t, extismGuests["go"](t), nil, "mount: /pdk", "mount: /pdk\nisolation: "+isolation))
			call := func(export, input string) string {
				out, err := s.Call(t.Context(), "", "pdk", export, []byte(input))
				var failure *host.PluginError
				if errors.As(err, &failure) {
					return fmt.Sprint(failure.Code)
				}
				return string(out)
			}
			second := map[string]string{"fresh": "1", "warm": "2", "single": "2"}[isolation]
			for _, step := range [][3]string{
				{"remember", "", "1"},
				{"remember", "", second},
				{"exit", "0", "last words"},
				{"remember", "", "1"}, // who ended itself starts anew
				{"exit", "3", "3"},
				{"echo", "x", "x"},
				{"fill", "100", "aaaabbbb"},
			} {
				if got := call(step[0], step[1]); got != step[2] {
					t.Errorf("%s(%s) = %q, want %q", step[0], step[1], got, step[2])
				}
			}
		})
	}
}

func TestExtismRoutes(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(extismBundle(t, extismGuests["go"](t), nil))
	s.want("POST", "/pdk/echo", "over HTTP", 200, "over HTTP")
	s.has("GET", "/pdk/echo", 405, "")
	s.has("POST", "/pdk/fail", 500, "the plugin failed")
	if text := s.log.String(); !strings.Contains(text, "failed with") {
		t.Error("the log has no error")
	}
	r, err := client.Post(s.url+"/pdk/echo", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if kind := r.Header.Get("Content-Type"); kind != "text/x-echo" {
		t.Errorf("content type %q", kind)
	}
	_, err = s.Deploy(t.Context(), extismBundle(t, extismGuests["go"](t), nil, "export: fail", "export: none"), host.DeployOptions{Approve: true})
	if err == nil || !strings.Contains(err.Error(), "no export none") {
		t.Errorf("a route without export: %v", err)
	}
}

// TestExtismVariables are the deployment's: all instances see them, and a swap keeps them.
func TestExtismVariables(t *testing.T) {
	s := open(t, t.TempDir())
	wasm := extismGuests["assemblyscript"](t)
	s.deploy(extismBundle(t, wasm, nil))
	for _, want := range []string{"1", "2"} {
		if out, err := s.Call(t.Context(), "", "pdk", "count", nil); string(out) != want || err != nil {
			t.Fatalf("count = %q, %v, want %s", out, err, want)
		}
	}
	s.deploy(extismBundle(t, wasm, nil, "version: 1.0.0", "version: 1.0.1"))
	if out, err := s.Call(t.Context(), "", "pdk", "count", nil); string(out) != "3" || err != nil {
		t.Errorf("after a swap: count = %q, %v", out, err)
	}
	if _, err := s.Deploy(t.Context(), extismBundle(t, wasm, nil), host.DeployOptions{Tenant: "other", Approve: true}); err == nil {
		t.Error("two tenants on one mount")
	}
	if _, err := s.Deploy(t.Context(), extismBundle(t, wasm, nil, "mount: /pdk", "mount: /other"), host.DeployOptions{Tenant: "other", Approve: true}); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Call(t.Context(), "other", "pdk", "count", nil); string(out) != "1" || err != nil {
		t.Errorf("another tenant: count = %q, %v", out, err)
	}
}

func TestExtismWild(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(extismBundle(t, extismGuests["c"](t), nil))
	for _, input := range []string{"", "x", "0123456789"} {
		if out, err := s.Call(t.Context(), "", "pdk", "wild", []byte(input)); err != nil || len(out) != 0 {
			t.Errorf("wild(%q) = %q, %v", input, out, err)
		}
	}
	if out, err := s.Call(t.Context(), "", "pdk", "nothing", nil); err != nil || string(out) != "nothing" {
		t.Errorf("an export without a result: %q, %v", out, err)
	}
}

// TestExtismModules links a second module, in C, of which each call has a copy of its own.
func TestExtismModules(t *testing.T) {
	s := open(t, t.TempDir())
	main, lib := clangModule(t, "testdata/guests/pdkc/linked.c"), clangModule(t, "testdata/guests/pdkc/lib.c")
	manifest := []string{"extism:\n", "extism:\n  modules: [{name: lib, wasm: lib.wasm}]\n", "{path: /echo, method: POST, export: echo, type: text/x-echo}", "{path: /run, export: run}", "    - {path: /fail, export: fail}\n", ""}
	s.deploy(extismBundle(t, main, map[string][]byte{"lib.wasm": lib}, manifest...))
	for range 2 {
		s.want("POST", "/pdk/run", "abc", 200, "ABC1")
	}
	b := extismBundle(t, main, map[string][]byte{"lib.wasm": lib}, manifest...)
	again, err := plugins.Open(bytes.Clone(b.Bytes()))
	if err != nil || len(again.Modules()) != 1 || !bytes.Equal(again.Modules()[0].Wasm, lib) {
		t.Errorf("the bundle's modules: %v, %v", again, err)
	}
}

// TestExtismFiles reads a folder of the bundle, and nothing else.
func TestExtismFiles(t *testing.T) {
	s := open(t, t.TempDir())
	files := map[string][]byte{"texts/a.txt": []byte("text"), "texts/sub/b.txt": []byte("below"), "hidden/c.txt": nil}
	s.deploy(extismBundle(t, extismGuests["go"](t), files, "extism:\n", "extism:\n  files: {/data/in: texts}\n"))
	call := func(export, input string) (string, error) {
		out, err := s.Call(t.Context(), "", "pdk", export, []byte(input))
		return string(out), err
	}
	for range 2 {
		for name, want := range map[string]string{"/data/in/a.txt": "text false", "/data/in/sub/b.txt": "below false", "/data/in": "a.txt sub "} {
			if out, err := call("file", name); out != want || err != nil {
				t.Errorf("%s: %q, %v; want %q", name, out, err, want)
			}
		}
		for _, name := range []string{"/", "/etc/passwd", "/data/in/../../plugin.yaml", "/data/in/../hidden/c.txt", "/data/in/none", "/hidden/c.txt", "plugin.wasm"} {
			if out, err := call("file", name); err == nil {
				t.Errorf("%s: %q", name, out)
			}
		}
		if out, err := call("leak", "/data/in/a.txt"); err != nil || len(out) != 3 {
			t.Errorf("%s files are open at once, %v", out, err)
		}
	}
}

// TestExtismData reaches the database by extism:host/user, as far as it was granted.
func TestExtismData(t *testing.T) {
	s := open(t, t.TempDir())
	main := clangModule(t, "testdata/guests/pdkc/data.c")
	manifest := []string{"{path: /echo, method: POST, export: echo, type: text/x-echo}", "{path: /query, export: query}", "    - {path: /fail, export: fail}\n", ""}
	_, err := s.Deploy(t.Context(), extismBundle(t, main, nil, manifest...), host.DeployOptions{Approve: true})
	if err == nil || !strings.Contains(err.Error(), "db: {tables") {
		t.Errorf("a module that was not granted: %v", err)
	}
	schema := map[string][]byte{"schema/posts.yaml": []byte("columns:\n  id: {type: integer, primary: true}\n  title: {type: string, length: 100}\nseedKey: id\nseed:\n  - {id: 1, title: seeded}\n")}
	s.deploy(extismBundle(t, main, schema, append(manifest, "  http: {", "  db: {tables: {posts: [select]}}\n  http: {")...))
	query := func(table string) []byte {
		return encoded(t, &abi.Query{Verb: abi.VerbSelect, Table: table})
	}
	if out, err := s.Call(t.Context(), "", "pdk", "query", query("secrets")); err != nil || !strings.HasPrefix(string(out), fmt.Sprint(int(abi.ErrnoDenied))+" ") {
		t.Errorf("a table that was not granted: %q, %v", out, err)
	}
	if out, err := s.Call(t.Context(), "", "pdk", "query", query("posts")); err != nil || !strings.HasPrefix(string(out), "0 ") || !strings.Contains(string(out), "seeded") {
		t.Errorf("a row: %q, %v", out, err)
	}
}
