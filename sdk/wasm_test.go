package odac

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

// TestImports builds guests and reads what they import: what a plugin does not use must not be in its import section.
func TestImports(t *testing.T) {
	for dir, want := range map[string][]string{
		"../examples/hello": {"odac:core/v1"},
		"testdata/guest":    {"odac:core/v1", "odac:db/v1"},
		"../examples/board": {"extism:host/env", "odac:buffer/v1", "odac:cache/v1", "odac:core/v1", "odac:db/v1", "odac:ws/v1"},
	} {
		got := imports(t, testkit.BuildGuest(t, dir))
		got = slices.DeleteFunc(got, func(m string) bool { return m == "wasi_snapshot_preview1" })
		if !slices.Equal(got, want) {
			t.Errorf("%s imports %q, want %q", dir, got, want)
		}
	}
}

// TestHelloIsSmall keeps what every plugin carries in check.
func TestHelloIsSmall(t *testing.T) {
	const most = 2_600_000
	if n := len(testkit.BuildGuest(t, "../examples/hello")); n > most {
		t.Errorf("examples/hello has %d bytes, want at most %d: find what became reachable with go build -ldflags=-dumpdep", n, most)
	}
}

// imports lists the modules of a binary's import section, sorted.
func imports(t *testing.T, wasm []byte) []string {
	t.Helper()
	b := wasm[8:]
	number := func() (n int) {
		for shift := 0; ; shift += 7 {
			c := b[0]
			b = b[1:]
			if n |= int(c&0x7f) << shift; c < 0x80 {
				return n
			}
		}
	}
	name := func() string {
		n := number()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	for b[0] != 2 { // the import section
		b = b[1:]
		n := number()
		b = b[n:]
	}
	b = b[1:]
	number()
	modules := map[string]bool{}
	for range number() {
		modules[name()] = true
		name()
		if b[0] != 0 {
			t.Fatalf("an import of kind %d, want functions alone", b[0])
		}
		b = b[1:]
		number()
	}
	var list []string
	for m := range modules {
		list = append(list, m)
	}
	slices.Sort(list)
	return list
}

// ran is what the small host of testdata/host says about a run.
type ran struct {
	status      int
	body        string
	warm, after int // bytes of memory after a tenth of the events, and after all
	ns          int
	stderr      string
}

// run sends events to a route of testdata/guest in wazero.
func run(t *testing.T, route int, param string, events int) ran {
	t.Helper()
	guest := filepath.Join(t.TempDir(), "guest.wasm")
	if err := os.WriteFile(guest, testkit.BuildGuest(t, "testdata/guest"), 0o600); err != nil {
		t.Fatal(err)
	}
	host, err := buildHost()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), host, guest, fmt.Sprint(route), param, fmt.Sprint(events))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	r := ran{stderr: stderr.String()}
	for line := range strings.Lines(stdout.String()) {
		what, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch what {
		case "status":
			_, _ = fmt.Sscan(rest, &r.status)
		case "body":
			r.body = rest
		case "memory":
			_, _ = fmt.Sscan(rest, &r.warm, &r.after)
		case "ns":
			_, _ = fmt.Sscan(rest, &r.ns)
		}
	}
	return r
}

// buildHost builds testdata/host once.
var buildHost = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "odac-sdk-")
	if err != nil {
		return "", err
	}
	hostDir = dir
	host := filepath.Join(dir, "host")
	if out, err := exec.Command("go", "build", "-o", host, "./testdata/host").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the host: %w\n%s", err, out)
	}
	return host, nil
})

var hostDir string // removed after the tests

// TestGuest runs the SDK where it belongs: in WebAssembly, behind the ABI.
func TestGuest(t *testing.T) {
	t.Run("route", func(t *testing.T) {
		if r := run(t, 0, "ann", 1); r.status != 200 || r.body != "Hello, ann!" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("row", func(t *testing.T) {
		if r := run(t, 1, "7", 1); r.status != 200 || r.body != "a title" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a panic leaves the instance alive", func(t *testing.T) {
		r := run(t, 2, "", 3)
		if r.status != 500 || r.body != "Something went wrong (r1)" {
			t.Errorf("%+v", r)
		}
		if n := strings.Count(r.stderr, "panic in http: on purpose"); n != 3 || !strings.Contains(r.stderr, "testdata/guest/main.go") {
			t.Errorf("logged %d panics of 3, want each with its stack:\n%s", n, r.stderr)
		}
	})
	t.Run("an answer that does not fit is taken", func(t *testing.T) {
		if r := run(t, 5, "", 2); r.body != "100000" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("each event has its own random numbers", func(t *testing.T) {
		one, two := run(t, 4, "", 1), run(t, 4, "", 2)
		if one.body == two.body || len(strings.Fields(one.body)[1]) != 21 {
			t.Errorf("%q, then %q", one.body, two.body)
		}
	})
}

// TestMemoryIsBounded is go-plugin's issue 78: a reactor that never gives way to the collector grows for ever. A million
// events with a Go host take long; these are enough for hundreds of collections.
func TestMemoryIsBounded(t *testing.T) {
	for _, c := range []struct {
		name          string
		route, events int
	}{{"small events", 0, 200_000}, {"a megabyte of garbage an event", 3, 1000}} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.route, "ann", c.events)
			t.Logf("%d events, %d ns each: %d KiB after a tenth, %d KiB at the end", c.events, r.ns, r.warm>>10, r.after>>10)
			if r.after > 16<<20 || r.after > 2*r.warm {
				t.Errorf("memory went from %d to %d bytes", r.warm, r.after)
			}
		})
	}
}
