package database

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/odac-run/odachost/abi"
)

func failf(errno abi.Errno, format string, args ...any) *abi.Error {
	return abi.NewError(errno, "database: "+fmt.Sprintf(format, args...))
}

func invalidf(format string, args ...any) *abi.Error {
	return failf(abi.ErrnoInvalid, format, args...)
}

// changedMeanwhile ends the text of an error about a statement that was compiled for tables that are not those any more.
const changedMeanwhile = "changed meanwhile: run it again"

// TablesChanged says whether a statement failed because the tables changed after it was compiled: nothing of it was done, and outside of a
// transaction it can be run again.
func TablesChanged(err *abi.Error) bool {
	return err.Errno == abi.ErrnoRetry && strings.HasSuffix(err.Text, changedMeanwhile)
}

// clip quotes a name that came from outside, cut to a length that fits a message.
func clip(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return fmt.Sprintf("%q", name)
}

// ended is the error of a context that has ended, nil while it has not.
func ended(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return failf(abi.ErrnoTimeout, "the deadline passed before the statement was done; nothing of it was written")
	}
	return failf(abi.ErrnoCanceled, "the caller went away before the statement was done; nothing of it was written")
}

var (
	errClosed       = failf(abi.ErrnoClosed, "the database is closed")
	errTxClosed     = failf(abi.ErrnoClosed, "the transaction is over: begin a new one")
	errCursorClosed = failf(abi.ErrnoClosed, "the cursor is closed: open a new one")
	errTxLost       = failf(abi.ErrnoClosed, "the transaction was rolled back by an error or the end of its call: begin a new one")
)
