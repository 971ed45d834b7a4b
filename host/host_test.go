package host_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

func TestRequest(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	s.want("GET", "/app/", "", 200, "hello")
	s.want("POST", "/app/echo/a%2Fb?q=1%202", "body", 201, "body")
	s.has("GET", "/app/nowhere", 404, "404")
	s.has("GET", "/elsewhere", 404, "nothing is deployed here")
	s.has("DELETE", "/app/state", 405, "Method Not Allowed")
	s.want("HEAD", "/app/", "", 200, "")
	s.has("GET", "/app/status/99", 500, "the plugin failed")
	s.has("GET", "/app/header", 500, "the plugin failed")
	s.has("GET", "/app/panic", 500, "")
	s.want("GET", "/app/status/204", "", 204, "")
}

func TestFreshAndWarm(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	for range 3 {
		s.want("GET", "/app/state", "", 200, "1")
	}
	s.deploy(bundle(t, "app", "mount: /app", "mount: /app\nisolation: single"))
	s.want("GET", "/app/state", "", 200, "1")
	s.want("GET", "/app/state", "", 200, "2")
}

func TestDatabase(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	status, id := s.do("POST", "/app/items/one", "")
	if status != 201 || len(id) != 21 {
		t.Fatalf("insert: %d %q, want a nanoid of 21 characters", status, id)
	}
	s.has("POST", "/app/items/one", 409, "")
	s.want("GET", "/app/items/one", "", 200, "0")
	s.has("GET", "/app/items/two", 404, "")
	s.want("POST", "/app/hit/one", "", 200, "")
	s.want("GET", "/app/items/one", "", 200, "1")
	s.has("GET", "/app/denied", 409, "delete")
	s.has("GET", "/app/unknown", 409, "secrets")
}

func TestCacheIsNeverStale(t *testing.T) { onServers(t, testCacheIsNeverStale) }

func testCacheIsNeverStale(t *testing.T, server *server) {
	s := server.open(t)
	s.deployFor("red", "app", bundle(t, "app"))
	_, id := s.do("POST", "/app/items/one", "")
	s.want("GET", "/app/cached/one", "", 200, "0")
	s.want("POST", "/app/hit/one", "", 200, "")
	s.want("GET", "/app/cached/one", "", 200, "1")
	s.want("POST", "/app/buffered/"+id, "", 200, "")
	s.want("POST", "/app/flush", "", 200, "")
	s.want("POST", "/app/flush/items", "", 200, "")
	s.has("POST", "/app/flush/others", 403, "") // a table of somebody else, of whose rows it would tell
	s.want("GET", "/app/cached/one", "", 200, "2")
	s.want("POST", "/app/tx/commit", "", 200, "")
	s.want("GET", "/app/cached/in-tx", "", 200, "0")
}

func TestBuffered(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.deploy(bundle(t, "app"))
	s.want("POST", "/app/buffered-insert/abc", "", 200, "")
	for range 20 {
		s.want("POST", "/app/buffered/abc", "", 200, "")
	}
	s.want("POST", "/app/flush", "", 200, "")
	s.want("GET", "/app/items/abc", "", 200, "20")
	s.want("POST", "/app/buffered/abc", "", 200, "")
	s.want("POST", "/app/hit/abc", "", 200, "") // a direct write comes after what was buffered before it
	s.want("GET", "/app/items/abc", "", 200, "22")
	s.want("POST", "/app/buffered/abc", "", 200, "")
	s.stop()
	s = open(t, dir)
	s.want("GET", "/app/items/abc", "", 200, "23")
}

func TestLimits(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app", "time: 5s", "time: 200ms"))
	s.has("GET", "/app/spin", 504, "took too long")
	s.has("GET", "/app/sleep", 504, "took too long")
	s.deploy(bundle(t, "app", "time: 5s", "time: 5s, memory: 32MiB, body: 1KiB, response: 1KiB"))
	s.has("GET", "/app/alloc", 500, "the plugin failed")
	s.has("GET", "/app/", 200, "hello")
	status, _ := s.do("POST", "/app/echo/x", strings.Repeat("a", 2000))
	if status != 413 {
		t.Errorf("a body over the limit: %d, want 413", status)
	}
	for _, p := range s.Plugins() {
		if p.Pool.InUse != 0 {
			t.Errorf("%d instances are still in use", p.Pool.InUse)
		}
	}
}

func TestFuel(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app", "time: 5s", "time: 5s, fuel: 20000000"))
	var used [3]uint64
	for i := range used {
		before := s.Plugins()[0].Fuel
		if out, err := s.Call(t.Context(), "", "app", "twice", []byte("ab")); err != nil || string(out) != "abab" {
			t.Fatalf("twice: %q, %v", out, err)
		}
		used[i] = s.Plugins()[0].Fuel - before
	}
	if used[0] < 100 || used[0] != used[1] || used[1] != used[2] {
		t.Errorf("the same call used %d of fuel: want the same each time", used)
	}
	s.has("GET", "/app/spin", 500, "the plugin failed")
	if p := s.Plugins()[0]; p.OutOfFuel != 1 || p.Failures != 1 {
		t.Errorf("%d events out of fuel, %d failures, want 1 and 1", p.OutOfFuel, p.Failures)
	}
	s.has("GET", "/app/", 200, "hello")
}

func TestBusy(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app", "time: 5s, queue: 30s", "time: 1s, queue: 1ms, instances: 1"))
	spinning := make(chan int)
	go func() {
		status, _ := s.do("GET", "/app/spin", "")
		spinning <- status
	}()
	testkit.Eventually(t, "an instance is in use", func() bool { return s.Plugins()[0].Pool.InUse == 1 })
	resp, err := client.Get(s.url + "/app/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("busy: %d, Retry-After %q; want 503 and a time", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if status := <-spinning; status != 504 {
		t.Errorf("the endless one: %d, want 504", status)
	}
	s.want("GET", "/app/", "", 200, "hello")
}

func TestClientGoesAway(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app", "time: 5s", "time: 30s"))
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/app/spin", nil)
	done := make(chan error)
	go func() {
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	testkit.Eventually(t, "an instance is in use", func() bool { return s.Plugins()[0].Pool.InUse == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the instance is free", func() bool { return s.Plugins()[0].Pool.InUse == 0 })
}

func TestCall(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	out, err := s.Call(t.Context(), "", "app", "twice", []byte("ab"))
	if err != nil || string(out) != "abab" {
		t.Errorf("twice: %q, %v", out, err)
	}
	var plugin *host.PluginError
	if _, err = s.Call(t.Context(), "", "app", "fail", nil); !errors.As(err, &plugin) || plugin.Errno.Kind() != "conflict" {
		t.Errorf("fail: %v", err)
	}
	if _, err = s.Call(t.Context(), "", "app", "nothing", nil); !errors.As(err, &plugin) || plugin.Errno.Kind() != "not_found" {
		t.Errorf("nothing: %v", err)
	}
	if _, err = s.Call(t.Context(), "", "missing", "x", nil); !errors.Is(err, host.ErrNotDeployed) {
		t.Errorf("missing: %v", err)
	}
}

func TestSchedule(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	s.has("POST", "/app/items/ticks", 201, "")
	testkit.Eventually(t, "the schedule has run twice", func() bool {
		_, hits := s.do("GET", "/app/items/ticks", "")
		return hits >= "2"
	})
}

func TestLog(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	s.want("GET", "/app/log", "", 204, "")
	for _, line := range []string{"a line", "key=7", "to stdout"} {
		if !strings.Contains(s.log.String(), line) {
			t.Errorf("the log has no %q", line)
		}
	}
}

func TestFetch(t *testing.T) {
	s := open(t, t.TempDir(), func(c *host.Config) { c.PrivateHosts = []string{"127.0.0.1"} })
	s.deploy(bundle(t, "app"))
	s.want("GET", "/app/fetch?url="+s.url+"/app/", "", 200, "hello")
	local := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	s.has("GET", "/app/fetch?url="+local+"/app/", 409, "not a public address")
	s.has("GET", "/app/fetch?url=http://example.com/", 409, "example.com")
	s.has("GET", "/app/fetch?url=file:///etc/passwd", 409, "neither http nor https")
}

func TestDeploymentsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	first := s.deploy(bundle(t, "app"))
	second := s.deploy(bundle(t, "app", "greeting: hello", "greeting: second"))
	if first.Digest == second.Digest {
		t.Fatal("two revisions have one digest")
	}
	s.want("GET", "/app/", "", 200, "second")
	if _, err := s.Rollback(t.Context(), "", "app", "", "test", ""); err != nil {
		t.Fatal(err)
	}
	s.want("GET", "/app/", "", 200, "hello")
	s.stop()
	s = open(t, dir)
	s.want("GET", "/app/", "", 200, "hello")
	if err := s.Remove(t.Context(), "", "app", "test", ""); err != nil {
		t.Fatal(err)
	}
	s.has("GET", "/app/", 404, "nothing is deployed here")
	s.stop()
	s = open(t, dir)
	s.has("GET", "/app/", 404, "nothing is deployed here")
	if _, err := s.Rollback(t.Context(), "", "app", "", "test", "too soon"); err != nil {
		t.Fatal(err)
	}
	s.want("GET", "/app/", "", 200, "hello")
}

func TestDeployRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	for _, c := range []struct {
		name, old, new, want string
	}{
		{"capability", "ws: true", "ws: false", "odac:ws/v1"},
		{"schema", "mount: /app", "mount: /app\nschema: nowhere", "nowhere"},
		{"memory", "time: 5s", "memory: 1MiB", "limits.memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() { s.want("GET", "/app/", "", 200, "hello") }()
			if c.name == "schema" {
				return // packing refuses, see package plugins
			}
			_, err := s.Deploy(t.Context(), bundle(t, "app", c.old, c.new), host.DeployOptions{Approve: true})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	_, err := s.Deploy(t.Context(), bundle(t, "app", "127.0.0.1]", "127.0.0.1, example.com]"), host.DeployOptions{})
	if !errors.Is(err, plugins.ErrApproval) {
		t.Errorf("a new capability without approval: %v", err)
	}
	_, err = s.Deploy(t.Context(), bundle(t, "app", "name: app", "name: other"), host.DeployOptions{Approve: true})
	if err == nil || !strings.Contains(err.Error(), "mounted") {
		t.Errorf("a second plugin on the same mount: %v", err)
	}
}

// A hostile guest gets an errno for each of its attacks, and the next call works.
func TestHostile(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "hostile"))
	for _, c := range []struct{ attack, want string }{
		{"req outside", "fault"},
		{"req wraps", "fault"},
		{"resp outside", "fault"},
		{"resp huge", "fault"},
		{"garbage", "invalid: malformed request"},
		{"empty", "invalid"},
		{"claims", "invalid"},
		{"not granted", "denied"},
		{"no room", "ok"},
		{"take nothing", "invalid"},
		{"overlap", "ok"},
		{"deep", "recurses too deeply|limits.time"}, // the latter on a slow machine
		{"exponential", "longer than"},
		{"unreachable", "trapped"},
		{"host calls", "longer than"},
	} {
		t.Run(c.attack, func(t *testing.T) {
			began := time.Now()
			out, err := s.Call(t.Context(), "", "hostile", "attack", []byte(c.attack))
			got := string(out)
			if err != nil {
				got = err.Error()
			}
			if !slices.ContainsFunc(strings.Split(c.want, "|"), func(want string) bool { return strings.Contains(got, want) }) {
				t.Errorf("got %q after %s, want %q", got, time.Since(began), c.want)
			}
			if out, err = s.Call(t.Context(), "", "hostile", "attack", []byte("nothing")); err != nil || string(out) != "done" {
				t.Errorf("the call after it: %q, %v", out, err)
			}
		})
	}
}

// A guest in Go that holds more than half of its memory collects its garbage before it goes over the limit.
func TestMemoryInHand(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app", "time: 5s", "time: 30s, memory: 48MiB"))
	for range 2 {
		if out, err := s.Call(t.Context(), "", "app", "hold", make([]byte, 28)); err != nil || string(out) != "29360128" {
			t.Fatalf("%q, %v", out, err)
		}
	}
	var failed *host.PluginError
	if _, err := s.Call(t.Context(), "", "app", "hold", make([]byte, 60)); !errors.As(err, &failed) || failed.Errno.Kind() != "limit" {
		t.Fatalf("over the limit: %v", err)
	}
}
