package instrument

// Second bytes of opAtomic.
const (
	atomicNotify = 0
	atomicWait32 = 1
	atomicWait64 = 2
	atomicLoad32 = 0x10
	atomicLoad64 = 0x11
)

// atomic writes what memory.atomic.notify and wait do where nobody else has the memory: notify wakes no one; wait answers
// that the value differs or that no time passed, and traps where it would have to be woken, as the threads proposal says
// of an agent that cannot block. The engine's own would block beyond the call's end, and remember every address.
func (w *rewriter) atomic(r *reader) {
	in := &w.in
	w.spend(w.weight())
	load, compare := byte(atomicLoad32), byte(0x47) // i32.ne
	expected := w.temp
	if in.sub == atomicWait64 {
		load, compare, expected = atomicLoad64, 0x52, w.wide+1 // i64.ne
	}
	if in.sub != atomicNotify {
		w.out = appendU32(append(w.out, opLocalSet), w.wide) // the timeout
	}
	// expected, or how many to notify
	w.out = appendU32(append(w.out, opLocalSet), expected)
	// The load traps where the instruction would: out of bounds, or not aligned.
	w.out = append(append(w.out, opAtomic, load), r.b[in.start+2:in.end]...)
	switch {
	case in.sub == atomicNotify:
		w.out = append(w.out, opDrop, opI32Const, 0)
	case !w.shared:
		w.out = append(w.out, opDrop, opI32Const, 1, opIf, blockEmpty, opUnreachable, opEnd, opI32Const, 0)
	default:
		w.out = append(appendU32(append(w.out, opLocalGet), expected), compare, opIf, 0x7f, opI32Const, 1, opElse)
		w.out = append(appendU32(append(w.out, opLocalGet), w.wide), opI64Eqz, opIf, 0x7f, opI32Const, 2, opElse, opUnreachable, opEnd, opEnd)
	}
}
