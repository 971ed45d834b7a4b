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

// FuzzReset writes where it is told, and compares the memory after Reset with the image.
func FuzzReset(f *testing.F) {
	var m wasmModule
	m.memory = []byte{0, 20}
	p2 := m.typ([]byte{I32, I32}, nil)
	m.globals = [][]byte{{I32, 1, 0x41, 5, 0x0b}, {F64, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b}}
	m.fn("write", p2, 0, 0x20, 0, 0x20, 1, 0x3a, 0, 0, 0x20, 1, 0x24, 0) // store8, and into a global
	m.fn("fill", p2, 0, 0x20, 0, 0x41, 9, 0x20, 1, 0xfc, 11, 0)
	programs := map[string]*Program{}
	for name, mode := range resetModes {
		programs[name] = load(f, newEngine(f, Config{reset: mode}), m.bytes(), LoadConfig{})
	}
	f.Add(uint32(0), uint32(1), uint32(70000), uint32(9))
	f.Add(uint32(4095), uint32(255), uint32(1310719), uint32(1))
	f.Add(uint32(65536), uint32(3), uint32(0), uint32(1310720))
	f.Fuzz(func(t *testing.T, at, value, from, n uint32) {
		for name, p := range programs {
			in, err := p.New(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, _ = in.Call(t.Context(), nil, time.Time{}, "write", uint64(at), uint64(value))
				if err := in.Reset(); err != nil {
					t.Fatal(err)
				}
				_, _ = in.Call(t.Context(), nil, time.Time{}, "fill", uint64(from), uint64(n))
				if err := in.Reset(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(in.bytes(), p.image.bytes()) || !slices.Equal(in.saveGlobals(), p.imageGlobals) {
					t.Fatalf("%s: not the image", name)
				}
			}
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
