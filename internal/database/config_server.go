package database

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Ways to protect a connection: see [Config.TLS].
const (
	tlsDisable = "disable"
	tlsRequire = "require"
	tlsVerify  = "verify"
)

// tlsModes are the words of Config.TLS, of PostgreSQL's sslmode and of MySQL's tls. Those that fall back to plain text when somebody in
// between says so are not among them.
var tlsModes = map[string]string{
	"disable": tlsDisable, "false": tlsDisable,
	"require": tlsRequire, "skip-verify": tlsRequire,
	"verify": tlsVerify, "verify-full": tlsVerify, "true": tlsVerify,
}

var defaultPorts = map[string]int{typePostgres: 5432, typeMySQL: 3306}

// readServerURL spreads the URL of a server over the other keys.
func (c *Config) readServerURL(u *url.URL) error {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&c.Host, u.Hostname())
	set(&c.User, u.User.Username())
	password, _ := u.User.Password()
	set(&c.Password, password)
	set(&c.Database, strings.TrimPrefix(u.Path, "/"))
	if port := u.Port(); port != "" && c.Port == 0 {
		n, err := strconv.Atoi(port)
		if err != nil {
			return fmt.Errorf("database: url: port %q is not a number", port)
		}
		c.Port = n
	}
	for key, values := range u.Query() {
		field := map[string]*string{
			"sslmode": &c.TLS, "tls": &c.TLS, "sslrootcert": &c.TLSCA, "sslcert": &c.TLSCert, "sslkey": &c.TLSKey, "host": &c.Host, "schema": &c.Schema,
		}[key]
		if field == nil {
			return fmt.Errorf("database: url: parameter %q is unknown: use host, schema, sslmode (or tls), sslrootcert, sslcert and sslkey", key)
		}
		set(field, values[0])
	}
	return nil
}

// checkServer fills in and checks what says how to reach a server.
func (c *Config) checkServer() error {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Port == 0 {
		c.Port = defaultPorts[c.Type]
	}
	if c.Schema == "" && c.Type == typePostgres {
		c.Schema = "public"
	}
	if c.TLS == "" {
		c.TLS = tlsVerify
		if local(c.Host) {
			c.TLS = tlsDisable
		}
	}
	mode, ok := tlsModes[c.TLS]
	switch {
	case !ok:
		return fmt.Errorf("database: tls %q: use verify, require or disable", c.TLS)
	case c.Database == "":
		return fmt.Errorf("database: type %s needs database, the name of the database on the server", c.Type)
	case c.User == "":
		return fmt.Errorf("database: type %s needs user", c.Type)
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("database: port is %d: use 1 to 65535", c.Port)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("database: tlsCert and tlsKey go together: set both or none")
	case mode == tlsDisable && c.TLSCA+c.TLSCert != "":
		return errors.New("database: tls is disabled, but there are certificates: set tls to verify")
	}
	c.TLS = mode
	return nil
}

// local says whether a host is this machine: a socket's path, localhost or a loopback address.
func local(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// address is host:port, or the path of a socket.
func (c *Config) address() (network, address string) {
	if strings.HasPrefix(c.Host, "/") {
		return "unix", c.Host
	}
	return "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

// tlsConfig is nil where connections are plain.
func (c *Config) tlsConfig() (*tls.Config, error) {
	if c.TLS == tlsDisable {
		return nil, nil //nolint:nilnil // as crypto/tls has it
	}
	out := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.TLS == tlsRequire} //nolint:gosec // the operator's choice
	if c.TLSCA != "" {
		pem, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("database: tlsCa: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("database: tlsCa: %s holds no certificate (PEM)", c.TLSCA)
		}
	}
	if c.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("database: tlsCert, tlsKey: %w", err)
		}
		out.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}
