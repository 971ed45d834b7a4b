package engine

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestOutput(t *testing.T) {
	var lines []string
	collect := func(stream string) func(*Call, []byte) {
		return func(_ *Call, line []byte) { lines = append(lines, stream+": "+string(line)) }
	}
	p := goGuest(t, newEngine(t, Config{}), LoadConfig{Stdout: collect("out"), Stderr: collect("err")})
	in := newInstance(t, p)
	call(t, in, "print")
	if want := []string{"out: to stdout", "err: to stderr", "out: unfinished"}; !slices.Equal(lines, want) {
		t.Errorf("lines: %q, want %q", lines, want)
	}
}

func TestLongLines(t *testing.T) {
	var got []string
	p := &Program{cfg: LoadConfig{Stdout: func(_ *Call, line []byte) { got = append(got, string(line)) }}}
	c := &Call{instance: &Instance{program: p}}
	long := strings.Repeat("x", maxLine+100)
	for _, piece := range []string{"a\nb", "c\n\n", long, long, "\nnext\n", long[:maxLine], "\nlast"} {
		c.writeLines(0, []byte(piece))
	}
	c.flushLines()
	want := []string{"a", "bc", "", long[:maxLine], "next", long[:maxLine], "last"}
	if !slices.Equal(got, want) {
		t.Errorf("got %d lines, want %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("line %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
			}
		}
	}
}

func TestWorldOfTheGuest(t *testing.T) {
	t.Setenv("ODAC_SECRET", "the host's")
	p := goGuest(t, newEngine(t, Config{}), LoadConfig{Env: map[string]string{"ODAC_TEST": "abc"}})
	a, b := newInstance(t, p), newInstance(t, p)
	if got := call(t, a, "getenv"); got != 3<<8 {
		t.Errorf("environment and arguments: %#x, want %#x", got, 3<<8)
	}
	if call(t, a, "openfile") != 0 {
		t.Error("the guest read a file of the host")
	}
	if call(t, a, "random") == call(t, b, "random") {
		t.Error("two instances of one image draw the same random numbers")
	}
}

// TestDescriptorsHaveNoMemory closes descriptors in one call and uses them in the next.
func TestDescriptorsHaveNoMemory(t *testing.T) {
	var m wasmModule
	one, two, four := m.typ([]byte{I32}, []byte{I32}), m.typ([]byte{I32, I32}, []byte{I32}), m.typ([]byte{I32, I32, I32, I32}, []byte{I32})
	m.memory = []byte{0, 1}
	cl := m.imp(wasiModule, "fd_close", one)
	re := m.imp(wasiModule, "fd_renumber", two)
	wr := m.imp(wasiModule, "fd_write", four)
	rd := m.imp(wasiModule, "fd_read", four)
	m.fn("close", one, 0, 0x20, 0, 0x10, cl)
	m.fn("renumber", two, 0, 0x20, 0, 0x20, 1, 0x10, re)
	// One vector at 8: 3 bytes at 16.
	m.fn("write", one, 0, 0x41, 8, 0x41, 16, 0x36, 2, 0, 0x41, 12, 0x41, 3, 0x36, 2, 0,
		0x41, 16, 0x41, cat(leb(0x0a6968)), 0x36, 2, 0, 0x20, 0, 0x41, 8, 0x41, 1, 0x41, 0, 0x10, wr)
	m.fn("read", one, 0, 0x20, 0, 0x41, 8, 0x41, 1, 0x41, 0, 0x10, rd)
	var out bytes.Buffer
	p := load(t, newEngine(t, Config{}), m.bytes(), LoadConfig{Stdout: func(_ *Call, l []byte) { out.Write(l) }})
	in := newInstance(t, p)
	for _, fd := range []uint64{0, 1, 2} {
		call(t, in, "close", fd)
	}
	call(t, in, "renumber", 2, 1)
	if errno := call(t, in, "close", 3); errno != errnoBadf {
		t.Errorf("closing descriptor 3: errno %d", errno)
	}
	if err := in.Reset(); err != nil {
		t.Fatal(err)
	}
	if errno := call(t, in, "write", 1); errno != errnoSuccess || out.String() != "hi" {
		t.Errorf("after close in another call: errno %d, wrote %q", errno, out.String())
	}
	if errno := call(t, in, "write", 3); errno != errnoBadf {
		t.Errorf("write to descriptor 3: errno %d", errno)
	}
	if errno := call(t, in, "read", 0); errno != errnoSuccess {
		t.Errorf("read of stdin: errno %d", errno)
	}
}
