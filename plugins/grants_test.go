package plugins

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

func TestGrantsTable(t *testing.T) {
	g := parse(t, blogYAML).Grants()
	for _, test := range []struct {
		table string
		verb  Verb
		want  string
	}{
		{"posts", Select, ""},
		{"posts", Delete, ""},
		{"authors", Select, ""},
		{"authors", Insert, "plugins: blog may not insert into table authors: add to its plugin.yaml, below capabilities, db: {tables: {authors: [insert]}}"},
		{"users", Select, "plugins: blog may not select from table users: add to its plugin.yaml, below capabilities, db: {tables: {users: [select]}}"},
		{"POSTS", Select, "plugins: blog may not select from table POSTS: add to its plugin.yaml, below capabilities, db: {tables: {POSTS: [select]}}"},
		{"posts", "drop", `plugins: "drop" is none of select, insert, update, delete`},
		{"", "", `plugins: "" is none of select, insert, update, delete`},
	} {
		err := g.Table(test.table, test.verb)
		if got := text(err); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.verb, test.table, got, test.want)
		}
		if known := slices.Contains(verbs, test.verb); errors.Is(err, ErrNotGranted) != (err != nil && known) {
			t.Errorf("%s %s: ErrNotGranted is %v", test.verb, test.table, errors.Is(err, ErrNotGranted))
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestGrantsHost(t *testing.T) {
	g := parse(t, blogYAML).Grants()
	for name, want := range map[string]bool{
		"api.example.com": true, "API.example.com": true, "api.example.com.": true, "a.example.org": true, "a.b.example.org": true,
		"127.0.0.1": true, "::ffff:127.0.0.1": true,
		"example.org": false, ".example.org": false, "evilexample.org": false, "example.com": false, "a.api.example.com": false,
		"example.org.evil.net": false, "127.0.0.2": false, "::1": false, "": false, ".": false, "*": false, "*.example.org.": true,
	} {
		if err := g.Host(name); (err == nil) != want {
			t.Errorf("Host(%q) = %v, want %v", name, err, want)
		}
	}
	if got := text(g.Host("evil.net")); got != "plugins: blog may not send requests to evil.net: add to its plugin.yaml, below capabilities, http: {hosts: [evil.net]}" {
		t.Error(got)
	}
	all := parse(t, "name: a\nversion: 1.0.0\ncapabilities: {http: {hosts: [\"*\", \"::1\"]}}").Grants()
	if all.Host("anything.net") != nil || all.HostListed("anything.net") || !all.HostListed("[::1]") || !all.HostListed("0:0::1") {
		t.Error("a * allows every host and lists none")
	}
}

func TestGrantsRest(t *testing.T) {
	blog := parse(t, blogYAML).Grants()
	bare := parse(t, "name: bare\nversion: 1.0.0\n").Grants()
	if got := blog.Modules(); !slices.Equal(got, []string{abi.ModuleCore, abi.ModuleDB, abi.ModuleCache, abi.ModuleBuffer, abi.ModuleWS, abi.ModuleHTTP}) {
		t.Errorf("modules %v", got)
	}
	if got := bare.Modules(); !slices.Equal(got, []string{abi.ModuleCore}) {
		t.Errorf("modules %v", got)
	}
	for _, m := range modules {
		if blog.Module(m.module) != nil || !blog.Capability(m.capability) {
			t.Errorf("%s is not granted", m.capability)
		}
		if err := bare.Module(m.module); !errors.Is(err, ErrNotGranted) || !strings.Contains(err.Error(), "below capabilities, "+m.capability+": ") || bare.Capability(m.capability) {
			t.Errorf("%s: %v", m.capability, err)
		}
	}
	if bare.Module(abi.ModuleCore) != nil || blog.Module("odac:db/v9") == nil || blog.Capability("gpu") {
		t.Error("core is always linked, what is unknown never")
	}
	if blog.Raw() != nil || !errors.Is(bare.Raw(), ErrNotGranted) {
		t.Error("raw")
	}
	if blog.Buffer("posts", Update) != nil || !errors.Is(blog.Buffer("authors", Select), ErrNotGranted) || !errors.Is(bare.Buffer("posts", Insert), ErrNotGranted) {
		t.Error("buffer")
	}
	every := parse(t, "name: a\nversion: 1.0.0\ncapabilities: {db: {tables: {a: [insert], b: [select]}}, buffer: true}").Grants()
	if every.Buffer("a", Insert) != nil || !errors.Is(every.Buffer("b", Insert), ErrNotGranted) {
		t.Error("buffer: true")
	}
	if blog.Origin("app.example.org") != nil || !errors.Is(blog.Origin("other.example.org"), ErrNotGranted) || !errors.Is(bare.Origin("app.example.org"), ErrNotGranted) {
		t.Error("origin")
	}
}

func TestGrantsTakeNoMemory(t *testing.T) {
	g := parse(t, blogYAML).Grants()
	if n := testing.AllocsPerRun(100, func() {
		if g.Table("posts", Insert) != nil || g.Host("a.b.example.org") != nil || !g.Capability("db") || g.Buffer("posts", Insert) != nil || g.Module(abi.ModuleDB) != nil {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDiffGrants(t *testing.T) {
	const head = "name: a\nversion: 1.0.0\ncapabilities:\n"
	const db = "  db: {tables: {posts: [select, insert]}}\n"
	const limited = head + "  db: {tables: {posts: {select: [id, title], update: [title], where: owner = $tenant}}}\n"
	for _, test := range []struct {
		name, from, to string
		want           []string
	}{
		{"nothing to everything", "", blogYAML, []string{
			"+ db authors: select", "+ db posts: select", "+ db posts: insert", "+ db posts: update", "+ db posts: delete", "+ db raw", "+ cache",
			"+ buffer posts", "+ ws", "+ ws origin app.example.org", "+ http *.example.org", "+ http 127.0.0.1", "+ http api.example.com",
		}},
		{"same", blogYAML, blogYAML, nil},
		{"a verb more and one less", head + db, head + "  db: {tables: {posts: [select, update]}}\n", []string{"+ db posts: update", "- db posts: insert"}},
		{"a table", head + db, head + "  db: {tables: {posts: [select, insert], tags: [select]}}\n", []string{"+ db tags: select"}},
		{"raw", head + db, head + "  db: {tables: {posts: [select, insert]}, raw: true}\n", []string{"+ db raw"}},
		{"columns for all", head + db, head + "  db: {tables: {posts: {select: [id, title], insert: true}}}\n", []string{"- db posts: select"}},
		{"a column more", limited, head + "  db: {tables: {posts: {select: [id, secret, title], update: [title], where: owner = $tenant}}}\n", []string{"+ db posts: select secret where owner = $tenant"}},
		{"a column less", limited, head + "  db: {tables: {posts: {select: [id], update: [title], where: owner = $tenant}}}\n", []string{"- db posts: select title where owner = $tenant"}},
		{"every column", limited, head + "  db: {tables: {posts: {select: true, update: [title], where: owner = $tenant}}}\n", []string{"+ db posts: select where owner = $tenant"}},
		{"no policy", limited, head + "  db: {tables: {posts: {select: [id, title], update: [title]}}}\n", []string{"+ db posts: select id, title", "+ db posts: update title"}},
		{"another policy", limited, head + "  db: {tables: {posts: {select: [id, title], where: owner <> $tenant}}}\n", []string{"+ db posts: select id, title where owner <> $tenant", "- db posts: select id, title where owner = $tenant", "- db posts: update title where owner = $tenant"}},
		{"a looser policy", limited, head + "  db: {tables: {posts: {select: [id, title], where: owner = $tenant or live = true}}}\n", []string{"+ db posts: select id, title where owner = $tenant or live = true", "- db posts: select id, title where owner = $tenant", "- db posts: update title where owner = $tenant"}},
		{"a tighter policy", limited, head + "  db: {tables: {posts: {select: [id, title], update: [title], where: live = true and OWNER = $tenant and owner = $tenant}}}\n", []string{"- db posts: select id, title where owner = $tenant", "- db posts: update title where owner = $tenant"}},
		{"the same policy in other words", limited, head + "  db: {tables: {posts: {select: [title, id], update: [title], where: ((owner=$tenant))}}}\n", nil},
		{"conditions", head + "  db: {tables: {posts: {delete: true, insert: [a]}}}\n", head + "  db: {tables: {posts: [delete]}}\n", []string{"+ db posts: conditions on every column", "- db posts: insert a"}},
		{"one of a domain", head + "  http: {hosts: [\"*.example.org\"]}\n", head + "  http: {hosts: [a.example.org, \"*.b.example.org\"]}\n", []string{"- http *.example.org"}},
		{"a whole domain", head + "  http: {hosts: [a.example.org]}\n", head + "  http: {hosts: [\"*.example.org\"]}\n", []string{"+ http *.example.org"}},
		{"the domain's own name", head + "  http: {hosts: [\"*.example.org\"]}\n", head + "  http: {hosts: [example.org, \"*.example.org\"]}\n", []string{"+ http example.org"}},
		{"every host", head + "  http: {hosts: [\"*.example.org\"]}\n", head + "  http: {hosts: [\"*\"]}\n", []string{"+ http *"}},
		{"every host less", head + "  http: {hosts: [\"*\"]}\n", head + "  http: {hosts: [\"*.example.org\"]}\n", []string{"- http *"}},
		{"buffer for all", head + db + "  buffer: {tables: [posts]}\n", head + db + "  buffer: true\n", []string{"+ buffer"}},
		{"buffer for one", head + db + "  buffer: true\n", head + db + "  buffer: {tables: [posts]}\n", []string{"- buffer"}},
		{"origins", head + "  ws: true\n", head + "  ws: {origins: [\"*\"]}\n", []string{"+ ws origin *"}},
		{"an origin of all", head + "  ws: {origins: [\"*\"]}\n", head + "  ws: {origins: [a.example.org]}\n", []string{"- ws origin *"}},
	} {
		var from *Manifest
		if test.from != "" {
			from = parse(t, test.from)
		}
		var got []string
		for _, c := range DiffGrants(from, parse(t, test.to)) {
			got = append(got, c.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func BenchmarkGrantsTable(b *testing.B) {
	g := parse(b, blogYAML).Grants()
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Table("posts", Insert); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGrantsHost(b *testing.B) {
	g := parse(b, blogYAML).Grants()
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Host("a.b.example.org"); err != nil {
			b.Fatal(err)
		}
	}
}

// A channel is asked for by what is done with it, and is approved by that.
func TestChannels(t *testing.T) {
	parse := func(channels string) *Manifest {
		t.Helper()
		m, err := ParseManifest(ManifestName, []byte("name: shop\nversion: 1.0.0\ncapabilities:\n  db: {channels: {"+channels+"}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	before, after := parse("orders: [notify]"), parse("orders: [notify, listen], news: [listen]")
	for _, c := range []struct {
		m       *Manifest
		channel string
		verb    Verb
		allowed bool
	}{
		{before, "orders", Notify, true},
		{before, "orders", Listen, false},
		{before, "news", Notify, false},
		{after, "orders", Listen, true},
		{after, "news", Listen, true},
		{after, "Orders", Listen, false},
	} {
		if err := c.m.Grants().Channel(c.channel, c.verb); (err == nil) != c.allowed || err != nil && !errors.Is(err, ErrNotGranted) {
			t.Errorf("%s %s: %v", c.verb, c.channel, err)
		}
	}
	var got []string
	for _, change := range DiffGrants(before, after) {
		got = append(got, change.String())
	}
	if want := "+ db channel news: listen, + db channel orders: listen"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
