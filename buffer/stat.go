package buffer

// Stat is a snapshot for people and metrics.
type Stat struct {
	Lanes         []LaneStat // those with something pending, or with an error
	PendingBytes  int64      // as MaxPendingBytes counts
	Durable       LSN        // the last LSN on disk
	Segments      int        // files
	LogBytes      int64      // of the segment files
	Writes        int64      // queued since Open
	Groups        int64      // group commits since Open
	AppliedWrites int64      // since Open
	Batches       int64      // applied since Open
	DeadLetters   int64      // changes set aside since Open
	Dropped       int64      // changes of missing rows dropped since Open
	Lost          int64      // writes of level Memory that never became durable
	Err           error      // ErrReadOnly with its cause, if the log failed
}

// LaneStat is a lane's part of Stat.
type LaneStat struct {
	Lane    Lane
	Pending int64 // writes
	Applied LSN   // as last read or written; 0 also if not yet known
	Err     error // the last error, nil after a success
}

// Stat gives counters and what is pending.
func (b *Buffer) Stat() Stat {
	s := Stat{
		PendingBytes: b.held.Load(), Durable: LSN(b.wal.durable.Load()), Writes: b.writes.Load(), Groups: b.wal.groups.Load(),
		AppliedWrites: b.appliedWrites.Load(), Batches: b.batches.Load(), DeadLetters: b.dead.Load(),
		Dropped: b.dropped.Load(), Lost: b.lost.Load(), Err: b.wal.failure(),
	}
	s.Segments, s.LogBytes = b.wal.segments()
	for _, l := range b.all() {
		l.mu.Lock()
		if l.pending > 0 || l.lastErr != nil {
			s.Lanes = append(s.Lanes, LaneStat{Lane: l.id, Pending: l.pending, Applied: l.applied, Err: l.lastErr})
		}
		l.mu.Unlock()
	}
	return s
}
