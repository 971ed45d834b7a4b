package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
	"github.com/odac-run/odachost/ws"
)

// Config is what an operator can set. The tags are the documentation: key, default, meaning; secret values are hidden
// when the configuration is printed.
type Config struct {
	Listen string `key:"listen" default:"127.0.0.1:8080" doc:"address that answers HTTP"`
	Data   string `key:"data" default:"data" doc:"folder for everything that is kept: deployments, SQLite files, the buffer's log; one host at a time"`
	// CodeDir is not below cache: that is the read-through cache.
	CodeDir string `key:"code_dir" doc:"folder for compiled code, which is executed: nobody else may write to it; hosts may share one; default data/cache"`

	SleepTime time.Duration `key:"sleep_time" default:"5m" doc:"how long a plugin is idle before its code and instances are let go, to be woken by the next event; -1s never"`
	MaxCalls  int           `key:"max_calls" doc:"calls that run at once on the host, shared fairly between tenants; default 64 for each CPU; -1 is no bound"`

	Deploy   Deploy              `key:"deploy"`
	Log      Log                 `key:"log"`
	HTTP     HTTP                `key:"http"`
	TLS      TLS                 `key:"tls"`
	Database map[string]Database `key:"database"`
	Cache    Cache               `key:"cache"`
	Buffer   Buffer              `key:"buffer"`
	Sockets  Sockets             `key:"sockets"`
	Limits   Limits              `key:"limits"`
	// Plugins is the operator's configuration of plugins: plugins.<deployment>.<key>.
	Plugins map[string]map[string]string `key:"plugins" doc:"value for a key of the config section in that plugin's plugin.yaml"`
}

// Deploy is how careful deployments are.
type Deploy struct {
	Soak      time.Duration `key:"soak" default:"0s" doc:"how long a new revision serves on trial: when too many of its events fail, or its function health does, the revision before serves again; what only that one needed of the database goes afterwards"`
	MaxFailed int           `key:"max_failed" default:"5" doc:"how many of a hundred events of a revision on trial may fail, once it has had twenty; -1 is all"`
}

// Log is how the host speaks.
type Log struct {
	Level  string `key:"level" default:"info" doc:"debug, info, warn or error"`
	Format string `key:"format" default:"auto" doc:"json, text (key=value), or auto: lines for people on a terminal and under dev, json elsewhere"`
}

// HTTP bounds what a client may cost.
type HTTP struct {
	HeaderTimeout  time.Duration `key:"header_timeout" default:"5s" doc:"longest time for a request's header to arrive"`
	ReadTimeout    time.Duration `key:"read_timeout" default:"30s" doc:"longest time for a whole request to arrive"`
	WriteTimeout   time.Duration `key:"write_timeout" default:"1m" doc:"longest time from the header's end to the last byte of the answer"`
	IdleTimeout    time.Duration `key:"idle_timeout" default:"2m" doc:"longest wait of a kept connection for its next request"`
	DrainTime      time.Duration `key:"drain_time" default:"10s" doc:"longest time for requests and sockets to end at shutdown"`
	MaxHeader      Size          `key:"max_header" default:"64KiB" doc:"largest request header"`
	MaxBodies      Size          `key:"max_bodies" default:"256MiB" doc:"what the bodies of all requests in progress may hold together; limits.max.body bounds one"`
	MaxConns       int           `key:"max_conns" default:"16384" doc:"connections open at once"`
	TrustedProxies []string      `key:"trusted_proxies" doc:"addresses or networks (10.0.0.0/8) whose X-Forwarded-For and X-Forwarded-Proto are believed"`
	PrivateHosts   []string      `key:"private_hosts" doc:"host names or addresses that plugins may fetch although they are not public"`
}

// TLS turns HTTP into HTTPS.
type TLS struct {
	Cert string `key:"cert" doc:"file with the certificate chain (PEM); with tls.key, listen answers HTTPS"`
	Key  string `key:"key" doc:"file with the certificate's private key (PEM)"`
}

// Database is one connection, database.<name>: "default" is there without being named.
type Database struct {
	Type            string        `key:"type" doc:"sqlite, postgres or mysql (MariaDB too)"`
	URL             string        `key:"url" secret:"true" doc:"instead of the other keys: sqlite:data/blog.db, postgres://user:password@host/name, mysql://user:password@host/name"`
	Filename        string        `key:"filename" doc:"SQLite file of the default tenant; default data/tenants/<tenant>/<name>.db"`
	Host            string        `key:"host" doc:"server's host name (postgres, mysql)"`
	Port            int           `key:"port" doc:"server's port"`
	User            string        `key:"user" doc:"user name"`
	Password        string        `key:"password" secret:"true" doc:"password"`
	Database        string        `key:"database" doc:"name of the database on the server"`
	Schema          string        `key:"schema" doc:"schema of the tables (postgres); default public"`
	TLS             string        `key:"tls" doc:"verify, require (no check of the server's name) or disable; default disable for this machine, verify for others"`
	TLSCA           string        `key:"tlsCa" doc:"file with the certificates (PEM) that may sign the server's; default the system's"`
	TLSCert         string        `key:"tlsCert" doc:"file with this client's certificate (PEM), with tlsKey"`
	TLSKey          string        `key:"tlsKey" doc:"file with its private key (PEM)"`
	ConnectionLimit int           `key:"connectionLimit" doc:"connections at a time; default twice the CPUs, at least 4"`
	BusyTimeout     time.Duration `key:"busyTimeout" doc:"longest wait for a connection or a lock; default 5s"`
	// StatementTimeout is the server's, beside the deadline of the call.
	StatementTimeout time.Duration `key:"statementTimeout" doc:"longest run of one statement on a server; default 30s"`
	// MaxSize is each tenant's.
	MaxSize Size `key:"maxSize" doc:"what one tenant may have in it, tables and indexes, at least 64KiB; over it writes but deletes are refused; default no limit"`
}

// Cache is the read-through cache.
type Cache struct {
	Max      Size          `key:"max" default:"64MiB" doc:"memory of all entries"`
	MaxEntry Size          `key:"max_entry" default:"1MiB" doc:"largest entry"`
	TTL      time.Duration `key:"ttl" default:"1m" doc:"time to live where a query names none"`
	MaxTTL   time.Duration `key:"max_ttl" default:"1h" doc:"longest time to live"`
}

// Buffer is the write-behind buffer.
type Buffer struct {
	Node          string        `key:"node" default:"local" doc:"this node's name in the ledger"`
	FlushInterval time.Duration `key:"flush_interval" default:"100ms" doc:"how long a write may wait for others before its batch is applied"`
	MaxPending    Size          `key:"max_pending" default:"256MiB" doc:"writes accepted and not applied yet; beyond it writers wait"`
	MaxLog        Size          `key:"max_log" default:"4GiB" doc:"the log's files"`
}

// Sockets is the WebSocket hub.
type Sockets struct {
	Max           int           `key:"max" default:"100000" doc:"open sockets"`
	MaxPerAddress int           `key:"max_per_address" default:"1000" doc:"open sockets of one address"`
	IdleTimeout   time.Duration `key:"idle_timeout" doc:"closes sockets that carried no message for so long; 0 never does"`
}

// Limits are the operator's word on plugins' limits.
type Limits struct {
	Default PluginLimits `key:"default"`
	Max     PluginLimits `key:"max"`
}

// PluginLimits are the limits of plugin.yaml, for plugins that set none and as the most that one may set.
type PluginLimits struct {
	Time      time.Duration `key:"time" doc:"wall time of one call"`
	Start     time.Duration `key:"start" doc:"wall time of a plugin's start-up"`
	Memory    Size          `key:"memory" doc:"linear memory of an instance"`
	Body      Size          `key:"body" doc:"a request's body"`
	Response  Size          `key:"response" doc:"a response's body"`
	Instances int           `key:"instances" doc:"calls of one plugin that run at once"`
	Queue     time.Duration `key:"queue" doc:"wait of a call for an instance"`
	Waiting   int           `key:"waiting" doc:"calls of one plugin that wait for an instance"`
	HostCalls int           `key:"host_calls" doc:"host calls of one call"`
	Fuel      int           `key:"fuel" doc:"fuel of one call, about one for an instruction; not counted unless set"`
	Rows      int           `key:"rows" doc:"rows of one query"`
	Result    Size          `key:"result" doc:"bytes of one query's answer"`
	Requests  int           `key:"requests" doc:"outbound requests of one call"`
	LogLines  int           `key:"log_lines" doc:"log lines of one call"`
	Sockets   int           `key:"sockets" doc:"open sockets of one plugin"`
	Message   Size          `key:"message" doc:"a socket's message"`
	Vars      Size          `key:"vars" doc:"variables of an Extism plugin"`
}

// Host is the configuration as package host wants it. What only it can check is checked here.
func (c *Config) Host() (host.Config, error) {
	out := host.Config{
		DataDir:           c.Data,
		CacheDir:          c.CodeDir,
		SleepTime:         c.SleepTime,
		MaxCalls:          c.MaxCalls,
		Deploy:            host.DeployConfig{SoakTime: c.Deploy.Soak, MaxFailedPercent: c.Deploy.MaxFailed},
		PluginConfig:      c.Plugins,
		DefaultLimits:     c.Limits.Default.plugin(),
		MaxLimits:         c.Limits.Max.plugin(),
		PrivateHosts:      c.HTTP.PrivateHosts,
		SocketIdleTimeout: c.Sockets.IdleTimeout,
		HTTP: host.HTTPConfig{
			HeaderTimeout: c.HTTP.HeaderTimeout, ReadTimeout: c.HTTP.ReadTimeout, WriteTimeout: c.HTTP.WriteTimeout,
			IdleTimeout: c.HTTP.IdleTimeout, DrainTime: c.HTTP.DrainTime,
			MaxHeaderBytes: int64(c.HTTP.MaxHeader), MaxBodyBytes: int64(c.HTTP.MaxBodies), MaxConns: c.HTTP.MaxConns,
		},
		Cache:   cache.Config{MaxBytes: int64(c.Cache.Max), MaxEntryBytes: int64(c.Cache.MaxEntry), DefaultTTL: c.Cache.TTL, MaxTTL: c.Cache.MaxTTL},
		Buffer:  buffer.Config{Node: c.Buffer.Node, FlushInterval: c.Buffer.FlushInterval, MaxPendingBytes: int64(c.Buffer.MaxPending), MaxLogBytes: int64(c.Buffer.MaxLog)},
		Sockets: ws.Config{MaxConns: c.Sockets.Max, MaxConnsPerAddress: c.Sockets.MaxPerAddress},
	}
	out.Databases = make(map[string]host.DatabaseConfig, len(c.Database))
	for name, d := range c.Database {
		out.Databases[name] = host.DatabaseConfig{
			Type: d.Type, URL: d.URL, Filename: d.Filename, Host: d.Host, Port: d.Port, User: d.User, Password: d.Password,
			Database: d.Database, Schema: d.Schema, TLS: d.TLS, TLSCA: d.TLSCA, TLSCert: d.TLSCert, TLSKey: d.TLSKey,
			ConnectionLimit: d.ConnectionLimit, BusyTimeout: d.BusyTimeout, StatementTimeout: d.StatementTimeout, MaxSizeBytes: int64(d.MaxSize),
		}
	}
	for _, text := range c.HTTP.TrustedProxies {
		p, err := parsePrefix(text)
		if err != nil {
			return out, fmt.Errorf("http.trusted_proxies: %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		out.HTTP.TrustedProxies = append(out.HTTP.TrustedProxies, p)
	}
	var err error
	out.HTTP.TLS, err = c.TLS.config()
	return out, err
}

func (t TLS) config() (*tls.Config, error) {
	switch {
	case t.Cert == "" && t.Key == "":
		return nil, nil
	case t.Cert == "" || t.Key == "":
		return nil, errors.New("tls.cert and tls.key go together: set both or none")
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert, tls.key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, nil
}

func (l PluginLimits) plugin() plugins.Limits {
	return plugins.Limits{
		Time: l.Time, StartTime: l.Start, MemoryBytes: int64(l.Memory), BodyBytes: int64(l.Body), ResponseBytes: int64(l.Response),
		MaxInstances: int64(l.Instances), QueueTime: l.Queue, MaxWaiting: int64(l.Waiting), MaxHostCalls: int64(l.HostCalls), MaxFuel: int64(l.Fuel), MaxRows: int64(l.Rows), ResultBytes: int64(l.Result),
		MaxRequests: int64(l.Requests), MaxLogLines: int64(l.LogLines), MaxSockets: int64(l.Sockets), MessageBytes: int64(l.Message),
		VarBytes: int64(l.Vars),
	}
}

func parsePrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
