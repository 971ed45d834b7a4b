package host

import (
	"math"
	"strings"
	"testing"
)

func TestBlocks(t *testing.T) {
	var b blocks
	first := b.alloc(5)
	second := b.alloc(16)
	if first == 0 || second < first+5 || second%8 != 0 {
		t.Fatalf("offsets %d and %d", first, second)
	}
	copy(b.block(first), "hello")
	copy(b.block(second), "0123456789abcdef")
	third := b.put(strings.Repeat("x", 100_000)) // moves everything
	if string(b.block(first)) != "hello" || string(b.block(second)) != "0123456789abcdef" || len(b.block(third)) != 100_000 {
		t.Error("what was written is not there any more")
	}
	if v := b.block(first); cap(v) != 5 {
		t.Errorf("a view of 5 bytes could grow to %d", cap(v))
	}
	for _, c := range []struct{ off, n uint64 }{
		{0, 1},
		{7, 1},
		{extismBase, math.MaxUint64},
		{extismBase, 1 << 40},
		{math.MaxUint64, 1},
		{math.MaxUint64, math.MaxUint64},
		{third + 100_001, 8},
		{uint64(len(b.data)) + extismBase, 1},
	} {
		if b.view(c.off, c.n) != nil {
			t.Errorf("there is a view of %d bytes at %d", c.n, c.off)
		}
	}
	for _, off := range []uint64{0, first + 1, math.MaxUint64} {
		if len(b.block(off)) != 0 {
			t.Errorf("there is a block at %d", off)
		}
	}
	b.reset()
	if again := b.alloc(16); again != first || strings.Trim(string(b.block(again)), "\x00") != "" {
		t.Errorf("after a reset: offset %d holds %q", again, b.block(again))
	}
}

func TestBlocksAreBounded(t *testing.T) {
	var b blocks
	for _, n := range []uint64{0, extismLimit + 1, math.MaxUint64, math.MaxInt64, 1 << 63} {
		if off := b.alloc(n); off != 0 {
			t.Errorf("%d bytes at %d", n, off)
		}
	}
	total := uint64(0)
	for b.alloc(1<<16) != 0 {
		total += 1 << 16
	}
	if total != extismLimit {
		t.Errorf("%d bytes were to be had, want %d", total, extismLimit)
	}
	n := 0
	for b.reset(); b.alloc(1) != 0; {
		n++
	}
	if len(b.data) > extismLimit || n != extismLimit/8 {
		t.Errorf("%d blocks of one byte in %d bytes", n, len(b.data))
	}
}
