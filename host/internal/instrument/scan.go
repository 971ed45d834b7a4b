package instrument

import "fmt"

// maxNesting bounds blocks within blocks, of which compiled Go has thousands.
const maxNesting = 100_000

// bodyScan is what must be known of a body before it can be rewritten.
type bodyScan struct {
	// body is without its size prefix, and base where it begins in the module.
	body []byte
	base int
	// weight of the instructions outside of loops.
	weight int
	// calls says that it enters other functions; bulk that it fills or copies memory; grows that it grows it.
	calls, bulk, grows bool
	// loopFirst says that every path through the body first passes the head of a loop.
	loopFirst bool
	loops     []loopScan
}

type loopScan struct {
	// calls says that the loop, or one in it, enters other functions.
	calls bool
	// caught says that an exception may lead straight to the loop's head.
	caught bool
}

// scanBodies finds the function bodies and scans each.
func (e *encoder) scanBodies() error {
	defined := len(e.funcTypes) - int(e.importedFuncs)
	for i := range e.sections {
		s := &e.sections[i]
		if s.id != secCode {
			continue
		}
		r := s.reader()
		n := r.count("function bodies", e.limits.Functions)
		if r.err == nil && n != defined {
			r.failf("%d function bodies for %d functions", n, defined)
		}
		if r.err != nil {
			return r.err
		}
		e.bodies = make([]bodyScan, n)
		sc := scanner{module: e.module}
		for i := range e.bodies {
			start := r.off
			size := r.u32()
			if r.err == nil && int64(size) > int64(e.limits.BodyBytes) {
				r.off = start
				r.limit(fmt.Sprintf("function of %d bytes, the limit is %d", size, e.limits.BodyBytes))
			}
			body := r.sub(size)
			if r.err != nil {
				return r.err
			}
			b := &e.bodies[i]
			b.body, b.base = body.b, body.base
			params := len(e.types[e.funcTypes[int(e.importedFuncs)+i]].Params)
			if err := sc.scan(b, body, params, e.limits.Locals); err != nil {
				return err
			}
			e.bulk = e.bulk || b.bulk
		}
		r.done("the code section")
		return r.err
	}
	if defined > 0 {
		return &Error{Offset: e.size, Reason: fmt.Sprintf("no function bodies for %d functions", defined)}
	}
	return nil
}

// scanner keeps what scans of bodies can share.
type scanner struct {
	// module is nil while scanning helpers, whose indices are not the module's.
	module *module
	in     instr
	// frames holds the loop index of each open block, -1 if it is none; loops those of the open loops.
	frames []int
	loops  []int
}

func (s *scanner) scan(b *bodyScan, r *reader, params, maxLocals int) error {
	locals := 0
	for range r.count("groups of locals", maxLocals) {
		n := r.u32()
		r.valType()
		if int64(locals)+int64(n) > int64(maxLocals) {
			r.limit(fmt.Sprintf("%d locals, the limit is %d", int64(locals)+int64(n), maxLocals))
		}
		locals += int(n)
		if r.err != nil {
			return r.err
		}
	}
	s.frames = append(s.frames[:0], -1)
	s.loops = s.loops[:0]
	prefix := true
	in := &s.in
	for len(s.frames) > 0 {
		in.read(r)
		s.known(r, params+locals)
		if r.err != nil {
			return r.err
		}
		if len(s.loops) == 0 && b.weight < 1<<30 {
			b.weight += in.weight()
		}
		call := in.isCall()
		if call {
			b.calls = true
			// From the inside out, up to one that is marked, whose outer ones are marked too: linear in all.
			for i := len(s.loops) - 1; i >= 0 && !b.loops[s.loops[i]].calls; i-- {
				b.loops[s.loops[i]].calls = true
			}
		}
		if prefix && (call || !straight(in.op)) {
			prefix = false
			b.loopFirst = in.op == opLoop
		}
		switch in.op {
		case opLoop:
			s.loops = append(s.loops, len(b.loops))
			s.frames = append(s.frames, len(b.loops))
			b.loops = append(b.loops, loopScan{})
		case opTryTable:
			for _, c := range in.catches {
				if int64(c.label) >= int64(len(s.frames)) {
					r.failAt(in.start, "unknown label")
					return r.err
				}
				if l := s.frames[len(s.frames)-1-int(c.label)]; l >= 0 {
					b.loops[l].caught = true
				}
			}
			s.frames = append(s.frames, -1)
		case opBlock, opIf:
			s.frames = append(s.frames, -1)
		case opEnd:
			top := s.frames[len(s.frames)-1]
			s.frames = s.frames[:len(s.frames)-1]
			if top >= 0 {
				s.loops = s.loops[:len(s.loops)-1]
			}
		case opMemoryGrow:
			b.grows = true
		case opMisc:
			b.bulk = b.bulk || in.sub == miscMemoryCopy || in.sub == miscMemoryFill
		}
		if len(s.frames) > maxNesting {
			r.limit("blocks nested too deeply")
			return r.err
		}
	}
	r.done("the function")
	return r.err
}

// known refuses indices beyond what the module has itself.
func (s *scanner) known(r *reader, locals int) {
	in, m := &s.in, s.module
	if m == nil {
		return
	}
	switch in.op {
	case opLocalGet, opLocalSet, opLocalTee:
		if int64(in.idx) >= int64(locals) {
			r.failAt(in.start, "unknown local")
		}
	case opGlobalGet, opGlobalSet:
		m.knownGlobal(r, in.start, in.idx)
	case opCall, opReturnCall, opRefFunc:
		m.knownFunc(r, in.start, in.idx)
	case opCallIndirect, opReturnCallIndirect:
		m.knownType(r, in.start, int64(in.idx))
	case opBlock, opLoop, opIf, opTryTable:
		m.knownType(r, in.start, in.blockType)
	}
}

// straight says that control continues after the instruction, whatever happens, with the next one.
func straight(op byte) bool {
	switch op {
	case opLoop, opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opUnreachable, opTryTable, opThrow, opThrowRef:
		return false
	}
	return true
}
