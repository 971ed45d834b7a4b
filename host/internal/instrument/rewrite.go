package instrument

import "math"

// How costs are accounted. Along every path through a body the rewriter knows the most that may have been spent since the
// balance was last charged (the debt), and charges it before it can be lost or grow large: before a branch back to a loop's
// head, before leaving the function, and when it exceeds maxDebt. A function that calls others, or that is not small,
// charges up to maxPrepaid when it is entered, so that small ones charge once. The balance is compared with zero at every
// loop's head and at the entry of functions that call, which bounds loops and recursion; all else is bounded by the size of
// a body. A leaf of at most maxLeaf is not charged at all: its callers pay for it (weightCall).
const (
	maxDebt    = 256
	maxPrepaid = 256
	maxLeaf    = 64
	// maxUnchecked is the weight from which a function without calls compares the balance at its entry nevertheless.
	maxUnchecked = 4096
	// unreached is the debt where control cannot be.
	unreached = math.MinInt32
	// bulkInline is the most bytes that are filled or copied without going through a helper, bulkChunk what a helper does
	// between two looks at the balance.
	bulkInline = 4096
	bulkChunk  = 65536
	// unrolled is the most bytes of a known number that are filled by vector instructions, vectorBytes what each of these does. In a module
	// they may take half of the size of its functions, and vectorRoom.
	unrolled    = 512
	vectorBytes = 16
	vectorRoom  = 64 << 10
)

// rewriter rewrites one body. In a region of loops without calls the balance is also kept in a local, which spares the
// loop a load; everywhere else only in the global.
type rewriter struct {
	*encoder
	out    []byte
	in     instr
	frames []frame
	// depth counts the labels open in the new body, less one: the index of the innermost.
	depth int
	debt  int
	// since is the most that was charged since the balance was compared.
	since int
	// region counts the open loops without calls.
	region int
	// raw leaves bulk memory instructions as they are: for the helpers.
	raw bool
	// cached is the local with the balance, temp the first of three, wide the first of two of 64 bits.
	cached, temp, wide uint32
	loop               int
	// last and before are the constants that the last instruction, and the one before it, left on the stack.
	last, before constant
	// assigned and prelude are of [rewriter.direct]; serial counts frames.
	assigned assignment
	prelude  prelude
	serial   int
	// room is how many more bytes may be written as vector instructions, of the whole module.
	room int
	// blocks are the body's, block the next of them, if the module is metered.
	blocks []costBlock
	block  int
	open   []openBlock
}

// constant is the value of an i32.const.
type constant struct {
	value uint32
	known bool
}

type frame struct {
	op byte
	// label is the index of the frame's label in the new body.
	label int
	// debt and since are the largest that a branch to the label came with; saved are those before an if.
	debt, saved       int
	since, savedSince int
	region            bool
	serial            int
	dispatch          *dispatch // of a loop
}

// rewrite appends the new body, without its size.
func (w *rewriter) rewrite(b *bodyScan, f FuncType, out []byte) ([]byte, error) {
	r := &reader{b: b.body, base: b.base}
	w.out = out
	w.depth, w.region, w.loop, w.since = 0, 0, 0, 0
	w.before, w.last, w.assigned, w.prelude = constant{}, constant{}, assignment{}, prelude{}
	w.locals(b, f, r)
	w.frames = append(w.frames[:0], frame{op: opBlock, debt: unreached})
	w.enter(b)
	copied := r.off // everything before it is in out
	if w.metered {
		w.measure(b, r.off)
	}
	for len(w.frames) > 0 {
		if w.metered {
			copied = w.enterBlock(r, copied)
		}
		w.in.read(r)
		if r.err != nil {
			return nil, r.err
		}
		if !w.special() {
			w.follow(r)
			w.spend(w.in.weight())
			if w.debt > maxDebt {
				w.out = append(w.out, r.b[copied:r.off]...)
				copied = r.off
				w.settle(true)
			}
			continue
		}
		w.out = append(w.out, r.b[copied:w.in.start]...)
		copied = r.off
		w.instr(b, r)
		w.preludeAfter(r)
		if w.debt > maxDebt {
			w.settle(true)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return w.out, nil
}

// locals copies the locals and adds those that the body needs.
func (w *rewriter) locals(b *bodyScan, f FuncType, r *reader) {
	n := uint32(len(f.Params))
	groups := r.u32()
	start := r.off
	for range groups {
		n += r.u32()
		r.valType()
	}
	w.cached, w.temp = n, n+1
	added := uint32(0)
	if b.bulk || b.grows || b.waits {
		added = 4
	} else if len(b.loops) > 0 {
		added = 1
	}
	w.wide = n + added
	var more []byte
	if added > 0 {
		groups++
		more = append(more, byte(added), 0x7f)
	}
	if b.waits {
		groups++
		more = append(more, 2, 0x7e)
	}
	w.out = appendU32(w.out, groups)
	w.out = append(append(w.out, r.b[start:r.off]...), more...)
}

// enter writes what happens at the function's entry.
func (w *rewriter) enter(b *bodyScan) {
	w.debt = 0
	if !b.calls && b.weight <= maxLeaf {
		return
	}
	if !w.metered {
		prepaid := min(b.weight, maxPrepaid)
		if prepaid > 0 {
			w.charge(prepaid)
		}
		w.debt = -prepaid
	}
	if !b.loopFirst && (b.calls || b.weight > maxUnchecked) {
		w.check()
	}
}

// special says whether the instruction must be looked at, or is copied as it is.
func (w *rewriter) special() bool {
	switch op := w.in.op; {
	case op <= opReturnCallIndirect, op == opGlobalSet, op == opTableSet, op == opMemoryGrow, op == opRefFunc, op == opMisc, op == opAtomic && w.in.sub <= atomicWait64:
		return true
	}
	return false
}

func (w *rewriter) spend(n int) {
	if w.debt != unreached && !w.metered {
		w.debt += n
	}
}

// charge takes n off the balance.
func (w *rewriter) charge(n int) {
	w.since += n
	if w.region > 0 {
		w.out = appendU32(append(w.out, opLocalGet), w.cached)
	} else {
		w.out = appendU32(append(w.out, opGlobalGet), w.balance)
	}
	w.out = append(appendS32(append(w.out, opI32Const), int32(n)), 0x6b) // i32.sub
	if w.region > 0 {
		w.out = appendU32(append(w.out, opLocalTee), w.cached)
	}
	w.out = appendU32(append(w.out, opGlobalSet), w.balance)
}

// settle charges the debt, and compares the balance if check says so: in regions, whose loops do it at their heads, only
// if their body is huge.
func (w *rewriter) settle(check bool) {
	if w.debt <= 0 {
		return
	}
	w.charge(w.debt)
	w.debt = 0
	if check && (w.region == 0 || w.since > maxUnchecked) {
		w.check()
	}
}

// leave charges the debt before control leaves the function.
func (w *rewriter) leave() {
	if w.debt > maxLeaf {
		w.settle(false)
	}
}

// check calls the tick if the balance is negative.
func (w *rewriter) check() {
	w.since = 0
	w.out = appendU32(append(w.out, opGlobalGet), w.balance)
	w.out = append(w.out, opI32Const, 0, 0x48, opIf, blockEmpty) // i32.lt_s
	w.callTick()
	w.out = append(w.out, opEnd)
}

func (w *rewriter) callTick() {
	if w.region > 0 {
		w.out = appendU32(append(w.out, opLocalGet), w.cached)
	} else {
		w.out = appendU32(append(w.out, opGlobalGet), w.balance)
	}
	w.out = appendU32(append(w.out, opCall), w.tick)
	if w.region > 0 {
		w.out = appendU32(append(w.out, opLocalTee), w.cached)
	}
	w.out = appendU32(append(w.out, opGlobalSet), w.balance)
}

// mark sets bits of the state.
func (w *rewriter) mark(bits int32) {
	w.out = appendU32(append(w.out, opGlobalGet), w.state)
	w.out = append(appendS32(append(w.out, opI32Const), bits), 0x72) // i32.or
	w.out = appendU32(append(w.out, opGlobalSet), w.state)
}

// target returns the frame of a label of the original body.
func (w *rewriter) target(r *reader, label uint32) *frame {
	if int64(label) >= int64(len(w.frames)) {
		r.failAt(w.in.start, "unknown label")
		return &w.frames[0]
	}
	return &w.frames[len(w.frames)-1-int(label)]
}

// branch prepares a branch to a label and returns the label's new number.
func (w *rewriter) branch(r *reader, label uint32) uint32 {
	f := w.target(r, label)
	if f != &w.frames[0] && f.op != opLoop {
		f.debt = max(f.debt, w.debt)
		f.since = max(f.since, w.since)
	}
	return uint32(w.depth - f.label)
}

// settleBefore charges what a branch to the label must not lose.
func (w *rewriter) settleBefore(r *reader, label uint32) {
	switch f := w.target(r, label); {
	case f.op == opLoop:
		w.settle(false)
	case f == &w.frames[0]:
		w.leave()
	}
}

// instr writes one instruction that special named.
func (w *rewriter) instr(b *bodyScan, r *reader) {
	in := &w.in
	switch in.op {
	case opBlock, opIf, opLoop, opElse, opEnd:
		w.structure(b, r)
	case opBr, opBrIf:
		if in.op == opBr {
			w.direct()
		}
		w.spend(in.weight())
		w.settleBefore(r, in.idx)
		w.out = appendU32(append(w.out, in.op), w.branch(r, in.idx))
		if in.op == opBr {
			w.debt = unreached
		}
	case opBrTable:
		w.brTable(r)
	case opReturn:
		w.leave()
		w.out = append(w.out, in.op)
		w.debt = unreached
	case opUnreachable:
		w.out = append(w.out, r.b[in.start:in.end]...)
		w.debt = unreached
	case opCall, opReturnCall, opRefFunc:
		w.spend(in.weight())
		if in.op == opReturnCall {
			w.leave()
		}
		w.out = appendU32(append(w.out, in.op), w.shift(in.idx))
		if in.op == opReturnCall {
			w.debt = unreached
		}
	case opReturnCallIndirect:
		w.spend(in.weight())
		w.leave()
		w.out = append(w.out, r.b[in.start:in.end]...)
		w.debt = unreached
	case opGlobalSet:
		w.spend(in.weight())
		w.out = append(w.out, r.b[in.start:in.end]...)
		if int64(in.idx) < int64(len(w.globalTypes)) && !isNumber(w.globalTypes[in.idx]) {
			w.mark(MarkTable)
		}
	case opTableSet:
		w.spend(in.weight())
		w.out = append(w.out, r.b[in.start:in.end]...)
		w.mark(MarkTable)
	case opMemoryGrow:
		w.grow(r)
	case opMisc:
		w.misc(r)
	case opAtomic:
		w.atomic(r)
	default:
		w.spend(in.weight())
		w.out = append(w.out, r.b[in.start:in.end]...)
	}
}

func (w *rewriter) brTable(r *reader) {
	w.spend(w.in.weight())
	for _, l := range w.in.labels {
		w.settleBefore(r, l)
	}
	w.enterFirst(r)
	w.out = appendU32(append(w.out, opBrTable), uint32(len(w.in.labels)-1))
	for _, l := range w.in.labels {
		w.out = appendU32(w.out, w.branch(r, l))
	}
	w.debt = unreached
}

// grow marks that the memory could not grow.
func (w *rewriter) grow(r *reader) {
	w.spend(w.in.weight())
	w.out = append(w.out, r.b[w.in.start:w.in.end]...)
	w.out = appendU32(append(w.out, opLocalTee), w.temp)
	w.out = append(w.out, opI32Const, 0x7f, 0x46, opIf, blockEmpty) // -1, i32.eq
	w.mark(MarkGrowFailed)
	w.out = append(w.out, opEnd)
	w.out = appendU32(append(w.out, opLocalGet), w.temp)
}

func (w *rewriter) misc(r *reader) {
	in := &w.in
	w.spend(w.weight())
	original := r.b[in.start:in.end]
	switch in.sub {
	case miscMemoryCopy:
		w.bulkMemory(original, w.copy)
	case miscMemoryFill:
		w.bulkMemory(original, w.fill)
	case miscDataDrop, miscElemDrop:
		w.out = append(w.out, original...)
		w.mark(MarkSegment)
	case miscTableInit, miscTableCopy, miscTableGrow, miscTableFill:
		w.out = append(w.out, original...)
		w.mark(MarkTable)
	default:
		w.out = append(w.out, original...)
	}
}

// bulkMemory leaves small operations to the original instruction and large ones to a helper. Small fills of a known size it writes as vector
// instructions: the original calls a function of the host again and again, 9 times for 272 bytes.
func (w *rewriter) bulkMemory(original []byte, helper uint32) {
	size := w.last.value
	switch {
	case w.raw:
		w.out = append(w.out, original...)
		return
	case w.last.known && size > bulkInline:
		w.out = appendU32(append(w.out, opCall), helper)
		return
	case w.last.known && w.before.known && helper == w.fill && size >= vectorBytes && size <= unrolled && w.room > 0:
		w.unrollFill(size, byte(w.before.value))
		return
	case w.last.known:
		w.out = append(w.out, original...)
		return
	}
	for i := range uint32(3) {
		w.out = appendU32(append(w.out, opLocalSet), w.temp+2-i)
	}
	w.out = appendU32(append(w.out, opLocalGet), w.temp+2)
	w.out = append(appendS32(append(w.out, opI32Const), bulkInline), 0x4b, opIf, blockEmpty) // i32.gt_u
	w.pushTemps()
	w.out = appendU32(append(w.out, opCall), helper)
	w.out = append(w.out, opElse)
	w.pushTemps()
	w.out = append(append(w.out, original...), opEnd)
}

// unrollFill writes a byte so many times. The last vector comes first, so that it traps before anything is written if the memory ends before it; the first
// may overlap the one after it.
func (w *rewriter) unrollFill(size uint32, value byte) {
	start := len(w.out)
	w.out = appendU32(append(w.out, opDrop, opDrop, opLocalSet), w.temp)
	for at := int64(size) - vectorBytes; at > -vectorBytes; at -= vectorBytes {
		w.out = appendU32(append(w.out, opLocalGet), w.temp)
		w.out = append(w.out, opVector, vectorConst)
		for range vectorBytes {
			w.out = append(w.out, value)
		}
		w.out = appendU32(append(w.out, opVector, vectorStore, 0), uint32(max(at, 0)))
	}
	w.room -= len(w.out) - start
}

func (w *rewriter) pushTemps() {
	for i := range uint32(3) {
		w.out = appendU32(append(w.out, opLocalGet), w.temp+i)
	}
}
