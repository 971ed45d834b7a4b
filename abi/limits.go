package abi

// Limits of v1 that hold for every host and every plugin, before any budget of the operator.
const (
	// MaxMessageBytes is the largest message in either direction.
	MaxMessageBytes = 16 << 20
	// MaxNameBytes is the longest identifier: table, column, alias, room, socket id, schedule, call.
	MaxNameBytes = 255
	// MaxListItems is the largest list in a message: rows, values, headers. The parts of a query have lower limits, which
	// stand beside their fields.
	MaxListItems = 1 << 16
	// MaxRoutes is the most routes, sockets, schedules, calls or channels that one plugin registers, of each.
	MaxRoutes = 4096
	// MaxTextBytes is the longest error text that crosses.
	MaxTextBytes = 4096
	// MaxPayloadBytes is the longest payload of a notification, and MaxChannelBytes the longest name of a channel: together they
	// fit into what PostgreSQL carries.
	MaxPayloadBytes = 7900
	MaxChannelBytes = 63
	// MaxSocketData is the most that the host keeps for one socket.
	MaxSocketData = 64 << 10
)
