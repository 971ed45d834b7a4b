package odactest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
	odac "github.com/odac-run/odachost/sdk"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Plugin is the plugin under test and the host that it sees. It is an [http.Handler] that answers with the plugin's routes.
type Plugin struct {
	// Config is the plugin's configuration.
	Config map[string]string

	t    testing.TB
	reg  abi.Registration
	mux  *http.ServeMux
	host host
}

var inUse sync.Mutex

// New registers the plugin whose init functions are linked into the test, mounted at "/", and fails the test if the
// registration is bad.
func New(t testing.TB) *Plugin { return NewAt(t, "") }

// NewAt is New with a mount such as "/blog".
func NewAt(t testing.TB, mount string) *Plugin {
	t.Helper()
	if wire.Guest.Register == nil {
		t.Fatal("odactest: these tests run natively, not with GOOS=wasip1")
	}
	if !inUse.TryLock() {
		t.Fatal("odactest: another test of this process uses the plugin: do not run these tests in parallel, and call New once in each")
	}
	p := &Plugin{Config: map[string]string{}, t: t, mux: http.NewServeMux()}
	p.host.init(p)
	wire.Current = &p.host
	t.Cleanup(func() {
		wire.Current = nil
		inUse.Unlock()
	})
	hello := abi.Hello{ABI: abi.Version, Host: "odactest", Plugin: "test", Version: "0.0.0", Tenant: "test", Mount: mount}
	msg, err := hello.MarshalMsg(nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, errno := wire.Guest.Register(msg)
	if errno != abi.ErrnoOK {
		t.Fatalf("odactest: register: %s", answer)
	}
	if _, err := p.reg.UnmarshalMsg(answer); err != nil {
		t.Fatalf("odactest: register: %v", err)
	}
	for i, r := range p.reg.Routes {
		p.mux.HandleFunc(strings.TrimSpace(r.Method+" "+r.Pattern), p.route(i, r.Pattern))
	}
	return p
}

// ServeHTTP answers a request whose path is below the mount, as the host's ingress does.
func (p *Plugin) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

func (p *Plugin) route(index int, pattern string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			p.t.Errorf("odactest: read the body: %v", err)
		}
		req := abi.HTTPRequest{
			Route: uint32(index), Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Body: body,
			Host: r.Host, Scheme: "http", Remote: "192.0.2.1", ID: "test", Params: params(pattern, r), Header: pairs(r.Header),
		}
		if r.TLS != nil {
			req.Scheme = "https"
		}
		var resp abi.HTTPResponse
		if err := p.event(abi.EventHTTP, &req, &resp); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		for i := 0; i+1 < len(resp.Header); i += 2 {
			w.Header().Add(resp.Header[i], resp.Header[i+1])
		}
		if resp.Status != 0 {
			w.WriteHeader(resp.Status)
		}
		_, _ = w.Write(resp.Body) // a recorder
	}
}

func params(pattern string, r *http.Request) []string {
	var list []string
	for {
		_, rest, ok := strings.Cut(pattern, "{")
		if !ok {
			return list
		}
		name, rest, _ := strings.Cut(rest, "}")
		if name != "$" {
			list = append(list, r.PathValue(strings.TrimSuffix(name, "...")))
		}
		pattern = rest
	}
}

func pairs(h http.Header) []string {
	var list []string
	for name, values := range h {
		for _, v := range values {
			list = append(list, name, v)
		}
	}
	return list
}

// Run runs a schedule as if it was due.
func (p *Plugin) Run(schedule string, due time.Time) error {
	return p.event(abi.EventSchedule, &abi.ScheduleEvent{Name: schedule, Unix: due.Unix()}, nil)
}

// Deliver says something on a channel of the default connection that the plugin listens to.
func (p *Plugin) Deliver(channel, payload string) error {
	return p.event(abi.EventNotification, &abi.Notification{Channel: channel, Payload: payload}, nil)
}

// Call calls a function of the plugin.
func (p *Plugin) Call(name string, body []byte) ([]byte, error) {
	var reply abi.CallReply
	err := p.event(abi.EventCall, &abi.CallEvent{Name: name, Body: body}, &reply)
	return reply.Body, err
}

// Registration is what the plugin registered.
func (p *Plugin) Registration() abi.Registration { return p.reg }

// Logs are the lines that the plugin logged so far, each with its level: "info posted id=7".
func (p *Plugin) Logs() []string {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	return append([]string(nil), p.host.logs...)
}

type marshaler interface {
	MarshalMsg(b []byte) ([]byte, error)
}

type unmarshaler interface {
	UnmarshalMsg(b []byte) ([]byte, error)
}

// event sends one event, and never two at once.
func (p *Plugin) event(kind abi.EventKind, in marshaler, out unmarshaler) error {
	p.host.event.Lock()
	defer p.host.event.Unlock()
	msg, err := in.MarshalMsg(nil)
	if err != nil {
		return err
	}
	answer, errno := wire.Guest.Event(kind, msg)
	if errno != abi.ErrnoOK {
		return &odac.Error{Kind: errno, Text: string(answer)}
	}
	if out == nil {
		return nil
	}
	_, err = out.UnmarshalMsg(answer)
	return err
}

// errnoOf is how an error of a test's function crosses.
func errnoOf(err error) (abi.Errno, []byte) {
	if e, ok := errors.AsType[*abi.Error](err); ok {
		return e.Errno, []byte(e.Text)
	}
	return odac.KindOf(err), []byte(err.Error())
}
