package host_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
)

// raw is a connection on which a test says what it likes.
type raw struct {
	net.Conn
	t    testing.TB
	read *bufio.Reader
}

func (s *site) dial() *raw {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return &raw{c, s.t, bufio.NewReader(c)}
}

func (c *raw) say(text string) *raw {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Errorf("write: %v", err)
	}
	return c
}

// hears reads one response.
func (c *raw) hears(status int, text string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && status < 400 || resp.StatusCode != status || !strings.Contains(string(body), text) { // after a refusal comes a reset
		c.t.Errorf("got %d %q, %v; want %d with %q", resp.StatusCode, body, err, status, text)
	}
	return resp
}

// ends says whether the server closes the connection, after whatever it still says.
func (c *raw) ends() bool {
	_, err := io.Copy(io.Discard, c.read)
	return err == nil || !errors.Is(err, net.ErrClosed)
}

func TestSlowClients(t *testing.T) {
	s := open(t, t.TempDir(), func(c *host.Config) {
		c.HTTP.HeaderTimeout, c.HTTP.ReadTimeout, c.HTTP.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	})
	s.deploy(page(t, "fine").bundle(t, "tiny", ""))
	for name, text := range map[string]string{
		"nothing":            "",
		"half a header":      "GET /tiny/ HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"half a body":        "POST /tiny/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"half a chunk":       "POST /tiny/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
		"idle after request": "GET /tiny/ HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial().say(text)
			if !c.ends() {
				t.Error("the connection is still open")
			}
		})
	}
	s.want("GET", "/tiny/", "", 200, "fine")
}

// A body is read within its limit, whatever its length is said to be.
func TestBodies(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app", "time: 5s", "time: 5s, body: 1KiB"))
	full := strings.Repeat("a", 1024)
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }
	const head = "POST /app/echo/x HTTP/1.1\r\nHost: x\r\n"
	for _, c := range []struct {
		name, text string
		status     int
		want       string
	}{
		{"as long as may be", head + "Content-Length: 1024\r\n\r\n" + full, 201, full},
		{"says that it is too long", head + "Content-Length: 1025\r\n\r\n", 413, "1024 bytes"},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("one ") + chunk("two") + "0\r\n\r\n", 201, "one two"},
		{"chunks as long as may be", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(full) + "0\r\n\r\n", 201, full},
		{"too many chunks", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(full) + chunk("a"), 413, "1024 bytes"},
		{"no body", head + "Content-Length: 0\r\n\r\n", 201, ""},
		{"two lengths", head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400, ""},
		{"a bad chunk", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "did not arrive"},
		{"waits to be asked", head + "Expect: 100-continue\r\nContent-Length: 4000\r\n\r\n", 413, "1024 bytes"},
		{"HTTP/1.0", "POST /app/echo/x HTTP/1.0\r\nContent-Length: 3\r\n\r\nold", 201, "old"},
		{"no host", "GET /app/ HTTP/1.1\r\n\r\n", 400, ""},
		{"not HTTP", "hello\r\n\r\n", 400, ""},
		{"header too large", "GET /app/ HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("a", 80<<10) + "\r\n\r\n", 431, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := s.dial()
			conn.t = t
			conn.say(c.text).hears(c.status, c.want)
		})
	}
	t.Run("pipelined", func(*testing.T) {
		conn := s.dial()
		var text strings.Builder
		for i := range 50 {
			fmt.Fprintf(&text, "POST /app/echo/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%02d", i)
		}
		conn.say(text.String())
		for i := range 50 {
			conn.hears(201, fmt.Sprintf("%02d", i))
		}
	})
	t.Run("the client goes away in the middle", func(*testing.T) {
		s.dial().say(head + "Content-Length: 1000\r\n\r\nhalf").Close()
		s.want("POST", "/app/echo/x", "next", 201, "next")
	})
}

// What the bodies of all requests hold together is bounded, and given back.
func TestBodiesTogether(t *testing.T) {
	s := open(t, t.TempDir(), func(c *host.Config) {
		c.HTTP.MaxBodyBytes = 64 << 10
		c.HTTP.ReadTimeout = 5 * time.Minute // the first body is on its way for as long as the test lasts
	})
	s.deploy(bundle(t, "app", "time: 5s", "time: 5s, body: 48KiB"))
	const head = "POST /app/echo/x HTTP/1.1\r\nHost: x\r\n"
	half := strings.Repeat("a", 40<<10)
	first := s.dial().say(head + "Content-Length: 40960\r\n\r\n" + half[1:]) // all but a byte
	testkit.Eventually(t, "no room for a second body", func() bool {
		status, _ := s.do("POST", "/app/echo/x", half)
		return status == 503
	})
	s.want("POST", "/app/echo/x", "small", 201, "small")
	first.say("a").hears(201, half)
	s.want("POST", "/app/echo/x", half, 201, half)
}

// Who announces a large body and sends little of it holds little.
func TestBodiesThatDoNotCome(t *testing.T) {
	s := open(t, t.TempDir(), func(c *host.Config) { c.HTTP.MaxBodyBytes = 64 << 10 })
	s.deploy(bundle(t, "app", "time: 5s", "time: 5s, body: 48KiB"))
	body := strings.Repeat("a", 48<<10)
	slow := make([]*raw, 4) // together they announce three times what there is
	for i := range slow {
		slow[i] = s.dial().say("POST /app/echo/x HTTP/1.1\r\nHost: x\r\nContent-Length: 49152\r\n\r\n" + body[:1])
	}
	s.want("POST", "/app/echo/x", body[:32<<10], 201, body[:32<<10])
	for _, c := range slow {
		c.say(body[1:]).hears(201, body)
	}
}

// A house that is full says so at once, and when there is room again it serves again.
func TestThousandRequestsWhileBusy(t *testing.T) {
	release := make(chan struct{})
	blocked := make(chan struct{}, 1)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		blocked <- struct{}{}
		<-release
		fmt.Fprint(w, "free")
	}))
	defer far.Close()
	s := open(t, t.TempDir(), func(c *host.Config) { c.PrivateHosts = []string{"127.0.0.1"} })
	s.deploy(bundle(t, "app", "time: 5s, queue: 30s", "time: 30s, queue: 1ms, instances: 1"))
	first := make(chan string)
	go func() {
		_, text := s.do("GET", "/app/fetch?url="+far.URL, "")
		first <- text
	}()
	<-blocked
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 50 {
		wg.Go(func() {
			for range 20 {
				resp, err := client.Get(s.url + "/app/")
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || err != nil || !strings.Contains(string(text), "busy") {
					t.Errorf("got %d %q, %v", resp.StatusCode, text, err)
				}
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if p := s.Plugins()[0].Pool; p.Busy < 1000 || p.InUse != 1 {
		t.Errorf("%d were refused: %+v", refused.Load(), p)
	}
	close(release)
	if text := <-first; text != "free" {
		t.Errorf("the one that ran: %q", text)
	}
	testkit.Eventually(t, "it serves again", func() bool {
		status, _ := s.do("GET", "/app/", "")
		return status == 200
	})
}

// certificate is httptest's, and a client that trusts it.
func certificate(t *testing.T) (tls.Certificate, *http.Client) {
	t.Helper()
	far := httptest.NewTLSServer(http.NotFoundHandler())
	defer far.Close()
	c := far.Client()
	transport := c.Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = true
	t.Cleanup(transport.CloseIdleConnections)
	return far.TLS.Certificates[0], &http.Client{Transport: transport}
}

func TestHTTPS(t *testing.T) {
	cert, c := certificate(t)
	defer c.CloseIdleConnections()
	s := open(t, t.TempDir(), func(cfg *host.Config) {
		cfg.HTTP.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
		cfg.HTTP.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	s.deploy(bundle(t, "app"))
	url := strings.Replace(s.url, "http://", "https://", 1)
	ask := func(path, body, forwarded string) (string, *http.Response) {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), "POST", url+path, strings.NewReader(body))
		if body == "" {
			r.Method, r.Body = "GET", http.NoBody
		}
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), resp
	}
	text, resp := ask("/app/client", "", "9.9.9.9")
	if text != "9.9.9.9 https" || resp.ProtoMajor != 2 {
		t.Errorf("got %q over %s", text, resp.Proto)
	}
	if text, _ = ask("/app/echo/x", strings.Repeat("body", 50_000), ""); len(text) != 200_000 {
		t.Errorf("%d bytes came back", len(text))
	}
	if _, resp = ask("/app/echo/x", strings.Repeat("x", 2<<20), ""); resp.StatusCode != 413 {
		t.Errorf("a body over the limit: %s", resp.Status)
	}
	var wg sync.WaitGroup
	for i := range 100 { // streams of one connection
		wg.Go(func() {
			if text, _ := ask("/app/echo/x", fmt.Sprint("stream ", i), ""); text != fmt.Sprint("stream ", i) {
				t.Errorf("stream %d: %q", i, text)
			}
		})
	}
	wg.Wait()
	ws, _, err := websocket.Dial(t.Context(), url+"/app/live/x", &websocket.DialOptions{HTTPClient: c})
	if err == nil { // the client asks by HTTP/1.1
		echo(t, ws, "over TLS", "1:over TLS")
		ws.CloseNow()
	} else {
		t.Errorf("socket over TLS: %v", err)
	}
	if resp, err := http.Get(s.url + "/app/"); err == nil { // plain HTTP at the port
		if resp.Body.Close(); resp.StatusCode != 400 {
			t.Errorf("plain HTTP: %s", resp.Status)
		}
	}
}

// echo sends a message and compares the answer.
func echo(t testing.TB, c *websocket.Conn, text, want string) {
	t.Helper()
	if err := c.Write(testkit.Context(t), websocket.MessageText, []byte(text)); err != nil {
		t.Errorf("write: %v", err)
		return
	}
	if _, got, err := c.Read(testkit.Context(t)); err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// gate is a far server whose answer waits until it is opened.
type gate struct {
	*httptest.Server
	entered chan struct{}
	open    func()
}

func newGate(t testing.TB) *gate {
	t.Helper()
	release := make(chan struct{})
	g := &gate{entered: make(chan struct{}, 100), open: sync.OnceFunc(func() { close(release) })}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.entered <- struct{}{}
		<-release
		fmt.Fprint(w, "the gate is open")
	}))
	t.Cleanup(func() { g.open(); g.Close() })
	return g
}

func private(c *host.Config) { c.PrivateHosts = []string{"127.0.0.1"} }

// At shutdown the request in flight is answered, sockets are told, and nobody new is let in.
func TestDrain(t *testing.T) {
	s := open(t, t.TempDir(), private)
	s.deploy(bundle(t, "app", "time: 5s", "time: 30s"))
	g := newGate(t)
	ws, _, err := websocket.Dial(t.Context(), s.url+"/app/live/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	echo(t, ws, "hello", "1:hello")
	answer := make(chan string)
	go func() {
		status, text := s.do("GET", "/app/fetch?url="+g.URL, "")
		answer <- fmt.Sprint(status, " ", text)
	}()
	<-g.entered
	s.drain()
	if _, _, err = ws.Read(testkit.Context(t)); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the socket ended with %v, want 1001", err)
	}
	testkit.Eventually(t, "new connections are refused", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-s.served:
		t.Errorf("Serve returned before the request was answered: %v", err)
		s.served <- nil
	default:
	}
	g.open()
	if got := <-answer; got != "200 the gate is open" {
		t.Errorf("the request in flight: %q", got)
	}
	s.stop()
}

// Close ends what runs when its context ends, and waits for it otherwise.
func TestCloseWhileCallsRun(t *testing.T) {
	for _, c := range []struct {
		name  string
		force bool
	}{{"patient", false}, {"by force", true}} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir(), private)
			s.deploy(bundle(t, "app", "time: 5s", "time: 30s"))
			g := newGate(t)
			answers := make(chan string, 8)
			for range cap(answers) {
				go func() {
					w := httptest.NewRecorder()
					s.ServeHTTP(w, httptest.NewRequest("GET", "/app/fetch?url="+g.URL, http.NoBody))
					answers <- fmt.Sprint(w.Code, " ", w.Body)
				}()
			}
			for range cap(answers) {
				<-g.entered
			}
			ctx, cancel := context.WithCancel(t.Context())
			if c.force {
				cancel()
			}
			closed := make(chan error)
			go func() { closed <- s.Close(ctx) }()
			want := "500 "
			if !c.force {
				testkit.Eventually(t, "it is closing", func() bool {
					_, err := s.Call(t.Context(), "", "app", "twice", nil)
					return err != nil
				})
				g.open()
				want = "200 the gate is open"
			}
			for range cap(answers) {
				if got := <-answers; !strings.HasPrefix(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			cancel()
			if err := <-closed; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			for i, err := range []error{
				func() error { _, err := s.Call(t.Context(), "", "app", "twice", nil); return err }(),
				func() error {
					_, err := s.Deploy(t.Context(), bundle(t, "app"), host.DeployOptions{Approve: true})
					return err
				}(),
				func() error { _, err := s.Rollback(t.Context(), "", "app", "", "", ""); return err }(),
				func() error { return s.Remove(t.Context(), "", "app", "", "") }(),
			} {
				if err == nil {
					t.Errorf("%d works on a closed host", i)
				}
			}
		})
	}
}
