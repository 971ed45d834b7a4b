package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/odac-run/odachost/abi"
)

const mysqlDeadlock = 1213

// mysqlErrnos maps the server's numbers. For all others the class of the SQLSTATE decides, see mysqlClasses.
var mysqlErrnos = map[uint16]abi.Errno{
	1020: abi.ErrnoRetry, 1054: abi.ErrnoRetry, 1146: abi.ErrnoRetry, 1243: abi.ErrnoRetry, 1412: abi.ErrnoRetry, 1615: abi.ErrnoRetry, mysqlDeadlock: abi.ErrnoRetry,
	1205: abi.ErrnoBusy, 1040: abi.ErrnoBusy, 1203: abi.ErrnoBusy, 1226: abi.ErrnoBusy, 3572: abi.ErrnoBusy,
	1235: abi.ErrnoUnsupported, 1317: abi.ErrnoCanceled, 1969: abi.ErrnoTimeout, 3024: abi.ErrnoTimeout,
	1044: abi.ErrnoDenied, 1142: abi.ErrnoDenied, 1143: abi.ErrnoDenied, 1227: abi.ErrnoDenied, 1370: abi.ErrnoDenied, 1410: abi.ErrnoDenied,
	1045: abi.ErrnoUnavailable, 1049: abi.ErrnoUnavailable, 1053: abi.ErrnoUnavailable, 1021: abi.ErrnoUnavailable, 1114: abi.ErrnoUnavailable, 1030: abi.ErrnoUnavailable,
	1026: abi.ErrnoUnavailable, 1290: abi.ErrnoUnavailable, 1836: abi.ErrnoUnavailable, 1927: abi.ErrnoUnavailable, 2006: abi.ErrnoUnavailable, 2013: abi.ErrnoUnavailable,
	1041: abi.ErrnoLimit, 1037: abi.ErrnoLimit, 1038: abi.ErrnoLimit, 1135: abi.ErrnoLimit, 1104: abi.ErrnoLimit, 1436: abi.ErrnoLimit, 1473: abi.ErrnoLimit, 1461: abi.ErrnoLimit,
	1153: abi.ErrnoTooLarge, 1301: abi.ErrnoTooLarge,
	1264: abi.ErrnoInvalid, 1265: abi.ErrnoInvalid, 1267: abi.ErrnoInvalid, 1292: abi.ErrnoInvalid, 1366: abi.ErrnoInvalid, 1390: abi.ErrnoInvalid, 1406: abi.ErrnoInvalid,
	1411: abi.ErrnoInvalid, 1690: abi.ErrnoInvalid, 1792: abi.ErrnoInvalid, 1906: abi.ErrnoInvalid, 3140: abi.ErrnoInvalid, 3105: abi.ErrnoInvalid,
	1048: abi.ErrnoConflict, 1062: abi.ErrnoConflict, 1169: abi.ErrnoConflict, 1216: abi.ErrnoConflict, 1217: abi.ErrnoConflict, 1242: abi.ErrnoConflict, 1364: abi.ErrnoConflict,
	1451: abi.ErrnoConflict, 1452: abi.ErrnoConflict, 1586: abi.ErrnoConflict, 1644: abi.ErrnoConflict, 3819: abi.ErrnoConflict, 4025: abi.ErrnoConflict,
	1172: abi.ErrnoConflict,
}

var mysqlClasses = map[string]abi.Errno{
	"08": abi.ErrnoUnavailable, "22": abi.ErrnoInvalid, "23": abi.ErrnoConflict, "40": abi.ErrnoRetry, "45": abi.ErrnoConflict, "0A": abi.ErrnoUnsupported,
}

// mysqlTexts says what happened and what to do, for the numbers where it helps.
var mysqlTexts = map[uint16]string{
	1020: "another transaction was first: run the transaction again", mysqlDeadlock: "another transaction was first: run the transaction again",
	1054: "the tables of the query " + changedMeanwhile, 1146: "the tables of the query " + changedMeanwhile,
	1243: "the tables " + changedMeanwhile, 1412: "the tables " + changedMeanwhile, 1615: "the tables " + changedMeanwhile,
	1205: "a row or table is locked by another transaction: try again later", 3572: "a row is locked by another transaction: try again later",
	1040: "the database has no connection left: try again later", 1203: "the database has no connection left for this user: try again later", 1226: "this user has used up what the database allows: try again later",
	1235: "this database takes no limit in a sub-query of in: select from it as a table",
	1317: "the statement was canceled; nothing of it was written", 1969: "the statement took longer than the database allows; nothing of it was written",
	3024: "the statement took longer than the database allows; nothing of it was written",
	1044: "the statement reaches for what was not granted", 1142: "the statement reaches for what was not granted", 1143: "the statement reaches for what was not granted",
	1045: "the database refuses the login: check user and password", 1049: "the database is not there: create it, or name another",
	1053: "the database is going down: try again later", 1021: "the disk of the database is full: free space, then try again", 1114: "a table or the disk of the database is full: free space, then try again",
	1290: "the database is read-only: it may be a replica, write to its primary", 1836: "the database is read-only: it may be a replica, write to its primary",
	1153: "a value or row is larger than the database takes", 1792: "the transaction is read-only: begin one that writes",
	1690: "a number is out of range for its column", 1264: "a number is out of range for its column",
}

// mysqlError maps a driver error, or a context's end, to an *abi.Error: see postgresError.
func (e *mysqlEngine) mysqlError(ctx context.Context, err error, table string, t *Table, written bool) error {
	var ours *abi.Error
	if err == nil || errors.As(err, &ours) {
		if err != nil {
			return ours
		}
		return nil
	}
	var answer *mysql.MySQLError
	if !errors.As(err, &answer) {
		switch over := ended(ctx); {
		case written && !errors.Is(err, driver.ErrBadConn):
			return failf(abi.ErrnoUnavailable, unknownText)
		case over != nil:
			return over
		}
		return failf(abi.ErrnoUnavailable, lostText)
	}
	if answer.Number == 1317 || answer.Number == 1969 {
		if err := ended(ctx); err != nil {
			return err
		}
	}
	errno, ok := mysqlErrnos[answer.Number]
	if !ok {
		if errno, ok = mysqlClasses[string(answer.SQLState[:2])]; !ok {
			errno = abi.ErrnoInternal
		}
	}
	if over := ended(ctx); over != nil && errno == abi.ErrnoInternal {
		return over // a statement that is killed while it sorts fails with 1034, and others
	}
	text, told := mysqlTexts[answer.Number]
	switch {
	case written && mysqlLost(err):
		return failf(errno, unknownText)
	case told:
		return failf(errno, "%s", text)
	case errno == abi.ErrnoConflict:
		return mysqlConflict(answer, table, t)
	case errno == abi.ErrnoInvalid:
		return invalidf("a value cannot be stored in or compared with its column in %s%s", table, named(between(answer.Message, "column `", "`")))
	}
	return failf(errno, "a statement on %s failed in the database: see the host's log", table)
}

// mysqlConflict names the columns of the key that MySQL names.
func mysqlConflict(e *mysql.MySQLError, table string, t *Table) error {
	switch e.Number {
	case 1062, 1169, 1586:
		key := e.Message[strings.LastIndex(e.Message, "for key ")+1:]
		key = strings.Trim(key[strings.LastIndexByte(key, ' ')+1:], "'")
		key = key[strings.LastIndexByte(key, '.')+1:]
		names := table
		if t != nil && len(t.indexes[key]) > 0 {
			list := make([]string, 0, len(t.indexes[key]))
			for _, name := range t.indexes[key] {
				list = append(list, table+"."+name)
			}
			names = strings.Join(list, ", ")
		}
		return failf(abi.ErrnoConflict, "unique: a row with the same %s is there already", names)
	case 1242, 1172:
		return failf(abi.ErrnoConflict, "unique: a row with another key of %s is there already", table)
	case 1048, 1364:
		return failf(abi.ErrnoConflict, "not null: %s.%s needs a value", table, between(e.Message, "'", "'"))
	case 1451, 1452, 1216, 1217:
		return failf(abi.ErrnoConflict, "foreign key: a row of %s points to one that is not there, or is still pointed to", table)
	case 3819, 4025:
		return failf(abi.ErrnoConflict, "check: a value is not allowed in %s", table)
	}
	return failf(abi.ErrnoConflict, "a constraint or trigger of %s refuses the write", table)
}

// between is what stands between two marks, "" if nothing does.
func between(s, before, after string) string {
	_, rest, _ := strings.Cut(s, before)
	inner, _, ok := strings.Cut(rest, after)
	if !ok {
		return ""
	}
	return inner
}

// fail maps err and logs what the caller must not see.
func (e *mysqlEngine) fail(ctx context.Context, err error, table string, written bool) error {
	if err == nil {
		return nil
	}
	var t *Table
	if c := e.catalog.Load(); c != nil { // nil while the first is read
		t, _ = c.Table(table)
	}
	mapped := e.mysqlError(ctx, err, table, t, written)
	var out *abi.Error
	if errors.As(mapped, &out) && !errors.Is(err, mapped) {
		switch out.Errno {
		case abi.ErrnoInternal, abi.ErrnoUnavailable, abi.ErrnoDenied, abi.ErrnoUnsupported:
			e.cfg.Logger.ErrorContext(ctx, "database statement failed", "database", e.where, "table", table, "errno", out.Errno.Kind(), "error", err)
		}
	}
	return mapped
}
