package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/host/internal/instrument"
	"github.com/odac-run/odachost/host/internal/summed"
)

func TestLinkErrors(t *testing.T) {
	var m wasmModule
	v, i := m.typ(nil, nil), m.typ([]byte{I32}, nil)
	m.imp("test:host/v1", "nop", v)
	m.imp("test:host/v1", "nop", i)
	m.imp("test:host/v1", "later", v)
	m.imp("test:secret/v1", "read", v)
	m.imp(wasiModule, "sched_nothing", v)
	m.imp(wasiModule, "proc_exit", v)
	m.imports = append(m.imports, cat("env", "memory", 2, 0, 1))
	_, err := newEngine(t, Config{}).Load(t.Context(), m.bytes(), LoadConfig{Modules: []Module{nopModule()}})
	var link *LinkError
	if !errors.As(err, &link) {
		t.Fatalf("error is %v, want a LinkError", err)
	}
	want := []MissingImport{
		{"test:host/v1", "nop", SignatureDiffers},
		{"test:host/v1", "later", NewerThanHost},
		{"test:secret/v1", "read", NotGranted},
		{wasiModule, "sched_nothing", NewerThanHost},
		{wasiModule, "proc_exit", SignatureDiffers},
		{"env", "memory", NotAFunction},
	}
	if !slices.Equal(link.Missing, want) {
		t.Errorf("missing: %v\nwant:    %v", link.Missing, want)
	}
}

func TestCompileErrors(t *testing.T) {
	e := newEngine(t, Config{})
	var m wasmModule
	m.fn("run", m.typ(nil, nil), 0, 0x6a) // i32.add of nothing
	var bad *CompileError
	for name, wasm := range map[string][]byte{
		"empty": nil, "text": []byte("(module)"), "truncated": m.bytes()[:20], "invalid": m.bytes(),
		"component": []byte("\x00asm\x0d\x00\x01\x00"),
	} {
		if _, err := e.Load(t.Context(), wasm, LoadConfig{}); !errors.As(err, &bad) {
			t.Errorf("%s: error is %v, want a CompileError", name, err)
		}
	}
}

func TestMemoryLimits(t *testing.T) {
	e := newEngine(t, Config{})
	var m wasmModule
	m.memory = []byte{0, 3}
	m.fn("grow", m.typ([]byte{I32}, []byte{I32}), 0, 0x20, 0, 0x40, 0)
	if _, err := e.Load(t.Context(), m.bytes(), LoadConfig{MaxMemoryBytes: 2 * pageBytes}); !errors.Is(err, ErrMemoryLimit) {
		t.Errorf("error is %v, want ErrMemoryLimit", err)
	}
	if _, err := e.Load(t.Context(), m.bytes(), LoadConfig{MaxMemoryBytes: 7}); err == nil {
		t.Error("a limit below a page is accepted")
	}
	for name, mode := range resetModes {
		p := load(t, newEngine(t, Config{reset: mode}), m.bytes(), LoadConfig{MaxMemoryBytes: 5*pageBytes + 1})
		in := newInstance(t, p)
		for _, c := range [][2]uint64{{1, 3}, {1, 4}, {1, 0xffffffff}, {65536, 0xffffffff}, {0, 5}} {
			if got := call(t, in, "grow", c[0]); got != c[1] {
				t.Errorf("%s: grow by %d answered %#x, want %#x", name, c[0], got, c[1])
			}
		}
	}
}

func TestNoMemory(t *testing.T) {
	var m wasmModule
	m.imp("test:host/v1", "memory", m.typ(nil, nil))
	m.fn("run", 0, 0, 0x10, 0)
	var ok bool
	module := Module{Name: "test:host/v1", Funcs: []Func{{Name: "memory", Call: func(c *Call, _ []uint64) {
		_, ok = c.Read(0, 0)
		ok = ok || c.Write(0, nil) || c.Memory() != nil
	}}}}
	in := newInstance(t, load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{Modules: []Module{module}}))
	call(t, in, "run")
	if ok {
		t.Error("a module without memory has one")
	}
	if err := in.Reset(); err != nil {
		t.Error(err)
	}
}

func TestBounds(t *testing.T) {
	var m wasmModule
	m.memory = []byte{0, 1}
	m.imp("test:host/v1", "probe", m.typ(nil, nil))
	m.fn("run", 0, 0, 0x10, 0)
	module := Module{Name: "test:host/v1", Funcs: []Func{{Name: "probe", Call: func(c *Call, _ []uint64) {
		for _, p := range []struct {
			ptr, n uint32
			ok     bool
		}{{0, pageBytes, true}, {pageBytes, 0, true}, {pageBytes, 1, false}, {1, pageBytes, false}, {0xffffffff, 1, false}, {0xffffffff, 0xffffffff, false}} {
			if _, ok := c.Read(p.ptr, p.n); ok != p.ok {
				t.Errorf("Read(%d, %d) = %v", p.ptr, p.n, ok)
			}
		}
		if c.Write(pageBytes-1, []byte{1, 2}) || c.Memory()[pageBytes-1] != 0 {
			t.Error("Write beyond the end wrote")
		}
	}}}}
	call(t, newInstance(t, load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{Modules: []Module{module}})), "run")
}

// TestConcurrentLoads loads the same bytes at once, from one cache directory by two engines.
func TestConcurrentLoads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	var m wasmModule
	m.fn("answer", m.typ(nil, []byte{I32}), 0, 0x41, 42)
	wasm := m.bytes()
	var wg sync.WaitGroup
	for range 2 {
		e := newEngine(t, Config{CacheDir: dir, CompileWorkers: 2})
		for range 8 {
			wg.Go(func() {
				p, err := e.Load(t.Context(), wasm, LoadConfig{})
				if err != nil {
					t.Error(err)
					return
				}
				in, err := p.New(t.Context())
				if err != nil {
					t.Error(err)
				} else if n, err := in.Call(t.Context(), nil, time.Time{}, "answer"); n != 42 || err != nil {
					t.Errorf("answer = %d, %v", n, err)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

func TestCacheDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{CacheDir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory that others may write to: %v", err)
	}
	fresh := filepath.Join(dir, "a", "b")
	newEngine(t, Config{CacheDir: fresh})
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made %v, %v, want mode 0700", info.Mode(), err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fresh, link); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{CacheDir: link}); err == nil {
		t.Error("a symbolic link is accepted")
	}
}

func TestWarmFails(t *testing.T) {
	e := newEngine(t, Config{})
	var m wasmModule
	m.fn("fault", m.typ(nil, nil), 0, 0x00)
	failed := errors.New("not today")
	if _, err := e.Load(t.Context(), m.bytes(), LoadConfig{Warm: func(context.Context, *Instance) error { return failed }}); !errors.Is(err, failed) {
		t.Errorf("error is %v", err)
	}
	swallow := func(ctx context.Context, in *Instance) error {
		_, _ = in.Call(ctx, nil, time.Time{}, "fault")
		return nil
	}
	if _, err := e.Load(t.Context(), m.bytes(), LoadConfig{Warm: swallow}); !errors.Is(err, ErrUnusable) {
		t.Errorf("a warm-up that hides a failed call: %v, want ErrUnusable", err)
	}
}

// TestClose closes programs and instances under running calls.
func TestClose(t *testing.T) {
	e := newEngine(t, Config{})
	p := goGuest(t, e, LoadConfig{})
	var wg sync.WaitGroup
	for i := range 6 {
		in := newInstance(t, p)
		d := &echoData{waiting: make(chan struct{})}
		started := d.waiting
		export := []string{"wait", "waitloop"}[i%2]
		wg.Go(func() {
			if _, err := in.Call(context.Background(), d, time.Time{}, export); !errors.Is(err, ErrCanceled) {
				t.Errorf("%s: error is %v, want ErrCanceled", export, err)
			}
			if _, err := in.Call(context.Background(), nil, time.Time{}, "count"); !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v, want ErrClosed", err)
			}
			if err := in.Reset(); !errors.Is(err, ErrClosed) {
				t.Errorf("Reset after Close: %v, want ErrClosed", err)
			}
		})
		<-started
		if i == 0 {
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := e.Close(); err == nil {
		t.Error("the engine closed under an open program")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if _, err := p.New(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("New after Close: %v, want ErrClosed", err)
	}
}

// TestCloseMeetsNew closes programs, one with an image and one without, while instances are made: nobody works on memory that is gone.
func TestCloseMeetsNew(t *testing.T) {
	e := newEngine(t, Config{})
	for name, grows := range map[string]bool{"image": false, "no image": true} {
		m := wasmModule{memory: []byte{0, 1}, datas: [][]byte{cat(0, 0x41, 0, 0x0b, "hello")}, tables: [][]byte{{0x70, 0, 1}}}
		m.start = 1 + m.fn("start", m.typ(nil, nil), 0)
		if grows {
			m.start = 1 + m.fn("grow", m.typ(nil, nil), 0, 0xd0, 0x70, 0x41, 1, 0xfc, 0x0f, 0, 0x1a) // table.grow
		}
		for range 50 {
			p, err := e.Load(t.Context(), m.bytes(), LoadConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if (p.ImageBytes() == 0) != grows {
				t.Fatalf("%s: the image has %d bytes", name, p.ImageBytes())
			}
			var wg sync.WaitGroup
			made := make(chan struct{}, 1)
			for range 2 {
				wg.Go(func() {
					for {
						if _, err := p.New(context.Background()); err != nil {
							if !errors.Is(err, ErrClosed) {
								t.Errorf("%s: %v, want ErrClosed", name, err)
							}
							return
						}
						select {
						case made <- struct{}{}:
						default:
						}
					}
				})
			}
			<-made
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
		}
	}
}

// TestHammer races calls with short deadlines, cancellations, resets and closes. No call may suffer from what was meant
// for another: one that has all the time in the world and no one to cancel it must succeed.
func TestHammer(t *testing.T) {
	p := goGuest(t, newEngine(t, Config{}), LoadConfig{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			in, err := p.New(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			for round := range 60 {
				ctx, cancel := context.WithCancel(context.Background())
				var deadline time.Time
				switch round % 3 {
				case 0:
					deadline = time.Now().Add(time.Duration(round*20) * time.Microsecond)
				case 1:
					time.AfterFunc(time.Duration(round*20)*time.Microsecond, cancel)
				case 2:
					time.AfterFunc(time.Duration(round*20)*time.Microsecond, func() { _ = in.Close() })
				}
				if _, err := in.Call(ctx, nil, deadline, "spin"); err == nil {
					t.Error("spin ended by itself")
				}
				cancel()
				if err := in.Reset(); err != nil {
					_ = in.Close()
					if in, err = p.New(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
				if n, err := in.Call(context.Background(), nil, time.Time{}, "count"); err != nil && !errors.Is(err, ErrClosed) && !(errors.Is(err, ErrCanceled) && round%3 == 2) {
					t.Errorf("count = %d, %v", n, err)
				}
				if err := in.Reset(); err != nil {
					_ = in.Close()
					if in, err = p.New(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
			}
			_ = in.Close()
		})
	}
	wg.Wait()
}

// TestKeptRewriting takes an instrumented module from the cache directory where it is whole, and makes it again where it is damaged.
func TestKeptRewriting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	module := func(n int) []byte {
		var m wasmModule
		m.fn("answer", m.typ(nil, []byte{I32}), 0, 0x41, n)
		return m.bytes()
	}
	answers := func(cfg LoadConfig, want uint64) {
		t.Helper()
		p := load(t, newEngine(t, Config{CacheDir: dir}), module(42), cfg)
		if n := call(t, newInstance(t, p), "answer"); n != want {
			t.Errorf("answer = %d, want %d", n, want)
		}
	}
	for kind, cfg := range map[string]LoadConfig{"instrumented": {}, "metered": {Fuel: 1000}} {
		answers(cfg, 42)
		files, err := filepath.Glob(filepath.Join(dir, kind, "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("kept %v, %v", files, err)
		}
		rewrite := instrument.Module
		if cfg.Fuel != 0 {
			rewrite = instrument.Metered
		}
		other, _, err := rewrite(module(43), instrument.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := summed.Write(files[0], other); err != nil {
			t.Fatal(err)
		}
		answers(cfg, 43) // it is read, not made again
		if err := os.Truncate(files[0], 40); err != nil {
			t.Fatal(err)
		}
		answers(cfg, 42)
	}
}

// TestSameCode loads at once modules that are one once they are instrumented: what differs is dropped. While wazero takes code from the cache
// directory nobody else may find it half ready.
func TestSameCode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	var m wasmModule
	m.fn("answer", m.typ(nil, []byte{I32}), 0, 0x41, 42)
	modules := make([][]byte, 8)
	for i := range modules {
		modules[i] = append(m.bytes(), "\x00\x09\x08.debug_"+string(rune('a'+i))...)
		load(t, newEngine(t, Config{CacheDir: dir}), modules[i], LoadConfig{})
	}
	for range 200 {
		e := newEngine(t, Config{CacheDir: dir}) // which has nothing in memory
		var all sync.WaitGroup
		for _, wasm := range modules {
			all.Go(func() {
				p, err := e.Load(t.Context(), wasm, LoadConfig{})
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = p.Close() }() // or the engine's Close says so
				in, err := p.New(t.Context())
				if err != nil {
					t.Error(err)
				} else if n, err := in.Call(t.Context(), nil, time.Time{}, "answer"); n != 42 || err != nil {
					t.Errorf("answer = %d, %v", n, err)
				}
			})
		}
		all.Wait()
	}
}
