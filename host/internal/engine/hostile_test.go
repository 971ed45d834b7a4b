package engine

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"
)

// hostileShapes are modules whose function run would never end, or not before the sun.
func hostileShapes() map[string]func(m *wasmModule) {
	void := func(m *wasmModule) int { return m.typ(nil, nil) }
	memory := []byte{0, 1}
	maxPage := cat(0x41, leb(0), 0x41, leb(7), 0x3f, 0, 0x41, 16, 0x74) // dst 0, value 7, memory.size << 16
	repeat := func(n int, code []byte) (out []byte) {
		for range n {
			out = append(out, code...)
		}
		return out
	}
	return map[string]func(m *wasmModule){
		"empty loop": func(m *wasmModule) { m.fn("run", void(m), 0, 0x03, 0x40, 0x0c, 0, 0x0b) },
		"loop with parameters": func(m *wasmModule) {
			p := m.typ([]byte{I32, I64}, nil)
			m.fn("run", void(m), 0, 0x41, 1, 0x42, 2, 0x03, p, 0x0c, 0, 0x0b)
		},
		"conditional loop": func(m *wasmModule) { m.fn("run", void(m), 0, 0x03, 0x40, 0x41, 1, 0x0d, 0, 0x0b) },
		"br_table": func(m *wasmModule) {
			m.fn("run", void(m), 1, 0x03, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 3, 1, 0, 1, 1, 0x0b, 0x0c, 0, 0x0b)
		},
		"exponential recursion": func(m *wasmModule) {
			p := m.typ([]byte{I32}, nil)
			m.fn("f", p, 0, 0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x0b)
			m.fn("run", void(m), 0, 0x41, cat(leb(60)), 0x10, 0)
		},
		"tail calls": func(m *wasmModule) { m.fn("run", void(m), 0, 0x12, 0) },
		"indirect tail calls": func(m *wasmModule) {
			v := void(m)
			m.tables = [][]byte{{0x70, 0, 1}}
			m.elems = [][]byte{cat(0, 0x41, 0, 0x0b, 1, 0)}
			m.fn("run", v, 0, 0x41, 0, 0x13, v, 0)
		},
		"nested loops": func(m *wasmModule) {
			m.fn("run", void(m), 0, 0x03, 0x40, 0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0c, 1, 0x0b, 0x0b)
		},
		"fills": func(m *wasmModule) {
			m.memory = memory
			fill := m.fn("f", void(m), 0, maxPage, 0xfc, 11, 0)
			calls := m.fn("g", 0, 0, repeat(1000, cat(0x10, fill)))
			m.fn("run", 0, 0, 0x41, cat(leb(500)), 0x40, 0, 0x1a, repeat(1000, cat(0x10, calls)))
		},
		"copies": func(m *wasmModule) {
			m.memory = memory
			f := m.fn("f", void(m), 0, 0x41, 1, 0x41, 0, 0x3f, 0, 0x41, 16, 0x74, 0x41, 1, 0x6b, 0xfc, 10, 0, 0)
			calls := m.fn("g", 0, 0, repeat(1000, cat(0x10, f)))
			m.fn("run", 0, 0, 0x41, cat(leb(500)), 0x40, 0, 0x1a, repeat(1000, cat(0x10, calls)))
		},
		"grows": func(m *wasmModule) {
			m.memory = memory
			m.fn("run", void(m), 0, 0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x0c, 0, 0x0b)
		},
		"host calls": func(m *wasmModule) {
			v := void(m)
			m.imp("test:host/v1", "nop", v)
			m.fn("run", v, 0, 0x03, 0x40, 0x10, 0, 0x0c, 0, 0x0b)
		},
		"leaves": func(m *wasmModule) {
			leaf := m.fn("leaf", void(m), 0, repeat(2000, cat(0x41, 1, 0x1a)))
			calls := m.fn("g", 0, 0, repeat(10000, cat(0x10, leaf)))
			more := m.fn("h", 0, 0, repeat(10000, cat(0x10, calls)))
			m.fn("run", 0, 0, repeat(1000, cat(0x10, more)))
		},
	}
}

// nopModule has a host function that returns at once.
func nopModule() Module {
	return Module{Name: "test:host/v1", Funcs: []Func{{Name: "nop", Call: func(*Call, []uint64) {}}}}
}

// TestHostileShapes expects of each that it ends.
func TestHostileShapes(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		e := newEngine(t, Config{Interpreter: interpreter})
		for name, build := range hostileShapes() {
			if interpreter && name == "fills" {
				continue // the interpreter fills byte by byte, and one chunk then takes longer than a test should
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

func TestStackOverflow(t *testing.T) {
	var m wasmModule
	m.fn("run", m.typ(nil, nil), 0, 0x10, 0)
	p := load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{})
	in := newInstance(t, p)
	var trap *TrapError
	if _, err := in.Call(t.Context(), nil, time.Time{}, "run"); !errors.As(err, &trap) || trap.Reason != "stack overflow" {
		t.Errorf("error is %v, want a stack overflow", err)
	}
	if err := in.Reset(); !errors.Is(err, ErrDiscard) {
		t.Errorf("Reset: %v, want ErrDiscard, because the stack stays large", err)
	}
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
