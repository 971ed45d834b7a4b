package host

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"runtime"
	"time"

	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
	"github.com/odac-run/odachost/ws"
)

// DefaultTenant is the tenant of who names none.
const DefaultTenant = "default"

// StoreFolder is the store of deployments, below Config.DataDir: see plugins.OpenStore.
const StoreFolder = "plugins"

// DatabaseConfig says where a database is.
type DatabaseConfig = database.Config

// Config of a [Host]. Only DataDir is needed. Zero means the default that a field names.
type Config struct {
	// DataDir holds everything that is kept: deployments, tenants' SQLite files, the buffer's log, compiled code. It is
	// made with mode 0700 if it is missing. One host at a time may use it.
	DataDir string
	// CacheDir holds compiled code; its files are executed. Default DataDir/cache. Hosts may share one.
	CacheDir string
	// Databases are the connections by name. "default" is there in any case: SQLite, a file for each tenant.
	Databases map[string]DatabaseConfig
	// PluginConfig overrides the config section of plugin.yaml, by deployment name.
	PluginConfig map[string]map[string]string
	// DefaultLimits and MaxLimits are the operator's word on plugins' limits; zero fields mean plugins.DefaultLimits and
	// plugins.MaxLimits.
	DefaultLimits, MaxLimits plugins.Limits
	// SleepTime is how long a plugin is idle before its code, image and instances are let go; the next event wakes it from
	// the compiled code on disk. Plugins of isolation single never sleep. Default 5 m; -1 is never.
	SleepTime time.Duration
	// Deploy is how careful deployments are.
	Deploy DeployConfig
	// MaxCalls is how many calls run at once on the host. When they are scarce each tenant gets the same share, and one alone
	// three quarters. Default 64 for each CPU; -1 is no bound.
	MaxCalls int
	// HTTP is the ingress.
	HTTP HTTPConfig
	// Cache is the read-through cache.
	Cache cache.Config
	// Buffer is the write-behind buffer. Dir, Target and Logger are the host's.
	Buffer buffer.Config
	// Sockets is the WebSocket hub.
	Sockets ws.Config
	// SocketIdleTimeout closes sockets that carried no message for so long. Default none.
	SocketIdleTimeout time.Duration
	// PrivateHosts are the host names and addresses that plugins may fetch although they are not public.
	PrivateHosts []string
	// CompileWorkers compile one plugin in parallel. Default 1: a module that breaks the compiler then fails to load, with more
	// it ends the process. Raise it for plugins of your own.
	CompileWorkers int
	// Compiler is the command that compiles plugins in a process of its own, with every processor, which a module that breaks the compiler ends
	// instead of the host: a program, and arguments before those that the host adds. It calls [CompileMain] with those. Default none: plugins are compiled
	// in this process.
	Compiler []string
	// Interpreter runs plugins without compiling them.
	Interpreter bool
	// Version is what plugins are told about the host. Default "dev".
	Version string
	// Logger gets everything that operators want to know. Default slog.Default().
	Logger *slog.Logger
}

// DeployConfig is what has to hold after a deploy before what only the old revision needs is taken away.
type DeployConfig struct {
	// SoakTime is how long a new revision serves on trial: when its health function fails or too many of its events do, the revision
	// before serves again. Default 0: no trial.
	SoakTime time.Duration
	// MaxFailedPercent is how many of a hundred events of a revision on trial may fail, once it has had twenty. Default 5; -1 is all.
	MaxFailedPercent int
}

// HTTPConfig bounds what a client may cost.
type HTTPConfig struct {
	// HeaderTimeout is how long a request's header may take to arrive. Default 5 s.
	HeaderTimeout time.Duration
	// ReadTimeout is the same for the whole request. Default 30 s.
	ReadTimeout time.Duration
	// WriteTimeout is from the header's end to the last byte of the answer. Default 60 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a kept connection may wait for its next request. Default 2 m.
	IdleTimeout time.Duration
	// DrainTime is how long requests and sockets may take to end at shutdown. Default 10 s.
	DrainTime time.Duration
	// MaxHeaderBytes is a request's header. Default 64 KiB.
	MaxHeaderBytes int64
	// MaxBodyBytes is what the bodies of all requests in progress may hold together. Default 256 MiB.
	MaxBodyBytes int64
	// MaxConns is how many connections are open at once; more wait in the kernel. Default 16,384.
	MaxConns int
	// TrustedProxies are the addresses whose X-Forwarded-For and X-Forwarded-Proto are believed. Default none.
	TrustedProxies []netip.Prefix
	// TLS makes Serve answer HTTPS, with HTTP/2 where NextProtos names h2. Default none.
	TLS *tls.Config
}

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" {
		return c, errors.New("host: Config.DataDir is empty: name the folder where data is kept")
	}
	for name, limit := range map[string]int64{
		"MaxHeaderBytes": c.HTTP.MaxHeaderBytes, "MaxBodyBytes": c.HTTP.MaxBodyBytes, "MaxConns": int64(c.HTTP.MaxConns),
		"HeaderTimeout": int64(c.HTTP.HeaderTimeout), "ReadTimeout": int64(c.HTTP.ReadTimeout), "WriteTimeout": int64(c.HTTP.WriteTimeout),
		"IdleTimeout": int64(c.HTTP.IdleTimeout), "DrainTime": int64(c.HTTP.DrainTime),
	} {
		if limit < 0 {
			return c, fmt.Errorf("host: Config.HTTP.%s is negative", name)
		}
	}
	if c.Deploy.SoakTime < 0 {
		return c, errors.New("host: Config.Deploy.SoakTime is negative")
	}
	if c.Deploy.MaxFailedPercent < -1 || c.Deploy.MaxFailedPercent > 100 {
		return c, errors.New("host: Config.Deploy.MaxFailedPercent is no percentage: use 1 to 100, or -1 for no bound")
	}
	or(&c.Deploy.MaxFailedPercent, 5)
	var err error
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return c, fmt.Errorf("host: Config.DataDir: %w", err)
	}
	or(&c.CacheDir, filepath.Join(c.DataDir, "cache"))
	or(&c.Version, "dev")
	or(&c.HTTP.HeaderTimeout, 5*time.Second)
	or(&c.HTTP.ReadTimeout, 30*time.Second)
	or(&c.HTTP.WriteTimeout, time.Minute)
	or(&c.HTTP.IdleTimeout, 2*time.Minute)
	or(&c.HTTP.DrainTime, 10*time.Second)
	or(&c.HTTP.MaxHeaderBytes, 64<<10)
	or(&c.HTTP.MaxBodyBytes, 256<<20)
	or(&c.HTTP.MaxConns, 16384)
	or(&c.Logger, slog.Default())
	or(&c.SleepTime, sleepTime)
	or(&c.MaxCalls, 64*runtime.GOMAXPROCS(0))
	databases := map[string]DatabaseConfig{defaultConn: {}}
	for name, db := range c.Databases {
		databases[name] = db
	}
	c.Databases = databases
	return c, nil
}

// or sets the default of a field that is zero.
func or[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
