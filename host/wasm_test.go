package host_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/plugins"
)

// tiny is a guest of some hundred bytes, written by hand: it loads in a moment, and can be wrong in ways that no compiler
// makes. Its zero value registers nothing and answers every event with nothing.
type tiny struct {
	imports      [][2]string // module and function, besides core's output; all have the ABI's signature
	registration []byte      // what odac_register answers; nil is an empty one of this ABI
	answer       []byte      // what odac_event answers
	initialize   []byte      // code of _initialize; nil is none
	register     []byte      // code that odac_register runs first
	event        []byte      // code that odac_event runs first
	lacks        string      // an export that is left out
	table        bool        // there is a table of one function
}

// Pieces of code.
var (
	codeForever = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} // loop br 0 end
	codeTrap    = []byte{0x00}
	// loop: grow by 16 pages; unreachable when there are no more
	codeAllocate = []byte{0x03, 0x40, 0x41, 0x10, 0x40, 0x00, 0x41, 0x7f, 0x46, 0x04, 0x40, 0x00, 0x0b, 0x0c, 0x00, 0x0b}
	codeTableSet = []byte{0x41, 0x00, 0xd0, 0x70, 0x26, 0x00} // table[0] = null
)

func encoded(t testing.TB, m msgp.Marshaler) []byte {
	t.Helper()
	b, err := m.MarshalMsg(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func uleb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// sleb is a signed LEB128 of a number that is not negative.
func sleb(n int) []byte {
	b := uleb(n)
	if b[len(b)-1]&0x40 != 0 {
		b[len(b)-1] |= 0x80
		b = append(b, 0)
	}
	return b
}

func vector(items ...[]byte) []byte {
	return slices.Concat(append([][]byte{uleb(len(items))}, items...)...)
}

func sized(b ...[]byte) []byte {
	all := slices.Concat(b...)
	return append(uleb(len(all)), all...)
}

func section(id byte, items ...[]byte) []byte { return append([]byte{id}, sized(vector(items...))...) }

// wasm is the module.
func (g tiny) wasm(t testing.TB) []byte {
	if g.registration == nil {
		g.registration = encoded(t, &abi.Registration{ABI: abi.Version, SDK: "by hand"})
	}
	const at = 1024
	memory := append(slices.Clone(g.registration), g.answer...)
	name := func(s string) []byte { return sized([]byte(s)) }
	imports := [][]byte{append(slices.Concat(name(abi.ModuleCore), name(abi.FuncOutput)), 0, 0)}
	for _, i := range g.imports {
		imports = append(imports, append(slices.Concat(name(i[0]), name(i[1])), 0, 0))
	}
	answer := func(first []byte, ptr, n int) []byte {
		return sized([]byte{0}, first, []byte{0x41}, sleb(ptr), []byte{0x41}, sleb(n), []byte{0x41, 0, 0x41, 0, 0x10, 0, 0x1a, 0x41, 0, 0x0b})
	}
	first := len(imports)
	var exports [][]byte
	for i, export := range []string{abi.ExportRegister, abi.ExportEvent, "_initialize"} {
		if g.lacks != export && (i < 2 || g.initialize != nil) {
			exports = append(exports, slices.Concat(name(export), []byte{0}, uleb(first+i)))
		}
	}
	exports = append(exports, append(name("memory"), 2, 0))
	out := slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, []byte{0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7e}, []byte{0x60, 1, 0x7f, 1, 0x7f}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7f}, []byte{0x60, 0, 0}),
		section(2, imports...),
		section(3, []byte{1}, []byte{2}, []byte{3}))
	if g.table {
		out = append(out, section(4, []byte{0x70, 0, 1})...)
	}
	return slices.Concat(out,
		section(5, append([]byte{0}, uleb((at+len(memory))/65536+1)...)),
		section(7, exports...),
		section(10,
			answer(g.register, at, len(g.registration)),
			answer(g.event, at+len(g.registration), len(g.answer)),
			sized([]byte{0}, g.initialize, []byte{0x0b})),
		section(11, slices.Concat([]byte{0, 0x41}, sleb(at), []byte{0x0b}, sized(memory))))
}

// bundle packs it with a manifest of the name, mounted below the name, and further lines.
func (g tiny) bundle(t testing.TB, name, lines string) *plugins.Bundle {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.yaml"), fmt.Appendf(nil, "name: %s\nversion: 1.0.0\nmount: /%s\n%s", name, name, lines))
	write(t, filepath.Join(dir, "plugin.wasm"), g.wasm(t))
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// page is a tiny guest that answers GET / with a text, and any other path of one part as well.
func page(t testing.TB, text string) tiny {
	return tiny{
		registration: encoded(t, &abi.Registration{ABI: abi.Version, Routes: []abi.Route{{Method: "GET", Pattern: "/{$}"}, {Pattern: "/{any}"}}}),
		answer:       encoded(t, &abi.HTTPResponse{Status: 200, Header: []string{"Content-Type", "text/plain"}, Body: []byte(text)}),
	}
}
