//go:build !portable

package engine

import (
	"bytes"
	"os"
	"testing"
)

// TestSurge: the pages of a call that writes to many more than those before it are not kept, unless the next one does so too.
func TestSurge(t *testing.T) {
	var m wasmModule
	m.memory = []byte{0, 64}
	m.fn("fill", m.typ([]byte{I32, I32}, nil), 0, 0x20, 0, 0x41, 9, 0x20, 1, 0xfc, 11, 0)
	p := load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{})
	in := newInstance(t, p)
	memory, ok := in.memory.(*mappedMemory)
	if !ok || memory.memories.mode != resetScan {
		t.Skip("this system does not tell which pages were written")
	}
	page := uint64(os.Getpagesize())
	run := func(from, pages uint64) int {
		t.Helper()
		call(t, in, "fill", from*page, pages*page)
		if err := in.Reset(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(in.bytes(), p.image.bytes()) {
			t.Fatal("the memory is not the image")
		}
		return pagesOf(memory.known)
	}
	for i, c := range []struct {
		from, pages uint64
		kept        int
	}{
		{8, 2, 2}, {30, 1, 3}, // light ones are kept
		{0, 200, 3}, {8, 2, 3}, {100, 200, 3}, {30, 1, 3}, // a heavy one among them is not
		{0, 200, 3}, {0, 200, 200}, {0, 200, 200}, // two in a row are
		{300, 10, 210},
	} {
		if kept := run(c.from, c.pages); kept != c.kept {
			t.Errorf("call %d: %d pages are kept, want %d", i, kept, c.kept)
		}
	}
	for i := range 2 * maxCopied / 200 {
		if kept := run(8, 2); kept < 200 {
			if i == 0 || kept != 0 {
				t.Errorf("after %d light calls %d pages are kept", i, kept)
			}
			break
		} else if i > maxCopied/200 {
			t.Fatalf("after %d light calls %d pages are kept", i, kept)
		}
	}
	if kept := run(0, 64); kept != 64 {
		t.Errorf("%d pages are kept, want 64", kept)
	}
}
