package wire

import "github.com/odac-run/odachost/abi"

// Host is what a native build calls instead of imports. In a plugin nothing uses it, and the linker drops it.
type Host interface {
	// Call answers a host function.
	Call(module, function string, req []byte) ([]byte, abi.Errno)
	// Config is a key of the configuration.
	Config(key string) (string, bool)
	// Log takes a line of the log.
	Log(level LogLevel, line string)
}

// Guest is the guest's exports, in a native build.
var Guest struct {
	Register func(hello []byte) ([]byte, abi.Errno)
	Event    func(kind abi.EventKind, msg []byte) ([]byte, abi.Errno)
}

// Connect sets [Guest]. Its result is for the declaration that calls it.
func Connect(register func([]byte) ([]byte, abi.Errno), event func(abi.EventKind, []byte) ([]byte, abi.Errno)) bool {
	Guest.Register, Guest.Event = register, event
	return true
}

// Current is the host that answers; nil answers [abi.ErrnoDenied].
var Current Host
