package database

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/odac-run/odachost/abi"
)

const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

// postgresErrnos maps SQLSTATE: a code of five characters, or its class of two for all that have none. What is not here is a defect of
// ours: internal.
var postgresErrnos = map[string]abi.Errno{
	"08":    abi.ErrnoUnavailable,
	"0A":    abi.ErrnoUnsupported,
	"21":    abi.ErrnoInvalid,
	"22":    abi.ErrnoInvalid,
	"23":    abi.ErrnoConflict,
	"25006": abi.ErrnoUnavailable,
	"25P02": abi.ErrnoClosed,
	"25P03": abi.ErrnoClosed,
	"26":    abi.ErrnoRetry,
	"27":    abi.ErrnoConflict,
	"28":    abi.ErrnoUnavailable,
	"3D":    abi.ErrnoUnavailable,
	"40":    abi.ErrnoRetry,
	"40002": abi.ErrnoConflict,
	"40003": abi.ErrnoUnavailable,
	"428C9": abi.ErrnoInvalid,
	"42501": abi.ErrnoDenied,
	"42703": abi.ErrnoRetry,
	"42804": abi.ErrnoInvalid,
	"42846": abi.ErrnoInvalid,
	"42883": abi.ErrnoInvalid,
	"42P01": abi.ErrnoRetry,
	"42P10": abi.ErrnoRetry,
	"44":    abi.ErrnoConflict,
	"53":    abi.ErrnoUnavailable,
	"53200": abi.ErrnoLimit,
	"53300": abi.ErrnoBusy,
	"53400": abi.ErrnoLimit,
	"54":    abi.ErrnoLimit,
	"55":    abi.ErrnoBusy,
	"55000": abi.ErrnoConflict,
	"57":    abi.ErrnoUnavailable,
	"57014": abi.ErrnoTimeout,
	"58":    abi.ErrnoUnavailable,
	"P0":    abi.ErrnoConflict,
	"XX001": abi.ErrnoUnavailable,
	"XX002": abi.ErrnoUnavailable,
}

// postgresTexts says what happened and what to do, for the codes and classes where it helps.
var postgresTexts = map[string]string{
	"0A":    "PostgreSQL cannot do that",
	"21":    "the statement reaches one row twice",
	"25006": "the database is read-only: it may be a standby, write to its primary",
	"25P02": "the transaction was broken by an error: begin a new one",
	"25P03": "the transaction was idle too long and was rolled back: begin a new one",
	"26":    "the tables " + changedMeanwhile,
	"28":    "the database refuses the login: check user and password",
	"3D":    "the database is not there: create it, or name another",
	"40":    "another transaction was first: run the transaction again",
	"40003": "the database lost track of the statement: it is not known whether it was done",
	"42501": "the statement reaches for what was not granted",
	"42703": "the tables of the query " + changedMeanwhile,
	"42P01": "the tables of the query " + changedMeanwhile,
	"42P10": "the tables of the query " + changedMeanwhile,
	"42883": "PostgreSQL cannot compare, add or search values of that type",
	"53":    "the database is out of disk, memory or other room: free some, then try again",
	"53200": "the statement needs more memory than the database has: read or write less at a time",
	"53300": "the database has no connection left: try again later",
	"54":    "the statement is too large or too complex: split it",
	"55":    "a row or table is locked by another transaction: try again later",
	"55000": "the database refuses that in its present state",
	"57":    "the database is going down or starting: try again later",
	"57014": "the statement took longer than the database allows; nothing of it was written",
	"58":    "the disk of the database failed: see its log",
}

const (
	lostText    = "the database cannot be reached: try again later"
	unknownText = "the connection to the database was lost: it is not known whether the write was made"
)

// postgresError maps a driver error, or a context's end, to an *abi.Error. table is what the statement was on; written says that a write was
// sent, of which nothing is known when the connection is lost. It is total: none of the driver's words but names of columns come through.
func postgresError(ctx context.Context, err error, table string, written bool) error {
	var ours *abi.Error
	if err == nil || errors.As(err, &ours) {
		if err != nil {
			return ours
		}
		return nil
	}
	var large *pgproto3.ExceededMaxBodyLenErr
	if errors.As(err, &large) {
		return errRowTooLarge
	}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		switch over := ended(ctx); {
		case written:
			return failf(abi.ErrnoUnavailable, unknownText)
		case over != nil:
			return over
		}
		return failf(abi.ErrnoUnavailable, lostText)
	}
	if answer.Code == "57014" {
		if err := ended(ctx); err != nil {
			return err
		}
	}
	errno, text := abi.ErrnoInternal, ""
	for _, key := range []string{answer.Code, answer.Code[:min(2, len(answer.Code))]} {
		if e, ok := postgresErrnos[key]; ok {
			errno, text = e, postgresTexts[key]
			break
		}
	}
	switch {
	case answer.Code == "22P02" && strings.Contains(answer.Message, `"`+notMine):
		return failf(abi.ErrnoDenied, "a row of %s with that key is out of the policy", table)
	case answer.Code == "22003":
		return invalidf("a number in %s is out of range for its column", table)
	case strings.HasPrefix(answer.Code, "22"):
		return invalidf("a value cannot be stored in or compared with its column in %s%s", table, named(answer.ColumnName))
	case strings.HasPrefix(answer.Code, "42") && errno == abi.ErrnoInvalid && text == "":
		return invalidf("a value is of the wrong type for its column in %s, or the column is computed by the database", table)
	case strings.HasPrefix(answer.Code, "23"):
		return postgresConflict(answer, table)
	case errno == abi.ErrnoConflict:
		return failf(errno, "a constraint or trigger of %s refuses the write", table)
	case written && (errno == abi.ErrnoUnavailable && isLost(err)):
		return failf(errno, unknownText)
	case text != "":
		return failf(errno, "%s", text)
	}
	return failf(errno, "a statement on %s failed in the database: see the host's log", table)
}

func named(column string) string {
	if column == "" {
		return ""
	}
	return ": " + column
}

// postgresConflict names the columns that PostgreSQL names: "Key (slug, lang)=(a, b) already exists.", without the values.
func postgresConflict(e *pgconn.PgError, table string) error {
	names := table
	if e.TableName != "" {
		names = e.TableName
	}
	if _, rest, ok := strings.Cut(e.Detail, "("); ok && e.Code != "23502" {
		if columns, _, ok := strings.Cut(rest, ")="); ok {
			list := strings.Split(columns, ", ")
			for i, name := range list {
				list[i] = names + "." + strings.Trim(name, `"`)
			}
			names = strings.Join(list, ", ")
		}
	}
	switch e.Code {
	case "23505", "23P01":
		return failf(abi.ErrnoConflict, "unique: a row with the same %s is there already", names)
	case "23502":
		return failf(abi.ErrnoConflict, "not null: %s.%s needs a value", names, e.ColumnName)
	case "23503", "23001":
		return failf(abi.ErrnoConflict, "foreign key: a row of %s points to one that is not there, or is still pointed to", table)
	case "23514":
		return failf(abi.ErrnoConflict, "check: a value is not allowed in %s", table)
	}
	return failf(abi.ErrnoConflict, "a constraint of %s refuses the write", table)
}

// fail maps err and logs what the caller must not see.
func (e *postgres) fail(ctx context.Context, err error, table string, written bool) error {
	if err == nil {
		return nil
	}
	mapped := postgresError(ctx, err, table, written)
	var out *abi.Error
	if errors.As(mapped, &out) && !errors.Is(err, mapped) {
		switch out.Errno {
		case abi.ErrnoInternal, abi.ErrnoUnavailable, abi.ErrnoDenied, abi.ErrnoUnsupported:
			e.cfg.Logger.ErrorContext(ctx, "database statement failed", "database", e.where, "table", table, "errno", out.Errno.Kind(), "error", err)
		}
	}
	return mapped
}
