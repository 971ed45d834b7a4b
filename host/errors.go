package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/odac-run/odachost/abi"
)

// Errors that callers branch on.
var (
	// ErrBusy: every instance is in use and none came free within the queue time.
	ErrBusy = errors.New("host: all instances are busy: try again, or raise limits.instances or limits.queue in plugin.yaml")
	// ErrClosed: the host, or the revision, is closed.
	ErrClosed = errors.New("host: closed")
	// ErrNotDeployed: there is no such deployment.
	ErrNotDeployed = errors.New("host: not deployed")
)

// PluginError is a failure that the plugin itself reported or caused: an errno from its handler, a trap, a missed
// deadline.
type PluginError struct {
	Plugin string
	Errno  abi.Errno
	Text   string // for people; no secret of the host
	Code   uint32 // what an export of an Extism plugin returned, or its exit code
	Err    error  // the trap, if there was one
}

// Error names the plugin and says what happened.
func (e *PluginError) Error() string { return fmt.Sprintf("plugin %s: %s", e.Plugin, e.Text) }

// Unwrap gives the trap.
func (e *PluginError) Unwrap() error { return e.Err }

// errnoOf is the one map from errors of the host's parts to what a guest is told. What it does not know is Internal,
// and its text stays in the host's log.
func errnoOf(err error) (abi.Errno, string) {
	var known *abi.Error
	switch {
	case err == nil:
		return abi.ErrnoOK, ""
	case errors.As(err, &known):
		return known.Errno, known.Text
	case errors.Is(err, context.DeadlineExceeded):
		return abi.ErrnoTimeout, "the call's deadline passed"
	case errors.Is(err, context.Canceled):
		return abi.ErrnoCanceled, "the call was canceled"
	}
	return abi.ErrnoInternal, ""
}

func invalid(format string, args ...any) *abi.Error {
	return abi.NewError(abi.ErrnoInvalid, fmt.Sprintf(format, args...))
}
