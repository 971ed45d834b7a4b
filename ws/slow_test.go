package ws

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// TestStuckReaderBesideHealthyOnes: the healthy get everything, the stuck one is closed, memory stays within its limit.
func TestStuckReaderBesideHealthyOnes(t *testing.T) {
	const healthy, messages, size = 50, 320, 20_000
	closed := make(chan string, 100)
	s := serve(t, Config{}, Options{
		QueueBytes: 512 << 10,
		Handler:    funcs{close: func(_ *Conn, code int, reason string) { closed <- itoa(code) + " " + reason }},
	})
	if err := s.upgraded("").Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stuck one is in", func() bool { return s.scope().Count(Room{}) == 1 })
	stuckConn := s.scope().Conns()[0]

	got := make(chan int, healthy)
	steps := make([]chan struct{}, healthy)
	for i := range healthy {
		c := s.dial(nil)
		steps[i] = make(chan struct{}, messages)
		go func() {
			n := 0
			for {
				if _, data, err := c.Read(context.Background()); err != nil || len(data) != size {
					got <- n
					return
				}
				n++
				steps[i] <- struct{}{}
			}
		}()
	}
	eventually(t, "all are in", func() bool { return s.scope().Count(Room{}) == healthy+1 })
	m := Message{Binary, bytes.Repeat([]byte("m"), size)}
	var peak uint64
	for i := range messages {
		if _, err := s.scope().Broadcast(Room{}, m); err != nil {
			t.Fatal(err)
		}
		if i%8 == 7 { // no further ahead of the healthy ones than 16 messages
			for _, step := range steps {
				for range 8 {
					receive(t, step)
				}
			}
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			peak = max(peak, mem.HeapInuse)
		}
	}
	if st := stuckConn.State(); st == Open {
		t.Errorf("the stuck one is still %v", st)
	}
	if got := receive(t, closed); got != "1013 the peer reads too slowly" {
		t.Errorf("the stuck one was closed with %q", got)
	}
	if st := s.hub.Stat(); st.SlowClosed != 1 || st.Closed != 1 {
		t.Errorf("%d slow, %d closed", st.SlowClosed, st.Closed)
	}
	t.Logf("heap in use at most %d MiB", peak>>20)
	if peak > 64<<20 {
		t.Errorf("heap in use rose to %d MiB", peak>>20)
	}
	go s.hub.Close()
	for range healthy {
		if n := receive(t, got); n != messages {
			t.Errorf("a healthy one got %d of %d", n, messages)
		}
	}
}

// TestSlowPolicies fills the queue of a stuck peer and then lets it read.
func TestSlowPolicies(t *testing.T) {
	for _, tc := range []struct {
		policy SlowPolicy
		whole  bool // everything of the last batch must come
	}{{SlowDropOldest, true}, {SlowLatest, false}} {
		s := serve(t, Config{}, Options{QueueMessages: 10, Slow: tc.policy})
		p := s.upgraded("")
		eventually(t, "it is in", func() bool { return s.scope().Count(Room{}) == 1 })
		c := s.scope().Conns()[0]
		for _, room := range []string{"a", "b"} {
			if err := c.Join(Room{Name: room}); err != nil {
				t.Fatal(err)
			}
		}
		pad := strings.Repeat(".", 64<<10)
		for s.hub.Stat().Dropped == 0 {
			if _, err := s.scope().Broadcast(Room{Name: "a"}, Message{Text, []byte("old" + pad)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.scope().Broadcast(Room{Name: "b"}, Message{Text, []byte("b")}); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if err := c.Send(Message{Text, []byte("last" + itoa(i))}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for len(got) == 0 || got[len(got)-1] != "last9" {
			_, payload, err := p.readFrame()
			if err != nil {
				t.Fatalf("policy %d: the latest never came: %v", tc.policy, err)
			}
			if !strings.HasPrefix(string(payload), "old") {
				got = append(got, string(payload))
			}
		}
		want := "last9"
		if tc.whole {
			want = "last0 last1 last2 last3 last4 last5 last6 last7 last8 last9"
		}
		if all := strings.Join(got, " "); !strings.HasSuffix(all, want) {
			t.Errorf("policy %d: got %q", tc.policy, all)
		}
	}
}

func TestSendReportsTheFullQueue(t *testing.T) {
	s := serve(t, Config{}, Options{})
	s.upgraded("")
	eventually(t, "it is in", func() bool { return s.scope().Count(Room{}) == 1 })
	c := s.scope().Conns()[0]
	m := Message{Binary, make([]byte, 256<<10)}
	var err error
	for err == nil {
		err = c.Send(m)
	}
	if !errors.Is(err, ErrQueueFull) {
		t.Errorf("got %v", err)
	}
	if err := c.Send(m); !errors.Is(err, ErrClosed) {
		t.Errorf("afterwards %v", err)
	}
}

// TestRoomOrder: all members of a room see broadcasts of several senders in one order.
func TestRoomOrder(t *testing.T) {
	const senders, each, members = 4, 100, 100
	s := serve(t, Config{}, Options{})
	clients := make([]*websocket.Conn, members)
	for i := range clients {
		clients[i] = s.dial(nil)
	}
	eventually(t, "all are in", func() bool { return s.scope().Count(Room{}) == members })
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				_, _ = s.scope().Broadcast(Room{}, Message{Text, []byte(itoa(i*each + j))})
			}
		})
	}
	wg.Wait()
	first := make([]string, senders*each)
	for i := range first {
		first[i] = s.read(clients[0])
	}
	for _, c := range clients[1:] {
		for i := range first {
			if got := s.read(c); got != first[i] {
				t.Fatalf("message %d is %s for one and %s for another", i, first[i], got)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	rec := newRecorder()
	hub := newHub(t, Config{})
	h := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = hub.Upgrade(w, r, Options{Handler: rec, Scope: "s"})
	}))
	t.Cleanup(h.Close)
	s := &server{t, hub, h, h.Listener.Addr().String()}
	c, _, err := websocket.Dial(context.Background(), "wss://"+s.addr, &websocket.DialOptions{HTTPClient: h.Client()})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	rec.expect(t, "open")
	big := strings.Repeat("s", 100_000)
	s.write(c, websocket.MessageText, big)
	if got := s.read(c); got != big {
		t.Errorf("%d bytes came back", len(got))
	}
	receive(t, rec.events)
	if err := c.Close(4000, "done"); err != nil {
		t.Errorf("close: %v", err)
	}
	rec.expect(t, "close 4000 done")
}

// TestPathWithoutDirectWrites takes the path of TLS and of systems that are not Unix.
func TestPathWithoutDirectWrites(t *testing.T) {
	s := serve(t, Config{}, Options{})
	p := s.upgraded("")
	eventually(t, "it is in", func() bool { return s.scope().Count(Room{}) == 1 })
	c := s.scope().Conns()[0]
	c.mu.Lock()
	c.raw = nil
	c.mu.Unlock()
	for range 100 {
		p.send(join(frame(finText, "x"), frame(finPing, "p")))
	}
	p.send(bye)
	texts := 0
	for {
		first, _, err := p.readFrame()
		if err != nil {
			break
		}
		if first == finText {
			texts++
		}
	}
	if texts != 100 {
		t.Errorf("%d of 100 echoed", texts)
	}
}
