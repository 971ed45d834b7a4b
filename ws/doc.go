// Package ws is a WebSocket hub: it owns sockets, their queues and their rooms, and knows nothing of what is behind
// them. A composer gives each socket a [Handler] when it upgrades the request.
//
//	hub, err := ws.New(ws.Config{})
//	conn, err := hub.Upgrade(w, r, ws.Options{Scope: "acme/board", Route: "/live/{room}", Handler: h})
//	hub.Scope("acme/board").Broadcast(ws.Room{Name: "lobby"}, ws.Message{Type: ws.Text, Data: data}, conn.ID())
//
// # Contract
//
// Handshake. [Hub.Upgrade] is strict (RFC 6455 section 4.2.1): GET, HTTP/1.1, both tokens, version 13, a key of 16
// bytes, no early data, Origin of the same host unless [Options].Origins says otherwise. What it refuses it answers
// itself (400, 403, 405, 426, 429, 503) and returns as *[HandshakeError]. Authentication is the composer's: it calls
// Upgrade only after its own middleware has passed, so nothing but a plain HTTP answer (401, 403) precedes the 101.
// Headers that the middleware set on the ResponseWriter (cookies) travel with the 101.
//
// Events. A handler sees Open, then messages, then Close, in order, one at a time for a connection, never on the
// goroutine that reads the socket. For each Open there is exactly one Close, whatever happens: the peer's close, a reset,
// a panic in the handler (the socket is closed with 1011), [Hub.Close]. A handler may block as long as it likes: other
// sockets do not notice.
//
// Back-pressure in. At most [Options].PendingMessages (256) or PendingBytes (1 MiB) wait for a handler; then the
// connection is not read any more, and TCP slows the sender. Nothing is dropped. This is how a composer holds events
// while it swaps what is behind a handler: it blocks inside Message until the new generation serves, and the hub keeps the
// rest, in order. While reads are paused no pong can be seen, so the pong timeout is suspended; a composer that gives
// up closes with [ServiceRestart].
//
// Back-pressure out. [Conn.Send] and [Scope.Broadcast] never wait for a peer: they encode, then write what the kernel
// takes at once or put the frame into the connection's queue, whose waiting frames are written together. The queue
// is bounded by [Options].QueueBytes and QueueMessages (beyond them up to 32 KiB, or one larger message, is in the hands
// of the kernel). When it is full [Options].Slow decides: close with 1013, drop the oldest, or keep only the latest of a room.
// A write that makes no progress for 10 s closes the connection. A broadcast is encoded, and compressed, once.
//
// Order. What one goroutine sends to a connection arrives in that order. All members of a room see the room's
// broadcasts in the same order.
//
// Walls. Ids, rooms and broadcasts are walled by scope; inside a scope a [Room] is named by route and name, so rooms
// of two routes never meet unless both leave the route empty.
//
// Closing. A close is written after what was queued before it; the peer has 2 s to answer, then the socket is closed
// hard. When the peer closes, or breaks a rule, the handler may still answer what came before, for 2 s, and then our close
// frame goes out. After a local close, what the peer still sends is discarded. [Hub.Drain] closes in jittered batches.
//
// Limits. Connections per hub, address and key of the composer's choice (tenant, user), rooms per connection, bytes per
// message (after reassembly and inflation), message and byte rates (control frames have their own), 64 KiB of data per
// connection. Memory is reserved as bytes arrive, never on the word of a frame header.
//
// Every exported method is safe for concurrent use. Methods may be called from handlers, except [Hub.Close],
// [Hub.Drain] and [Scope.CloseAll], which wait for handlers to return.
package ws
