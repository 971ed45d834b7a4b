package instrument

// structure writes the instructions that open, part or close a block.
func (w *rewriter) structure(b *bodyScan, r *reader) {
	in := &w.in
	original := r.b[in.start:in.end]
	switch in.op {
	case opBlock:
		w.out = append(w.out, original...)
		w.push(frame{op: opBlock, debt: unreached}, 1)
	case opIf:
		w.spend(1)
		w.out = append(w.out, original...)
		w.push(frame{op: opIf, debt: unreached, saved: w.debt, savedSince: w.since}, 1)
	case opElse:
		f := &w.frames[len(w.frames)-1]
		if f.op != opIf {
			r.failAt(in.start, "else without if")
			return
		}
		w.out = append(w.out, original...)
		f.op = opElse
		f.debt = max(f.debt, w.debt)
		w.debt = f.saved
		f.since = max(f.since, w.since)
		w.since = f.savedSince
	case opLoop:
		w.openLoop(&b.loops[w.loop], r)
		w.loop++
	case opEnd:
		w.spend(in.weight())
		w.close()
	}
}

func (w *rewriter) push(f frame, labels int) {
	w.depth += labels
	w.serial++
	f.label, f.serial = w.depth, w.serial
	w.frames = append(w.frames, f)
}

// openLoop writes the beginning of
//
//	(block $done T (loop $again T (block $slow P (loop $head T
//	   (br_if $slow (balance < 0))
//	   ...) br $done) tick, br $again))
//
// where T is the loop's type and P takes and gives its parameters. The tick is out of the inner loop, which keeps the
// compiler from spilling registers there.
func (w *rewriter) openLoop(scan *loopScan, r *reader) {
	in := &w.in
	region := !scan.calls
	if region && w.region == 0 {
		// Load the balance, and pay what is owed in the same go.
		w.out = appendU32(append(w.out, opGlobalGet), w.balance)
		w.out = appendU32(append(w.out, opLocalSet), w.cached)
	}
	if region {
		w.region++
	}
	w.settle(false)
	if w.debt != unreached {
		w.debt = 0
	}
	typ := r.b[in.typeStart:in.typeEnd]
	w.out = append(append(w.out, opBlock), typ...)
	w.out = append(append(w.out, opLoop), typ...)
	w.out = w.appendPassType(append(w.out, opBlock), in.blockType, r)
	w.out = append(append(w.out, opLoop), typ...)
	w.since = 0
	w.push(frame{op: opLoop, debt: unreached, region: region}, 4)
	if region {
		w.out = appendU32(append(w.out, opLocalGet), w.cached)
	} else {
		w.out = appendU32(append(w.out, opGlobalGet), w.balance)
	}
	w.out = append(w.out, opI32Const, 0, 0x48, opBrIf, 1) // i32.lt_s
}

// appendPassType writes a block type that takes what the given one takes, and gives it back.
func (w *rewriter) appendPassType(out []byte, blockType int64, r *reader) []byte {
	if blockType < 0 {
		return append(out, blockEmpty)
	}
	if blockType >= int64(len(w.types)) {
		r.failAt(w.in.start, "unknown block type")
		return out
	}
	params := w.types[blockType].Params
	if len(params) == 0 {
		return append(out, blockEmpty)
	}
	idx, ok := w.extraTypes[string(params)]
	if !ok {
		idx = uint32(len(w.types) + len(w.newTypes))
		w.extraTypes[string(params)] = idx
		n := appendU32(nil, uint32(len(params)))
		w.newTypes = append(w.newTypes, join([]byte{0x60}, n, params, n, params))
	}
	return appendS33(out, idx)
}

// appendS33 writes a type index as a block type, which is signed.
func appendS33(b []byte, v uint32) []byte {
	for v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// close writes an end.
func (w *rewriter) close() {
	f := w.frames[len(w.frames)-1]
	if len(w.frames) == 1 {
		// The function's own: branches to it have settled before.
		w.leave()
	}
	w.out = append(w.out, opEnd)
	w.frames = w.frames[:len(w.frames)-1]
	switch f.op {
	case opLoop:
		w.out = append(w.out, opBr, 2, opEnd)
		w.callTick()
		w.out = append(w.out, opBr, 0, opEnd, opEnd)
		w.depth -= 4
		if f.region {
			w.region--
		}
		return
	case opIf:
		w.debt = max(w.debt, f.saved)
		w.since = max(w.since, f.savedSince)
	}
	w.debt = max(w.debt, f.debt)
	w.since = max(w.since, f.since)
	w.depth--
}
