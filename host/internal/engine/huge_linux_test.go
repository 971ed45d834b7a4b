//go:build !portable

package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// growing is a module whose grow makes its memory so many pages larger, and whose fill writes to a part of it.
func growing() []byte {
	var m wasmModule
	m.memory = []byte{0, 1}
	m.fn("grow", m.typ([]byte{I32}, []byte{I32}), 0, 0x20, 0, 0x40, 0)
	m.fn("fill", m.typ([]byte{I32, I32}, nil), 0, 0x20, 0, 0x41, 9, 0x20, 1, 0xfc, 11, 0)
	return m.bytes()
}

// TestHugePages: what a memory grows by may have huge pages, as far as whole ones fit into it, and all of it up to the limit can be written to.
func TestHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skipf("this kernel has no huge pages: %v", err)
	}
	const pages = 3*hugeBytes/pageBytes + 5
	p := load(t, newEngine(t, Config{}), growing(), LoadConfig{MaxMemoryBytes: pages * pageBytes})
	in := newInstance(t, p)
	if _, ok := in.memory.(*mappedMemory); !ok {
		t.Skip("this system does not map memories")
	}
	if was := call(t, in, "grow", pages-1); was != 1 {
		t.Fatalf("the memory had %d pages", was)
	}
	call(t, in, "fill", 0, pages*pageBytes)
	contents := in.bytes()
	for i, b := range contents {
		if b != 9 {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(contents)))%hugeBytes != 0 {
		t.Error("the memory begins where no huge page can")
	}
	for at, want := range map[int]bool{0: false, pageBytes: false, hugeBytes: true, 3*hugeBytes - 1: true} {
		if got := mayBeHuge(t, &contents[at]); got != want {
			t.Errorf("at %d a huge page is asked for: %t", at, got)
		}
	}
	if was := int32(call(t, in, "grow", 1)); was != -1 {
		t.Errorf("it grew over its limit, from %d pages", was)
	}
	if err := in.Reset(); !errors.Is(err, ErrDiscard) {
		t.Errorf("reset: %v", err)
	}
}

// mayBeHuge says whether the kernel was asked for huge pages where p is. Whether it had one to give depends on what else the machine does.
func mayBeHuge(t *testing.T, p *byte) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	within := false
	for line := range strings.Lines(string(maps)) {
		var start, end uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &start, &end); n == 2 {
			at := uintptr(unsafe.Pointer(p))
			within = start <= at && at < end
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && within {
			return slices.Contains(strings.Fields(flags), "hg")
		}
	}
	t.Fatal("the memory is not among the process's")
	return false
}

// BenchmarkGrow is what the first writes take to 8 MiB that an instance grows by.
func BenchmarkGrow(b *testing.B) {
	p := load(b, newEngine(b, Config{}), growing(), LoadConfig{})
	for b.Loop() {
		in, err := p.New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		call(b, in, "grow", 128)
		call(b, in, "fill", 0, 129*pageBytes)
		if err := in.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
