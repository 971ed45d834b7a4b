package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/odac-run/odachost/internal/testkit"
)

func parse(t testing.TB, text string) *Manifest {
	t.Helper()
	m, err := ParseManifest(ManifestName, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseManifest(t *testing.T) {
	got := parse(t, blogYAML)
	want := &Manifest{
		Name: "blog", Version: "1.4.0-rc.1+build.5", Description: "Posts & comments",
		Mount: Mount{Path: "/blog", Hosts: []string{"*.blog.example.org", "blog.example.org"}},
		Wasm:  "build/blog.wasm", Build: []string{"make", "my target"},
		Capabilities: Capabilities{
			DB:     &DB{Tables: map[string]Table{"posts": {Verbs: []Verb{Select, Insert, Update, Delete}}, "authors": {Verbs: []Verb{Select}}}, Raw: true},
			Cache:  &Cache{},
			Buffer: &Buffer{Tables: []string{"posts"}},
			WS:     &WS{Origins: []string{"app.example.org"}},
			HTTP:   &HTTP{Hosts: []string{"*.example.org", "127.0.0.1", "api.example.com"}},
		},
		Limits:    Limits{Time: 500 * time.Millisecond, MemoryBytes: 32 << 20, MaxInstances: 4},
		Isolation: IsolationWarm,
		Config:    map[string]string{"title": "My blog", "per_page": "020", "debug": "true"}, Required: []string{"api_token"},
		Schema: "db/schema", Migrations: "db/migration", Assets: "web/assets",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Manifest{})); diff != "" {
		t.Error(diff)
	}
}

func TestParseManifestDefaults(t *testing.T) {
	got := parse(t, "name: a\nversion: 0.1.0\n")
	want := &Manifest{
		Name: "a", Version: "0.1.0", Mount: Mount{Path: "/"}, Wasm: "plugin.wasm", Isolation: IsolationFresh,
		Config: map[string]string{}, Schema: "schema", Migrations: "migration", Assets: "assets",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Manifest{})); diff != "" {
		t.Error(diff)
	}
	argv, env := got.BuildCommand()
	if line := strings.Join(append(env, argv...), " "); line != "GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -buildmode=c-shared -o plugin.wasm ." {
		t.Errorf("build command: %s", line)
	}
}

// wheres is a table with each policy.
func wheres(policies ...string) string {
	var b strings.Builder
	for i, p := range policies {
		fmt.Fprintf(&b, "      t%02d: {select: true, where: %q}\n", i, p)
	}
	return b.String()
}

// TestManifestErrors compares each message letter by letter: it is what an author reads.
func TestManifestErrors(t *testing.T) {
	const head = "name: blog\nversion: 1.0.0\n"
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"only a comment", "# nothing\n"},
		{"a list", "- name\n"},
		{"a text", "blog\n"},
		{"nothing required", "description: hello\n"},
		{"unclosed bracket", head + "mount: [a\nwasm: b\n"},
		{"unclosed quote", head + "description: \"a\nwasm: b\n"},
		{"bad indentation", head + "limits:\n  time: 1s\n memory: 3\n"},
		{"tab", head + "limits:\n\ttime: 1s\n"},
		{"duplicate key", head + "name: other\n"},
		{"two documents", head + "---\nname: other\n"},
		{"anchor", "name: &n blog\nversion: 1.0.0\n"},
		{"alias", head + "capabilities:\n  http: {hosts: [*.example.org]}\n"},
		{"tag", "name: !!str blog\nversion: 1.0.0\n"},
		{"merge", head + "<<: {wasm: x}\n"},
		{"complex key", head + "? [a]\n: b\n"},
		{"control character", head + "description: a\x01b\n"},
		{"not UTF-8", head + "description: \xff\n"},
		{"too large", head + "# " + strings.Repeat("x", maxManifestBytes)},
		{"too deep", head + strings.Repeat("[", maxCollections+1)},
		{"too many items", head + strings.Repeat("- ", maxCollections+1)},
		{"unknown key", head + "wsam: x.wasm\n"},
		{"unknown key far from all", head + "zzzzzz: 1\n"},
		{"unknown nested keys", head + "limits:\n  tme: 1s\n  memmory: 1MiB\ncapabilities:\n  dbs: {}\n  db: {table: {}}\n"},
		{"name", "name: My Blog\nversion: 1.0.0\n"},
		{"name with dash last", "name: blog-\nversion: 1.0.0\n"},
		{"name too long", "name: " + strings.Repeat("b", 64) + "\nversion: 1.0.0\n"},
		{"name without value", "name:\nversion: 1.0.0\n"},
		{"name as list", "name: [a]\nversion: 1.0.0\n"},
		{"version", "name: blog\nversion: v1.0.0\n"},
		{"version with two numbers", "name: blog\nversion: 1.0\n"},
		{"description", head + "description: |\n  a\n  b\n"},
		{"mount relative", head + "mount: blog\n"},
		{"mount slash", head + "mount: /blog/\n"},
		{"mount dots", head + "mount: /a/../b\n"},
		{"mount query", head + "mount: /a?b\n"},
		{"mount key", head + "mount: {pth: /a}\n"},
		{"mount hosts", head + "mount: {hosts: [\"http://a.example\", A.example, a.example:80, \"*\", a..b, b.example, b.example, \"x*.a\"]}\n"},
		{"mount list", head + "mount: [/a]\n"},
		{"wasm absolute", head + "wasm: /tmp/x.wasm\n"},
		{"wasm up", head + "wasm: ../x.wasm\n"},
		{"wasm backslash", head + "wasm: 'build\\x.wasm'\n"},
		{"wasm drive", head + "wasm: 'c:x.wasm'\n"},
		{"build", head + "build: \"make 'a\"\n"},
		{"build empty", head + "build: []\n"},
		{"build blank", head + "build: ' '\n"},
		{"capabilities text", head + "capabilities: all\n"},
		{"db true", head + "capabilities: {db: true}\n"},
		{"db empty", head + "capabilities: {db: {}}\n"},
		{"db channels", head + "capabilities:\n  db:\n    channels:\n      orders: [lisen, notify]\n      1x: [listen]\n      other: []\n      more: yes\n"},
		{"db verbs", head + "capabilities:\n  db:\n    tables:\n      posts: [slect, insert, insert]\n      users: select\n      logs: []\n      tags:\n"},
		{"db names", head + "capabilities: {db: {tables: {odac_ledger: [select], _odac_trash: [select], sqlite_master: [select], \"a b\": [select], 1a: [select], Posts: [select], posts: [select]}}}\n"},
		{"db raw", head + "capabilities: {db: {tables: {a: [select]}, raw: yes}}\n"},
		{"db columns", head + "capabilities:\n  db:\n    tables:\n      a: {select: id, insert: [], delete: [id]}\n      b: {slect: true}\n      c: {}\n      d: {where: a = 1}\n      e: {select: [a b, id, id]}\n      f: {select: false}\n"},
		{"db where", head + "capabilities:\n  db:\n    tables:\n" + wheres("owner", "owner = other", "owner = null", "name < 'a'", "owner = $user", "a = 1 b = 2", "(a = 1", "a = 1)", "a = 'x", "a in ()", "a in (1, )")},
		{"db where again", head + "capabilities:\n  db:\n    tables:\n" + wheres("a = 1.5", "1 = 1", "a = 1; drop table x", "a like 'x'", "a not = 1", "a is 1", "not a = 1", "a = lower(b)", "select = 1", "a between 1 and 2", "", "a = $config.region", strings.Repeat("(", 9)+"a = 1"+strings.Repeat(")", 9))},
		{"cache alone", head + "capabilities: {cache: true}\n"},
		{"cache size", head + "capabilities:\n  db: {tables: {a: [select]}}\n  cache: 5MiB\n"},
		{"buffer alone", head + "capabilities: {buffer: true}\n"},
		{"buffer table", head + "capabilities:\n  db: {tables: {a: [select], b: [insert]}}\n  buffer: {tables: [a, b, c]}\n"},
		{"buffer text", head + "capabilities: {buffer: all}\n"},
		{"ws list", head + "capabilities: {ws: [a]}\n"},
		{"http true", head + "capabilities: {http: true}\n"},
		{"http empty", head + "capabilities: {http: {}}\n"},
		{"http hosts", head + "capabilities:\n  http:\n    hosts:\n      - https://api.example.com/v1\n      - api.example.com:8443\n      - 127.1\n      - \"*.0.0.1\"\n      - 0:0:0:0:0:0:0:1\n      - \"::ffff:127.0.0.1\"\n      - api.example.com/v1\n      - [a]\n"},
		{"limits", head + "limits:\n  time: 500\n  memory: 64M\n  instances: many\n  rows: 0\n  queue: -1s\n  body: 99999999999999999999\n  sockets:\n"},
		{"isolation", head + "isolation: freshh\n"},
		{"single with instances", head + "isolation: single\nlimits: {instances: 2}\n"},
		{"config", head + "config:\n  a b: 1\n  list: [1]\n  map: {a: 1}\n"},
		{"config list", head + "config: [a]\n"},
		{"assets", head + "assets: .\n"},
	}
	var b bytes.Buffer
	for _, test := range tests {
		_, err := ParseManifest(ManifestName, []byte(test.text))
		var manifest *ManifestError
		if !errors.As(err, &manifest) {
			t.Errorf("%s: error %v, want a *ManifestError", test.name, err)
			continue
		}
		text := test.text
		if len(text) > 800 {
			text = text[:40] + "...\n"
		}
		fmt.Fprintf(&b, "=== %s\n%s--- \n%v\n\n", test.name, text, err)
	}
	testkit.Golden(t, "manifest_errors.txt", b.Bytes())
}

func TestManifestErrorsEnd(t *testing.T) {
	var b strings.Builder
	for i := range 10 * maxProblems {
		fmt.Fprintf(&b, "zz%d: 1\n", i)
	}
	_, err := ParseManifest(ManifestName, []byte(b.String()))
	var manifest *ManifestError
	if !errors.As(err, &manifest) || len(manifest.Problems) != maxProblems || !strings.Contains(err.Error(), "has 20 problems or more\n") {
		t.Errorf("error %v", err)
	}
}

func TestReadManifestMissing(t *testing.T) {
	_, err := ReadManifest(t.TempDir())
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "odachost new") {
		t.Errorf("error %v", err)
	}
}

func TestConfigure(t *testing.T) {
	m := parse(t, blogYAML)
	config, err := m.Configure(map[string]string{"api_token": "s3cret", "title": "Yours"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"api_token": "s3cret", "title": "Yours", "per_page": "020", "debug": "true"}, config); diff != "" {
		t.Error(diff)
	}
	if m.Config["title"] != "My blog" {
		t.Error("the manifest changed")
	}
	if got := HideSecrets(config); got["api_token"] != HiddenValue || got["title"] != "Yours" || config["api_token"] != "s3cret" {
		t.Errorf("hidden: %v, original %v", got, config)
	}
	for want, operator := range map[string]map[string]string{
		"plugins: configuration of blog: no value for api_token: set it for this plugin in the host's configuration": nil,
		`plugins: configuration of blog: unknown key titel; did you mean "title"?`:                                   {"titel": "x", "api_token": "x"},
	} {
		if _, err := m.Configure(operator); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestIsSecret(t *testing.T) {
	for key, want := range map[string]bool{
		"secret": true, "DB_PASSWORD": true, "api.token": true, "stripe-key": true, "title": false, "tokens": false, "key_id": false,
	} {
		if IsSecret(key) != want {
			t.Errorf("IsSecret(%q) = %v", key, !want)
		}
	}
}

func TestResolveLimits(t *testing.T) {
	got, err := Limits{Time: 2 * time.Second}.Resolve(Limits{MaxRows: 5, MemoryBytes: 1 << 30}, Limits{MemoryBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultLimits()
	want.Time, want.MaxRows, want.MemoryBytes = 2*time.Second, 5, 8<<20
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, c := range []struct{ set, def, most, want int64 }{{}, {most: 7, want: 7}, {def: 5, most: 7, want: 5}, {set: 3, def: 5, want: 3}} {
		got, err := Limits{MaxFuel: c.set}.Resolve(Limits{MaxFuel: c.def}, Limits{MaxFuel: c.most})
		if err != nil || got.MaxFuel != c.want {
			t.Errorf("fuel of %+v: %d, %v", c, got.MaxFuel, err)
		}
	}
	_, err = Limits{MemoryBytes: 2 << 30}.Resolve(Limits{}, Limits{})
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Key != "memory" || limit.Want != "2GiB" || limit.Max != "1GiB" {
		t.Errorf("error %v", err)
	}
}

// TestLimitsDocumented holds the doc comments of Limits against the table.
func TestLimitsDocumented(t *testing.T) {
	source, err := os.ReadFile("limits.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range limitFields {
		text := fmt.Sprintf("Key %s, default %s, at most %s.", f.key, f.format(f.def), f.format(f.max))
		if !bytes.Contains(source, []byte(text)) {
			t.Errorf("limits.go does not say %q", text)
		}
		if f.def <= 0 && f.key != "fuel" || f.max < f.def {
			t.Errorf("%s: default %d, maximum %d", f.key, f.def, f.max)
		}
	}
	seen := map[*int64]bool{}
	var l Limits
	for _, f := range limitFields {
		if seen[f.of(&l)] {
			t.Errorf("%s: another key has the same field", f.key)
		}
		seen[f.of(&l)] = true
	}
}

func TestManifestSchema(t *testing.T) {
	schema := ManifestSchema()
	if !json.Valid(schema) {
		t.Fatal("not JSON")
	}
	testkit.Golden(t, "../plugin.schema.json", schema)
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(blogYAML))
	f.Add([]byte("name: a\nversion: 1.0.0\n"))
	f.Add([]byte("a: &x [*x]\n<<: !!binary |\n  aGk=\n? b\n: c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(ManifestName, data)
		if err != nil {
			var manifest *ManifestError
			if !errors.As(err, &manifest) || len(manifest.Problems) == 0 || m != nil {
				t.Fatalf("error %v with manifest %v", err, m)
			}
			return
		}
		if checkName(m.Name) != nil || checkVersion(m.Version) != nil || checkMountPath(m.Mount.Path) != nil || checkPath(m.Wasm) != nil {
			t.Fatalf("accepted %+v", m)
		}
		m.Grants()
	})
}
