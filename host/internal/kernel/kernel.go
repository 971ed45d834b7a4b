package kernel

import (
	"encoding/binary"
	"math/bits"

	"github.com/odac-run/odachost/host/internal/engine"
)

// Linked is the kernel as a linked module: under the name that guests import, with the functions of env beside its own, and at
// most maxBytes of blocks for each instance.
func Linked(name string, env engine.Module, maxBytes int64) engine.Linked {
	maxBytes = min(maxBytes, maxBlock)
	return engine.Linked{Name: name, Wasm: Module(env, maxBytes), MaxMemoryBytes: maxBytes, Reset: reset}
}

// reset makes a copy what it was at first.
func reset(c *engine.Copy) {
	c.Zero(int(c.Global(position)))
	for i, v := range initial {
		c.SetGlobal(i, v)
	}
}

// Blocks is the host's view of the kernel of the instance that a call runs in. It is not kept beyond the call.
type Blocks struct {
	c *engine.Copy
}

// Of gives the blocks of a call's instance, false if its module imports none.
func Of(ec *engine.Call, name string) (Blocks, bool) {
	c := ec.Linked(name)
	return Blocks{c}, c != nil
}

// Put makes a block of p and returns its handle; 0 if p is empty or there is no room.
func (b Blocks) Put(p []byte) uint64 {
	if len(p) == 0 || len(p) > maxBlock {
		return 0
	}
	class, size := classOf(uint32(len(p)))
	handle := b.c.Global(position) + header
	end := handle + uint64(size)
	if !b.c.Grow(int64(end)) {
		return 0
	}
	block := b.c.Memory()[handle-header : end]
	binary.LittleEndian.PutUint32(block, class)
	binary.LittleEndian.PutUint32(block[4:], uint32(len(p)))
	binary.LittleEndian.PutUint64(block[8:], handle^magic)
	copy(block[header:], p)
	b.c.SetGlobal(position, end)
	b.c.SetGlobal(limit8, end-base-7)
	return handle
}

// classOf is what alloc does with a length.
func classOf(n uint32) (class, size uint32) {
	if n <= header {
		return 0, header
	}
	shift := 29 - uint32(bits.LeadingZeros32(n-1))
	top := (n - 1) >> shift
	return shift<<2 + top, (top + 1) << shift
}

// view is n bytes at an offset, false if they are not all within the blocks.
func (b Blocks) view(off, n uint64) ([]byte, bool) {
	memory := b.c.Memory()
	end := min(b.c.Global(position), uint64(len(memory)))
	if off < base || off > end || n > end-off {
		return nil, false
	}
	return memory[off : off+n : off+n], true
}

// Block is the whole block with a handle, false if it is none. It is valid until the guest runs again, or Put.
func (b Blocks) Block(handle uint64) ([]byte, bool) {
	head, ok := b.view(handle-header, header)
	if !ok || binary.LittleEndian.Uint64(head[8:]) != handle^magic {
		return nil, false
	}
	return b.view(handle, uint64(binary.LittleEndian.Uint32(head[4:])))
}

// SetInput gives the guest its input; false if there is no room.
func (b Blocks) SetInput(p []byte) bool {
	handle := b.Put(p)
	if handle == 0 {
		return len(p) == 0
	}
	b.c.SetGlobal(inputOffset, handle)
	b.c.SetGlobal(inputLength, uint64(len(p)))
	b.c.SetGlobal(inputLimit8, uint64(max(0, len(p)-7)))
	return true
}

// Output is what the guest set, empty if it set nothing. It is valid until the call is over.
func (b Blocks) Output() []byte {
	p, _ := b.view(b.c.Global(outputOffset), b.c.Global(outputLength))
	return p
}

// Failure is the error that the guest set, "" if none.
func (b Blocks) Failure() string {
	p, _ := b.Block(b.c.Global(errorHandle))
	return string(p)
}
