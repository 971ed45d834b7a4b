package host

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/netutil"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/ws"
)

// Serve answers HTTP on l with the limits and timeouts of [Config] until ctx ends; then it drains: it refuses new
// connections, finishes requests, closes sockets, and returns once all are done or [HTTPConfig].DrainTime has passed.
func (h *Host) Serve(ctx context.Context, l net.Listener) error {
	cfg := h.config.HTTP
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    int(cfg.MaxHeaderBytes),
		ErrorLog:          h.serverLog(),
	}
	failed := make(chan error, 1)
	l = netutil.LimitListener(l, cfg.MaxConns)
	if cfg.TLS != nil {
		l = tls.NewListener(l, cfg.TLS)
	}
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.DrainTime)
	defer cancel()
	sockets := make(chan error, 1)
	go func() { sockets <- h.hub.Drain(drain, ws.GoingAway, "the server is stopping") }()
	err := errors.Join(server.Shutdown(drain), <-sockets)
	if err != nil {
		_ = server.Close()
	}
	<-failed
	return err
}

// ServeHTTP finds the deployment that the request is for, holds its revision for as long as it takes, and lets the
// revision's patterns choose the route.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := h.routes.Load().find(r.Host, r.URL.Path)
	if d == nil {
		http.Error(w, "404 nothing is deployed here", http.StatusNotFound)
		return
	}
	rev := d.acquire()
	if rev == nil { // it is being removed, or the host is closing
		h.refuse(w, r, h.ids.next(), ErrClosed)
		return
	}
	defer rev.release()
	rev.mux.ServeHTTP(w, r)
}

// ServeHTTP answers one request of a route: the whole body is read before an instance is taken, and the instance is
// given back before the answer is written, so that a slow client holds nothing.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, rev := rt.rev.host, rt.rev
	if rt.socket {
		rt.upgrade(w, r)
		return
	}
	in, release := rt.request(r), func() {}
	if r.Body != http.NoBody && r.ContentLength != 0 {
		var err error
		if in.Body, release, err = h.readBody(w, r, rev.limits.BodyBytes); err != nil {
			release()
			h.refuse(w, r, in.ID, err)
			return
		}
	}
	var out abi.HTTPResponse
	err := rev.event(r.Context(), abi.EventHTTP, in.ID, in, &out, false)
	in.Body = nil
	release() // before the answer goes to a client that may be slow
	if err != nil {
		h.refuse(w, r, in.ID, err)
		return
	}
	if err := write(w, &out, rev.limits.ResponseBytes); err != nil {
		rev.log.Error("bad response", "id", in.ID, "error", err)
		h.refuse(w, r, in.ID, err)
	}
}

// request is the event of a matched request, without the body.
func (rt *route) request(r *http.Request) *abi.HTTPRequest {
	h := rt.rev.host
	in := &abi.HTTPRequest{
		Route:  rt.index,
		Method: r.Method,
		Path:   strings.TrimPrefix(r.URL.Path, rt.rev.prefix),
		Query:  r.URL.RawQuery,
		Host:   r.Host,
		ID:     h.ids.next(),
	}
	if len(rt.names) > 0 {
		in.Params = rt.params(r, nil)
	}
	in.Remote, in.Scheme = h.client(r)
	in.Header = make([]string, 0, 2*len(r.Header))
	for name, values := range r.Header {
		for _, v := range values {
			in.Header = append(in.Header, name, v)
		}
	}
	return in
}

// client gives the address and scheme that the client used: the connection's, or what a trusted proxy says.
func (h *Host) client(r *http.Request) (address, scheme string) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	if len(h.config.HTTP.TrustedProxies) == 0 || !h.trusted(address) {
		return address, scheme
	}
	if s := r.Header.Get("X-Forwarded-Proto"); s == "http" || s == "https" {
		scheme = s
	}
	// The last address that is not a trusted proxy is the client: what stands before it, anybody may have written.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			break
		}
		address = hop
		if !h.trusted(hop) {
			break
		}
	}
	return address, scheme
}

func (h *Host) trusted(address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, p := range h.config.HTTP.TrustedProxies {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// readBody reads a body of at most max bytes, within what all requests together may hold. release is never nil.
func (h *Host) readBody(w http.ResponseWriter, r *http.Request, max int64) (body []byte, release func(), err error) {
	release = func() {}
	tooLarge := abi.NewError(abi.ErrnoTooLarge, "the request's body is over "+strconv.FormatInt(max, 10)+" bytes")
	if r.ContentLength > max {
		return nil, release, tooLarge
	}
	weight := max
	if r.ContentLength >= 0 {
		weight = r.ContentLength
	}
	if !h.bodies.TryAcquire(weight) {
		return nil, release, ErrBusy
	}
	release = func() { h.bodies.Release(weight) }
	limited := http.MaxBytesReader(w, r.Body, max)
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, release, tooLarge
	case err != nil:
		return nil, release, abi.NewError(abi.ErrnoInvalid, "the request's body did not arrive")
	}
	return body, release, nil
}

// write sends a guest's response. Before anything is written it is an error for the guest to see in the log: an
// impossible status, a header that is not one, a body over the limit.
func write(w http.ResponseWriter, out *abi.HTTPResponse, max int64) error {
	if out.Status == 0 {
		out.Status = http.StatusOK
	}
	if out.Status < 200 || out.Status > 599 {
		return invalid("the plugin answered status %d: use 200 to 599", out.Status)
	}
	if int64(len(out.Body)) > max {
		return abi.NewError(abi.ErrnoLimit, "the plugin's response is over limits.response of plugin.yaml")
	}
	if len(out.Header)%2 != 0 {
		return invalid("the plugin answered %d header items: they are pairs of name and value", len(out.Header))
	}
	for i := 0; i < len(out.Header); i += 2 {
		if !httpguts.ValidHeaderFieldName(out.Header[i]) || !httpguts.ValidHeaderFieldValue(out.Header[i+1]) {
			return invalid("the plugin answered the header %q: %q, which HTTP does not allow", out.Header[i], out.Header[i+1])
		}
	}
	header := w.Header()
	for i := 0; i < len(out.Header); i += 2 {
		if name := http.CanonicalHeaderKey(out.Header[i]); !hopByHop[name] {
			header[name] = append(header[name], out.Header[i+1])
		}
	}
	if out.Status != http.StatusNoContent && out.Status != http.StatusNotModified {
		header["Content-Length"] = []string{strconv.Itoa(len(out.Body))}
		if len(out.Body) > 0 && header["Content-Type"] == nil {
			header["Content-Type"] = []string{http.DetectContentType(out.Body)}
			header["X-Content-Type-Options"] = []string{"nosniff"}
		}
	}
	w.WriteHeader(out.Status)
	_, _ = w.Write(out.Body) // the client went away: nobody to tell
	return nil
}

// hopByHop are the headers of the connection (RFC 9110 section 7.6.1), which are the host's.
var hopByHop = map[string]bool{
	"Connection": true, "Content-Length": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// refuse answers what did not come to a response: a short text with the request's id, never the plugin's or the
// host's details.
func (h *Host) refuse(w http.ResponseWriter, r *http.Request, id string, err error) {
	status, text := http.StatusInternalServerError, "the plugin failed"
	var plugin *PluginError
	var known *abi.Error
	switch {
	case errors.Is(err, ErrBusy), errors.Is(err, ErrClosed):
		w.Header().Set("Retry-After", "1")
		status, text = http.StatusServiceUnavailable, "busy: try again"
	case r.Context().Err() != nil:
		status, text = 499, "client closed request"
	case errors.As(err, &plugin):
		if plugin.Errno == abi.ErrnoTimeout {
			status, text = http.StatusGatewayTimeout, "the plugin took too long"
		}
	case errors.As(err, &known):
		if known.Errno == abi.ErrnoTooLarge {
			if r.ProtoMajor == 1 { // the rest of the body is not read; HTTP/2 resets the stream alone
				w.Header().Set("Connection", "close")
			}
			status, text = known.Errno.Status(), known.Text
		} else if known.Errno == abi.ErrnoInvalid && strings.HasPrefix(known.Text, "the request") {
			status, text = known.Errno.Status(), known.Text
		}
	}
	http.Error(w, strconv.Itoa(status)+" "+text+" ("+id+")", status)
}

// ids makes request ids: unique in the process, unguessable prefix, cheap.
type ids struct {
	prefix string
	n      atomic.Uint64
}

func (s *ids) next() string {
	return s.prefix + strconv.FormatUint(s.n.Add(1), 36)
}

// janitorPeriod is how often idle instances are looked at, idleTime how long one stays.
const (
	janitorPeriod = 10 * time.Second
	idleTime      = time.Minute
)
