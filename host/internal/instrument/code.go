package instrument

// rewriteBodies writes the new code section: the bodies and the helpers. It may add types.
func (e *encoder) rewriteBodies() error {
	size := 0
	for i := range e.bodies {
		size += len(e.bodies[i].body)
	}
	out := make([]byte, 0, size+size/2+1024)
	out = appendU32(out, uint32(len(e.bodies)+e.helpers()))
	w := &rewriter{encoder: e, room: size/2 + vectorRoom}
	var body []byte
	var err error
	for i := range e.bodies {
		b := &e.bodies[i]
		f := e.types[e.funcTypes[int(e.importedFuncs)+i]]
		if body, err = w.rewrite(b, f, body[:0]); err != nil {
			return err
		}
		if len(out)+len(body) > e.maxBytes {
			return &Error{Offset: b.base, Reason: "too many loops and branches for the module's size", Limit: true}
		}
		out = append(appendU32(out, uint32(len(body))), body...)
	}
	if e.bulk {
		w.raw = true
		for _, helper := range [][]byte{helperFill, helperCopy} {
			if body, err = w.helper(helper, body[:0]); err != nil {
				return err
			}
			out = append(appendU32(out, uint32(len(body))), body...)
		}
	}
	e.code = out
	return nil
}

// helper rewrites an appended function like one of the module's, its bulk instructions excepted.
func (w *rewriter) helper(code, out []byte) ([]byte, error) {
	var b bodyScan
	b.body = code
	var s scanner
	if err := s.scan(&b, &reader{b: code}, 3, 10); err != nil {
		return nil, err
	}
	b.entry = 0
	return w.rewrite(&b, FuncType{Params: []byte{0x7f, 0x7f, 0x7f}}, out)
}

// outOfBounds leaves 1 if the memory ends before the address in the local plus the length in local 2.
func outOfBounds(local byte) []byte {
	return []byte{
		opLocalGet, local, 0xad, opLocalGet, 2, 0xad, 0x7c, // i64 address + length
		0x3f, 0, 0xad, 0x42, 16, 0x86, // memory.size << 16
		0x56, // i64.gt_u
	}
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

var (
	getAll    = []byte{opLocalGet, 0, opLocalGet, 1, opLocalGet, 2}
	chunkSize = appendS32([]byte{opI32Const}, bulkChunk)
	// lastChunk is the condition that at most one chunk is left.
	lastChunk = join([]byte{opLocalGet, 2}, chunkSize, []byte{0x4d}) // i32.le_u
	fillRaw   = []byte{opMisc, miscMemoryFill, 0}
	copyRaw   = []byte{opMisc, miscMemoryCopy, 0, 0}

	// advance steps a local by a chunk: 0x6a adds, 0x6b subtracts.
	advance = func(local, op byte) []byte {
		return join([]byte{opLocalGet, local}, chunkSize, []byte{op, opLocalSet, local})
	}
	// refuse lets the original instruction trap if condition says it will, before anything is written.
	refuse = func(condition, instr []byte) []byte {
		return join(condition, []byte{opIf, blockEmpty}, getAll, instr, []byte{opUnreachable, opEnd})
	}

	// helperFill is (func (param $dst $value $n i32)): memory.fill a chunk at a time.
	helperFill = join([]byte{0},
		refuse(outOfBounds(0), fillRaw),
		[]byte{opLoop, blockEmpty},
		lastChunk, []byte{opIf, blockEmpty}, getAll, fillRaw, []byte{opReturn, opEnd},
		[]byte{opLocalGet, 0, opLocalGet, 1}, chunkSize, fillRaw,
		advance(0, 0x6a), advance(2, 0x6b),
		[]byte{opBr, 0, opEnd, opEnd})

	// helperCopy is (func (param $dst $src $n i32)): memory.copy a chunk at a time, from the end if the regions overlap so.
	helperCopy = join([]byte{0},
		refuse(join(outOfBounds(0), outOfBounds(1), []byte{0x72}), copyRaw),
		[]byte{opLocalGet, 0, opLocalGet, 1, 0x4d, opIf, blockEmpty}, // i32.le_u: from the beginning
		[]byte{opLoop, blockEmpty},
		lastChunk, []byte{opIf, blockEmpty}, getAll, copyRaw, []byte{opReturn, opEnd},
		[]byte{opLocalGet, 0, opLocalGet, 1}, chunkSize, copyRaw,
		advance(0, 0x6a), advance(1, 0x6a), advance(2, 0x6b),
		[]byte{opBr, 0, opEnd, opEnd},
		[]byte{opLoop, blockEmpty},
		lastChunk, []byte{opIf, blockEmpty}, getAll, copyRaw, []byte{opReturn, opEnd},
		advance(2, 0x6b),
		[]byte{opLocalGet, 0, opLocalGet, 2, 0x6a, opLocalGet, 1, opLocalGet, 2, 0x6a}, chunkSize, copyRaw,
		[]byte{opBr, 0, opEnd, opEnd})
)
