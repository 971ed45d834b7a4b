package cache_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/cache"
	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func newCache(t testing.TB, cfg cache.Config) *cache.Cache {
	t.Helper()
	c, err := cache.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func posts(c *cache.Cache) []*cache.Table {
	return []*cache.Table{c.Table(cache.Tag{Tenant: "acme", Conn: "default", Table: "posts"})}
}

// value is a load that brings text.
func value(text string) cache.Load {
	return func(context.Context) ([]byte, error) { return []byte(text), nil }
}

// never is a load that must not run.
func never(t testing.TB) cache.Load {
	return func(context.Context) ([]byte, error) {
		t.Error("loaded, where a value should be there")
		return nil, nil
	}
}

func expect(t *testing.T, c *cache.Cache, key cache.Key, tables []*cache.Table, load cache.Load, want string, status cache.Status) {
	t.Helper()
	got, how, err := c.Get(testkit.Context(t), key, tables, 0, load)
	if err != nil || string(got) != want || how != status {
		t.Fatalf("Get = %q, %v, %v; want %q, %v", got, how, err, want, status)
	}
}

var key = cache.KeyOf([]byte("acme"), []byte("select * from posts"))

func TestReadThrough(t *testing.T) {
	c := newCache(t, cache.Config{})
	expect(t, c, key, posts(c), value("one"), "one", cache.Miss)
	expect(t, c, key, posts(c), never(t), "one", cache.Hit)
	c.Invalidate(posts(c)...)
	expect(t, c, key, posts(c), value("two"), "two", cache.Miss)
	expect(t, c, key, posts(c), never(t), "two", cache.Hit)
	c.Clear()
	expect(t, c, key, posts(c), value("three"), "three", cache.Miss)
	s := c.Stat()
	if s.Hits != 2 || s.Misses != 3 || s.Stale != 1 || s.Entries != 1 || s.Tables != 1 || s.Bytes < int64(len("three")) {
		t.Errorf("Stat = %+v", s)
	}
}

func TestNilIsAValue(t *testing.T) {
	c := newCache(t, cache.Config{})
	if _, _, err := c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	got, status, err := c.Get(t.Context(), key, posts(c), 0, never(t))
	if got != nil || status != cache.Hit || err != nil {
		t.Fatalf("Get = %v, %v, %v; want a nil that was found", got, status, err)
	}
}

func TestWriteInFlight(t *testing.T) {
	c := newCache(t, cache.Config{})
	expect(t, c, key, posts(c), value("old"), "old", cache.Miss)
	w := c.BeginWrite(posts(c)...)
	expect(t, c, key, posts(c), value("either"), "either", cache.Miss)
	expect(t, c, key, posts(c), value("either, again"), "either, again", cache.Miss)
	w2 := c.BeginWrite(posts(c)...)
	w.End()
	w.End()
	w.End()
	expect(t, c, key, posts(c), value("one is left"), "one is left", cache.Miss)
	w2.End()
	expect(t, c, key, posts(c), value("new"), "new", cache.Miss)
	expect(t, c, key, posts(c), never(t), "new", cache.Hit)
}

// TestLoadBeforeWrite is the race R1 of the reference: a result read before a write and stored after it.
func TestLoadBeforeWrite(t *testing.T) {
	for name, write := range map[string]func(*cache.Cache){
		"begin and end": func(c *cache.Cache) { c.BeginWrite(posts(c)...).End() },
		"begin only":    func(c *cache.Cache) { t.Cleanup(c.BeginWrite(posts(c)...).End) },
		"invalidate":    func(c *cache.Cache) { c.Invalidate(posts(c)...) },
		"connection": func(c *cache.Cache) {
			c.Invalidate(c.Table(cache.Tag{Tenant: "acme", Conn: "default"}))
		},
		"clear": func(c *cache.Cache) { c.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, cache.Config{})
			expect(t, c, key, posts(c), func(context.Context) ([]byte, error) {
				write(c) // after the load has read
				return []byte("old"), nil
			}, "old", cache.Miss)
			expect(t, c, key, posts(c), value("new"), "new", cache.Miss)
			if s := c.Stat(); s.Refused == 0 {
				t.Errorf("Stat = %+v, want a load refused", s)
			}
		})
	}
}

// TestLateJoiner: who asks after a write was acknowledged does not share a load that began before it.
func TestLateJoiner(t *testing.T) {
	c := newCache(t, cache.Config{})
	reading, release := make(chan struct{}), make(chan struct{})
	early := make(chan string, 1)
	go func() {
		got, _, _ := c.Get(context.Background(), key, posts(c), 0, func(context.Context) ([]byte, error) {
			close(reading)
			<-release
			return []byte("old"), nil
		})
		early <- string(got)
	}()
	<-reading
	c.BeginWrite(posts(c)...).End()
	expect(t, c, key, posts(c), value("new"), "new", cache.Miss)
	close(release)
	if got := <-early; got != "old" {
		t.Fatalf("the early reader got %q", got)
	}
	expect(t, c, key, posts(c), never(t), "new", cache.Hit)
}

func TestWhichTables(t *testing.T) {
	c := newCache(t, cache.Config{})
	table := func(tenant, conn, name string) *cache.Table {
		return c.Table(cache.Tag{Tenant: tenant, Conn: conn, Table: name})
	}
	a, b := table("acme", "default", "a"), table("acme", "default", "b")
	read := []*cache.Table{a, b}
	for name, tt := range map[string]struct {
		write *cache.Table
		want  cache.Status
	}{
		"first":              {a, cache.Miss},
		"second":             {b, cache.Miss},
		"the connection":     {table("acme", "default", ""), cache.Miss},
		"another table":      {table("acme", "default", "c"), cache.Hit},
		"another connection": {table("acme", "other", "a"), cache.Hit},
		"its whole":          {table("acme", "other", ""), cache.Hit},
		"another tenant":     {table("evil", "default", "a"), cache.Hit},
	} {
		expectAny(t, c, key, read)
		c.Invalidate(tt.write)
		if _, status, _ := c.Get(t.Context(), key, read, 0, value("x")); status != tt.want {
			t.Errorf("after a write to %s: %v, want %v", name, status, tt.want)
		}
	}
	if table("acme", "default", "a") != a {
		t.Error("a tag has two handles")
	}
}

func expectAny(t *testing.T, c *cache.Cache, key cache.Key, tables []*cache.Table) {
	t.Helper()
	if _, _, err := c.Get(t.Context(), key, tables, 0, value("x")); err != nil {
		t.Fatal(err)
	}
}

func TestBypass(t *testing.T) {
	c := newCache(t, cache.Config{})
	other := c.Table(cache.Tag{Tenant: "acme", Conn: "other", Table: "posts"})
	for name, tables := range map[string][]*cache.Table{
		"no tables":       nil,
		"unknown tables":  {c.Table(cache.Tag{Tenant: "acme", Conn: "default"})},
		"two connections": append(posts(c), other),
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, c, key, tables, value("one"), "one", cache.Bypass)
			expect(t, c, key, tables, value("two"), "two", cache.Bypass)
		})
	}
	got, status, err := c.Get(t.Context(), key, posts(c), -1, value("off"))
	if string(got) != "off" || status != cache.Bypass || err != nil {
		t.Errorf("with a TTL of -1: %q, %v, %v", got, status, err)
	}
	failure := errors.New("no")
	if _, _, err := c.Get(t.Context(), key, nil, 0, func(context.Context) ([]byte, error) { return nil, failure }); !errors.Is(err, failure) {
		t.Errorf("error = %v, want the load's own", err)
	}
}

// TestCollision: a key of another tenant's never shows its value.
func TestCollision(t *testing.T) {
	c := newCache(t, cache.Config{})
	expect(t, c, key, posts(c), value("secret"), "secret", cache.Miss)
	theirs := []*cache.Table{c.Table(cache.Tag{Tenant: "evil", Conn: "default", Table: "posts"})}
	expect(t, c, key, theirs, value("theirs"), "theirs", cache.Miss)
	more := append(posts(c), c.Table(cache.Tag{Tenant: "acme", Conn: "default", Table: "authors"}))
	expect(t, c, key, more, value("more"), "more", cache.Miss)
}

func TestMaxTables(t *testing.T) {
	c := newCache(t, cache.Config{MaxTables: 2})
	table := func(name string) *cache.Table {
		return c.Table(cache.Tag{Tenant: "acme", Conn: "default", Table: name})
	}
	a, b, x, y := table("a"), table("b"), table("x"), table("y")
	if a == b || a == x || x != y || table("x") != x || table("a") != a {
		t.Fatal("names beyond the limit share one handle, those within have their own")
	}
	expect(t, c, key, []*cache.Table{x}, value("one"), "one", cache.Miss)
	c.Invalidate(y)
	expect(t, c, key, []*cache.Table{x}, value("two"), "two", cache.Miss)
	if s := c.Stat(); s.Tables != 2 {
		t.Errorf("Tables = %d, want 2", s.Tables)
	}
}

func TestValuesDoNotChange(t *testing.T) {
	c := newCache(t, cache.Config{})
	roomy := append(make([]byte, 0, 64), "value"...)
	got, _, err := c.Get(t.Context(), key, posts(c), 0, func(context.Context) ([]byte, error) { return roomy, nil })
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got, "!"...) // must make a copy
	if roomy = roomy[:6]; roomy[5] == '!' {
		t.Error("an append by a reader writes into the cache")
	}
	large := append(make([]byte, 0, 1<<20), "value"...)
	got, _, err = c.Get(t.Context(), cache.KeyOf([]byte("large")), posts(c), 0, func(context.Context) ([]byte, error) { return large, nil })
	if err != nil || !bytes.Equal(got, large) || &got[0] == &large[0] {
		t.Errorf("a small value keeps a buffer of 1 MiB (%v)", err)
	}
}

func TestConfig(t *testing.T) {
	for field, cfg := range map[string]cache.Config{
		"MaxBytes":      {MaxBytes: 12},
		"MaxEntryBytes": {MaxBytes: 4096, MaxEntryBytes: 8192},
		"MaxTables":     {MaxTables: -1},
		"DefaultTTL":    {DefaultTTL: 2 * time.Minute, MaxTTL: time.Minute},
		"MaxTTL":        {MaxTTL: -1, DefaultTTL: 1},
		"Jitter":        {Jitter: 1},
		"Early":         {Early: -0.5},
		"LoadTimeout":   {LoadTimeout: -1},
	} {
		if _, err := cache.New(cfg); err == nil || !strings.HasPrefix(err.Error(), "cache: Config."+field+" ") {
			t.Errorf("%s: error = %v", field, err)
		}
	}
	c := newCache(t, cache.Config{MaxTTL: time.Second, Jitter: -1, Early: -1})
	expect(t, c, key, posts(c), value("x"), "x", cache.Miss)
}

func TestKeyOf(t *testing.T) {
	seen := map[cache.Key]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"a", "bc"}, {"ab", "c"}, {"abc"}, {strings.Repeat("x", 5000)}, {strings.Repeat("x", 5001)}} {
		raw := make([][]byte, 0, len(parts))
		for _, p := range parts {
			raw = append(raw, []byte(p))
		}
		k := cache.KeyOf(raw...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", parts, other)
		}
		if k != cache.KeyOf(raw...) {
			t.Errorf("%q has two keys", parts)
		}
		seen[k] = strings.Join(parts, ",")
	}
}
