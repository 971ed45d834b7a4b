package host

import (
	"errors"
	"unicode/utf8"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/ws"
)

// odac:ws/v1: what a plugin does to the sockets of its own deployment. The hub walls them by scope.

func wsModule() hostModule {
	return hostModule{abi.ModuleWS, []hostFunction{
		{abi.FuncSend, wsSend},
		{abi.FuncBroadcast, wsBroadcast},
		{abi.FuncJoin, wsJoin},
		{abi.FuncLeave, wsLeave},
		{abi.FuncCount, wsCount},
		{abi.FuncClose, wsClose},
		{abi.FuncData, wsData},
	}}
}

func (c *call) sockets() *ws.Scope { return c.rev.host.hub.Scope(c.rev.key.String()) }

// onSocket does something to one socket of the plugin's.
func (c *call) onSocket(id string, resp []byte, do func(*ws.Conn) error) ([]byte, error) {
	s, err := c.sockets().Conn(id)
	if err == nil {
		err = do(s)
	}
	return resp, wsError(err)
}

func wsMessage(c *call, in *abi.SocketSend) (ws.Message, error) {
	if int64(len(in.Body)) > c.rev.limits.MessageBytes {
		return ws.Message{}, abi.NewError(abi.ErrnoTooLarge, "the message is over limits.message of plugin.yaml")
	}
	if in.Binary {
		return ws.Message{Type: ws.Binary, Data: in.Body}, nil
	}
	if !utf8.Valid(in.Body) {
		return ws.Message{}, invalid("a text message has to be UTF-8: send it as binary")
	}
	return ws.Message{Type: ws.Text, Data: in.Body}, nil
}

func wsSend(c *call, req, resp []byte) ([]byte, error) {
	var in abi.SocketSend
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	m, err := wsMessage(c, &in)
	if err != nil {
		return nil, err
	}
	return c.onSocket(in.ID, resp, func(s *ws.Conn) error { return s.Send(m) })
}

func wsBroadcast(c *call, req, resp []byte) ([]byte, error) {
	var in abi.SocketSend
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	m, err := wsMessage(c, &in)
	if err != nil {
		return nil, err
	}
	n, err := c.sockets().Broadcast(ws.Room{Name: in.Room}, m, in.Except...)
	if err != nil {
		return nil, wsError(err)
	}
	return reply(resp, &abi.Count{N: int64(n)})
}

func wsRoom(req []byte) (id string, room ws.Room, err error) {
	var in abi.SocketRoom
	if err = decode(req, &in); err == nil && len(in.Room) > abi.MaxNameBytes {
		err = invalid("a room's name has at most %d bytes", abi.MaxNameBytes)
	}
	return in.ID, ws.Room{Name: in.Room}, err
}

func wsJoin(c *call, req, resp []byte) ([]byte, error) {
	id, room, err := wsRoom(req)
	if err != nil {
		return nil, err
	}
	if room.Name == "" {
		return nil, invalid("a room needs a name")
	}
	return c.onSocket(id, resp, func(s *ws.Conn) error { return s.Join(room) })
}

func wsLeave(c *call, req, resp []byte) ([]byte, error) {
	id, room, err := wsRoom(req)
	if err != nil {
		return nil, err
	}
	return c.onSocket(id, resp, func(s *ws.Conn) error {
		s.Leave(room)
		return nil
	})
}

func wsCount(c *call, req, resp []byte) ([]byte, error) {
	_, room, err := wsRoom(req)
	if err != nil {
		return nil, err
	}
	return reply(resp, &abi.Count{N: int64(c.sockets().Count(room))})
}

func wsClose(c *call, req, resp []byte) ([]byte, error) {
	var in abi.SocketClose
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	if in.Code == 0 {
		in.Code = ws.NormalClosure
	}
	return c.onSocket(in.ID, resp, func(s *ws.Conn) error { return s.Close(in.Code, in.Reason) })
}

func wsData(c *call, req, resp []byte) ([]byte, error) {
	var in abi.SocketData
	if err := decode(req, &in); err != nil {
		return nil, err
	}
	return c.onSocket(in.ID, resp, func(s *ws.Conn) error { return s.SetData(in.Data) })
}

// wsError is the map from the hub's errors to errnos.
func wsError(err error) error {
	for _, m := range []struct {
		is    error
		errno abi.Errno
	}{
		{ws.ErrNotFound, abi.ErrnoNotFound},
		{ws.ErrClosed, abi.ErrnoClosed},
		{ws.ErrQueueFull, abi.ErrnoBusy},
		{ws.ErrTooLarge, abi.ErrnoTooLarge},
		{ws.ErrTooManyRooms, abi.ErrnoLimit},
		{ws.ErrInvalidText, abi.ErrnoInvalid},
		{ws.ErrInvalidCode, abi.ErrnoInvalid},
	} {
		if errors.Is(err, m.is) {
			return abi.NewError(m.errno, m.is.Error())
		}
	}
	return err
}
