package odac

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/odac-run/odachost/abi"
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
		t, err := q.Limit(1).table()
		switch {
		case err != nil:
			return err
		case t.n == 0:
			return q.none()
		}
		t.n = 1 // there is room for one, however many came
		return t.scan(v.Type(), v.Addr().UnsafePointer())
	}
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Struct {
		return newError(Invalid, "odac: Scan wants a pointer to a struct or to a slice of structs")
	}
	t, err := q.table()
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), t.n, t.n)
	if t.n > 0 {
		if err := t.scan(v.Type().Elem(), list.UnsafePointer()); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// table reads the rows.
func (q Query) table() (*table, error) {
	q.q.Verb = abi.VerbSelect
	answer, err := q.send()
	if err != nil {
		return nil, err
	}
	t := tableSlab.One()
	_, _, err = t.result(answer)
	return t, err
}

// target is a field that gets a column's values.
type target struct {
	column, field int
	offset        uintptr
	fill          filler
}

// filler sets the fields of structs, size bytes apart from to on, from the cells of a column in rows that begin at, until one is of another kind
// or there are no more. It says how many it set, and where the row after them begins. It calls nothing, because a call takes a guest as
// long as to set a field, and looks at what a cell holds beside its number, its kind and more, as one.
type filler func(base unsafe.Pointer, at, rows, cell int, to unsafe.Pointer, size uintptr) (done, after int)

// targets finds the fields of the columns.
func targets(t reflect.Type, columns []string) (list []target) {
	for i := range t.NumField() {
		f := t.Field(i)
		column := slices.Index(columns, columnOf(f))
		if column < 0 || columnOf(f) == "" {
			continue
		}
		to := target{column: column, field: i, offset: f.Offset, fill: fillNone}
		switch {
		case f.Type == reflect.TypeFor[time.Time]():
			if plainTime {
				to.fill = fillTimes
			}
		case f.Type.Kind() == reflect.Int64:
			to.fill = fillInts
		case f.Type.Kind() == reflect.String:
			to.fill = fillStrings
		case f.Type.Kind() == reflect.Float64:
			to.fill = fillFloats
		case f.Type.Kind() == reflect.Bool:
			to.fill = fillBools
		}
		list = append(list, to)
	}
	return list
}

// scan fills structs that lie one after the other in memory, one for each row, field by field: the values of one column are mostly of one kind, so
// that a tight loop does them; reflection, which takes a guest ten times as long, does the others.
func (t *table) scan(typ reflect.Type, first unsafe.Pointer) error {
	fields, size := targets(typ, t.columns), typ.Size()
	for j := range fields {
		f := &fields[j]
		if f.column >= t.cells {
			f.fill = fillNone
		}
		at, cell := firstRow, abi.RowHeadBytes+f.column*abi.CellBytes
		for i := 0; i < t.n; i++ {
			var n int
			n, at = f.fill(t.base, at, t.n-i, cell, unsafe.Add(first, uintptr(i)*size+f.offset), size)
			if i += n; i == t.n {
				break
			}
			r := Row{t, uint32(at), load32(t.base, at+4)}
			if at += int(load32(t.base, at)); f.column >= int(r.n) {
				continue
			}
			v := r.nth(f.column)
			if !setField(reflect.NewAt(typ, unsafe.Add(first, uintptr(i)*size)).Elem().Field(f.field), v) {
				field := typ.Field(f.field)
				return newError(Invalid, "odac: column "+t.columns[f.column]+" is "+v.Kind().String()+" and does not fit field "+field.Name+" "+field.Type.String())
			}
		}
	}
	return nil
}

func fillNone(_ unsafe.Pointer, at, _, _ int, _ unsafe.Pointer, _ uintptr) (done, after int) {
	return 0, at
}

func fillInts(base unsafe.Pointer, at, rows, cell int, to unsafe.Pointer, size uintptr) (done, after int) {
	for ; done < rows && load64(base, at+cell+8) == uint64(abi.KindInt)<<32; done++ {
		*(*int64)(unsafe.Add(to, uintptr(done)*size)) = int64(load64(base, at+cell))
		at += int(load32(base, at))
	}
	return done, at
}

func fillFloats(base unsafe.Pointer, at, rows, cell int, to unsafe.Pointer, size uintptr) (done, after int) {
	for ; done < rows && load64(base, at+cell+8) == uint64(abi.KindFloat)<<32; done++ {
		*(*float64)(unsafe.Add(to, uintptr(done)*size)) = math.Float64frombits(load64(base, at+cell))
		at += int(load32(base, at))
	}
	return done, at
}

func fillBools(base unsafe.Pointer, at, rows, cell int, to unsafe.Pointer, size uintptr) (done, after int) {
	for ; done < rows && load64(base, at+cell+8) == uint64(abi.KindBool)<<32; done++ {
		*(*bool)(unsafe.Add(to, uintptr(done)*size)) = load64(base, at+cell) == 1
		at += int(load32(base, at))
	}
	return done, at
}

// texts are the kinds that fit a string, each a bit.
const texts = 1<<abi.KindText | 1<<abi.KindDecimal | 1<<abi.KindJSON

func fillStrings(base unsafe.Pointer, at, rows, cell int, to unsafe.Pointer, size uintptr) (done, after int) {
	for ; done < rows; done++ {
		from, more, next := load64(base, at+cell), load64(base, at+cell+8), uint64(load32(base, at))
		n := more & math.MaxUint32
		if texts>>(more>>32)&1 == 0 || from > next || n > next-from {
			break
		}
		if n == 0 {
			from = 0 // what is empty may lie at the end, behind which nothing of ours is
		}
		*(*string)(unsafe.Add(to, uintptr(done)*size)) = unsafe.String((*byte)(unsafe.Add(base, uint64(at)+from)), n)
		at += int(next)
	}
	return done, at
}

func fillTimes(base unsafe.Pointer, at, rows, cell int, to unsafe.Pointer, size uintptr) (done, after int) {
	for ; done < rows; done++ {
		nsec := load64(base, at+cell+8) - uint64(abi.KindTime)<<32
		if nsec >= 1e9 {
			break
		}
		*(*instant)(unsafe.Add(to, uintptr(done)*size)) = instant{nsec: nsec, sec: int64(load64(base, at+cell)) + year1}
		at += int(load32(base, at))
	}
	return done, at
}

// instant is a [time.Time] as package time keeps one in UTC without a monotonic clock, if plainTime.
type instant struct {
	nsec uint64
	sec  int64 // since the year 1
	loc  unsafe.Pointer
}

// year1 is the seconds from the year 1 to 1970.
const year1 = 62135596800

// plainTime says that package time keeps times as we think.
var plainTime = func() bool {
	t := time.Unix(1234567890, 987654321).UTC()
	return unsafe.Sizeof(t) == unsafe.Sizeof(instant{}) && *(*instant)(unsafe.Pointer(&t)) == instant{nsec: 987654321, sec: 1234567890 + year1}
}()

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
