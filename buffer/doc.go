// Package buffer is the write-behind buffer: it accepts single-row writes, keeps them in a write-ahead log, folds what
// touches the same row, and applies the result to a database in large transactions.
//
// # Contract
//
// An acknowledged write reaches the database exactly once, whatever dies when: this process, the database, the
// connection in the middle of a commit, the machine in the middle of a disk write. "Reaches" means that its row is
// changed, or that the change stands in the database's dead-letter table with the error that the database gave for it.
// Counters are exact 64-bit integers.
//
// What acknowledged means is chosen for each write:
//
//   - [Memory] returns as soon as the write is queued. A crash, or a disk that is full or fails within the next group
//     commit (about a millisecond), loses it; a crash of the database never does.
//   - [Disk], the default, returns when the log is on disk (one fdatasync shared by all writers that wait).
//   - [Applied] returns when the database has committed it, and returns a [*DeadLetterError] if it was set aside.
//   - [Replicated] needs Redis and is refused with [ErrNeedsRedis] by this buffer.
//
// A write that returned an error and LSN 0 was not stored. With an error and a LSN other than 0 it was queued and may
// be stored: the context ended, or the log failed, while it waited.
//
// # How
//
// Writers append to a queue; one goroutine takes the whole queue, writes it as one block with one CRC-32C, syncs once and
// acknowledges everyone. Blocks are in preallocated segment files. Each [Lane] (tenant, connection, table) folds its
// writes in log order into batches with at most one insert or update or delete for each row. A batch is applied by a [Target] in
// one transaction which also moves a ledger row from Batch.From to Batch.To by compare-and-set. That row, in the
// database itself, is the fence, the dedupe, the recovery point and the answer to a commit whose answer was lost: after
// any error the lane reads it and goes on from there. Segments are removed only after the commits of all that they hold.
//
// # Failures
//
//   - Database away: writes go on until [Config].MaxPendingBytes (MaxLaneBytes for one table), then they block until
//     their context ends and return [ErrBufferFull]. The lane retries with backoff for ever.
//   - Disk full: writes return [ErrDiskFull], nothing is stored, and writing resumes when there is room again.
//   - Failed write or fsync: the log is read-only from then on ([ErrReadOnly]); it is never retried, because the kernel
//     may have dropped the pages. What was acknowledged is still applied. Restart the process on a sound disk.
//   - Torn tail after a crash: the last block is cut off at open; no Disk or Applied write was acknowledged from it.
//     Damage anywhere else is a [*CorruptError] that names the file and the offset, and Open refuses.
//   - Two processes on one directory: [ErrLocked]. Two copies of one directory (a cloned machine, a restored backup):
//     the ledger lets one of them pass, the lanes of the other stop with [ErrFenced].
//
// # Fold
//
// In log order, for each canonical row: insert+set is an insert, insert+increment is an insert (a column that the insert did not name
// is incremented after it), set+set keeps the last value of each column, set+increment is a set, increment+set is a
// set, increment+increment is their sum, anything+delete is a delete. What does not fold (an insert after an update or
// a delete, a second insert, a sum past 64 bits) starts the next batch. Order between rows of a batch is not kept; order
// between batches is. A delete that hits nothing is a success. An increment counts NULL as 0.
//
// The key decides what the same row is, by type and bytes: Int(1) and Text("1") are two rows to the fold though one to
// many databases. Callers therefore bring key values to the type of the column first (and to one spelling where the
// database's collation knows several).
package buffer
