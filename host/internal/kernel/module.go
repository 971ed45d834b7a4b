package kernel

import (
	"encoding/binary"

	"github.com/odac-run/odachost/host/internal/engine"
)

// The layout of the memory: below heads nothing, then the heads of the lists of free blocks, an i32 for each class of size, then
// from base on the blocks. The first header-sized piece there is nobody's, so that the position is never too near to base.
//
// A block is its header and its bytes. The header: i32 class, i32 length, i64 the handle xor magic while it is in use. The handle is
// the address of the bytes; those of a free block begin with the next one's handle, an i32.
const (
	heads   = 512
	classes = 128
	base    = heads + 4*classes
	header  = 16
	magic   = 0x6f64_6163_2d62_6c6b
	// maxBlock bounds one block, so that sums of addresses do not overflow.
	maxBlock = 1 << 30
)

// The module's globals, all i64 and mutable.
const (
	position     = iota // the end of the last block
	limit8              // how far from base an access of eight bytes may not begin: position - base - 7
	inputOffset         //
	inputLength         //
	inputLimit8         // how far into the input an access of eight bytes may not begin: max(0, length - 7)
	outputOffset        //
	outputLength        //
	errorHandle         //
	globals
)

// initial are the globals' values in a copy that was not used.
var initial = [globals]uint64{position: base + 2*header, limit8: 2*header - 7}

// Value types, and the instructions that are used.
const (
	i32 = 0x7f
	i64 = 0x7e

	opUnreachable, opIf, opElse, opEnd, opReturn    = 0x00, 0x04, 0x05, 0x0b, 0x0f
	opLocalGet, opLocalSet, opLocalTee              = 0x20, 0x21, 0x22
	opGlobalGet, opGlobalSet                        = 0x23, 0x24
	opI32Load, opI64Load, opI32Load8U, opI64Load32U = 0x28, 0x29, 0x2d, 0x35
	opI32Store, opI64Store, opI32Store8             = 0x36, 0x37, 0x3a
	opMemorySize, opMemoryGrow                      = 0x3f, 0x40
	opI32Const, opI64Const                          = 0x41, 0x42
	opI32Eq, opI32LtU, opI32GtU                     = 0x46, 0x49, 0x4b
	opI64Eqz, opI64Eq, opI64Ne, opI64GtU, opI64GeU  = 0x50, 0x51, 0x52, 0x56, 0x5a
	opI32Clz, opI32Add, opI32Sub, opI32Or           = 0x67, 0x6a, 0x6b, 0x72
	opI32Shl, opI32ShrU                             = 0x74, 0x76
	opI64Add, opI64Sub, opI64Mul, opI64Xor          = 0x7c, 0x7d, 0x7e, 0x85
	opI32WrapI64, opI64Ext                          = 0xa7, 0xad
	blockVoid                                       = 0x40
)

// function is one function of the module.
type function struct {
	name            string
	params, results []byte
	locals          int // i32
	body            []byte
}

// uleb and sleb are LEB128.
func uleb(v int) []byte { return binary.AppendUvarint(nil, uint64(v)) }

func sleb(v int64) (b []byte) {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

func name(s string) []byte { return append(uleb(len(s)), s...) }

// code puts instructions together: an int is an opcode or an index below 128, a slice is as it is.
func code(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

// get, and the others, are instructions with their immediates.
func get(local int) []byte   { return code(opLocalGet, local) }
func set(local int) []byte   { return code(opLocalSet, local) }
func tee(local int) []byte   { return code(opLocalTee, local) }
func global(i int) []byte    { return code(opGlobalGet, i) }
func setGlobal(i int) []byte { return code(opGlobalSet, i) }
func num32(v int64) []byte   { return code(opI32Const, sleb(v)) }
func num64(v int64) []byte   { return code(opI64Const, sleb(v)) }
func access(op int) []byte   { return code(op, 0, 0) } // no alignment promised
func when(b ...any) []byte   { return code(append(append([]any{opIf, blockVoid}, b...), opEnd)...) }
func address() []byte        { return code(get(0), opI32WrapI64) }
func less(n int64) []byte    { return code(num32(n), opI32Sub) }
func returnZero64() []byte   { return code(num64(0), opReturn) }
func sinceBase(n int) []byte { return code(get(n), num64(base), opI64Sub) }

// Module is the kernel's code. It exports, besides its own functions, those of env, which it imports from there under the same
// names: a guest finds both in one module. Its memory may grow to maxBytes.
func Module(env engine.Module, maxBytes int64) []byte {
	own := functions()
	types := [][]byte{}
	typeOf := func(params, results []byte) []byte {
		t := code(0x60, uleb(len(params)), params, uleb(len(results)), results)
		for i, have := range types {
			if string(have) == string(t) {
				return uleb(i)
			}
		}
		types = append(types, t)
		return uleb(len(types) - 1)
	}
	var imports, funcs, vars, exports, bodies [][]byte
	for i, f := range env.Funcs {
		imports = append(imports, code(name(env.Name), name(f.Name), 0, typeOf(f.Params, f.Results)))
		exports = append(exports, code(name(f.Name), 0, uleb(i)))
	}
	for i, f := range own {
		funcs = append(funcs, typeOf(f.params, f.results))
		exports = append(exports, code(name(f.name), 0, uleb(len(imports)+i)))
		body := code(1, uleb(f.locals), i32, f.body, opEnd)
		bodies = append(bodies, code(uleb(len(body)), body))
	}
	for _, v := range initial {
		vars = append(vars, code(i64, 1, num64(int64(v)), opEnd))
	}
	memory := code(1, uleb(1), uleb(int(max(maxBytes, 1<<16)>>16)))
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id    int
		items [][]byte
	}{{1, types}, {2, imports}, {3, funcs}, {5, [][]byte{memory}}, {6, vars}, {7, exports}, {10, bodies}} {
		body := uleb(len(s.items))
		for _, item := range s.items {
			body = append(body, item...)
		}
		out = append(out, code(s.id, uleb(len(body)), body)...)
	}
	return out
}

func functions() []function {
	one, two, none := []byte{i64}, []byte{i64, i64}, []byte(nil)
	getter := func(name string, i int) function { return function{name, none, one, 0, global(i)} }
	length := code(notHandle(), when(returnZero64()), code(address(), less(12), access(opI64Load32U)))
	return []function{
		{"alloc", one, one, 5, alloc()},
		{"free", one, none, 2, free()},
		{"length", one, one, 0, length},
		{"length_unsafe", one, one, 0, length},
		// Loads and stores: what lies outside of the blocks is 0, and stays so.
		{"load_u64", one, one, 0, code(sinceBase(0), global(limit8), opI64GeU, when(returnZero64()), address(), access(opI64Load))},
		{"load_u8", one, []byte{i32}, 0, code(outside8(), when(num32(0), opReturn), address(), access(opI32Load8U))},
		{"store_u64", two, none, 0, code(sinceBase(0), global(limit8), opI64GeU, when(opReturn), address(), get(1), access(opI64Store))},
		{"store_u8", []byte{i64, i32}, none, 0, code(outside8(), when(opReturn), address(), get(1), access(opI32Store8))},
		{"input_load_u64", one, one, 0, code(get(0), global(inputLimit8), opI64GeU, when(returnZero64()),
			get(0), global(inputOffset), opI64Add, opI32WrapI64, access(opI64Load))},
		{"input_load_u8", one, []byte{i32}, 0, code(get(0), global(inputLength), opI64GeU, when(num32(0), opReturn),
			get(0), global(inputOffset), opI64Add, opI32WrapI64, access(opI32Load8U))},
		getter("input_length", inputLength),
		getter("input_offset", inputOffset),
		getter("output_length", outputLength),
		getter("output_offset", outputOffset),
		// Only what lies within the blocks can be the output.
		{"output_set", two, none, 0, code(get(1), global(position), opI64GtU, when(opReturn),
			get(0), global(position), get(1), opI64Sub, opI64GtU, when(opReturn),
			get(0), setGlobal(outputOffset), get(1), setGlobal(outputLength))},
		{"error_set", one, none, 0, code(get(0), setGlobal(errorHandle))},
		getter("error_get", errorHandle),
		{"memory_bytes", none, one, 0, code(opMemorySize, 0, opI64Ext, num64(65536), opI64Mul)},
	}
}

// outside8 says whether local 0 is not the address of a byte of the blocks.
func outside8() []byte {
	return code(sinceBase(0), global(limit8), num64(7), opI64Add, opI64GeU)
}

// notHandle says whether local 0 is not the handle of a block in use: not within the blocks, or without its mark.
func notHandle() []byte {
	return code(
		get(0), num64(base+header), opI64Sub, global(position), num64(base+2*header-1), opI64Sub, opI64GeU,
		opIf, i32, num32(1),
		opElse, address(), less(8), access(opI64Load), get(0), num64(magic), opI64Xor, opI64Ne,
		opEnd,
	)
}

// alloc takes a free block of the length's class, or else new memory. Classes are four for each doubling, so that a block is at
// most a quarter longer than asked for.
func alloc() []byte {
	const n, size, class, handle, head, end = 0, 1, 2, 3, 4, 5
	low := head   // length - 1
	shift := end  // of its three highest bits
	top := handle // those bits
	return code(
		get(n), opI64Eqz, when(returnZero64()),
		get(n), num64(maxBlock), opI64GtU, when(returnZero64()),
		num32(header), set(size),
		get(n), num64(header), opI64GtU, when(
			address(), less(1), set(low),
			num32(29), get(low), opI32Clz, opI32Sub, tee(shift),
			num32(2), opI32Shl, get(low), get(shift), opI32ShrU, tee(top), opI32Add, set(class),
			get(top), num32(1), opI32Add, get(shift), opI32Shl, set(size),
		),
		get(class), num32(2), opI32Shl, tee(head), code(opI32Load, 2, uleb(heads)), tee(handle),
		opIf, blockVoid,
		// The guest may have written over the list. What is taken from it must lie within the blocks.
		get(handle), num32(base+header), opI32LtU,
		get(handle), opI64Ext, get(size), opI64Ext, opI64Add, global(position), opI64GtU, opI32Or,
		when(opUnreachable),
		get(head), get(handle), access(opI32Load), code(opI32Store, 2, uleb(heads)),
		opElse,
		global(position), opI32WrapI64, num32(header), opI32Add, tee(handle), get(size), opI32Add, tee(end),
		opMemorySize, 0, num32(16), opI32Shl, opI32GtU, when(
			get(end), num32(65535), opI32Add, num32(16), opI32ShrU, opMemorySize, 0, opI32Sub,
			opMemoryGrow, 0, num32(-1), opI32Eq, when(returnZero64()),
		),
		get(end), opI64Ext, setGlobal(position),
		get(end), opI64Ext, num64(base+7), opI64Sub, setGlobal(limit8),
		opEnd,
		get(handle), less(16), get(class), access(opI32Store),
		get(handle), less(12), address(), access(opI32Store),
		get(handle), less(8), get(handle), opI64Ext, num64(magic), opI64Xor, access(opI64Store),
		get(handle), opI64Ext,
	)
}

// free puts a block into the list of its class.
func free() []byte {
	const p, block, head = 0, 1, 2
	return code(
		notHandle(), when(opReturn),
		get(p), global(inputOffset), opI64Eq, when(num64(0), setGlobal(inputLength), num64(0), setGlobal(inputLimit8)),
		address(), tee(block), less(8), num64(0), access(opI64Store),
		get(block), less(16), access(opI32Load), tee(head), num32(classes-1), opI32GtU, when(opReturn),
		get(head), num32(2), opI32Shl, tee(head),
		get(block), get(head), code(opI32Load, 2, uleb(heads)), access(opI32Store),
		get(block), code(opI32Store, 2, uleb(heads)),
	)
}
