package host

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/odac-run/odachost/host/internal/engine"
)

// pool keeps the instances of one revision: at most max at a time, idle ones reused last in first out, so that the rest can be
// let go and what serves is still in the processor's cache. An instance that comes free is for the first who waits if that has waited for
// a millisecond; before, for whoever takes it first. To hand it over at once would keep a running call from using it and make it
// wait in its turn, and all after it: then each call runs in an instance that was used longest ago.
// It keeps as many as were in use at once of late, and some
// more, made in the background, so that a burst finds them there.
//
// A call takes the lock once to acquire and once to release; nothing is made, restored or closed under it.
type pool struct {
	program    *engine.Program
	log        *slog.Logger
	fresh      bool          // restore the image after each call
	wait       time.Duration // for an instance
	max        int           // instances at a time
	maxWaiting int           // calls that wait for one
	share      *share        // of the host's calls

	fills sync.WaitGroup

	mu      sync.Mutex
	idle    []pooled  // the longest idle first
	trimmed int       // the first of idle that hold no pages of their own
	inUse   int       // in a call, or being made for one
	filling int       // being made in the background, or trimmed
	queue   list.List // of *waiter
	closed  bool
	low     int        // the fewest idle since the last Shrink, counting those that it had trimmed
	peaks   [peaks]int // the most in use at once, in this period and those before
	stat    PoolStat
}

type pooled struct {
	*engine.Instance
	uses int
}

// PoolStat counts what a deployment's instances did.
type PoolStat struct {
	Idle    int // instances that wait for a call
	InUse   int // instances in a call
	Waiting int // calls that wait for an instance, or for the tenant's share of the host
	// Created instances, with those made ahead of need.
	Created uint64
	// Discarded instances after a call, for one of the reasons that follow.
	Discarded uint64
	// Unrestorable: the call grew the memory, changed a table, overflowed the stack; or the plugin has no image.
	Unrestorable uint64
	// Failed: a call went wrong in an instance that cannot be restored.
	Failed uint64
	// Worn: isolation keeps the memory, and the instance has served long enough.
	Worn uint64
	// Shrunk are instances closed because fewer were needed.
	Shrunk uint64
	// Busy are calls refused, because none came free in time or too many waited.
	Busy uint64
	// Waited are calls that had to wait, WaitTime how long all of them together did.
	Waited   uint64
	WaitTime time.Duration
}

// add counts what a pool before this one did.
func (s *PoolStat) add(o PoolStat) {
	s.Created += o.Created
	s.Discarded += o.Discarded
	s.Unrestorable += o.Unrestorable
	s.Failed += o.Failed
	s.Worn += o.Worn
	s.Shrunk += o.Shrunk
	s.Busy += o.Busy
	s.Waited += o.Waited
	s.WaitTime += o.WaitTime
}

const (
	// warmUses is after how many calls an instance whose memory stays is retired.
	warmUses = 1 << 20
	// peaks is over how many periods of Shrink the most instances in use are remembered.
	peaks = 6
)

// handOver is how long the first who waits does so before the next instance is kept for it.
const handOver = time.Millisecond

// waiter is a call that waits for an instance.
type waiter struct {
	ready chan answer   // takes one without blocking
	place *list.Element // in the queue; nil once it is served
	since time.Time
}

// answer is what a waiter is told: an instance to have, leave to make one, or to look again.
type answer struct {
	pooled
	look bool
}

// handLocked gives the first waiter what it waits for; false when nobody waits.
func (p *pool) handLocked(in pooled) bool {
	first := p.queue.Front()
	if first == nil {
		return false
	}
	w := p.queue.Remove(first).(*waiter)
	w.place = nil
	select {
	case <-w.ready: // to look again: it has not seen that yet
	default:
	}
	w.ready <- answer{pooled: in}
	return true
}

// hintLocked has the first who waits look again, if there is something to see.
func (p *pool) hintLocked() {
	if first := p.queue.Front(); first != nil && len(p.idle) > 0 {
		select {
		case first.Value.(*waiter).ready <- answer{look: true}:
		default: // it was told
		}
	}
}

// takeLocked takes the instance that was idle for the shortest time.
func (p *pool) takeLocked() pooled {
	n := len(p.idle) - 1
	in := p.idle[n]
	p.idle[n] = pooled{}
	p.idle = p.idle[:n]
	p.low = min(p.low, n)
	p.trimmed = min(p.trimmed, n)
	p.useLocked()
	return in
}

// Acquire waits for an instance, and for the tenant's turn: until both are there, the queue time passed or too many wait
// (ErrBusy), or ctx ended. patient waits for ctx alone: a socket's message must not be lost to a full house.
func (p *pool) Acquire(ctx context.Context, patient bool) (pooled, error) {
	p.mu.Lock()
	if len(p.idle) > 0 && !p.closed {
		in := p.takeLocked()
		fill := len(p.idle) == 0 && p.wantLocked() > 0
		p.mu.Unlock()
		if fill {
			p.fill()
		}
		return p.enter(ctx, in, patient)
	}
	return p.acquireSlow(ctx, patient)
}

// useLocked counts one more instance in use.
func (p *pool) useLocked() {
	p.inUse++
	if p.inUse > p.peaks[0] {
		p.peaks[0] = p.inUse
	}
}

// acquireSlow makes an instance or waits for one. The lock is held.
func (p *pool) acquireSlow(ctx context.Context, patient bool) (pooled, error) {
	if p.closed {
		p.mu.Unlock()
		return pooled{}, ErrClosed
	}
	if p.inUse+p.filling >= p.max {
		in, err := p.waitLocked(ctx, patient)
		switch {
		case err != nil:
			return pooled{}, err
		case in.Instance != nil:
			return p.enter(ctx, in, patient)
		}
		p.mu.Lock() // leave to make one
	} else {
		p.useLocked()
	}
	p.low, p.stat.Created = 0, p.stat.Created+1
	fill := p.wantLocked() > 0
	p.mu.Unlock()
	if fill {
		p.fill()
	}
	made, err := p.program.New(ctx)
	if err != nil {
		p.giveUp()
		if errors.Is(err, engine.ErrClosed) {
			err = ErrClosed
		}
		return pooled{}, err
	}
	return p.enter(ctx, pooled{Instance: made}, patient)
}

// enter has an instance in hand and wants the tenant's share.
func (p *pool) enter(ctx context.Context, in pooled, patient bool) (pooled, error) {
	if p.share.try() {
		return in, nil
	}
	return p.turn(ctx, in, patient)
}

// timer is when a call that is not patient has waited long enough.
func (p *pool) timer(patient bool) (late <-chan time.Time, stop func() bool) {
	if patient {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(p.wait)
	return t.C, t.Stop
}

// waitLocked waits for an instance, or for leave to make one, which is an empty answer. It unlocks.
func (p *pool) waitLocked(ctx context.Context, patient bool) (in pooled, err error) {
	if !patient && p.queue.Len() >= p.maxWaiting {
		p.stat.Busy++
		p.mu.Unlock()
		return pooled{}, ErrBusy
	}
	w := &waiter{ready: make(chan answer, 1), since: time.Now()}
	w.place = p.queue.PushBack(w)
	p.mu.Unlock()
	late, stop := p.timer(patient)
	defer stop()
	var given bool
	for !given && err == nil {
		var told answer
		select {
		case told = <-w.ready:
		case <-late:
			err = ErrBusy
		case <-ctx.Done():
			err = ctx.Err()
		}
		p.mu.Lock()
		switch {
		case w.place == nil: // it was served, if only at the last moment
			if err != nil || told.look {
				told = <-w.ready
			}
			in, given, err = told.pooled, true, nil
		case len(p.idle) > 0:
			p.queue.Remove(w.place)
			in, given, err = p.takeLocked(), true, nil
			p.hintLocked()
		case err != nil:
			p.queue.Remove(w.place)
		}
		if !given && err == nil {
			p.mu.Unlock()
		}
	}
	defer p.mu.Unlock()
	p.stat.Waited++
	p.stat.WaitTime += time.Since(w.since)
	if given && p.closed && in.Instance == nil { // woken by Close
		p.inUse--
		return pooled{}, ErrClosed
	}
	if errors.Is(err, ErrBusy) {
		p.stat.Busy++
	}
	return in, err
}

// turn waits for the tenant's share of the host with an instance in hand, which it gives back when it waits in vain.
func (p *pool) turn(ctx context.Context, in pooled, patient bool) (pooled, error) {
	began := time.Now()
	late, stop := p.timer(patient)
	defer stop()
	p.mu.Lock()
	p.stat.Waiting++
	p.mu.Unlock()
	err := p.share.wait(ctx, late)
	p.mu.Lock()
	p.stat.Waiting--
	p.stat.Waited++
	p.stat.WaitTime += time.Since(began)
	if errors.Is(err, ErrBusy) {
		p.stat.Busy++
	}
	p.mu.Unlock()
	if err != nil {
		p.put(in)
		return pooled{}, err
	}
	return in, nil
}

// Release takes an instance back after a call, restored where this pool or a failure asks for it, or throws it away.
func (p *pool) Release(in pooled, failed bool) {
	in.uses++
	switch {
	case p.fresh || failed:
		if in.Reset() != nil {
			p.discard(in, failed)
			return
		}
	case in.uses >= warmUses:
		p.discard(in, false)
		return
	}
	p.share.leave()
	p.put(in)
}

// put makes an instance idle, or gives it to who waits.
func (p *pool) put(in pooled) {
	p.mu.Lock()
	if p.closed {
		p.inUse--
		p.mu.Unlock()
		p.free(in)
		return
	}
	if first := p.queue.Front(); first != nil && time.Since(first.Value.(*waiter).since) >= handOver {
		p.handLocked(in)
	} else {
		p.idle = append(p.idle, in)
		p.inUse--
		p.hintLocked()
	}
	p.mu.Unlock()
}

// discard closes an instance whose state cannot be trusted, and lets the first who waits make another.
func (p *pool) discard(in pooled, failed bool) {
	p.share.leave()
	p.free(in)
	p.mu.Lock()
	p.stat.Discarded++
	switch {
	case failed:
		p.stat.Failed++
	case p.fresh:
		p.stat.Unrestorable++
	default:
		p.stat.Worn++
	}
	p.mu.Unlock()
	p.giveUp()
}

// giveUp ends the use of an instance that is not there any more.
func (p *pool) giveUp() {
	p.mu.Lock()
	if !p.handLocked(pooled{}) {
		p.inUse--
	}
	p.mu.Unlock()
}

func (p *pool) free(in pooled) {
	if err := in.Close(); err != nil {
		p.log.Error("close instance", "error", err)
	}
}

// targetLocked is how many instances are worth having: as many as were in use at once of late, and a quarter more.
func (p *pool) targetLocked() int {
	most := 0
	for _, n := range p.peaks {
		most = max(most, n)
	}
	if most == 0 {
		return 1
	}
	return min(most+(most+3)/4, p.max)
}

// wantLocked is how many instances to make in the background; none while some are made.
func (p *pool) wantLocked() int {
	if p.filling > 0 || p.closed {
		return 0
	}
	return p.targetLocked() - p.inUse - len(p.idle)
}

// fill makes instances ahead of need.
func (p *pool) fill() {
	p.mu.Lock()
	n := p.wantLocked()
	if n <= 0 {
		p.mu.Unlock()
		return
	}
	p.filling = n
	p.stat.Created += uint64(n)
	p.fills.Add(1)
	p.mu.Unlock()
	go func() {
		defer p.fills.Done()
		for range n {
			in, err := p.program.New(context.Background())
			p.filled(pooled{Instance: in}, err)
		}
	}()
}

// filled adds an instance that was made ahead, or trimmed. Who waits, waits for it too.
func (p *pool) filled(in pooled, err error) {
	p.mu.Lock()
	p.filling--
	if err != nil || p.queue.Len() > 0 {
		p.low = min(p.low, len(p.idle)) // Shrink counted on it
	}
	closed := p.closed && err == nil
	switch {
	case err != nil: // the next call that needs one reports it
		if p.queue.Len() > 0 {
			p.useLocked()
			p.handLocked(pooled{})
		}
	case closed:
	case p.queue.Len() > 0:
		p.useLocked()
		p.handLocked(in)
	default:
		p.idle = slices.Insert(p.idle, p.trimmed, in)
		p.trimmed++
	}
	p.mu.Unlock()
	if closed {
		p.free(in)
	}
}

// Shrink ends a period: it closes instances that were not needed in it and are more than were needed of late, and has
// those that stay idle give back the pages that they wrote to.
func (p *pool) Shrink() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	surplus := max(min(p.inUse+p.filling+len(p.idle)-p.targetLocked(), p.low), 0)
	if p.queue.Len() > 0 {
		surplus = 0 // the first who waits was told to look
	}
	old := slices.Clone(p.idle[:surplus])
	p.idle = slices.Delete(p.idle, 0, surplus)
	p.trimmed = max(p.trimmed-surplus, 0)
	p.stat.Shrunk += uint64(surplus)
	var trim []pooled
	if unused := p.low - surplus; p.fresh && unused > p.trimmed {
		trim = slices.Clone(p.idle[p.trimmed:unused])
		p.idle = slices.Delete(p.idle, p.trimmed, unused)
		p.filling += len(trim)
	}
	p.low = len(p.idle) + len(trim)
	copy(p.peaks[1:], p.peaks[:])
	p.peaks[0] = p.inUse
	p.fills.Add(1)
	p.mu.Unlock()
	defer p.fills.Done()
	for _, in := range old {
		p.free(in)
	}
	for _, in := range trim {
		err := in.Trim()
		if err != nil {
			p.free(in)
		}
		p.filled(in, err)
	}
}

// Sleep closes the pool if no call uses it or waits for it.
func (p *pool) Sleep() bool {
	p.mu.Lock()
	if p.closed || p.inUse+p.filling+p.queue.Len() > 0 {
		p.mu.Unlock()
		return false
	}
	old := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, in := range old {
		p.free(in)
	}
	return true
}

// Close closes the idle instances and refuses new calls, also those that wait; instances in a call are closed when they
// are released.
func (p *pool) Close() {
	p.mu.Lock()
	old := p.idle
	p.idle, p.closed = nil, true
	for p.queue.Len() > 0 {
		p.inUse++
		p.handLocked(pooled{})
	}
	p.mu.Unlock()
	for _, in := range old {
		p.free(in)
	}
}

// Stat is a snapshot.
func (p *pool) Stat() PoolStat {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stat
	s.Idle, s.InUse, s.Waiting = len(p.idle), p.inUse, p.queue.Len()+p.stat.Waiting
	return s
}
