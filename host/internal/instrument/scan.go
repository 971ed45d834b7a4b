package instrument

import "fmt"

// maxComplexity bounds, for all blocks of a module together, the blocks around each and the locals that it sees. The compiler
// takes some 50 ns for each. A Go program of 4 MB has 4 million.
const maxComplexity = 100_000_000

// freeLocals is how many parameters, results and locals a function has for nothing. More of them make a frame of the
// native stack large.
const freeLocals = 64

// bodyScan is what must be known of a body before it can be rewritten.
type bodyScan struct {
	// body is without its size prefix, and base where it begins in the module.
	body []byte
	base int
	// weight of the instructions outside of loops, and of the entry.
	weight int
	// entry is what its parameters, results and locals weigh: one for each beyond freeLocals.
	entry int
	// calls says that it enters other functions; bulk that it fills or copies memory; grows that it grows it.
	calls, bulk, grows bool
	// waits says that it waits for other threads, or notifies them.
	waits bool
	// loopFirst says that every path through the body first passes the head of a loop.
	loopFirst bool
	loops     []loopScan
}

type loopScan struct {
	// calls says that the loop, or one in it, enters other functions.
	calls bool
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
			f := e.types[e.funcTypes[int(e.importedFuncs)+i]]
			if err := sc.scan(b, body, len(f.Params), e.limits.Locals); err != nil {
				return err
			}
			b.entry = max(b.entry+len(f.Results)-freeLocals, 0)
			b.weight += b.entry
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
	// complexity of the bodies so far; see maxComplexity.
	complexity int
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
	b.entry = params + locals
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
		case opAtomic:
			b.waits = b.waits || in.sub <= atomicWait64
		case opMisc:
			b.bulk = b.bulk || in.sub == miscMemoryCopy || in.sub == miscMemoryFill
		}
		if in.op == opBlock || in.op == opLoop || in.op == opIf {
			s.complexity += len(s.frames) + params + locals
		}
		if s.complexity > maxComplexity {
			r.limit("too many blocks within blocks, or blocks of functions with many locals: split the function")
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
	case opBlock, opLoop, opIf:
		m.knownType(r, in.start, in.blockType)
	}
}

// straight says that control continues after the instruction, whatever happens, with the next one.
func straight(op byte) bool {
	switch op {
	case opLoop, opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opUnreachable:
		return false
	}
	return true
}
