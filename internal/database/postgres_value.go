package database

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/odac-run/odachost/abi"
)

// The types of PostgreSQL that cross in their binary form, or that parameters are declared as. All others cross as text.
const (
	oidBool        = 16
	oidBytea       = 17
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
	oidJSONB       = 3802
)

const (
	textFormat   = 0
	binaryFormat = 1
	// epoch2000 is where PostgreSQL's times begin, in seconds since 1970.
	epoch2000 = 946684800
)

// parameter is the type that a parameter is declared as, 0 where the server is to find it, and the form in which its value is sent.
func parameter(p *param) (oid uint32, format int16) {
	if p.use == useLike {
		return oidText, textFormat
	}
	switch p.column.Type {
	case TypeBool:
		return oidBool, binaryFormat
	case TypeInt: // also for a smaller column: a number that it cannot hold is compared, not refused
		return oidInt8, binaryFormat
	case TypeFloat:
		if p.column.oid == oidFloat4 {
			return 0, textFormat
		}
		return oidFloat8, binaryFormat
	case TypeDecimal:
		return oidNumeric, textFormat
	case TypeBytes:
		return oidBytea, binaryFormat
	case TypeTime:
		if p.column.oid == oidTimestamp {
			return oidTimestamp, binaryFormat
		}
		return oidTimestamptz, binaryFormat
	case TypeDate:
		if p.use == useWrite {
			return oidDate, binaryFormat
		}
		return oidTimestamp, binaryFormat // a date compares with an instant as its midnight
	}
	return 0, textFormat
}

// bind implements binder: it keeps the value of a parameter in its wire form. Null has an end of -1.
func (r *postgresRun) bind(p *param, _ int, v abi.Value) error {
	s := r.conn.state
	if v.IsNull() {
		s.ends = append(s.ends, -1)
		return nil
	}
	if len(v.AsText()) >= abi.MaxMessageBytes {
		return failf(abi.ErrnoTooLarge, "a value is larger than 16 MiB")
	}
	b := s.data
	_, format := parameter(p)
	switch {
	case format == binaryFormat && v.Kind() == abi.KindBool:
		b = append(b, 0)
		if v.AsBool() {
			b[len(b)-1] = 1
		}
	case format == binaryFormat && v.Kind() == abi.KindInt:
		b = binary.BigEndian.AppendUint64(b, uint64(v.AsInt()))
	case format == binaryFormat && v.Kind() == abi.KindFloat:
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.AsFloat()))
	case format == binaryFormat && (p.column.Type == TypeTime || p.column.Type == TypeDate):
		b = appendInstant(b, v, p.column.Type == TypeDate && p.use == useWrite)
	case format == binaryFormat:
		b = append(b, v.AsText()...)
	case p.column.Type == TypeArray:
		var err error
		if b, err = appendArray(b, v.AsText(), p.column.Elem == TypeJSON); err != nil {
			return p.column.refuse(v, "use a JSON array")
		}
	default:
		b = appendPostgresText(b, v)
	}
	s.data, s.ends = b, append(s.ends, len(b))
	return nil
}

// appendInstant appends microseconds, or days, since 2000. What is finer is cut off.
func appendInstant(b []byte, v abi.Value, day bool) []byte {
	var micros int64
	switch v.AsText() {
	case "infinity":
		micros = math.MaxInt64
	case "-infinity":
		micros = math.MinInt64
	default:
		t := v.AsTime()
		micros = (t.Unix()-epoch2000)*1e6 + int64(t.Nanosecond()/1000)
	}
	switch {
	case !day:
		return binary.BigEndian.AppendUint64(b, uint64(micros))
	case micros == math.MaxInt64:
		return binary.BigEndian.AppendUint32(b, math.MaxInt32)
	case micros == math.MinInt64:
		return binary.BigEndian.AppendUint32(b, 1<<31)
	}
	return binary.BigEndian.AppendUint32(b, uint32(micros/(86400*1e6))) // midnights: divides without a rest
}

// appendPostgresText appends a value as PostgreSQL reads it.
func appendPostgresText(b []byte, v abi.Value) []byte {
	switch v.Kind() {
	case abi.KindBool:
		return strconv.AppendBool(b, v.AsBool())
	case abi.KindInt:
		return strconv.AppendInt(b, v.AsInt(), 10)
	case abi.KindFloat:
		switch f := v.AsFloat(); {
		case math.IsInf(f, 1):
			return append(b, "Infinity"...)
		case math.IsInf(f, -1):
			return append(b, "-Infinity"...)
		default:
			return strconv.AppendFloat(b, f, 'g', -1, 64)
		}
	case abi.KindBytes:
		const digits = "0123456789abcdef"
		b = append(b, `\x`...)
		for i := range len(v.AsText()) {
			c := v.AsText()[i]
			b = append(b, digits[c>>4], digits[c&15])
		}
		return b
	case abi.KindTime:
		return v.AsTime().AppendFormat(b, "2006-01-02 15:04:05.999999Z")
	}
	return append(b, v.AsText()...)
}

// arguments are those of n executions from the i-th on. They are valid until the next call.
func (r *postgresRun) arguments(i, n int) [][]byte {
	s, each := r.conn.state, len(r.st.params)
	if s.data == nil {
		s.data = []byte{} // an empty value is not null
	}
	from, first := 0, r.base+i*each
	for at := first - 1; at >= 0; at-- {
		if s.ends[at] >= 0 {
			from = s.ends[at]
			break
		}
	}
	s.values = s.values[:0]
	for _, end := range s.ends[first : first+n*each] {
		if end < 0 {
			s.values = append(s.values, nil)
			continue
		}
		s.values = append(s.values, s.data[from:end:end])
		from = end
	}
	return s.values
}

// decoder turns a value of a row into its MessagePack form.
type decoder struct {
	kind decoderKind
	elem Type // of an array
}

type decoderKind uint8

const (
	decodeText decoderKind = iota
	decodeBool
	decodeInt
	decodeFloat
	decodeNumeric
	decodeBytes
	decodeInstant
	decodeDay
	decodeClock
	decodeUUID
	decodeJSON
	decodeArray
)

var decoderKinds = map[uint32]decoderKind{
	oidBool: decodeBool, oidInt2: decodeInt, oidInt4: decodeInt, oidInt8: decodeInt, oidOID: decodeInt, oidFloat4: decodeFloat,
	oidFloat8: decodeFloat, oidNumeric: decodeNumeric, oidBytea: decodeBytes, oidTimestamp: decodeInstant, oidTimestamptz: decodeInstant,
	oidDate: decodeDay, oidTime: decodeClock, oidUUID: decodeUUID, oidJSON: decodeJSON, oidJSONB: decodeJSON,
}

func decoderOf(oid uint32) decoder { return decoder{kind: decoderKinds[oid]} }

// format is the form in which the server is asked for the value.
func (d decoder) format() int16 {
	switch d.kind {
	case decodeText, decodeNumeric, decodeJSON, decodeArray:
		return textFormat
	}
	return binaryFormat
}

// write writes v, straight from the connection's buffer. It allocates nothing but room for the answer.
func (d decoder) write(w *abi.RowWriter, v []byte, s *postgresState) {
	if v == nil {
		w.Null()
		return
	}
	kind := abi.KindText
	switch d.kind {
	case decodeBool:
		w.Bool(len(v) == 1 && v[0] == 1)
		return
	case decodeInt:
		switch len(v) {
		case 8:
			w.Int(int64(binary.BigEndian.Uint64(v)))
			return
		case 4:
			w.Int(int64(int32(binary.BigEndian.Uint32(v))))
			return
		case 2:
			w.Int(int64(int16(binary.BigEndian.Uint16(v))))
			return
		}
	case decodeFloat:
		switch len(v) {
		case 8:
			w.Float(math.Float64frombits(binary.BigEndian.Uint64(v)))
			return
		case 4:
			w.Float(float64(math.Float32frombits(binary.BigEndian.Uint32(v))))
			return
		}
	case decodeInstant:
		if len(v) == 8 {
			writeMicros(w, int64(binary.BigEndian.Uint64(v)))
			return
		}
	case decodeDay:
		if len(v) == 4 {
			writeDay(w, int32(binary.BigEndian.Uint32(v)))
			return
		}
	case decodeClock:
		if len(v) == 8 {
			writeClock(w, int64(binary.BigEndian.Uint64(v)))
			return
		}
	case decodeUUID:
		if len(v) == 16 {
			writeUUID(w, v)
			return
		}
	case decodeNumeric:
		kind = abi.KindDecimal
	case decodeBytes:
		kind = abi.KindBytes
	case decodeJSON:
		kind = abi.KindJSON
	case decodeArray:
		s.scratch = appendArrayJSON(s.scratch[:0], v, d.elem)
		kind, v = abi.KindJSON, s.scratch
	}
	w.Text(kind, view(v))
}

// value is v by itself.
func (d decoder) value(v []byte, s *postgresState) abi.Value {
	var room [64]byte
	w := abi.RowWriter{Out: room[:0]}
	w.Begin(1)
	d.write(&w, v, s)
	w.End()
	out, _ := abi.RowValue(w.Out, 0) // as it was written
	return out.Clone()
}

// writeMicros writes an instant. The infinite ones, which no other database has, are text.
func writeMicros(w *abi.RowWriter, micros int64) {
	switch micros {
	case math.MaxInt64:
		w.Text(abi.KindText, "infinity")
		return
	case math.MinInt64:
		w.Text(abi.KindText, "-infinity")
		return
	}
	sec, rest := micros/1e6, micros%1e6
	if rest < 0 {
		sec, rest = sec-1, rest+1e6
	}
	w.Time(sec+epoch2000, uint32(rest)*1000)
}

func writeDay(w *abi.RowWriter, days int32) {
	switch days {
	case math.MaxInt32:
		writeMicros(w, math.MaxInt64)
	case math.MinInt32:
		writeMicros(w, math.MinInt64)
	default:
		w.Time(int64(days)*86400+epoch2000, 0)
	}
}

// writeClock writes a time of day in clockLayout. The end of the day, 24:00:00, is one that only PostgreSQL has.
func writeClock(w *abi.RowWriter, micros int64) {
	var text [len(clockLayout)]byte
	b := text[:0]
	two := func(n int64, after byte) { b = append(b, byte('0'+n/10), byte('0'+n%10), after) }
	two(micros/3600e6, ':')
	two(micros/60e6%60, ':')
	two(micros/1e6%60, '.')
	for scale, rest := int64(1e5), micros%1e6; scale > 0; scale /= 10 {
		b = append(b, byte('0'+rest/scale%10))
	}
	w.Text(abi.KindText, view(append(b, "000"...)))
}

func writeUUID(w *abi.RowWriter, v []byte) {
	const digits = "0123456789abcdef"
	var text [36]byte
	b := text[:0]
	for i, c := range v {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	w.Text(abi.KindText, view(b))
}

// extended says whether v is one of the values beyond all others that a column of PostgreSQL has, and the other databases have not.
func (c *Column) extended(v abi.Value) (abi.Value, bool) {
	if !c.Extended || v.Kind() != abi.KindText && v.Kind() != abi.KindDecimal {
		return v, false
	}
	text := v.AsText()
	switch {
	case c.Type == TypeDecimal && (text == "NaN" || c.Scale < 0 && (text == "Infinity" || text == "-Infinity")):
		return abi.Decimal(text), true
	case c.Type != TypeDecimal && (text == "infinity" || text == "-infinity"):
		return abi.Text(text), true
	}
	return v, false
}
