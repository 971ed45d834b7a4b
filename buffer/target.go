package buffer

import (
	"context"
)

// The tables that a Target keeps in each database it writes to, out of reach of plugins. Types are named by meaning; a
// dialect takes its nearest.
//
//	CREATE TABLE odac_buffer_ledger (
//	    node    TEXT   NOT NULL,            -- Batch.Node
//	    lane    TEXT   NOT NULL,            -- Lane.String()
//	    applied BIGINT NOT NULL,            -- LSN, all up to here is in the database
//	    PRIMARY KEY (node, lane)
//	);
//	CREATE TABLE odac_buffer_dead (
//	    id        BIGINT PRIMARY KEY,       -- generated
//	    node      TEXT   NOT NULL,
//	    lane      TEXT   NOT NULL,
//	    first_lsn BIGINT NOT NULL,          -- Change.First
//	    last_lsn  BIGINT NOT NULL,          -- Change.Last
//	    kind      TEXT   NOT NULL,          -- "insert", "set" or "delete"
//	    change    TEXT   NOT NULL,          -- the Change as JSON (json.Marshal)
//	    reason    TEXT   NOT NULL,          -- the database's error
//	    at        TEXT or TIMESTAMP         -- when it was set aside, UTC
//	);  -- with an index on (node, lane, last_lsn)
const (
	LedgerTable     = "odac_buffer_ledger"
	DeadLetterTable = "odac_buffer_dead"
)

// Missing says what becomes of a change of kind KindSet whose row does not exist.
type Missing uint8

const (
	// MissingDeadLetter sets the change aside, with the reason "no such row". The default.
	MissingDeadLetter Missing = iota
	// MissingUpsert inserts the row from key, set values and increments (counted from 0).
	MissingUpsert
	// MissingDrop drops the change and counts it in Result.Dropped.
	MissingDrop
)

// Change is what a batch does to one row.
type Change struct {
	// Key names the row, sorted by column name. Empty only for an insert whose key the database makes.
	Key []Column `json:"key,omitempty"`
	// Set holds an insert's other columns, or the new values of a set.
	Set []Column `json:"set,omitempty"`
	// Add holds increments: column = coalesce(column, 0) + By. Only in Updates; a column is never both in Set and Add.
	Add []Delta `json:"add,omitempty"`
	// First and Last are the LSNs of the first and last write folded into the change.
	First LSN `json:"first"`
	Last  LSN `json:"last"`
}

// Batch is what one transaction applies. It belongs to the buffer and must not be changed or kept after Apply returns.
//
// It is executed in phases: Inserts, then Updates, then Deletes. A row stands in one of them once; the exception is an insert
// that is followed by an update of the same row which increments columns that the insert did not name. Each list is
// sorted by canonical key, the same order on every node, so that nodes do not deadlock; inserts without key are last, in log
// order. Columns of Set and Add are sorted by name; changes of one list may name different columns: group by names.
// At most Config.MaxBatchRows rows and about Config.MaxBatchBytes bytes; split statements to the dialect's limit of bind
// parameters inside the transaction.
type Batch struct {
	Node    string
	Lane    Lane
	From    LSN // what the ledger must hold
	To      LSN // what it holds after the commit
	Missing Missing

	Inserts []Change
	Updates []Change
	Deletes []Change
}

// Dead is a change that was set aside.
type Dead struct {
	Kind   Kind // KindInsert, KindSet or KindDelete
	Key    []Column
	First  LSN
	Last   LSN
	Reason string
}

// Result tells what a committed Apply did with changes that could not be made.
type Result struct {
	Dead    []Dead // the same that stand in the dead-letter table
	Dropped int64  // by MissingDrop
}

// Target is the database side. A Buffer calls it for different lanes at the same time, for one lane one call at a time;
// it puts no bound on the number of lanes at work, so a Target waits for its own pool (with ctx). buffertest.TestTarget is the
// test of an implementation.
//
// # Apply
//
// One transaction, synchronously committed (PostgreSQL synchronous_commit on, SQLite synchronous FULL in WAL mode, MariaDB
// innodb_flush_log_at_trx_commit 1):
//
//  1. Move the ledger row by compare-and-set: UPDATE odac_buffer_ledger SET applied = To WHERE node = Node AND lane = Lane
//     AND applied = From must hit one row (Applied has made it). If it hits none: roll back and return an error that is
//     ErrFenced.
//  2. Execute the changes.
//  3. Set poison aside: a change that this database refuses and would refuse again, because of what it says and not because of the
//     moment. Constraint violations, values that do not convert, numbers out of range, unknown columns or table, no permission, and for Updates "no
//     such row" under MissingDeadLetter. It goes to odac_buffer_dead in the same transaction; the rest of the batch
//     is applied. (Execute in bulk under a savepoint; on a refusal roll back to it and bisect down to the row.)
//     An increment must be exact: a result outside 64 bits, or a column that holds something else than an integer or
//     NULL, is poison and never a float.
//  4. Commit. Return the Result.
//
// What passes by itself is not poison: connection lost, busy, deadlock, timeout, disk full, shutdown, read-only. Return it as an
// error, nothing applied. When the commit itself fails or its answer is lost, return the error too: the buffer
// calls Applied next and goes on from what it reads. A batch that is tried again is the same batch.
//
// A change of an existing row to what it holds already is a success. A delete that hits nothing is a success.
//
// # Caches
//
// Invalidation belongs into Apply, around the transaction and on every outcome, in the same way as for every other write of
// the database layer. The buffer has no callback for it.
type Target interface {
	// Applied reads the ledger: the LSN up to which lane's writes of node are in the database. It creates the tables if need
	// be, and the row with applied = 0 if there is none. It uses a fresh connection after an error, sees every commit that
	// happened before the call, and waits for a transaction that holds the row, such as one of a process that was
	// killed (INSERT ... ON CONFLICT DO NOTHING, then SELECT ... FOR UPDATE; BEGIN IMMEDIATE on SQLite).
	Applied(ctx context.Context, node string, lane Lane) (LSN, error)
	// Apply applies one batch, see above.
	Apply(ctx context.Context, batch *Batch) (Result, error)
	// Dead reads the dead-letter rows of node and lane with from < last_lsn <= to. The buffer asks after a commit whose
	// answer was lost.
	Dead(ctx context.Context, node string, lane Lane, from, to LSN) ([]Dead, error)
}
