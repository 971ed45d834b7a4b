package odac

import (
	"unsafe"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
	"github.com/odac-run/odachost/sdk/internal/slab"
)

// table is the rows of a result as they came. Where each value begins is found when they arrive, what it is when it is asked for: to make
// all of them values took half of the time of a read of a thousand rows, and ten times the memory.
type table struct {
	columns []string
	msg     []byte
	at      []uint32 // where in msg each value begins, row by row

	// In a guest: the text by which each column was asked for, and which was asked for last. It is the same text row after row,
	// so that its address says which column it is; a comparison would be a call, which takes a guest 20 ns.
	asked []string
	last  int
}

var (
	tableSlab slab.Slab[table]
	placeSlab slab.Slab[uint32]
)

// read reads the rows at the head of b, and gives what follows them.
func (t *table) read(b []byte) (Rows, []byte, error) {
	n, b, err := msgpack.ReadArrayHeaderBytes(b)
	if err != nil || n == 0 {
		return nil, b, err
	}
	rows := Rows(rowSlab.Take(int(n)))
	t.msg = b
	var at []uint32
	pos, used := 0, 0
	for i := range rows {
		var width int
		if pos < len(b) && b[pos]&0xf0 == 0x90 { // the usual header
			width, pos = int(b[pos]&0x0f), pos+1
		} else {
			n, rest, err := msgpack.ReadArrayHeaderBytes(b[pos:])
			if err != nil {
				return nil, b, err
			}
			width, pos = int(n), len(b)-len(rest)
		}
		if used+width > len(at) { // the first row, or a result whose rows differ
			more := placeSlab.Take(used + max(width, min(width*(len(rows)-i), len(b)-pos)))
			copy(more, at[:used])
			at = more
		}
		rows[i] = Row{t, uint32(used), uint32(width)}
		for j := used; j < used+width; j++ {
			at[j] = uint32(pos)
			if pos >= len(b) {
				return nil, b, msgpack.ErrShortBytes
			}
			switch c := b[pos]; {
			case c < 0x80:
				pos++
			case c >= 0xa0 && sizes[c-0xa0] > 0:
				pos += int(sizes[c-0xa0])
			case c == 0xc7 && pos+1 < len(b): // a decimal, a time: a call for each would take as long as all else
				pos += 3 + int(b[pos+1])
			default:
				_, from, n := long(b, pos)
				pos = from + n
			}
			if pos > len(b) {
				return nil, b, msgpack.ErrShortBytes
			}
		}
		used += width
	}
	t.at = at
	return rows, b[pos:], nil
}

// sizes are the bytes of values by their first byte, from 0xa0: 0 where there is more to see, or none such.
var sizes = [0x60]uint8{
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
	1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
}

// long is where the content of text, of bytes or of an extension of v1 begins, and how long it is. What is none of these begins beyond the
// end of b.
func long(b []byte, i int) (ext int8, from, n int) {
	c, head, size := b[i], 1, 0
	switch {
	case c >= 0xd4 && c <= 0xd8:
		head, n = 2, 1<<(c-0xd4)
	case c >= 0xc4 && c <= 0xc6:
		size = 1 << (c - 0xc4)
	case c >= 0xd9 && c <= 0xdb:
		size = 1 << (c - 0xd9)
	case c >= 0xc7 && c <= 0xc9:
		head, size = 2, 1<<(c-0xc7)
	case c&0xe0 == 0xa0:
		return 0, i + 1, int(c & 0x1f)
	default:
		return 0, len(b) + 1, 0
	}
	from = i + head + size
	if from > len(b) {
		return 0, len(b) + 1, 0
	}
	for _, digit := range b[i+1 : i+1+size] {
		n = n<<8 | int(digit)
	}
	if head == 1 {
		return 0, from, n
	}
	switch ext = int8(b[from-1]); {
	case ext == abi.ExtDecimal, ext == abi.ExtJSON:
	case ext == abi.ExtTime && (n == 4 || n == 8 || n == 12):
	default:
		return 0, len(b) + 1, 0
	}
	return ext, from, n
}

// find is where a column's value begins in the message, -1 if there is no such column. Columns are mostly asked for in their order, row by row.
func (r Row) find(column string) int {
	t := r.t
	if t == nil {
		return -1
	}
	if alone && t.asked != nil {
		i := t.last + 1
		if i >= len(t.asked) {
			i = 0
		}
		if !same(t.asked[i], column) {
			i = t.last
		}
		if same(t.asked[i], column) && uint32(i) < r.n {
			t.last = i
			return int(t.at[int(r.from)+i])
		}
	}
	for i := range t.columns {
		if t.columns[i] == column && uint32(i) < r.n {
			if alone {
				if t.asked == nil {
					t.asked = stringSlab.Take(len(t.columns))
				}
				t.asked[i], t.last = column, i
			}
			return int(t.at[int(r.from)+i])
		}
	}
	return -1
}

// same says whether two texts are one.
func same(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b)
}

// raw is a column's value as it came and what follows it, nil if there is no such column.
func (r Row) raw(column string) []byte {
	if at := r.find(column); at >= 0 {
		return r.t.msg[at:]
	}
	return nil
}

// at is the i-th value.
func (r Row) at(i int) Value { return valueAt(r.t.msg[r.t.at[int(r.from)+i]:]) }

func valueAt(b []byte) (v Value) {
	if _, err := v.UnmarshalView(b); err != nil {
		return Value{}
	}
	return v
}
