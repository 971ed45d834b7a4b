package database

import (
	"slices"
	"time"

	"github.com/odac-run/odachost/abi"
)

// filled is the value of a column that the row lacks.
func filled(c *Column, f fill, now time.Time) abi.Value {
	if f == fillNanoid {
		return abi.Text(newNanoid(c.Nanoid))
	}
	return abi.Time(now)
}

func (c *Catalog) compiler(table string) (*compiler, error) {
	t, ok := c.Table(table)
	if !ok {
		return nil, invalidf("there is no table %s", clip(table))
	}
	return &compiler{catalog: c, st: &statement{table: t}, scope: []source{{t, table}}}, nil
}

// FillInsert makes rows of an insert complete and canonical, for a write that is applied later: values brought to their columns'
// types and checked, nanoids drawn, created_at and updated_at set. Fields and rows come back as copies, the filled columns at
// the end. Errors are those that the insert would give before it runs.
func (c *Catalog) FillInsert(table string, fields []string, rows []abi.Values) ([]string, []abi.Values, error) {
	k, err := c.compiler(table)
	if err != nil {
		return nil, nil, err
	}
	given, err := k.written(fields)
	if err != nil {
		return nil, nil, err
	}
	columns := slices.Clone(given)
	for i := range k.st.table.Columns {
		if column := &k.st.table.Columns[i]; fillOf(column) != fillNone && !slices.Contains(given, column) {
			columns = append(columns, column)
		}
	}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.Name
	}
	now := time.Now()
	out := make([]abi.Values, len(rows))
	for i, row := range rows {
		if len(row) != len(given) {
			return nil, nil, invalidf("row %d of %s has %s for %s", i, table, plural(len(row), "value"), plural(len(given), "field"))
		}
		out[i] = make(abi.Values, len(columns))
		for j, column := range columns {
			v := abi.Null()
			if j < len(row) {
				v = row[j]
			}
			if f := fillOf(column); v.IsNull() && f != fillNone {
				v = filled(column, f, now)
			}
			if out[i][j], err = column.accept(v, useWrite); err != nil {
				return nil, nil, err
			}
		}
	}
	return names, out, nil
}

// FillUpdate does the same for a buffered set or increment of one row: values checked, updated_at added at the end if it is not among the
// fields.
func (c *Catalog) FillUpdate(table string, fields []string, row abi.Values) ([]string, abi.Values, error) {
	k, err := c.compiler(table)
	if err != nil {
		return nil, nil, err
	}
	columns, err := k.written(fields)
	if err != nil {
		return nil, nil, err
	}
	if len(row) != len(columns) {
		return nil, nil, invalidf("the row for %s has %s for %s", table, plural(len(row), "value"), plural(len(columns), "field"))
	}
	names, out := make([]string, 0, len(columns)+1), make(abi.Values, 0, len(columns)+1)
	for i, column := range columns {
		v, err := column.accept(row[i], useWrite)
		if err != nil {
			return nil, nil, err
		}
		names, out = append(names, column.Name), append(out, v)
	}
	if column, ok := k.st.table.Column(updatedAt); ok && maintained(column) && !slices.Contains(names, updatedAt) {
		names, out = append(names, updatedAt), append(out, abi.Time(time.Now()))
	}
	return names, out, nil
}

// KeyValues brings the values of a row's primary key to their columns' types, so that one row has one spelling. columns must be the whole
// key, in any order.
func (c *Catalog) KeyValues(table string, columns []string, key abi.Values) (abi.Values, error) {
	k, err := c.compiler(table)
	if err != nil {
		return nil, err
	}
	named, err := k.written(columns)
	if err != nil {
		return nil, err
	}
	if len(key) != len(named) || len(named) != len(k.st.table.Key) || len(named) == 0 ||
		slices.ContainsFunc(named, func(c *Column) bool { return !slices.Contains(k.st.table.Key, c.Name) }) {
		return nil, invalidf("a row of %s is named by its primary key, %d columns with one value each", table, len(k.st.table.Key))
	}
	out := make(abi.Values, len(key))
	for i, column := range named {
		if key[i].IsNull() {
			return nil, invalidf("%s of the primary key of %s is null", column.Name, table)
		}
		if out[i], err = column.accept(key[i], useWrite); err != nil {
			return nil, err
		}
	}
	return out, nil
}
