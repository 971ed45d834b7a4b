package database

import (
	"maps"
	"slices"
	"time"

	"github.com/odac-run/odachost/abi"
)

func (c *Catalog) compiler(a *Access, table string) (*block, error) {
	t, ok := c.Table(table)
	if !ok {
		return nil, invalidf("there is no table %s", clip(table))
	}
	return &block{compiler: &compiler{catalog: c, access: a, st: &statement{table: t}}, scope: []source{{table: a.visible(t), full: t, alias: table}}}, nil
}

// FillInsert makes rows of an insert complete and canonical, for a write that is applied later: values brought to their columns'
// types and checked, nanoids drawn, created_at and updated_at set, what a policy pins to one value set to it. Fields and rows come back as copies, the
// filled columns at the end. Errors are those that the insert would give before it runs.
func (c *Catalog) FillInsert(a *Access, table string, fields []string, rows []abi.Values) ([]string, []abi.Values, error) {
	k, err := c.compiler(a, table)
	if err != nil {
		return nil, nil, err
	}
	given, err := k.written(fields, abi.VerbInsert)
	if err != nil {
		return nil, nil, err
	}
	columns, guard, err := k.inserted(given)
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, len(columns))
	for i, in := range columns {
		names[i] = in.column.Name
	}
	now := time.Now()
	out := make([]abi.Values, len(rows))
	for i, row := range rows {
		if len(row) != len(given) {
			return nil, nil, invalidf("row %d of %s has %s for %s", i, table, plural(len(row), "value"), plural(len(given), "field"))
		}
		out[i] = make(abi.Values, len(columns))
		for j := range columns {
			in, v := &columns[j], abi.Null()
			if in.source >= 0 {
				v = row[in.source]
			}
			if v.IsNull() && in.fill != fillNone {
				v = in.filled(now)
			}
			if out[i][j], err = in.column.accept(v, useWrite); err != nil {
				return nil, nil, err
			}
		}
		if guard != nil {
			if err := guard.check(out[i]); err != nil {
				return nil, nil, err
			}
		}
	}
	return names, out, nil
}

// FillUpdate does the same for a buffered set or increment of one row: values checked, updated_at added at the end if it is not among the
// fields. What a policy pins to one value is left out: the row has it.
func (c *Catalog) FillUpdate(a *Access, table string, fields []string, row abi.Values, increments []string) ([]string, abi.Values, error) {
	k, err := c.compiler(a, table)
	if err != nil {
		return nil, nil, err
	}
	columns, err := k.written(slices.Concat(fields, increments), abi.VerbUpdate)
	if err == nil {
		_, err = k.written(increments, abi.VerbSelect) // what is added to is read
	}
	if err != nil {
		return nil, nil, err
	}
	add := columns[len(fields):]
	if columns = columns[:len(fields)]; len(row) != len(columns) {
		return nil, nil, invalidf("the row for %s has %s for %s", table, plural(len(row), "value"), plural(len(columns), "field"))
	}
	guard, err := k.guardUpdate(k.st.table, columns, add)
	if err == nil && guard != nil {
		err = guard.checkSet(row)
	}
	if err != nil {
		return nil, nil, err
	}
	p, err := k.policyOn(k.st.table)
	if err != nil {
		return nil, nil, err
	}
	pins := p.pins()
	names, out := make([]string, 0, len(columns)+1), make(abi.Values, 0, len(columns)+1)
	for i, column := range columns {
		v, err := column.accept(row[i], useWrite)
		if err != nil {
			return nil, nil, err
		}
		if _, pinned := pins[column.Name]; !pinned {
			names, out = append(names, column.Name), append(out, v)
		}
	}
	if column, ok := k.st.table.Column(updatedAt); ok && maintained(column) && !slices.Contains(names, updatedAt) {
		names, out = append(names, updatedAt), append(out, abi.Time(time.Now()))
	}
	return names, out, nil
}

// KeyValues brings the values of a row's primary key to their columns' types, so that one row has one spelling. columns must be the whole
// key, in any order.
func (c *Catalog) KeyValues(a *Access, table string, columns []string, key abi.Values) (abi.Values, error) {
	k, err := c.compiler(a, table)
	if err != nil {
		return nil, err
	}
	named, err := k.written(columns, abi.VerbSelect)
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

// Pins are the columns that the policy on a table allows one value only, sorted, with that value: together with the primary key they name a row
// that the policy allows. whole says that the policy says nothing else.
func (c *Catalog) Pins(a *Access, table string) (columns []string, values abi.Values, whole bool, err error) {
	k, err := c.compiler(a, table)
	if err != nil {
		return nil, nil, false, err
	}
	p, err := k.policyOn(k.st.table)
	if err != nil {
		return nil, nil, false, err
	}
	pins := p.pins()
	for _, name := range slices.Sorted(maps.Keys(pins)) {
		column, _ := k.st.table.Column(name)
		v, err := column.accept(pins[name], useWrite)
		if err != nil {
			return nil, nil, false, err
		}
		columns, values = append(columns, name), append(values, v)
	}
	return columns, values, !slices.ContainsFunc(p, func(part []abi.Cond) bool { return len(part) != 1 || part[0].Op != abi.CondEq }), nil
}
