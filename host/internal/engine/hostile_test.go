package engine

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/internal/testkit"
)

// nopModule has a host function that returns at once.
func nopModule() Module {
	return Module{Name: "test:host/v1", Funcs: []Func{{Name: "nop", Call: func(*Call, []uint64) {}}}}
}

// TestHostileShapes expects of each that it ends.
func TestHostileShapes(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		e := newEngine(t, Config{Interpreter: interpreter})
		for name, build := range hostileShapes() {
			if interpreter && (name == "fills" || name == "deep recursion") {
				continue // it fills byte by byte, and one chunk takes longer than a test should; it allows 2000 frames
			}
			t.Run(name, func(t *testing.T) {
				var m wasmModule
				build(&m)
				p := load(t, e, m.bytes(), LoadConfig{Modules: []Module{nopModule()}})
				in := newInstance(t, p)
				_, err := in.Call(t.Context(), nil, time.Now().Add(10*time.Millisecond), "run")
				if !errors.Is(err, ErrDeadline) {
					t.Errorf("error is %v, want ErrDeadline", err)
				}
			})
		}
	}
}

// TestStack says that calls without end end in a trap long before they fill what wazero allows, and that the instance is
// as good as new.
func TestStack(t *testing.T) {
	var m wasmModule
	void := m.typ(nil, nil)
	m.fn("run", void, 0, 0x10, 0)
	m.fn("small", void, 0)
	p := load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{})
	in := newInstance(t, p)
	call(t, in, "small")
	if in.functions["small"].stackBytes() == 0 {
		t.Fatal("wazero keeps its stack elsewhere: nothing bounds it")
	}
	var trap *TrapError
	if _, err := in.Call(t.Context(), nil, time.Time{}, "run"); !errors.As(err, &trap) || trap.Reason != StackOverflow || trap.Host {
		t.Errorf("error is %v, want a stack overflow", err)
	} else if !strings.HasPrefix(trap.Stack, ".$1()\n.$1()") {
		t.Errorf("no stack: %q", trap.Stack)
	}
	if n := in.running.stackBytes(); n < maxStackBytes || n > 3*maxStackBytes {
		t.Errorf("the stack had %d bytes at the end", n)
	}
	if err := in.Reset(); err != nil {
		t.Errorf("Reset: %v", err)
	}
	if in.functions["run"] != nil {
		t.Error("the stack stays large")
	}
	call(t, in, "small")
}

// TestDeepGuest says that the bound on the stack leaves room for what a Go program does itself: encoding/json nests up to
// 10,000 levels.
func TestDeepGuest(t *testing.T) {
	p := load(t, newEngine(t, Config{}), testkit.BuildGuest(t, "testdata/work"), LoadConfig{})
	in := newInstance(t, p)
	if call(t, in, "nested", 10_000) != 1 {
		t.Error("10,000 nested arrays are not parsed")
	}
	t.Logf("a stack of %d bytes", in.running.stackBytes())
}

func TestEndlessStart(t *testing.T) {
	var m wasmModule
	m.start = 1 + m.fn("", m.typ(nil, nil), 0, 0x03, 0x40, 0x0c, 0, 0x0b)
	e := newEngine(t, Config{})
	if _, err := e.Load(t.Context(), m.bytes(), LoadConfig{InitTimeout: 10 * time.Millisecond}); !errors.Is(err, ErrDeadline) {
		t.Errorf("error is %v, want ErrDeadline", err)
	}
}

// TestGarbageCollection says that guests that never end do not hold up the collector, which stops all of Go for a
// moment: if they did, it would only be done after their deadline.
func TestGarbageCollection(t *testing.T) {
	var m wasmModule
	m.imp("test:host/v1", "nop", m.typ(nil, nil))
	m.fn("run", 0, 0, 0x10, 0, 0x03, 0x40, 0x0c, 0, 0x0b)
	var running sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	running.Add(n)
	nop := Module{Name: "test:host/v1", Funcs: []Func{{Name: "nop", Call: func(*Call, []uint64) { running.Done() }}}}
	p := load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{Modules: []Module{nop}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, n)
	for range n {
		in := newInstance(t, p)
		go func() {
			_, err := in.Call(ctx, nil, time.Now().Add(30*time.Second), "run")
			ended <- err
		}()
	}
	running.Wait()
	runtime.GC()
	cancel()
	for range n {
		if err := <-ended; !errors.Is(err, ErrCanceled) {
			t.Errorf("error is %v, want ErrCanceled: the collector waited for the guest", err)
		}
	}
}

// TestBudgetIsOutOfReach says that a module cannot name what was added to it.
func TestBudgetIsOutOfReach(t *testing.T) {
	e := newEngine(t, Config{})
	for name, body := range map[string][]any{
		"global": {0x41, cat(leb(0x3fffff)), 0x24, 0}, // global.set of the balance
		"local":  {0x03, 0x40, 0x41, 1, 0x21, 0, 0x0c, 0, 0x0b},
		"call":   {0x10, 1},
	} {
		var m wasmModule
		m.fn("run", m.typ(nil, nil), 0, body...)
		var bad *CompileError
		if _, err := e.Load(t.Context(), m.bytes(), LoadConfig{}); !errors.As(err, &bad) || bad.Offset <= 0 {
			t.Errorf("%s: error is %v, want a CompileError with its offset", name, err)
		}
	}
}

// TestWait says what atomic instructions do where there is one thread.
func TestWait(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		var m wasmModule
		m.memory = []byte{3, 1, 2} // shared
		wait32, wait64 := m.typ([]byte{I32, I32, I64}, []byte{I32}), m.typ([]byte{I32, I64, I64}, []byte{I32})
		notify := m.typ([]byte{I32, I32}, []byte{I32})
		m.fn("wait32", wait32, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfe, 1, 2, 4)
		m.fn("wait64", wait64, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfe, 2, 3, 8)
		m.fn("notify", notify, 0, 0x20, 0, 0x20, 1, 0xfe, 0, 2, 0)
		m.fn("add", notify, 0, 0x20, 0, 0x20, 1, 0xfe, 0x1e, 2, 0) // i32.atomic.rmw.add
		in := newInstance(t, load(t, newEngine(t, Config{Interpreter: interpreter}), m.bytes(), LoadConfig{}))
		const forever = 1<<64 - 1
		for _, c := range []struct {
			export string
			args   []uint64
			want   uint64
			trap   string
		}{
			{"add", []uint64{4, 7}, 0, ""},
			{"wait32", []uint64{0, 6, forever}, 1, ""},
			{"wait32", []uint64{0, 7, 0}, 2, ""},
			{"wait32", []uint64{0, 7, forever}, 0, "unreachable"},
			{"wait32", []uint64{0, 7, 1}, 0, "unreachable"},
			{"wait32", []uint64{2, 0, 0}, 0, "unaligned atomic"},
			{"wait32", []uint64{65536, 0, 0}, 0, "out of bounds memory access"},
			{"wait64", []uint64{0, 1 << 40, forever}, 1, ""},
			{"wait64", []uint64{0, 0, 0}, 2, ""},
			{"wait64", []uint64{0, 0, forever}, 0, "unreachable"},
			{"notify", []uint64{0, 100}, 0, ""},
			{"notify", []uint64{1, 100}, 0, "unaligned atomic"},
			{"notify", []uint64{65536, 100}, 0, "out of bounds memory access"},
			{"add", []uint64{4, 0}, 7, ""},
		} {
			got, err := in.Call(t.Context(), nil, time.Time{}, c.export, c.args...)
			var trap *TrapError
			if err != nil && !errors.As(err, &trap) {
				t.Fatal(err)
			}
			switch {
			case c.trap == "" && (err != nil || got != c.want):
				t.Errorf("%s(%d) = %d, %v; want %d", c.export, c.args, got, err, c.want)
			case c.trap != "" && (trap == nil || trap.Reason != c.trap):
				t.Errorf("%s(%d): error is %v, want %s", c.export, c.args, err, c.trap)
			}
			in.state.Store(ready) // the memory stays
		}
	}
}
