package ws

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestEventsComeInOrder(t *testing.T) {
	rec := newRecorder()
	s := serve(t, Config{}, Options{Handler: rec})
	c := s.dial(nil)
	for _, m := range []string{"1", "2", "3"} {
		s.write(c, websocket.MessageText, m)
	}
	s.write(c, websocket.MessageBinary, "4")
	go func() { _ = c.Close(4001, "done") }()
	for _, want := range []string{"open", `text "1"`, `text "2"`, `text "3"`, `binary "4"`, "close 4001 done"} {
		rec.expect(t, want)
	}
	s.hub.Close()
	if len(rec.events) != 0 {
		t.Errorf("after Close came %q", <-rec.events)
	}
}

func TestCloseCodesSeenByTheHandler(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*server, *peer)
		want string
	}{
		{"code and reason", func(_ *server, p *peer) { p.send(frame(closeNow, closePayload(4000, "why"))) }, "close 4000 why"},
		{"no code", func(_ *server, p *peer) { p.send(frame(closeNow, "")) }, "close 1005 "},
		{"no close frame", func(_ *server, p *peer) { _ = p.Close() }, "close 1006 the peer closed the socket without a close frame"},
		{"violation", func(_ *server, p *peer) { p.send([]byte{finText, 0}) }, "close 1002 a client's frame must be masked"},
		{"local", func(s *server, p *peer) {
			_ = s.scope().Conns()[0].Close(4002, "local")
			p.expect("88 4002")
			p.send(frame(closeNow, closePayload(4003, "theirs")))
		}, "close 4002 local"},
		{"close and half close", func(_ *server, p *peer) {
			p.send(bye)
			_ = p.Conn.(interface{ CloseWrite() error }).CloseWrite()
			p.expect("88 1000", "EOF")
		}, "close 1000 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := newRecorder()
			s := serve(t, Config{}, Options{Handler: rec})
			p := s.upgraded("")
			rec.expect(t, "open")
			tc.do(s, p)
			rec.expect(t, tc.want)
		})
	}
}

func TestConnFacts(t *testing.T) {
	opened := make(chan *Conn, 1)
	states := make(chan State, 2)
	s := serve(t, Config{}, Options{
		Route: "/live/{room}", Meta: 7, Subprotocols: []string{"v1"},
		Handler: funcs{
			open: func(c *Conn) { states <- c.State(); opened <- c },
			close: func(c *Conn, _ int, _ string) {
				states <- c.State()
				if err := c.Send(Message{Text, nil}); !errors.Is(err, ErrClosed) {
					t.Errorf("Send in Close: %v", err)
				}
				if err := c.Join(Room{Name: "late"}); !errors.Is(err, ErrClosed) {
					t.Errorf("Join in Close: %v", err)
				}
				if got := c.Rooms(); len(got) != 1 || string(c.Data()) != "kept" {
					t.Errorf("in Close: rooms %v, data %q", got, c.Data())
				}
				if n := scopeOf(c).Count(Room{Name: "r"}); n != 0 {
					t.Errorf("in Close the room still has %d", n)
				}
			},
		},
	})
	p := s.upgraded("Sec-WebSocket-Protocol: v1\r\n")
	c := receive(t, opened)
	if len(c.ID()) != 22 || c.Scope() != "s" || c.Route() != "/live/{room}" || c.Meta() != 7 || c.Subprotocol() != "v1" {
		t.Errorf("facts: %q %q %q %v %q", c.ID(), c.Scope(), c.Route(), c.Meta(), c.Subprotocol())
	}
	if c.RemoteAddr() != p.LocalAddr().String() {
		t.Errorf("remote address %q, want %q", c.RemoteAddr(), p.LocalAddr())
	}
	if st := receive(t, states); st != Open {
		t.Errorf("state in Open: %v", st)
	}
	data := []byte("kept")
	if err := errors.Join(c.SetData(data), c.Join(Room{Name: "r"})); err != nil {
		t.Fatal(err)
	}
	data[0] = 'X'
	if err := c.SetData(make([]byte, 64<<10+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("64 KiB and a byte: %v", err)
	}
	for err, want := range map[error]error{
		c.Close(1005, ""):                          ErrInvalidCode,
		c.Close(1000, "\xff"):                      ErrInvalidText,
		c.Send(Message{Text, []byte{0xff}}):        ErrInvalidText,
		c.Send(Message{3, nil}):                    ErrInvalidType,
		c.Send(Message{Text, make([]byte, 2<<20)}): ErrTooLarge,
	} {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if err := c.Close(4000, strings.Repeat("ä", 100)); err != nil {
		t.Fatal(err)
	}
	if _, payload, err := p.readFrame(); err != nil || len(payload) != 2+122 {
		t.Errorf("close frame of %d bytes, %v", len(payload), err)
	}
	if err := c.Close(4000, ""); !errors.Is(err, ErrClosed) || c.State() != Closing {
		t.Errorf("second Close: %v in %v", err, c.State())
	}
	_ = p.Close()
	if st := receive(t, states); st != Closed {
		t.Errorf("state in Close: %v", st)
	}
}

func scopeOf(c *Conn) *Scope { return c.hub.Scope(c.Scope()) }

func TestRooms(t *testing.T) {
	s := serve(t, Config{MaxRoomsPerConn: 2}, Options{})
	dial := func(query ...string) (*websocket.Conn, *Conn) {
		before := s.hub.all()
		c := s.dial(nil, query...)
		eventually(t, "open", func() bool { return len(s.hub.all()) > len(before) })
		for _, conn := range s.hub.all() {
			if !slices.Contains(before, conn) {
				return c, conn
			}
		}
		panic("unreachable")
	}
	a1, a1c := dial("route=/a")
	a2, a2c := dial("route=/a")
	b1, b1c := dial("route=/b")
	o1, o1c := dial("scope=other", "route=/a")
	lobby := Room{Route: "/a", Name: "lobby"}
	for _, c := range []*Conn{a1c, a2c, o1c} {
		if err := c.Join(lobby); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b1c.Join(Room{Route: "/b", Name: "lobby"}), b1c.Join(Room{Name: "lobby"}), a1c.Join(Room{Name: "lobby"}), a1c.Join(lobby)); err != nil {
		t.Fatal(err)
	}
	if err := a1c.Join(Room{Name: "third"}); !errors.Is(err, ErrTooManyRooms) {
		t.Errorf("third room: %v", err)
	}
	if err := a1c.Join(Room{Route: "/a"}); err == nil {
		t.Error("joined a room without a name")
	}
	sc := s.scope()
	all := []*websocket.Conn{a1, a2, b1, o1}
	for _, tc := range []struct {
		name   string
		room   Room
		except []string
		want   []*websocket.Conn
	}{
		{"room of a route", lobby, nil, []*websocket.Conn{a1, a2}},
		{"same name, other route", Room{Route: "/b", Name: "lobby"}, nil, []*websocket.Conn{b1}},
		{"across routes", Room{Name: "lobby"}, nil, []*websocket.Conn{a1, b1}},
		{"route", Room{Route: "/a"}, nil, []*websocket.Conn{a1, a2}},
		{"scope", Room{}, nil, []*websocket.Conn{a1, a2, b1}},
		{"except", Room{}, []string{a1c.ID(), "unknown"}, []*websocket.Conn{a2, b1}},
		{"nobody", Room{Name: "empty"}, nil, nil},
	} {
		n, err := sc.Broadcast(tc.room, Message{Text, []byte(tc.name)}, tc.except...)
		if err != nil || n != len(tc.want) {
			t.Errorf("%s: reached %d, %v", tc.name, n, err)
		}
		// What is sent to each directly afterwards shows that nothing else came before it.
		for _, c := range []*Conn{a1c, a2c, b1c, o1c} {
			if err := c.Send(Message{Text, []byte("mark")}); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range all {
			want := "mark"
			if slices.Contains(tc.want, c) {
				want = tc.name
			}
			if got := s.read(c); got != want {
				t.Errorf("%s: connection %d got %q", tc.name, i, got)
			} else if want != "mark" {
				s.read(c)
			}
		}
	}
	if n := sc.Count(lobby); n != 2 || len(sc.Members(lobby)) != 2 || len(sc.Rooms()) != 3 || len(sc.Conns()) != 3 {
		t.Errorf("count %d, members %v, rooms %v", n, sc.Members(lobby), sc.Rooms())
	}
	if got, err := sc.Conn(a1c.ID()); err != nil || got != a1c {
		t.Errorf("Conn: %v, %v", got, err)
	}
	if _, err := sc.Conn(o1c.ID()); !errors.Is(err, ErrNotFound) {
		t.Errorf("an id of another scope: %v", err)
	}
	a2c.Leave(lobby)
	a2c.Leave(lobby)
	if n := sc.Count(lobby); n != 1 {
		t.Errorf("after Leave: %d", n)
	}
	if _, err := sc.Broadcast(lobby, Message{Text, []byte{0xff}}); !errors.Is(err, ErrInvalidText) {
		t.Errorf("invalid text: %v", err)
	}
	for _, c := range all {
		_ = c.CloseNow()
	}
	eventually(t, "all gone", func() bool { st := s.hub.Stat(); return st.Conns == 0 && st.Scopes == 0 && st.Rooms == 0 })
	if n, err := sc.Broadcast(Room{}, Message{Text, nil}); n != 0 || err != nil || sc.Count(Room{}) != 0 || sc.Rooms() != nil || sc.Conns() != nil {
		t.Errorf("empty scope: %d, %v", n, err)
	}
}

func TestLimitsOnConnections(t *testing.T) {
	status := func(s *server) int {
		p := s.raw()
		p.send([]byte(goodRequest + "\r\n"))
		return p.response().StatusCode
	}
	for _, tc := range []struct {
		name string
		cfg  Config
		opts Options
		want int
	}{
		{"hub", Config{MaxConns: 2}, Options{}, 503},
		{"address", Config{MaxConnsPerAddress: 2}, Options{}, 429},
		{"key", Config{}, Options{Limits: []Limit{{"tenant:a", -1}, {"user:1", 2}}}, 429},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, tc.cfg, tc.opts)
			first := s.upgraded("")
			s.upgraded("")
			if got := status(s); got != tc.want {
				t.Errorf("third connection: %d, want %d", got, tc.want)
			}
			_ = first.Close()
			eventually(t, "a place is free", func() bool { return s.hub.Stat().Conns == 1 })
			if got := status(s); got != 101 {
				t.Errorf("after one left: %d", got)
			}
		})
	}
}

func TestAddressKey(t *testing.T) {
	for _, tc := range []struct{ given, want string }{
		{"192.0.2.1:80", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1"},
		{"[2001:db8:1:2:3::4]:80", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::9", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1", "fe80::/64"},
		{"@", "@"},
	} {
		if got := addressKey(&http.Request{}, &Options{Address: tc.given}); got != tc.want {
			t.Errorf("%s counts as %s, want %s", tc.given, got, tc.want)
		}
	}
}

func TestRates(t *testing.T) {
	for _, tc := range []struct {
		name  string
		opts  Options
		frame []byte
	}{
		{"messages", Options{MessagesPerSecond: 1}, frame(finText, "x")},
		{"bytes", Options{BytesPerSecond: 1}, frame(finBinary, "x")},
		{"controls", Options{ControlsPerSecond: 1}, frame(finPong, "x")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := newRecorder()
			tc.opts.Handler = rec
			s := serve(t, Config{}, tc.opts)
			p := s.upgraded("")
			p.send(slices.Repeat(tc.frame, 200))
			got := p.next()
			for strings.HasPrefix(got, "8") && !strings.HasPrefix(got, "88") {
				got = p.next()
			}
			if got != "88 1008" {
				t.Errorf("a flood was answered with %q", got)
			}
		})
	}
}

func TestBackPressure(t *testing.T) {
	gate := make(chan struct{})
	var got []string
	done := make(chan struct{})
	s := serve(t, Config{}, Options{
		PendingMessages: 4,
		Handler: funcs{
			message: func(_ *Conn, m Message) { <-gate; got = append(got, string(m.Data)) },
			close:   func(*Conn, int, string) { close(done) },
		},
	})
	p := s.upgraded("")
	go func() {
		for i := range 1000 {
			p.send(frame(finText, itoa(i)))
		}
		p.send(bye)
	}()
	eventually(t, "reads pause", func() bool { return s.hub.Stat().Pauses > 0 })
	c := s.scope().Conns()[0]
	c.mu.Lock()
	waiting := c.inbox.len()
	c.mu.Unlock()
	if waiting > 4 {
		t.Errorf("%d messages wait, 4 may", waiting)
	}
	close(gate)
	receive(t, done)
	for i, m := range got {
		if m != itoa(i) {
			t.Fatalf("message %d is %q", i, m)
		}
	}
	if len(got) != 1000 {
		t.Errorf("%d of 1,000 messages came", len(got))
	}
}

func TestHeartbeat(t *testing.T) {
	t.Run("a live peer is pinged and stays", func(t *testing.T) {
		s := serve(t, Config{}, Options{PingInterval: time.Millisecond, PongTimeout: time.Minute})
		p := s.upgraded("")
		for range 3 {
			p.expect("89")
			p.send(frame(finPong, ""))
		}
	})
	t.Run("a dead one is closed", func(t *testing.T) {
		rec := newRecorder()
		s := serve(t, Config{}, Options{PingInterval: time.Millisecond, PongTimeout: time.Millisecond, Handler: rec})
		s.upgraded("")
		rec.expect(t, "open")
		rec.expect(t, "close 1006 no pong came in time")
	})
	t.Run("an idle one is closed politely", func(t *testing.T) {
		s := serve(t, Config{}, Options{IdleTimeout: time.Millisecond})
		s.upgraded("").expect("88 1001")
	})
	t.Run("a peer that never answers a close is cut off", func(t *testing.T) {
		rec := newRecorder()
		s := serve(t, Config{}, Options{Handler: rec})
		p := s.upgraded("")
		rec.expect(t, "open")
		if err := s.scope().Conns()[0].Close(4000, "x"); err != nil {
			t.Fatal(err)
		}
		p.expect("88 4000", "EOF")
		rec.expect(t, "close 4000 x")
	})
}

// TestHeartbeatWhileReadsPause: who cannot be heard is not declared dead.
func TestHeartbeatWhileReadsPause(t *testing.T) {
	s := serve(t, Config{}, Options{})
	p := s.upgraded("")
	eventually(t, "it is in", func() bool { return s.scope().Count(Room{}) == 1 })
	c := s.scope().Conns()[0]
	_ = p.Close()
	eventually(t, "it is gone", func() bool { return c.State() == Closed }) // and the wheel lets it alone
	c.pinged = c.lastRead.Load() + 1
	late := c.pinged + int64(time.Hour)
	if next, alive := c.heartbeat(late, true); !alive || next <= late {
		t.Errorf("paused: alive %v, next look after %v", alive, time.Duration(next-late))
	}
	if _, alive := c.heartbeat(late, false); alive {
		t.Error("an hour without a pong, and alive")
	}
}

// TestAnswerAfterHalfClose: a peer that closes and shuts its side at once still gets what its messages deserve.
func TestAnswerAfterHalfClose(t *testing.T) {
	gate := make(chan struct{})
	s := serve(t, Config{}, Options{Handler: funcs{message: func(c *Conn, m Message) {
		if string(m.Data) == "wait" {
			<-gate
		}
		_ = c.Send(m)
	}}})
	p, other := s.upgraded(""), s.upgraded("")
	p.send(join(frame(finText, "wait"), bye))
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 100 { // time enough for the server to see the end
		other.send(frame(finText, "x"))
		other.expect("81 x")
	}
	close(gate)
	p.expect("81 wait", "88 1000", "EOF")
}

// TestNothingAfterAPanic: what waits behind the message that broke the handler is not handled.
func TestNothingAfterAPanic(t *testing.T) {
	gate := make(chan struct{})
	events := make(chan string, 10)
	s := serve(t, Config{}, Options{Handler: funcs{
		message: func(_ *Conn, m Message) {
			events <- string(m.Data)
			<-gate
			panic("broken")
		},
		close: func(_ *Conn, code int, _ string) { events <- itoa(code) },
	}})
	p := s.upgraded("")
	p.send(join(frame(finText, "first"), frame(finText, "second"), frame(finText, "third")))
	eventually(t, "two wait", func() bool {
		conns := s.scope().Conns()
		if len(conns) == 0 {
			return false
		}
		conns[0].mu.Lock()
		defer conns[0].mu.Unlock()
		return conns[0].inbox.len() == 2
	})
	close(gate)
	p.expect("88 1011", "EOF")
	_ = p.Close()
	for _, want := range []string{"first", "1011"} {
		if got := receive(t, events); got != want {
			t.Errorf("handler saw %q, want %q", got, want)
		}
	}
}

func TestDrain(t *testing.T) {
	rec := newRecorder()
	s := serve(t, Config{}, Options{Handler: rec})
	const conns = 150
	for range conns {
		c := s.dial(nil)
		go func() { _, _, _ = c.Read(context.Background()) }() // answers the close
	}
	if err := s.hub.Drain(context.Background(), 1005, ""); !errors.Is(err, ErrInvalidCode) {
		t.Errorf("drain with 1005: %v", err)
	}
	if err := s.hub.Drain(context.Background(), ServiceRestart, "again soon"); err != nil {
		t.Fatal(err)
	}
	closed := 0
	for len(rec.events) > 0 {
		if e := <-rec.events; e == "close 1012 again soon" {
			closed++
		}
	}
	if closed != conns {
		t.Errorf("%d of %d handlers saw the close when Drain returned", closed, conns)
	}
	p := s.raw()
	p.send([]byte(goodRequest + "\r\n"))
	if res := p.response(); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("upgrade while draining: %v", res.Status)
	}
}

func TestDrainThatRunsOutOfTime(t *testing.T) {
	gate := make(chan struct{})
	s := serve(t, Config{}, Options{Handler: funcs{close: func(*Conn, int, string) { <-gate }}})
	p := s.upgraded("")
	ctx, cancel := context.WithCancel(context.Background())
	go func() { p.expect("88 1001"); cancel() }()
	if err := s.hub.Drain(ctx, GoingAway, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("drain: %v", err)
	}
	close(gate)
}

func TestCloseAll(t *testing.T) {
	s := serve(t, Config{}, Options{})
	a, b := s.dial(nil), s.dial(nil, "scope=other")
	go func() { _, _, _ = a.Read(context.Background()) }()
	if err := s.scope().CloseAll(context.Background(), 4004, "bye"); err != nil {
		t.Fatal(err)
	}
	s.write(b, websocket.MessageText, "still here")
	if got := s.read(b); got != "still here" {
		t.Errorf("the other scope got %q", got)
	}
}

func TestHubCloseIsIdempotent(t *testing.T) {
	rec := newRecorder()
	s := serve(t, Config{}, Options{Handler: rec})
	p := s.upgraded("")
	rec.expect(t, "open")
	go func() { p.expect("88 1001"); _ = p.Close() }()
	s.hub.Close()
	s.hub.Close()
	rec.expect(t, "close 1001 the server is going down")
}
