package database

import (
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// answer writes the encoded abi.Result of one execution, within its budget.
type answer struct {
	abi.RowWriter
	st     *statement
	budget Budget
	start  int // of our message in Out
}

func newAnswer(st *statement, b Budget, dst []byte) answer {
	return answer{RowWriter: abi.RowWriter{Out: dst}, st: st, budget: b, start: len(dst)}
}

// open begins a message of n pairs with the names of the columns and the rows, which Close ends.
func (a *answer) open(n byte) {
	a.Out = append(append(a.Out, 0x80|n), a.st.header...)
	a.Out = append(a.Out, 0xa1, 'r')
	a.Open()
}

// row begins a row. Its values are written, and then it is ended.
func (a *answer) row() error {
	if a.Rows >= a.budget.MaxRows {
		return failf(abi.ErrnoLimit, "the answer has more rows than the budget max_rows, %d: use a limit", a.budget.MaxRows)
	}
	a.Begin(len(a.st.out))
	return nil
}

// end ends a row.
func (a *answer) end() error {
	a.End()
	return a.fits()
}

// fits is asked after each row.
func (a *answer) fits() error {
	if int64(len(a.Out)-a.start) > a.budget.MaxBytes {
		return failf(abi.ErrnoLimit, "the answer is larger than the budget max_bytes, %d: select fewer rows or columns", a.budget.MaxBytes)
	}
	return nil
}

// view is b as a string for who does not keep it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// openWrite begins the message of a write, which has rows only where it returns some.
func (a *answer) openWrite() {
	if len(a.st.out) > 0 {
		a.open(4)
	} else {
		a.Out = append(a.Out, 0x80|2)
	}
}

// closeWrite ends it with the number of rows changed and the key of the last one inserted.
func (a *answer) closeWrite(affected int64, last abi.Value) {
	if len(a.st.out) > 0 {
		a.Close()
	}
	a.Out = msgp.AppendInt64(append(a.Out, 0xa1, 'n'), affected)
	a.Out = last.AppendMsg(append(a.Out, 0xa2, 'i', 'd'))
}
