package instrument

import (
	"fmt"
	"strings"
)

// encode writes the module again with everything added.
func (m *module) encode(metered bool) ([]byte, error) {
	e := &encoder{module: m, maxBytes: 4*m.size + 1<<20, metered: metered}
	if metered {
		e.maxBytes = 6*m.size + 1<<20
	}
	e.out = make([]byte, 0, m.size+m.size/4+1024)
	e.out = append(e.out, "\x00asm\x01\x00\x00\x00"...)
	e.layout()
	if err := e.scanBodies(); err != nil {
		return nil, err
	}
	// The code first, because rewriting it may add types.
	if err := e.rewriteBodies(); err != nil {
		return nil, err
	}
	added := map[byte]bool{}
	for i := range m.sections {
		s := &m.sections[i]
		// The sections that must exist are made where they belong if the module has none.
		if s.id != secCustom {
			if err := e.missing(added, sectionOrder[s.id]); err != nil {
				return nil, err
			}
		}
		added[s.id] = true
		if err := e.section(s); err != nil {
			return nil, err
		}
		if len(e.out) > e.maxBytes {
			return nil, &Error{Offset: s.base, Reason: "too many loops and branches for the module's size", Limit: true}
		}
	}
	return e.out, e.missing(added, len(sectionOrder)+1)
}

// encoder holds the indices of what is added.
type encoder struct {
	*module
	out      []byte
	maxBytes int
	scratch  []byte
	// metered says that the balance is exact, and exported.
	metered bool

	// Type indices: the tick's, and that of bulk memory helpers.
	tickType, bulkType uint32
	// extraTypes are those that the rewriting of loops with parameters added.
	extraTypes map[string]uint32
	newTypes   [][]byte
	// Function indices, in the new numbering.
	tick, fill, copy uint32
	// Global indices.
	balance, state uint32
	// bodies is what scanning them told; bulk says that one of them fills or copies memory.
	bodies []bodyScan
	bulk   bool
	// code is the new code section.
	code []byte
}

func (e *encoder) layout() {
	n := uint32(len(e.types))
	e.tickType, e.bulkType = n, n+1
	e.newTypes = [][]byte{
		{0x60, 1, 0x7f, 1, 0x7f},
		{0x60, 3, 0x7f, 0x7f, 0x7f, 0},
	}
	e.extraTypes = map[string]uint32{}
	e.tick = e.importedFuncs
	e.fill = uint32(len(e.funcTypes)) + 1
	e.copy = e.fill + 1
	e.balance = uint32(len(e.globalTypes))
	e.state = e.balance + 1
}

// helpers is how many functions are appended: two for bulk memory, if there is a memory to work on.
func (e *encoder) helpers() int {
	if e.bulk {
		return 2
	}
	return 0
}

// missing writes the added sections that come before position order and that the module lacks.
func (e *encoder) missing(done map[byte]bool, order int) error {
	for _, id := range []byte{secType, secImport, secFunction, secGlobal, secExport, secCode} {
		if sectionOrder[id] < order && !done[id] {
			done[id] = true
			if (id == secFunction || id == secCode) && e.helpers() == 0 {
				continue
			}
			// A vector of no items.
			if err := e.section(&section{id: id, body: []byte{0}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *encoder) section(s *section) error {
	body := e.scratch[:0]
	r := s.reader()
	switch s.id {
	case secCustom:
		keep, ok := e.custom(r, body)
		if !ok {
			return nil
		}
		body = keep
	case secType:
		body = e.typeSection(r, body)
	case secImport:
		body = appendVec(body, r, 1, s.body)
		body = appendName(appendName(body, TickModule), TickName)
		body = appendU32(append(body, byte(KindFunc)), e.tickType)
	case secFunction:
		body = appendVec(body, r, e.helpers(), s.body)
		for range e.helpers() {
			body = appendU32(body, e.bulkType)
		}
	case secTable:
		body = e.tableSection(r, body)
	case secMemory:
		if e.memory == nil {
			return nil // of no memories
		}
		body = append(body, e.memory...)
	case secGlobal:
		body = e.globalSection(r, body)
	case secExport:
		body = e.exportSection(r, body)
	case secStart:
		return nil
	case secData:
		if e.dataTaken {
			return nil
		}
		body = append(body, s.body...)
	case secElement:
		body = e.elementSection(r, body)
	case secCode:
		body = append(body, e.code...)
	default:
		body = append(body, s.body...)
	}
	if r.err != nil {
		return r.err
	}
	e.scratch = body
	e.out = append(e.out, s.id)
	e.out = appendU32(e.out, uint32(len(body)))
	e.out = append(e.out, body...)
	return nil
}

// appendVec copies a vector with its length raised by added; the caller appends the items.
func appendVec(out []byte, r *reader, added int, all []byte) []byte {
	n := r.u32()
	out = appendU32(out, n+uint32(added))
	return append(out, all[r.off:]...)
}

// custom copies a custom section, or says that it is to be dropped: offsets into the code would be wrong, names of
// functions are renumbered.
func (e *encoder) custom(r *reader, out []byte) ([]byte, bool) {
	name := r.name()
	if r.err != nil {
		return nil, true
	}
	switch {
	case name == "name":
		return e.nameSection(r, appendName(out, name)), true
	case strings.HasPrefix(name, ".debug_"), strings.HasPrefix(name, "metadata.code."), name == "linking", strings.HasPrefix(name, "reloc."), name == "sourceMappingURL":
		return nil, false
	}
	return append(out, r.b...), true
}

// nameSection keeps the module's name and the functions', renumbered; locals and the like are for debuggers only.
func (e *encoder) nameSection(r *reader, out []byte) []byte {
	for r.more() {
		id := r.byte()
		sub := r.sub(r.u32())
		var payload []byte
		switch id {
		case 0:
			payload = appendName(nil, sub.name())
		case 1:
			n := sub.count("function names", e.limits.Functions*2)
			payload = appendU32(make([]byte, 0, len(sub.b)+len(sub.b)/8), uint32(n))
			for range n {
				f := sub.u32()
				payload = appendName(appendU32(payload, e.shift(f)), sub.name())
			}
		default:
			continue
		}
		sub.done("the names")
		if sub.err != nil {
			r.err = sub.err
			return nil
		}
		out = append(appendU32(append(out, id), uint32(len(payload))), payload...)
	}
	return out
}

// typeSection writes the types and the added ones.
func (e *encoder) typeSection(r *reader, out []byte) []byte {
	out = appendVec(out, r, len(e.newTypes), r.b)
	for _, t := range e.newTypes {
		out = append(out, t...)
	}
	return out
}

// tableSection clamps what tables may grow to.
func (e *encoder) tableSection(r *reader, out []byte) []byte {
	n := r.count("tables", 1000)
	out = appendU32(out, uint32(n))
	share := uint32(e.limits.TableElements / max(e.tables, 1))
	for range n {
		withInit := r.off < len(r.b) && r.b[r.off] == 0x40
		if withInit {
			out = append(out, r.bytes(2)...)
		}
		start := r.off
		r.valType()
		e.copyTo(&out, r, start)
		flags, low, high := r.limits()
		if r.err == nil && low > share {
			r.limit(fmt.Sprintf("table of %d elements, the limit is %d", low, share))
		}
		if flags&1 == 0 || high > share {
			high = share
		}
		out = append(out, flags|1)
		out = appendU32(appendU32(out, low), high)
		if withInit {
			e.constExpr(r, &out)
		}
		if r.err != nil {
			return nil
		}
	}
	r.done("the table section")
	return out
}

func (e *encoder) globalSection(r *reader, out []byte) []byte {
	n := r.u32()
	out = appendU32(out, n+2)
	for range n {
		start := r.off
		r.valType()
		r.byte()
		e.copyTo(&out, r, start)
		e.constExpr(r, &out)
		if r.err != nil {
			return nil
		}
	}
	// The balance begins at zero, so that the first check is a tick; the marks begin unset.
	for range 2 {
		out = append(out, 0x7f, 1, 0x41, 0, 0x0b)
	}
	return out
}

func (e *encoder) exportSection(r *reader, out []byte) []byte {
	n := r.u32()
	added := len(e.info.Globals) + 1
	if e.info.Start {
		added++
	}
	if e.metered {
		added++
	}
	out = appendU32(out, n+uint32(added))
	for range n {
		out = appendName(out, r.name())
		kind := r.byte()
		idx := r.u32()
		if Kind(kind) == KindFunc {
			idx = e.shift(idx)
		}
		out = appendU32(append(out, kind), idx)
		if r.err != nil {
			return nil
		}
	}
	for i, t := range e.globalTypes {
		if i >= e.importedGlobals && e.globalMutable[i] && isNumber(t) {
			out = appendName(out, fmt.Sprintf("%s%d", GlobalPrefix, i))
			out = appendU32(append(out, byte(KindGlobal)), uint32(i))
		}
	}
	out = appendU32(append(appendName(out, StateExport), byte(KindGlobal)), e.state)
	if e.metered {
		out = appendU32(append(appendName(out, BalanceExport), byte(KindGlobal)), e.balance)
	}
	if e.info.Start {
		out = appendU32(append(appendName(out, StartExport), byte(KindFunc)), e.shift(e.startFunc))
	}
	return out
}

// maxElements bounds the elements of all segments together, of which every instance has a copy.
const maxElements = 1_000_000

func (e *encoder) elementSection(r *reader, out []byte) []byte {
	n := r.count("element segments", 100_000)
	out = appendU32(out, uint32(n))
	elements := 0
	for range n {
		start := r.off
		flags := r.u32()
		if r.err == nil && flags > 7 {
			r.failAt(start, "unknown form of element segment")
		}
		out = appendU32(out, flags)
		if flags&1 == 0 { // active
			if flags&2 != 0 {
				out = appendU32(out, r.u32())
			}
			e.constExpr(r, &out)
		}
		exprs := flags&4 != 0
		if flags&3 != 0 { // an element kind, or a reference type
			start := r.off
			if exprs {
				r.valType()
			} else {
				r.byte()
			}
			e.copyTo(&out, r, start)
		}
		items := r.count("elements", maxElements-elements)
		elements += items
		out = appendU32(out, uint32(items))
		for range items {
			if exprs {
				e.constExpr(r, &out)
			} else {
				start, f := r.off, r.u32()
				e.knownFunc(r, start, f)
				out = appendU32(out, e.shift(f))
			}
			if r.err != nil {
				return nil
			}
		}
		if r.err != nil {
			return nil
		}
	}
	r.done("the element section")
	return out
}
