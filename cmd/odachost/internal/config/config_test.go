package config_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// load reads a configuration from a file's text (none if empty), variables and flags.
func load(t testing.TB, text string, environ, args []string) (*config.Loaded, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if text != "" {
		if err := os.WriteFile(config.DefaultFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Load(environ, flags)
}

func TestLayers(t *testing.T) {
	const file = "listen: :1\nhttp:\n  read_timeout: 1s\n  max_conns: 10\nlog:\n  # level: debug\n"
	l, err := load(t, file, []string{"ODAC_HTTP_READ_TIMEOUT=2s", "ODAC_HTTP_MAX_CONNS=20", "HOME=/x", "ODACX=1"}, []string{"--http.max_conns", "30"})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{l.HTTP.HeaderTimeout, l.Listen, l.HTTP.ReadTimeout, l.HTTP.MaxConns, l.Log.Level}
	if want := []any{5 * time.Second, ":1", 2 * time.Second, 30, "info"}; !cmp.Equal(got, want) {
		t.Errorf("values = %v, want %v", got, want)
	}
	for path, want := range map[string]string{
		"http.header_timeout": config.FromDefault, "listen": "odachost.yaml:1", "http.read_timeout": "ODAC_HTTP_READ_TIMEOUT", "http.max_conns": "--http.max_conns",
	} {
		if got := l.From(path); got != want {
			t.Errorf("%s is from %q, want %q", path, got, want)
		}
	}
}

func TestNamedKeys(t *testing.T) {
	const file = `
database:
  default: {type: sqlite, filename: a.db, connectionLimit: 4, busyTimeout: 2s}
  analytics: {url: "sqlite:b.db"}
plugins:
  board: {title: one, rate: 1.10, since: 2024-01-01, on: yes, a.b: dotted}
`
	l, err := load(t, file, []string{
		"ODAC_DATABASE_DEFAULT_CONNECTION_LIMIT=8", "ODAC_DATABASE_ANALYTICS_URL=sqlite:c.db", "ODAC_DATABASE_MY__OWN_BUSY_TIMEOUT=1s",
		"ODAC_PLUGINS_BOARD_TITLE=two", "ODAC_PLUGINS_MY__BLOG_KEEP_DAYS=3", "ODAC_PLUGINS_MY__BLOG_API__KEY=s3cret",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantDB := map[string]config.Database{
		"default":   {Type: "sqlite", Filename: "a.db", ConnectionLimit: 8, BusyTimeout: 2 * time.Second},
		"analytics": {URL: "sqlite:c.db"},
		"my-own":    {BusyTimeout: time.Second},
	}
	if diff := cmp.Diff(wantDB, l.Database); diff != "" {
		t.Errorf("database (-want +got):\n%s", diff)
	}
	wantPlugins := map[string]map[string]string{
		"board":   {"title": "two", "rate": "1.10", "since": "2024-01-01", "on": "yes", "a.b": "dotted"},
		"my-blog": {"keep_days": "3", "api-key": "s3cret"},
	}
	if diff := cmp.Diff(wantPlugins, l.Plugins); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
	h, err := l.Host()
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Databases["default"].ConnectionLimit; got != 8 {
		t.Errorf("the host's connection limit is %d, want 8", got)
	}
	for _, v := range l.Effective() {
		if strings.Contains(v.Text, "s3cret") || strings.Contains(v.Text, "c.db") {
			t.Errorf("%s shows %q", v.Path, v.Text)
		}
	}
}

func TestHost(t *testing.T) {
	l, err := load(t, "", []string{"ODAC_CODE_DIR=/code", "ODAC_HTTP_TRUSTED_PROXIES=10.0.0.1, 192.168.0.7/16", "ODAC_LIMITS_MAX_MEMORY=1GiB", "ODAC_SOCKETS_MAX=7"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.Host()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(h.CacheDir, h.HTTP.TrustedProxies, h.MaxLimits.MemoryBytes, h.Sockets.MaxConns, h.HTTP.DrainTime, h.Cache.MaxBytes)
	if want := "/code [10.0.0.1/32 192.168.0.0/16] 1073741824 7 10s 67108864\n"; got != want {
		t.Errorf("host = %s, want %s", got, want)
	}
}

// TestErrors writes down what an operator reads after a mistake.
func TestErrors(t *testing.T) {
	tests := []struct {
		name, file string
		environ    []string
		args       []string
		afterwards bool // found by Host, not by Load
	}{
		{name: "unknown keys in the file", file: "listen: :1\nhttp:\n  read_timout: 5s\nfoo: 1\ndatabase:\n  default:\n    usr: me\n"},
		{name: "unknown variables", environ: []string{"ODAC_LISTENN=x", "ODAC_HTTP_READ_TIMOUT=5s", "ODAC_DATABASE_DEFAULT_USR=me", "ODAC_XYZZY=1", "ODAC_PLUGINS_BOARD=1"}},
		{name: "bad values in the file", file: "http:\n  read_timeout: 5\n  max_header: 64K\n  max_conns: -1\n  trusted_proxies: [10.0.0.0/8, proxy]\nlog: {level: loud, format: xml}\n"},
		{name: "a bad value in a variable", environ: []string{"ODAC_BUFFER_MAX_LOG=1MiB"}},
		{name: "a bad value in a flag", args: []string{"--http.idle_timeout", "soon", "--listen", "8080"}},
		{name: "not YAML", file: "listen: :1\nhttp: [\n"},
		{name: "a tab", file: "http:\n\tread_timeout: 5s\n"},
		{name: "a list at the top", file: "- listen\n"},
		{name: "a key twice", file: "listen: :1\nlisten: :2\n"},
		{name: "a section that is none, a value that is one", file: "http: 5s\nlisten: {port: 1}\n"},
		{name: "a list for one value, nothing for one", file: "listen: [a, b]\ndata:\n"},
		{name: "aliases", file: "data: &a x\ncode_dir: *a\nlog:\n  <<: {level: info}\n"},
		{name: "a named file that is missing", args: []string{"--config", "nowhere.yaml"}},
		{name: "a named file that is missing, by variable", environ: []string{"ODAC_CONFIG=nowhere.yaml"}},
		{name: "databases", file: "database:\n  a: {type: postgres}\n  b: {type: oracle}\n  c: {url: 'postgres://u:p@h/d'}\n  d: {url: 'secret'}\n"},
		{name: "half of TLS", environ: []string{"ODAC_TLS_CERT=x.pem"}, afterwards: true},
	}
	var out strings.Builder
	for _, tt := range tests {
		l, err := load(t, tt.file, tt.environ, tt.args)
		if tt.afterwards && err == nil {
			_, err = l.Host()
		}
		if err == nil {
			t.Errorf("%s: no error", tt.name)
		}
		fmt.Fprintf(&out, "=== %s\n%v\n\n", tt.name, err)
	}
	t.Chdir(source)
	testkit.Golden(t, "errors.txt", []byte(out.String()))
}

var source = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

func TestEmptySections(t *testing.T) {
	for _, file := range []string{"\n", "# nothing\n", "log:\n", "http: {}\n", "database:\n  default:\n", "---\n", "plugins:\n  board:\n"} {
		if _, err := load(t, file, nil, nil); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	seen := map[string]string{}
	for _, k := range config.Keys() {
		if k.Doc == "" {
			t.Errorf("%s: no doc", k.Path)
		}
		if other, twice := seen[k.Env()]; twice {
			t.Errorf("%s and %s are both %s", k.Path, other, k.Env())
		}
		seen[k.Env()] = k.Path
		if k.Named() {
			continue
		}
		if k.Default != "" {
			if _, err := load(t, "", []string{k.Env() + "=" + k.Default}, nil); err != nil {
				t.Errorf("the default of %s: %v", k.Path, err)
			}
		}
	}
}

// TestReference compares docs/config.md with what the keys say; go generate, or go test -update, writes it.
func TestReference(t *testing.T) {
	file := filepath.Join("..", "..", "..", "..", "docs", "config.md")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(config.Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), config.Reference()); diff != "" {
		t.Errorf("docs/config.md is out of date: go generate ./cmd/odachost/internal/config\n%s", diff)
	}
}

// FuzzEnv: whatever is in the environment gives a configuration or an error that names the variable; a name and a key go to
// the place that they spell.
func FuzzEnv(f *testing.F) {
	f.Add("LISTEN", ":1", "my-blog", "api-key")
	f.Add("DATABASE_A_URL", "sqlite:x", "a", "b_c")
	f.Add("PLUGINS___X_", "", "a-1-b", "k")
	f.Add("HTTP_", "5s", "x", "y")
	f.Add("DATABASE__", "\x00", "x", "connectionLimit")
	f.Fuzz(func(t *testing.T, rest, value, name, key string) {
		variable := "ODAC_" + rest
		if _, err := config.Load([]string{variable + "=" + value}, nil); err != nil && rest != "CONFIG" {
			cut, _, _ := strings.Cut(variable, "=")
			if !strings.Contains(err.Error(), cut) {
				t.Errorf("%q: the error does not name it: %v", variable, err)
			}
		}
		if !simple(name) || !simple(key) {
			return
		}
		up := func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "__")) }
		l, err := config.Load([]string{"ODAC_PLUGINS_" + up(name) + "_" + up(key) + "=v", "ODAC_DATABASE_" + up(name) + "_FILENAME=f"}, nil)
		if err != nil {
			t.Fatalf("%s %s: %v", name, key, err)
		}
		if l.Plugins[name][key] != "v" || l.Database[name].Filename != "f" {
			t.Errorf("%s %s became %v and %v", name, key, l.Plugins, l.Database)
		}
	})
}

// simple is for words of lower-case letters and digits with single dashes between them.
func simple(s string) bool {
	for part := range strings.SplitSeq(s, "-") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	return true
}
