package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

// sqliteErrnos maps every primary result code of SQLite. What is not here is a defect of ours: internal.
var sqliteErrnos = map[sqlite3.ErrorCode]abi.Errno{
	sqlite3.ERROR:      abi.ErrnoInternal,
	sqlite3.INTERNAL:   abi.ErrnoInternal,
	sqlite3.PERM:       abi.ErrnoUnavailable,
	sqlite3.ABORT:      abi.ErrnoRetry,
	sqlite3.BUSY:       abi.ErrnoBusy,
	sqlite3.LOCKED:     abi.ErrnoBusy,
	sqlite3.NOMEM:      abi.ErrnoLimit,
	sqlite3.READONLY:   abi.ErrnoUnavailable,
	sqlite3.INTERRUPT:  abi.ErrnoCanceled,
	sqlite3.IOERR:      abi.ErrnoUnavailable,
	sqlite3.CORRUPT:    abi.ErrnoUnavailable,
	sqlite3.NOTFOUND:   abi.ErrnoInternal,
	sqlite3.FULL:       abi.ErrnoUnavailable,
	sqlite3.CANTOPEN:   abi.ErrnoUnavailable,
	sqlite3.PROTOCOL:   abi.ErrnoBusy,
	sqlite3.EMPTY:      abi.ErrnoInternal,
	sqlite3.SCHEMA:     abi.ErrnoRetry,
	sqlite3.TOOBIG:     abi.ErrnoTooLarge,
	sqlite3.CONSTRAINT: abi.ErrnoConflict,
	sqlite3.MISMATCH:   abi.ErrnoInvalid,
	sqlite3.MISUSE:     abi.ErrnoInternal,
	sqlite3.NOLFS:      abi.ErrnoUnavailable,
	sqlite3.AUTH:       abi.ErrnoDenied,
	sqlite3.FORMAT:     abi.ErrnoInternal,
	sqlite3.RANGE:      abi.ErrnoInternal,
	sqlite3.NOTADB:     abi.ErrnoUnavailable,
	sqlite3.NOTICE:     abi.ErrnoInternal,
	sqlite3.WARNING:    abi.ErrnoInternal,
}

// sqliteTexts says what happened and what to do, for the codes where it helps.
var sqliteTexts = map[sqlite3.ErrorCode]string{
	sqlite3.PERM:     "the database file may not be used: check its owner and mode",
	sqlite3.ABORT:    "the statement was ended by a rollback: run the transaction again",
	sqlite3.BUSY:     "the database file is locked by another process: try again later",
	sqlite3.LOCKED:   "a table is locked: try again later",
	sqlite3.NOMEM:    "the statement needs more memory than a connection may have: read or write less at a time",
	sqlite3.READONLY: "the database file is read-only: make it and its folder writable",
	sqlite3.IOERR:    "the disk of the database failed: see the host's log",
	sqlite3.CORRUPT:  "the database file is damaged: restore it from a backup",
	sqlite3.NOTADB:   "the file is not a database: restore it from a backup",
	sqlite3.FULL:     "the disk of the database is full: free space, then try again",
	sqlite3.CANTOPEN: "the database file cannot be opened: check that it is there and its folder writable",
	sqlite3.PROTOCOL: "the database file is being locked by other processes: try again later",
	sqlite3.SCHEMA:   "the tables " + changedMeanwhile,
	sqlite3.TOOBIG:   "a value or row is larger than 16 MiB",
	sqlite3.MISMATCH: "an integer primary key takes integers only",
	sqlite3.AUTH:     "the statement reaches for what queries may not touch",
}

// replaced are the codes after which a connection is opened anew: its file may have been repaired or exchanged.
var replaced = []sqlite3.ErrorCode{sqlite3.IOERR, sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.CANTOPEN, sqlite3.NOMEM, sqlite3.PERM, sqlite3.READONLY}

// errNumber is returned by our SQL functions for a sum that its column cannot hold.
var errNumber = fmt.Errorf("%w: number out of range", sqlite3.CONSTRAINT_FUNCTION)

// errRow is returned by our SQL function for a row that a policy does not allow.
var errRow = fmt.Errorf("%w: row out of the policy", sqlite3.AUTH_USER)

// sqliteError maps a driver error, or a context's end, to an *abi.Error. table is what the statement was on. It is total: no driver's word
// but table, column and index names comes through.
func sqliteError(ctx context.Context, err error, table string) error {
	if err == nil {
		return nil
	}
	var ours *abi.Error
	if errors.As(err, &ours) {
		return ours
	}
	code, extended := sqlite3.ErrorCode(0), sqlite3.ExtendedErrorCode(0)
	var typed *sqlite3.Error
	switch {
	case errors.As(err, &typed):
		code, extended = typed.Code(), typed.ExtendedCode()
	case errors.As(err, &extended):
		code = extended.Code()
	case errors.As(err, &code):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code = sqlite3.INTERRUPT
	}
	if code == sqlite3.INTERRUPT || code == sqlite3.BUSY { // a wait for a lock ends with the context too
		if err := ended(ctx); err != nil {
			return err
		}
	}
	errno, ok := sqliteErrnos[code]
	if !ok {
		errno = abi.ErrnoInternal
	}
	words := err.Error()
	switch {
	case code == sqlite3.CONSTRAINT && extended == sqlite3.CONSTRAINT_FUNCTION,
		code == sqlite3.ERROR && strings.Contains(words, "integer overflow"):
		return invalidf("a number in %s is out of range for its column", table)
	case extended == sqlite3.AUTH_USER:
		return failf(abi.ErrnoDenied, "a row of %s with that key is out of the policy", table)
	case code == sqlite3.CONSTRAINT:
		return conflict(extended, words, table)
	case code == sqlite3.ERROR && (strings.Contains(words, "too large (maximum depth") || strings.Contains(words, "too many ") || strings.Contains(words, "overflow")):
		return invalidf("the query on %s is too deep or too long for the database: make it simpler", table)
	case code == sqlite3.ERROR && (strings.Contains(words, "no such ") || strings.Contains(words, "has no column")):
		return failf(abi.ErrnoRetry, "the tables of the query on %s "+changedMeanwhile, table)
	case extended == sqlite3.BUSY_SNAPSHOT:
		return failf(abi.ErrnoRetry, "another writer was first: run the transaction again")
	case extended == sqlite3.IOERR_WRITE: // the driver says FULL only where the system call's error is not wrapped
		return failf(errno, "the disk of the database failed, or is full: free space, then try again")
	case extended == sqlite3.IOERR_FSYNC, extended == sqlite3.IOERR_DIR_FSYNC:
		return failf(errno, "the disk failed while the write was made durable: it is not known whether it is there")
	}
	if text, ok := sqliteTexts[code]; ok {
		return failf(errno, "%s", text)
	}
	return failf(errno, "a statement on %s failed in the database: see the host's log", table)
}

// conflict names the columns that SQLite names: "UNIQUE constraint failed: posts.slug, posts.lang".
func conflict(code sqlite3.ExtendedErrorCode, words, table string) error {
	const before = "constraint failed: " // the driver says it twice
	names := ""
	if i := strings.LastIndex(words, before); i >= 0 {
		names = words[i+len(before):]
	}
	switch code {
	case sqlite3.CONSTRAINT_UNIQUE, sqlite3.CONSTRAINT_PRIMARYKEY, sqlite3.CONSTRAINT_ROWID:
		if names == "" {
			names = table
		}
		return failf(abi.ErrnoConflict, "unique: a row with the same %s is there already", names)
	case sqlite3.CONSTRAINT_NOTNULL:
		return failf(abi.ErrnoConflict, "not null: %s needs a value", names)
	case sqlite3.CONSTRAINT_FOREIGNKEY:
		return failf(abi.ErrnoConflict, "foreign key: a row of %s points to one that is not there, or is still pointed to", table)
	case sqlite3.CONSTRAINT_CHECK:
		return failf(abi.ErrnoConflict, "check: a value is not allowed in %s", table)
	case sqlite3.CONSTRAINT_DATATYPE:
		return failf(abi.ErrnoInvalid, "a value is of the wrong type for its column in %s", table)
	}
	return failf(abi.ErrnoConflict, "a constraint of %s refuses the write", table)
}

// fail maps err, logs what the caller must not see, and remembers when the connection has to be replaced.
func (c *sqliteConn) fail(ctx context.Context, err error, table string) error {
	if err == nil {
		return nil
	}
	if over := c.overSize(err); over != nil {
		return over
	}
	mapped := sqliteError(ctx, err, table)
	var code sqlite3.ErrorCode
	var typed *sqlite3.Error
	if errors.As(err, &typed) {
		code = typed.Code()
	} else {
		_ = errors.As(err, &code)
	}
	if slices.Contains(replaced, code) {
		c.broken = true
	}
	var out *abi.Error
	if errors.As(mapped, &out) && (out.Errno == abi.ErrnoInternal || out.Errno == abi.ErrnoUnavailable || out.Errno == abi.ErrnoDenied) {
		c.engine.cfg.Logger.ErrorContext(ctx, "database statement failed", "file", c.engine.path, "table", table, "errno", out.Errno.Kind(), "error", err)
	}
	return mapped
}
