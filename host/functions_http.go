package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/odac-run/odachost/abi"
)

// odac:http/v1: outbound requests to granted hosts. The grant is checked for the URL and for each redirect, the
// address after it was resolved: a public name that points inside is refused like the address itself.

func httpModule() hostModule {
	return hostModule{abi.ModuleHTTP, []hostFunction{{abi.FuncFetch, fetch}}}
}

const maxRedirects = 10

// newFetcher is the transport of all outbound requests. Private addresses are refused when the connection is made,
// unless the operator named the host.
func newFetcher(private map[string]bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			d := *dialer
			if host, _, err := net.SplitHostPort(address); err != nil || !private[host] {
				d.Control = refusePrivate
			}
			return d.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    8,
		MaxConnsPerHost:        64,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// refusePrivate runs after the name was resolved and before the connection is made.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(ap.Addr().Unmap()) {
		return abi.NewError(abi.ErrnoDenied, fmt.Sprintf("%s is not a public address: the operator can allow the host in http.private_hosts", ap.Addr()))
	}
	return nil
}

// special are the ranges that are not the public internet and that netip has no predicate for (RFC 6890, RFC 6598,
// RFC 6052, RFC 3056, RFC 4291 section 2.5.5.1, RFC 9637, RFC 9602).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"),
}

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

func fetch(c *call, req, resp []byte) ([]byte, error) {
	var in abi.FetchRequest
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	out, err := c.fetch(&in)
	if err != nil {
		return nil, err
	}
	return reply(resp, out)
}

// fetch sends a request where the plugin may, as long as its budget and its deadline allow.
func (c *call) fetch(in *abi.FetchRequest) (*abi.FetchResponse, error) {
	c.requests++
	if c.requests > c.rev.limits.MaxRequests {
		return nil, abi.NewError(abi.ErrnoLimit, "over limits.requests of plugin.yaml")
	}
	ctx := c.context()
	if in.Timeout > 0 && in.Timeout < int64(time.Hour/time.Millisecond) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(in.Timeout)*time.Millisecond)
		defer cancel()
	}
	out, err := newFetch(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := c.mayFetch(out.URL); err != nil {
		return nil, err
	}
	client := http.Client{Transport: c.rev.host.fetcher, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case in.Redirect < 0:
			return http.ErrUseLastResponse
		case len(via) > maxRedirects, in.Redirect > 0 && len(via) > in.Redirect:
			return abi.NewError(abi.ErrnoLimit, "too many redirects")
		}
		return c.mayFetch(next.URL)
	}}
	c.ec.Wait()
	answer, err := client.Do(out)
	if err != nil {
		return nil, fetchError(err)
	}
	defer answer.Body.Close()
	return readFetch(c, answer)
}

func newFetch(ctx context.Context, in *abi.FetchRequest) (*http.Request, error) {
	out, err := http.NewRequestWithContext(ctx, in.Method, in.URL, bytes.NewReader(in.Body))
	if err != nil {
		return nil, invalid("outbound request: %v", err)
	}
	if out.URL.Scheme != "http" && out.URL.Scheme != "https" {
		return nil, invalid("outbound request: %q is neither http nor https", in.URL)
	}
	if len(in.Header)%2 != 0 {
		return nil, invalid("outbound request: header items are pairs of name and value")
	}
	for i := 0; i < len(in.Header); i += 2 {
		name, value := in.Header[i], in.Header[i+1]
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, invalid("outbound request: HTTP does not allow the header %q: %q", name, value)
		}
		if name = http.CanonicalHeaderKey(name); !hopByHop[name] && name != "Host" {
			out.Header.Add(name, value)
		}
	}
	return out, nil
}

func (c *call) mayFetch(u *url.URL) error {
	if err := c.rev.grants.Host(u.Hostname()); err != nil {
		return abi.NewError(abi.ErrnoDenied, err.Error())
	}
	return nil
}

func readFetch(c *call, answer *http.Response) (*abi.FetchResponse, error) {
	limit := c.rev.limits.ResultBytes
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, fetchError(err)
	}
	if int64(len(body)) > limit {
		return nil, abi.NewError(abi.ErrnoTooLarge, "the answer's body is over limits.result of plugin.yaml")
	}
	out := &abi.FetchResponse{Status: answer.StatusCode, URL: answer.Request.URL.String(), Body: body}
	for name, values := range answer.Header {
		for _, v := range values {
			out.Header = append(out.Header, name, v)
		}
	}
	return out, nil
}

// fetchError is the map from transport errors to errnos. What the guest sees names no address of the host's network.
func fetchError(err error) error {
	var known *abi.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &dns):
		return abi.NewError(abi.ErrnoUnavailable, "outbound request: no such host")
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return abi.NewError(abi.ErrnoTimeout, "outbound request: no answer in time")
	}
	return abi.NewError(abi.ErrnoUnavailable, "outbound request: the host cannot be reached, or answered something that is not HTTP")
}
