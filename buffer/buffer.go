package buffer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// lsnJump bounds the random step by which LSNs jump at each Open, so that two copies of one log never take the other's
// ledger position for their own.
const lsnJump = 1 << 40

// Buffer accepts writes. All methods are safe for use by several goroutines.
type Buffer struct {
	cfg       Config
	node      string
	wal       *wal
	lock      *os.File
	recovered LSN                 // the last LSN found at Open
	room      *semaphore.Weighted // of MaxPendingBytes
	closing   chan struct{}       // closed when Close begins
	ctx       context.Context     //nolint:containedctx // the life of the flushers
	cancel    context.CancelFunc
	flushers  sync.WaitGroup
	closeOnce sync.Once
	closeErr  error

	mu    sync.RWMutex // leaf
	lanes map[Lane]*lane

	writes, appliedWrites, batches, dead, dropped, lost, held atomic.Int64
}

// Open opens or creates the log in cfg.Dir, recovers what is in it and starts to apply it. It does not wait for the
// database. Errors: ErrLocked, *CorruptError, ErrDiskFull, a bad Config.
func Open(cfg Config) (*Buffer, error) {
	return open(cfg, func(f *os.File) segmentFile { return osFile{f} })
}

func open(cfg Config, wrap func(*os.File) segmentFile) (*Buffer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	b := &Buffer{
		cfg: cfg, lock: lock, lanes: make(map[Lane]*lane), closing: make(chan struct{}),
		room: semaphore.NewWeighted(cfg.MaxPendingBytes),
	}
	b.wal, err = openWAL(cfg, wrap, b.replay)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	b.wal.accept, b.wal.reject = b.accept, b.reject
	b.recovered = LSN(b.wal.durable.Load())
	b.wal.next = b.recovered + 1 + LSN(rand.Uint64N(lsnJump))
	b.node = cfg.Node + "." + hex.EncodeToString(b.wal.id[:])
	b.ctx, b.cancel = context.WithCancel(context.Background())
	go b.wal.run()
	for _, l := range b.lanes {
		l.mu.Lock()
		l.urgent = l.folded
		l.startLocked()
		l.mu.Unlock()
	}
	return b, nil
}

func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s", err, dir)
	}
	return f, nil
}

// replay takes a write from the log at Open.
func (b *Buffer) replay(seg *segment, lsn LSN, body []byte) error {
	id, ops, err := decodeRecord(body)
	if err != nil {
		return err
	}
	w, err := newWrite(ops)
	if err != nil {
		return err
	}
	w.seg, w.size = seg, int64(len(body))
	w.stamp(lsn)
	seg.live.Add(1)
	l := b.lanes[id]
	if l == nil {
		l = newLane(b, id)
		b.lanes[id] = l
	}
	if cost := w.size + opCost*int64(len(ops)); b.room.TryAcquire(cost) {
		if l.room.TryAcquire(cost) {
			w.cost = cost
			b.held.Add(cost)
		} else {
			b.room.Release(cost) // limits were lowered: what is in the log does not count
		}
	}
	l.recover(w)
	return nil
}

// Node gives the name of this log in the ledger: Config.Node and the identity of the log.
func (b *Buffer) Node() string { return b.node }

func (b *Buffer) existing(id Lane) *lane {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.lanes[id]
}

func (b *Buffer) lane(id Lane) (*lane, error) {
	if l := b.existing(id); l != nil {
		return l, nil
	}
	if err := id.validate(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes[id]
	if l == nil {
		l = newLane(b, id)
		close(l.ready)
		b.lanes[id] = l
	}
	return l, nil
}

func (b *Buffer) all() []*lane {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]*lane, 0, len(b.lanes))
	for _, l := range b.lanes {
		out = append(out, l)
	}
	return out
}

// accept gives durable writes to their lanes.
func (b *Buffer) accept(ws []*write) {
	for _, w := range ws {
		w.lane.accept(w)
	}
}

// reject takes back what writes that are not stored had reserved.
func (b *Buffer) reject(ws []*write, err error) {
	lost := 0
	for _, w := range ws {
		b.refund(w.lane, w.cost)
		if w.level == Memory {
			lost++
		}
	}
	if lost > 0 {
		b.lost.Add(int64(lost))
		b.cfg.Logger.Error("buffer: writes of level memory are lost", "count", lost, "error", err)
	}
}

func (b *Buffer) refund(l *lane, cost int64) {
	if cost > 0 {
		b.held.Add(-cost)
		l.room.Release(cost)
		b.room.Release(cost)
	}
}

func (b *Buffer) count(bt *batch, res Result) {
	b.batches.Add(1)
	b.appliedWrites.Add(bt.writes)
	b.dead.Add(int64(len(res.Dead)))
	b.dropped.Add(res.Dropped)
}

// Flush waits until everything that was acknowledged in the lanes (all lanes, if none is named) at the call is applied. It is
// cheap if nothing is pending. Errors: the context's with the database's last one, ErrFenced, ErrClosed.
func (b *Buffer) Flush(ctx context.Context, lanes ...Lane) error {
	ls := make([]*lane, 0, len(lanes))
	for _, id := range lanes {
		if l := b.existing(id); l != nil {
			ls = append(ls, l)
		}
	}
	if len(lanes) == 0 {
		ls = b.all()
	}
	var errs []error
	for _, l := range ls {
		if err := b.settleMemory(ctx, l); err != nil {
			return fmt.Errorf("buffer: flush of %s: %w", l.id, err)
		}
	}
	results := make(chan error, len(ls))
	for _, l := range ls[min(1, len(ls)):] {
		go func() { results <- l.flush(ctx) }()
	}
	for i, l := range ls {
		if i == 0 {
			errs = append(errs, l.flush(ctx))
		} else {
			errs = append(errs, <-results)
		}
	}
	return errors.Join(errs...)
}

// Close refuses new writes, flushes until ctx ends, and releases the directory. It returns a *UnflushedError if writes are
// left: they are in the log, and the next Open applies them. A second Close waits for the first and returns the same.
func (b *Buffer) Close(ctx context.Context) error {
	b.closeOnce.Do(func() { b.closeErr = b.close(ctx) })
	return b.closeErr
}

func (b *Buffer) close(ctx context.Context) error {
	close(b.closing)
	walErr := b.wal.stop() // all that was queued is durable and folded, or refused
	flushErr := b.Flush(ctx)
	b.cancel()
	b.flushers.Wait()
	unflushed := &UnflushedError{Err: flushErr}
	for _, l := range b.all() {
		l.mu.Lock()
		if l.pending > 0 {
			unflushed.Writes += l.pending
			unflushed.Lanes = append(unflushed.Lanes, l.id)
		}
		l.mu.Unlock()
	}
	if unflushed.Writes == 0 && b.wal.failure() == nil {
		walErr = errors.Join(walErr, b.wal.reset())
	}
	err := errors.Join(walErr, b.lock.Close())
	if err != nil {
		err = fmt.Errorf("buffer: closing: %w", err)
	}
	if unflushed.Writes > 0 {
		return errors.Join(unflushed, err)
	}
	return err
}
