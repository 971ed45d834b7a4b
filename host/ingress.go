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
	"sync"
	"sync/atomic"

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
	x := exchanges.Get().(*exchange)
	defer x.end()
	in, release := &x.in, func() {}
	rt.request(r, in)
	if r.Body != http.NoBody && r.ContentLength != 0 {
		var err error
		if in.Body, release, err = h.readBody(w, r, rev.limits.BodyBytes); err != nil {
			release()
			h.refuse(w, r, in.ID, err)
			return
		}
	}
	out := &x.out
	err := rev.event(r.Context(), abi.EventHTTP, in.ID, in, out, false)
	in.Body = nil
	release() // before the answer goes to a client that may be slow
	if err != nil {
		h.refuse(w, r, in.ID, err)
		return
	}
	if out.Status >= http.StatusInternalServerError {
		rev.stat.faults.Add(1)
	}
	if err := write(w, out, rev.limits.ResponseBytes); err != nil {
		rev.log.Error("bad response", "id", in.ID, "error", err)
		h.refuse(w, r, in.ID, err)
	}
}

// exchange is the memory of a request's event and its answer, used again and again.
type exchange struct {
	in  abi.HTTPRequest
	out abi.HTTPResponse
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// end gives the memory back: the lists and the answer's body, if that is not large.
func (x *exchange) end() {
	clear(x.in.Params)
	clear(x.in.Header)
	clear(x.out.Header)
	x.in = abi.HTTPRequest{Params: x.in.Params[:0], Header: x.in.Header[:0]}
	x.out = abi.HTTPResponse{Header: x.out.Header[:0], Body: small(x.out.Body)}
	exchanges.Put(x)
}

// request makes the event of a matched request, without the body.
func (rt *route) request(r *http.Request, in *abi.HTTPRequest) {
	h := rt.rev.host
	in.Route, in.Method, in.Host, in.ID = rt.index, r.Method, r.Host, h.ids.next()
	in.Path, in.Query = strings.TrimPrefix(r.URL.Path, rt.rev.prefix), r.URL.RawQuery
	in.Params = rt.params(r, in.Params)
	in.Remote, in.Scheme = h.client(r)
	for name, values := range r.Header {
		for _, v := range values {
			in.Header = append(in.Header, name, v)
		}
	}
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

// firstRoom is what the body of a request may hold before a byte of it has come.
const firstRoom = 4 << 10

// readBody reads a body of at most limit bytes, within what all requests together may hold. Room is taken as bytes come, at most
// twice what came, so that who announces much and sends little holds little. release is never nil.
func (h *Host) readBody(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, release func(), err error) {
	var held int64
	release = func() { h.bodies.Release(held) }
	tooLarge := abi.NewError(abi.ErrnoTooLarge, "the request's body is over "+strconv.FormatInt(limit, 10)+" bytes")
	if r.ContentLength > limit {
		return nil, release, tooLarge
	}
	length := r.ContentLength
	if length < 0 {
		length = limit + 1 // one that is over the limit is to be seen
	}
	limited := http.MaxBytesReader(w, r.Body, limit)
	for int64(len(body)) < length {
		if len(body) == cap(body) {
			room := min(max(2*held, firstRoom), length)
			if !h.bodies.TryAcquire(room - held) {
				return nil, release, ErrBusy
			}
			held = room
			body = append(make([]byte, 0, room), body...)
		}
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var over *http.MaxBytesError
		switch {
		case errors.As(err, &over):
			return nil, release, tooLarge
		case errors.Is(err, io.EOF) && (r.ContentLength < 0 || int64(len(body)) == length):
			return body, release, nil
		case err != nil:
			return nil, release, abi.NewError(abi.ErrnoInvalid, "the request's body did not arrive")
		}
	}
	return body, release, nil
}

// write sends a guest's response. Before anything is written it is an error for the guest to see in the log: an
// impossible status, a header that is not one, a body over the limit. out has no body afterwards if that cannot be used again.
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
	if _, err := w.Write(out.Body); err != nil { // the client went away: nobody to tell
		out.Body = nil // HTTP/2 may still read it, so that it must not be used again
	}
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
