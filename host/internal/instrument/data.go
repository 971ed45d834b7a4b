package instrument

import "fmt"

// Segment is a piece of the initial memory.
type Segment struct {
	Offset uint32
	Bytes  []byte
}

// takeData reads the data section if the host can apply it instead: all segments are active with constant offsets, they
// are for the module's own memory, and no instruction can name one. Compiled Go has twenty thousand of them, and an
// instance that gets an image needs none. Otherwise the section stays as it is.
func (m *module) takeData(r *reader) {
	if !m.info.HasMemory || m.hasDataCount {
		return
	}
	n := r.count("data segments", 1_000_000)
	segments := make([]Segment, 0, n)
	for range n {
		if r.u32() != 0 || r.byte() != opI32Const {
			return
		}
		offset := uint32(r.signed(32))
		if r.byte() != opEnd {
			return
		}
		size := r.u32()
		segments = append(segments, Segment{Offset: offset, Bytes: r.bytes(int(size))})
		if r.err != nil {
			return
		}
	}
	r.done("the data section")
	if r.err != nil {
		return
	}
	m.info.Data, m.dataTaken = segments, true
}

// readPassive reads the sizes of the segments that instructions can name.
func (m *module) readPassive(r *reader) {
	n := r.count("data segments", 1_000_000)
	m.passive = make([]int, 0, n)
	for range n {
		start := r.off
		flags := r.u32()
		if r.err == nil && flags > 2 {
			r.failAt(start, "unknown form of data segment")
		}
		if flags == 2 {
			r.u32()
		}
		if flags != 1 {
			m.constExpr(r, nil)
		}
		size := int(r.u32())
		r.bytes(size)
		if flags != 1 {
			size = 0 // dropped when the instance is made
		} else if size > m.limits.SegmentBytes {
			r.limit(fmt.Sprintf("passive data segment of %d bytes, the limit is %d", size, m.limits.SegmentBytes))
		}
		if r.err != nil {
			return
		}
		m.passive = append(m.passive, size)
	}
	r.done("the data section")
}
