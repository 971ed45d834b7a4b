package ws

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for what must happen. It is never a measure of speed.
const patience = 30 * time.Second

// funcs is a handler of functions, each of which may be nil.
type funcs struct {
	open    func(*Conn)
	message func(*Conn, Message)
	close   func(*Conn, int, string)
}

func (f funcs) Open(c *Conn) {
	if f.open != nil {
		f.open(c)
	}
}

func (f funcs) Message(c *Conn, m Message) {
	if f.message != nil {
		f.message(c, m)
	}
}

func (f funcs) Close(c *Conn, code int, reason string) {
	if f.close != nil {
		f.close(c, code, reason)
	}
}

// recorder echoes, and tells what it sees.
type recorder struct{ events chan string }

func newRecorder() recorder { return recorder{make(chan string, 10_000)} }

func (r recorder) Open(*Conn) { r.events <- "open" }

func (r recorder) Message(c *Conn, m Message) {
	r.events <- fmt.Sprintf("%s %q", m.Type, m.Data)
	_ = c.Send(m) // closed: the test sees it
}

func (r recorder) Close(_ *Conn, code int, reason string) {
	r.events <- fmt.Sprintf("close %d %s", code, reason)
}

func (r recorder) expect(t testing.TB, want string) {
	t.Helper()
	if got := receive(t, r.events); got != want {
		t.Errorf("handler saw %q, want %q", got, want)
	}
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

type echo struct{ funcs }

func (echo) Message(c *Conn, m Message) { _ = c.Send(m) }

// server is a hub behind net/http on a loopback socket.
type server struct {
	t    testing.TB
	hub  *Hub
	http *httptest.Server
	addr string
}

func newHub(t testing.TB, cfg Config) *Hub {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	hub, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	return hub
}

func serve(t testing.TB, cfg Config, o Options) *server {
	t.Helper()
	hub := newHub(t, cfg)
	if o.Scope == "" {
		o.Scope = "s"
	}
	if o.Handler == nil {
		o.Handler = echo{}
	}
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := o
		if s := r.URL.Query().Get("scope"); s != "" {
			o.Scope = s
		}
		if s := r.URL.Query().Get("route"); s != "" {
			o.Route = s
		}
		_, _ = hub.Upgrade(w, r, o) // the client sees the answer
	}))
	h.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	h.Start()
	t.Cleanup(h.Close)
	return &server{t, hub, h, h.Listener.Addr().String()}
}

func (s *server) scope() *Scope { return s.hub.Scope("s") }

// dial connects the strict client.
func (s *server) dial(o *websocket.DialOptions, query ...string) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+s.addr+"/?"+strings.Join(query, "&"), o)
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetReadLimit(-1)
	s.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func (s *server) write(c *websocket.Conn, typ websocket.MessageType, data string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Write(ctx, typ, []byte(data)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) read(c *websocket.Conn) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := c.Read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// eventually waits until the hub is in a state.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("never happened: " + what)
		}
	}
}

// peer is a client of bytes.
type peer struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

const goodRequest = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (s *server) raw() *peer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	if _, bench := s.t.(*testing.B); !bench {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			s.t.Fatal(err)
		}
	}
	return &peer{s.t, c, bufio.NewReader(c)}
}

// upgraded is a peer after its handshake. Extra are header lines with their ends.
func (s *server) upgraded(extra string) *peer {
	s.t.Helper()
	p := s.raw()
	p.send([]byte(goodRequest + extra + "\r\n"))
	res := p.response()
	if res.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("handshake answered %s", res.Status)
	}
	return p
}

func (p *peer) response() *http.Response {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// frame makes a client's frame. The first byte is flags and opcode.
func frame(first byte, payload string) []byte {
	return maskedFrame(first, payload, [4]byte{1, 2, 3, 4})
}

func maskedFrame(first byte, payload string, key [4]byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i&3])
	}
	return b
}

func closePayload(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// next reads a server's frame: "81 text", "88 1002 reason", or "EOF".
func (p *peer) next() string {
	p.t.Helper()
	first, payload, err := p.readFrame()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.t.Fatal("nothing came")
		return ""
	case err != nil:
		return "EOF"
	case first&0xf == opClose && len(payload) >= 2:
		return fmt.Sprintf("%x %d", first, binary.BigEndian.Uint16(payload))
	default:
		return strings.TrimSpace(fmt.Sprintf("%x %s", first, payload))
	}
}

func (p *peer) readFrame() (first byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	switch head[1] {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(p.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(p.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.r, payload)
	return head[0], payload, err
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.next(); got != w {
			p.t.Errorf("got frame %.100q, want %.100q", got, w)
		}
	}
}
