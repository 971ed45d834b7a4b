package odac

import (
	"unsafe"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
	"github.com/odac-run/odachost/sdk/internal/slab"
)

// table is the rows of a result as they came: see "Rows" in package abi. What a value is, is found when it is asked for.
type table struct {
	columns []string
	rows    []byte
	base    unsafe.Pointer // where rows begin
	n       int            // how many
	cells   int            // of each row; -1 if they differ

	// In a guest, of more than one row: the text by which each column was asked for, and which was asked for last. It is the same text
	// row after row, so that its address says which column it is; a comparison would be a call, which takes a guest 20 ns.
	asked []string
	last  int
}

var tableSlab slab.Slab[table]

// firstRow is where in rows the first of them begins: behind their number.
const firstRow = 4

// read reads the rows at the head of b, and gives what follows them. Of each row it makes sure that it has the cells it claims.
func (t *table) read(b []byte) ([]byte, error) {
	data, rest, err := msgpack.ReadBytesZC(b)
	if err != nil {
		return b, err
	}
	if len(data) < firstRow {
		return b, msgpack.ErrShortBytes
	}
	base := unsafe.Pointer(unsafe.SliceData(data))
	n := int(load32(base, 0))
	if n > len(data)/abi.RowHeadBytes {
		return b, msgpack.ErrShortBytes
	}
	at, each := firstRow, -1
	for i := range n {
		if at+abi.RowHeadBytes > len(data) {
			return b, msgpack.ErrShortBytes
		}
		size, cells := int(load32(base, at)), int(load32(base, at+4))
		if size < abi.RowHeadBytes+cells*abi.CellBytes || at+size > len(data) {
			return b, msgpack.ErrShortBytes
		}
		if i == 0 {
			each = cells
		} else if cells != each {
			each = -1
		}
		at += size
	}
	t.rows, t.base, t.n, t.cells = data, base, n, each
	return rest, nil
}

// list is the rows one by one.
func (t *table) list() Rows {
	if t.n == 0 {
		return nil
	}
	if alone && t.n > 1 {
		t.asked = stringSlab.Take(len(t.columns))
	}
	rows := Rows(rowSlab.Take(t.n))
	at := firstRow
	for i := range rows {
		rows[i] = Row{t, uint32(at), load32(t.base, at+4)}
		at += int(load32(t.base, at))
	}
	return rows
}

// find is where in the table's rows a column's cell is, -1 if there is no such column. Columns are mostly asked for in their order, row by row.
func (r Row) find(column string) int {
	t := r.t
	if t == nil {
		return -1
	}
	if len(t.asked) > 0 {
		i := t.last + 1
		if i >= len(t.asked) {
			i = 0
		}
		if !same(t.asked[i], column) {
			i = t.last
		}
		if same(t.asked[i], column) && uint32(i) < r.n {
			t.last = i
			return r.cell(i)
		}
	}
	for i := range t.columns {
		if t.columns[i] == column && uint32(i) < r.n {
			if i < len(t.asked) {
				t.asked[i], t.last = column, i
			}
			return r.cell(i)
		}
	}
	return -1
}

// cell is where the i-th value's cell is.
func (r Row) cell(i int) int { return int(r.at) + abi.RowHeadBytes + i*abi.CellBytes }

// same says whether two texts are one.
func same(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b)
}

// kind is that of the value of a cell.
func (t *table) kind(cell int) abi.Kind { return abi.Kind(t.rows[cell+abi.CellKindByte]) }

// content is what the cell of a text, of bytes, a decimal or a JSON document refers to.
func (r Row) content(cell int) string {
	row := r.t.rows[r.at:]
	from, n := load64(r.t.base, cell), uint64(load32(r.t.base, cell+8))
	if size := uint64(len(row)); from > size || n > size-from {
		return ""
	}
	return viewString(row[from : from+n])
}

// value is a cell's value; null if there is none.
func (r Row) value(cell int) Value {
	if cell < 0 {
		return Value{}
	}
	row := r.t.rows[r.at:]
	v, _ := abi.RowValue(row, (cell-int(r.at)-abi.RowHeadBytes)/abi.CellBytes)
	return v
}

// nth is the i-th value.
func (r Row) nth(i int) Value { return r.value(r.cell(i)) }
