package instrument

// Go's compiler makes one loop of a function, with a block for each of its basic blocks and a br_table in front, which enters the block whose number
// is in a local. To go from one basic block to another it sets the local and branches back to the loop:
//
//	(loop (block (block ... (br_table 0 1 ... (local.get $pc)) ) ... (local.set $pc (i32.const 7)) (br $loop) ...
//
// A compiler that does not follow the constant makes of it an indirect jump that the processor can hardly foresee, and meets in the loop's head, where
// all locals are to be put in their places. Where the block is still to come, the branch can go there directly, and is rewritten so. A metered
// module keeps its branches, whose cost it counts.

// dispatch is what a loop does first: it goes on behind one of the blocks within it.
type dispatch struct {
	selector uint32 // the local that says which
	targets  []place
}

// maxTargets is the most blocks of a dispatch that is followed; Go's largest functions have some thousand.
const maxTargets = 1 << 16

// place is a frame, while it is open.
type place struct {
	frame  int // index in frames; 0 is none
	serial int
}

// assignment is a constant that an instruction put into a local.
type assignment struct {
	local    uint32
	constant constant
}

// prelude is how much of a dispatch the last instructions were.
type prelude struct {
	loop     int // the index of the loop's frame, 0 if they were not
	selected bool
	selector uint32
}

// follow remembers what the instruction, of which nothing need be looked at otherwise, means to those that come next.
func (w *rewriter) follow(r *reader) {
	in, was := &w.in, w.last
	w.before, w.last, w.assigned = was, constant{}, assignment{}
	switch {
	case in.op == opI32Const:
		value := reader{b: r.b[:in.end], off: in.start + 1}
		w.last = constant{uint32(value.signed(32)), true}
	case in.op == opLocalSet:
		w.assigned = assignment{in.idx, was}
	case in.op == opLocalGet && w.prelude.loop > 0 && !w.prelude.selected:
		w.prelude.selector, w.prelude.selected = in.idx, true
		return
	}
	w.prelude = prelude{}
}

// direct makes a branch to a dispatch one to the block that is dispatched to.
func (w *rewriter) direct() {
	in := &w.in
	if int64(in.idx) >= int64(len(w.frames)) || !w.assigned.constant.known {
		return
	}
	d := w.frames[len(w.frames)-1-int(in.idx)].dispatch
	if d == nil || d.selector != w.assigned.local {
		return
	}
	t := d.targets[min(int64(w.assigned.constant.value), int64(len(d.targets)-1))]
	if t.frame > 0 && t.frame < len(w.frames) && w.frames[t.frame].serial == t.serial {
		in.idx = uint32(len(w.frames) - 1 - t.frame)
	}
}

// enterFirst goes to the first block of a dispatch without it: most calls begin there, and a processor foresees that.
func (w *rewriter) enterFirst(r *reader) {
	p, labels := w.prelude, w.in.labels
	if !p.selected || len(labels) < 3 || len(w.frames)-1-int(labels[0]) <= p.loop {
		return
	}
	w.out = append(w.out, opI32Eqz)
	w.out = appendU32(append(w.out, opBrIf), w.branch(r, labels[0]))
	w.out = appendU32(append(w.out, opLocalGet), p.selector)
}

// preludeAfter follows an instruction that [rewriter.instr] has written.
func (w *rewriter) preludeAfter(r *reader) {
	in, p := &w.in, w.prelude
	w.before, w.last, w.assigned, w.prelude = constant{}, constant{}, assignment{}, prelude{}
	plain := in.typeEnd-in.typeStart == 1 && in.typeStart < len(r.b) && r.b[in.typeStart] == blockEmpty
	switch {
	case in.op == opLoop && plain && !w.metered:
		w.prelude.loop = len(w.frames) - 1
	case in.op == opBlock && plain && !p.selected:
		w.prelude = p
	case in.op == opBrTable && p.selected && len(in.labels) <= maxTargets:
		d := &dispatch{selector: p.selector, targets: make([]place, len(in.labels))}
		for i, label := range in.labels {
			if at := len(w.frames) - 1 - int(label); at > p.loop {
				d.targets[i] = place{at, w.frames[at].serial}
			}
		}
		w.frames[p.loop].dispatch = d
	}
}
