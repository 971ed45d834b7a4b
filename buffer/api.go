package buffer

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

var bodyPool = sync.Pool{New: func() any { return new([]byte) }}

// Insert adds a row: key and set together are its columns. See Op and Write.
func (b *Buffer) Insert(ctx context.Context, lane Lane, level Level, key, set []Column) (LSN, error) {
	return b.Write(ctx, lane, level, Op{Kind: KindInsert, Key: key, Set: set})
}

// Set gives columns of the row new values. See Write.
func (b *Buffer) Set(ctx context.Context, lane Lane, level Level, key, set []Column) (LSN, error) {
	return b.Write(ctx, lane, level, Op{Kind: KindSet, Key: key, Set: set})
}

// Increment adds to integer columns of the row. See Write.
func (b *Buffer) Increment(ctx context.Context, lane Lane, level Level, key []Column, add []Delta) (LSN, error) {
	return b.Write(ctx, lane, level, Op{Kind: KindIncrement, Key: key, Add: add})
}

// Delete removes the row. See Write.
func (b *Buffer) Delete(ctx context.Context, lane Lane, level Level, key []Column) (LSN, error) {
	return b.Write(ctx, lane, level, Op{Kind: KindDelete, Key: key})
}

// Write queues ops as one unit: all of them are stored or none, and they are applied in one transaction (of which the
// rows that the database refuses are set aside). It waits for room, then for what level promises. The buffer does not keep
// the slices.
//
// If the LSN is 0 nothing was stored; with an error and another LSN the write is, or may be, stored. Errors: ErrInvalid, ErrTooLarge, ErrNeedsRedis, ErrBufferFull, ErrDiskFull,
// ErrReadOnly, ErrFenced, ErrClosed, *DeadLetterError, and the context's.
func (b *Buffer) Write(ctx context.Context, lane Lane, level Level, ops ...Op) (LSN, error) {
	switch level {
	case Disk, Memory, Applied:
	case Replicated:
		return 0, ErrNeedsRedis
	default:
		return 0, fmt.Errorf("%w: durability %s", ErrInvalid, level)
	}
	l, err := b.lane(lane)
	if err != nil {
		return 0, err
	}
	w, err := newWrite(ops)
	if err != nil {
		return 0, err
	}
	pooled, _ := bodyPool.Get().(*[]byte)
	body := appendRecord((*pooled)[:0], lane, ops)
	defer func() {
		if cap(body) <= 64<<10 {
			*pooled = body[:0]
			bodyPool.Put(pooled)
		}
	}()
	w.lane, w.level, w.size = l, level, int64(len(body))
	w.cost = w.size + opCost*int64(len(ops))
	if level == Applied {
		w.done = make(chan error, 1)
	}
	if err := b.admit(ctx, w); err != nil {
		return 0, err
	}
	g, err := b.wal.append(w, body)
	if err != nil {
		b.refund(l, w.cost)
		return 0, err
	}
	b.writes.Add(1)
	return b.await(ctx, w, g)
}

// admit reserves room for w, in the lane first so that a lane whose database is away does not hold what others need.
func (b *Buffer) admit(ctx context.Context, w *write) error {
	cfg := &b.cfg
	if len(w.rows) > cfg.MaxBatchRows || w.size > min(cfg.MaxBatchBytes, b.wal.maxBody()) || w.cost > cfg.MaxLaneBytes {
		return fmt.Errorf("%w: %d rows, %d bytes", ErrTooLarge, len(w.rows), w.size)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case <-b.closing:
		return ErrClosed
	default:
	}
	w.lane.mu.Lock()
	fenced := w.lane.fenced
	w.lane.mu.Unlock()
	if fenced != nil {
		return fenced
	}
	if w.lane.room.TryAcquire(w.cost) {
		if b.room.TryAcquire(w.cost) {
			b.held.Add(w.cost)
			return nil
		}
		w.lane.room.Release(w.cost)
	}
	return b.admitSlow(ctx, w)
}

func (b *Buffer) admitSlow(ctx context.Context, w *write) error {
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-b.closing:
			cancel()
		case <-wait.Done():
		}
	}()
	err := w.lane.room.Acquire(wait, w.cost)
	if err == nil {
		if err = b.room.Acquire(wait, w.cost); err == nil {
			b.held.Add(w.cost)
			return nil
		}
		w.lane.room.Release(w.cost)
	}
	select {
	case <-b.closing:
		return ErrClosed
	default:
		return fmt.Errorf("%w (%w)", ErrBufferFull, context.Cause(ctx))
	}
}

// await waits for what the level promises.
func (b *Buffer) await(ctx context.Context, w *write, g *group) (LSN, error) {
	lsn := w.lsn
	if w.level == Memory {
		w.lane.mu.Lock()
		w.lane.memory = max(w.lane.memory, lsn)
		w.lane.mu.Unlock()
		return lsn, nil
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return lsn, fmt.Errorf("buffer: waiting for the log, the write may be stored: %w", context.Cause(ctx))
	}
	switch {
	case errors.Is(g.err, ErrReadOnly):
		return lsn, g.err // what is on disk is known at the next Open only
	case g.err != nil:
		return 0, g.err
	}
	if w.level == Disk {
		return lsn, nil
	}
	select {
	case err := <-w.done:
		return lsn, err
	case <-ctx.Done():
		return lsn, fmt.Errorf("buffer: the write is stored and not applied yet: %w", context.Cause(ctx))
	case <-b.ctx.Done():
		return lsn, fmt.Errorf("%w: the write is stored and not applied yet", ErrClosed)
	}
}
