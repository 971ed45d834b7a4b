package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/plugins"
	"github.com/odac-run/odachost/ws"
)

// Host runs plugins. It is an http.Handler; Serve adds the limits of a public server. All methods may be called from
// any goroutine.
type Host struct {
	config    Config
	log       *slog.Logger
	engine    *engine.Engine
	store     *plugins.Store
	cache     *cache.Cache
	buffer    *buffer.Buffer
	hub       *ws.Hub
	schedules *scheduler
	fetcher   *http.Transport
	bodies    *semaphore.Weighted
	ids       ids
	secrets   secrets
	shares    shares
	wakes     chan struct{} // one for each guest that is waking
	routes    atomic.Pointer[table]

	life       context.Context // ends at Close
	kill       context.CancelFunc
	background sync.WaitGroup // draining revisions, the janitor

	installing sync.Mutex // one deploy at a time finds its mount free, is recorded and switched to; taken before mu

	sizeInterval, fullInterval time.Duration // see quota.go

	mu          sync.Mutex // below it: never held while a guest, a database or a disk is waited for
	deployments map[key]*deployment
	tenants     map[string]*tenant
	sizes       map[string]*sizes // by connection
	broken      map[key]error     // deployments of the store that could not be loaded
	closed      bool
}

// New opens the data folder and makes every deployment in its store serve again. A deployment that cannot is logged,
// listed by [Host.Plugins] with its error, and stops nobody else. Close the host.
func New(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("host: Config.DataDir: %w", err)
	}
	h := &Host{
		config: cfg, log: cfg.Logger, bodies: semaphore.NewWeighted(cfg.HTTP.MaxBodyBytes),
		ids: ids{prefix: rand.Text()[:6] + "-"}, secrets: secrets{file: filepath.Join(cfg.DataDir, keyFile)},
		shares: shares{max: max(int64(cfg.MaxCalls), 0)}, wakes: make(chan struct{}, runtime.GOMAXPROCS(0)),
		deployments: make(map[key]*deployment), tenants: make(map[string]*tenant), sizes: make(map[string]*sizes), sizeInterval: sizeInterval, fullInterval: fullInterval, broken: make(map[key]error),
	}
	h.routes.Store(&table{})
	h.life, h.kill = context.WithCancel(context.Background())
	if err := h.open(); err != nil {
		return nil, errors.Join(err, h.Close(ctx))
	}
	h.background.Go(h.janitor)
	if err := h.resume(ctx); err != nil {
		return nil, errors.Join(err, h.Close(ctx))
	}
	return h, nil
}

// open makes the parts, in the order in which they need each other.
func (h *Host) open() (err error) {
	private := make(map[string]bool)
	for _, host := range h.config.PrivateHosts {
		private[host] = true
	}
	h.fetcher = newFetcher(private)
	h.schedules = newScheduler()
	if h.engine, err = engine.New(engine.Config{CacheDir: h.config.CacheDir, Interpreter: h.config.Interpreter, CompileWorkers: h.config.CompileWorkers, Compiler: h.config.Compiler}); err != nil {
		return err
	}
	if h.cache, err = cache.New(h.config.Cache); err != nil {
		return err
	}
	sockets := h.config.Sockets
	or(&sockets.Logger, h.log)
	if h.hub, err = ws.New(sockets); err != nil {
		return err
	}
	if h.store, err = plugins.OpenStore(filepath.Join(h.config.DataDir, StoreFolder), plugins.StoreOptions{}); err != nil {
		return err
	}
	writes := h.config.Buffer
	writes.Dir, writes.Target = filepath.Join(h.config.DataDir, "buffer"), flushTarget{h}
	or(&writes.Node, "local")
	or(&writes.Logger, h.log)
	h.buffer, err = buffer.Open(writes)
	return err
}

// deployment finds or makes the deployment of a key.
func (h *Host) deployment(k key) (*deployment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	d, ok := h.deployments[k]
	if !ok {
		d = &deployment{key: k}
		h.deployments[k] = d
	}
	return d, nil
}

// claim is deployment for who changes it: nobody else does until d.mu is unlocked, and Close waits for that.
func (h *Host) claim(k key) (*deployment, error) {
	if _, err := h.store.Get(k.tenant, k.name); err != nil && !errors.Is(err, plugins.ErrNotFound) {
		return nil, err // such as a name that is none: it would become part of a path
	}
	d, err := h.deployment(k)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		d.mu.Unlock()
		return nil, ErrClosed
	}
	return d, nil
}

func (h *Host) find(k key) *deployment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deployments[k]
}

func (h *Host) tenant(name string) *tenant {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.tenants[name]
	if !ok {
		t = &tenant{name: name, host: h, conns: make(map[string]*connection), opening: make(map[string]*opening), listeners: make(map[channel][]*deployment), hearing: make(map[string]context.CancelFunc), share: share{all: &h.shares}}
		h.tenants[name] = t
	}
	return t
}

const (
	// janitorPeriod is how often idle instances and plugins are looked at, at the longest.
	janitorPeriod = 10 * time.Second
	// sleepTime is the default of Config.SleepTime.
	sleepTime = 5 * time.Minute
)

// janitor lets idle instances go, and puts idle plugins to sleep.
func (h *Host) janitor() {
	period := janitorPeriod
	if t := h.config.SleepTime; t > 0 {
		period = max(min(t/4, period), time.Millisecond)
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-h.life.Done():
			return
		case now := <-tick.C:
			for _, d := range h.all() {
				if rev := d.acquire(); rev != nil {
					rev.tend(now, h.config.SleepTime)
					rev.release()
				}
			}
		}
	}
}

func (h *Host) all() []*deployment {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*deployment, 0, len(h.deployments))
	for _, d := range h.deployments {
		all = append(all, d)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].key.String() < all[j].key.String() })
	return all
}

// Status is what one deployment does.
type Status struct {
	Tenant, Name string
	Version      string
	Digest       plugins.Digest
	Mount        plugins.Mount
	Isolation    plugins.Isolation
	Routes       int
	Sockets      int // open now
	Events       uint64
	Failures     uint64
	Fuel         uint64 // used by all events; counted if limits.fuel is set
	OutOfFuel    uint64 // events that ended because of limits.fuel
	Asleep       bool   // idle, and without code or instances until the next event
	Wakes        uint64 // from sleep
	Pool         PoolStat
	TrialUntil   time.Time // while it is on trial after its deployment: see DeployConfig
	Err          error     // why it does not serve
}

// Plugins lists the deployments by tenant and name.
func (h *Host) Plugins() []Status {
	var out []Status
	for _, d := range h.all() {
		s := Status{Tenant: d.key.tenant, Name: d.key.name}
		h.mu.Lock()
		s.Err = h.broken[d.key]
		h.mu.Unlock()
		if rev := d.acquire(); rev != nil {
			s.Version, s.Digest, s.Mount, s.Isolation, s.Err = rev.manifest.Version, rev.digest, rev.manifest.Mount, rev.manifest.Isolation, rev.trouble()
			s.Routes, s.Events, s.Failures, s.Pool = rev.routeCount(), rev.stat.events.Load(), rev.stat.failures.Load(), rev.poolStat()
			s.Asleep, s.Wakes = rev.asleep(), rev.stat.wakes.Load()
			s.Fuel, s.OutOfFuel = rev.stat.fuel.Load(), rev.stat.outOfFuel.Load()
			if t := d.trial.Load(); t != nil && t.rev == rev {
				s.TrialUntil = t.until
			}
			s.Sockets = h.hub.Scope(d.key.String()).Count(ws.Room{})
			rev.release()
		} else if s.Err == nil {
			continue // removed, or never deployed
		}
		out = append(out, s)
	}
	return out
}

// Store is the deployments' history.
func (h *Host) Store() *plugins.Store { return h.store }

// serverLog is where net/http complains about clients.
func (h *Host) serverLog() *log.Logger { return slog.NewLogLogger(h.log.Handler(), slog.LevelDebug) }

// Close stops schedules, closes sockets, finishes what runs, applies what is buffered, and closes the databases. When
// ctx ends first, calls are ended; what is buffered and not yet applied stays in the log and is an error. A second
// Close does nothing.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	var errs []error
	if h.schedules != nil {
		h.schedules.stop(ctx)
	}
	if h.hub != nil {
		errs = append(errs, h.hub.Drain(ctx, ws.GoingAway, "the server is stopping"))
		h.hub.Close()
	}
	for _, d := range h.all() {
		d.mu.Lock() // a deploy that is under way fails at its switch
		rev := d.current.Swap(nil)
		d.mu.Unlock()
		if rev != nil {
			if err := rev.drain(ctx); err != nil {
				rev.log.Warn("drained by force", "error", err)
			}
			rev.close()
		}
	}
	h.kill()
	h.background.Wait()
	if h.buffer != nil {
		errs = append(errs, h.buffer.Close(ctx))
	}
	h.mu.Lock()
	tenants := h.tenants
	h.mu.Unlock()
	for _, t := range tenants {
		errs = append(errs, t.close())
	}
	if h.cache != nil {
		h.cache.Close()
	}
	if h.engine != nil {
		errs = append(errs, h.engine.Close())
	}
	h.fetcher.CloseIdleConnections()
	return errors.Join(errs...)
}
