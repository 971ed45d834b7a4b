// Package odac is what a Go plugin of odachost imports. A plugin is a main package that says in init what it answers; the
// SDK exports the two functions of the ABI, and the host calls them.
//
//	package main
//
//	import odac "github.com/odac-run/odachost/sdk"
//
//	func init() {
//		odac.Get("/posts/{id}", show)
//		odac.Post("/posts", create)
//		odac.Socket("/live/{room}", odac.SocketHandler{Open: joined, Message: said})
//		odac.Every("prune", time.Hour, prune)
//		odac.Func("stats", stats)
//	}
//
//	func main() {}
//
//	func show(c *odac.Ctx) error {
//		post, err := odac.DB("posts").Where("id", c.Param("id")).First()
//		if err != nil {
//			return err // no such row is a 404
//		}
//		return c.Text(200, post.String("title"))
//	}
//
// It is built with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared, and compiles natively as well, where package
// odactest calls its handlers with a host made by the test.
//
// # What it offers
//
// HTTP: [Get], [Post], [Put], [Patch], [Delete], [Handle] take a pattern in the syntax of net/http.ServeMux without method and
// host, a [Handler] and [Middleware]; [Use] adds middleware to every route. A handler reads the request from [Ctx] and
// answers through it.
//
// Data: [DB] starts a [Query], an immutable value: each method returns a new one, so a query kept in a variable never gets
// another's conditions. [Query.Cache] reads through the cache, [Query.Buffer] writes behind, [Query.Page] and [Query.Stream] read much, [Tx] runs
// a transaction, [Batch] several statements at once, [SQL] text.
//
// Sockets: [Socket] registers a [SocketHandler]; its functions see a [*Conn]. [Room] and [Peer] reach sockets from anywhere.
//
// The rest: [Every] and [Cron] schedules, [Listen] and [Notify] between the tenant's plugins, [Func] direct calls, [Fetch] outbound
// HTTP, [Log], [Config], [Rand], [NanoID].
//
// # Capabilities
//
// Each capability is a host module, and a plugin imports only those whose functions it uses: the Go linker drops the rest. Thus
// the import section of the binary says what the plugin wants, and loading fails if it was not granted.
//
// # Errors
//
// Errors are values of type [*Error] with a [Kind]; [IsNotFound] and its sisters ask for it. What a handler returns becomes
// the kind's HTTP status with a short public text; the details go to the log. A panic in a handler is a 500 with its
// stack in the log, and the instance lives on.
//
// # Memory
//
// Everything that a handler gets is its own: the SDK never reuses the memory of an event, so strings and rows may be kept.
// How long they live is the plugin's isolation: in fresh mode no byte survives the call.
//
// # Concurrency
//
// An instance runs one event at a time. The functions of this package may be called from goroutines of the handler, but a
// goroutine that outlives its event only continues during the next one, if ever.
package odac
