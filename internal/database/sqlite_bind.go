package database

import (
	"time"
	"unsafe"

	"github.com/ncruces/go-sqlite3"
	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
)

// bind checks v and binds it as the next parameter. It returns the value as it is stored.
func (r *run) bind(v abi.Value) (abi.Value, error) {
	if r.param >= len(r.st.params) {
		return v, failf(abi.ErrnoInternal, "the statement on %s has fewer parameters than values", r.st.table.Name)
	}
	p := &r.st.params[r.param]
	r.param++
	v, err := p.column.accept(v, p.use)
	if err != nil {
		return v, err
	}
	r.bound += len(v.AsText())
	return v, r.fail(bindValue(r.stmt.Stmt, r.param, p.column.Type, p.use, v))
}

func (r *run) bindAll(values abi.Values) error {
	for _, v := range values {
		if _, err := r.bind(v); err != nil {
			return err
		}
	}
	return nil
}

// bindConds binds the values of conditions, in their order. Null is part of the statement's text.
func (r *run) bindConds(conds []abi.Cond) error {
	for i := range conds {
		for _, v := range conds[i].Values {
			if v.IsNull() {
				continue
			}
			if _, err := r.bind(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) bindSelect() error {
	for i := range r.q.Joins {
		if err := r.bindConds(r.q.Joins[i].On); err != nil {
			return err
		}
	}
	if err := r.bindConds(r.q.Where); err != nil {
		return err
	}
	if err := r.bindConds(r.q.Having); err != nil {
		return err
	}
	if r.q.Limit < 0 || r.q.Offset < 0 {
		return invalidf("limit %d and offset %d: neither is below 0", r.q.Limit, r.q.Offset)
	}
	if r.q.Limit == 0 && r.q.Offset == 0 {
		return nil
	}
	limit := r.q.Limit
	if limit == 0 {
		limit = -1 // SQLite's word for none
	}
	if _, err := r.bind(abi.Int(limit)); err != nil || r.q.Offset == 0 {
		return err
	}
	_, err := r.bind(abi.Int(r.q.Offset))
	return err
}

// bindChange binds an update or a delete.
func (r *run) bindChange() error {
	if r.st.verb == abi.VerbUpdate {
		row := abi.Values(nil)
		if len(r.q.Rows) == 1 {
			row = r.q.Rows[0]
		}
		if len(r.q.Rows) > 1 || len(row) != len(r.st.set) {
			return invalidf("update of %s needs one row with %s", r.st.table.Name, plural(len(r.st.set), "value"))
		}
		if err := r.bindAll(row); err != nil {
			return err
		}
		for i := range r.q.Increments {
			d := &r.q.Increments[i]
			if d.By.IsNull() {
				return invalidf("increment of %s by null", clip(d.Column))
			}
			if _, err := r.bind(d.By); err != nil {
				return err
			}
		}
		for range r.st.inserts { // updated_at
			if _, err := r.bind(abi.Time(time.Now())); err != nil {
				return err
			}
		}
	}
	return r.bindConds(r.q.Where)
}

// bindRow binds the i-th row of an insert and returns its primary key as stored, null if the database makes it.
func (r *run) bindRow(i int, row abi.Values, now time.Time) (key abi.Value, err error) {
	if len(row) != len(r.q.Fields) {
		return key, invalidf("row %d for %s has %s for %s", i, r.st.table.Name, plural(len(row), "value"), plural(len(r.q.Fields), "field"))
	}
	for j := range r.st.inserts {
		in := &r.st.inserts[j]
		v := abi.Null()
		if in.source >= 0 {
			v = row[in.source]
		}
		if v.IsNull() && in.fill != fillNone {
			v = filled(in.column, in.fill, now)
		}
		if v, err = r.bind(v); err != nil {
			return key, err
		}
		if in.column == r.st.key {
			key = v
		}
	}
	return key, nil
}

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
