package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/odac-run/odachost/host/internal/engine"
)

// bare is the kernel alone, without an engine around it.
type bare struct {
	t   testing.TB
	mod api.Module
}

func newBare(t testing.TB) bare {
	t.Helper()
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { _ = rt.Close(context.Background()) })
	mod, err := rt.Instantiate(t.Context(), Module(engine.Module{}, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	return bare{t, mod}
}

// try calls a function; false if it trapped.
func (k bare) try(name string, args ...uint64) (uint64, bool) {
	k.t.Helper()
	out, err := k.mod.ExportedFunction(name).Call(context.Background(), args...)
	if err != nil && !strings.Contains(err.Error(), "unreachable") {
		k.t.Fatalf("%s%x: %v", name, args, err)
	}
	if len(out) == 0 {
		return 0, err == nil
	}
	return out[0], err == nil
}

func (k bare) call(name string, args ...uint64) uint64 {
	k.t.Helper()
	out, ok := k.try(name, args...)
	if !ok {
		k.t.Fatalf("%s%x trapped", name, args)
	}
	return out
}

func TestBlocks(t *testing.T) {
	k := newBare(t)
	sizes := []uint64{1, 8, 15, 16, 17, 31, 32, 33, 100, 1000, 65535, 65536, 65537, 300_000}
	var handles []uint64
	for i, n := range sizes {
		h := k.call("alloc", n)
		if h == 0 || k.call("length", h) != n || k.call("length_unsafe", h) != n {
			t.Fatalf("%d bytes: handle %d of length %d", n, h, k.call("length", h))
		}
		if class, size := classOf(uint32(n)); uint64(size) < n || uint64(size) > n+max(16, n/4) || class >= classes {
			t.Errorf("%d bytes: class %d of %d bytes", n, class, size)
		}
		k.call("store_u8", h, uint64(i+1))
		k.call("store_u8", h+n-1, uint64(i+1))
		handles = append(handles, h)
	}
	for i, h := range handles {
		if first, last := k.call("load_u8", h), k.call("load_u8", h+sizes[i]-1); first != uint64(i+1) || last != uint64(i+1) {
			t.Errorf("block %d: %d and %d", i, first, last)
		}
		k.call("free", h)
		if n := k.call("length", h); n != 0 {
			t.Errorf("a free block of length %d", n)
		}
		k.call("free", h) // again: nothing
	}
	for i := len(sizes) - 1; i >= 0; i-- {
		if h := k.call("alloc", sizes[i]); k.call("length", h) != sizes[i] {
			t.Errorf("%d bytes again: handle %d", sizes[i], h)
		}
	}
	for _, n := range []uint64{0, 1 << 31, 1 << 32, math.MaxUint64, 5 << 20} {
		if h := k.call("alloc", n); h != 0 {
			t.Errorf("%d bytes at %d", n, h)
		}
	}
	before := k.call("memory_bytes")
	for range 10_000 {
		k.call("free", k.call("alloc", 50_000))
	}
	if after := k.call("memory_bytes"); after > before+65536 {
		t.Errorf("freed blocks are not used again: %d bytes, %d before", after, before)
	}
}

// TestForged frees a block of fewer bytes than any has, at the very end: its list entry would lie beyond the position.
func TestForged(t *testing.T) {
	k := newBare(t)
	a, b := k.call("alloc", 16), k.call("alloc", 16)
	k.call("free", a)
	p := b + 15
	for i := range uint64(8) {
		k.call("store_u8", p-16+i, 0)
	}
	k.call("store_u64", p-8, p^magic)
	k.call("free", p)
	if memory, _ := k.mod.Memory().Read(uint32(b+16), 16); !bytes.Equal(memory, make([]byte, 16)) {
		t.Errorf("beyond the last block: %x", memory)
	}
	k.call("store_u8", a, 3) // the list leads to no block
	if _, ok := k.try("alloc", 16); !ok {
		t.Error("a block that was there")
	}
	if _, ok := k.try("alloc", 16); ok {
		t.Error("a block came from nowhere")
	}
}

// clean says whether nothing was written beyond the position, which is what a reset clears.
func (k bare) clean() {
	k.t.Helper()
	end := k.call("alloc", 1) // a new or an old block: either way below the position
	memory, _ := k.mod.Memory().Read(0, k.mod.Memory().Size())
	_ = end
	at := len(memory)
	for at > 0 && memory[at-1] == 0 {
		at--
	}
	if at == 0 {
		return
	}
	// A load at the last written byte must be allowed, because that is where the position is at least.
	k.call("store_u8", uint64(at-1), 0)
	if memory[at-1] != 0 && at-1 >= base {
		k.t.Fatalf("a byte was written at %d, beyond the position", at-1)
	}
}

// FuzzKernel does what a hostile guest may: anything. Nothing is written beyond the position, and only alloc traps.
func FuzzKernel(f *testing.F) {
	f.Add([]byte("a\x10\x00l\x00\x00"))
	f.Add(bytes.Repeat([]byte("a\x40\x00f\x50\x04s\x40\x04S\x41\x04"), 20))
	f.Add([]byte("a\xff\xffo\x00\x00O\xff\xffe\x10\x04"))
	f.Fuzz(func(t *testing.T, script []byte) {
		k := newBare(t)
		script = script[:min(len(script), 600)]
		for ; len(script) >= 3; script = script[3:] {
			n := uint64(binary.LittleEndian.Uint16(script[1:]))
			switch script[0] {
			case 'a':
				k.try("alloc", n)
			case 'A':
				k.try("alloc", n<<48)
			case 'f':
				k.call("free", n)
			case 'l':
				k.call("length", n)
			case 's':
				k.call("store_u64", n, n*0x0001000100010001)
			case 'S':
				k.call("store_u8", n, n)
			case 'm': // forge a header
				k.call("store_u64", n-8, n^magic)
			case 'x':
				k.call("store_u64", n<<48|n, math.MaxUint64)
			case 'r':
				k.call("load_u64", n)
			case 'R':
				k.call("load_u8", n<<48|n)
			case 'i':
				k.call("input_load_u64", n)
			case 'o':
				k.call("output_set", n, n)
			case 'O':
				k.call("output_set", n<<48, math.MaxUint64-n)
			case 'e':
				k.call("error_set", n)
			}
		}
		if _, ok := k.try("alloc", 1); ok {
			k.clean()
		}
	})
}

func TestEcho(t *testing.T) {
	p := echoGuest(t)
	for _, reset := range []bool{true, false} {
		in, err := p.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 7, 8, 9, 100, 65536, 5, 3 << 20} { // the last makes the guest's memory grow
			d := &[2][]byte{bytes.Repeat([]byte{byte(n + 1)}, n)}
			if _, err := in.Call(t.Context(), d, time.Time{}, "echo"); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d[0], d[1]) {
				t.Errorf("%d bytes: %d came back", n, len(d[1]))
			}
			if reset {
				if err := in.Reset(); err != nil && n < 3<<20 {
					t.Fatal(err)
				}
			}
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
}
