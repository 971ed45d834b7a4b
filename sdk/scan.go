package odac

import (
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/abi/msgpack"
)

// Scan reads into *[]T all rows, or into *T the first row ([NotFound] if there is none), T a struct whose fields name their
// columns by tag: `db:"title"`; a field without a tag is its name in snake case, "-" is no column. It is strict: a value that does
// not fit its field without loss is an [Invalid] error; a null needs a pointer field or a [Value]. Columns without a
// field are ignored, fields without a column keep what they hold.
func (q Query) Scan(dst any) error {
	p := reflect.ValueOf(dst)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return newError(Invalid, "odac: Scan wants a pointer to a struct or to a slice of structs")
	}
	v := p.Elem()
	if v.Kind() == reflect.Struct {
		row, err := q.First()
		if err != nil {
			return err
		}
		return scanRows(Rows{row}, v.Type(), v.Addr().UnsafePointer())
	}
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Struct {
		return newError(Invalid, "odac: Scan wants a pointer to a struct or to a slice of structs")
	}
	rows, err := q.All()
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), len(rows), len(rows))
	if len(rows) > 0 {
		if err := scanRows(rows, v.Type().Elem(), list.UnsafePointer()); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// target is a field that gets a column's values.
type target struct {
	column, field int
	offset        uintptr
	usual         usual
}

// usual are the types of fields that most values go to without reflection, which takes a guest ten times as long.
type usual uint8

const (
	rare usual = iota
	usualInt
	usualString
	usualFloat
	usualBool
	usualTime
)

// targets finds the fields of the columns.
func targets(t reflect.Type, columns []string) (list []target) {
	for i := range t.NumField() {
		f := t.Field(i)
		column := slices.Index(columns, columnOf(f))
		if column < 0 || columnOf(f) == "" {
			continue
		}
		to := target{column: column, field: i, offset: f.Offset}
		switch {
		case f.Type == reflect.TypeFor[time.Time]():
			to.usual = usualTime
		case f.Type.Kind() == reflect.Int64:
			to.usual = usualInt
		case f.Type.Kind() == reflect.String:
			to.usual = usualString
		case f.Type.Kind() == reflect.Float64:
			to.usual = usualFloat
		case f.Type.Kind() == reflect.Bool:
			to.usual = usualBool
		}
		list = append(list, to)
	}
	return list
}

// scanRows fills structs that lie one after the other in memory.
func scanRows(rows Rows, t reflect.Type, first unsafe.Pointer) error {
	fields := targets(t, rows[0].Columns())
	for i := range rows {
		dst := unsafe.Add(first, uintptr(i)*t.Size())
		r := &rows[i]
		at := r.t.at[r.from : r.from+r.n]
		for j := range fields {
			f := &fields[j]
			if f.column >= len(at) {
				continue
			}
			b := r.t.msg[at[f.column]:]
			if f.usual != rare && f.set(unsafe.Add(dst, f.offset), b) {
				continue
			}
			v := valueAt(b)
			if !setField(reflect.NewAt(t, dst).Elem().Field(f.field), v) {
				field := t.Field(f.field)
				return newError(Invalid, "odac: column "+r.t.columns[f.column]+" is "+v.Kind().String()+" and does not fit field "+field.Name+" "+field.Type.String())
			}
		}
	}
	return nil
}

// set is setField for the usual: the value at the head of b is of the field's own kind. False is everything else.
func (f *target) set(p unsafe.Pointer, b []byte) bool {
	c := b[0]
	switch f.usual {
	case usualInt:
		if c < 0x80 {
			*(*int64)(p) = int64(c)
			return true
		}
		i, ok := integer(b)
		*(*int64)(p) = i
		return ok
	case usualFloat:
		if c == 0xcb && len(b) >= 9 {
			*(*float64)(p) = math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
			return true
		}
	case usualBool:
		if c|1 == 0xc3 {
			*(*bool)(p) = c == 0xc3
			return true
		}
	case usualString:
		if c&0xe0 == 0xa0 {
			*(*string)(p) = viewString(b[1 : 1+c&0x1f])
			return true
		}
		if ext, from, n := short(b); ext == abi.ExtDecimal || ext == abi.ExtJSON || c >= 0xd9 && c <= 0xdb {
			*(*string)(p) = viewString(b[from : from+n])
			return true
		}
	case usualTime:
		if ext, from, n := short(b); ext == abi.ExtTime {
			*(*time.Time)(p) = instant(b[from : from+n])
			return true
		}
	}
	return false
}

// integer reads an integer.
func integer(b []byte) (int64, bool) {
	switch c := b[0]; {
	case c < 0x80 || c >= 0xe0:
		return int64(int8(c)), true
	case (c == 0xd3 || c == 0xcf && len(b) > 1 && b[1] < 0x80) && len(b) >= 9:
		return int64(binary.BigEndian.Uint64(b[1:])), true
	case (c == 0xd2 || c == 0xce) && len(b) >= 5:
		n := binary.BigEndian.Uint32(b[1:])
		if c == 0xd2 {
			return int64(int32(n)), true
		}
		return int64(n), true
	}
	i, _, err := msgpack.ReadInt64Bytes(b)
	return i, err == nil
}

// short is long at the head of b, without a call for what has at most 255 bytes.
func short(b []byte) (ext int8, from, n int) {
	if c := b[0]; c == 0xd9 && len(b) >= 2 {
		return 0, 2, int(b[1])
	} else if c == 0xc7 && len(b) >= 3 && (int8(b[2]) > 0 || b[1] == 12) {
		return int8(b[2]), 3, int(b[1])
	}
	return long(b, 0)
}

func columnOf(f reflect.StructField) string {
	if !f.IsExported() {
		return ""
	}
	name, _, _ := strings.Cut(f.Tag.Get("db"), ",")
	if name == "-" {
		return ""
	}
	if name == "" {
		name = snake(f.Name)
	}
	return name
}

// snake turns CreatedAt into created_at and UserID into user_id.
func snake(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		upper := c >= 'A' && c <= 'Z'
		if upper && i > 0 && (s[i-1] < 'A' || s[i-1] > 'Z' || i+1 < len(s) && s[i+1] >= 'a' && s[i+1] <= 'z') {
			b.WriteByte('_')
		}
		if upper {
			c |= 0x20
		}
		b.WriteByte(c)
	}
	return b.String()
}

func setField(f reflect.Value, v Value) bool {
	t := f.Type()
	switch {
	case t == reflect.TypeFor[Value]():
		f.Set(reflect.ValueOf(v))
		return true
	case t.Kind() == reflect.Pointer && v.IsNull():
		f.SetZero()
		return true
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		f.Set(p)
		return setField(p.Elem(), v)
	case t == reflect.TypeFor[time.Time]():
		x, ok := timeOf(v)
		f.Set(reflect.ValueOf(x))
		return ok
	}
	switch t.Kind() {
	case reflect.String:
		f.SetString(v.AsText())
		return v.Kind() == abi.KindText || v.Kind() == abi.KindDecimal || v.Kind() == abi.KindJSON
	case reflect.Bool:
		x, ok := boolOf(v)
		f.SetBool(x)
		return ok
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		x, ok := intOf(v)
		f.SetInt(x)
		return ok && !f.OverflowInt(x)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		x, ok := intOf(v)
		f.SetUint(uint64(x))
		return ok && x >= 0 && !f.OverflowUint(uint64(x))
	case reflect.Float32, reflect.Float64:
		x, ok := floatOf(v)
		f.SetFloat(x)
		return ok
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && v.Kind() != abi.KindNull {
			f.SetBytes([]byte(v.AsText()))
			return true
		}
	}
	return false
}

// rowsOf makes fields and values of maps, structs, pointers to structs, or one slice of these.
func rowsOf(rows []any) ([]string, []abi.Values, error) {
	if len(rows) == 1 {
		switch list := rows[0].(type) {
		case []Map:
			rows = make([]any, len(list))
			for i, m := range list {
				rows[i] = m
			}
		case Map: // the usual case needs no reflection
		default:
			if v := reflect.ValueOf(rows[0]); v.Kind() == reflect.Slice {
				rows = make([]any, v.Len())
				for i := range rows {
					rows[i] = v.Index(i).Interface()
				}
			}
		}
	}
	if len(rows) == 0 {
		return nil, nil, newError(Invalid, "there are no rows")
	}
	var fields []string
	out := make([]abi.Values, len(rows))
	for i, row := range rows {
		names, values, err := rowOf(row)
		if err != nil {
			return nil, nil, err
		}
		if i > 0 && !slices.Equal(fields, names) {
			return nil, nil, newError(Invalid, "the rows of one call have different columns")
		}
		fields, out[i] = names, values
	}
	if len(fields) == 0 {
		return nil, nil, newError(Invalid, "there are no columns")
	}
	return fields, out, nil
}

func rowOf(row any) ([]string, abi.Values, error) {
	if m, ok := row.(Map); ok {
		names := make([]string, 0, len(m))
		for name := range m {
			names = append(names, name)
		}
		slices.Sort(names)
		values := make(abi.Values, len(names))
		for i, name := range names {
			v, err := abi.Of(m[name])
			if err != nil {
				return nil, nil, newError(Invalid, name+": "+err.Error())
			}
			values[i] = v
		}
		return names, values, nil
	}
	v := reflect.ValueOf(row)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, nil, newError(Invalid, "a row is an odac.Map or a struct")
	}
	return structRow(v)
}

// structRow leaves out zero fields that are tagged omitempty: an id for the host to fill, say.
func structRow(v reflect.Value) (names []string, values abi.Values, err error) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name := columnOf(f)
		if name == "" || v.Field(i).IsZero() && strings.HasSuffix(f.Tag.Get("db"), ",omitempty") {
			continue
		}
		value, err := valueOf(v.Field(i))
		if err != nil {
			return nil, nil, newError(Invalid, name+": "+err.Error())
		}
		names, values = append(names, name), append(values, value)
	}
	return names, values, nil
}

func valueOf(v reflect.Value) (Value, error) {
	if x, err := abi.Of(v.Interface()); err == nil {
		return x, nil
	}
	switch v.Kind() { // named types of plain ones
	case reflect.Pointer:
		if v.IsNil() {
			return abi.Null(), nil
		}
		return valueOf(v.Elem())
	case reflect.String:
		return abi.Text(v.String()), nil
	case reflect.Bool:
		return abi.Bool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return abi.Int(v.Int()), nil
	case reflect.Float32, reflect.Float64:
		return abi.Float(v.Float()), nil
	}
	return abi.Of(v.Interface())
}
