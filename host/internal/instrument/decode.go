package instrument

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Section ids of the binary format.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag
)

// sectionOrder is the position of each section id in a module.
var sectionOrder = [...]int{
	secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secTag: 6, secGlobal: 7, secExport: 8, secStart: 9,
	secElement: 10, secDataCount: 11, secCode: 12, secData: 13,
}

var sectionNames = [...]string{
	"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data",
	"data count", "tag",
}

// section is a section as it came: its payload, and where that begins in the module.
type section struct {
	id   byte
	base int
	body []byte
}

// module is a decoded module: the sections as they came, and what rewriting them needs.
type module struct {
	limits   Limits
	size     int
	sections []section
	info     Info

	types []FuncType
	// funcTypes is the type index of each function, imported ones first.
	funcTypes     []uint32
	importedFuncs uint32
	// tables counts imported and defined ones.
	tables int
	// globalTypes holds each global's value type, imported ones first; globalMutable likewise.
	globalTypes     []byte
	globalMutable   []bool
	importedGlobals int
	exports         int
	startFunc       uint32
	hasDataCount    bool
	// shared says that the memory is declared to be; memory is its section without that.
	shared    bool
	memory    []byte
	dataTaken bool
	// passive is the size of each data segment, 0 of active ones, if there is a data count.
	passive []int
}

func (s *section) reader() *reader { return &reader{b: s.body, base: s.base} }

func decode(wasm []byte, limits Limits) (*module, error) {
	m := &module{limits: limits, size: len(wasm)}
	if len(wasm) > limits.ModuleBytes {
		return nil, &Error{Offset: limits.ModuleBytes, Reason: fmt.Sprintf("module of %d bytes, the limit is %d", len(wasm), limits.ModuleBytes), Limit: true}
	}
	r := &reader{b: wasm}
	if head := r.bytes(8); r.err != nil || !bytes.Equal(head, []byte("\x00asm\x01\x00\x00\x00")) {
		if len(wasm) >= 8 && string(wasm[:4]) == "\x00asm" && wasm[6] != 0 {
			return nil, &Error{Offset: 4, Reason: "a component, not a core module"}
		}
		return nil, &Error{Reason: "not a WebAssembly module, version 1"}
	}
	last := 0
	for r.more() {
		start := r.off
		id := r.byte()
		size := r.u32()
		body := r.sub(size)
		if r.err != nil {
			return nil, r.err
		}
		if int(id) >= len(sectionNames) {
			return nil, &Error{Offset: start, Reason: fmt.Sprintf("unknown section %d", id)}
		}
		if id != secCustom {
			if sectionOrder[id] <= last {
				return nil, &Error{Offset: start, Reason: sectionNames[id] + " section out of order"}
			}
			last = sectionOrder[id]
		}
		m.sections = append(m.sections, section{id: id, base: body.base, body: body.b})
		m.section(id, body)
		if body.err != nil {
			return nil, body.err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, m.check()
}

// section reads what the rewriting needs to know of a section.
func (m *module) section(id byte, r *reader) {
	switch id {
	case secType:
		m.readTypes(r)
	case secImport:
		m.readImports(r)
	case secFunction:
		for range r.count("functions", m.limits.Functions-len(m.funcTypes)) {
			m.funcTypes = append(m.funcTypes, r.u32())
			if r.err != nil {
				return
			}
		}
	case secTable:
		n := r.count("tables", 1000)
		m.tables += n
		return
	case secMemory:
		m.readMemory(r)
	case secGlobal:
		m.readGlobals(r)
	case secExport:
		m.readExports(r)
	case secStart:
		m.startFunc, m.info.Start = r.u32(), true
	case secDataCount:
		m.hasDataCount = true
		r.u32()
	case secTag:
		r.failAt(0, unsupported(proposalExceptions))
	case secData:
		data := &reader{b: r.b, base: r.base}
		m.takeData(data)
		if at := (*Error)(nil); errors.As(data.err, &at) && at.Limit {
			r.err = data.err
		}
		if m.hasDataCount {
			m.readPassive(r)
		}
		return
	default:
		return
	}
	r.done("the " + sectionNames[id] + " section")
}

func (m *module) readTypes(r *reader) {
	n := r.count("types", 100_000)
	m.types = make([]FuncType, 0, n)
	for range n {
		start := r.off
		if form := r.byte(); r.err == nil && form != 0x60 {
			r.refuse(start, proposalOfForm(form), fmt.Sprintf("type of form %#x, only functions are known", form))
		}
		m.types = append(m.types, FuncType{Params: r.valTypes(), Results: r.valTypes()})
		if r.err != nil {
			return
		}
	}
}

// valTypes reads a vector of value types.
func (r *reader) valTypes() []byte {
	n := r.count("parameters or results", 1000)
	types := make([]byte, 0, n)
	for range n {
		types = append(types, r.valType())
	}
	return types
}

// valType reads a value type.
func (r *reader) valType() byte {
	start := r.off
	t := r.byte()
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f: // numbers, v128, funcref, externref
	default:
		r.refuse(start, proposalOfType(t), fmt.Sprintf("unknown value type %#x", t))
	}
	return t
}

// isNumber says whether a value type is one that the host can save: an integer or a float.
func isNumber(t byte) bool { return t >= 0x7c && t <= 0x7f }

func (m *module) readImports(r *reader) {
	for range r.count("imports", 100_000) {
		imp := Import{Module: r.name(), Name: r.name()}
		start := r.off
		imp.Kind = Kind(r.byte())
		switch imp.Kind {
		case KindFunc:
			t := r.u32()
			if r.err == nil && int(t) >= len(m.types) {
				r.failAt(start, "unknown type")
			}
			if r.err == nil {
				imp.Type = m.types[t]
			}
			m.funcTypes = append(m.funcTypes, t)
			m.importedFuncs++
		case KindTable:
			r.valType()
			r.limits()
			m.tables++
		case KindMemory:
			flags, _, _ := r.limits()
			m.shared = flags&2 != 0
		case KindGlobal:
			m.globalTypes = append(m.globalTypes, r.valType())
			m.globalMutable = append(m.globalMutable, r.byte() == 1)
			m.importedGlobals++
		case KindTag:
			r.failAt(start, unsupported(proposalExceptions))
		default:
			r.failAt(start, "unknown kind of import")
		}
		if r.err == nil && strings.HasPrefix(imp.Module, Prefix) {
			r.failAt(start, "import from the reserved module "+imp.Module)
		}
		if r.err != nil {
			return
		}
		m.info.Imports = append(m.info.Imports, imp)
	}
	if len(m.funcTypes) > m.limits.Functions {
		r.limit(fmt.Sprintf("%d functions imported, the limit is %d", len(m.funcTypes), m.limits.Functions))
	}
}

// limits reads the limits of a table or memory.
func (r *reader) limits() (flags byte, low uint32, high uint32) {
	start := r.off
	flags = r.byte()
	if r.err == nil && flags > 3 {
		r.refuse(start, proposalOfLimits(flags), fmt.Sprintf("unknown limits %#x", flags))
	}
	low = r.u32()
	if flags&1 != 0 {
		high = r.u32()
	}
	return flags, low, high
}

// readMemory reads the memory section. A shared memory becomes a plain one: an instance is one thread, and its memory no
// other's.
func (m *module) readMemory(r *reader) {
	switch n := r.count("memories", 1000); {
	case n > 1:
		r.failAt(0, unsupported(proposalMemories))
	case n == 1:
		m.info.HasMemory = true
		start := r.off
		flags, low, high := r.limits()
		m.info.MemoryPages, m.shared = low, flags&2 != 0
		if m.shared && flags&1 == 0 {
			r.failAt(start, "shared memory without a maximum")
		}
		m.memory = appendU32([]byte{1, flags &^ 2}, low)
		if flags&1 != 0 {
			m.memory = appendU32(m.memory, high)
		}
	}
}

func (m *module) readGlobals(r *reader) {
	for range r.count("globals", 100_000) {
		t := r.valType()
		mutable := r.byte()
		if r.err == nil && mutable > 1 {
			r.fail("mutability is neither 0 nor 1")
		}
		m.constExpr(r, nil)
		if r.err != nil {
			return
		}
		if mutable == 1 && isNumber(t) {
			m.info.Globals = append(m.info.Globals, fmt.Sprintf("%s%d", GlobalPrefix, len(m.globalTypes)))
		}
		m.globalTypes = append(m.globalTypes, t)
		m.globalMutable = append(m.globalMutable, mutable == 1)
	}
}

func (m *module) readExports(r *reader) {
	m.exports = r.count("exports", 100_000)
	for range m.exports {
		start := r.off
		exp := Export{Name: r.name()}
		exp.Kind = Kind(r.byte())
		idx := r.u32()
		if r.err == nil && strings.HasPrefix(exp.Name, Prefix) {
			r.failAt(start, "export of the reserved name "+exp.Name)
		}
		if exp.Kind == KindGlobal {
			m.knownGlobal(r, start, idx)
		}
		if r.err == nil && exp.Kind == KindFunc {
			if int(idx) >= len(m.funcTypes) || int(m.funcTypes[idx]) >= len(m.types) {
				r.failAt(start, "export of an unknown function")
			} else {
				exp.Type = m.types[m.funcTypes[idx]]
			}
		}
		if r.err != nil {
			return
		}
		m.info.Exports = append(m.info.Exports, exp)
	}
}

// check is what no single section can tell.
func (m *module) check() error {
	for _, t := range m.funcTypes {
		if int(t) >= len(m.types) {
			return &Error{Reason: fmt.Sprintf("function of unknown type %d", t)}
		}
	}
	if m.info.Start && int(m.startFunc) >= len(m.funcTypes) {
		return &Error{Reason: "start function does not exist"}
	}
	if t := m.types; m.info.Start {
		if s := t[m.funcTypes[m.startFunc]]; len(s.Params)+len(s.Results) > 0 {
			return &Error{Reason: "start function with parameters or results"}
		}
	}
	return nil
}

// Indices are checked here although the compiler validates the result, because one just beyond the module's own would
// name something that was added.

func (m *module) knownGlobal(r *reader, off int, idx uint32) {
	if r.err == nil && int64(idx) >= int64(len(m.globalTypes)) {
		r.failAt(off, "unknown global")
	}
}

func (m *module) knownFunc(r *reader, off int, idx uint32) {
	if r.err == nil && int64(idx) >= int64(len(m.funcTypes)) {
		r.failAt(off, "unknown function")
	}
}

func (m *module) knownType(r *reader, off int, idx int64) {
	if r.err == nil && idx >= int64(len(m.types)) {
		r.failAt(off, "unknown type")
	}
}

// constExpr reads a constant expression. If out is not nil it gets a copy, with function indices shifted.
func (m *module) constExpr(r *reader, out *[]byte) {
	for r.err == nil {
		start := r.off
		op := r.byte()
		switch op {
		case 0x0b: // end
			m.copyTo(out, r, start)
			return
		case 0x41, 0x42: // i32.const, i64.const
			r.skipLEB(10)
		case 0x43:
			r.bytes(4)
		case 0x44:
			r.bytes(8)
		case 0x23: // global.get
			m.knownGlobal(r, start, r.u32())
		case 0xd0: // ref.null
			r.s33()
		case 0xd2: // ref.func
			f := r.u32()
			m.knownFunc(r, start, f)
			if out != nil && r.err == nil {
				*out = appendU32(append(*out, 0xd2), m.shift(f))
			}
			continue
		case 0xfd:
			if sub := r.u32(); r.err == nil && sub != 12 {
				r.failAt(start, "instruction in a constant expression")
			}
			r.bytes(16)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul of i32 and i64
		default:
			r.failAt(start, fmt.Sprintf("instruction %#x in a constant expression", op))
		}
		m.copyTo(out, r, start)
	}
}

func (m *module) copyTo(out *[]byte, r *reader, start int) {
	if out != nil && r.err == nil {
		*out = append(*out, r.b[start:r.off]...)
	}
}

// shift returns the new index of a function: the added import takes the index after the last imported one.
func (m *module) shift(f uint32) uint32 {
	if f >= m.importedFuncs {
		return f + 1
	}
	return f
}
