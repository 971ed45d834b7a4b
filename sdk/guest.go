package odac

import (
	"runtime"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// register answers odac_register.
func register(hello []byte) (out []byte, errno abi.Errno) {
	if err := decode(&current.hello, hello); err != nil {
		return []byte(err.Error()), abi.ErrnoInvalid
	}
	if len(current.problems) > 0 {
		text := "odac: "
		for i, p := range current.problems {
			if i > 0 {
				text += "; "
			}
			text += p
		}
		return []byte(text), abi.ErrnoInvalid
	}
	reg := abi.Registration{ABI: abi.Version, SDK: "odac-go " + Version}
	for i := range current.routes {
		r := &current.routes[i]
		reg.Routes = append(reg.Routes, r.Route)
		r.handler = wrap(r.handler, current.middleware)
	}
	current.middleware = nil
	for _, s := range current.sockets {
		reg.Sockets = append(reg.Sockets, s.Socket)
	}
	for _, s := range current.schedules {
		reg.Schedules = append(reg.Schedules, s.Schedule)
	}
	for _, f := range current.funcs {
		reg.Calls = append(reg.Calls, f.name)
	}
	for _, c := range current.channels {
		reg.Channels = append(reg.Channels, c.Channel)
	}
	out, err := reg.MarshalMsg(nil)
	if err != nil {
		return []byte(err.Error()), abi.ErrnoInternal
	}
	return out, abi.ErrnoOK
}

// event answers odac_event: msg is the event, out the memory for its answer.
func event(kind abi.EventKind, msg, out []byte) (answer []byte, errno abi.Errno) {
	random.set = false
	defer func() {
		if p := recover(); p != nil {
			logPanic(kind, p)
			answer, errno = append(out[:0], "a panic, see the log"...), abi.ErrnoInternal
		}
	}()
	if kind == abi.EventWarm {
		return out, abi.ErrnoOK
	}
	answer, err := serve(kind, msg, out)
	if err == nil {
		return answer, abi.ErrnoOK
	}
	return append(out[:0], err.Error()...), KindOf(err)
}

// server answers one kind of event: msg is the event, out the memory for its answer.
type server func(kind abi.EventKind, msg, out []byte) ([]byte, error)

func serve(kind abi.EventKind, msg, out []byte) ([]byte, error) {
	if int(kind) < len(current.servers) && current.servers[kind] != nil {
		return current.servers[kind](kind, msg, out)
	}
	return nil, newError(Unsupported, "odac: this plugin has nothing for an event of kind "+kind.String())
}

func serveHTTP(_ abi.EventKind, msg, out []byte) ([]byte, error) {
	c := contexts.One()
	if err := c.ev.open(msg); err != nil {
		return nil, err
	}
	index := c.ev.number(fieldRoute)
	if index < 0 || index >= len(current.routes) {
		return nil, newError(NotFound, "odac: no such route")
	}
	r := &current.routes[index]
	c.pattern = r.Pattern
	return c.serve(r.handler, out)
}

// serve runs a handler and encodes its answer.
func (c *Ctx) serve(h Handler, out []byte) ([]byte, error) {
	w := takeWriter()
	defer giveBack(w)
	c.body, c.header = w.b, c.pairs[:0]
	if err := protect(c, h); err != nil {
		c.fail(err)
	}
	w.b = c.body
	answer := abi.HTTPResponse{Status: c.status, Header: c.header, Body: c.body}
	return answer.MarshalMsg(out)
}

// protect turns a panic of a handler into an error.
func protect(c *Ctx, h Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			logPanic(abi.EventHTTP, p)
			err = &Error{Kind: Internal, Text: "panic"}
		}
	}()
	return h(c)
}

func serveSchedule(_ abi.EventKind, msg, out []byte) ([]byte, error) {
	var ev abi.ScheduleEvent
	if err := decode(&ev, msg); err != nil {
		return nil, err
	}
	for _, s := range current.schedules {
		if s.Name == ev.Name {
			return out, s.run(Tick{Name: ev.Name, Due: time.Unix(ev.Unix, 0).UTC()})
		}
	}
	return nil, newError(NotFound, "odac: no schedule "+ev.Name)
}

func serveCall(_ abi.EventKind, msg, out []byte) ([]byte, error) {
	var name string
	var body []byte
	err := fields(msg, func(key string, b []byte) (rest []byte, ok bool, err error) {
		switch key {
		case "n":
			return readString(&name, b)
		case "b":
			body, rest, err = msgpack.ReadBytesZC(b)
			return rest, true, err
		}
		return b, false, nil
	})
	if err != nil {
		return nil, err
	}
	for _, f := range current.funcs {
		if f.name == name {
			answer, err := f.run(body)
			if err != nil {
				return nil, err
			}
			reply := abi.CallReply{Body: answer}
			return reply.MarshalMsg(out)
		}
	}
	return nil, newError(NotFound, "odac: no function "+name)
}

// logPanic writes a panic and its stack to the log.
func logPanic(kind abi.EventKind, p any) {
	stack := make([]byte, 8<<10)
	stack = stack[:runtime.Stack(stack, false)]
	text := "a value of another type"
	switch p := p.(type) {
	case error:
		text = p.Error()
	case string:
		text = p
	}
	wire.Stderr("panic in " + kind.String() + ": " + text + "\n" + string(stack))
}
