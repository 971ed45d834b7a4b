package ws

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Config is the hub's. For each limit zero means the default and -1 means none.
type Config struct {
	// MaxConns is how many connections the hub holds; beyond it upgrades get 503. Default 100,000.
	MaxConns int
	// MaxConnsPerAddress is how many one address may hold (IPv6: one /64); beyond it 429. Default 1,000.
	MaxConnsPerAddress int
	// MaxRoomsPerConn is how many rooms one connection may be in. Default 100.
	MaxRoomsPerConn int
	// Logger gets panics of handlers. Default slog.Default().
	Logger *slog.Logger
}

// Options are those of one connection; a composer makes them once for each route. For each limit and time zero means
// the default and -1 means none.
type Options struct {
	// Scope walls ids, rooms and broadcasts, for example "tenant/plugin".
	Scope string
	// Route names where the connection came in; it walls rooms inside the scope. See Room.
	Route string
	// Handler sees the events. Required.
	Handler Handler
	// Meta is the composer's, returned by Conn.Meta.
	Meta any

	// Address counts against MaxConnsPerAddress and is returned by Conn.RemoteAddr. Default: the socket's peer. A composer
	// behind a proxy that it trusts gives the client's address.
	Address string
	// Limits are further caps on connections, for example {"tenant:acme", 5000} and {"user:7", 10}: at most Max
	// connections live with that key. Beyond it upgrades get 429.
	Limits []Limit
	// Origins are the origins that browsers may come from: nil means the request's own host, "*" any,
	// "https://app.example.com" that one, "*.example.com" any scheme on any host below. Requests without Origin are no
	// browser's and pass.
	Origins []string
	// Subprotocols that the route speaks, best first. One of those that the client offers is chosen, never another.
	Subprotocols []string

	// MaxMessageBytes bounds a received message after reassembly and inflation; beyond it 1009. Default 1 MiB.
	MaxMessageBytes int64
	// PendingMessages and PendingBytes bound what waits for the handler before reads pause. Defaults 256 and 1 MiB.
	PendingMessages int
	PendingBytes    int64
	// QueueMessages and QueueBytes bound what waits to be written. Defaults 4,096 and 1 MiB.
	QueueMessages int
	QueueBytes    int64
	// Slow says what happens when that queue is full. Default SlowClose.
	Slow SlowPolicy

	// MessagesPerSecond and BytesPerSecond are what a peer may send, with a burst of two seconds' worth; beyond it 1008.
	// Default none.
	MessagesPerSecond int
	BytesPerSecond    int64
	// ControlsPerSecond is the same for pings and pongs. Default 50, with a burst of 200.
	ControlsPerSecond int

	// PingInterval is how long a connection may be silent before it is pinged. Default 25 s.
	PingInterval time.Duration
	// PongTimeout is how long after a ping nothing may come before the connection counts as broken. Default 10 s.
	PongTimeout time.Duration
	// IdleTimeout closes with 1001 a connection that carried no message in either direction for so long. Default none.
	IdleTimeout time.Duration
	// CompressBytes is the size from which messages are sent with permessage-deflate (RFC 7692, no context takeover),
	// where the client offers it; -1 declines the extension. Default 512.
	CompressBytes int
}

// Limit is a cap on the live connections that share a key.
type Limit struct {
	Key string
	Max int
}

// SlowPolicy says what happens to a connection whose send queue is full.
type SlowPolicy uint8

// The slow policies.
const (
	// SlowClose closes the connection with 1013; its queue is dropped.
	SlowClose SlowPolicy = iota
	// SlowDropOldest drops the oldest waiting messages.
	SlowDropOldest
	// SlowLatest drops the waiting messages of the same room (for Send: the other direct ones) in favour of the new one,
	// and then the oldest.
	SlowLatest
)

const (
	closeTimeout     = 2 * time.Second
	writeTimeout     = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	maxDataBytes     = 64 << 10
)

func (c Config) withDefaults() (Config, error) {
	for _, f := range []struct {
		name string
		v    *int
		def  int
	}{
		{"Config.MaxConns", &c.MaxConns, 100_000},
		{"Config.MaxConnsPerAddress", &c.MaxConnsPerAddress, 1_000},
		{"Config.MaxRoomsPerConn", &c.MaxRoomsPerConn, 100},
	} {
		if err := setInt(f.name, f.v, f.def); err != nil {
			return c, err
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Handler == nil {
		return o, &ConfigError{"Options.Handler", "is required"}
	}
	if o.Slow > SlowLatest {
		return o, &ConfigError{"Options.Slow", "must be SlowClose, SlowDropOldest or SlowLatest"}
	}
	for _, p := range o.Subprotocols {
		if !isToken(p) {
			return o, &ConfigError{"Options.Subprotocols", "must be tokens of RFC 9110, not " + quote(p)}
		}
	}
	for _, s := range o.Origins {
		if err := checkOriginPattern(s); err != nil {
			return o, err
		}
	}
	for _, f := range []struct {
		name string
		v    *int
		def  int
	}{
		{"Options.PendingMessages", &o.PendingMessages, 256},
		{"Options.QueueMessages", &o.QueueMessages, 4096},
		{"Options.MessagesPerSecond", &o.MessagesPerSecond, -1},
		{"Options.ControlsPerSecond", &o.ControlsPerSecond, 50},
		{"Options.CompressBytes", &o.CompressBytes, 512},
	} {
		if err := setInt(f.name, f.v, f.def); err != nil {
			return o, err
		}
	}
	for _, f := range []struct {
		name string
		v    *int64
		def  int64
	}{
		{"Options.MaxMessageBytes", &o.MaxMessageBytes, 1 << 20},
		{"Options.PendingBytes", &o.PendingBytes, 1 << 20},
		{"Options.QueueBytes", &o.QueueBytes, 1 << 20},
		{"Options.BytesPerSecond", &o.BytesPerSecond, -1},
		{"Options.PingInterval", (*int64)(&o.PingInterval), int64(25 * time.Second)},
		{"Options.PongTimeout", (*int64)(&o.PongTimeout), int64(10 * time.Second)},
		{"Options.IdleTimeout", (*int64)(&o.IdleTimeout), -1},
	} {
		if err := setInt(f.name, f.v, f.def); err != nil {
			return o, err
		}
	}
	return o, nil
}

// setInt applies "zero means the default, -1 means none". None becomes a number too large to reach, so that comparing
// needs no special case.
func setInt[T int | int64](name string, v *T, def T) error {
	if *v < -1 {
		return &ConfigError{name, "must be positive, 0 for the default or -1 for none"}
	}
	if *v == 0 {
		*v = def
	}
	if *v == -1 {
		*v = none[T]()
	}
	return nil
}

// none leaves room for adding a time or a size to it.
func none[T int | int64]() T {
	if strconv.IntSize == 64 || any(T(0)) == any(int64(0)) {
		big := int64(1) << 61
		return T(big)
	}
	return 1 << 30
}

func quote(s string) string { return "\"" + strings.ToValidUTF8(s, "?") + "\"" }
