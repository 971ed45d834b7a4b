package instrument

import "fmt"

// Opcodes that the rewriting looks at.
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opDrop               = 0x1a
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableSet           = 0x26
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI32Eqz             = 0x45
	opI64Eqz             = 0x50
	opRefFunc            = 0xd2
	opMisc               = 0xfc
	opVector             = 0xfd
	opAtomic             = 0xfe
	blockEmpty           = 0x40
)

// Second bytes of opMisc.
const (
	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
)

// Second bytes of opVector.
const (
	vectorStore = 11
	vectorConst = 12
)

// instr is one decoded instruction. The slices are reused by the next.
type instr struct {
	op  byte
	sub uint32
	// start and end are offsets in the reader.
	start, end int
	// idx is the label, function, global or segment.
	idx uint32
	// labels of a br_table, the default last.
	labels []uint32
	// blockType is a type index, or -1 if the block has no parameters; typeStart to typeEnd is its encoding.
	blockType          int64
	typeStart, typeEnd int
}

// read decodes the next instruction.
func (in *instr) read(r *reader) {
	in.start = r.off
	in.op = r.byte()
	in.sub = 0
	switch op := in.op; {
	case op >= 0x45 && op <= 0xc4: // numeric
	case op >= 0x28 && op <= 0x3e:
		memArg(r)
	default:
		in.readOther(r)
	}
	in.end = r.off
}

func (in *instr) readOther(r *reader) {
	switch in.op {
	case opUnreachable, 0x01, opElse, opEnd, opReturn, 0x1a, 0x1b, 0xd1:
	case opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet, opBr, opBrIf, opCall, opReturnCall, 0x25, opTableSet, opRefFunc:
		in.idx = r.u32()
	case opI32Const:
		r.skipLEB(5)
	case 0x42:
		r.skipLEB(10)
	case 0x43:
		r.bytes(4)
	case 0x44:
		r.bytes(8)
	case opBlock, opLoop, opIf:
		in.readBlockType(r)
	case opBrTable:
		in.readLabels(r)
	case opCallIndirect, opReturnCallIndirect:
		in.idx = r.u32()
		r.u32()
	case 0x1c: // select with types
		for range r.count("types", 1000) {
			r.valType()
		}
	case 0x3f, opMemoryGrow:
		r.zero()
	case 0xd0: // ref.null
		r.s33()
	case opMisc:
		in.sub = r.subcode()
		in.readMisc(r)
	case opVector:
		in.sub = r.subcode()
		in.readVector(r)
	case opAtomic:
		in.sub = r.subcode()
		switch {
		case in.sub == 3: // fence
			r.zero()
		case in.sub <= 2, in.sub >= 0x10 && in.sub <= 0x4e:
			memArg(r)
		default:
			in.unknown(r)
		}
	default:
		in.unknown(r)
	}
}

func (in *instr) unknown(r *reader) {
	if r.err != nil {
		return
	}
	reason := fmt.Sprintf("unknown instruction %#x", in.op)
	if in.op >= opMisc {
		reason = fmt.Sprintf("unknown instruction %#x %d", in.op, in.sub)
	}
	r.refuse(in.start, proposalOf(in.op, in.sub), reason)
}

// memArg skips the alignment and offset of a memory access.
func memArg(r *reader) {
	start := r.off
	switch align := r.u32(); {
	case align >= 64 && align < 128:
		r.failAt(start, unsupported(proposalMemories))
	case align >= 32:
		r.failAt(start, "alignment too large")
	}
	r.u32()
}

func (in *instr) readBlockType(r *reader) {
	in.typeStart = r.off
	in.blockType = -1
	if t := r.s33(); t >= 0 {
		in.blockType = t
	}
	in.typeEnd = r.off
}

func (in *instr) readLabels(r *reader) {
	in.labels = in.labels[:0]
	for range r.count("labels", 1<<24) {
		in.labels = append(in.labels, r.u32())
	}
	in.labels = append(in.labels, r.u32())
}

func (in *instr) readMisc(r *reader) {
	switch s := in.sub; {
	case s <= 7: // saturating conversions
	case s == miscMemoryFill:
		r.zero()
	case s == miscMemoryCopy:
		r.zero()
		r.zero()
	case s == miscMemoryInit:
		in.idx = r.u32()
		r.zero()
	case s == miscDataDrop, s == miscElemDrop, s >= miscTableGrow && s <= miscTableFill:
		r.u32()
	case s == miscTableInit, s == miscTableCopy:
		r.u32()
		r.u32()
	default:
		in.unknown(r)
	}
}

func (in *instr) readVector(r *reader) {
	switch s := in.sub; {
	case s <= 11, s == 92, s == 93:
		memArg(r)
	case s == 12, s == 13:
		r.bytes(16)
	case s >= 21 && s <= 34:
		r.byte()
	case s >= 84 && s <= 91:
		memArg(r)
		r.byte()
	case s > 255:
		in.unknown(r)
	}
}

// Weights are what instructions cost in units of about one simple instruction.
const (
	weightCall      = 72 // with what an unmetered leaf may cost
	weightDivide    = 4
	weightBulk      = 128   // at most bulkInline bytes
	weightBulkChunk = 8192  // at most bulkChunk bytes
	weightTable     = 65536 // on a table of the largest size
	weightGrow      = 1024
)

// weight is what executing the instruction may cost.
func (in *instr) weight() int {
	switch op := in.op; op {
	case opBlock, opLoop, opElse, 0x01: // an end may be a jump
		return 0
	case opCall, opCallIndirect, opReturnCall, opReturnCallIndirect:
		return weightCall
	case opBrTable:
		return 2
	case 0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3: // div, rem, sqrt
		return weightDivide
	case opMemoryGrow:
		return weightGrow
	case opMisc:
		switch {
		case in.sub == miscMemoryInit, in.sub == miscMemoryCopy, in.sub == miscMemoryFill:
			return weightBulk
		case in.sub >= miscTableInit && in.sub != miscElemDrop && in.sub != miscTableSize:
			return weightTable
		}
	case opVector:
		return 2
	case opAtomic:
		return weightDivide
	}
	return 1
}

// isCall says that the instruction enters another function or the host, or may take as long.
func (in *instr) isCall() bool {
	switch in.op {
	case opCall, opCallIndirect, opReturnCall, opReturnCallIndirect, opMemoryGrow:
		return true
	case opMisc:
		return in.weight() >= weightBulk
	}
	return false
}
