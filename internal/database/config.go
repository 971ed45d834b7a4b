package database

import (
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/odac-run/odachost/abi"
)

// Config says where a database is. The keys are those of the reference implementation and url.
type Config struct {
	// Type is sqlite (the default), postgres or mysql. Empty with a URL: by the URL's scheme.
	Type string `koanf:"type"`
	// URL replaces the keys below: sqlite:data/blog.db, sqlite:///var/lib/blog.db, postgres://..., mysql://...
	URL string `koanf:"url"`
	// Filename is the file of an SQLite database. It is created if it is missing; its folder is not.
	Filename string `koanf:"filename"`

	Host     string `koanf:"host"`
	Port     int    `koanf:"port"`
	User     string `koanf:"user"`
	Password string `koanf:"password"`
	Database string `koanf:"database"`
	// Schema is the schema of PostgreSQL whose tables these are. Default public. It must exist.
	Schema string `koanf:"schema"`

	// TLS says how the connection to a server is protected: verify (encrypted, the server proves its name), require (encrypted only)
	// or disable. Empty is disable for this machine and verify for every other, or what the URL says (sslmode, tls).
	TLS string `koanf:"tls"`
	// TLSCA is a file of the certificates (PEM) that may sign the server's; empty is the system's. TLSCert and TLSKey are this client's own.
	TLSCA   string `koanf:"tlsCa"`
	TLSCert string `koanf:"tlsCert"`
	TLSKey  string `koanf:"tlsKey"`

	// ConnectionLimit is the most connections at a time. 0 is twice the CPUs, at least 4. SQLite has one more that writes.
	ConnectionLimit int `koanf:"connectionLimit"`
	// BusyTimeout is the longest wait for a connection and for a file lock of another process. 0 is 5 s, -1 does not wait.
	BusyTimeout time.Duration `koanf:"busyTimeout"`
	// StatementTimeout is the longest run of one statement on a server, whatever the deadline of its call. 0 is 30 s, -1 is none. SQLite
	// knows the call's deadline only.
	StatementTimeout time.Duration `koanf:"statementTimeout"`
	// MaxSizeBytes is how large what one tenant has here may grow, tables and indexes. 0 is no limit, the least is 64 KiB. On SQLite it is the file, exactly; its log
	// comes on top. On a server the host looks every few seconds, see package host.
	MaxSizeBytes int64 `koanf:"maxSize"`
	// Logger gets what guests must not see: the driver's words behind an unavailable or internal error. nil discards.
	Logger *slog.Logger `koanf:"-"`
}

// minSize is the least that a database is limited to, in bytes.
const minSize = 64 << 10

const (
	typeSQLite   = "sqlite"
	typePostgres = "postgres"
	typeMySQL    = "mysql"
)

var typeNames = map[string]string{
	"": typeSQLite, "sqlite": typeSQLite, "sqlite3": typeSQLite, "better-sqlite3": typeSQLite, "file": typeSQLite,
	"postgres": typePostgres, "postgresql": typePostgres, "pg": typePostgres,
	"mysql": typeMySQL, "mysql2": typeMySQL, "mariadb": typeMySQL,
}

// withDefaults returns a checked copy of c with every zero replaced by its default.
func (c Config) withDefaults() (Config, error) {
	if err := c.readURL(); err != nil {
		return c, err
	}
	kind, ok := typeNames[strings.ToLower(c.Type)]
	if !ok {
		return c, fmt.Errorf("database: type %q: use sqlite, postgres or mysql", c.Type)
	}
	c.Type = kind
	check := c.checkServer
	if kind == typeSQLite {
		check = c.checkFile
	}
	err := check()
	switch {
	case err != nil:
		return c, err
	case c.ConnectionLimit < 0 || c.ConnectionLimit > 1000:
		return c, fmt.Errorf("database: connectionLimit is %d: use 1 to 1000, or 0 for the default", c.ConnectionLimit)
	}
	if c.MaxSizeBytes < 0 || c.MaxSizeBytes > 0 && c.MaxSizeBytes < minSize {
		return c, fmt.Errorf("database: maxSize is %d bytes: use at least %d, or 0 for no limit", c.MaxSizeBytes, minSize)
	}
	if c.ConnectionLimit == 0 {
		c.ConnectionLimit = max(4, 2*runtime.GOMAXPROCS(0))
	}
	switch {
	case c.BusyTimeout == 0:
		c.BusyTimeout = 5 * time.Second
	case c.BusyTimeout < 0:
		c.BusyTimeout = 0
	}
	switch {
	case c.StatementTimeout == 0:
		c.StatementTimeout = 30 * time.Second
	case c.StatementTimeout < 0:
		c.StatementTimeout = 0
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c *Config) checkFile() error {
	switch {
	case c.Filename == "":
		return fmt.Errorf("database: type sqlite needs filename, the path of the database file")
	case strings.Contains(c.Filename, ":memory:"), strings.ContainsRune(c.Filename, 0):
		return fmt.Errorf("database: filename %q is not a file: readers and the writer share one, so give it a path", c.Filename)
	}
	return nil
}

// readURL spreads URL over the other keys. What a key says stands.
func (c *Config) readURL() error {
	if c.URL == "" {
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return fmt.Errorf("database: url is not a URL: write sqlite:path, postgres://user@host/name or mysql://user@host/name") // not %w: it would print the password
	}
	kind, ok := typeNames[strings.ToLower(u.Scheme)]
	if !ok || u.Scheme == "" {
		return fmt.Errorf("database: url scheme %q: use sqlite, postgres or mysql", u.Scheme)
	}
	if c.Type != "" && typeNames[strings.ToLower(c.Type)] != kind {
		return fmt.Errorf("database: type is %s but url says %s: give one of them", c.Type, u.Scheme)
	}
	c.Type = kind
	if kind != typeSQLite {
		return c.readServerURL(u)
	}
	c.Filename = u.Opaque
	if u.Opaque == "" {
		c.Filename = u.Host + u.Path
	}
	if path, err := url.PathUnescape(c.Filename); err == nil {
		c.Filename = path
	}
	return nil
}

// Budget bounds one statement's answer. 0 is the default, -1 is off. Time is bounded by the context.
type Budget struct {
	MaxRows  int64 // rows of the answer; default 10,000
	MaxBytes int64 // bytes of the encoded answer; default and never more than abi.MaxMessageBytes
}

func (b Budget) withDefaults() Budget {
	switch {
	case b.MaxRows == 0:
		b.MaxRows = 10_000
	case b.MaxRows < 0:
		b.MaxRows = 1<<32 - 1 // what a MessagePack array holds
	}
	if b.MaxBytes <= 0 || b.MaxBytes > abi.MaxMessageBytes {
		b.MaxBytes = abi.MaxMessageBytes
	}
	return b
}
