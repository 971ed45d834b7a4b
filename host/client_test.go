package host

import (
	"net/http"
	"net/netip"
	"testing"
)

// Whose word counts for where a request came from.
func TestForwarded(t *testing.T) {
	for _, c := range []struct {
		name    string
		trusted string
		header  []string
		proto   string
		want    string
	}{
		{"nobody is trusted", "", []string{"9.9.9.9"}, "https", "127.0.0.1 http"},
		{"another is trusted", "10.0.0.0/8", []string{"9.9.9.9"}, "https", "127.0.0.1 http"},
		{"the proxy is trusted", "127.0.0.0/8", []string{"9.9.9.9"}, "https", "9.9.9.9 https"},
		{"the last word counts", "127.0.0.0/8", []string{"6.6.6.6, 9.9.9.9"}, "http", "9.9.9.9 http"},
		{"a chain of proxies", "127.0.0.0/8", []string{"6.6.6.6, 9.9.9.9, 127.0.0.2"}, "https", "9.9.9.9 https"},
		{"two headers", "127.0.0.0/8", []string{"6.6.6.6", "9.9.9.9"}, "https", "9.9.9.9 https"},
		{"garbage", "127.0.0.0/8", []string{"<script>"}, "gopher", "127.0.0.1 http"},
		{"garbage behind a hop", "127.0.0.0/8", []string{"garbage, 127.0.0.9"}, "https", "127.0.0.9 https"},
		{"nothing", "127.0.0.0/8", nil, "", "127.0.0.1 http"},
		{"IPv6", "127.0.0.0/8", []string{"2001:db8::1"}, "https", "2001:db8::1 https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := new(Host)
			if c.trusted != "" {
				h.config.HTTP.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
			}
			r := &http.Request{RemoteAddr: "127.0.0.1:5000", Header: http.Header{"X-Forwarded-For": c.header, "X-Forwarded-Proto": {c.proto}}}
			address, scheme := h.client(r)
			if got := address + " " + scheme; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
