package abi

// Version is the ABI's major version: what a guest states in its [Registration] and a host in its [Hello].
const Version = 1

// The host modules of v1. A plugin's import section states which it wants; one that is not granted is not linked.
const (
	ModuleCore   = "odac:core/v1"   // always linked
	ModuleDB     = "odac:db/v1"     // capability db
	ModuleCache  = "odac:cache/v1"  // capability cache
	ModuleBuffer = "odac:buffer/v1" // capability buffer
	ModuleWS     = "odac:ws/v1"     // capability ws
	ModuleHTTP   = "odac:http/v1"   // capability http
	ModuleExtism = "extism:host/env"
	// ModuleExtismUser has the functions of the granted modules for Extism's PDKs, each as odac_MODULE_FUNCTION(handle of the
	// request) -> errno << 32 | handle of the answer, or of the error's text.
	ModuleExtismUser = "extism:host/user"
)

// The functions of odac:core/v1.
const (
	FuncInput  = "input"  // no request; answers the event's message
	FuncOutput = "output" // request is the reply's message; empty answer
	FuncTake   = "take"   // no request; answers what was kept because it did not fit
)

// The functions of odac:db/v1.
const (
	FuncQuery    = "query"    // Query -> Result
	FuncBegin    = "begin"    // Begin -> Tx
	FuncCommit   = "commit"   // Tx -> nothing
	FuncRollback = "rollback" // Tx -> nothing
	FuncBatch    = "batch"    // Batch -> BatchResult
	FuncOpen     = "open"     // Query (a select) -> Cursor, which belongs to the call
	FuncNext     = "next"     // Cursor -> Page
	FuncFree     = "free"     // Cursor -> nothing: closes it
	FuncNotify   = "notify"   // Notify -> nothing
)

// The functions of odac:cache/v1.
const (
	FuncCachedQuery = "query" // Query (a select with TTL) -> Result
	FuncCacheClear  = "clear" // Table -> nothing
)

// The functions of odac:buffer/v1.
const (
	FuncBufferWrite = "write" // BufferWrite -> Result
	FuncBufferFlush = "flush" // Table -> nothing; the empty name is every table
)

// The functions of odac:ws/v1.
const (
	FuncSend      = "send"      // SocketSend -> nothing
	FuncBroadcast = "broadcast" // SocketSend with Room -> Count
	FuncJoin      = "join"      // SocketRoom -> nothing
	FuncLeave     = "leave"     // SocketRoom -> nothing
	FuncCount     = "count"     // SocketRoom -> Count; the empty room is every socket of the plugin
	FuncClose     = "close"     // SocketClose -> nothing
	FuncData      = "data"      // SocketData -> nothing: replaces what the host keeps for the socket
)

// FuncFetch is the function of odac:http/v1: FetchRequest -> FetchResponse.
const FuncFetch = "fetch"

// What a guest exports.
const (
	ExportRegister = "odac_register"
	ExportEvent    = "odac_event"
)

// EventKind says which message an event carries and which reply it wants.
type EventKind uint32

// The kinds of event. Numbers never change meaning.
const (
	EventWarm          EventKind = 0 // nothing -> nothing; before the image is taken, so that it is that of a plugin that has served
	EventHTTP          EventKind = 1 // HTTPRequest -> HTTPResponse
	EventSocketUpgrade EventKind = 2 // HTTPRequest -> HTTPResponse; 101 admits, anything else refuses the socket
	EventSocketOpen    EventKind = 3 // SocketEvent -> nothing
	EventSocketMessage EventKind = 4 // SocketEvent -> nothing
	EventSocketClose   EventKind = 5 // SocketEvent -> nothing
	EventSchedule      EventKind = 6 // ScheduleEvent -> nothing
	EventCall          EventKind = 7 // CallEvent -> CallReply
	EventNotification  EventKind = 8 // Notification -> nothing
)

// String names the kind as logs and metrics do.
func (k EventKind) String() string {
	switch k {
	case EventWarm:
		return "warm"
	case EventHTTP:
		return "http"
	case EventSocketUpgrade:
		return "socket_upgrade"
	case EventSocketOpen:
		return "socket_open"
	case EventSocketMessage:
		return "socket_message"
	case EventSocketClose:
		return "socket_close"
	case EventSchedule:
		return "schedule"
	case EventCall:
		return "call"
	case EventNotification:
		return "notification"
	}
	return "unknown"
}
