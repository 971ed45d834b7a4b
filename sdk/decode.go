package odac

import (
	"unsafe"

	"github.com/odac-run/odachost/abi/msgpack"
)

// The messages of the hot path are decoded here instead of by package abi: their strings are views of the message, which is
// memory that nobody changes any more.

// viewString views b as a string; b does not change any more.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// fields reads a map, whose values are read by field: it gives what follows the value, or ok false for a key it does not know.
func fields(msg []byte, field func(key string, b []byte) (rest []byte, ok bool, err error)) error {
	n, b, err := msgpack.ReadMapHeaderBytes(msg)
	for ; n > 0 && err == nil; n-- {
		var key []byte
		if key, b, err = msgpack.ReadMapKeyZC(b); err != nil {
			break
		}
		rest, ok, e := field(viewString(key), b)
		if !ok {
			rest, e = msgpack.Skip(b)
		}
		b, err = rest, e
	}
	return badMessage(err)
}

func badMessage(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: Internal, Text: "odac: the host sent a bad message", Err: err}
}

func readString(dst *string, b []byte) ([]byte, bool, error) {
	v, rest, err := msgpack.ReadStringZC(b)
	*dst = viewString(v)
	return rest, true, err
}

// readStrings reads a list of strings: mostly few and short, so that a loop without calls reads them.
func readStrings(b []byte) ([]string, []byte, error) {
	n, b, err := msgpack.ReadArrayHeaderBytes(b)
	if err != nil {
		return nil, b, err
	}
	list := stringSlab.Take(int(n))
	for i := range list {
		if len(b) > 0 && b[0]&0xe0 == 0xa0 {
			if size := int(b[0]&0x1f) + 1; size <= len(b) {
				list[i], b = viewString(b[1:size]), b[size:]
				continue
			}
		}
		if b, _, err = readString(&list[i], b); err != nil {
			return nil, b, err
		}
	}
	return list, b, nil
}

// decodeResult reads the message Result. An empty answer is an empty result.
func decodeResult(msg []byte) (Result, error) {
	t := tableSlab.One()
	r, _, err := t.result(msg)
	if err == nil {
		r.Rows = t.list()
	}
	return r, err
}

// result reads the message Result, its rows into the table, and gives what follows it.
func (t *table) result(msg []byte) (r Result, rest []byte, err error) {
	if len(msg) == 0 {
		return r, nil, nil
	}
	n, b, err := msgpack.ReadMapHeaderBytes(msg)
	for ; n > 0 && err == nil; n-- {
		switch {
		case len(b) > 1 && b[0] == 0xa1 && b[1] == 'c':
			t.columns, b, err = readStrings(b[2:])
		case len(b) > 1 && b[0] == 0xa1 && b[1] == 'r':
			b, err = t.read(b[2:])
		default:
			b, err = r.field(b)
		}
	}
	return r, b, badMessage(err)
}

// field reads a pair that is not of the rows.
func (r *Result) field(b []byte) ([]byte, error) {
	key, b, err := msgpack.ReadMapKeyZC(b)
	if err != nil {
		return b, err
	}
	switch string(key) {
	case "n":
		r.Affected, b, err = msgpack.ReadInt64Bytes(b)
	case "id":
		b, err = r.LastID.UnmarshalView(b)
	case "h":
		r.Cached, b, err = msgpack.ReadBoolBytes(b)
	default:
		b, err = msgpack.Skip(b)
	}
	return b, err
}
