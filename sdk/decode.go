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

func readStrings(dst *[]string, b []byte) ([]byte, bool, error) {
	n, b, err := msgpack.ReadArrayHeaderBytes(b)
	if err != nil {
		return b, true, err
	}
	list := stringSlab.Take(int(n))
	for i := range list {
		if b, _, err = readString(&list[i], b); err != nil {
			break
		}
	}
	*dst = list
	return b, true, err
}

// decodeResult reads the message Result. An empty answer is an empty result.
func decodeResult(msg []byte) (Result, error) {
	var r Result
	if len(msg) == 0 {
		return r, nil
	}
	t := tableSlab.One()
	err := fields(msg, func(key string, b []byte) (rest []byte, ok bool, err error) {
		switch key {
		case "c":
			return readStrings(&t.columns, b)
		case "r":
			r.Rows, rest, err = t.read(b)
			return rest, true, err
		case "n":
			r.Affected, rest, err = msgpack.ReadInt64Bytes(b)
			return rest, true, err
		case "id":
			rest, err = r.LastID.UnmarshalView(b)
			return rest, true, err
		case "h":
			r.Cached, rest, err = msgpack.ReadBoolBytes(b)
			return rest, true, err
		}
		return b, false, nil
	})
	return r, err
}
