package instrument

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func leb(v int) []byte { return appendU32(nil, uint32(v)) }

// sec returns a section of a vector.
func sec(id byte, items ...[]byte) []byte {
	body := join(append([][]byte{leb(len(items))}, items...)...)
	return join([]byte{id}, leb(len(body)), body)
}

// mod returns a module with one function without parameters and results, exported as run, whose code is given.
func mod(code ...byte) []byte {
	body := join([]byte{0}, code, []byte{opEnd})
	return join([]byte("\x00asm\x01\x00\x00\x00"), sec(secType, []byte{0x60, 0, 0}), sec(secFunction, []byte{0}),
		sec(secExport, []byte("\x03run\x00\x00")), sec(secCode, join(leb(len(body)), body)))
}

func TestTruncated(t *testing.T) {
	wasm := mod(opLoop, blockEmpty, opBr, 0, opEnd)
	if _, _, err := Module(wasm, Limits{}); err != nil {
		t.Fatal(err)
	}
	whole := 0
	for n := range wasm {
		_, _, err := Module(wasm[:n], Limits{})
		var at *Error
		switch {
		case err == nil:
			whole++ // between sections, before the function section
		case !errors.As(err, &at) || at.Offset < 0 || at.Offset > n:
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if whole > 2 {
		t.Errorf("%d truncated modules are accepted", whole)
	}
}

func TestLimits(t *testing.T) {
	nested := bytes.Repeat([]byte{opBlock, blockEmpty}, 200_000)
	passive := make([]byte, 5<<20)
	many := func(n int, item []byte) [][]byte { return slices.Repeat([][]byte{item}, n) }
	loops := bytes.Repeat([]byte{opLoop, blockEmpty, opEnd}, 200_000)
	types := sec(secType, []byte{0x60, 0, 0})
	head := []byte("\x00asm\x01\x00\x00\x00")
	for name, c := range map[string]struct {
		wasm   []byte
		limits Limits
	}{
		"module":            {mod(), Limits{ModuleBytes: 20}},
		"nesting":           {mod(nested...), Limits{}},
		"growth by loops":   {mod(loops...), Limits{}},
		"body":              {mod(0x01, 0x01, 0x01, 0x01), Limits{BodyBytes: 3}},
		"functions":         {join(head, types, []byte{secFunction, 5}, leb(1<<28), []byte{0}), Limits{}},
		"million types":     {join(head, sec(secType, many(1_000_000, []byte{0x60, 0, 0})...)), Limits{}},
		"million functions": {join(head, types, sec(secFunction, many(1_000_000, []byte{0})...)), Limits{}},
		"million globals":   {join(head, sec(secGlobal, many(1_000_000, []byte{0x7f, 1, opI32Const, 0, opEnd})...)), Limits{}},
		"million exports":   {join(head, types, sec(secFunction, []byte{0}), sec(secExport, many(1_000_000, []byte{0, 0, 0})...)), Limits{}},
		"million imports":   {join(head, types, sec(secImport, many(1_000_000, []byte{0, 0, 0, 0})...)), Limits{}},
		"million elements":  {join(head, types, sec(secFunction, []byte{0}), sec(secElement, join([]byte{1, 0}, leb(1_000_001), make([]byte, 1_000_001))), sec(secCode, []byte{2, 0, opEnd})), Limits{}},
		"million segments":  {join(head, sec(secMemory, []byte{0, 1}), sec(secData, many(1_000_001, []byte{0, opI32Const, 0, opEnd, 0})...)), Limits{}},
		"million labels":    {mod(opI32Const, 0, opBrTable, 0xff, 0xff, 0xff, 0x7f, 0), Limits{}},
		"passive segment":   {join(head, sec(secMemory, []byte{0, 1}), []byte{secDataCount, 1, 1}, sec(secData, join([]byte{1}, leb(len(passive)), passive))), Limits{}},
		"blocks and locals": {join(head, types, sec(secFunction, []byte{0}), sec(secCode, func() []byte {
			body := join([]byte{1}, leb(50_000), []byte{0x7f}, bytes.Repeat([]byte{opBlock, blockEmpty, opEnd}, 3000), []byte{opEnd})
			return join(leb(len(body)), body)
		}())), Limits{}},
		"table":           {join(head, sec(secTable, join([]byte{0x70, 0}, leb(1<<20)))), Limits{}},
		"locals":          {join(head, types, sec(secFunction, []byte{0}), sec(secCode, join(leb(8), []byte{1}, leb(1<<28), []byte{0x7f, opEnd}))), Limits{}},
		"parameters":      {join(head, sec(secType, join([]byte{0x60}, leb(1001), bytes.Repeat([]byte{0x7f}, 1001), []byte{0}))), Limits{}},
		"locals overflow": {join(head, types, sec(secFunction, []byte{0}), sec(secCode, join(leb(14), []byte{2}, leb(1<<32-1), []byte{0x7f}, leb(1<<32-1), []byte{0x7f, opEnd}))), Limits{}},
	} {
		var at *Error
		if _, _, err := Module(c.wasm, c.limits); !errors.As(err, &at) || !at.Limit {
			t.Errorf("%s: error is %v, want a limit", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	reserved := mod()
	name := Prefix + "x"
	head := []byte("\x00asm\x01\x00\x00\x00")
	for what, wasm := range map[string][]byte{
		"reserved export":      join(reserved[:8], sec(secType, []byte{0x60, 0, 0}), sec(secFunction, []byte{0}), sec(secExport, join(leb(len(name)), []byte(name), []byte{0, 0})), sec(secCode, []byte{2, 0, opEnd})),
		"reserved import":      join(head, sec(secType, []byte{0x60, 0, 0}), sec(secImport, join(leb(len(TickModule)), []byte(TickModule), []byte("\x04tick\x00\x00")))),
		"section twice":        join(head, sec(secType), sec(secType)),
		"section out of order": join(head, sec(secFunction), sec(secType)),
		"unknown section":      join(head, []byte{77, 0}),
		"long opcode":          mod(opVector, 0x8e, 0x00),
		"unknown label":        mod(opBr, 7),
		"too few bodies":       join(head, sec(secType, []byte{0x60, 0, 0}), sec(secFunction, []byte{0})),
	} {
		var at *Error
		if _, _, err := Module(wasm, Limits{}); !errors.As(err, &at) {
			t.Errorf("%s: error is %v", what, err)
		}
	}
}

// TestProposals says that what is refused is named, with its place.
func TestProposals(t *testing.T) {
	head := []byte("\x00asm\x01\x00\x00\x00")
	typ := func(t ...byte) []byte { return join(head, sec(secType, t)) }
	memory := func(m ...[]byte) []byte { return join(head, sec(secMemory, m...)) }
	for _, c := range []struct {
		proposal string
		wasm     []byte
		offset   int
	}{
		{proposalExceptions, mod(0x06, blockEmpty, opEnd), 0},
		{proposalExceptions, mod(0x1f, blockEmpty, 0, opEnd), 0},
		{proposalExceptions, mod(0x08, 0), 0},
		{proposalExceptions, typ(0x60, 1, 0x69, 0), 12},
		{proposalExceptions, join(head, sec(secType, []byte{0x60, 0, 0}), sec(secTag, []byte{0, 0})), 16},
		{proposalExceptions, join(head, sec(secType, []byte{0x60, 0, 0}), sec(secImport, []byte("\x01m\x01t\x04\x00\x00"))), 21},
		{proposalReferences, mod(0xd4), 0},
		{proposalReferences, mod(0x14, 0), 0},
		{proposalReferences, typ(0x60, 1, 0x64, 0), 12},
		{proposalGC, mod(0xfb, 0), 0},
		{proposalGC, typ(0x5f, 0), 11},
		{proposalGC, typ(0x60, 1, 0x6e, 0), 12},
		{proposalStacks, mod(0xe0, 0), 0},
		{proposalMemory64, memory([]byte{4, 1}), 11},
		{proposalPages, memory([]byte{8, 1, 0}), 11},
		{proposalMemories, memory([]byte{0, 1}, []byte{0, 1}), 10},
		{proposalMemories, mod(opI32Const, 0, 0x28, 0x42, 1, 0), 0},
		{proposalRelaxed, mod(opVector, 0x80, 0x02), 0},
		{proposalWide, mod(opMisc, 19), 0},
	} {
		if c.offset == 0 {
			c.offset = bytes.LastIndex(c.wasm, []byte{secCode}) // somewhere in the code
		}
		var at *Error
		if _, _, err := Module(c.wasm, Limits{}); !errors.As(err, &at) || at.Reason != unsupported(c.proposal) || at.Limit || at.Offset < c.offset || at.Offset > c.offset+8 {
			t.Errorf("%s: error is %v, want the name at %#x", c.proposal, err, c.offset)
		}
	}
}

func TestInfo(t *testing.T) {
	wasm := join([]byte("\x00asm\x01\x00\x00\x00"), sec(secType, []byte{0x60, 1, 0x7e, 1, 0x7c}, []byte{0x60, 0, 0}),
		sec(secImport, []byte("\x01m\x01f\x00\x00")), sec(secFunction, []byte{1}), sec(secMemory, []byte{0, 7}),
		sec(secGlobal, []byte{0x7f, 0, 0x41, 0, opEnd}, []byte{0x7e, 1, 0x42, 0, opEnd}, []byte{0x70, 1, 0xd0, 0x70, opEnd}),
		sec(secExport, []byte("\x03run\x00\x01")), []byte{secStart, 1, 1}, sec(secCode, []byte{2, 0, opEnd}),
		sec(secData, []byte("\x00\x41\x05\x0b\x02hi")))
	out, info, err := Module(wasm, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Imports) != 1 || info.Imports[0].Module != "m" || !bytes.Equal(info.Imports[0].Type.Results, []byte{0x7c}) {
		t.Errorf("imports: %+v", info.Imports)
	}
	if len(info.Exports) != 1 || info.Exports[0].Name != "run" || !info.Start || info.MemoryPages != 7 {
		t.Errorf("info: %+v", info)
	}
	if len(info.Globals) != 1 || info.Globals[0] != GlobalPrefix+"1" {
		t.Errorf("globals: %q", info.Globals)
	}
	if len(info.Data) != 1 || info.Data[0].Offset != 5 || string(info.Data[0].Bytes) != "hi" {
		t.Errorf("data: %+v", info.Data)
	}
	for _, name := range []string{StateExport, StartExport, TickModule} {
		if !bytes.Contains(out, []byte(name)) {
			t.Errorf("%s is not in the output", name)
		}
	}
	if _, _, err := Module(out, Limits{}); err == nil {
		t.Error("an instrumented module is instrumented again")
	}
}

func FuzzModule(f *testing.F) {
	f.Add(mod(opLoop, blockEmpty, opBr, 0, opEnd))
	f.Add(mod(opI32Const, 0, opIf, blockEmpty, opReturn, opElse, opEnd))
	f.Add(mod(opI32Const, 0, opI32Const, 0, opI32Const, 9, opMisc, miscMemoryFill, 0))
	f.Add(mod(opI32Const, 0, opI32Const, 0, 0x42, 0, opAtomic, atomicWait32, 2, 0, opDrop))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		before := bytes.Clone(wasm)
		out, _, err := Module(wasm, Limits{})
		exact, _, err2 := Metered(wasm, Limits{})
		if !bytes.Equal(before, wasm) {
			t.Fatal("the input was changed")
		}
		if (err == nil) != (err2 == nil) && len(wasm) < 1<<16 {
			t.Fatalf("accepted only one way: %v, %v", err, err2)
		}
		if err != nil {
			var at *Error
			if !errors.As(err, &at) || at.Offset < 0 || at.Offset > len(wasm) {
				t.Fatalf("error without an offset: %v", err)
			}
			return
		}
		// What was written can be read, but for the reserved names.
		for _, out := range [][]byte{out, exact} {
			if _, err := decode(bytes.ReplaceAll(out, []byte(Prefix), []byte("ODAC:ENGINE/")), Limits{}.withDefaults()); err != nil {
				t.Fatalf("the output is not a module: %v", err)
			}
		}
	})
}
