package host_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
)

// sleepy has plugins sleep as soon as nobody calls them.
func sleepy(c *host.Config) { c.SleepTime = 4 * time.Millisecond }

// asleep waits until the first plugin sleeps.
func (s *site) asleep() {
	s.t.Helper()
	testkit.Eventually(s.t, "the plugin sleeps", func() bool {
		p := s.Plugins()[0]
		return p.Asleep && p.Pool.Idle+p.Pool.InUse == 0
	})
}

// An idle plugin sleeps, and every kind of event wakes it; its routes, its assets and its sockets are there all the time.
func TestSleep(t *testing.T) {
	s := open(t, t.TempDir(), sleepy)
	s.deploy(bundle(t, "app"))
	socket, _, err := websocket.Dial(t.Context(), s.url+"/app/live/room", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	s.asleep()
	s.want("GET", "/app/", "", 200, "hello")
	s.asleep()
	s.has("GET", "/app/nowhere", 404, "404")
	echo(t, socket, "message", "1:message")
	s.asleep()
	if out, err := s.Call(t.Context(), "", "app", "twice", []byte("ab")); err != nil || string(out) != "abab" {
		t.Errorf("call: %q, %v", out, err)
	}
	s.has("POST", "/app/items/ticks", 201, "")
	testkit.Eventually(t, "its schedule wakes it", func() bool {
		_, hits := s.do("GET", "/app/items/ticks", "")
		return hits >= "1"
	})
	if p := s.Plugins()[0]; p.Wakes < 3 || p.Failures != 0 || p.Err != nil {
		t.Errorf("afterwards: %+v", p)
	}
}

// Those who come while it wakes wait for one wake.
func TestWakeOnce(t *testing.T) {
	s := open(t, t.TempDir(), func(c *host.Config) { c.SleepTime = 100 * time.Millisecond })
	s.deploy(page(t, "good").bundle(t, "tiny", ""))
	s.asleep()
	before := s.Plugins()[0].Wakes
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() { s.want("GET", "/tiny/", "", 200, "good") })
	}
	wg.Wait()
	if p := s.Plugins()[0]; p.Wakes < before+1 || p.Wakes > before+4 {
		t.Errorf("%d wakes for 32 requests at once", p.Wakes-before)
	}
}

// Plugins that take long to start, as many as are woken at once, do not keep another asleep.
func TestWakeBesideSlowOnes(t *testing.T) {
	s := open(t, t.TempDir(), sleepy)
	s.deploy(page(t, "good").bundle(t, "tiny", ""))
	s.asleep()
	release := s.HoldWakes()
	defer release()
	s.want("GET", "/tiny/", "", 200, "good")
}

// A wake that fails is an error to who asks, and is tried again.
func TestWakeFails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, sleepy)
	s.deploy(page(t, "good").bundle(t, "tiny", ""))
	s.asleep()
	file := onlyFile(t, filepath.Join(dir, host.StoreFolder, "bundles"))
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, []byte("no bundle"))
	s.has("GET", "/tiny/", 500, "the plugin failed")
	if p := s.Plugins()[0]; p.Err == nil || !strings.Contains(p.Err.Error(), "damaged") {
		t.Errorf("its status: %v", p.Err)
	}
	write(t, file, content)
	testkit.Eventually(t, "it wakes", func() bool {
		status, _ := s.do("GET", "/tiny/", "")
		return status == 200
	})
	if p := s.Plugins()[0]; p.Err != nil {
		t.Errorf("its status afterwards: %v", p.Err)
	}
}

func onlyFile(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%s: %v, %v; want one file", dir, entries, err)
	}
	return filepath.Join(dir, entries[0].Name())
}

// Swaps, rollbacks, removals and a close meet plugins that fall asleep and wake.
func TestSleepHammer(t *testing.T) {
	a, b := page(t, "one").bundle(t, "tiny", ""), page(t, "two").bundle(t, "tiny", "")
	s := open(t, t.TempDir(), sleepy)
	s.deploy(a)
	s.deploy(b)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				switch status, text := s.do("GET", "/tiny/", ""); {
				case status == 200 && (text == "one" || text == "two"), status == 404, status == 503:
				default:
					t.Errorf("got %d %q", status, text)
					return
				}
			}
		})
	}
	for range 15 {
		if _, err := s.Rollback(t.Context(), "", "tiny", "", "", ""); err != nil {
			s.deploy(a)
			s.deploy(b)
		}
		if err := s.Remove(t.Context(), "", "tiny", "", ""); err != nil {
			t.Error(err)
		}
		s.deploy(a)
		s.deploy(b)
		s.Plugins()
	}
	stop()
	wg.Wait()
	s.asleep()
}

// many deploys a tiny guest under many names.
func (s *site) many(n int) {
	s.t.Helper()
	g := page(s.t, "good")
	for i := range n {
		s.deployFor(fmt.Sprintf("t%d", i%5), fmt.Sprintf("p%d", i), g.bundle(s.t, fmt.Sprintf("p%d", i), ""))
	}
}

// A host with many deployments begins with most of them asleep, and they serve.
func TestResumeAsleep(t *testing.T) {
	dir := t.TempDir()
	cache := func(c *host.Config) { c.CacheDir = filepath.Join(dir, "code") }
	s := open(t, dir, cache)
	s.many(40)
	s.stop()
	s = open(t, dir, cache)
	asleep := 0
	for _, p := range s.Plugins() {
		if p.Err != nil || p.Routes != 2 {
			t.Errorf("%+v", p)
		}
		if p.Asleep {
			asleep++
		}
	}
	if asleep != 40-16 {
		t.Errorf("%d of 40 are asleep, want all but 16", asleep)
	}
	for i := range 40 {
		s.want("GET", fmt.Sprintf("/p%d/", i), "", 200, "good")
	}
	s.stop()
	// What is remembered is only a hint: damaged files are as good as none.
	files, err := filepath.Glob(filepath.Join(dir, "code", "registered", "*"))
	if err != nil || len(files) != 40 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		write(t, file, []byte("damaged"))
	}
	s = open(t, dir, cache)
	for _, p := range s.Plugins() {
		if p.Err != nil || p.Asleep {
			t.Errorf("%+v", p)
		}
	}
	s.stop()
	// Nor does a file grant what the bundle does not ask for.
	for _, file := range files {
		forge(t, file)
	}
	s = open(t, dir, cache)
	refused := 0
	for i := range 40 {
		if status, _ := s.do("GET", fmt.Sprintf("/p%d/", i), ""); status == 500 {
			refused++
		}
	}
	if refused != 40-16 {
		t.Errorf("%d of 40 do not wake by a forged manifest, want all but 16", refused)
	}
}

// forge changes the manifest in a file of what a plugin registered.
func forge(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var memory struct {
		Manifest, Message []byte
		Assets            bool
	}
	if err := json.Unmarshal(content[sha256.Size:], &memory); err != nil {
		t.Fatal(err)
	}
	memory.Manifest = append(memory.Manifest, "\n# and more\n"...)
	text, err := json.Marshal(memory)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	write(t, file, append(sum[:], text...))
}

// What a plugin registers may come in another order when it wakes, as from a map; nothing else may change.
func TestRegistersAnew(t *testing.T) {
	s := open(t, t.TempDir(), sleepy)
	s.deploy(bundle(t, "shuffle"))
	for range 6 {
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			s.want("GET", "/shuffle/"+name, "", 200, name)
		}
		s.asleep()
	}
	s.deploy(bundle(t, "shuffle", `"false"`, `"true"`))
	s.asleep()
	s.has("GET", "/shuffle/a", 500, "the plugin failed")
	if p := s.Plugins()[0]; p.Err == nil || !strings.Contains(p.Err.Error(), "time or chance") {
		t.Errorf("its status: %v", p.Err)
	}
}
