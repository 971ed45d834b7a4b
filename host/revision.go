package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
)

// revision is a bundle that serves: its grants, its limits, its routes. It is immutable but for its guest, which comes and
// goes, its counters and its lease.
type revision struct {
	lease
	host   *Host
	dep    *deployment
	tenant *tenant
	key    key
	log    *slog.Logger

	digest   plugins.Digest
	manifest *plugins.Manifest
	grants   *plugins.Grants
	limits   plugins.Limits
	config   map[string]string
	tables   map[string]database.TableAccess
	access   *database.Access // nil: no table was granted in part
	reads    *reads
	prefix   string  // of the URL path, "" for the root
	assets   *assets // nil: the bundle has none

	message      []byte // the registration as the plugin gave it
	registration abi.Registration
	mux          *http.ServeMux
	sockets      map[string]uint32 // pattern to index in the registration
	times        []cron.Schedule   // of registration.Schedules
	scheduled    []cron.EntryID    // while it serves

	guest    atomic.Pointer[guest] // nil while it sleeps
	sleepers atomic.Int64          // calls that wait for it to wake
	life     context.Context       // ends at close
	die      context.CancelFunc

	mu       sync.Mutex // below it: who wakes, sleeps or closes
	closed   bool
	nap      nap
	past     PoolStat // of guests that sleep
	restored bool     // the database has the schema; read and set by the one wake
	recalled []byte   // the manifest that it was made of before its bundle was read; nil if it was made of that

	// The janitor's.
	lastUsed  uint64
	idleSince time.Time

	stat struct{ events, failures, faults, fuel, outOfFuel, wakes, assets atomic.Uint64 }
}

// newRevision is a revision that sleeps and has not registered.
func (h *Host) newRevision(d *deployment, digest plugins.Digest, m *plugins.Manifest) (*revision, error) {
	r := &revision{
		lease: lease{idle: make(chan struct{})}, host: h, dep: d, tenant: h.tenant(d.key.tenant), key: d.key,
		digest: digest, manifest: m, grants: m.Grants(), prefix: strings.TrimSuffix(m.Mount.Path, "/"),
		log: h.log.With("plugin", d.key.String(), "revision", digest.Short()),
	}
	var err error
	if r.limits, err = m.Limits.Resolve(h.config.DefaultLimits, h.config.MaxLimits); err != nil {
		return nil, err
	}
	if r.config, err = m.Configure(h.config.PluginConfig[d.key.name]); err != nil {
		return nil, err
	}
	r.tables = tablesOf(r)
	r.access = r.limitedAccess()
	r.reads = newReads(r)
	r.life, r.die = context.WithCancel(h.life)
	return r, nil
}

// load makes a revision of a bundle, awake. Nothing serves it yet.
func (h *Host) load(ctx context.Context, d *deployment, b *plugins.Bundle) (*revision, error) {
	r, err := h.newRevision(d, b.Digest(), b.Manifest())
	if err != nil {
		return nil, err
	}
	if r.assets, err = newAssets(r, b.Assets()); err != nil {
		r.close()
		return nil, err
	}
	g, err := r.newGuest(ctx, b)
	if err != nil {
		r.close()
		return nil, err
	}
	r.guest.Store(g)
	r.restored = true // by who loads it
	if err := r.buildMux(); err != nil {
		r.close()
		return nil, fmt.Errorf("host: plugin %s: %w", d.key.name, err)
	}
	return r, nil
}

// line is where the guest's standard output goes: the log, within the call's budget.
func (r *revision) line(level slog.Level) func(*engine.Call, []byte) {
	return func(ec *engine.Call, line []byte) {
		if len(line) > 0 { // those between a Go program's stacks say nothing
			r.callOf(ec).log(level, string(line))
		}
	}
}

// hello is what the guest is told when it registers.
func (r *revision) hello() *abi.Hello {
	return &abi.Hello{
		ABI: abi.Version, Host: r.host.config.Version, Plugin: r.manifest.Name, Version: r.manifest.Version,
		Tenant: r.key.tenant, Mount: r.prefix,
	}
}

// warmEvents are enough for what a guest's runtime puts aside after an event to be at hand for the next.
const warmEvents = 3

// warmUp has the guest answer events that carry nothing, so that the image is that of a plugin that has served. What it
// answers does not matter, that it lives on does.
func (r *revision) warmUp(ctx context.Context, in *engine.Instance, c *call) error {
	deadline, _ := ctx.Deadline()
	for range warmEvents {
		c.input = c.input[:0]
		if _, err := in.Call(ctx, c, deadline, abi.ExportEvent, uint64(abi.EventWarm), 0); err != nil {
			return fmt.Errorf("%s of kind %s: %w", abi.ExportEvent, abi.EventWarm, err)
		}
	}
	return nil
}

func (r *revision) readRegistration(msg []byte) error {
	reg := &r.registration
	if _, err := reg.UnmarshalMsg(msg); err != nil {
		return fmt.Errorf("%s answered a malformed registration: %w: build the plugin with an SDK of ABI %d", abi.ExportRegister, err, abi.Version)
	}
	if reg.ABI != abi.Version {
		return fmt.Errorf("the plugin speaks ABI %d (SDK %q), this host ABI %d: %s", reg.ABI, reg.SDK, abi.Version, newerOrOlder(reg.ABI))
	}
	for what, n := range map[string]int{"routes": len(reg.Routes), "sockets": len(reg.Sockets), "schedules": len(reg.Schedules), "calls": len(reg.Calls), "channels": len(reg.Channels)} {
		if n > abi.MaxRoutes {
			return fmt.Errorf("the plugin registers %d %s: at most %d", n, what, abi.MaxRoutes)
		}
	}
	for _, s := range reg.Sockets {
		if err := r.grants.Module(abi.ModuleWS); err != nil {
			return fmt.Errorf("socket %s: %w", s.Pattern, err)
		}
		for _, name := range s.Origins {
			if err := r.grants.Origin(name); name != "*" && err != nil {
				return fmt.Errorf("socket %s: %w", s.Pattern, err)
			}
		}
	}
	for _, c := range reg.Channels {
		if err := r.grants.Channel(c.Name, plugins.Listen); err != nil {
			return err
		}
	}
	for _, s := range reg.Schedules {
		times, err := timesOf(s)
		if err != nil {
			return err
		}
		r.times = append(r.times, times)
	}
	return nil
}

func newerOrOlder(guest int) string {
	if guest > abi.Version {
		return "update odachost"
	}
	return "build the plugin with a newer SDK"
}

// explain adds what to do to the engine's errors that a plugin's author can mend.
func (r *revision) explain(err error) error {
	var link *engine.LinkError
	var export *engine.ExportError
	var broken *engine.CompileError
	switch {
	case errors.As(err, &link):
		var b strings.Builder
		for _, m := range link.Missing {
			fmt.Fprintf(&b, "\n  %s.%s: %s", m.Module, m.Name, r.remedy(m))
		}
		return fmt.Errorf("the module imports what this host does not link:%s", b.String())
	case errors.As(err, &broken):
		return fmt.Errorf("the module is damaged, or no WebAssembly that this host runs: build the plugin again: %w", err)
	case errors.As(err, &export):
		return fmt.Errorf("export %s: %s: build the plugin with the SDK (-buildmode=c-shared for Go)", export.Name, export.Reason)
	case errors.Is(err, engine.ErrDeadline):
		return fmt.Errorf("start-up took longer than limits.start of plugin.yaml: %w", err)
	case errors.Is(err, engine.ErrMemoryLimit):
		return fmt.Errorf("start-up needs more than limits.memory of plugin.yaml: %w", err)
	}
	return err
}

func (r *revision) remedy(m engine.MissingImport) string {
	if module := userModule(m.Name); m.Module == abi.ModuleExtismUser && module != "" {
		if err := r.grants.Module(module); err != nil {
			return err.Error()
		}
	}
	switch m.Reason {
	case engine.NotGranted:
		if err := r.grants.Module(m.Module); err != nil {
			return err.Error()
		}
	case engine.NewerThanHost:
		return "the plugin was built for a newer host: update odachost"
	}
	return string(m.Reason)
}
