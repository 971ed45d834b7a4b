package odac

import (
	"sync"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

type marshaler interface {
	MarshalMsg(b []byte) ([]byte, error)
}

type unmarshaler interface {
	UnmarshalMsg(b []byte) ([]byte, error)
}

// maxKeptBytes bounds what a buffer keeps from one use to the next.
const maxKeptBytes = 256 << 10

// buffers are memory for messages on their way out.
var buffers = sync.Pool{New: func() any { return new(writer) }}

func giveBack(w *writer) {
	if cap(w.b) <= maxKeptBytes {
		buffers.Put(w)
	}
}

// hostCall sends a message to a host function and gives its answer, which is memory of its own.
func hostCall(f wire.Func, req marshaler) ([]byte, error) {
	w := buffers.Get().(*writer)
	defer giveBack(w)
	msg, err := req.MarshalMsg(w.b[:0])
	if err != nil {
		return nil, &Error{Kind: Invalid, Text: "odac: encode the call", Err: err}
	}
	w.b = msg
	answer, errno := f(msg)
	if errno != abi.ErrnoOK {
		return nil, &Error{Kind: errno, Text: viewString(answer)}
	}
	return answer, nil
}

// call is a host call whose answer is empty.
func call(f wire.Func, req marshaler) error {
	_, err := hostCall(f, req)
	return err
}

func decode(v unmarshaler, msg []byte) error {
	_, err := v.UnmarshalMsg(msg)
	return badMessage(err)
}
