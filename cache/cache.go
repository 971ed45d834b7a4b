package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Config of a cache. The zero value is a good one.
type Config struct {
	// MaxBytes bounds what all entries take, their overhead of about 300 B each included. Zero is 64 MiB.
	MaxBytes int64
	// MaxEntryBytes bounds one value; a larger one is returned but not kept. Zero is 1 MiB, or an eighth of MaxBytes if that is less.
	MaxEntryBytes int64
	// MaxTables bounds the table handles of one tenant's connection. Names beyond it share one handle: writes to one of
	// them then make reads of all of them stale, which costs hits and never correctness. Zero is 4,096.
	MaxTables int
	// DefaultTTL is for reads that name none. Zero is a minute.
	DefaultTTL time.Duration
	// MaxTTL bounds what reads ask for. Zero is an hour.
	MaxTTL time.Duration
	// Jitter is the part of its TTL that an entry may expire early, so that entries stored together do not expire together. Zero is
	// 0.1; -1 is none.
	Jitter float64
	// Early is the last part of its life in which a hit has the entry loaded anew, while it is still served. Zero is 0.1; -1 is never.
	Early float64
	// LoadTimeout bounds a load, whoever waits for it. Zero is 10 s.
	LoadTimeout time.Duration
}

func (cfg Config) withDefaults() Config {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	if cfg.MaxEntryBytes == 0 {
		cfg.MaxEntryBytes = min(1<<20, cfg.MaxBytes/8)
	}
	if cfg.MaxTables == 0 {
		cfg.MaxTables = 4096
	}
	if cfg.MaxTTL == 0 {
		cfg.MaxTTL = time.Hour
	}
	if cfg.DefaultTTL == 0 {
		cfg.DefaultTTL = min(time.Minute, cfg.MaxTTL)
	}
	if cfg.Jitter == 0 {
		cfg.Jitter = 0.1
	}
	if cfg.Early == 0 {
		cfg.Early = 0.1
	}
	if cfg.LoadTimeout == 0 {
		cfg.LoadTimeout = 10 * time.Second
	}
	return cfg
}

func (cfg Config) validate() error {
	fraction := func(f float64) bool { return f == -1 || f >= 0 && f < 1 }
	switch {
	case cfg.MaxBytes < 1<<10:
		return fmt.Errorf("cache: Config.MaxBytes is %d: give 1024 or more", cfg.MaxBytes)
	case cfg.MaxEntryBytes < 1 || cfg.MaxEntryBytes > min(cfg.MaxBytes, math.MaxInt32):
		return fmt.Errorf("cache: Config.MaxEntryBytes is %d: give 1 to MaxBytes (%d), and no more than 2 GiB", cfg.MaxEntryBytes, cfg.MaxBytes)
	case cfg.MaxTables < 1:
		return fmt.Errorf("cache: Config.MaxTables is %d: give 1 or more", cfg.MaxTables)
	case cfg.MaxTTL < 0:
		return fmt.Errorf("cache: Config.MaxTTL is %v: give more than 0", cfg.MaxTTL)
	case cfg.DefaultTTL < 0 || cfg.DefaultTTL > cfg.MaxTTL:
		return fmt.Errorf("cache: Config.DefaultTTL is %v: give more than 0 and no more than MaxTTL (%v)", cfg.DefaultTTL, cfg.MaxTTL)
	case !fraction(cfg.Jitter):
		return fmt.Errorf("cache: Config.Jitter is %v: give 0 to below 1, or -1 for none", cfg.Jitter)
	case !fraction(cfg.Early):
		return fmt.Errorf("cache: Config.Early is %v: give 0 to below 1, or -1 for never", cfg.Early)
	case cfg.LoadTimeout < 0:
		return fmt.Errorf("cache: Config.LoadTimeout is %v: give more than 0", cfg.LoadTimeout)
	}
	return nil
}

// ErrLoadTimeout is a load that was not done within Config.LoadTimeout.
var ErrLoadTimeout = errors.New("cache: the load took too long")

// ErrClosed is a load that [Cache.Close] ended.
var ErrClosed = errors.New("cache: closed")

// Cache is a read-through cache. Make it with [New].
type Cache struct {
	cfg     Config
	entries *otter.Cache[Key, *entry]
	spaces  atomic.Pointer[map[spaceName]*space] // copied on write, under mu
	flights flights
	counts  counters

	mu      sync.Mutex // guards what follows, and writing to spaces
	tenants map[string]*tenant
}

// New makes a cache. Close it when done.
func New(cfg Config) (*Cache, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Cache{cfg: cfg, tenants: map[string]*tenant{}}
	c.spaces.Store(&map[spaceName]*space{})
	c.flights.running = map[Key]*flight{}
	c.flights.base, c.flights.stop = context.WithCancelCause(context.Background())
	entries, err := otter.New(&otter.Options[Key, *entry]{
		MaximumWeight:    uint64(cfg.MaxBytes),
		Weigher:          func(_ Key, e *entry) uint32 { return e.weight },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *entry]) time.Duration { return e.Value.ttl }),
		OnAtomicDeletion: func(e otter.DeletionEvent[Key, *entry]) {
			e.Value.tenant.unlink(e.Value)
			if e.WasEvicted() {
				c.counts.add(evicted)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cache: make the memory tier: %w", err)
	}
	c.entries = entries
	return c, nil
}

// Close ends the loads that run, whose callers get [ErrClosed], and returns when they are gone. Reads after it go to their load.
func (c *Cache) Close() {
	c.flights.close()
	c.entries.StopAllGoroutines()
	c.Clear()
}

// Clear forgets every entry. Loads that run are not stored. It is for operators and tests: writes invalidate by themselves.
func (c *Cache) Clear() {
	c.mu.Lock()
	names := make([]string, 0, len(c.tenants))
	for name := range c.tenants {
		names = append(names, name)
	}
	c.mu.Unlock()
	for _, name := range names {
		c.ClearTenant(name)
	}
}

// ClearTenant forgets every entry of a tenant.
func (c *Cache) ClearTenant(name string) {
	for at, s := range *c.spaces.Load() {
		if at.tenant == name {
			c.Invalidate(s.whole)
		}
	}
	for _, e := range c.tenant(name).entries() {
		c.drop(e)
	}
}

// drop removes an entry, unless another has taken its place.
func (c *Cache) drop(e *entry) {
	c.entries.ComputeIfPresent(e.key, func(now *entry) (*entry, otter.ComputeOp) {
		if now == e {
			return nil, otter.InvalidateOp
		}
		return now, otter.CancelOp
	})
}

// ttlOf is how long an entry is kept whose reader asked for ttl.
func (c *Cache) ttlOf(ttl time.Duration) time.Duration {
	if ttl == 0 {
		ttl = c.cfg.DefaultTTL
	}
	ttl = min(ttl, c.cfg.MaxTTL)
	if c.cfg.Jitter > 0 {
		ttl -= time.Duration(rand.Float64() * c.cfg.Jitter * float64(ttl))
	}
	return max(ttl, 1)
}
