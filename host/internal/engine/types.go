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
	// Linked are modules of which every instance has copies: see there. They are instantiated and initialised in this order,
	// before the program's.
	Linked []Linked
	// Begin and End, if set, are called before and after the guest in every call, End before linked modules are reset, also in those of initialisation and in calls
	// that failed, while the instance is the call's. They must not panic, nor keep c.
	Begin, End func(c *Call)
	// Files are what the guest may read by WASI. With them an instance has descriptors that cannot be restored, and Reset always
	// answers [ErrDiscard].
	Files []Files
	// Env is the environment that the guest sees. It sees no other, and no arguments.
	Env map[string]string
	// MaxMemoryBytes is the most linear memory an instance may have, rounded down to 64 KiB; 0 means 64 MiB.
	MaxMemoryBytes int64
	// Fuel is how much each call may use, about one unit for an instruction ([Instance.FuelUsed]); the same module and
	// input always use the same. It is looked at in loops and at the entry of functions, so that a call may use a little
	// more. -1 counts without a limit; 0 does not count, which is faster. Initialisation and Warm are not limited by it.
	Fuel int64
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
