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

	"github.com/robfig/cron/v3"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/plugins"
)

// revision is a loaded bundle: compiled, linked to what it was granted, registered, its routes known. It is immutable
// but for its pool, its counters and its lease.
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
	prefix   string // of the URL path, "" for the root
	assets   http.Handler

	program      *engine.Program
	pool         *pool
	registered   sync.Once
	registration abi.Registration
	mux          *http.ServeMux
	sockets      map[string]uint32 // pattern to index in the registration
	times        []cron.Schedule   // of registration.Schedules
	scheduled    []cron.EntryID    // while it serves

	stat struct{ events, failures atomic.Uint64 }
}

// load makes a revision of a bundle. Nothing serves it yet.
func (h *Host) load(ctx context.Context, d *deployment, b *plugins.Bundle) (*revision, error) {
	m := b.Manifest()
	r := &revision{
		lease: lease{idle: make(chan struct{})}, host: h, dep: d, tenant: h.tenant(d.key.tenant), key: d.key,
		digest: b.Digest(), manifest: m, grants: m.Grants(), prefix: strings.TrimSuffix(m.Mount.Path, "/"),
		log: h.log.With("plugin", d.key.String(), "revision", b.Digest().Short()),
	}
	var err error
	if r.limits, err = m.Limits.Resolve(h.config.DefaultLimits, h.config.MaxLimits); err != nil {
		return nil, err
	}
	if r.config, err = m.Configure(h.config.PluginConfig[d.key.name]); err != nil {
		return nil, err
	}
	files, err := newAssets(r.prefix+"/assets/", b.Assets())
	if err != nil {
		return nil, err
	}
	if files != nil {
		r.assets = files
	}
	r.program, err = h.engine.Load(ctx, b.Wasm(), engine.LoadConfig{
		Name:           d.key.name,
		Modules:        r.grantedModules(),
		MaxMemoryBytes: r.limits.MemoryBytes,
		InitTimeout:    r.limits.StartTime,
		Warm:           r.register,
		Stdout:         r.line(slog.LevelInfo),
		Stderr:         r.line(slog.LevelWarn),
	})
	if err != nil {
		return nil, fmt.Errorf("host: plugin %s: %w", d.key.name, r.explain(err))
	}
	instances := r.limits.MaxInstances
	if m.Isolation == plugins.IsolationSingle {
		instances = 1
	}
	r.pool = newPool(r.program, instances, r.limits.QueueTime, m.Isolation == plugins.IsolationFresh, r.log)
	if err := r.buildMux(); err != nil {
		r.close()
		return nil, fmt.Errorf("host: plugin %s: %w", d.key.name, err)
	}
	return r, nil
}

// line is where the guest's standard output goes: the log, within the call's budget.
func (r *revision) line(level slog.Level) func(*engine.Call, []byte) {
	return func(ec *engine.Call, line []byte) { r.callOf(ec).log(level, string(line)) }
}

// register runs odac_register in the first instance, before the image is taken, and checks what it says.
func (r *revision) register(ctx context.Context, in *engine.Instance) error {
	c := newCall(r, 0, "register")
	defer c.end()
	hello := abi.Hello{
		ABI: abi.Version, Host: r.host.config.Version, Plugin: r.manifest.Name, Version: r.manifest.Version,
		Tenant: r.key.tenant, Mount: r.prefix,
	}
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
	// A module without an image registers in each of its instances: the first one's word holds.
	r.registered.Do(func() { err = r.readRegistration(c.output) })
	if err != nil {
		return err
	}
	return r.warmUp(ctx, in, c)
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
	for what, n := range map[string]int{"routes": len(reg.Routes), "sockets": len(reg.Sockets), "schedules": len(reg.Schedules), "calls": len(reg.Calls)} {
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

// close frees the revision. Nothing may hold it.
func (r *revision) close() {
	r.pool.Close()
	if err := r.program.Close(); err != nil {
		r.log.Error("close revision", "error", err)
	}
}
