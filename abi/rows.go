package abi

import (
	"encoding/binary"
	"math"
	"slices"

	msgp "github.com/odac-run/odachost/abi/msgpack"
)

// Rows are the rows of an answer. They cross as cells of one size, so that a guest reads any value where it lies, without looking at those
// before it: see "Rows" in the documentation of the package.
type Rows []Values

// The form of rows, in bytes.
const (
	// RowHeadBytes is what stands before the cells of a row: its size, and how many cells it has.
	RowHeadBytes = 8
	// CellBytes is a value's cell: 8 bytes of number, 4 more, its kind, and 3 that are 0.
	CellBytes = 16
	// CellKindByte is where in a cell its kind stands.
	CellKindByte = 12
)

// RowWriter writes rows behind what is in Out: Open, for each row Begin, a method for each value and End, and Close.
type RowWriter struct {
	Out  []byte
	Rows int64 // begun since Open

	from int // where the bytes of Open begin
	row  int // where the row begins
	at   int // the next cell
}

// Open begins the rows.
func (w *RowWriter) Open() {
	w.Out = append(w.Out, 0xc6, 0, 0, 0, 0, 0, 0, 0, 0)
	w.from, w.Rows = len(w.Out)-4, 0
}

// Close ends the rows.
func (w *RowWriter) Close() {
	binary.BigEndian.PutUint32(w.Out[w.from-4:], uint32(len(w.Out)-w.from))
	binary.LittleEndian.PutUint32(w.Out[w.from:], uint32(w.Rows))
}

// Begin begins a row of so many values.
func (w *RowWriter) Begin(values int) {
	w.Rows++
	w.row = len(w.Out)
	w.at = w.row + RowHeadBytes
	w.Out = slices.Grow(w.Out, RowHeadBytes+CellBytes*values)[:w.at+CellBytes*values]
	clear(w.Out[w.row:])
	binary.LittleEndian.PutUint32(w.Out[w.row+4:], uint32(values))
}

// End ends a row.
func (w *RowWriter) End() {
	binary.LittleEndian.PutUint32(w.Out[w.row:], uint32(len(w.Out)-w.row))
}

func (w *RowWriter) cell(kind Kind, number uint64, more uint32) {
	c := w.Out[w.at : w.at+CellBytes : w.at+CellBytes]
	binary.LittleEndian.PutUint64(c, number)
	binary.LittleEndian.PutUint32(c[8:], more)
	c[CellKindByte] = byte(kind)
	w.at += CellBytes
}

// Null writes a null.
func (w *RowWriter) Null() { w.at += CellBytes }

// Bool writes a boolean.
func (w *RowWriter) Bool(b bool) {
	var n uint64
	if b {
		n = 1
	}
	w.cell(KindBool, n, 0)
}

// Int writes an integer.
func (w *RowWriter) Int(n int64) { w.cell(KindInt, uint64(n), 0) }

// Float writes a double.
func (w *RowWriter) Float(f float64) { w.cell(KindFloat, math.Float64bits(f), 0) }

// Time writes an instant, seconds and nanoseconds since 1970 UTC.
func (w *RowWriter) Time(sec int64, nsec uint32) { w.cell(KindTime, uint64(sec), nsec) }

// Text writes text, bytes, a decimal or JSON, whose content is s.
func (w *RowWriter) Text(kind Kind, s string) {
	w.cell(kind, uint64(len(w.Out)-w.row), uint32(len(s)))
	w.Out = append(w.Out, s...)
}

// Value writes a value.
func (w *RowWriter) Value(v Value) {
	switch v.kind {
	case KindNull:
		w.Null()
	case KindText, KindBytes, KindDecimal, KindJSON:
		w.Text(v.kind, v.text)
	default:
		w.cell(v.kind, uint64(v.num), v.nsec)
	}
}

// CutRow cuts the first of the rows at the head of b, and says how many values it has; false if b begins with none.
func CutRow(b []byte) (row []byte, values int, rest []byte, ok bool) {
	if len(b) < RowHeadBytes {
		return nil, 0, nil, false
	}
	size, n := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
	if size > uint64(len(b)) || RowHeadBytes+n*CellBytes > size {
		return nil, 0, nil, false
	}
	return b[:size:size], int(n), b[size:], true
}

// RowValue is the i-th value of a row of [CutRow], with a view of the row, which must never change again. What is malformed is null, and
// false.
func RowValue(row []byte, i int) (v Value, ok bool) {
	c := row[RowHeadBytes+CellBytes*i:]
	number, more := binary.LittleEndian.Uint64(c), binary.LittleEndian.Uint32(c[8:])
	switch kind := Kind(c[CellKindByte]); kind {
	case KindNull:
		return Value{}, true
	case KindBool, KindInt, KindFloat:
		return Value{kind: kind, num: int64(number)}, kind != KindBool || number <= 1
	case KindTime:
		return Value{kind: kind, num: int64(number), nsec: more}, more < 1e9
	case KindText, KindBytes, KindDecimal, KindJSON:
		if number > uint64(len(row)) || uint64(more) > uint64(len(row))-number {
			return Value{}, false
		}
		return Value{kind: kind, text: msgp.UnsafeString(row[number : number+uint64(more)])}, true
	}
	return Value{}, false
}

// Msgsize is the most bytes that the encoded rows take.
func (rows Rows) Msgsize() int {
	n := 9
	for _, row := range rows {
		n += RowHeadBytes + CellBytes*len(row)
		for i := range row {
			n += len(row[i].text)
		}
	}
	return n
}

// MarshalMsg appends the encoded rows to b. It never fails.
func (rows Rows) MarshalMsg(b []byte) ([]byte, error) {
	w := RowWriter{Out: b}
	w.Open()
	for _, row := range rows {
		w.Begin(len(row))
		for _, v := range row {
			w.Value(v)
		}
		w.End()
	}
	w.Close()
	return w.Out, nil
}

// UnmarshalMsg reads rows from b and returns what follows them. What they claim is checked before anything is allocated for it.
func (rows *Rows) UnmarshalMsg(b []byte) ([]byte, error) {
	data, rest, err := msgp.ReadBytesZC(b)
	if err != nil {
		return b, err
	}
	if len(data) < 4 {
		return b, msgp.ErrShortBytes
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > uint64(len(data)/RowHeadBytes) {
		return b, msgp.ErrShortBytes
	}
	out := make(Rows, n)
	for i := range out {
		row, values, after, ok := CutRow(data)
		if !ok {
			return b, msgp.ErrShortBytes
		}
		out[i] = make(Values, values)
		for j := range out[i] {
			v, ok := RowValue(row, j)
			if !ok {
				return b, errValue
			}
			out[i][j] = v.Clone()
		}
		data = after
	}
	if len(data) > 0 {
		return b, errRows
	}
	*rows = out
	return rest, nil
}
