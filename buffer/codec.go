package buffer

import (
	"encoding/binary"
	"errors"
	"math"
)

// A record's body is one write: tenant, connection, table, then a count and that many operations, each a kind byte, the
// columns of Key, of Set, and the deltas. Strings have a uvarint length; a column is a name and a value, a value
// is a type byte and its own form. Integers are zigzag varints, floats 8 bytes little-endian.

var errRecord = errors.New("malformed record")

func appendRecord(dst []byte, lane Lane, ops []Op) []byte {
	dst = appendString(dst, lane.Tenant)
	dst = appendString(dst, lane.Conn)
	dst = appendString(dst, lane.Table)
	dst = binary.AppendUvarint(dst, uint64(len(ops)))
	for i := range ops {
		o := &ops[i]
		dst = append(dst, byte(o.Kind))
		dst = appendColumns(dst, o.Key)
		dst = appendColumns(dst, o.Set)
		dst = binary.AppendUvarint(dst, uint64(len(o.Add)))
		for _, d := range o.Add {
			dst = appendString(dst, d.Name)
			dst = binary.AppendVarint(dst, d.By)
		}
	}
	return dst
}

func appendColumns(dst []byte, cols []Column) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(cols)))
	for i := range cols {
		dst = appendString(dst, cols[i].Name)
		dst = appendValue(dst, &cols[i].Value)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendValue(dst []byte, v *Value) []byte {
	dst = append(dst, byte(v.typ))
	switch v.typ {
	case TypeInt:
		dst = binary.AppendVarint(dst, int64(v.num))
	case TypeFloat:
		dst = binary.LittleEndian.AppendUint64(dst, v.num)
	case TypeBool:
		dst = append(dst, byte(v.num))
	case TypeTime:
		dst = binary.AppendVarint(dst, int64(v.num))
		dst = binary.AppendUvarint(dst, uint64(v.nsec))
	case TypeText, TypeBytes, TypeDecimal, TypeJSON:
		dst = appendString(dst, v.str)
	}
	return dst
}

// decodeRecord reads what appendRecord wrote. It checks the form only: newWrite checks the operations.
func decodeRecord(data []byte) (Lane, []Op, error) {
	d := decoder{data: data}
	lane := Lane{Tenant: d.string(MaxNameBytes), Conn: d.string(MaxNameBytes), Table: d.string(MaxNameBytes)}
	n := d.count(4) // an operation is at least 4 bytes
	ops := make([]Op, 0, min(n, 64))
	for range n {
		if d.bad {
			break
		}
		o := Op{Kind: Kind(d.byte()), Key: d.columns(), Set: d.columns()}
		if n := d.count(2); n > 0 && n <= MaxColumns {
			o.Add = make([]Delta, n)
			for i := range o.Add {
				o.Add[i] = Delta{Name: d.string(MaxNameBytes), By: d.varint()}
			}
		} else if n > 0 {
			d.bad = true
		}
		ops = append(ops, o)
	}
	if d.bad || len(d.data) > 0 {
		return Lane{}, nil, errRecord
	}
	return lane, ops, nil
}

// decoder reads from data; after the first error it reads zeros and bad is set.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.data)) {
		d.bad = true
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

// count reads the number of elements of which each takes at least size bytes, so that a lie cannot allocate.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.data)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) string(limit uint64) string {
	n := d.uvarint()
	if n > limit {
		d.bad = true
		return ""
	}
	return string(d.take(n))
}

func (d *decoder) columns() []Column {
	n := d.count(2)
	if n > MaxColumns {
		d.bad = true
	}
	if n == 0 || d.bad {
		return nil
	}
	cols := make([]Column, n)
	for i := range cols {
		cols[i] = Column{Name: d.string(MaxNameBytes), Value: d.value()}
	}
	return cols
}

func (d *decoder) value() Value {
	switch typ := Type(d.byte()); typ {
	case TypeNull:
		return Null()
	case TypeInt:
		return Int(d.varint())
	case TypeFloat:
		if b := d.take(8); b != nil {
			return Float(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		return Null()
	case TypeBool:
		b := d.byte()
		d.bad = d.bad || b > 1
		return Bool(b == 1)
	case TypeTime:
		sec, nsec := d.varint(), d.uvarint()
		d.bad = d.bad || nsec > 999_999_999
		return Value{typ: TypeTime, num: uint64(sec), nsec: uint32(nsec)}
	case TypeText, TypeBytes, TypeDecimal, TypeJSON:
		return Value{typ: typ, str: d.string(MaxWriteBytes)}
	default:
		d.bad = true
		return Null()
	}
}
