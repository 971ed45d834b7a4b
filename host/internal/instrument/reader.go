package instrument

import (
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

// Error says where in the module's bytes something is not acceptable.
type Error struct {
	Offset int
	Reason string
	// Limit is true if the module is well-formed as far as it was read, but larger than [Limits] allow.
	Limit bool
}

func (e *Error) Error() string { return fmt.Sprintf("instrument: offset %#x: %s", e.Offset, e.Reason) }

// reader decodes from b[off:]. After the first error every method returns zero values and does not advance, so that a
// decoder may check err once per item.
type reader struct {
	b   []byte
	off int
	// base is the offset of b[0] in the module.
	base int
	err  error
}

func (r *reader) fail(reason string) { r.failAt(r.off, reason) }

func (r *reader) failf(format string, args ...any) { r.fail(fmt.Sprintf(format, args...)) }

func (r *reader) failAt(off int, reason string) {
	if r.err == nil {
		r.err = &Error{Offset: r.base + off, Reason: reason}
	}
}

func (r *reader) limit(reason string) {
	if r.err == nil {
		r.err = &Error{Offset: r.base + r.off, Reason: reason, Limit: true}
	}
}

// more says whether there is something left and no error yet.
func (r *reader) more() bool { return r.err == nil && r.off < len(r.b) }

func (r *reader) byte() byte {
	if r.err != nil {
		return 0
	}
	if r.off >= len(r.b) {
		r.fail("unexpected end")
		return 0
	}
	c := r.b[r.off]
	r.off++
	return c
}

func (r *reader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b)-r.off {
		r.failf("%d bytes announced, %d left", n, len(r.b)-r.off)
		return nil
	}
	p := r.b[r.off : r.off+n]
	r.off += n
	return p
}

// sub returns a reader of the next n bytes and skips them.
func (r *reader) sub(n uint32) *reader {
	base := r.base + r.off
	return &reader{b: r.bytes(int(n)), base: base, err: r.err}
}

func (r *reader) u32() uint32 {
	// The common case first: almost every index and constant of a module is one or two bytes.
	if r.err == nil && r.off < len(r.b) && r.b[r.off] < 0x80 {
		c := r.b[r.off]
		r.off++
		return uint32(c)
	}
	start := r.off
	var v uint32
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && c > 0x0f {
			r.failAt(start, "integer too long for 32 bits")
			return 0
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
}

// s33 reads a signed integer of at most 33 bits: a block type or heap type.
func (r *reader) s33() int64 { return r.signed(33) }

// zero reads the index of the only memory there can be. The compiler reads it as a byte, so no longer form is let through.
func (r *reader) zero() {
	start := r.off
	if r.byte() != 0 {
		r.failAt(start, unsupported(proposalMemories))
	}
}

// subcode reads the second part of a two-part opcode. The compiler reads it as a byte, so only the shortest form is let
// through: any other could mean one instruction here and another there.
func (r *reader) subcode() uint32 {
	start := r.off
	v := r.u32()
	if r.err == nil && r.off-start != (bits.Len32(v|1)+6)/7 {
		r.failAt(start, "opcode not in its shortest form")
	}
	return v
}

func (r *reader) signed(bits int) int64 {
	start := r.off
	var v int64
	shift := 0
	for {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift >= bits {
			r.failAt(start, "integer too long")
			return 0
		}
		v |= int64(c&0x7f) << shift
		shift += 7
		if c < 0x80 {
			if shift < 64 && c&0x40 != 0 {
				v |= -1 << shift
			}
			break
		}
	}
	if bits < 64 && (v > int64(1)<<(bits-1)-1 || v < -(int64(1)<<(bits-1))) {
		r.failAt(start, "integer too large")
		return 0
	}
	return v
}

// skipLEB skips an integer of at most max bytes, whose value does not matter here.
func (r *reader) skipLEB(max int) {
	for range max {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail("integer too long")
}

// count reads the length of a vector whose items take at least one byte each, so that a length that the input cannot hold
// is refused before anything is allocated for it.
func (r *reader) count(what string, limit int) int {
	start := r.off
	n := r.u32()
	if r.err != nil {
		return 0
	}
	if int64(n) > int64(limit) {
		r.off = start
		r.limit(fmt.Sprintf("%d %s, the limit is %d", n, what, limit))
		return 0
	}
	if int64(n) > int64(len(r.b)-r.off) {
		r.failAt(start, fmt.Sprintf("%d %s announced, %d bytes left", n, what, len(r.b)-r.off))
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	start := r.off
	n := r.u32()
	if n > math.MaxInt32 {
		r.failAt(start, "name too long")
		return ""
	}
	p := r.bytes(int(n))
	if r.err == nil && !utf8.Valid(p) {
		r.failAt(start, "name is not UTF-8")
		return ""
	}
	return string(p)
}

// done refuses bytes that are left over.
func (r *reader) done(what string) {
	if r.err == nil && r.off != len(r.b) {
		r.failf("%d bytes after the end of %s", len(r.b)-r.off, what)
	}
}

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS32(b []byte, v int32) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}
