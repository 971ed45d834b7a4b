package abi

//msgp:limit arrays:65536 maps:65536
//msgp:clearomitted

// SocketSend sends one message: to the socket ID, or to every socket of Room but Except.
type SocketSend struct {
	ID     string   `msg:"id,omitempty"`
	Room   string   `msg:"r,omitempty"`
	Except []string `msg:"x,omitempty"`
	Binary bool     `msg:"bin,omitempty"`
	Body   []byte   `msg:"b,limit=16777216"`
}

// SocketRoom names a room and, to join or leave, a socket.
type SocketRoom struct {
	ID   string `msg:"id,omitempty"`
	Room string `msg:"r,omitempty"`
}

// SocketClose closes a socket with a code of RFC 6455 section 7.4 (1000 to 1011) or 3000 to 4999.
type SocketClose struct {
	ID     string `msg:"id"`
	Code   int    `msg:"c,omitempty"` // 0 is 1000
	Reason string `msg:"re,omitempty"`
}

// SocketData replaces what the host keeps for a socket, at most [MaxSocketData] bytes.
type SocketData struct {
	ID   string `msg:"id"`
	Data []byte `msg:"d,omitempty,limit=16777216"`
}

// Count answers how many.
type Count struct {
	N int64 `msg:"n"`
}

// FetchRequest is an outbound HTTP request to a host that the plugin was granted.
type FetchRequest struct {
	Method   string   `msg:"m,omitempty"` // "" is GET
	URL      string   `msg:"u"`
	Header   []string `msg:"h,omitempty"` // pairs
	Body     []byte   `msg:"b,omitempty,limit=16777216"`
	Timeout  int64    `msg:"to,omitempty"` // milliseconds, within the call's deadline; 0 is the deadline
	Redirect int      `msg:"rd,omitempty"` // redirects to follow, 0 is 10, -1 is none
}

// FetchResponse answers a FetchRequest, whatever the status.
type FetchResponse struct {
	Status int      `msg:"s"`
	URL    string   `msg:"u,omitempty"` // after redirects
	Header []string `msg:"h,omitempty"` // pairs
	Body   []byte   `msg:"b,omitempty,limit=16777216"`
}
