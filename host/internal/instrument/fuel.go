package instrument

// In a metered module the balance is exact: each basic block takes what it costs off the balance when it is entered, so
// that what is left tells what ran, wherever the module stopped. There are no debts, and no leaf is free.

// fuelCall is what entering a function costs, besides what it does.
const fuelCall = 4

// fuelBlock is the cost from which a block ends.
const fuelBlock = 4096

// costBlock is a basic block: where it begins in the body, and what it costs.
type costBlock struct {
	off, cost int
}

// openBlock is an open frame of the body; targeted says that a branch goes to its label.
type openBlock struct {
	op       byte
	targeted bool
}

// measure finds the blocks of a body whose instructions begin at off.
func (w *rewriter) measure(b *bodyScan, off int) {
	w.blocks, w.block = w.blocks[:0], 0
	r := &reader{b: b.body, base: b.base, off: off}
	in := &w.in
	frames := append(w.open[:0], openBlock{op: opBlock})
	start, cost := off, b.entry
	for len(frames) > 0 {
		in.read(r)
		if r.err != nil {
			break // rewriting finds it again
		}
		cost += w.fuel()
		cut := cost >= fuelBlock
		target := func(label uint32) {
			if int64(label) < int64(len(frames)) {
				frames[len(frames)-1-int(label)].targeted = true
			}
		}
		switch in.op {
		case opBlock:
			frames = append(frames, openBlock{op: opBlock})
		case opLoop, opIf:
			frames = append(frames, openBlock{op: in.op})
			cut = true
		case opElse:
			cut = true
		case opEnd:
			f := frames[len(frames)-1]
			frames = frames[:len(frames)-1]
			// The end of a loop is reached from above only: branches to it go to its head.
			cut = cut || f.op != opLoop && (f.op != opBlock || f.targeted)
		case opBr, opBrIf:
			target(in.idx)
			cut = true
		case opBrTable:
			for _, l := range in.labels {
				target(l)
			}
			cut = true
		case opReturn, opUnreachable, opReturnCall, opReturnCallIndirect:
			cut = true
		}
		if cut || len(frames) == 0 {
			if cost > 0 {
				w.blocks = append(w.blocks, costBlock{off: start, cost: cost})
			}
			start, cost = r.off, 0
		}
	}
	w.open = frames
}

// fuel is what executing the instruction costs.
func (w *rewriter) fuel() int {
	switch in := &w.in; in.op {
	case opCall, opCallIndirect, opReturnCall, opReturnCallIndirect:
		return fuelCall
	default:
		return w.weight()
	}
}

// weight is that of the instruction where it stands: a helper's bulk instructions do a chunk, and memory.init a segment.
func (w *rewriter) weight() int {
	n := w.in.weight()
	switch {
	case w.in.op != opMisc:
	case w.in.sub == miscMemoryInit && int64(w.in.idx) < int64(len(w.passive)):
		return max(n, w.passive[w.in.idx]/8)
	case w.raw && n == weightBulk:
		return weightBulkChunk
	}
	return n
}

// enterBlock charges the block that begins here, if one does. The input is in the output up to copied; it returns up to where
// it is then.
func (w *rewriter) enterBlock(r *reader, copied int) int {
	if w.block >= len(w.blocks) || w.blocks[w.block].off != r.off {
		return copied
	}
	b := w.blocks[w.block]
	w.block++
	if w.debt == unreached {
		return copied
	}
	w.out = append(w.out, r.b[copied:r.off]...)
	w.charge(b.cost)
	if w.since > maxUnchecked {
		w.check()
	}
	return r.off
}
