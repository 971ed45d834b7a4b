package database

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/odac-run/odachost/abi"
)

// bind implements binder: it keeps the value of a parameter as the driver takes it.
func (r *mysqlRun) bind(p *param, _ int, v abi.Value) error {
	out, err := mysqlValue(p, v)
	if err == nil {
		r.conn.link.values = append(r.conn.link.values, out)
	}
	return err
}

func mysqlValue(p *param, v abi.Value) (driver.Value, error) {
	s := v.AsText()
	if len(s) >= abi.MaxMessageBytes {
		return nil, failf(abi.ErrnoTooLarge, "a value is larger than 16 MiB")
	}
	switch v.Kind() {
	case abi.KindBool:
		if v.AsBool() {
			return int64(1), nil
		}
		return int64(0), nil
	case abi.KindInt:
		return v.AsInt(), nil
	case abi.KindFloat:
		if f := v.AsFloat(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, p.column.refuse(v, "MySQL has neither NaN nor infinities")
	case abi.KindText, abi.KindDecimal, abi.KindJSON:
		return s, nil
	case abi.KindBytes:
		if s == "" {
			return []byte{}, nil // nil would be null
		}
		return unsafe.Slice(unsafe.StringData(s), len(s)), nil // copied, not kept
	case abi.KindTime:
		if p.column.Type == TypeDate && p.use == useWrite {
			return v.AsTime().Format(dateLayout), nil
		}
		return v.AsTime().Truncate(time.Microsecond).Format("2006-01-02 15:04:05.000000"), nil
	}
	return nil, nil
}

// value writes a value as the driver gives it: an int64, a float, or the bytes of its text. It says whether the value is of the
// type that its expression promised.
func (r *mysqlRun) value(v driver.Value, typ Type) bool {
	switch v := v.(type) {
	case nil:
		r.Null()
	case int64:
		switch {
		case typ == TypeBool && v>>1 == 0:
			r.Bool(v == 1)
		case typ == TypeFloat:
			r.Float(float64(v))
		case typ == TypeDecimal:
			var digits [20]byte
			r.Text(abi.KindDecimal, view(strconv.AppendInt(digits[:0], v, 10)))
		default:
			r.Int(v)
		}
	case float64:
		r.Float(v)
	case float32:
		r.Float(float64(v))
	case []byte:
		return r.valueText(v, typ)
	default:
		r.Text(abi.KindText, fmt.Sprint(v))
	}
	return true
}

func (r *mysqlRun) valueText(text []byte, typ Type) bool {
	kind := abi.KindText
	switch typ {
	case TypeInt: // a sum, or an unsigned number over 64 bits
		n, err := strconv.ParseInt(view(text), 10, 64)
		r.Int(n)
		return err == nil
	case TypeFloat:
		if f, err := strconv.ParseFloat(view(text), 64); err == nil {
			r.Float(f)
			return true
		}
	case TypeDecimal:
		kind = abi.KindDecimal
	case TypeJSON:
		kind = abi.KindJSON
	case TypeBytes, TypeAny:
		kind = abi.KindBytes
	case TypeTime, TypeDate:
		if sec, nsec, ok := parseTimeText(text); ok {
			r.Time(sec, nsec)
			return true
		}
	case TypeClock:
		if sec, nsec, rest, ok := parseClock(text); ok && len(rest) == 0 {
			writeClock(&r.RowWriter, sec*1e6+int64(nsec)/1000)
			return true
		}
	}
	r.Text(kind, view(text))
	return true
}
