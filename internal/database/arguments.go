package database

import (
	"time"

	"github.com/odac-run/odachost/abi"
)

// binder takes the values of a statement's parameters in their order, each checked by its column. n counts from 1 within one execution.
type binder interface {
	bind(p *param, n int, v abi.Value) error
}

// bindAll gives the values of everything but an insert's rows.
func bindAll(to binder, st *statement, q *abi.Query, now *time.Time) error {
	if err := st.checkRow(q); err != nil {
		return err
	}
	for i := range st.params {
		p := &st.params[i]
		v, err := p.of(q, now)
		if err == nil {
			v, err = p.column.accept(v, p.use)
		}
		if err == nil {
			err = to.bind(p, i+1, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bindRow gives the i-th row of an insert. It returns its primary key as stored, null if the database makes it.
func bindRow(to binder, st *statement, q *abi.Query, i int, now time.Time) (key abi.Value, err error) {
	row := q.Rows[i]
	var whole abi.Values // for the guard
	if len(row) != len(q.Fields) {
		return key, invalidf("row %d for %s has %s for %s", i, st.table.Name, plural(len(row), "value"), plural(len(q.Fields), "field"))
	}
	for j := range st.inserts {
		in, p := &st.inserts[j], &st.params[j]
		v := abi.Null()
		if in.source >= 0 {
			v = row[in.source]
		}
		if v.IsNull() && in.fill != fillNone {
			v = in.filled(now)
		}
		if v, err = p.column.accept(v, p.use); err != nil {
			return key, err
		}
		if err := to.bind(p, j+1, v); err != nil {
			return key, err
		}
		if in.column == st.key {
			key = v
		}
		if st.guard != nil {
			whole = append(whole, v)
		}
	}
	for j := len(st.inserts); j < len(st.params); j++ { // a policy's, behind the row
		p := &st.params[j]
		v, err := p.column.accept(*p.fixed, p.use)
		if err == nil {
			err = to.bind(p, j+1, v)
		}
		if err != nil {
			return key, err
		}
	}
	if st.guard != nil {
		return key, st.guard.check(whole)
	}
	return key, nil
}
