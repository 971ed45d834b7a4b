package host_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// pace is a turn for each request and message. Without the race detector nobody waits for one; with it, a load that takes all
// there is leaves a deploy half a minute.
func pace(ctx context.Context, t testing.TB) func() {
	if !raceDetector {
		return func() {}
	}
	tick := time.NewTicker(8 * time.Millisecond)
	t.Cleanup(tick.Stop)
	return func() {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// load asks for a path over connections of its own until it is stopped, and has every answer checked.
type load struct {
	t      testing.TB
	stop   context.CancelFunc
	done   sync.WaitGroup
	served atomic.Int64
}

func (s *site) load(connections int, path string, check func(status int, body []byte) error) *load {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	l := &load{t: s.t, stop: cancel}
	transport := &http.Transport{MaxIdleConnsPerHost: connections}
	turn := pace(ctx, s.t)
	for range connections {
		l.done.Go(func() {
			var body bytes.Buffer
			for ctx.Err() == nil {
				turn()
				r, _ := http.NewRequest("GET", s.url+path, nil) // without a context: one that has begun is to be answered
				resp, err := transport.RoundTrip(r)
				if err != nil {
					s.t.Errorf("request: %v", err)
					return
				}
				body.Reset()
				_, err = io.Copy(&body, resp.Body)
				resp.Body.Close()
				if err == nil {
					err = check(resp.StatusCode, body.Bytes())
				}
				if err != nil {
					s.t.Errorf("answer: %v", err)
					return
				}
				l.served.Add(1)
			}
		})
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	s.t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// more waits until the load has been served some more.
func (l *load) more(n int64) {
	l.t.Helper()
	until := l.served.Load() + n
	testkit.Eventually(l.t, "the load is served", func() bool { return l.served.Load() >= until || l.t.Failed() })
}

// talker is a socket that sends numbered messages and checks that each is answered, in order, once.
type talker struct {
	conn     *websocket.Conn
	sent     atomic.Int64
	answered atomic.Int64
}

func (s *site) talk(ctx context.Context, path string, turn func(), wg *sync.WaitGroup) *talker {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.CloseNow() })
	k := &talker{conn: conn}
	const ahead = 8
	room := make(chan struct{}, ahead)
	wg.Go(func() {
		defer close(room)
		for ctx.Err() == nil {
			turn()
			n := k.sent.Add(1)
			if err := conn.Write(s.t.Context(), websocket.MessageText, fmt.Append(nil, "message ", n)); err != nil {
				s.t.Errorf("socket: write %d: %v", n, err)
				return
			}
			room <- struct{}{}
		}
	})
	wg.Go(func() {
		for range room {
			n := k.answered.Add(1)
			want := fmt.Sprintf("%d:message %d", n, n)
			if _, got, err := conn.Read(s.t.Context()); err != nil || string(got) != want {
				s.t.Errorf("socket: got %q, %v; want %q", got, err, want)
				conn.CloseNow()
				for range room { // let the writer go
				}
				return
			}
		}
	})
	return k
}

// Twenty deploys under load lose no request and no socket, and every answer is whole from one version or the other.
func TestSwapUnderLoad(t *testing.T) {
	s := open(t, t.TempDir())
	versions := []*plugins.Bundle{bundle(t, "app", "greeting: hello", "greeting: first"), bundle(t, "app", "greeting: hello", "greeting: second")}
	s.deploy(versions[0])
	bodies := map[string]*atomic.Int64{}
	for _, word := range []string{"first\n", "second\n"} {
		bodies[strings.Repeat(word, 100<<10/len(word))] = new(atomic.Int64)
	}
	l := s.load(64, "/app/big", func(status int, body []byte) error {
		seen := bodies[string(body)]
		if status != 200 || seen == nil {
			return fmt.Errorf("%d, %d bytes: %.40q", status, len(body), body)
		}
		seen.Add(1)
		return nil
	})
	ctx, hush := context.WithCancel(t.Context())
	var talking sync.WaitGroup
	turn := pace(ctx, t)
	talkers := make([]*talker, 50)
	for i := range talkers {
		talkers[i] = s.talk(ctx, "/app/live/swap", turn, &talking)
	}
	swaps := 20
	if raceDetector {
		swaps = 6
	}
	for i := range swaps {
		s.deploy(versions[(i+1)%2])
		l.more(1)
	}
	hush()
	talking.Wait()
	for i, k := range talkers {
		if k.sent.Load() != k.answered.Load() {
			t.Errorf("socket %d: %d messages sent, %d answered", i, k.sent.Load(), k.answered.Load())
		}
		n := k.sent.Load() + 1
		echo(t, k.conn, "after", fmt.Sprintf("%d:after", n))
	}
	l.end()
	for body, n := range bodies {
		if n.Load() == 0 {
			t.Errorf("nobody saw %q", body[:6])
		}
	}
	if p := s.Plugins()[0]; p.Sockets != 50 || p.Failures != 0 {
		t.Errorf("afterwards: %+v", p)
	}
	testkit.Eventually(t, "old revisions are closed", func() bool { return s.Plugins()[0].Pool.InUse == 0 })
	t.Logf("%d requests over %d swaps", l.served.Load(), swaps)
}

// A swap between guests that take no time to load, so that the moment of the swap is met often.
func TestManySwaps(t *testing.T) {
	s := open(t, t.TempDir())
	guests := []*plugins.Bundle{page(t, "one").bundle(t, "tiny", ""), page(t, "two").bundle(t, "tiny", "")}
	s.deploy(guests[0])
	l := s.load(8, "/tiny/", func(status int, body []byte) error {
		if text := string(body); status != 200 || text != "one" && text != "two" {
			return fmt.Errorf("%d %q", status, body)
		}
		return nil
	})
	for i := range 200 {
		s.deploy(guests[(i+1)%2])
	}
	l.more(1)
	l.end()
	for range 2 {
		if _, err := s.Rollback(t.Context(), "", "tiny", "", "", ""); err != nil {
			t.Error(err)
		}
	}
}

// A deploy that fails, for whatever reason and however late, changes nothing for those who ask.
func TestFailedDeploysUnderLoad(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(page(t, "good").bundle(t, "tiny", ""))
	l := s.load(8, "/tiny/", func(status int, body []byte) error {
		if status != 200 || string(body) != "good" {
			return fmt.Errorf("%d %q", status, body)
		}
		return nil
	})
	bad := []*plugins.Bundle{
		tiny{register: codeTrap}.bundle(t, "tiny", ""), tiny{lacks: "odac_event"}.bundle(t, "tiny", ""),
		tiny{registration: []byte{0xc1}}.bundle(t, "tiny", ""),
	}
	for i := range 30 {
		if _, err := s.Deploy(t.Context(), bad[i%len(bad)], host.DeployOptions{Approve: true}); err == nil {
			t.Error("deployed")
		}
	}
	l.more(1)
}
