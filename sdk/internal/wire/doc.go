// Package wire is the boundary itself: the host functions of the ABI, one Go function each, and the exports of the guest.
//
// In a plugin the host functions are imports of the WebAssembly module. Each is reached by its own Go function alone, so that the
// linker drops the imports of those that a plugin does not use. In a native build they go to the [Host] that a test
// set, and the guest's exports are the functions in [Guest].
package wire

import "github.com/odac-run/odachost/abi"

// Func is a host function: it sends a request and gives the answer, or with an errno other than 0 a text. The answer is the
// caller's own memory.
type Func func(req []byte) ([]byte, abi.Errno)

// LogLevel is a level of the log.
type LogLevel int

// The levels, as Extism numbers them.
const (
	LogDebug LogLevel = 1
	LogInfo  LogLevel = 2
	LogWarn  LogLevel = 3
	LogError LogLevel = 4
)
