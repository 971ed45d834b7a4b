package database

import (
	"time"
	"unsafe"

	"github.com/ncruces/go-sqlite3"

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

// column writes a value of the row on which st stands, straight from SQLite's memory.
func (r *run) column(st *sqlite3.Stmt, i int, typ Type) {
	v := st.ColumnValue(i) // to ask it takes SQLite half of what to ask the statement does
	switch v.Type() {
	case sqlite3.INTEGER:
		n := v.Int64()
		switch {
		case typ == TypeBool && n>>1 == 0:
			r.Bool(n == 1)
		case typ == TypeFloat:
			r.Float(float64(n))
		default:
			r.Int(n)
		}
	case sqlite3.FLOAT:
		r.Float(v.Float())
	case sqlite3.TEXT:
		text := v.RawText()
		if text == nil {
			text = st.ColumnRawText(i) // has the statement's error, where there is no memory for it
		}
		r.text(text, typ)
	case sqlite3.BLOB:
		r.Text(abi.KindBytes, view(st.ColumnRawBlob(i)))
	default:
		r.Null()
	}
}

func (r *run) text(text []byte, typ Type) {
	kind := abi.KindText
	switch typ {
	case TypeTime, TypeDate:
		if sec, nsec, ok := parseTimeText(text); ok {
			r.Time(sec, nsec)
			return
		}
	case TypeDecimal:
		if _, _, _, ok := splitDecimal(view(text)); ok {
			kind = abi.KindDecimal
		}
	case TypeJSON:
		kind = abi.KindJSON
	}
	r.Text(kind, view(text))
}
