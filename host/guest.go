package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/plugins"
)

// guest is what of a revision takes memory: its code, its image, its instances. A revision that nobody calls for a while
// puts its guest to sleep, which frees all of that, and wakes another for the next event.
type guest struct {
	rev     *revision
	program *engine.Program
	pool    *pool

	mu      sync.Mutex
	message []byte // what its first instance registered; nil before
	// Of a guest that registers the same as the one before in another order: where the routes and sockets are now, by
	// where they were. Nil where the order is the same.
	routes, sockets []uint32
}

// newGuest loads the bundle's module: registered, warmed up, its image taken.
func (r *revision) newGuest(ctx context.Context, b *plugins.Bundle) (*guest, error) {
	g := &guest{rev: r}
	modules, kernel := r.modules()
	warm := g.register
	if r.manifest.Extism != nil {
		warm = nil // its exports are all there is
	}
	var err error
	g.program, err = r.host.engine.Load(ctx, b.Wasm(), engine.LoadConfig{
		Name:           r.key.name,
		Modules:        modules,
		Linked:         append([]engine.Linked{kernel}, extismModules(b)...),
		Files:          extismMounts(b),
		Env:            collectorEnv(r.limits.MemoryBytes),
		Begin:          beginExtism,
		End:            endExtism,
		MaxMemoryBytes: r.limits.MemoryBytes,
		Fuel:           r.limits.MaxFuel,
		InitTimeout:    r.limits.StartTime,
		Warm:           warm,
		Stdout:         r.line(slog.LevelInfo),
		Stderr:         r.line(slog.LevelWarn),
	})
	if err != nil {
		return nil, fmt.Errorf("host: plugin %s: %w", r.key.name, r.explain(err))
	}
	instances := r.limits.MaxInstances
	if r.manifest.Isolation == plugins.IsolationSingle {
		instances = 1
	}
	g.pool = &pool{
		program: g.program, log: r.log, fresh: r.manifest.Isolation == plugins.IsolationFresh, wait: r.limits.QueueTime,
		max: int(instances), maxWaiting: int(r.limits.MaxWaiting), share: &r.tenant.share,
	}
	return g, nil
}

// collectorEnv sets the garbage collector of guests in Go; others do not look at it. An event that reads some thousand rows should end before
// it collects, which from 4 MiB on would take it as long as to read them; and a guest with much in hand collects, however hard, before it
// goes over its limit, which ends it.
func collectorEnv(memory int64) map[string]string {
	return map[string]string{"GOGC": "200", "GOMEMLIMIT": strconv.FormatInt(memory/4*3, 10)}
}

// register runs odac_register in an instance, before the image is taken, and checks what it says.
func (g *guest) register(ctx context.Context, in *engine.Instance) error {
	r := g.rev
	c := newCall(r, 0, "register")
	defer c.end()
	hello := r.hello()
	var err error
	if c.input, err = hello.MarshalMsg(c.input); err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	errno, err := in.Call(ctx, c, deadline, abi.ExportRegister, uint64(len(c.input)))
	if err != nil {
		return fmt.Errorf("%s: %w", abi.ExportRegister, err)
	}
	if abi.Errno(errno) != abi.ErrnoOK {
		return fmt.Errorf("%s answered %s: %s", abi.ExportRegister, abi.Errno(errno).Kind(), c.output)
	}
	if err := g.agree(c.output); err != nil {
		return err
	}
	return r.warmUp(ctx, in, c)
}

// agree makes a registration the revision's, or compares it with the one that is. A module without an image registers in
// each of its instances.
func (g *guest) agree(message []byte) error {
	r := g.rev
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.message != nil {
		if !bytes.Equal(g.message, message) {
			return errChanged
		}
		return nil
	}
	g.message = bytes.Clone(message)
	if r.message == nil {
		r.message = g.message
		return r.readRegistration(message)
	}
	if bytes.Equal(r.message, message) {
		return nil
	}
	var now abi.Registration
	if _, err := now.UnmarshalMsg(message); err != nil {
		return fmt.Errorf("%s answered a malformed registration: %w", abi.ExportRegister, err)
	}
	var same bool
	if g.routes, g.sockets, same = reorder(&r.registration, &now); !same {
		return errChanged
	}
	return nil
}

var errChanged = errors.New("the plugin registers something else than when it was deployed: what it registers must not depend on time or chance")

// reorder says where in now each route and socket of was is; false if now has others.
func reorder(was, now *abi.Registration) (routes, sockets []uint32, same bool) {
	if len(was.Routes) != len(now.Routes) || len(was.Sockets) != len(now.Sockets) ||
		len(was.Schedules) != len(now.Schedules) || len(was.Calls) != len(now.Calls) || len(was.Channels) != len(now.Channels) {
		return nil, nil, false
	}
	at := make(map[string]uint32, len(now.Routes))
	for i, x := range now.Routes {
		at[fmt.Sprintf("%+v", x)] = uint32(i)
	}
	for _, x := range was.Routes {
		i, ok := at[fmt.Sprintf("%+v", x)]
		if !ok {
			return nil, nil, false
		}
		routes = append(routes, i)
	}
	clear(at)
	for i, x := range now.Sockets {
		at[fmt.Sprintf("%+v", x)] = uint32(i)
	}
	for _, x := range was.Sockets {
		i, ok := at[fmt.Sprintf("%+v", x)]
		if !ok {
			return nil, nil, false
		}
		sockets = append(sockets, i)
	}
	// The others are asked for by name.
	names := make(map[string]bool, len(now.Schedules)+len(now.Calls)+len(now.Channels))
	for _, x := range now.Schedules {
		names[fmt.Sprintf("%+v", x)] = true
	}
	for _, x := range now.Calls {
		names["call "+x] = true
	}
	for _, x := range now.Channels {
		names[fmt.Sprintf("channel %+v", x)] = true
	}
	for _, x := range was.Channels {
		if !names[fmt.Sprintf("channel %+v", x)] {
			return nil, nil, false
		}
	}
	for _, x := range was.Schedules {
		if !names[fmt.Sprintf("%+v", x)] {
			return nil, nil, false
		}
	}
	for _, x := range was.Calls {
		if !names["call "+x] {
			return nil, nil, false
		}
	}
	return routes, sockets, true
}

// translate has an event name the route as this guest numbers it.
func (g *guest) translate(in any) {
	switch in := in.(type) {
	case *abi.HTTPRequest:
		if int(in.Route) < len(g.routes) {
			in.Route = g.routes[in.Route]
		}
	case *abi.SocketEvent:
		if int(in.Route) < len(g.sockets) {
			in.Route = g.sockets[in.Route]
		}
	}
}

// close ends what runs and frees the guest.
func (g *guest) close() {
	g.pool.Close()
	if err := g.program.Close(); err != nil {
		g.rev.log.Error("close revision", "error", err)
	}
	g.pool.fills.Wait()
}

// nap is the state between guests.
type nap struct {
	waking chan struct{} // closed when the wake under way is over; nil: none is
	err    error         // why the last wake failed
	failed time.Time     // when
}

// wakeAgain is how long after a wake that failed the next is tried; events in between get its error.
const wakeAgain = time.Second

// acquire gives an instance of the revision's guest, and wakes one if it sleeps.
func (r *revision) acquire(ctx context.Context, patient bool) (*guest, pooled, error) {
	for {
		g := r.guest.Load()
		if g == nil {
			var err error
			if g, err = r.wake(ctx, patient); err != nil {
				return nil, pooled{}, err
			}
		}
		in, err := g.pool.Acquire(ctx, patient)
		if errors.Is(err, ErrClosed) && !r.isClosed() {
			continue // it went to sleep in between
		}
		return g, in, err
	}
}

// isClosed waits for who puts the guest to sleep, whose pool is closed before the guest is gone.
func (r *revision) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// wake waits for a guest: one wake at a time, under a deadline of its own, however many ask for it. The queue time and
// the number of those who wait are bounded as for an instance.
func (r *revision) wake(ctx context.Context, patient bool) (*guest, error) {
	if n := r.sleepers.Add(1); n > r.limits.MaxWaiting && !patient {
		r.sleepers.Add(-1)
		return nil, ErrBusy
	}
	defer r.sleepers.Add(-1)
	var late <-chan time.Time
	if !patient {
		timer := time.NewTimer(max(r.limits.QueueTime, wakeTime))
		defer timer.Stop()
		late = timer.C
	}
	for {
		r.mu.Lock()
		g := r.guest.Load()
		switch {
		case g != nil:
			r.mu.Unlock()
			return g, nil
		case r.closed:
			r.mu.Unlock()
			return nil, ErrClosed
		case r.nap.err != nil && r.nap.waking == nil && time.Since(r.nap.failed) < wakeAgain:
			err := r.nap.err
			r.mu.Unlock()
			return nil, err
		case r.nap.waking == nil:
			r.nap.waking = make(chan struct{})
			go r.wakeUp()
		}
		waking := r.nap.waking
		r.mu.Unlock()
		select {
		case <-waking:
		case <-late:
			return nil, ErrBusy
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// wakeTime is the least time that a call waits for a guest to wake, whatever its queue time.
const wakeTime = 2 * time.Second

// wakeTurn is how long a wake waits for those before it.
const wakeTurn = wakeTime / 4

// wakeUp is the one wake.
func (r *revision) wakeUp() {
	began := time.Now()
	g, err := r.loadStored(r.life)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(r.nap.waking)
	switch {
	case err != nil:
		if r.nap.err, r.nap.failed = err, time.Now(); !r.closed {
			r.log.Error("plugin does not wake", "error", err)
		}
	case r.closed:
		g.close()
	default:
		r.nap.err = nil
		r.guest.Store(g)
		r.stat.wakes.Add(1)
		r.log.Debug("awake", "took", time.Since(began))
	}
	r.nap.waking = nil
}

var errRecalled = errors.New("what the host remembers of the plugin is not what its bundle says: remove the folder registered of the cache directory")

// loadStored loads the guest from the store's bundle, whose digest is checked.
func (r *revision) loadStored(ctx context.Context) (*guest, error) {
	h := r.host
	// A host full of sleepers does not wake them all at once, but those that are slow to start do not keep the others asleep.
	late := time.NewTimer(wakeTurn)
	defer late.Stop()
	select {
	case h.wakes <- struct{}{}:
		defer func() { <-h.wakes }()
	case <-late.C:
	case <-ctx.Done():
		return nil, ErrClosed
	}
	stored, err := h.store.Revision(r.digest)
	if err != nil {
		return nil, err
	}
	if r.recalled != nil && !bytes.Equal(r.recalled, stored.Bundle.ManifestText()) {
		return nil, errRecalled
	}
	if !r.restored {
		left, err := h.restore(ctx, r, stored.Bundle)
		if err != nil {
			return nil, err
		}
		if r.restored = true; left {
			h.soak(&trial{rev: r, bundle: stored.Bundle})
		}
	}
	return r.newGuest(ctx, stored.Bundle)
}

// sleep frees the guest unless a call uses it.
func (r *revision) sleep() {
	r.mu.Lock()
	g := r.guest.Load()
	if g == nil || r.closed || !g.pool.Sleep() {
		r.mu.Unlock()
		return
	}
	r.past.add(g.pool.Stat())
	r.guest.Store(nil)
	g.close() // nothing runs in it: this takes no time that a waking call would mind
	r.mu.Unlock()
	r.log.Debug("asleep")
}

// asleep says whether the revision has no guest.
func (r *revision) asleep() bool { return r.guest.Load() == nil }

// trouble is why the last wake failed.
func (r *revision) trouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nap.err
}

// poolStat is what the guests of the revision did.
func (r *revision) poolStat() PoolStat {
	r.mu.Lock()
	defer r.mu.Unlock()
	past := r.past
	g := r.guest.Load()
	if g == nil {
		return past
	}
	now := g.pool.Stat()
	now.add(past)
	return now
}

// tend is the janitor's look at a revision at the end of a period: what of it is idle goes.
func (r *revision) tend(now time.Time, sleepTime time.Duration) {
	if g := r.guest.Load(); g != nil {
		g.pool.Shrink()
	}
	if used := r.stat.events.Load() + r.stat.assets.Load(); used != r.lastUsed || r.idleSince.IsZero() {
		r.lastUsed, r.idleSince = used, now
		return
	}
	// An instance of isolation single is the plugin's memory.
	if sleepTime > 0 && now.Sub(r.idleSince) >= sleepTime && r.manifest.Isolation != plugins.IsolationSingle {
		r.sleep()
		r.assets.drop()
	}
}

// close frees the revision. Nothing may hold it.
func (r *revision) close() {
	r.mu.Lock()
	r.closed = true
	g, waking := r.guest.Load(), r.nap.waking
	r.mu.Unlock()
	r.die()
	if waking != nil {
		<-waking
	}
	if g != nil {
		g.close()
	}
}
