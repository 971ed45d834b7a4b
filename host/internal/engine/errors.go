package engine

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrDeadline says that the call's deadline passed before the guest was done.
	ErrDeadline = errors.New("engine: deadline passed")
	// ErrCanceled says that the caller's context was cancelled, or the program closed, before the guest was done.
	ErrCanceled = errors.New("engine: call cancelled")
	// ErrMemoryLimit says that the guest asked for more memory than [LoadConfig.MaxMemoryBytes] allows, was told so, and
	// ended; or that the module declares more to begin with.
	ErrMemoryLimit = errors.New("engine: memory limit reached")
	// ErrFuel says that the call used more fuel than [LoadConfig.Fuel] allows.
	ErrFuel = errors.New("engine: out of fuel")
	// ErrDiscard says that an instance cannot be restored to the image: its memory grew, a table changed, or a segment was
	// dropped. Close it and make a new one.
	ErrDiscard = errors.New("engine: instance cannot be restored; close it")
	// ErrUnusable says that the instance's last call failed and that it was not reset since, or that another call is
	// still running in it.
	ErrUnusable = errors.New("engine: instance is not ready: a call is running, or failed and was not reset")
	// ErrClosed says that the engine, program or instance was closed before.
	ErrClosed = errors.New("engine: closed")
)

// StackOverflow is the [TrapError.Reason] of a guest whose calls are too deep.
const StackOverflow = "stack overflow"

// TrapError says that the guest did something that WebAssembly forbids, or that a host function panicked under it.
type TrapError struct {
	// Reason in the words of the specification ("unreachable", "out of bounds memory access"), without the stack.
	Reason string
	// Stack of guest functions, innermost first, a line each; as readable as the module's name section allows.
	Stack string
	// Host says that a host function panicked: a fault of the host, not of the guest. Stack then ends with Go's.
	Host bool
}

func (e *TrapError) Error() string {
	if e.Host {
		return "engine: host function panicked: " + e.Reason
	}
	return "engine: guest trapped: " + e.Reason
}

// ExitError says that the guest ended itself by proc_exit, which includes an exit code of 0.
type ExitError struct {
	Code uint32
}

func (e *ExitError) Error() string { return fmt.Sprintf("engine: guest exited with code %d", e.Code) }

// LinkReason says why an import could not be linked.
type LinkReason string

// The reasons of a [LinkError].
const (
	// NotGranted: no module of that name is in [LoadConfig.Modules].
	NotGranted LinkReason = "not granted"
	// NewerThanHost: the module is there, but has no such function.
	NewerThanHost LinkReason = "newer than this host"
	// SignatureDiffers: the function is there with other parameters or results.
	SignatureDiffers LinkReason = "signature differs"
	// NotAFunction: the guest imports a memory, table, global or tag, which no host module has.
	NotAFunction LinkReason = "only functions can be imported"
)

// MissingImport is one import that could not be linked.
type MissingImport struct {
	Module, Name string
	Reason       LinkReason
}

// LinkError names every import that could not be linked, in the order of the module's import section.
type LinkError struct {
	Missing []MissingImport
}

func (e *LinkError) Error() string {
	var b strings.Builder
	b.WriteString("engine: cannot link")
	for i, m := range e.Missing {
		if i == 8 {
			fmt.Fprintf(&b, "; and %d more", len(e.Missing)-i)
			break
		}
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, " %s.%s: %s", m.Module, m.Name, m.Reason)
	}
	return b.String()
}

// CompileError says that the bytes are not a module this engine accepts.
type CompileError struct {
	// Offset in the module's bytes; -1 where it is not known.
	Offset int64
	Err    error
}

func (e *CompileError) Error() string {
	if e.Offset < 0 {
		return "engine: compile: " + e.Err.Error()
	}
	return fmt.Sprintf("engine: compile: offset %#x: %v", e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *CompileError) Unwrap() error { return e.Err }

// ExportError says that an export that was asked for is missing or has another signature.
type ExportError struct {
	Name   string
	Reason string
}

func (e *ExportError) Error() string { return fmt.Sprintf("engine: export %q: %s", e.Name, e.Reason) }
