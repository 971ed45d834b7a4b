package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

type marshaler interface {
	MarshalMsg(b []byte) ([]byte, error)
}

type unmarshaler interface {
	UnmarshalMsg(b []byte) ([]byte, error)
}

// hostCall sends a message to a host function and gives its answer, which is memory of its own.
func hostCall(f wire.Func, req marshaler) ([]byte, error) {
	w := takeWriter()
	defer giveBack(w)
	msg, err := req.MarshalMsg(w.b)
	if err != nil {
		return nil, &Error{Kind: Invalid, Text: "odac: encode the call", Err: err}
	}
	w.b = msg
	return answered(f(msg))
}

// answered makes an error of an errno.
func answered(answer []byte, errno abi.Errno) ([]byte, error) {
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
