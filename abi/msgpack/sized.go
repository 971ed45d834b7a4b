package msgpack

import "encoding/binary"

// long reads a length of size bytes after the lead byte.
func long(b []byte, size int) (uint32, []byte, error) {
	if len(b) < 1+size {
		return 0, b, ErrShortBytes
	}
	switch size {
	case 1:
		return uint32(b[1]), b[2:], nil
	case 2:
		return uint32(binary.BigEndian.Uint16(b[1:])), b[3:], nil
	}
	return binary.BigEndian.Uint32(b[1:]), b[5:], nil
}

// ReadArrayHeaderBytes reads the header of an array. Each of its items takes a byte at least.
func ReadArrayHeaderBytes(b []byte) (uint32, []byte, error) { return header(b, 0x90, 0xdc, 1) }

// ReadMapHeaderBytes reads the header of a map. Each of its pairs takes two bytes at least.
func ReadMapHeaderBytes(b []byte) (uint32, []byte, error) { return header(b, 0x80, 0xde, 2) }

func header(b []byte, short, lead byte, bytesEach uint64) (n uint32, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return 0, b, ErrShortBytes
	case b[0]&0xf0 == short:
		n, rest = uint32(b[0]&0x0f), b[1:]
	case b[0] == lead:
		n, rest, err = long(b, 2)
	case b[0] == lead+1:
		n, rest, err = long(b, 4)
	default:
		err = errType
	}
	if err == nil && uint64(n)*bytesEach > uint64(len(rest)) {
		err = ErrShortBytes
	}
	if err != nil {
		return 0, b, err
	}
	return n, rest, nil
}

// ReadBytesHeader reads the header of a bin. What follows holds all of it.
func ReadBytesHeader(b []byte) (n uint32, rest []byte, err error) {
	if len(b) == 0 {
		return 0, b, ErrShortBytes
	}
	if b[0] < 0xc4 || b[0] > 0xc6 {
		return 0, b, errType
	}
	return held(b, 1<<(b[0]-0xc4))
}

// held reads a length that what follows has to hold.
func held(b []byte, size int) (uint32, []byte, error) {
	n, rest, err := long(b, size)
	if err == nil && uint64(n) > uint64(len(rest)) {
		return 0, b, ErrShortBytes
	}
	return n, rest, err
}

// Empty is the memory of b to append to, and never nil.
func Empty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b[:0]
}

// ReadBytesZC reads a bin, as a view.
func ReadBytesZC(b []byte) (v, rest []byte, err error) {
	n, rest, err := ReadBytesHeader(b)
	if err != nil {
		return nil, b, err
	}
	return rest[:n:n], rest[n:], nil
}

// ReadStringZC reads a str, as a view.
func ReadStringZC(b []byte) (v, rest []byte, err error) {
	var n uint32
	switch {
	case len(b) == 0:
		return nil, b, ErrShortBytes
	case b[0]&0xe0 == 0xa0:
		n, rest = uint32(b[0]&0x1f), b[1:]
		if int(n) > len(rest) {
			return nil, b, ErrShortBytes
		}
	case b[0] >= 0xd9 && b[0] <= 0xdb:
		if n, rest, err = held(b, 1<<(b[0]-0xd9)); err != nil {
			return nil, b, err
		}
	default:
		return nil, b, errType
	}
	return rest[:n:n], rest[n:], nil
}

// ReadMapKeyZC reads the key of a pair, a str, as a view.
func ReadMapKeyZC(b []byte) (v, rest []byte, err error) { return ReadStringZC(b) }

// ReadStringBytes reads a str.
func ReadStringBytes(b []byte) (string, []byte, error) {
	v, rest, err := ReadStringZC(b)
	return string(v), rest, err
}

// Skip passes over one value, however deep, in one loop.
func Skip(b []byte) ([]byte, error) {
	at := b
	for left := uint64(1); left > 0; left-- {
		if len(at) > 0 { // what is usual: short text, small numbers
			if c := at[0]; c&0xe0 == 0xa0 && len(at) > int(c&0x1f) {
				at = at[1+int(c&0x1f):]
				continue
			} else if c < 0x80 {
				at = at[1:]
				continue
			}
		}
		var n uint32
		var err error
		switch NextType(at) {
		case ArrayType:
			n, at, err = ReadArrayHeaderBytes(at)
			left += uint64(n)
		case MapType:
			n, at, err = ReadMapHeaderBytes(at)
			left += 2 * uint64(n)
		case StrType:
			_, at, err = ReadStringZC(at)
		case BinType:
			_, at, err = ReadBytesZC(at)
		case ExtensionType:
			at, err = skipExtension(at)
		case NilType, BoolType:
			at = at[1:]
		case IntType, UintType:
			_, _, at, err = number(at)
		case Float32Type, Float64Type:
			_, at, err = ReadFloat64Bytes(at)
		default:
			err = errType
			if len(at) == 0 {
				err = ErrShortBytes
			}
		}
		if err != nil {
			return b, err
		}
	}
	return at, nil
}

func skipExtension(b []byte) ([]byte, error) {
	if b[0] >= 0xd4 && b[0] <= 0xd8 { // fixed: type, then 1 to 16 bytes
		n := 2 + 1<<(b[0]-0xd4)
		if len(b) < n {
			return b, ErrShortBytes
		}
		return b[n:], nil
	}
	n, rest, err := long(b, 1<<(b[0]-0xc7))
	if err != nil || uint64(n)+1 > uint64(len(rest)) {
		return b, ErrShortBytes
	}
	return rest[1+n:], nil
}
