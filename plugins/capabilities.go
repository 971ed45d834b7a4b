package plugins

import (
	"slices"

	"github.com/odac-run/odachost/abi"
)

// Capabilities is what a plugin asks for. A nil field was not asked for, and its host module is not linked.
type Capabilities struct {
	// DB is the module odac:db/v1.
	DB *DB
	// Cache is odac:cache/v1, read-through over what DB allows.
	Cache *Cache
	// Buffer is odac:buffer/v1, write-behind over what DB allows.
	Buffer *Buffer
	// WS is odac:ws/v1, WebSocket rooms and sends.
	WS *WS
	// HTTP is odac:http/v1, outbound requests.
	HTTP *HTTP
}

// DB is the capability db.
type DB struct {
	// Tables gives what is allowed on each table. A table that is not here is out of reach.
	Tables map[string]Table
	// Raw allows SQL text beside built queries. It stays within Tables.
	Raw bool
	// Channels gives what is allowed on each channel of the tenant, in the order listen, notify.
	Channels map[string][]Verb
}

// Table is what is allowed on one table.
type Table struct {
	// Verbs are the verbs that are allowed, in the order select, insert, update, delete, at least one.
	Verbs []Verb
	// Columns gives for select, insert and update the columns that the verb may name, sorted; a verb that is not here has all. Where select is not
	// allowed, conditions may name all columns if no verb has a list, else none.
	Columns map[Verb][]string
	// Where says which rows the verbs reach; nil is all. A row that is written must be such a row too.
	Where *Policy
}

// Limited says whether the table is not allowed with all its columns and rows.
func (t Table) Limited() bool { return len(t.Columns) > 0 || t.Where != nil }

// Allows says whether the verb may name the column; "" is the verb as such.
func (t Table) Allows(v Verb, column string) bool {
	columns, some := t.Columns[v]
	return slices.Contains(t.Verbs, v) && (column == "" || !some || slices.Contains(columns, column))
}

// Cache is the capability cache.
type Cache struct{}

// Buffer is the capability buffer.
type Buffer struct {
	// Tables are the tables that may be written through the buffer, sorted; none is each that DB lets the plugin write. The
	// verb is DB's to allow in either case.
	Tables []string
}

// WS is the capability ws.
type WS struct {
	// Origins are the Origin host names, beside the plugin's own, from which browsers may open sockets: exact or
	// "*.example.org"; "*" is any.
	Origins []string
}

// HTTP is the capability http.
type HTTP struct {
	// Hosts are host names or IP addresses without scheme or port, lower case: exact or "*.example.org" (any depth below, not
	// example.org itself); "*" is any public host.
	Hosts []string
}

// Verb is what a plugin does to a table or with a channel.
type Verb string

// The verbs.
const (
	Select Verb = "select"
	Insert Verb = "insert"
	Update Verb = "update"
	Delete Verb = "delete"

	Listen Verb = "listen" // to a channel
	Notify Verb = "notify" // who listens to a channel
)

// verbs are all of them, in the order in which they are printed.
var verbs = []Verb{Select, Insert, Update, Delete}

// channelVerbs are those of channels.
var channelVerbs = []Verb{Listen, Notify}

// The capabilities by name, as in plugin.yaml.
const (
	CapabilityDB     = "db"
	CapabilityCache  = "cache"
	CapabilityBuffer = "buffer"
	CapabilityWS     = "ws"
	CapabilityHTTP   = "http"
)

// modules gives each capability's host module.
var modules = []struct{ capability, module string }{
	{CapabilityDB, abi.ModuleDB},
	{CapabilityCache, abi.ModuleCache},
	{CapabilityBuffer, abi.ModuleBuffer},
	{CapabilityWS, abi.ModuleWS},
	{CapabilityHTTP, abi.ModuleHTTP},
}
