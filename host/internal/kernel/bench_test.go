package kernel

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/internal/testkit"
)

const extism = "extism:host/env"

// echoGuest loads a plugin of Extism's Go PDK that echoes. The call's data is a *[2][]byte, input and output.
func echoGuest(t testing.TB) *engine.Program {
	t.Helper()
	env := engine.Module{Name: "test", Funcs: []engine.Func{}}
	for _, name := range []string{"log_trace", "log_debug", "log_info", "log_warn", "log_error", "config_get", "var_get"} {
		f := engine.Func{Name: name, Params: []byte{i64}, Call: func(*engine.Call, []uint64) {}}
		if name[0] != 'l' {
			f.Results = []byte{i64}
		}
		env.Funcs = append(env.Funcs, f)
	}
	env.Funcs = append(env.Funcs,
		engine.Func{Name: "get_log_level", Results: []byte{i32}, Call: func(*engine.Call, []uint64) {}},
		engine.Func{Name: "var_set", Params: []byte{i64, i64}, Call: func(*engine.Call, []uint64) {}},
		engine.Func{Name: "http_request", Params: []byte{i64, i64}, Results: []byte{i64}, Call: func(*engine.Call, []uint64) {}},
		engine.Func{Name: "http_status_code", Results: []byte{i32}, Call: func(*engine.Call, []uint64) {}},
		engine.Func{Name: "http_headers", Results: []byte{i64}, Call: func(*engine.Call, []uint64) {}})
	e, err := engine.New(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Load(t.Context(), testkit.BuildGuest(t, "testdata/echo"), engine.LoadConfig{
		Modules: []engine.Module{env},
		Linked:  []engine.Linked{Linked(extism, env, 64<<20)},
		Begin: func(c *engine.Call) {
			if d, ok := c.Data.(*[2][]byte); ok {
				b, _ := Of(c, extism)
				b.SetInput(d[0])
			}
		},
		End: func(c *engine.Call) {
			if d, ok := c.Data.(*[2][]byte); ok {
				b, _ := Of(c, extism)
				d[1] = append(d[1][:0], b.Output()...)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// BenchmarkPDKEcho is a call of Extism's Go PDK that reads its input and writes it as its output.
func BenchmarkPDKEcho(b *testing.B) {
	p := echoGuest(b)
	for _, size := range []int{64, 64 << 10} {
		for _, fresh := range []bool{false, true} {
			mode := map[bool]string{false: "reused", true: "fresh"}[fresh]
			b.Run(fmt.Sprintf("%d/%s", size, mode), func(b *testing.B) {
				in, err := p.New(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = in.Close() }() // nobody's any more
				d := &[2][]byte{bytes.Repeat([]byte{'x'}, size)}
				deadline := time.Now().Add(time.Hour)
				for b.Loop() {
					if _, err := in.Call(context.Background(), d, deadline, "echo"); err != nil {
						b.Fatal(err)
					}
					if fresh {
						if err := in.Reset(); err != nil {
							b.Fatal(err)
						}
					}
				}
				if !bytes.Equal(d[0], d[1]) {
					b.Fatalf("%d bytes came back", len(d[1]))
				}
			})
		}
	}
}

// BenchmarkNewInstance is an instance with its kernel, made from the image and closed.
func BenchmarkNewInstance(b *testing.B) {
	p := echoGuest(b)
	for b.Loop() {
		in, err := p.New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := in.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
