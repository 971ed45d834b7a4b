package buffer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// lane is the pending writes of one Lane and the goroutine that applies them, which lives while there are any. Lock
// order: lane.mu is a leaf, except that nothing is locked under it; Buffer.mu is never held with it.
type lane struct {
	b     *Buffer
	id    Lane
	room  *semaphore.Weighted
	kick  chan struct{} // capacity 1: look again
	ready chan struct{} // closed when the backlog is folded or the lane is fenced

	mu      sync.Mutex
	backlog []*write // recovered at Open, for as long as the ledger is unknown; and what came after them
	batches []*batch // oldest first; the first may be with the Target, the last may be open
	running bool
	known   bool // the ledger was read
	applied LSN
	folded  LSN // the last write accepted
	memory  LSN // the last write acknowledged before it was durable
	urgent  LSN // up to here nobody wants to wait for others
	pending int64
	lastErr error
	fenced  error
	waiters []waiter
}

// waiter waits until lsn is applied.
type waiter struct {
	lsn  LSN
	done chan error // capacity 1
}

func newLane(b *Buffer, id Lane) *lane {
	return &lane{
		b: b, id: id, kick: make(chan struct{}, 1), ready: make(chan struct{}),
		room: semaphore.NewWeighted(b.cfg.MaxLaneBytes),
	}
}

// recover takes a write that was in the log at Open.
func (l *lane) recover(w *write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.folded = w.lsn
	l.pending++
	l.backlog = append(l.backlog, w)
}

// accept takes a durable write.
func (l *lane) accept(w *write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.folded = w.lsn
	l.pending++
	if w.done != nil {
		l.urgent = max(l.urgent, w.lsn)
		if l.fenced != nil {
			w.done <- l.fenced
			w.done = nil
		}
	}
	if l.backlog != nil {
		l.backlog = append(l.backlog, w)
	} else {
		l.foldLocked(w)
	}
	l.startLocked()
}

func (l *lane) foldLocked(w *write) {
	n := len(l.batches)
	if n > 0 && !l.batches[n-1].sealed {
		last := l.batches[n-1]
		if last.add(w, l.b.cfg.MaxBatchRows, l.b.cfg.MaxBatchBytes) {
			if w.done != nil {
				l.poke()
			}
			return
		}
		last.sealed = true
		l.poke()
	}
	bt := &batch{rows: make(map[string]*row)}
	bt.add(w, l.b.cfg.MaxBatchRows, l.b.cfg.MaxBatchBytes)
	l.batches = append(l.batches, bt)
	if w.done != nil {
		l.poke()
	}
}

func (l *lane) poke() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

func (l *lane) startLocked() {
	if l.running || l.fenced != nil {
		return
	}
	l.running = true
	l.b.flushers.Go(l.run)
}

// run applies batches until there are none, the lane is fenced or the buffer stops.
func (l *lane) run() {
	if !l.learn() {
		return
	}
	for {
		bt := l.take()
		if bt == nil {
			return
		}
		res, err := l.apply(bt)
		if err != nil {
			return
		}
		l.complete(bt, res)
	}
}

// learn reads the ledger, once, and folds the backlog above it.
func (l *lane) learn() bool {
	l.mu.Lock()
	known := l.known
	l.mu.Unlock()
	for try := 0; !known; try++ {
		at, err := l.readLedger()
		switch {
		case err == nil && at > l.b.recovered:
			l.fence(fmt.Errorf("%w: the ledger of %s is at %d, this log ended at %d when it was opened", ErrFenced, l.id, at, l.b.recovered))
			return false
		case err == nil:
			l.learned(at)
			return true
		}
		if !l.retry(err, try) {
			return false
		}
	}
	return true
}

func (l *lane) learned(at LSN) {
	l.mu.Lock()
	skip := 0
	for skip < len(l.backlog) && l.backlog[skip].lsn <= at {
		skip++
	}
	skipped := l.backlog[:skip]
	l.mu.Unlock()
	for _, w := range skipped {
		l.b.wal.release(w.seg, 1)
		l.b.refund(l, w.cost)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.applied, l.lastErr = true, at, nil
	l.pending -= int64(skip)
	if l.backlog != nil {
		for _, w := range l.backlog[skip:] {
			l.foldLocked(w)
		}
		l.backlog = nil
		close(l.ready)
	}
	l.answerLocked()
}

// take waits until the oldest batch is due, and seals it. nil: there is none, or the buffer stops.
func (l *lane) take() *batch {
	var due <-chan time.Time
	for {
		l.mu.Lock()
		if len(l.batches) == 0 {
			l.running = false
			l.mu.Unlock()
			return nil
		}
		bt := l.batches[0]
		if bt.sealed || bt.first <= l.urgent {
			bt.sealed, bt.from = true, l.applied
			l.mu.Unlock()
			return bt
		}
		l.mu.Unlock()
		if due == nil {
			timer := time.NewTimer(l.b.cfg.FlushInterval)
			defer timer.Stop() //nolint:revive // once for each take
			due = timer.C
		}
		select {
		case <-l.kick:
		case <-due:
			l.mu.Lock()
			l.urgent = max(l.urgent, bt.first)
			l.mu.Unlock()
		case <-l.b.ctx.Done():
			return nil
		}
	}
}

// apply tries until the batch is committed; an error means that the lane is fenced or the buffer stops.
func (l *lane) apply(bt *batch) (Result, error) {
	out := bt.changes(l.b.node, l.id, l.b.cfg.Missing(l.id))
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(l.b.ctx, l.b.cfg.ApplyTimeout)
		res, err := l.b.cfg.Target.Apply(ctx, out)
		cancel()
		if err == nil {
			return res, nil
		}
		// The outcome is unknown: the ledger knows.
		for {
			if !l.retry(err, try) {
				return Result{}, err
			}
			var at LSN
			at, res.Dead, err = l.outcome(bt)
			switch {
			case err != nil:
				try++
				continue
			case at == bt.to:
				return res, nil
			case at != bt.from:
				err := fmt.Errorf("%w: the ledger of %s is at %d, expected %d or %d", ErrFenced, l.id, at, bt.from, bt.to)
				l.fence(err)
				return Result{}, err
			}
			break
		}
	}
}

// outcome reads the ledger, and what was set aside if bt turns out to be committed.
func (l *lane) outcome(bt *batch) (LSN, []Dead, error) {
	at, err := l.readLedger()
	if err != nil || at != bt.to {
		return at, nil, err
	}
	ctx, cancel := context.WithTimeout(l.b.ctx, l.b.cfg.ApplyTimeout)
	defer cancel()
	dead, err := l.b.cfg.Target.Dead(ctx, l.b.node, l.id, bt.from, bt.to)
	return at, dead, err
}

func (l *lane) readLedger() (LSN, error) {
	ctx, cancel := context.WithTimeout(l.b.ctx, l.b.cfg.ApplyTimeout)
	defer cancel()
	return l.b.cfg.Target.Applied(ctx, l.b.node, l.id)
}

// retry notes err and waits before the next try; false if the buffer stops.
func (l *lane) retry(err error, try int) bool {
	l.mu.Lock()
	l.lastErr = err
	l.mu.Unlock()
	if l.b.ctx.Err() != nil {
		return false
	}
	if errors.Is(err, ErrFenced) && try == 0 {
		return true // a look at the ledger decides
	}
	wait := min(20*time.Millisecond<<min(try, 20), l.b.cfg.MaxBackoff)
	if try == 0 || wait == l.b.cfg.MaxBackoff {
		l.b.cfg.Logger.Warn("buffer: flush failed, trying again", "lane", l.id.String(), "try", try+1, "error", err)
	}
	wait = wait/2 + rand.N(wait/2+1)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.b.ctx.Done():
		return false
	}
}

func (l *lane) complete(bt *batch, res Result) {
	l.b.count(bt, res)
	if len(res.Dead) > 0 {
		l.b.cfg.Logger.Warn("buffer: changes set aside", "lane", l.id.String(), "count", len(res.Dead),
			"table", DeadLetterTable, "first", res.Dead[0].Reason)
	}
	for _, c := range bt.segs {
		l.b.wal.release(c.seg, c.n)
	}
	l.b.refund(l, bt.cost)
	l.mu.Lock()
	l.batches = l.batches[1:]
	l.applied, l.lastErr = bt.to, nil
	l.pending -= bt.writes
	l.answerLocked()
	l.mu.Unlock()
	bt.settle(res.Dead)
}

// fence stops the lane for good.
func (l *lane) fence(err error) {
	l.b.cfg.Logger.Error("buffer: lane stopped", "lane", l.id.String(), "error", err)
	l.mu.Lock()
	l.fenced, l.lastErr = err, err
	l.answerLocked()
	if l.backlog != nil {
		close(l.ready)
	}
	waiting := l.waitingLocked()
	l.mu.Unlock()
	for _, w := range waiting {
		w.done <- err
	}
}

// waitingLocked takes the writes of level Applied out of what will never be applied by this process.
func (l *lane) waitingLocked() []*write {
	var out []*write
	for _, bt := range l.batches {
		out = append(out, bt.wait...)
		bt.wait = nil
	}
	for _, w := range l.backlog {
		if w.done != nil {
			out = append(out, w)
		}
	}
	return out
}

// answerLocked serves the waiters that have their answer.
func (l *lane) answerLocked() {
	kept := l.waiters[:0]
	for _, w := range l.waiters {
		switch {
		case l.fenced != nil:
			w.done <- l.fenced
		case w.lsn <= l.applied || l.pending == 0:
			w.done <- nil
		default:
			kept = append(kept, w)
		}
	}
	clear(l.waiters[len(kept):])
	l.waiters = kept
}

// flush waits until all that was accepted before the call is applied.
func (l *lane) flush(ctx context.Context) error {
	l.mu.Lock()
	if l.pending == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.fenced != nil {
		defer l.mu.Unlock()
		return l.fenced
	}
	w := waiter{l.folded, make(chan error, 1)}
	l.waiters = append(l.waiters, w)
	l.urgent = max(l.urgent, l.folded)
	l.mu.Unlock()
	l.poke()
	select {
	case err := <-w.done:
		return err
	case <-l.b.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.lastErr != nil {
			return fmt.Errorf("buffer: flush of %s: %w, last error of the database: %w", l.id, context.Cause(ctx), l.lastErr)
		}
		return fmt.Errorf("buffer: flush of %s: %w", l.id, context.Cause(ctx))
	}
}
