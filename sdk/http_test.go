package odac

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
)

// fresh gives the test an app of its own.
func fresh(t testing.TB) {
	saved := current
	current = app{}
	t.Cleanup(func() { current = saved })
}

// serveOnce registers a handler and sends it one request.
func serveOnce(t testing.TB, pattern string, req abi.HTTPRequest, h Handler, mw ...Middleware) abi.HTTPResponse {
	t.Helper()
	fresh(t)
	Handle(req.Method, pattern, h, mw...)
	start(t, "")
	return send(t, abi.EventHTTP, req)
}

func start(t testing.TB, mount string) abi.Registration {
	t.Helper()
	hello := abi.Hello{ABI: abi.Version, Mount: mount}
	msg, err := hello.MarshalMsg(nil)
	if err != nil {
		t.Fatal(err)
	}
	out, errno := register(msg)
	if errno != 0 {
		t.Fatalf("register: %s", out)
	}
	var reg abi.Registration
	if _, err := reg.UnmarshalMsg(out); err != nil {
		t.Fatal(err)
	}
	return reg
}

func send(t testing.TB, kind abi.EventKind, req abi.HTTPRequest) (resp abi.HTTPResponse) {
	t.Helper()
	msg, err := req.MarshalMsg(nil)
	if err != nil {
		t.Fatal(err)
	}
	out, errno := event(kind, msg, nil)
	if errno != 0 {
		t.Fatalf("event: %v %s", errno.Kind(), out)
	}
	if _, err := resp.UnmarshalMsg(out); err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestRequest(t *testing.T) {
	req := abi.HTTPRequest{
		Method: "POST", Path: "/a/1/b/x/y", Params: []string{"1", "x/y"}, Query: "q=a+b&q=c&bad=%zz&empty", Body: []byte("name=J%C3%BCrgen&x=1&x=2"),
		Header: []string{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8", "Cookie", `a=1; b="2"`, "X-One", "1", "X-One", "2"},
		Host:   "example.org", Scheme: "https", Remote: "192.0.2.7", ID: "r9",
	}
	serveOnce(t, "/a/{id}/b/{rest...}", req, func(c *Ctx) error {
		for _, x := range []struct{ what, got, want string }{
			{"Method", c.Method(), "POST"},
			{"Path", c.Path(), req.Path},
			{"Pattern", c.Pattern(), "/a/{id}/b/{rest...}"},
			{"Param id", c.Param("id"), "1"},
			{"Param rest", c.Param("rest"), "x/y"},
			{"Param none", c.Param("none"), ""},
			{"Query q", c.Query("q"), "a b"},
			{"Query empty", c.Query("empty"), ""},
			{"Query bad", c.Query("bad"), ""},
			{"QueryValues", strings.Join(c.QueryValues()["q"], "|"), "a b|c"},
			{"Form", c.Form("name"), "Jürgen"},
			{"Form x", c.Form("x"), "1"},
			{"Header", c.Header("x-one"), "1"},
			{"Headers", strings.Join(c.Headers().Values("X-ONE"), ""), "12"},
			{"Cookie a", c.Cookie("a"), "1"},
			{"Cookie b", c.Cookie("b"), "2"},
			{"Cookie c", c.Cookie("c"), ""},
			{"Body", string(c.Body()), string(req.Body)},
			{"Host", c.Host(), "example.org"},
			{"Scheme", c.Scheme(), "https"},
			{"Remote", c.Remote(), "192.0.2.7"},
			{"RequestID", c.RequestID(), "r9"},
		} {
			if x.got != x.want {
				t.Errorf("%s is %q, want %q", x.what, x.got, x.want)
			}
		}
		return nil
	})
}

func TestReplies(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for name, c := range map[string]struct {
		handler Handler
		status  int
		body    string
		header  string
	}{
		"text":         {func(c *Ctx) error { return c.Text(201, "hi") }, 201, "hi", "text/plain; charset=utf-8"},
		"html":         {func(c *Ctx) error { return c.HTML(200, "<p>") }, 200, "<p>", "text/html; charset=utf-8"},
		"json":         {func(c *Ctx) error { return c.JSON(200, map[string]int{"a": 1}) }, 200, `{"a":1}`, "application/json"},
		"bytes":        {func(c *Ctx) error { return c.Bytes(200, "image/png", []byte{1}) }, 200, "\x01", "image/png"},
		"long":         {func(c *Ctx) error { return c.Text(200, long) }, 200, long, "text/plain; charset=utf-8"},
		"own type":     {func(c *Ctx) error { c.SetHeader("content-type", "text/csv"); return c.Text(200, "a") }, 200, "a", "text/csv"},
		"no content":   {func(c *Ctx) error { return c.NoContent() }, 204, "", ""},
		"nothing":      {func(*Ctx) error { return nil }, 0, "", ""},
		"not found":    {func(c *Ctx) error { return c.NotFound() }, 404, "Not found\n", "text/plain; charset=utf-8"},
		"error":        {func(*Ctx) error { return errors.New("secret") }, 500, "Something went wrong (r9)\n", "text/plain; charset=utf-8"},
		"kind":         {func(*Ctx) error { return Errorf(Conflict, "secret %d", 1) }, 409, "That is already there, or still in use (r9)\n", "text/plain; charset=utf-8"},
		"wrapped":      {func(*Ctx) error { return fmt.Errorf("a: %w", Errorf(Limit, "secret")) }, 429, "Too much at once; try again later (r9)\n", "text/plain; charset=utf-8"},
		"public":       {func(*Ctx) error { return Fail(Invalid, "Too short.") }, 400, "Too short.\n", "text/plain; charset=utf-8"},
		"panic":        {func(*Ctx) error { panic("secret") }, 500, "Something went wrong (r9)\n", "text/plain; charset=utf-8"},
		"late error":   {func(c *Ctx) error { _ = c.Text(200, "begun"); return errors.New("secret") }, 500, "Something went wrong (r9)\n", "text/plain; charset=utf-8"},
		"bad template": {func(c *Ctx) error { return c.Render(200, failing{}, nil) }, 500, "Something went wrong (r9)\n", "text/plain; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := serveOnce(t, "/", abi.HTTPRequest{Method: "GET", Path: "/", ID: "r9"}, c.handler)
			if resp.Status != c.status || string(resp.Body) != c.body || Header(resp.Header).Get("Content-Type") != c.header {
				t.Errorf("%d %q %q, want %d %q %q", resp.Status, resp.Body, resp.Header, c.status, c.body, c.header)
			}
		})
	}
}

type failing struct{}

func (failing) Execute(w io.Writer, _ any) error {
	_, _ = w.Write([]byte("half a page"))
	return errors.New("secret")
}

func TestRedirect(t *testing.T) {
	fresh(t)
	Get("/", func(c *Ctx) error { return c.Redirect(c.Query("to")) })
	start(t, "/blog")
	for to, want := range map[string]string{"/a?b=c": "/blog/a?b=c", "/": "/blog/"} {
		resp := send(t, abi.EventHTTP, abi.HTTPRequest{Query: "to=" + url.QueryEscape(to)})
		if got := Header(resp.Header).Get("Location"); resp.Status != 303 || got != want {
			t.Errorf("to %q: %d %q, want 303 %q", to, resp.Status, got, want)
		}
	}
	for _, to := range []string{"", "a", "//evil.example", "https://evil.example", `/\evil.example`, "/\r\nSet-Cookie: a=b", "/\t/evil.example"} {
		if resp := send(t, abi.EventHTTP, abi.HTTPRequest{Query: "to=" + url.QueryEscape(to)}); resp.Status != 400 {
			t.Errorf("to %q: %d %q, want 400", to, resp.Status, resp.Header)
		}
	}
}

func TestMiddlewareOrder(t *testing.T) {
	fresh(t)
	var trace []string
	mw := func(name string) Middleware {
		return func(next Handler) Handler {
			return func(c *Ctx) error { trace = append(trace, name); return next(c) }
		}
	}
	Get("/", func(*Ctx) error { trace = append(trace, "handler"); return nil }, mw("route1"), mw("route2"))
	Use(mw("all1"), mw("all2"))
	start(t, "")
	send(t, abi.EventHTTP, abi.HTTPRequest{})
	if want := []string{"all1", "all2", "route1", "route2", "handler"}; !slices.Equal(trace, want) {
		t.Errorf("%q, want %q", trace, want)
	}
}

func TestSetCookie(t *testing.T) {
	for _, c := range []struct {
		cookie Cookie
		want   string
	}{
		{Cookie{Name: "a", Value: "1"}, "a=1; Path=/; HttpOnly; SameSite=Lax; Secure"},
		{Cookie{Name: "a", Path: "/x", Domain: "example.org", MaxAge: 90*time.Second + 1, SameSite: "Strict", Scripts: true, Insecure: true}, "a=; Path=/x; Domain=example.org; Max-Age=91; SameSite=Strict"},
		{Cookie{Name: "a", MaxAge: -1}, "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"},
		{Cookie{Name: "a", Value: "x; Domain=evil"}, ""},
		{Cookie{Name: "a=b"}, ""},
		{Cookie{Name: "a", SameSite: "no"}, ""},
	} {
		resp := serveOnce(t, "/", abi.HTTPRequest{Scheme: "https"}, func(ctx *Ctx) error {
			if err := ctx.SetCookie(c.cookie); (err == nil) != (c.want != "") {
				t.Errorf("%+v: %v", c.cookie, err)
			}
			return nil
		})
		if got := Header(resp.Header).Get("Set-Cookie"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestBadRegistrations(t *testing.T) {
	fresh(t)
	Get("posts", func(*Ctx) error { return nil })
	Get("/nil", nil)
	Every("fast", time.Millisecond, func(Tick) error { return nil })
	Cron("line", "0 3 * *", func(Tick) error { return nil })
	Func("twice", func(b []byte) ([]byte, error) { return b, nil })
	Func("twice", func(b []byte) ([]byte, error) { return b, nil })
	hello := abi.Hello{}
	msg, _ := hello.MarshalMsg(nil)
	out, errno := register(msg)
	if errno != abi.ErrnoInvalid {
		t.Fatalf("errno %v, want invalid", errno)
	}
	for _, want := range []string{"GET posts", "slash", "GET /nil has no handler", "schedule fast", "schedule line", "4 fields", "func twice"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q does not say %q", out, want)
		}
	}
}

// FuzzValues compares with net/url.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a=%41+b&a", "%zz=1", "=&=", "a=%2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, ";") || strings.Count(s, "&") >= maxFormFields {
			t.Skip("net/url refuses semicolons, and we many fields")
		}
		want, wantErr := url.ParseQuery(s)
		got, err := parseValues(s)
		if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(map[string][]string(got), map[string][]string(want)) {
			t.Errorf("%q, %v, want %q, %v", got, err, want, wantErr)
		}
		for name := range want {
			if v := queryValue(s, name); v != want.Get(name) {
				t.Errorf("%s is %q, want %q", name, v, want.Get(name))
			}
		}
	})
}

// FuzzEvent sends anything at all as an event: the answer is an error or a reply, never a panic.
func FuzzEvent(f *testing.F) {
	req := abi.HTTPRequest{Method: "GET", Path: "/x", Params: []string{"7"}, Header: []string{"A", "b"}, Body: []byte("a=b")}
	msg, err := req.MarshalMsg(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(abi.EventHTTP), msg)
	ev := abi.SocketEvent{ID: "s", Params: []string{"r"}, Data: []byte{1}, Body: []byte("hi"), Code: 1000}
	if msg, err = ev.MarshalMsg(nil); err != nil {
		f.Fatal(err)
	}
	f.Add(byte(abi.EventSocketMessage), msg)
	fresh(f)
	Handle("", "/{id}", func(c *Ctx) error {
		return c.Text(200, c.Param("id")+c.Header("A")+c.Query("q")+c.Form("a")+c.Cookie("c"))
	})
	Socket("/{room}", SocketHandler{
		Upgrade: func(c *Ctx) error { return c.Text(200, c.Param("room")) },
		Message: func(c *Conn, m Message) error { return errors.New(c.Param("room") + m.Text() + c.Query("q")) },
		Close:   func(_ *Conn, code int, reason string) error { return errors.New(reason + fmt.Sprint(code)) },
	})
	Every("s", time.Hour, func(Tick) error { return nil })
	Func("f", func(b []byte) ([]byte, error) { return b, nil })
	f.Fuzz(func(t *testing.T, kind byte, msg []byte) {
		out, errno := event(abi.EventKind(kind), msg, nil)
		if errno == abi.ErrnoInternal && strings.Contains(string(out), "panic") {
			t.Errorf("a panic for %x", msg)
		}
	})
}
