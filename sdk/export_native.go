//go:build !wasip1

package odac

import (
	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// A native build has no exports: package odactest finds the two functions here.
var _ = wire.Connect(register, func(kind abi.EventKind, msg []byte) ([]byte, abi.Errno) { return event(kind, msg, nil) })
