package engine

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"
)

var resetModes = map[string]resetMode{"best": resetBest, "scan": resetScan, "drop": resetDrop, "copy": resetCopy}

// TestResetRestoresEverything compares memory and globals after all sorts of calls with the image, byte for byte.
func TestResetRestoresEverything(t *testing.T) {
	for name, mode := range resetModes {
		t.Run(name, func(t *testing.T) {
			p := goGuest(t, newEngine(t, Config{reset: mode}), LoadConfig{})
			in := newInstance(t, p)
			check := func(after string) {
				t.Helper()
				if !bytes.Equal(in.bytes(), p.image.bytes()) {
					t.Fatalf("memory after %s is not the image", after)
				}
				if !slices.Equal(in.saveGlobals(), p.imageGlobals) {
					t.Fatalf("globals after %s are not the image's", after)
				}
			}
			check("New")
			for range 3 {
				for _, c := range []struct {
					export string
					args   []uint64
				}{
					{"count", nil},
					{"echo", []uint64{4096}},
					{"garbage", []uint64{64}},
					{"print", nil},
					{"random", nil},
					{"fault", nil},
					{"exit", []uint64{1}},
					{"spin", nil},
					{"hostfail", nil},
					{"allocate", []uint64{16}},
				} {
					_, _ = in.Call(t.Context(), &echoData{in: bytes.Repeat([]byte("secret "), 500)}, time.Now().Add(10*time.Millisecond), c.export, c.args...)
					grew := in.MemoryBytes() != p.ImageBytes()
					switch err := in.Reset(); {
					case errors.Is(err, ErrDiscard) != grew:
						t.Fatalf("%s: grew: %v, Reset: %v", c.export, grew, err)
					case err != nil:
						_ = in.Close()
						in = newInstance(t, p)
					}
					check(c.export)
				}
			}
		})
	}
}

// TestSecrets has one call leave a secret in every place that a module has, and looks for it in the next.
func TestSecrets(t *testing.T) {
	v128 := func(b byte) []byte { return append([]byte{0xfd, 0x0c}, bytes.Repeat([]byte{b}, 16)...) }
	var m wasmModule
	v := m.typ(nil, nil)
	m.memory = []byte{0, 3}
	m.tables = [][]byte{{0x70, 0, 4}}
	m.globals = [][]byte{
		{I32, 1, 0x41, 1, 0x0b},
		{I64, 1, 0x42, 2, 0x0b},
		{F32, 1, 0x43, 0, 0, 0, 0, 0x0b},
		{F64, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b},
		cat(0x7b, 1, v128(1), 0x0b),
		{0x70, 1, 0xd0, 0x70, 0x0b},
		{0x6f, 1, 0xd0, 0x6f, 0x0b},
	}
	// 7 bytes of secret all over the memory, and in each global of a number.
	m.fn("numbers", v, 0, 0x41, 0, 0x41, 0xd3, 0, 0x3f, 0, 0x41, 16, 0x74, 0xfc, 11, 0,
		0x41, 0x53, 0x24, 0, 0x42, 0x53, 0x24, 1, 0x43, 0x53, 0x53, 0x53, 0x53, 0x24, 2, 0x44, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x53, 0x24, 3)
	m.fn("vector", v, 0, v128(0x53), 0x24, 4)
	m.fn("func", v, 0, 0xd2, 0, 0x24, 5)
	m.fn("extern", v, 0, 0xd0, 0x6f, 0x24, 6)
	m.fn("table", v, 0, 0x41, 3, 0xd2, 0, 0x26, 0)
	m.fn("fill", v, 0, 0x41, 0, 0xd2, 0, 0x41, 2, 0xfc, 17, 0)
	m.elems = [][]byte{cat(3, 0, 1, 0)} // declares function 0, so that ref.func may name it
	for name, mode := range resetModes {
		p := load(t, newEngine(t, Config{reset: mode}), m.bytes(), LoadConfig{})
		in := newInstance(t, p)
		for range 2 {
			call(t, in, "numbers")
			if !bytes.Contains(in.bytes(), []byte("SSSSSSS")) || slices.Equal(in.saveGlobals(), p.imageGlobals) {
				t.Fatalf("%s: the secret is nowhere", name)
			}
			if err := in.Reset(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if bytes.ContainsRune(in.bytes(), 'S') || !slices.Equal(in.saveGlobals(), p.imageGlobals) {
				t.Errorf("%s: the secret is still there", name)
			}
		}
		for _, export := range []string{"vector", "func", "extern", "table", "fill"} {
			in := newInstance(t, p)
			call(t, in, export)
			if err := in.Reset(); !errors.Is(err, ErrDiscard) {
				t.Errorf("%s: %s: Reset: %v, want ErrDiscard", name, export, err)
			}
		}
	}
}

// TestUnfinishedLine says that a line that a call did not end is not the beginning of the next call's.
func TestUnfinishedLine(t *testing.T) {
	var m wasmModule
	m.imp(wasiModule, "fd_write", m.typ([]byte{I32, I32, I32, I32}, []byte{I32}))
	m.memory = []byte{0, 1}
	v := m.typ(nil, nil)
	// An iovec at 8 of 4 bytes at 0, which are the text.
	print := func(a, b, c, d int) []any {
		store := func(at, value int) []byte { return cat(0x41, at, 0x41, value|0x80, 1, 0x3a, 0, 0) } // value and 128
		return []any{
			store(0, a), store(1, b), store(2, c), store(3, d), 0x41, 8, 0x41, 0, 0x36, 2, 0, 0x41, 12, 0x41, 4, 0x36, 2, 0,
			0x41, 1, 0x41, 8, 0x41, 1, 0x41, 16, 0x10, 0, 0x1a,
		}
	}
	m.fn("secret", v, 0, print('s', 'e', 'c', 'r')...)
	m.fn("next", v, 0, print('n', 'e', 'x', 't')...)
	var lines []string
	p := load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{Stdout: func(_ *Call, line []byte) {
		for i := range line {
			line[i] &= 0x7f
		}
		lines = append(lines, string(line))
	}})
	in := newInstance(t, p)
	for _, export := range []string{"secret", "next"} {
		call(t, in, export)
		if err := in.Reset(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(lines, []string{"secr", "next"}) {
		t.Errorf("lines: %q", lines)
	}
}

// FuzzReset has a script write into memory and globals, over several calls with resets between them, and compares memory and
// globals with the image after each. A step is four bytes: what, a place in two, and a value or a length.
func FuzzReset(f *testing.F) {
	var m wasmModule
	m.imp("test:host/v1", "poke", m.typ([]byte{I32, I32}, nil))
	m.memory = []byte{0, 20}
	m.globals = [][]byte{{I32, 1, 0x41, 5, 0x0b}, {F64, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b}}
	m.fn("write", 0, 0, 0x20, 0, 0x20, 1, 0x3a, 0, 0, 0x20, 1, 0x24, 0) // store8, and into a global
	m.fn("fill", 0, 0, 0x20, 0, 0x41, 9, 0x20, 1, 0xfc, 11, 0)
	m.fn("copy", 0, 0, 0x20, 0, 0x41, 0, 0x20, 1, 0xfc, 10, 0, 0)
	m.fn("hostwrite", 0, 0, 0x20, 0, 0x20, 1, 0x10, 0)
	m.fn("read", 0, 0, 0x20, 0, 0x28, 0, 0, 0x24, 0)
	m.fn("grow", 0, 0, 0x41, 1, 0x40, 0, 0x1a)
	exports := []string{"write", "fill", "copy", "hostwrite", "read", "grow"}
	poke := Module{Name: "test:host/v1", Funcs: []Func{{Name: "poke", Params: []ValueType{I32, I32}, Call: func(c *Call, s []uint64) {
		c.Wait() // the thread that writes may be another than the one that began
		c.Write(uint32(s[0]), bytes.Repeat([]byte{byte(s[1])}, 5000))
	}}}}
	programs := map[string]*Program{}
	for name, mode := range resetModes {
		programs[name] = load(f, newEngine(f, Config{reset: mode}), m.bytes(), LoadConfig{Modules: []Module{poke}})
	}
	f.Add([]byte("\x00\x00\x10\x01\x06\x00\x00\x00\x00\x00\x10\x02\x06\x00\x00\x00\x03\x10\x00\xff"))
	f.Add([]byte("\x01\x00\x00\xff\x07\x00\x00\x00\x04\x00\x00\x00\x06\x00\x00\x00\x00\x13\xff\x09"))
	f.Add([]byte("\x02\x00\x40\xff\x06\x00\x00\x00\x03\x13\xff\x01\x06\x00\x00\x00\x05\x00\x00\x00\x06\x00\x00\x00\x00\x00\x01\x01"))
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 64)]
		for name, p := range programs {
			in, err := p.New(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			grown := false
			check := func() {
				switch err := in.Reset(); {
				case errors.Is(err, ErrDiscard) != grown:
					t.Fatalf("%s: grown: %v, Reset: %v", name, grown, err)
				case grown:
					_ = in.Close()
					if in, err = p.New(t.Context()); err != nil {
						t.Fatal(err)
					}
					grown = false
				}
				if !bytes.Equal(in.bytes(), p.image.bytes()) || !slices.Equal(in.saveGlobals(), p.imageGlobals) {
					t.Fatalf("%s: not the image", name)
				}
			}
			for s := script; len(s) >= 4; s = s[4:] {
				at, n := (uint64(s[1])<<8|uint64(s[2]))<<8, uint64(s[3])
				switch {
				case int(s[0]) < len(exports):
					export := exports[s[0]]
					if export == "fill" || export == "copy" {
						n <<= 11
					}
					args := []uint64{at, n}
					if _, err := in.Call(t.Context(), nil, time.Time{}, export, args...); err != nil {
						check()
					}
					grown = in.MemoryBytes() != p.ImageBytes()
				case s[0] == 6:
					check()
				default:
					check()
					if err := in.Trim(); err != nil {
						t.Fatal(err)
					}
				}
			}
			check()
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestTables says that what cannot be restored is noticed: changed tables and dropped segments.
func TestTables(t *testing.T) {
	var m wasmModule
	v := m.typ(nil, nil)
	m.tables = [][]byte{{0x70, 0, 4}}
	m.elems = [][]byte{cat(1, 0, 1, 0)} // passive
	m.fn("nop", v, 0)
	m.fn("set", v, 0, 0x41, 0, 0xd0, 0x70, 0x26, 0)
	m.fn("grow", v, 0, 0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a)
	m.fn("drop", v, 0, 0xfc, 13, 0)
	m.fn("get", v, 0, 0x41, 0, 0x25, 0, 0x1a)
	e := newEngine(t, Config{})
	p := load(t, e, m.bytes(), LoadConfig{})
	for export, discard := range map[string]bool{"nop": false, "get": false, "set": true, "grow": true, "drop": true} {
		in := newInstance(t, p)
		call(t, in, export)
		if err := in.Reset(); errors.Is(err, ErrDiscard) != discard {
			t.Errorf("%s: Reset: %v, want ErrDiscard: %v", export, err, discard)
		}
	}
	m.start = 2
	p = load(t, e, m.bytes(), LoadConfig{})
	if p.HasImage() {
		t.Error("an image although the start function changed a table")
	}
	in := newInstance(t, p)
	call(t, in, "nop")
	if err := in.Reset(); !errors.Is(err, ErrDiscard) {
		t.Errorf("Reset without an image: %v, want ErrDiscard", err)
	}
}
