package database

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/odac-run/odachost/abi"
)

// accept brings v to the kind in which column c holds its values, or says why it cannot be. Null stays null.
func (c *Column) accept(v abi.Value, u use) (abi.Value, error) {
	switch {
	case v.IsNull():
		return v, nil
	case u == useLike:
		if v.Kind() != abi.KindText {
			return v, c.refuse(v, "a pattern is text")
		}
		if len(v.AsText()) > maxPattern {
			return v, c.refuse(v, "a pattern has at most 256 bytes")
		}
		return v, nil
	}
	if out, ok := c.extended(v); ok {
		return out, nil
	}
	switch c.Type {
	case TypeBool:
		return c.toBool(v)
	case TypeInt:
		return c.toInt(v)
	case TypeFloat:
		return c.toFloat(v)
	case TypeDecimal:
		return c.toDecimal(v, u)
	case TypeText:
		return c.toText(v, u)
	case TypeUUID:
		return c.toUUID(v)
	case TypeBytes:
		return c.toBytes(v)
	case TypeTime, TypeDate:
		return c.toTime(v, u)
	case TypeClock:
		return c.toClock(v)
	case TypeJSON:
		return c.toJSON(v, u)
	case TypeArray:
		if (v.Kind() == abi.KindJSON || v.Kind() == abi.KindText) && isArray(v.AsText()) {
			return abi.JSON(v.AsText()), nil
		}
		return v, c.refuse(v, "use a JSON array")
	}
	return c.toAny(v, u)
}

const maxPattern = 256

func (c *Column) refuse(v abi.Value, why string) error {
	name := c.Name
	if name == "" {
		name = "the expression"
	}
	return invalidf("%s takes no %s here: %s", name, v.Kind(), why)
}

func (c *Column) toBool(v abi.Value) (abi.Value, error) {
	switch {
	case v.Kind() == abi.KindBool:
		return v, nil
	case v.Kind() == abi.KindInt && v.AsInt()>>1 == 0:
		return abi.Bool(v.AsInt() == 1), nil
	}
	return v, c.refuse(v, "use true or false")
}

func (c *Column) toInt(v abi.Value) (abi.Value, error) {
	switch v.Kind() {
	case abi.KindInt:
		return v, nil
	case abi.KindBool:
		if v.AsBool() {
			return abi.Int(1), nil
		}
		return abi.Int(0), nil
	case abi.KindFloat:
		if f := v.AsFloat(); f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
			return abi.Int(int64(f)), nil
		}
	case abi.KindText, abi.KindDecimal:
		if n, err := strconv.ParseInt(v.AsText(), 10, 64); err == nil {
			return abi.Int(n), nil
		}
	}
	return v, c.refuse(v, "use an integer of 64 bits")
}

func (c *Column) toFloat(v abi.Value) (abi.Value, error) {
	switch v.Kind() {
	case abi.KindFloat:
		return v, nil
	case abi.KindInt:
		if f := float64(v.AsInt()); f < 1<<63 && int64(f) == v.AsInt() {
			return abi.Float(f), nil
		}
		return v, c.refuse(v, "it has more digits than a double")
	case abi.KindText, abi.KindDecimal:
		if _, _, _, ok := splitDecimal(v.AsText()); ok {
			if f, err := strconv.ParseFloat(v.AsText(), 64); err == nil {
				return abi.Float(f), nil
			}
		}
	}
	return v, c.refuse(v, "use a number")
}

// decimalText is the digits of a number of any kind.
func decimalText(v abi.Value) (string, bool) {
	switch v.Kind() {
	case abi.KindDecimal, abi.KindText:
		return v.AsText(), true
	case abi.KindInt:
		return strconv.FormatInt(v.AsInt(), 10), true
	case abi.KindFloat:
		f := v.AsFloat()
		return strconv.FormatFloat(f, 'f', -1, 64), !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	return "", false
}

// toDecimal rounds what is stored to the column's scale. What is compared or added keeps all its digits.
func (c *Column) toDecimal(v abi.Value, u use) (abi.Value, error) {
	text, ok := decimalText(v)
	if !ok {
		return v, c.refuse(v, "use a decimal, an integer or a finite float")
	}
	if c.Scale < 0 {
		if _, _, _, ok := splitDecimal(text); !ok {
			return v, c.refuse(v, "a decimal is digits with at most one point, and no exponent")
		}
		return abi.Decimal(strings.TrimPrefix(text, "+")), nil
	}
	if canonicalDecimal(text, c.Scale) && (u != useWrite || c.Precision == 0 || len(text) <= c.Precision) {
		return abi.Decimal(text), nil
	}
	n, exact, ok := parseDecimal(text, c.Scale)
	if !ok {
		return v, c.refuse(v, "a decimal is digits with at most one point, and no exponent")
	}
	if u == useWrite || exact {
		text = formatDecimal(n, c.Scale)
	}
	if u == useWrite && c.Precision > 0 && len(strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(text), "0")) > c.Precision {
		return v, c.refuse(v, "it has more than "+strconv.Itoa(c.Precision-c.Scale)+" digits before the point")
	}
	return abi.Decimal(text), nil
}

func (c *Column) toText(v abi.Value, u use) (abi.Value, error) {
	switch v.Kind() {
	case abi.KindText:
	case abi.KindInt, abi.KindFloat, abi.KindDecimal, abi.KindJSON:
		v = abi.Text(v.String())
	case abi.KindTime:
		t := v.AsTime()
		if !inYears(t) {
			return v, c.refuse(v, "use a year from 0 to 9999")
		}
		v = abi.Text(t.Format(timeLayout))
	default:
		return v, c.refuse(v, "use text")
	}
	if u != useWrite {
		return v, nil
	}
	s := v.AsText()
	if c.Length > 0 && len(s) > c.Length && utf8.RuneCountInString(s) > c.Length {
		return v, c.refuse(v, "it has more than "+strconv.Itoa(c.Length)+" characters")
	}
	if !utf8.ValidString(s) {
		return v, c.refuse(v, "it is not UTF-8: use a binary column")
	}
	return v, nil
}

func (c *Column) toUUID(v abi.Value) (abi.Value, error) {
	s := v.AsText()
	if v.Kind() != abi.KindText || len(s) != 36 {
		return v, c.refuse(v, "use a UUID as 36 characters")
	}
	for i := range len(s) {
		switch b := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if b != '-' {
				return v, c.refuse(v, "use a UUID with its four dashes")
			}
		case b >= '0' && b <= '9', b >= 'a' && b <= 'f', b >= 'A' && b <= 'F':
		default:
			return v, c.refuse(v, "use a UUID of hexadecimal digits")
		}
	}
	return abi.Text(strings.ToLower(s)), nil
}

func (c *Column) toBytes(v abi.Value) (abi.Value, error) {
	switch v.Kind() {
	case abi.KindBytes:
		return v, nil
	case abi.KindText:
		return abi.Bytes([]byte(v.AsText())), nil
	}
	return v, c.refuse(v, "use bytes")
}

func inYears(t time.Time) bool { return t.Year() >= 0 && t.Year() <= 9999 }

// toTime cuts what a date column stores to its day.
func (c *Column) toTime(v abi.Value, u use) (abi.Value, error) {
	if v.Kind() == abi.KindText {
		sec, nsec, ok := parseTimeText(v.AsText())
		if !ok {
			return v, c.refuse(v, "write a time as 2006-01-02T15:04:05Z or 2006-01-02")
		}
		v = abi.Time(time.Unix(sec, int64(nsec)))
	}
	if v.Kind() != abi.KindTime {
		return v, c.refuse(v, "use a time")
	}
	t := v.AsTime()
	if !inYears(t) {
		return v, c.refuse(v, "use a year from 0 to 9999")
	}
	if c.Type == TypeDate && u == useWrite {
		return abi.Time(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)), nil
	}
	return v, nil
}

func (c *Column) toClock(v abi.Value) (abi.Value, error) {
	if v.Kind() == abi.KindText {
		if sec, nsec, rest, ok := parseClock(v.AsText()); ok && rest == "" {
			return abi.Text(time.Unix(sec, int64(nsec)).UTC().Format(clockLayout)), nil
		}
	}
	return v, c.refuse(v, "write a time of day as text, 15:04 or 15:04:05")
}

func (c *Column) toJSON(v abi.Value, u use) (abi.Value, error) {
	switch v.Kind() {
	case abi.KindJSON, abi.KindText:
		if u == useWrite && !json.Valid([]byte(v.AsText())) {
			return v, c.refuse(v, "it is not a JSON document")
		}
		return abi.JSON(v.AsText()), nil
	case abi.KindBool, abi.KindInt:
		return abi.JSON(v.String()), nil
	case abi.KindFloat, abi.KindDecimal:
		if text, ok := decimalText(v); ok && json.Valid([]byte(text)) {
			return abi.JSON(text), nil
		}
	}
	return v, c.refuse(v, "use a JSON document")
}

// toAny leaves a value as it is, for columns of which only the storage class is known and for expressions. What is compared as a number is
// one for the database too.
func (c *Column) toAny(v abi.Value, u use) (abi.Value, error) {
	switch v.Kind() {
	case abi.KindTime:
		if !inYears(v.AsTime()) {
			return v, c.refuse(v, "use a year from 0 to 9999")
		}
	case abi.KindDecimal:
		if u != useWrite {
			if n, err := strconv.ParseInt(v.AsText(), 10, 64); err == nil {
				return abi.Int(n), nil
			}
			return (&Column{Name: c.Name, Type: TypeFloat}).toFloat(v)
		}
	case abi.KindText:
		if u == useDelta {
			return v, c.refuse(v, "use a number")
		}
	}
	return v, nil
}
