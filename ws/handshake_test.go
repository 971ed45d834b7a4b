package ws

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// TestHandshake changes one thing at a time in a good request.
func TestHandshake(t *testing.T) {
	s := serve(t, Config{MaxConnsPerAddress: -1}, Options{Subprotocols: []string{"v2", "v1"}})
	for _, tc := range []struct {
		name     string
		from, to string // replaced in the good request; no from: to is appended
		status   int
		header   string // that the answer must have, "Name: value"
	}{
		{name: "good", status: 101, header: "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		{name: "names in other case", from: "Connection: Upgrade\r\nUpgrade: websocket", to: "CONNECTION: uPGRADE\r\nupgrade: WebSocket", status: 101},
		{name: "connection list", from: "Connection: Upgrade", to: "Connection: keep-alive , Upgrade", status: 101},
		{name: "connection in two headers", from: "Connection: Upgrade", to: "Connection: keep-alive\r\nConnection: Upgrade", status: 101},
		{name: "upgrade list", from: "Upgrade: websocket", to: "Upgrade: h2c, websocket", status: 101},
		{name: "POST", from: "GET", to: "POST", status: 405, header: "Allow: GET"},
		{name: "HEAD", from: "GET", to: "HEAD", status: 405},
		{name: "HTTP/1.0", from: "HTTP/1.1", to: "HTTP/1.0", status: 400},
		{name: "no Host", from: "Host: a.example\r\n", status: 400},
		{name: "no Upgrade", from: "Upgrade: websocket\r\n", status: 426, header: "Upgrade: websocket"},
		{name: "other Upgrade", from: "Upgrade: websocket", to: "Upgrade: websockets", status: 426},
		{name: "no Connection", from: "Connection: Upgrade\r\n", status: 400},
		{name: "other Connection", from: "Connection: Upgrade", to: "Connection: Upgraded", status: 400},
		{name: "no version", from: "Sec-WebSocket-Version: 13\r\n", status: 426, header: "Sec-Websocket-Version: 13"},
		{name: "version 8", from: "Version: 13", to: "Version: 8", status: 426, header: "Sec-Websocket-Version: 13"},
		{name: "version twice", to: "Sec-WebSocket-Version: 13\r\n", status: 426},
		{name: "version list", from: "Version: 13", to: "Version: 13, 8", status: 426},
		{name: "no key", from: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", status: 400},
		{name: "key twice", to: "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", status: 400},
		{name: "key of 15 bytes", from: "dGhlIHNhbXBsZSBub25jZQ==", to: "dGhlIHNhbXBsZSBub25j", status: 400},
		{name: "key not base64", from: "dGhlIHNhbXBsZSBub25jZQ==", to: "dGhlIHNhbXBsZSBub25j!Q==", status: 400},
		{name: "key without padding", from: "ZQ==", to: "ZQ", status: 400},
		{name: "key with loose bits", from: "ZQ==", to: "ZR==", status: 400},
		{name: "body", to: "Content-Length: 1\r\n", status: 400},
		{name: "chunked", to: "Transfer-Encoding: chunked\r\n", status: 400},
		{name: "same origin", to: "Origin: http://a.example\r\n", status: 101},
		{name: "same origin, default port", to: "Origin: https://A.example:443\r\n", status: 101},
		{name: "other origin", to: "Origin: http://b.example\r\n", status: 403},
		{name: "origin below", to: "Origin: http://x.a.example\r\n", status: 403},
		{name: "other port", to: "Origin: http://a.example:81\r\n", status: 403},
		{name: "null origin", to: "Origin: null\r\n", status: 403},
		{name: "two origins", to: "Origin: http://a.example\r\nOrigin: http://a.example\r\n", status: 403},
		{name: "origin with a path", to: "Origin: http://a.example/x\r\n", status: 403},
		{name: "origin with a user", to: "Origin: http://a.example@b.example\r\n", status: 403},
		{name: "sub-protocol", to: "Sec-WebSocket-Protocol: v1\r\n", status: 101, header: "Sec-Websocket-Protocol: v1"},
		{name: "our best sub-protocol", to: "Sec-WebSocket-Protocol: v1, v2\r\n", status: 101, header: "Sec-Websocket-Protocol: v2"},
		{name: "never the token", to: "Sec-WebSocket-Protocol: token.abc, v1\r\n", status: 101, header: "Sec-Websocket-Protocol: v1"},
		{name: "only a token", to: "Sec-WebSocket-Protocol: token.abc\r\n", status: 101, header: "Sec-Websocket-Protocol: "},
		{name: "sub-protocol twice", to: "Sec-WebSocket-Protocol: v1, v1\r\n", status: 400},
		{name: "sub-protocol no token", to: "Sec-WebSocket-Protocol: v 1\r\n", status: 400},
		{name: "sub-protocol empty", to: "Sec-WebSocket-Protocol:\r\n", status: 400},
		{name: "extension", to: deflateOffer, status: 101, header: "Sec-Websocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{name: "unknown extension", to: "Sec-WebSocket-Extensions: x-zip\r\n", status: 101, header: "Sec-Websocket-Extensions: "},
		{name: "extension without sense", to: "Sec-WebSocket-Extensions: permessage-deflate; =\r\n", status: 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := strings.Replace(goodRequest, tc.from, tc.to, 1)
			if tc.from == "" {
				req = goodRequest + tc.to
			}
			p := (&server{t, s.hub, s.http, s.addr}).raw()
			p.send([]byte(req + "\r\n"))
			res := p.response()
			if res.StatusCode != tc.status {
				t.Fatalf("status %d, want %d", res.StatusCode, tc.status)
			}
			name, value, ok := strings.Cut(tc.header, ": ")
			if ok && res.Header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, res.Header.Get(name), value)
			}
		})
	}
}

func TestEarlyDataIsRefused(t *testing.T) {
	s := serve(t, Config{}, Options{})
	p := s.raw()
	p.send(append([]byte(goodRequest+"\r\n"), frame(finText, "early")...))
	if res := p.response(); res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", res.StatusCode)
	}
	eventually(t, "the place is free again", func() bool { return s.hub.Stat().Conns == 0 })
}

func TestHeadersOfTheMiddlewareTravel(t *testing.T) {
	hub := newHub(t, Config{})
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		w.Header().Set("Sec-WebSocket-Protocol", "forged")
		_, _ = hub.Upgrade(w, r, Options{Handler: echo{}})
	}))
	t.Cleanup(h.Close)
	p := (&server{t: t, addr: h.Listener.Addr().String()}).raw()
	p.send([]byte(goodRequest + "\r\n"))
	res := p.response()
	if res.Header.Get("Set-Cookie") != "session=1" || res.Header.Get("Sec-WebSocket-Protocol") != "" {
		t.Errorf("headers of the 101: %v", res.Header)
	}
}

func TestUpgradeErrors(t *testing.T) {
	hub := newHub(t, Config{})
	good := httptest.NewRequest(http.MethodGet, "/", nil)
	for k, v := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		good.Header.Set(k, v)
	}
	rec := httptest.NewRecorder() // cannot be hijacked
	_, err := hub.Upgrade(rec, good, Options{Handler: echo{}})
	var he *HandshakeError
	if !errors.As(err, &he) || he.Status != 500 || rec.Code != 500 {
		t.Errorf("not to be hijacked: %v, status %d", err, rec.Code)
	}
	for field, o := range map[string]Options{
		"Options.Handler":         {},
		"Options.Slow":            {Handler: echo{}, Slow: 9},
		"Options.Subprotocols":    {Handler: echo{}, Subprotocols: []string{"a b"}},
		"Options.Origins":         {Handler: echo{}, Origins: []string{"example.com"}},
		"Options.MaxMessageBytes": {Handler: echo{}, MaxMessageBytes: -2},
		"Options.PingInterval":    {Handler: echo{}, PingInterval: -2},
	} {
		rec := httptest.NewRecorder()
		_, err := hub.Upgrade(rec, good, o)
		var ce *ConfigError
		if !errors.As(err, &ce) || ce.Field != field || rec.Code != 500 {
			t.Errorf("%s: %v, status %d", field, err, rec.Code)
		}
	}
	if _, err := New(Config{MaxConns: -3}); err == nil {
		t.Error("MaxConns of -3 was taken")
	}
	if st := hub.Stat(); st.Conns != 0 || st.Refused != 7 {
		t.Errorf("after 7 refusals: %+v", st)
	}
}

func TestOrigins(t *testing.T) {
	for _, tc := range []struct {
		origin  string
		allowed []string
		want    bool
	}{
		{"https://app.example.com", []string{"https://app.example.com"}, true},
		{"https://app.example.com:443", []string{"https://app.example.com"}, true},
		{"http://app.example.com", []string{"https://app.example.com"}, false},
		{"https://app.example.com.evil.net", []string{"https://app.example.com"}, false},
		{"https://app.example.com", []string{"*.example.com"}, true},
		{"https://example.com", []string{"*.example.com"}, false},
		{"https://evilexample.com", []string{"*.example.com"}, false},
		{"https://a.example.com:8443", []string{"*.example.com"}, true},
		{"null", []string{"*"}, true},
		{"null", []string{"*.example.com"}, false},
		{"https://self.test", []string{}, false},
		{"http://[::1]:80", nil, false},
		{"http://self.test", nil, true},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://self.test/", nil)
		r.Header.Set("Origin", tc.origin)
		if got := originAllowed(r, tc.allowed); got != tc.want {
			t.Errorf("%s with %q: %v", tc.origin, tc.allowed, got)
		}
	}
}

func TestNegotiateDeflate(t *testing.T) {
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for header, want := range map[string]string{
		"permessage-deflate":                                                         plain,
		"Permessage-Deflate":                                                         plain,
		"permessage-deflate; client_max_window_bits":                                 plain,
		"permessage-deflate; client_max_window_bits=9":                               plain,
		`permessage-deflate; client_max_window_bits="10"`:                            plain,
		"permessage-deflate; server_no_context_takeover":                             plain,
		"permessage-deflate; server_max_window_bits=15":                              plain + "; server_max_window_bits=15",
		"permessage-deflate; server_max_window_bits=10":                              "",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":          plain,
		"permessage-deflate; server_max_window_bits":                                 "",
		"permessage-deflate; server_max_window_bits=015":                             "",
		"permessage-deflate; client_max_window_bits=16":                              "",
		"permessage-deflate; client_max_window_bits=7":                               "",
		"permessage-deflate; client_no_context_takeover=1":                           "",
		"permessage-deflate; client_no_context_takeover; client_no_context_takeover": "",
		"permessage-deflate; unknown":                                                "",
		"permessage-bzip2, permessage-deflate":                                       plain,
		"x; a=b; c":                                                                  "",
		" , permessage-deflate ,, ":                                                  plain,
	} {
		offers, ok := parseExtensions(header)
		if !ok {
			t.Errorf("%q was not understood", header)
		}
		got, _ := negotiateDeflate(offers)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", header, diff)
		}
	}
	for _, header := range []string{"", ",", "a b", "a;", "a;b=", "a;=b", `a;b="`, `a;b="x y"`, "a=b", "a;b=c d", `a;b="x\`, "(", "a;b=ü"} {
		if _, ok := parseExtensions(header); ok {
			t.Errorf("%q was taken", header)
		}
	}
}

// TestStrictClient talks with and without compression to a client that checks the server.
func TestStrictClient(t *testing.T) {
	s := serve(t, Config{}, Options{Subprotocols: []string{"v1"}})
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionNoContextTakeover, websocket.CompressionContextTakeover} {
		c := s.dial(&websocket.DialOptions{CompressionMode: mode, Subprotocols: []string{"v1"}})
		if c.Subprotocol() != "v1" {
			t.Errorf("sub-protocol %q", c.Subprotocol())
		}
		for _, n := range []int{0, 1, 125, 126, 511, 512, 4096, 65535, 65536, 1 << 20} {
			msg := strings.Repeat("äbc", n/4+1)[:n/4*4]
			s.write(c, websocket.MessageText, msg)
			if got := s.read(c); got != msg {
				t.Fatalf("mode %v: %d bytes came back as %d others", mode, len(msg), len(got))
			}
		}
		_ = c.CloseNow()
	}
}
