//go:build !wasip1

package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

func init() {
	wire.Guest.Register = register
	wire.Guest.Event = func(kind abi.EventKind, msg []byte) ([]byte, abi.Errno) { return event(kind, msg, nil) }
}
