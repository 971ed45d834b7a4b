package abi

import (
	"encoding/binary"
	"time"

	msgp "github.com/odac-run/odachost/abi/msgpack"
)

// appendExt appends an extension object (ext 8, 16 or 32) that holds s.
func appendExt(b []byte, typ int8, s string) []byte {
	switch n := len(s); {
	case n <= 0xff:
		b = append(b, 0xc7, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0xc8), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc9), uint32(n))
	}
	return append(append(b, byte(typ)), s...)
}

// AppendDecimal appends a decimal from its digits.
func AppendDecimal(b []byte, digits string) []byte { return appendExt(b, ExtDecimal, digits) }

// AppendJSON appends a JSON document.
func AppendJSON(b []byte, doc string) []byte { return appendExt(b, ExtJSON, doc) }

// AppendTime appends an instant, seconds and nanoseconds since 1970 UTC, in the 96-bit form of the MessagePack timestamp.
func AppendTime(b []byte, sec int64, nsec uint32) []byte {
	b = append(b, 0xc7, 12, byte(0xff))
	b = binary.BigEndian.AppendUint32(b, nsec)
	return binary.BigEndian.AppendUint64(b, uint64(sec))
}

// cutExt splits the extension object at the head of b from what follows it.
func cutExt(b []byte) (typ int8, data, rest []byte, err error) {
	if len(b) < 3 {
		return 0, nil, nil, msgp.ErrShortBytes
	}
	var n, at uint64
	switch b[0] {
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		n, at = 1<<(b[0]-0xd4), 1
	case 0xc7:
		n, at = uint64(b[1]), 2
	case 0xc8:
		n, at = uint64(binary.BigEndian.Uint16(b[1:])), 3
	case 0xc9:
		if len(b) < 6 {
			return 0, nil, nil, msgp.ErrShortBytes
		}
		n, at = uint64(binary.BigEndian.Uint32(b[1:])), 5
	default:
		return 0, nil, nil, errValue
	}
	if uint64(len(b)) < at+1+n {
		return 0, nil, nil, msgp.ErrShortBytes
	}
	return int8(b[at]), b[at+1 : at+1+n], b[at+1+n:], nil
}

func (v *Value) readExt(b []byte) ([]byte, error) {
	typ, data, rest, err := cutExt(b)
	if err != nil {
		return b, err
	}
	switch typ {
	case ExtDecimal:
		*v = Decimal(msgp.UnsafeString(data))
	case ExtJSON:
		*v = JSON(msgp.UnsafeString(data))
	case ExtTime:
		sec, nsec, ok := readTime(data)
		if !ok {
			return b, errValue
		}
		*v = Time(time.Unix(sec, int64(nsec)))
	default:
		return b, errValue
	}
	return rest, nil
}

// readTime reads the three forms of the MessagePack timestamp.
func readTime(data []byte) (sec int64, nsec uint32, ok bool) {
	switch len(data) {
	case 4:
		sec = int64(binary.BigEndian.Uint32(data))
	case 8:
		u := binary.BigEndian.Uint64(data)
		sec, nsec = int64(u&(1<<34-1)), uint32(u>>34)
	case 12:
		sec, nsec = int64(binary.BigEndian.Uint64(data[4:])), binary.BigEndian.Uint32(data)
	default:
		return 0, 0, false
	}
	return sec, nsec, nsec < 1e9
}
