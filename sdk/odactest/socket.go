package odactest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// hub plays the host's sockets. The host's mutex guards it.
type hub struct {
	sockets map[string]*Socket
	last    int
}

// Socket is a client's end of a socket that the test opened.
type Socket struct {
	plugin   *Plugin
	id       string
	ev       abi.SocketEvent // what every event of it says
	rooms    []string
	received []string
	closed   int
}

// Open opens a socket at a path, "/live/lobby?name=ann". Its error is the upgrade's refusal or that of the Open function.
func (p *Plugin) Open(path string, header ...string) (*Socket, error) {
	u, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	mux, found := http.NewServeMux(), false
	s := &Socket{plugin: p}
	for i, r := range p.reg.Sockets {
		mux.HandleFunc(r.Pattern, func(_ http.ResponseWriter, req *http.Request) {
			found = true
			s.ev = abi.SocketEvent{Route: uint32(i), Params: params(r.Pattern, req), Query: u.RawQuery, Remote: "192.0.2.1"}
		})
	}
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, path, nil))
	if !found {
		return nil, abi.NewError(abi.ErrnoNotFound, "odactest: no socket route for "+path)
	}
	if p.reg.Sockets[s.ev.Route].Upgrade {
		req := abi.HTTPRequest{
			Route: s.ev.Route, Method: http.MethodGet, Path: u.EscapedPath(), Query: u.RawQuery, Params: s.ev.Params, Header: header,
			Host: "example.com", Scheme: "http", Remote: s.ev.Remote, ID: "test",
		}
		var resp abi.HTTPResponse
		if err := p.event(abi.EventSocketUpgrade, &req, &resp); err != nil {
			return nil, err
		}
		if resp.Status != http.StatusSwitchingProtocols {
			return nil, abi.NewError(abi.ErrnoDenied, strconv.Itoa(resp.Status)+" "+strings.TrimSpace(string(resp.Body)))
		}
	}
	h := &p.host
	h.mu.Lock()
	h.hub.last++
	s.id = "socket-" + strconv.Itoa(h.hub.last)
	s.ev.ID = s.id
	h.hub.sockets[s.id] = s
	h.mu.Unlock()
	ev := s.event()
	ev.Header = header
	return s, p.event(abi.EventSocketOpen, &ev, nil)
}

// ID is the socket's id.
func (s *Socket) ID() string { return s.id }

// Send sends a text message to the plugin and gives what its function returned.
func (s *Socket) Send(text string) error {
	ev := s.event()
	ev.Body = []byte(text)
	return s.plugin.event(abi.EventSocketMessage, &ev, nil)
}

// Close closes the client's end.
func (s *Socket) Close(code int, reason string) error {
	ev := s.event()
	ev.Code, ev.Reason = code, reason
	s.plugin.host.mu.Lock()
	delete(s.plugin.host.hub.sockets, s.id)
	s.plugin.host.mu.Unlock()
	return s.plugin.event(abi.EventSocketClose, &ev, nil)
}

// Received are the messages that the plugin sent to the socket so far.
func (s *Socket) Received() []string {
	s.plugin.host.mu.Lock()
	defer s.plugin.host.mu.Unlock()
	return slices.Clone(s.received)
}

// Closed is the code with which the plugin closed the socket, 0 while it has not.
func (s *Socket) Closed() int {
	s.plugin.host.mu.Lock()
	defer s.plugin.host.mu.Unlock()
	return s.closed
}

func (s *Socket) event() abi.SocketEvent {
	s.plugin.host.mu.Lock()
	defer s.plugin.host.mu.Unlock()
	return s.ev
}

func (h *host) playSockets() {
	p := h.plugin
	p.Handle(abi.ModuleWS, abi.FuncSend, typed(func(m *abi.SocketSend) (marshaler, error) {
		return nil, h.with(m.ID, func(s *Socket) { s.received = append(s.received, string(m.Body)) })
	}))
	p.Handle(abi.ModuleWS, abi.FuncBroadcast, typed(func(m *abi.SocketSend) (marshaler, error) {
		return abi.Count{N: h.each(m.Room, func(s *Socket) bool {
			if slices.Contains(m.Except, s.id) {
				return false
			}
			s.received = append(s.received, string(m.Body))
			return true
		})}, nil
	}))
	p.Handle(abi.ModuleWS, abi.FuncJoin, typed(func(m *abi.SocketRoom) (marshaler, error) {
		return nil, h.with(m.ID, func(s *Socket) {
			if !slices.Contains(s.rooms, m.Room) {
				s.rooms = append(s.rooms, m.Room)
			}
		})
	}))
	p.Handle(abi.ModuleWS, abi.FuncLeave, typed(func(m *abi.SocketRoom) (marshaler, error) {
		return nil, h.with(m.ID, func(s *Socket) {
			s.rooms = slices.DeleteFunc(s.rooms, func(r string) bool { return r == m.Room })
		})
	}))
	p.Handle(abi.ModuleWS, abi.FuncCount, typed(func(m *abi.SocketRoom) (marshaler, error) {
		return abi.Count{N: h.each(m.Room, func(*Socket) bool { return true })}, nil
	}))
	p.Handle(abi.ModuleWS, abi.FuncClose, typed(func(m *abi.SocketClose) (marshaler, error) {
		code := m.Code
		if code == 0 {
			code = 1000
		}
		return nil, h.with(m.ID, func(s *Socket) {
			s.closed = code
			delete(h.hub.sockets, m.ID)
		})
	}))
	p.Handle(abi.ModuleWS, abi.FuncData, typed(func(m *abi.SocketData) (marshaler, error) {
		return nil, h.with(m.ID, func(s *Socket) { s.ev.Data = m.Data })
	}))
}

// with changes an open socket.
func (h *host) with(id string, change func(*Socket)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.hub.sockets[id]
	if s == nil {
		return abi.NewError(abi.ErrnoNotFound, "no socket "+id)
	}
	change(s)
	return nil
}

// each counts the sockets of a room, or all, for which f is true.
func (h *host) each(room string, f func(*Socket) bool) (n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.hub.sockets {
		if (room == "" || slices.Contains(s.rooms, room)) && f(s) {
			n++
		}
	}
	return n
}
