package engine

import (
	"errors"
	"strings"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// failure makes one of the package's errors of what a call of wazero returned.
func (in *Instance) failure(err error, marks uint64) error {
	var end *ending
	if errors.As(err, &end) {
		var exit *ExitError
		var overflow *TrapError
		if errors.As(end.err, &overflow) {
			overflow.Stack = newTrap(err).Stack
		}
		if marks&instrument.MarkGrowFailed != 0 && errors.As(end.err, &exit) && exit.Code != 0 {
			return ErrMemoryLimit
		}
		return end.err
	}
	trap := newTrap(err)
	if in.call.inHost {
		trap.Host = true
		return trap
	}
	if marks&instrument.MarkGrowFailed != 0 {
		return ErrMemoryLimit
	}
	return trap
}

// newTrap takes wazero's text apart: "wasm error: REASON\nwasm stack trace:\n\tFRAME\n\tFRAME".
func newTrap(err error) *TrapError {
	reason, stack, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	reason = strings.TrimPrefix(reason, "wasm error: ")
	reason = strings.TrimSuffix(reason, " (recovered by wazero)")
	lines := strings.Split(strings.TrimSpace(stack), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "\t")
	}
	if strings.HasPrefix(lines[0], instrument.TickModule) {
		lines = lines[1:] // not the guest's
	}
	return &TrapError{Reason: reason, Stack: strings.Join(lines, "\n")}
}
