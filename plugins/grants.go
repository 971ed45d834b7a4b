package plugins

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// Grants answers what a plugin may do. It is made once per revision, by [Manifest.Grants], never changes, and its answers take no
// memory where they are yes. It may be used by any number of goroutines.
type Grants struct {
	plugin   string
	raw      bool
	on       map[string]bool
	tables   map[string]Table
	channels map[string][]Verb
	buffer   map[string]bool // nil is every table
	hosts    hostSet
	origins  hostSet
}

// hostSet is a list of exact names and "*." patterns.
type hostSet struct {
	any    bool
	exact  map[string]bool
	suffix map[string]bool // ".example.org"
}

func newHostSet(patterns []string) hostSet {
	s := hostSet{exact: map[string]bool{}, suffix: map[string]bool{}}
	for _, p := range patterns {
		switch rest, wild := strings.CutPrefix(p, "*"); {
		case p == "*":
			s.any = true
		case wild:
			s.suffix[rest] = true
		default:
			s.exact[p] = true
		}
	}
	return s
}

// has matches a lower-case name without a final dot.
func (s hostSet) has(name string) bool {
	if s.any || s.exact[name] {
		return true
	}
	for rest := name; len(s.suffix) > 0; {
		i := strings.IndexByte(rest[min(1, len(rest)):], '.')
		if i < 0 {
			return false
		}
		if rest = rest[i+1:]; s.suffix[rest] {
			return true
		}
	}
	return false
}

// Grants are what the manifest's capabilities allow.
func (m *Manifest) Grants() *Grants {
	c := m.Capabilities
	g := &Grants{plugin: m.Name, on: map[string]bool{
		CapabilityDB: c.DB != nil, CapabilityCache: c.Cache != nil, CapabilityBuffer: c.Buffer != nil,
		CapabilityWS: c.WS != nil, CapabilityHTTP: c.HTTP != nil,
	}}
	if c.DB != nil {
		g.raw = c.DB.Raw
		g.tables, g.channels = c.DB.Tables, c.DB.Channels
	}
	if c.Buffer != nil && len(c.Buffer.Tables) > 0 {
		g.buffer = make(map[string]bool, len(c.Buffer.Tables))
		for _, table := range c.Buffer.Tables {
			g.buffer[table] = true
		}
	}
	if c.WS != nil {
		g.origins = newHostSet(c.WS.Origins)
	}
	if c.HTTP != nil {
		g.hosts = newHostSet(c.HTTP.Hosts)
	}
	return g
}

// GrantError says that a plugin did what it was not granted, and which line of plugin.yaml would ask for it. [errors.Is] finds
// [ErrNotGranted].
type GrantError struct {
	// Plugin is the plugin's name.
	Plugin string
	// What it did, such as "insert into table posts".
	What string
	// Line is what plugin.yaml lacks below capabilities, such as "db: {tables: {posts: [insert]}}".
	Line string
}

// Error implements error.
func (e *GrantError) Error() string {
	return fmt.Sprintf("plugins: %s may not %s: add to its %s, below capabilities, %s", e.Plugin, e.What, ManifestName, e.Line)
}

// Is makes it an [ErrNotGranted].
func (e *GrantError) Is(target error) bool { return target == ErrNotGranted }

func (g *Grants) deny(what, line string) error {
	return &GrantError{Plugin: g.plugin, What: what, Line: line}
}

// Capability says whether a capability, by its name in plugin.yaml, is granted.
func (g *Grants) Capability(name string) bool { return g.on[name] }

// Module says whether a host module, such as odac:db/v1, may be linked. odac:core/v1 always may; unknown modules may not. The
// error is a [*GrantError] with the capability's name.
func (g *Grants) Module(module string) error {
	if module == abi.ModuleCore {
		return nil
	}
	for _, m := range modules {
		if m.module != module {
			continue
		}
		if g.on[m.capability] {
			return nil
		}
		return g.deny("use host module "+module, capabilityLine(m.capability))
	}
	return fmt.Errorf("plugins: %s asks for host module %.100q, which this host does not have: build it with an older SDK, or update odachost", g.plugin, module)
}

func capabilityLine(capability string) string {
	switch capability {
	case CapabilityDB:
		return "db: {tables: {posts: [select]}} with your tables"
	case CapabilityHTTP:
		return "http: {hosts: [api.example.com]} with your hosts"
	}
	return capability + ": true"
}

// Modules are the host modules that may be linked, odac:core/v1 first.
func (g *Grants) Modules() []string {
	list := []string{abi.ModuleCore}
	for _, m := range modules {
		if g.on[m.capability] {
			list = append(list, m.module)
		}
	}
	return list
}

// Table says whether the verb is allowed on the table, whose name is compared letter by letter. The error is a [*GrantError].
func (g *Grants) Table(table string, verb Verb) error { return g.Column(table, verb, "") }

// Column says whether the verb may name the column; "" is the verb as such. The error is a [*GrantError].
func (g *Grants) Column(table string, verb Verb, column string) error {
	if g.tables[table].Allows(verb, column) {
		return nil
	}
	preposition, known := map[Verb]string{Select: "from", Insert: "into", Update: "in", Delete: "from"}[verb]
	if !known {
		return fmt.Errorf("plugins: %.40q is none of select, insert, update, delete", verb)
	}
	if column == "" {
		return g.deny(fmt.Sprintf("%s %s table %.100s", verb, preposition, table), fmt.Sprintf("db: {tables: {%.100s: [%s]}}", table, verb))
	}
	return g.deny(fmt.Sprintf("%s column %.100s %s table %.100s", verb, column, preposition, table), fmt.Sprintf("db: {tables: {%.100s: {%s: [%.100s]}}}", table, verb, column))
}

// Buffer says whether the verb is allowed on the table through the buffer. The error is a [*GrantError].
func (g *Grants) Buffer(table string, verb Verb) error {
	if !g.on[CapabilityBuffer] || g.buffer != nil && !g.buffer[table] {
		return g.deny(fmt.Sprintf("write table %.100s through the buffer", table), fmt.Sprintf("buffer: {tables: [%.100s]}", table))
	}
	return g.Table(table, verb)
}

// Raw says whether SQL text is allowed. The error is a [*GrantError].
func (g *Grants) Raw() error {
	if g.raw {
		return nil
	}
	return g.deny("run SQL text", "db: {raw: true}")
}

// Channel says whether the verb, Listen or Notify, is allowed on the channel. The error is a [*GrantError].
func (g *Grants) Channel(channel string, verb Verb) error {
	if slices.Contains(g.channels[channel], verb) {
		return nil
	}
	what := map[Verb]string{Listen: "listen to", Notify: "notify"}[verb]
	return g.deny(fmt.Sprintf("%s channel %.100s", what, channel), fmt.Sprintf("db: {channels: {%.100s: [%s]}}", channel, verb))
}

// Host says whether an outbound request may go to a host: a name in any case, with or without a final dot, or an IP address, no
// port. "*" allows every name; whether a name leads to a private address is the host's to check when it connects. The
// error is a [*GrantError].
func (g *Grants) Host(name string) error {
	if g.hosts.has(normalHost(name)) {
		return nil
	}
	return g.deny(fmt.Sprintf("send requests to %.255s", name), fmt.Sprintf("http: {hosts: [%.255s]}", name))
}

// HostListed is [Grants.Host] without "*": the manifest names this very host or its domain. A host that refuses private
// addresses may make an exception for one that was named.
func (g *Grants) HostListed(name string) bool {
	s := g.hosts
	s.any = false
	return s.has(normalHost(name))
}

// Origin says whether a browser's Origin host name may open a socket besides the plugin's own. The error is a [*GrantError].
func (g *Grants) Origin(name string) error {
	if g.origins.has(normalHost(name)) {
		return nil
	}
	return g.deny(fmt.Sprintf("take sockets from origin %.255s", name), fmt.Sprintf("ws: {origins: [%.255s]}", name))
}

// normalHost takes no memory for a name that is lower case already.
func normalHost(name string) string {
	if strings.HasPrefix(name, "[") || strings.Contains(name, ":") {
		if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			return ip.Unmap().WithZone("").String()
		}
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
