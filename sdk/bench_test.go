package odac

import (
	"testing"

	"github.com/odac-run/odachost/abi"
)

// BenchmarkEvent is the guest's part of one HTTP event, natively: decode, route, handler, encode.
func BenchmarkEvent(b *testing.B) {
	saved := current
	defer func() { current = saved }()
	current = app{}
	Get("/hello/{name}", func(c *Ctx) error { return c.Text(200, "Hello, "+c.Param("name")+"!") })
	req := abi.HTTPRequest{
		Method: "GET", Path: "/hello/ann", Params: []string{"ann"}, Host: "127.0.0.1:8080", Scheme: "http", Remote: "127.0.0.1", ID: "r1",
		Header: []string{"Accept", "text/html", "User-Agent", "a browser", "Accept-Encoding", "gzip", "Connection", "keep-alive"},
	}
	msg, err := req.MarshalMsg(nil)
	if err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, errno := event(abi.EventHTTP, msg, out); errno != 0 {
			b.Fatal(errno)
		}
	}
}
