package abi

//msgp:limit arrays:65536 maps:65536
//msgp:clearomitted

// HTTPRequest is what a route sees. Lists that hold pairs are flat: name, value, name, value.
type HTTPRequest struct {
	Route  uint32   `msg:"i"` // index in Registration.Routes (or Sockets, for an upgrade)
	Method string   `msg:"m"`
	Path   string   `msg:"p"`           // below the plugin's mount, starts with a slash
	Query  string   `msg:"q,omitempty"` // raw
	Params []string `msg:"v,omitempty"` // the pattern's wildcards in order, unescaped
	Header []string `msg:"h,omitempty"` // pairs, canonical names
	Body   []byte   `msg:"b,omitempty,limit=16777216"`
	Host   string   `msg:"ho,omitempty"`
	Scheme string   `msg:"s,omitempty"`  // http or https
	Remote string   `msg:"r,omitempty"`  // the client's address, without port
	ID     string   `msg:"id,omitempty"` // request id, for logs
}

// HTTPResponse answers an HTTPRequest. Hop-by-hop headers and Content-Length are the host's.
type HTTPResponse struct {
	Status int      `msg:"s,omitempty"` // 0 is 200
	Header []string `msg:"h,omitempty"` // pairs
	Body   []byte   `msg:"b,omitempty,limit=16777216"`
}

// SocketEvent is what a socket's handlers see.
type SocketEvent struct {
	Route  uint32   `msg:"i"`  // index in Registration.Sockets
	ID     string   `msg:"id"` // the socket, unique over all nodes
	Params []string `msg:"v,omitempty"`
	Query  string   `msg:"q,omitempty"`
	Data   []byte   `msg:"d,omitempty,limit=16777216"` // what the plugin keeps with the socket
	Header []string `msg:"h,omitempty"`                // open only
	Remote string   `msg:"r,omitempty"`
	Binary bool     `msg:"bin,omitempty"`
	Body   []byte   `msg:"b,omitempty,limit=16777216"` // message only
	Code   int      `msg:"c,omitempty"`                // close only: RFC 6455 section 7.4
	Reason string   `msg:"re,omitempty"`               // close only
}

// ScheduleEvent runs a schedule.
type ScheduleEvent struct {
	Name string `msg:"n"`
	Unix int64  `msg:"t"` // seconds since 1970 that this run was due
}

// Notification is what was said on a channel that the plugin listens to.
type Notification struct {
	Conn    string `msg:"db,omitempty"` // "" is the default connection
	Channel string `msg:"ch"`
	Payload string `msg:"b,omitempty"`
}

// CallEvent runs a function that the plugin offers to the Go program or the command line.
type CallEvent struct {
	Name string `msg:"n"`
	Body []byte `msg:"b,omitempty,limit=16777216"`
}

// CallReply answers a CallEvent.
type CallReply struct {
	Body []byte `msg:"b,omitempty,limit=16777216"`
}

// Hello is the input of odac_register: who the host is and what it offers.
type Hello struct {
	ABI      int      `msg:"abi"`
	Host     string   `msg:"host"` // version of odachost
	Features []string `msg:"feat,omitempty"`
	Plugin   string   `msg:"n"`
	Version  string   `msg:"ver,omitempty"`
	Tenant   string   `msg:"ten,omitempty"`
	Mount    string   `msg:"mnt,omitempty"` // URL path prefix, without the last slash: "" or "/blog"
}

// Registration is the output of odac_register.
type Registration struct {
	ABI       int        `msg:"abi"`
	SDK       string     `msg:"sdk,omitempty"` // name and version, for people
	Routes    []Route    `msg:"rt,omitempty"`
	Sockets   []Socket   `msg:"ws,omitempty"`
	Schedules []Schedule `msg:"sc,omitempty"`
	Calls     []string   `msg:"fn,omitempty"`
	Channels  []Channel  `msg:"ch,omitempty"`
}

// Route is a pattern in the syntax of net/http.ServeMux without the method and the host: /posts/{id}, /files/{path...}, /{$}.
type Route struct {
	Method  string `msg:"m,omitempty"` // "" is every method
	Pattern string `msg:"p"`
}

// Socket is a route that upgrades to a WebSocket.
type Socket struct {
	Pattern      string   `msg:"p"`
	Upgrade      bool     `msg:"u,omitempty"`  // wants EventSocketUpgrade before the 101
	Subprotocols []string `msg:"sp,omitempty"` // in order of preference
	Origins      []string `msg:"or,omitempty"` // hosts besides the own; "*" is any
}

// Channel is one that the plugin listens to.
type Channel struct {
	Conn string `msg:"db,omitempty"` // "" is the default connection
	Name string `msg:"n"`
}

// Schedule runs every interval, or by a cron line of five fields in UTC.
type Schedule struct {
	Name  string `msg:"n"`
	Every int64  `msg:"e,omitempty"` // milliseconds
	Cron  string `msg:"c,omitempty"`
}
