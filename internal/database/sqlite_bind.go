package database

import (
	"time"
	"unsafe"

	"github.com/ncruces/go-sqlite3"
	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// bind implements binder.
func (r *run) bind(p *param, n int, v abi.Value) error {
	r.bound += len(v.AsText())
	return r.fail(bindValue(r.stmt.Stmt, n, p.column.Type, p.use, v))
}

func (r *run) bindAll() error { return bindAll(r, r.st, r.q, &r.now) }

// bindValue binds a value that its column has accepted. A NaN becomes null: SQLite has none.
func bindValue(st *sqlite3.Stmt, param int, typ Type, u use, v abi.Value) error {
	switch v.Kind() {
	case abi.KindBool:
		return st.BindBool(param, v.AsBool())
	case abi.KindInt:
		return st.BindInt64(param, v.AsInt())
	case abi.KindFloat:
		return st.BindFloat(param, v.AsFloat())
	case abi.KindText, abi.KindDecimal, abi.KindJSON:
		return st.BindText(param, v.AsText())
	case abi.KindBytes:
		s := v.AsText()
		if s == "" {
			return st.BindZeroBlob(param, 0)
		}
		return st.BindBlob(param, unsafe.Slice(unsafe.StringData(s), len(s))) // copied, not kept
	case abi.KindTime:
		var text [len(timeLayout)]byte
		b, t := text[:0], v.AsTime()
		if typ == TypeDate && (u == useWrite || t.Equal(t.Truncate(24*time.Hour))) {
			b = t.AppendFormat(b, dateLayout)
		} else {
			b = appendTimeText(b, t) // an instant within a day sorts after that day's date
		}
		return st.BindText(param, string(b))
	}
	return st.BindNull(param)
}

// appendColumn appends a value of the row on which st stands, straight from SQLite's memory.
func appendColumn(b []byte, st *sqlite3.Stmt, i int, typ Type) []byte {
	switch st.ColumnType(i) {
	case sqlite3.INTEGER:
		n := st.ColumnInt64(i)
		switch {
		case typ == TypeBool && n>>1 == 0:
			return msgp.AppendBool(b, n == 1)
		case typ == TypeFloat:
			return msgp.AppendFloat64(b, float64(n))
		}
		return msgp.AppendInt64(b, n)
	case sqlite3.FLOAT:
		return msgp.AppendFloat64(b, st.ColumnFloat(i))
	case sqlite3.TEXT:
		return appendText(b, st.ColumnRawText(i), typ)
	case sqlite3.BLOB:
		return msgp.AppendBytes(b, st.ColumnRawBlob(i))
	}
	return msgp.AppendNil(b)
}

func appendText(b, text []byte, typ Type) []byte {
	switch typ {
	case TypeTime, TypeDate:
		if sec, nsec, ok := parseTimeText(text); ok {
			return abi.AppendTime(b, sec, nsec)
		}
	case TypeDecimal:
		view := unsafe.String(unsafe.SliceData(text), len(text)) // not kept
		if _, _, _, ok := splitDecimal(view); ok {
			return abi.AppendDecimal(b, view)
		}
	case TypeJSON:
		return abi.AppendJSON(b, unsafe.String(unsafe.SliceData(text), len(text)))
	}
	return msgp.AppendStringFromBytes(b, text)
}
