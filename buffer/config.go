package buffer

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config is what Open needs. Zero means the default that is named; there is nothing to switch off.
type Config struct {
	// Dir holds the log. It is created (0700) if it does not exist; one process at a time may have it open.
	Dir string
	// Node is the name of this node for people: it begins the node column of the ledger. 1 to 64 bytes. The rest of that column is the
	// identity of the log in Dir, so nodes that share a name by mistake do not harm each other.
	Node string
	// Target is where batches go.
	Target Target

	// SegmentBytes is the size of one log file. Default 64 MiB, at least 64 KiB.
	SegmentBytes int64
	// MaxPendingBytes bounds what was accepted and is not applied yet: encoded bytes and 128 for each operation. Default
	// 256 MiB.
	MaxPendingBytes int64
	// MaxLaneBytes bounds the same for one lane, so that one table whose database is away leaves room to others.
	// Default a quarter of MaxPendingBytes.
	MaxLaneBytes int64
	// MaxLogBytes bounds the segment files. A full log refuses writes with ErrBufferFull until segments are free. Default 4 GiB, at
	// least 4 segments.
	MaxLogBytes int64

	// FlushInterval is how long a write may wait for others before its batch is applied. Default 100 ms.
	FlushInterval time.Duration
	// MaxBatchRows and MaxBatchBytes bound a batch; a full one is applied at once. Defaults 5,000 and 8 MiB. One write never spans
	// two batches, so they bound a write too.
	MaxBatchRows  int
	MaxBatchBytes int64
	// ApplyTimeout bounds one call of the Target. Default 30 s.
	ApplyTimeout time.Duration
	// MaxBackoff bounds the wait between tries while the database is away. Default 5 s; the first wait is 20 ms.
	MaxBackoff time.Duration

	// Missing says what becomes of sets and increments of rows that do not exist. nil: MissingDeadLetter. It is called
	// once for each batch, at any time, from any goroutine.
	Missing func(Lane) Missing
	// Logger gets retries, truncated tails, fences and dead letters (counts and lanes, no values). nil: slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.SegmentBytes = orDefault(c.SegmentBytes, 64<<20)
	c.MaxPendingBytes = orDefault(c.MaxPendingBytes, 256<<20)
	c.MaxLaneBytes = orDefault(c.MaxLaneBytes, c.MaxPendingBytes/4)
	c.MaxLogBytes = orDefault(c.MaxLogBytes, max(4<<30, 4*c.SegmentBytes))
	c.FlushInterval = orDefault(c.FlushInterval, 100*time.Millisecond)
	c.MaxBatchRows = orDefault(c.MaxBatchRows, 5000)
	c.MaxBatchBytes = orDefault(c.MaxBatchBytes, MaxWriteBytes)
	c.ApplyTimeout = orDefault(c.ApplyTimeout, 30*time.Second)
	c.MaxBackoff = orDefault(c.MaxBackoff, 5*time.Second)
	if c.Missing == nil {
		c.Missing = func(Lane) Missing { return MissingDeadLetter }
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// validate checks a Config that has its defaults.
func (c Config) validate() error {
	switch {
	case c.Dir == "":
		return errors.New("buffer: Config.Dir is empty: name the directory of the log")
	case c.Node == "" || len(c.Node) > 64:
		return fmt.Errorf("buffer: Config.Node has %d bytes: give this node a name of 1 to 64", len(c.Node))
	case c.Target == nil:
		return errors.New("buffer: Config.Target is nil")
	case c.SegmentBytes < 64<<10:
		return fmt.Errorf("buffer: Config.SegmentBytes is %d: at least 65536", c.SegmentBytes)
	case c.MaxLogBytes < 4*c.SegmentBytes:
		return fmt.Errorf("buffer: Config.MaxLogBytes is %d: at least 4 segments of %d", c.MaxLogBytes, c.SegmentBytes)
	case c.MaxPendingBytes < 0 || c.MaxLaneBytes < 0 || c.MaxLaneBytes > c.MaxPendingBytes:
		return fmt.Errorf("buffer: Config.MaxLaneBytes is %d of MaxPendingBytes %d", c.MaxLaneBytes, c.MaxPendingBytes)
	case c.MaxBatchRows < 0 || c.MaxBatchBytes < 0:
		return fmt.Errorf("buffer: Config.MaxBatchRows %d and MaxBatchBytes %d must be positive", c.MaxBatchRows, c.MaxBatchBytes)
	case c.FlushInterval < 0 || c.ApplyTimeout < 0 || c.MaxBackoff < 0:
		return errors.New("buffer: Config.FlushInterval, ApplyTimeout and MaxBackoff must be positive")
	}
	return nil
}
