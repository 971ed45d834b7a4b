package host

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/ws"
)

// socketPatience is how long a socket's event waits for a deployment that cannot serve (busy, or between revisions)
// before the socket is closed with 1013.
const socketPatience = 30 * time.Second

// upgrade answers the handshake of a socket route: first the plugin's word, where it wants to be asked, then the
// hub's 101. The socket then belongs to the hub and the deployment, not to the revision.
func (rt *route) upgrade(w http.ResponseWriter, r *http.Request) {
	h, rev := rt.rev.host, rt.rev
	in := new(abi.HTTPRequest)
	rt.request(r, in)
	socket := rev.registration.Sockets[rt.index]
	if socket.Upgrade {
		var out abi.HTTPResponse
		if err := rev.event(r.Context(), abi.EventSocketUpgrade, in.ID, in, &out, false); err != nil {
			h.refuse(w, r, in.ID, err)
			return
		}
		if out.Status != http.StatusSwitchingProtocols {
			if err := write(w, &out, rev.limits.ResponseBytes); err != nil {
				h.refuse(w, r, in.ID, err)
			}
			return
		}
		for i := 0; i+1 < len(out.Header); i += 2 {
			if http.CanonicalHeaderKey(out.Header[i]) == "Set-Cookie" {
				w.Header().Add("Set-Cookie", out.Header[i+1])
			}
		}
	}
	key := rev.key.String()
	_, err := h.hub.Upgrade(w, r, ws.Options{
		Scope:           key,
		Handler:         &socketHandler{host: h, dep: rev.dep, pattern: socket.Pattern, opened: in},
		Address:         in.Remote,
		Limits:          []ws.Limit{{Key: "plugin:" + key, Max: int(rev.limits.MaxSockets)}},
		Origins:         rev.origins(socket, r.Host),
		Subprotocols:    socket.Subprotocols,
		MaxMessageBytes: rev.limits.MessageBytes,
		IdleTimeout:     h.config.SocketIdleTimeout,
	})
	if err != nil {
		rev.log.Debug("socket refused", "id", in.ID, "error", err)
	}
}

// origins are where browsers may open a socket from, in the hub's form: the own host, and of the hosts that the route
// lists ("*" is all of them) those that the manifest grants.
func (r *revision) origins(s abi.Socket, own string) []string {
	if len(s.Origins) == 0 {
		return nil
	}
	out := []string{"http://" + own, "https://" + own}
	for _, name := range r.manifest.Capabilities.WS.Origins {
		switch {
		case !slices.Contains(s.Origins, "*") && !slices.Contains(s.Origins, name):
		case strings.HasPrefix(name, "*"):
			out = append(out, name)
		default:
			out = append(out, "http://"+name, "https://"+name)
		}
	}
	return out
}

// socketHandler brings a socket's events to whichever revision serves its deployment when they come.
type socketHandler struct {
	host    *Host
	dep     *deployment
	pattern string
	opened  *abi.HTTPRequest // of the handshake
}

// Open implements ws.Handler.
func (s *socketHandler) Open(c *ws.Conn) {
	in := s.event(c)
	in.Header, in.Remote = s.opened.Header, s.opened.Remote
	s.opened.Header, s.opened.Body = nil, nil
	if err := s.deliver(c, abi.EventSocketOpen, in); err != nil {
		_ = c.Close(ws.InternalError, "the plugin could not open the socket")
	}
}

// Message implements ws.Handler. A handler that fails costs the message, not the socket.
func (s *socketHandler) Message(c *ws.Conn, m ws.Message) {
	in := s.event(c)
	in.Binary, in.Body = m.Type == ws.Binary, m.Data
	_ = s.deliver(c, abi.EventSocketMessage, in)
}

// Close implements ws.Handler.
func (s *socketHandler) Close(c *ws.Conn, code int, reason string) {
	in := s.event(c)
	in.Code, in.Reason = code, reason
	_ = s.deliver(c, abi.EventSocketClose, in)
}

func (s *socketHandler) event(c *ws.Conn) *abi.SocketEvent {
	return &abi.SocketEvent{ID: c.ID(), Params: s.opened.Params, Query: s.opened.Query, Data: c.Data()}
}

// deliver waits for an instance of the serving revision. When none can be had in time, or the new revision has no
// such route, the socket is closed with a code that makes clients come back.
func (s *socketHandler) deliver(c *ws.Conn, kind abi.EventKind, in *abi.SocketEvent) error {
	ctx, cancel := context.WithTimeout(s.host.life, socketPatience)
	defer cancel()
	for {
		rev := s.dep.acquire()
		if rev == nil {
			_ = c.Close(ws.GoingAway, "the plugin was removed")
			return ErrNotDeployed
		}
		index, ok := rev.sockets[s.pattern]
		if !ok {
			rev.release()
			_ = c.Close(ws.ServiceRestart, "the plugin no longer serves this route")
			return ErrNotDeployed
		}
		in.Route = index
		err := rev.event(ctx, kind, c.ID(), in, nil, true)
		rev.release()
		switch {
		case errors.Is(err, ErrClosed) && ctx.Err() == nil:
			continue // swapped between the hold and the pool
		case err != nil && ctx.Err() != nil:
			_ = c.Close(ws.TryAgainLater, "busy")
		}
		return err
	}
}
