package ws

import (
	"crypto/rand"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Hub holds connections. It is made by [New] and ended by [Hub.Close].
type Hub struct {
	cfg   Config
	wheel *wheel
	stat  counters
	live  sync.WaitGroup // connections until their Close handler returned, and writers

	mu       sync.RWMutex
	scopes   map[string]*scope
	counts   map[string]int // connections for each key of a limit
	conns    int
	draining *goodbye // not nil: upgrades are refused

	closeOnce sync.Once
}

// New returns a hub. The error is a *ConfigError.
func New(cfg Config) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Hub{cfg: cfg, wheel: newWheel(), scopes: map[string]*scope{}, counts: map[string]int{}}, nil
}

// Upgrade answers a handshake with 101 and begins to serve the connection, or refuses it. On success neither w nor r is
// needed any more and the caller returns. The error is a *[HandshakeError], whose answer has been written, or a
// *[ConfigError] for wrong Options, which is answered with 500. The handler's Open may run before Upgrade returns.
func (h *Hub) Upgrade(w http.ResponseWriter, r *http.Request, o Options) (*Conn, error) {
	o, err := o.withDefaults()
	if err != nil {
		h.stat.refused.Add(1)
		(&HandshakeError{Status: http.StatusInternalServerError, Reason: "this WebSocket is not configured right"}).answer(w)
		return nil, err
	}
	hs, bad := checkRequest(r, &o)
	if bad != nil {
		return nil, h.refused(w, bad)
	}
	keys, bad := h.reserve(r, &o)
	if bad != nil {
		return nil, h.refused(w, bad)
	}
	conn, bad := hijack(w)
	if bad != nil {
		h.stat.refused.Add(1)
		h.release(keys)
		h.live.Done()
		return nil, bad
	}
	c := h.admit(conn, hs, o, keys)
	if err := writeSwitch(conn, w.Header(), hs); err != nil {
		h.stat.refused.Add(1)
		c.stillborn()
		return nil, &HandshakeError{Status: http.StatusBadRequest, Reason: "the peer went away", Err: err}
	}
	c.begin()
	return c, nil
}

func (h *Hub) refused(w http.ResponseWriter, bad *HandshakeError) error {
	h.stat.refused.Add(1)
	bad.answer(w)
	return bad
}

// reserve counts a connection against all limits, or none.
func (h *Hub) reserve(r *http.Request, o *Options) ([]string, *HandshakeError) {
	limits := append([]Limit{{Key: "address " + addressKey(r, o), Max: h.cfg.MaxConnsPerAddress}}, o.Limits...)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining != nil {
		return nil, &HandshakeError{http.StatusServiceUnavailable, "the server is going down: try again", ErrClosed}
	}
	if h.conns >= h.cfg.MaxConns {
		return nil, &HandshakeError{http.StatusServiceUnavailable, "the server has as many WebSockets as it may: try again", ErrTooManyConns}
	}
	keys := make([]string, len(limits))
	for i, l := range limits {
		if i > 0 {
			l.Key = "key " + l.Key
		}
		if h.counts[l.Key] >= l.Max && l.Max != -1 {
			return nil, &HandshakeError{http.StatusTooManyRequests, "too many WebSockets at once", ErrTooManyConns}
		}
		keys[i] = l.Key
	}
	for _, key := range keys {
		h.counts[key]++
	}
	h.conns++
	h.live.Add(1)
	return keys, nil
}

func (h *Hub) release(keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.releaseLocked(keys)
}

func (h *Hub) releaseLocked(keys []string) {
	h.conns--
	for _, key := range keys {
		if h.counts[key]--; h.counts[key] == 0 {
			delete(h.counts, key)
		}
	}
}

// addressKey is the address that limits count: one of IPv4, a /64 of IPv6.
func addressKey(r *http.Request, o *Options) string {
	s := o.Address
	if s == "" {
		s = r.RemoteAddr
	}
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// admit makes the connection and lets others find it: whoever has seen the 101 is reached by every broadcast. Until begin,
// what is sent waits in the queue.
func (h *Hub) admit(conn net.Conn, hs handshake, o Options, keys []string) *Conn {
	now := h.wheel.now()
	o.Limits, o.Origins, o.Subprotocols = nil, nil, nil
	c := &Conn{hub: h, opts: o, id: newID(), proto: hs.subprotocol, net: conn, raw: newRawWriter(conn), keys: keys, writing: true}
	c.space.L = &c.mu
	c.deflate = hs.extensions != ""
	c.decoder.maxBytes, c.decoder.deflate = o.MaxMessageBytes, c.deflate
	c.messages = rate(float64(o.MessagesPerSecond), 2, now)
	c.bytes = rate(float64(o.BytesPerSecond), 2, now)
	c.controls = rate(float64(o.ControlsPerSecond), 4, now)
	c.lastRead.Store(now)
	c.lastMessage.Store(now)
	h.add(c)
	return c
}

// begin sets a connection going whose 101 has been written.
func (c *Conn) begin() {
	c.hub.stat.opened.Add(1)
	c.mu.Lock()
	c.state.CompareAndSwap(int32(Connecting), int32(Open))
	c.callLocked(call{kind: callOpen})
	c.writing = false
	if c.out.len() > 0 {
		c.startFlushLocked()
	}
	c.mu.Unlock()
	c.hub.wheel.file(c, c.hub.wheel.now()+min(int64(c.opts.PingInterval), int64(c.opts.IdleTimeout)))
	go c.read()
	if bye := c.hub.saysGoodbye(); bye != nil {
		_ = c.shut(bye.code, bye.reason) // closing already: what was wanted
	}
}

// goodbye is what a hub that is being drained tells everyone.
type goodbye struct {
	code   int
	reason string
}

func (h *Hub) saysGoodbye() *goodbye {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.draining
}

// refuseNew is the first step of ending; the first call decides what is said.
func (h *Hub) refuseNew(bye goodbye) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining == nil {
		h.draining = &bye
	}
}

// rate is a bucket with a burst of some seconds' worth, or none at all.
func rate(perSecond, seconds float64, now int64) bucket {
	if perSecond >= float64(none[int]()) {
		return bucket{}
	}
	return newBucket(perSecond, perSecond*seconds, now)
}

func (h *Hub) add(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sc := h.scopes[c.opts.Scope]
	if sc == nil {
		sc = &scope{name: c.opts.Scope, conns: map[string]*Conn{}, rooms: map[Room]*room{}}
		h.scopes[sc.name] = sc
	}
	c.scope = sc
	sc.add(c)
}

func (h *Hub) remove(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.scope.remove(c) {
		delete(h.scopes, c.scope.name)
	}
	h.releaseLocked(c.keys)
}

// newID returns 128 random bits.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	return base64.RawURLEncoding.EncodeToString(b[:])
}
