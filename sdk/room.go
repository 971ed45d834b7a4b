package odac

import (
	"encoding/json"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Room is a set of the plugin's sockets by name, on all nodes. It is there while a socket is in it.
type Room string

// Count is the number of sockets in the room; of the room "" it is all of the plugin's.
func (r Room) Count() (int, error) {
	return count(wire.SocketCount, &abi.SocketRoom{Room: string(r)})
}

// Send sends a binary message to the room, but not to the sockets with these ids, and gives the number of sockets reached.
func (r Room) Send(data []byte, except ...string) (int, error) {
	return count(wire.SocketBroadcast, &abi.SocketSend{Room: string(r), Except: except, Binary: true, Body: data})
}

// SendText sends a text message, as Send does.
func (r Room) SendText(text string, except ...string) (int, error) {
	return count(wire.SocketBroadcast, &abi.SocketSend{Room: string(r), Except: except, Body: []byte(text)})
}

// SendJSON sends a value as a text message of JSON, as Send does.
func (r Room) SendJSON(v any, except ...string) (int, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, Errorf(Invalid, "odac: send JSON: %w", err)
	}
	return count(wire.SocketBroadcast, &abi.SocketSend{Room: string(r), Except: except, Body: data})
}

// Broadcast sends a text message to a room and gives the number of sockets reached.
func Broadcast(room, text string) (int, error) { return Room(room).SendText(text) }

func count(f wire.Func, req marshaler) (int, error) {
	answer, err := hostCall(f, req)
	if err != nil {
		return 0, err
	}
	var n abi.Count
	err = decode(&n, answer)
	return int(n.N), err
}
