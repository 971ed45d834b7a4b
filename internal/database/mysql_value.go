package database

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

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

// appendMySQL appends a value as the driver gives it: an int64, a float, or the bytes of its text. It says whether the value is of the
// type that its expression promised.
func appendMySQL(b []byte, v driver.Value, typ Type) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return msgp.AppendNil(b), true
	case int64:
		switch {
		case typ == TypeBool && v>>1 == 0:
			return msgp.AppendBool(b, v == 1), true
		case typ == TypeFloat:
			return msgp.AppendFloat64(b, float64(v)), true
		case typ == TypeDecimal:
			return abi.AppendDecimal(b, strconv.FormatInt(v, 10)), true
		}
		return msgp.AppendInt64(b, v), true
	case float64:
		return msgp.AppendFloat64(b, v), true
	case float32:
		return msgp.AppendFloat64(b, float64(v)), true
	case []byte:
		return appendMySQLText(b, v, typ)
	}
	return msgp.AppendString(b, fmt.Sprint(v)), true
}

func appendMySQLText(b, text []byte, typ Type) ([]byte, bool) {
	view := unsafe.String(unsafe.SliceData(text), len(text)) // not kept
	switch typ {
	case TypeInt: // a sum, or an unsigned number over 64 bits
		n, err := strconv.ParseInt(view, 10, 64)
		return msgp.AppendInt64(b, n), err == nil
	case TypeFloat:
		if f, err := strconv.ParseFloat(view, 64); err == nil {
			return msgp.AppendFloat64(b, f), true
		}
	case TypeDecimal:
		return abi.AppendDecimal(b, view), true
	case TypeJSON:
		return abi.AppendJSON(b, view), true
	case TypeBytes, TypeAny:
		return msgp.AppendBytes(b, text), true
	case TypeTime, TypeDate:
		if sec, nsec, ok := parseTimeText(text); ok {
			return abi.AppendTime(b, sec, nsec), true
		}
	case TypeClock:
		if sec, nsec, rest, ok := parseClock(text); ok && len(rest) == 0 {
			return appendClock(b, sec*1e6+int64(nsec)/1000), true
		}
	}
	return msgp.AppendStringFromBytes(b, text), true
}
