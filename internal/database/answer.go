package database

import (
	"encoding/binary"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// answer writes the encoded abi.Result of one execution, within its budget.
type answer struct {
	st     *statement
	budget Budget
	out    []byte
	start  int   // of our message in out
	rows   int64 // in the message
	at     int   // where in out their number stands
}

func newAnswer(st *statement, b Budget, dst []byte) answer {
	return answer{st: st, budget: b, out: dst, start: len(dst)}
}

// open begins a message of n pairs with the names of the columns and the rows, whose number close fills in.
func (a *answer) open(n byte) {
	a.out = append(append(a.out, 0x80|n), a.st.header...)
	a.out = append(a.out, 0xa1, 'r', 0xdd, 0, 0, 0, 0)
	a.at = len(a.out) - 4
}

func (a *answer) close() { binary.BigEndian.PutUint32(a.out[a.at:], uint32(a.rows)) }

// row begins a row. Its values are appended to out.
func (a *answer) row() error {
	if a.rows >= a.budget.MaxRows {
		return failf(abi.ErrnoLimit, "the answer has more rows than the budget max_rows, %d: use a limit", a.budget.MaxRows)
	}
	a.rows++
	a.out = msgp.AppendArrayHeader(a.out, uint32(len(a.st.out)))
	return nil
}

// fits is asked after each row.
func (a *answer) fits() error {
	if int64(len(a.out)-a.start) > a.budget.MaxBytes {
		return failf(abi.ErrnoLimit, "the answer is larger than the budget max_bytes, %d: select fewer rows or columns", a.budget.MaxBytes)
	}
	return nil
}

// openWrite begins the message of a write, which has rows only where it returns some.
func (a *answer) openWrite() {
	if len(a.st.out) > 0 {
		a.open(4)
	} else {
		a.out = append(a.out, 0x80|2)
	}
}

// closeWrite ends it with the number of rows changed and the key of the last one inserted.
func (a *answer) closeWrite(affected int64, last abi.Value) {
	if len(a.st.out) > 0 {
		a.close()
	}
	a.out = msgp.AppendInt64(append(a.out, 0xa1, 'n'), affected)
	a.out = last.AppendMsg(append(a.out, 0xa2, 'i', 'd'))
}
