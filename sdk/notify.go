package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Notification is what a plugin of the tenant said on a channel.
type Notification struct {
	// Channel is the channel's name, Payload the text, of at most 7,900 bytes.
	Channel, Payload string
}

type channel struct {
	abi.Channel
	run func(Notification) error
}

// Listen has a function called with what is said on a channel of the tenant, by this plugin too, one after the other in the order in which it was
// said. It is called from init and wants "db: {channels: {NAME: [listen]}}" in plugin.yaml. On PostgreSQL what other hosts of the same
// database say is heard as well, except while the connection is lost; a plugin that does not keep up misses some. What must not be missed
// belongs into a table, and its key into the payload.
func Listen(channel string, run func(Notification) error) { On("").Listen(channel, run) }

// Listen is the function [Listen] for a channel of the connection.
func (d Database) Listen(name string, run func(Notification) error) {
	if name == "" || run == nil {
		problem("channel "+name, "needs a name and a function")
		return
	}
	for _, other := range current.channels {
		if other.Name == name && other.Conn == d.conn {
			problem("channel "+name, "is listened to twice")
		}
	}
	current.servers[abi.EventNotification] = serveNotification
	current.channels = append(current.channels, channel{abi.Channel{Conn: d.conn, Name: name}, run})
}

// Notify says a text of at most 7,900 bytes on a channel of the tenant: whoever listens to it now is called. It wants
// "db: {channels: {NAME: [notify]}}" in plugin.yaml.
func Notify(channel, payload string) error { return On("").Notify(channel, payload) }

// Notify is the function [Notify] for a channel of the connection.
func (d Database) Notify(channel, payload string) error {
	return notify(abi.Notify{Conn: d.conn, Channel: channel, Payload: payload})
}

// Notify is the function [Notify] for when the transaction commits: nobody hears of one that is rolled back.
func (tx *Transaction) Notify(channel, payload string) error {
	return notify(abi.Notify{Conn: tx.conn, Tx: tx.id, Channel: channel, Payload: payload})
}

func notify(n abi.Notify) error {
	_, err := hostCall(wire.DBNotify, &n)
	return err
}

func serveNotification(_ abi.EventKind, msg, out []byte) ([]byte, error) {
	var n abi.Notification
	if err := decode(&n, msg); err != nil {
		return nil, err
	}
	for _, c := range current.channels {
		if c.Name == n.Channel && c.Conn == n.Conn {
			return out, c.run(Notification{Channel: n.Channel, Payload: n.Payload})
		}
	}
	return nil, newError(NotFound, "odac: nothing listens to channel "+n.Channel)
}
