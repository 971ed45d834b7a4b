package host_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

func file(t *testing.T, b *plugins.Bundle, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := b.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whenever the process is killed: what a buffered write was acknowledged for is in the database once.
func TestKillUnderBufferedLoad(t *testing.T) {
	dir, app := t.TempDir(), file(t, bundle(t, "app"), "app.odac")
	const rounds, writers = 5, 8
	var (
		mu    sync.Mutex
		acked = map[string]bool{}
		n     atomic.Int64
		sent  atomic.Int64 // increments
		hits  atomic.Int64 // of them acknowledged
	)
	for round := range rounds {
		p := testkit.Spawn(t, "serve", dir, app)
		url, ok := p.Line()
		if !ok {
			t.Fatal("the child did not start")
		}
		transport := &http.Transport{MaxIdleConnsPerHost: writers}
		post := func(path string) bool {
			r, _ := http.NewRequestWithContext(t.Context(), "POST", url+path, nil)
			resp, err := transport.RoundTrip(r)
			if err != nil {
				return false // it was killed
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); resp.StatusCode != 200 && err == nil {
				t.Errorf("%s: %d %s", path, resp.StatusCode, text)
			}
			return resp.StatusCode == 200
		}
		if round == 0 && !post("/app/buffered-insert/counter") {
			t.Fatal("no counter")
		}
		enough := make(chan struct{})
		left := atomic.Int64{}
		left.Store(1 + rand.Int64N(250))
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for {
					note := fmt.Sprint("note-", n.Add(1))
					if !post("/app/note/" + note) {
						return
					}
					mu.Lock()
					acked[note] = true
					mu.Unlock()
					sent.Add(1)
					if !post("/app/buffered/counter") {
						return
					}
					hits.Add(1)
					if left.Add(-1) == 0 {
						close(enough)
					}
				}
			})
		}
		<-enough
		p.Kill()
		wg.Wait()
		transport.CloseIdleConnections()
	}
	s := open(t, dir)
	s.want("POST", "/app/flush", "", 200, "")
	_, text := s.do("GET", "/app/notes", "")
	times := map[string]int{}
	for line := range strings.Lines(text) {
		times[strings.TrimSpace(line)]++
	}
	for note := range acked {
		if times[note] == 0 {
			t.Errorf("%s was acknowledged and is lost", note)
		}
	}
	for note, k := range times {
		if k != 1 {
			t.Errorf("%s is there %d times", note, k)
		}
	}
	_, text = s.do("GET", "/app/items/counter", "")
	if count, err := strconv.ParseInt(text, 10, 64); err != nil || count < hits.Load() || count > sent.Load() {
		t.Errorf("the counter is %s: %d increments were acknowledged, %d sent", text, hits.Load(), sent.Load())
	}
	t.Logf("%d kills, %d of %d rows acknowledged, counter %s", rounds, len(acked), len(times), text)
}

// Whenever the process is killed in a deploy: the old revision serves after the restart, or the new one.
func TestKillWhileDeploying(t *testing.T) {
	dir := t.TempDir()
	one, two := file(t, page(t, "one").bundle(t, "tiny", ""), "one.odac"), file(t, page(t, "two").bundle(t, "tiny", ""), "two.odac")
	seen := map[string]int{}
	for range 12 {
		p := testkit.Spawn(t, "serve", dir, one, two, one)
		if _, ok := p.Line(); !ok {
			t.Fatal("the child did not start")
		}
		for range 1 + rand.IntN(30) {
			if _, ok := p.Line(); !ok {
				t.Fatal("the child ended by itself")
			}
		}
		p.Kill()
		s := open(t, dir)
		status, text := s.do("GET", "/tiny/", "")
		if status != 200 || text != "one" && text != "two" {
			t.Errorf("after a kill: %d %q", status, text)
		}
		seen[text]++
		s.stop()
	}
	t.Logf("served afterwards: %v", seen)
}
