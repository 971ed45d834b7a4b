//go:build wasip1

package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

//go:wasmexport odac_register
func odacRegister(size int32) int32 {
	msg, errno := wire.Input(int(size))
	if errno == abi.ErrnoOK {
		msg, errno = register(msg)
		warm()
	}
	return finish(msg, errno)
}

//go:wasmexport odac_event
func odacEvent(kind, size int32) int32 {
	stretch()
	msg, errno := wire.Input(int(size))
	w := takeWriter()
	if errno == abi.ErrnoOK {
		w.b, errno = event(abi.EventKind(kind), msg, w.b)
	}
	result := finish(w.b, errno)
	giveBack(w)
	wire.Yield()
	return result
}

func finish(msg []byte, errno abi.Errno) int32 {
	if e := wire.Output(msg); e != abi.ErrnoOK && errno == abi.ErrnoOK {
		errno = e
	}
	return int32(errno)
}
