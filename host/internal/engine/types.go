package engine

import (
	"context"
	"time"
)

// ValueType is the type of a parameter or result of a WebAssembly function, in the specification's encoding.
type ValueType = byte

// The value types that a host function can have.
const (
	I32 ValueType = 0x7f
	I64 ValueType = 0x7e
	F32 ValueType = 0x7d
	F64 ValueType = 0x7c
)

// Func is a host function.
type Func struct {
	Name            string
	Params, Results []ValueType
	// Call reads its parameters from stack and writes its results over them, both from index 0. An i32 is in the low 32
	// bits. It runs on the goroutine that called the guest, and must not keep c, the stack, or a slice of the guest's memory
	// after it returned. If it waits it must wait on c.Context. A panic in it becomes a [*TrapError].
	Call func(c *Call, stack []uint64)
}

// Module is a named group of host functions, linked as a whole when granted.
type Module struct {
	Name  string
	Funcs []Func
}

// LoadConfig says what a program may do.
type LoadConfig struct {
	// Name of the program in guest stack traces and errors.
	Name string
	// Modules are exactly the host modules that were granted. WASI preview 1 is always there.
	Modules []Module
	// Env is the environment that the guest sees. It sees no other, and no arguments.
	Env map[string]string
	// MaxMemoryBytes is the most linear memory an instance may have, rounded down to 64 KiB; 0 means 64 MiB.
	MaxMemoryBytes int64
	// InitTimeout bounds the start function, _initialize and Warm together, not the compilation; 0 means 10 s.
	InitTimeout time.Duration
	// Warm, if set, is called once with an initialised instance before the image is taken: register and warm up here, by
	// in.Call. What it allocates and keeps is in the image of every instance. Its error fails the load.
	Warm func(ctx context.Context, in *Instance) error
	// Stdout and Stderr get each line that the guest writes, without its end, cut at 16 KiB. The slice is only valid
	// during the call; c is nil outside of calls. Nil throws the lines away.
	Stdout, Stderr func(c *Call, line []byte)
}

// Import is a function that a module wants from the host.
type Import struct {
	Module, Name    string
	Params, Results []ValueType
}

// Export is a function that a module offers.
type Export struct {
	Name            string
	Params, Results []ValueType
}
