//go:build !portable

package engine

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// growing is a module whose grow makes its memory so many pages larger, and whose fill writes to a part of it.
func growing() []byte {
	var m wasmModule
	m.memory = []byte{0, 1}
	m.fn("grow", m.typ([]byte{I32}, []byte{I32}), 0, 0x20, 0, 0x40, 0)
	m.fn("fill", m.typ([]byte{I32, I32}, nil), 0, 0x20, 0, 0x41, 9, 0x20, 1, 0xfc, 11, 0)
	return m.bytes()
}

// TestHugePages: what a memory grows by has huge pages, as far as whole ones fit into it, and all of it up to the limit can be written to.
func TestHugePages(t *testing.T) {
	if set, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil || strings.Contains(string(set), "[never]") {
		t.Skipf("this system has no huge pages: %s, %v", set, err)
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
	huge := 0
	for at := 0; at+hugeBytes <= len(contents); at += hugeBytes {
		if isHuge(t, contents[at:at+hugeBytes]) {
			huge++
			if at == 0 {
				t.Error("the part of the image is a huge page")
			}
		}
	}
	if huge == 0 {
		t.Error("no page is huge")
	}
	if was := int32(call(t, in, "grow", 1)); was != -1 {
		t.Errorf("it grew over its limit, from %d pages", was)
	}
	if err := in.Reset(); !errors.Is(err, ErrDiscard) {
		t.Errorf("reset: %v", err)
	}
}

// isHuge asks the kernel whether one huge page is behind p: then what it tells of the pages, small ones, is of one region.
func isHuge(t *testing.T, p []byte) bool {
	t.Helper()
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const pageIsHuge = 1 << 6
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))
	var region pageRegion
	scan := pageScan{
		start: start, end: start + uint64(len(p)), vec: uint64(uintptr(unsafe.Pointer(&region))), vecLen: 1,
		categoryMask: pageIsHuge, returnMask: pageIsHuge,
	}
	scan.size = uint64(unsafe.Sizeof(scan))
	found, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), pagemapScan, uintptr(unsafe.Pointer(&scan)))
	if errno != 0 {
		t.Skipf("the kernel does not tell huge pages: %v", errno)
	}
	return found == 1 && region.end-region.start == uintptr(len(p))
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
