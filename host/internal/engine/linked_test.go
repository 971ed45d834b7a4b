package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// libModule has a memory of two pages, of which nothing is the program's: bump() -> i32 adds one to a global and to a word of
// memory and answers their sum, set(i32) changes its table, grow() its memory, peek() has a host function read address 0.
func libModule() []byte {
	var m wasmModule
	get, one, none := m.typ(nil, []byte{I32}), m.typ([]byte{I32}, []byte{I32}), m.typ(nil, nil)
	peek := m.imp("host", "peek", one)
	m.memory = []byte{0, 2}
	m.globals = [][]byte{cat(int(I32), 1, 0x41, 5, 0x0b)}
	m.tables = [][]byte{{0x70, 0, 1}}
	m.fn("bump", get, 0, 0x23, 0, 0x41, 1, 0x6a, 0x24, 0, // global++
		0x41, 0, 0x41, 0, 0x28, 2, 0, 0x41, 1, 0x6a, 0x36, 2, 0, // memory[0]++
		0x23, 0, 0x41, 0, 0x28, 2, 0, 0x6a)
	m.fn("set", none, 0, 0x41, 0, 0xd0, 0x70, 0x26, 0)
	m.fn("grow", get, 0, 0x41, 1, 0x40, 0)
	m.fn("peek", get, 0, 0x41, 0, 0x10, peek)
	m.fn("spin", none, 0, 0x03, 0x40, 0x0c, 0, 0x0b)
	m.fn("_initialize", none, 0, 0x41, 0, 0x41, 10, 0x36, 2, 0) // memory[0] = 10
	return m.bytes()
}

// mainModule imports libModule's functions under lib and exports them; peek reads its own memory, where "main" is.
func mainModule(imports ...string) []byte {
	var m wasmModule
	get, one, none := m.typ(nil, []byte{I32}), m.typ([]byte{I32}, []byte{I32}), m.typ(nil, nil)
	of := map[string]int{"set": none, "spin": none}
	for _, name := range imports {
		typ, ok := of[name]
		if !ok {
			typ = get
		}
		f := m.imp("lib", name, typ)
		m.exports = append(m.exports, cat(name, 0, f))
	}
	peek := m.imp("host", "peek", one)
	m.memory = []byte{0, 1}
	m.fn("own", get, 0, 0x41, 0, 0x41, 7, 0x36, 2, 0, 0x41, 0, 0x10, peek)
	return m.bytes()
}

// peekModule answers the byte at an address of the memory that the host sees.
func peekModule() Module {
	return Module{Name: "host", Funcs: []Func{{Name: "peek", Params: []ValueType{I32}, Results: []ValueType{I32}, Call: func(c *Call, stack []uint64) {
		p, ok := c.Read(uint32(stack[0]), 1)
		stack[0] = 99
		if ok {
			stack[0] = uint64(p[0])
		}
	}}}}
}

func TestLinked(t *testing.T) {
	for _, mode := range []resetMode{resetBest, resetDrop, resetCopy} {
		e := newEngine(t, Config{reset: mode})
		p := load(t, e, mainModule("bump", "set", "grow", "peek", "spin"), LoadConfig{
			Modules: []Module{peekModule()}, Linked: []Linked{{Name: "unused", Wasm: libModule()}, {Name: "lib", Wasm: libModule()}},
		})
		if len(p.linked) != 1 {
			t.Errorf("%d linked modules, one is imported", len(p.linked))
		}
		in, other := newInstance(t, p), newInstance(t, p)
		want := func(in *Instance, export string, result uint64) {
			t.Helper()
			if got, err := in.Call(t.Context(), nil, time.Now().Add(10*time.Second), export); err != nil || got != result {
				t.Errorf("mode %d: %s = %d, %v; want %d", mode, export, got, err, result)
			}
		}
		want(in, "bump", 6+11)
		want(in, "bump", 7+12)
		want(other, "bump", 6+11) // a copy of its own
		want(in, "peek", 12)      // the linked module's memory
		want(in, "own", 7)        // and not the program's
		want(in, "peek", 12)
		if err := in.Reset(); err != nil {
			t.Fatal(err)
		}
		want(in, "bump", 6+11)
		if _, err := in.Call(t.Context(), nil, time.Now().Add(20*time.Millisecond), "spin"); !errors.Is(err, ErrDeadline) {
			t.Errorf("an endless loop in a linked module: %v", err)
		}
		if err := in.Reset(); err != nil {
			t.Fatal(err)
		}
		want(in, "grow", 2)
		if err := in.Reset(); !errors.Is(err, ErrDiscard) {
			t.Errorf("a linked memory that grew: %v", err)
		}
		if _, err := other.Call(t.Context(), nil, time.Time{}, "set"); err != nil {
			t.Error(err)
		}
		if err := other.Reset(); !errors.Is(err, ErrDiscard) {
			t.Errorf("a linked table that changed: %v", err)
		}
	}
}

// TestLinkedPerCall has a linked module that is reset by a function of the host's: it lasts for a call.
func TestLinkedPerCall(t *testing.T) {
	var resets int
	var seen []uint64
	p := load(t, newEngine(t, Config{}), mainModule("bump"), LoadConfig{
		Modules: []Module{peekModule()},
		Linked: []Linked{{Name: "lib", Wasm: libModule(), MaxMemoryBytes: 1 << 20, Reset: func(c *Copy) {
			resets++
			c.Zero(len(c.Memory()))
			c.SetGlobal(0, 5)
		}}},
		Begin: func(c *Call) { c.Linked("lib").Memory()[0] = 40 },
		End:   func(c *Call) { seen = append(seen, uint64(c.Linked("lib").Memory()[0]), c.Linked("lib").Global(0)) },
	})
	in := newInstance(t, p)
	resets, seen = 0, nil
	for range 3 {
		if got, err := in.Call(t.Context(), nil, time.Time{}, "bump"); err != nil || got != 6+41 {
			t.Errorf("bump = %d, %v", got, err)
		}
	}
	l := in.linked[0]
	if !l.Grow(1<<20) || l.Grow(1<<20+1) || len(l.Memory()) != 1<<20 {
		t.Errorf("grown to %d bytes", len(l.Memory()))
	}
	l.Memory()[1<<20-1] = 1
	if err := in.Reset(); err != nil {
		t.Error(err) // its memory grew, and that is no matter
	}
	if !bytes.Equal(l.Memory(), make([]byte, 1<<20)) {
		t.Error("not cleared")
	}
	if resets != 4 || len(seen) != 6 || seen[0] != 41 || seen[1] != 6 {
		t.Errorf("%d resets, seen %d", resets, seen)
	}
}

func TestLinkedErrors(t *testing.T) {
	e := newEngine(t, Config{})
	var trap wasmModule
	none := trap.typ(nil, nil)
	trap.fn("bump", trap.typ(nil, []byte{I32}), 0, 0x41, 0)
	trap.fn("_initialize", none, 0, 0)
	for _, c := range []struct {
		name   string
		linked []Linked
		part   string
	}{
		{"missing", nil, "lib.bump: not granted"},
		{"not WebAssembly", []Linked{{Name: "lib", Wasm: []byte("\x00asm\x01\x00\x00\x00\xff")}}, "linked module lib"},
		{"another signature", []Linked{{Name: "lib", Wasm: mainModule()}}, "lib.bump: newer than this host"},
		{"twice", []Linked{{Name: "lib", Wasm: libModule()}, {Name: "lib", Wasm: libModule()}}, "two modules of the name lib"},
		{"a host module's name", []Linked{{Name: "host", Wasm: libModule()}}, "two modules of the name host"},
		{"WASI's name", []Linked{{Name: wasiModule, Wasm: libModule()}}, "two modules of the name"},
		{"in the wrong order", []Linked{{Name: "a", Wasm: mainModule("bump")}, {Name: "lib", Wasm: libModule()}}, ""},
		{"itself", []Linked{{Name: "lib", Wasm: mainModule("bump")}}, "lib.bump: not granted"},
		{"too much memory", []Linked{{Name: "lib", Wasm: libModule(), MaxMemoryBytes: 65536}}, "linked module lib begins with 131072 bytes"},
		{"a start that traps", []Linked{{Name: "lib", Wasm: trap.bytes()}}, "linked module lib: _initialize"},
	} {
		p, err := e.Load(t.Context(), mainModule("bump"), LoadConfig{Modules: []Module{peekModule()}, Linked: c.linked})
		if c.part == "" && err == nil {
			err = p.Close()
		}
		if (err == nil) != (c.part == "") || err != nil && !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v, want %q", c.name, err, c.part)
		}
	}
}
