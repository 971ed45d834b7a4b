package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(removing{m}, compilers()...) }

// removing removes the cache of the package's tests after they ran.
type removing struct{ *testing.M }

func (r removing) Run() int {
	defer func() {
		if dir, err := cacheDir(); err == nil {
			_ = os.RemoveAll(dir)
		}
	}()
	return r.M.Run()
}

// cacheDir keeps compiled guests from one test to the next.
var cacheDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "odachost-engine-") })

// echoData is what calls of the test guest carry.
type echoData struct {
	in, out []byte
	waiting chan struct{}
}

// testModule is the host module of the test guest.
func testModule() Module {
	return Module{Name: "test:host/v1", Funcs: []Func{
		{Name: "read", Params: []ValueType{I32, I32}, Call: func(c *Call, s []uint64) {
			if d, ok := c.Data.(*echoData); ok {
				c.Write(uint32(s[0]), d.in)
			}
		}},
		{Name: "write", Params: []ValueType{I32, I32}, Call: func(c *Call, s []uint64) {
			if d, ok := c.Data.(*echoData); ok {
				p, _ := c.Read(uint32(s[0]), uint32(s[1]))
				d.out = append(d.out[:0], p...)
			}
		}},
		{Name: "wait", Call: func(c *Call, _ []uint64) {
			if d, ok := c.Data.(*echoData); ok && d.waiting != nil {
				close(d.waiting)
				d.waiting = nil
			}
			<-c.Context().Done()
		}},
		{Name: "fail", Call: func(*Call, []uint64) {
			panic("a defect of the host")
		}},
	}}
}

func newEngine(t testing.TB, cfg Config) *Engine {
	t.Helper()
	if cfg.CacheDir == "" {
		dir, err := cacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cfg.CacheDir = dir
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func load(t testing.TB, e *Engine, wasm []byte, cfg LoadConfig) *Program {
	t.Helper()
	p, err := e.Load(t.Context(), wasm, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func newInstance(t testing.TB, p *Program) *Instance {
	t.Helper()
	in, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	return in
}

func call(t testing.TB, in *Instance, export string, args ...uint64) uint64 {
	t.Helper()
	v, err := in.Call(t.Context(), nil, time.Time{}, export, args...)
	if err != nil {
		t.Fatalf("%s: %v", export, err)
	}
	return v
}

// goGuest loads the Go guest, warmed up.
func goGuest(t testing.TB, e *Engine, cfg LoadConfig) *Program {
	t.Helper()
	cfg.Modules = []Module{testModule()}
	if cfg.Warm == nil {
		cfg.Warm = warmEcho
	}
	return load(t, e, testkit.BuildGuest(t, "testdata/guest"), cfg)
}

func warmEcho(ctx context.Context, in *Instance) error {
	for range 4 {
		if _, err := in.Call(ctx, &echoData{in: make([]byte, 4096)}, time.Time{}, "echo", 4096); err != nil {
			return err
		}
	}
	return nil
}

func TestCall(t *testing.T) {
	p := goGuest(t, newEngine(t, Config{}), LoadConfig{})
	if !p.HasImage() {
		t.Fatal("no image")
	}
	in := newInstance(t, p)
	d := &echoData{in: []byte("payload")}
	if _, err := in.Call(t.Context(), d, time.Time{}, "echo", 7); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.out, d.in) {
		t.Errorf("echo answered %q", d.out)
	}
	if n := call(t, in, "count"); n != 1 {
		t.Errorf("count = %d, want 1", n)
	}
	if n := call(t, in, "count"); n != 2 {
		t.Errorf("count = %d, want 2: state is kept between calls", n)
	}
	if err := in.Reset(); err != nil {
		t.Fatal(err)
	}
	if n := call(t, in, "count"); n != 1 {
		t.Errorf("count after Reset = %d, want 1", n)
	}
}

func TestDeadline(t *testing.T) {
	p := goGuest(t, newEngine(t, Config{}), LoadConfig{})
	in := newInstance(t, p)
	for _, c := range []struct {
		export string
		args   []uint64
	}{
		{"spin", nil}, {"recurse", []uint64{60}}, {"sleep", []uint64{60_000}}, {"wait", nil}, {"waitloop", nil},
	} {
		t.Run(c.export, func(t *testing.T) {
			_, err := in.Call(t.Context(), nil, time.Now().Add(20*time.Millisecond), c.export, c.args...)
			if !errors.Is(err, ErrDeadline) {
				t.Fatalf("error is %v, want ErrDeadline", err)
			}
			if _, err := in.Call(t.Context(), nil, time.Time{}, "count"); !errors.Is(err, ErrUnusable) {
				t.Errorf("after a deadline: %v, want ErrUnusable", err)
			}
			if err := in.Reset(); errors.Is(err, ErrDiscard) {
				_ = in.Close()
				in = newInstance(t, p)
			} else if err != nil {
				t.Fatal(err)
			}
			if n := call(t, in, "count"); n != 1 {
				t.Errorf("count after Reset = %d, want 1", n)
			}
			if err := in.Reset(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	p := goGuest(t, newEngine(t, Config{}), LoadConfig{MaxMemoryBytes: 32 << 20})
	in := newInstance(t, p)
	fresh := func() *Instance {
		if err := in.Reset(); err != nil {
			_ = in.Close()
			in = newInstance(t, p)
		}
		return in
	}
	t.Run("exit", func(t *testing.T) {
		var exit *ExitError
		if _, err := fresh().Call(t.Context(), nil, time.Time{}, "exit", 3); !errors.As(err, &exit) || exit.Code != 3 {
			t.Errorf("error is %v, want exit code 3", err)
		}
	})
	t.Run("memory", func(t *testing.T) {
		if _, err := fresh().Call(t.Context(), nil, time.Time{}, "allocate", 100); !errors.Is(err, ErrMemoryLimit) {
			t.Errorf("error is %v, want ErrMemoryLimit", err)
		}
	})
	t.Run("host", func(t *testing.T) {
		var trap *TrapError
		if _, err := fresh().Call(t.Context(), nil, time.Time{}, "hostfail"); !errors.As(err, &trap) || !trap.Host {
			t.Errorf("error is %v, want a host function's panic", err)
		} else if !strings.Contains(trap.Stack, "hostfail") {
			t.Errorf("stack without the guest's function:\n%s", trap.Stack)
		}
	})
	t.Run("export", func(t *testing.T) {
		var x *ExportError
		if _, err := fresh().Call(t.Context(), nil, time.Time{}, "nowhere"); !errors.As(err, &x) {
			t.Errorf("error is %v, want an ExportError", err)
		}
		if _, err := in.Call(t.Context(), nil, time.Time{}, "count", 1); !errors.As(err, &x) {
			t.Errorf("error is %v, want an ExportError", err)
		}
		call(t, in, "count")
	})
	t.Run("canceled", func(t *testing.T) {
		for _, export := range []string{"spin", "wait", "sleep"} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			var args []uint64
			if export == "sleep" {
				args = []uint64{60_000}
			}
			if _, err := fresh().Call(ctx, nil, time.Time{}, export, args...); !errors.Is(err, ErrCanceled) {
				t.Errorf("%s: error is %v, want ErrCanceled", export, err)
			}
			cancel()
		}
	})
}
