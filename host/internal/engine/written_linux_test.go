package engine

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// writer is a module with a function that does nothing, one that leaves a line unfinished, one that calls the host, and one that
// fills its memory.
func writer() []byte {
	var m wasmModule
	v := m.typ(nil, nil)
	m.imp(wasiModule, "fd_write", m.typ([]byte{I32, I32, I32, I32}, []byte{I32}))
	m.imp("test:host/v1", "poke", v)
	m.memory = []byte{0, 20}
	m.fn("nothing", v, 0)
	// An iovec at 8 of 4 bytes at 0.
	m.fn("print", v, 0, 0x41, 8, 0x41, 0, 0x36, 2, 0, 0x41, 12, 0x41, 4, 0x36, 2, 0, 0x41, 1, 0x41, 8, 0x41, 1, 0x41, 16, 0x10, 0, 0x1a)
	m.fn("poke", v, 0, 0x10, 1)
	m.fn("fill", v, 0, 0x41, 0, 0x41, 9, 0x3f, 0, 0x41, 16, 0x74, 0xfc, 11, 0)
	return m.bytes()
}

// TestWhoeverWrites has all that see a call write to a page that nobody wrote to before, in calls that have no other page to write to.
func TestWhoeverWrites(t *testing.T) {
	var at uint32
	who := ""
	write := func(name string, c *Call) {
		if name == who && !c.Write(at, []byte("secret")) {
			t.Fatal("out of bounds")
		}
	}
	poke := func(c *Call, _ []uint64) {
		switch who {
		case "host function":
			write(who, c)
		case "host function on another thread":
			c.Wait()
			began := unix.Gettid()
			for range 1000 { // it may be the same in the end
				if unix.Gettid() != began {
					break
				}
				other := make(chan struct{})
				go func() {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					close(other)
				}()
				<-other
			}
			write(who, c)
		case "host function before it waits":
			write(who, c)
			c.Wait()
		case "host function that fails":
			write(who, c)
			panic("a defect of the host")
		}
	}
	p := load(t, newEngine(t, Config{}), writer(), LoadConfig{
		Modules: []Module{{Name: "test:host/v1", Funcs: []Func{{Name: "poke", Call: poke}}}},
		Begin:   func(c *Call) { write("Begin", c) },
		End:     func(c *Call) { write("End", c) },
		Stdout:  func(c *Call, _ []byte) { write("Stdout", c) },
	})
	in := newInstance(t, p)
	run := func(export string) {
		t.Helper()
		_, _ = in.Call(t.Context(), nil, time.Time{}, export) // some fail
		if err := in.Reset(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(in.bytes(), p.image.bytes()) {
			t.Errorf("%s wrote at %#x, and it stayed", who, at)
			copy(in.bytes(), p.image.bytes())
		}
	}
	for range 3 { // the pages that they all write to are known from here on
		run("print")
	}
	for _, who = range []string{
		"Begin", "End", "Stdout", "host function", "host function on another thread", "host function before it waits", "host function that fails",
	} {
		export := map[string]string{"Begin": "nothing", "End": "nothing", "Stdout": "print"}[who]
		if export == "" {
			export = "poke"
		}
		for range 8 {
			at += uint32(os.Getpagesize())
			run(export)
		}
	}
}

// TestLockedMemory is of a process that locks its memory, whose mappings have private pages that no call wrote to.
func TestLockedMemory(t *testing.T) {
	p := load(t, newEngine(t, Config{}), writer(), LoadConfig{Modules: []Module{{Name: "test:host/v1", Funcs: []Func{{Name: "poke", Call: func(*Call, []uint64) {}}}}}})
	if err := unix.Mlockall(unix.MCL_FUTURE); err != nil {
		t.Skipf("mlockall: %v", err)
	}
	defer func() {
		if err := unix.Munlockall(); err != nil {
			t.Error(err)
		}
	}()
	for range 200 { // until what else a first call needs is there without a fault of its own
		in := newInstance(t, p)
		call(t, in, "fill")
		if err := in.Reset(); errors.Is(err, ErrDiscard) {
			continue // locked pages cannot be given back
		} else if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(in.bytes(), p.image.bytes()) {
			t.Fatal("the memory is not the image")
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
