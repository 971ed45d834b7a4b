package engine

import (
	"context"
	"time"
)

// Config of an [Engine]. The zero value works: compiled code is kept in memory only.
type Config struct {
	// CacheDir keeps compiled code across processes. It is made with mode 0700 if missing, and refused if it belongs to
	// another user or others may write to it, because its files are executed. "" means memory only.
	CacheDir string
	// Interpreter runs guests without compiling them: slow, but on every CPU.
	Interpreter bool
}

// Engine compiles programs and holds what they share. Its methods may be called concurrently.
type Engine struct{}

// New makes an engine. Close it after its programs.
func New(cfg Config) (*Engine, error) { panic("todo") }

// Close frees what the programs shared, which must be closed before.
func (e *Engine) Close() error { panic("todo") }

// Load makes a program of a module's bytes, which it does not keep. Loading the same bytes again, also at the same time,
// compiles them once. The context cancels waiting and initialisation.
func (e *Engine) Load(ctx context.Context, wasm []byte, cfg LoadConfig) (*Program, error) {
	panic("todo")
}

// Inspect returns the functions that a module imports and exports, without compiling it.
func Inspect(wasm []byte) (imports []Import, exports []Export, err error) { panic("todo") }

// Program is a loaded module with its image. Its methods may be called concurrently.
type Program struct{}

// Imports returns the functions that the module imports, in order.
func (p *Program) Imports() []Import { panic("todo") }

// Exports returns the functions that the module exports, in order.
func (p *Program) Exports() []Export { panic("todo") }

// Export returns the exported function of that name.
func (p *Program) Export(name string) (Export, bool) { panic("todo") }

// New makes an instance that is at the image.
func (p *Program) New(ctx context.Context) (*Instance, error) { panic("todo") }

// Close interrupts running calls, waits for them to end, and frees all instances and the program's code.
func (p *Program) Close() error { panic("todo") }

// Instance is one live sandbox. It runs one call at a time; a second one is refused with [ErrUnusable].
type Instance struct{}

// Call calls an export with no or one result (0 if none) and waits for it to end, at the latest shortly after the deadline
// (the zero time means none) or when ctx is done. data is handed to host functions as [Call.Data]. After an error other
// than [*ExportError] or [ErrClosed] the instance must be reset or closed.
func (in *Instance) Call(ctx context.Context, data any, deadline time.Time, export string, args ...uint64) (uint64, error) {
	panic("todo")
}

// Reset restores the image, whether the last call succeeded or failed. [ErrDiscard] (by errors.Is) means that it cannot:
// close the instance.
func (in *Instance) Reset() error { panic("todo") }

// MemoryBytes is the size of the instance's linear memory.
func (in *Instance) MemoryBytes() int64 { panic("todo") }

// Close frees the instance. A call that is running is interrupted and frees it when it ends.
func (in *Instance) Close() error { panic("todo") }

// Call is what a host function sees of the call it serves.
type Call struct {
	// Data is what [Instance.Call] was given.
	Data any
}

// Context ends at the call's deadline or cancellation; its values are those of the caller's context. It is made on first use.
func (c *Call) Context() context.Context { panic("todo") }

// Deadline returns the call's deadline; ok is false if it has none.
func (c *Call) Deadline() (t time.Time, ok bool) { panic("todo") }

// Err returns nil, [ErrDeadline] or [ErrCanceled], without making a context.
func (c *Call) Err() error { panic("todo") }

// Memory returns the guest's linear memory, all of it. It is valid until the guest runs again.
func (c *Call) Memory() []byte { panic("todo") }

// Read returns a view of the guest's memory; false if it is out of bounds.
func (c *Call) Read(ptr, n uint32) ([]byte, bool) { panic("todo") }

// Write copies p into the guest's memory; false, and nothing written, if it would be out of bounds.
func (c *Call) Write(ptr uint32, p []byte) bool { panic("todo") }
