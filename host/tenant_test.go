package host_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

func (s *site) deployFor(tenant, name string, b *plugins.Bundle) {
	s.t.Helper()
	if _, err := s.Deploy(s.t.Context(), b, host.DeployOptions{Tenant: tenant, Name: name, Approve: true}); err != nil {
		s.t.Fatal(err)
	}
}

// Two tenants' deployments of one plugin share nothing: no row, no cached answer, no buffered write, no room, no socket.
func TestTenants(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.deployFor("red", "one", bundle(t, "app", "mount: /app", "mount: /red"))
	s.deployFor("blue", "two", bundle(t, "app", "mount: /app", "mount: /blue"))
	s.has("POST", "/red/items/x", 201, "")
	s.has("GET", "/blue/items/x", 404, "")
	s.has("POST", "/blue/items/x", 201, "") // the unique name is free there
	s.want("GET", "/red/cached/x", "", 200, "0")
	s.want("GET", "/blue/cached/x", "", 200, "0")
	s.want("POST", "/red/hit/x", "", 200, "")
	s.want("GET", "/red/cached/x", "", 200, "1")
	s.want("GET", "/blue/cached/x", "", 200, "0")
	s.want("POST", "/red/buffered-insert/y", "", 200, "")
	s.want("POST", "/blue/buffered-insert/z", "", 200, "")
	s.want("POST", "/red/flush", "", 200, "")
	s.want("POST", "/blue/flush", "", 200, "")
	s.has("GET", "/red/items/y", 200, "")
	s.has("GET", "/blue/items/y", 404, "")
	s.has("GET", "/blue/items/z", 200, "")

	join := func(path string) *websocket.Conn {
		c, _, err := websocket.Dial(t.Context(), s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.CloseNow() })
		echo(t, c, "here", "1:here")
		return c
	}
	red, red2, blue := join("/red/live/room"), join("/red/live/room"), join("/blue/live/room")
	if err := red.Write(t.Context(), websocket.MessageText, []byte("all of red")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*websocket.Conn{red, red2} {
		if _, text, err := c.Read(testkit.Context(t)); err != nil || string(text) != "to all of red" {
			t.Errorf("red hears %q, %v", text, err)
		}
	}
	echo(t, blue, "next", "2:next") // and nothing before it
	if err := s.Remove(t.Context(), "red", "one", "", ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := red.Read(testkit.Context(t)); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("red's socket after the removal: %v", err)
	}
	echo(t, blue, "still", "3:still")
	s.has("GET", "/red/", 404, "")
	s.stop()
	s = open(t, dir)
	s.has("GET", "/blue/items/z", 200, "")
	if _, err := s.Call(t.Context(), "blue", "one", "twice", nil); err == nil {
		t.Error("one tenant calls another's plugin")
	}
}

// Plugins of one tenant share its database, table by table as granted.
func TestNeighbours(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	s.has("POST", "/app/items/x", 201, "")
	// The other brings no schema, and was granted nothing of notes.
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.wasm"), bundle(t, "app").Wasm())
	write(t, filepath.Join(dir, "plugin.yaml"), []byte("name: other\nversion: 1.0.0\nmount: /other\ncapabilities:\n"+
		"  db: {tables: {items: [select, update]}}\n  cache: true\n  buffer: true\n  ws: true\n  http: {hosts: [localhost]}\n"))
	other, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.deploy(other)
	s.has("GET", "/other/items/x", 200, "")
	s.has("GET", "/other/notes", 403, "")
	s.has("POST", "/other/note/hello", 403, "")
	s.has("POST", "/other/items/y", 403, "")
	s.want("GET", "/app/notes", "", 200, "")
	s.want("POST", "/app/hit/x", "", 200, "") // and what one has cached, the other's writes make old
	s.want("GET", "/other/cached/x", "", 200, "1")
	s.want("POST", "/app/hit/x", "", 200, "")
	s.want("GET", "/other/cached/x", "", 200, "2")
}

// However a call ends without a commit: its transaction is rolled back, and the writer is free for the next.
func TestTransactionLeftOpen(t *testing.T) {
	s := open(t, t.TempDir())
	s.deployFor("", "app", bundle(t, "app"))
	s.deployFor("hostile", "hostile", bundle(t, "hostile"))
	call := func(attack, want string) {
		t.Helper()
		out, err := s.Call(t.Context(), "hostile", "hostile", "attack", []byte(attack))
		if err != nil || string(out) != want {
			t.Errorf("%s: %q, %v; want %q", attack, out, err, want)
		}
	}
	for range 3 {
		call("open transaction", "ok")
		call("rows", "0 rows")
	}
	call("another transaction", "not_found: this call has no transaction 7: begin one")
	s.has("POST", "/app/tx/exit", 500, "the plugin failed")
	s.has("GET", "/app/items/in-tx", 404, "")
	s.has("POST", "/app/items/after", 201, "")
}

// Transactions that write come in turn, and none sees half of another.
func TestTransactionsInTurn(t *testing.T) {
	s := open(t, t.TempDir(), private)
	s.deploy(bundle(t, "app", "time: 5s", "time: 30s"))
	s.has("POST", "/app/items/x", 201, "")
	g := newGate(t)
	answers := make(chan int)
	hit := func(url string) {
		status, _ := s.do("POST", "/app/tx-hit/x"+url, "")
		answers <- status
	}
	go hit("?url=" + g.URL)
	<-g.entered // the row is changed, and not committed
	s.want("GET", "/app/items/x", "", 200, "0")
	s.want("GET", "/app/cached/x", "", 200, "0")
	const more = 4
	for range more {
		go hit("")
	}
	testkit.Eventually(t, "the others wait", func() bool { return s.Plugins()[0].Pool.InUse >= 1+more })
	s.want("GET", "/app/cached/x", "", 200, "0")
	g.open()
	for range 1 + more {
		if status := <-answers; status != 200 {
			t.Errorf("a transaction: %d", status)
		}
	}
	s.want("GET", "/app/cached/x", "", 200, fmt.Sprint(1+more))
	s.want("GET", "/app/items/x", "", 200, fmt.Sprint(1+more))
}

// A cached read never goes back behind a write that was acknowledged before it, whichever way the write took.
func TestCachedReadsUnderWrites(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	for _, way := range []string{"hit", "tx-hit"} {
		t.Run(way, func(t *testing.T) {
			s.has("POST", "/app/items/"+way, 201, "")
			var reads sync.WaitGroup
			var acked atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			for range 4 {
				reads.Go(func() {
					for ctx.Err() == nil {
						least := acked.Load()
						status, text := s.do("GET", "/app/cached/"+way, "")
						if got, err := strconv.ParseInt(text, 10, 64); status != 200 || err != nil || got < least {
							t.Errorf("a cached read gave %d %q after %d acknowledged writes", status, text, least)
							return
						}
					}
				})
			}
			const writes = 100
			for range writes {
				if status, text := s.do("POST", "/app/"+way+"/"+way, ""); status != 200 {
					t.Errorf("write: %d %s", status, text)
				}
				acked.Add(1)
			}
			stop()
			reads.Wait()
			s.want("GET", "/app/cached/"+way, "", 200, strconv.Itoa(writes))
		})
	}
}
