package odac

import (
	"github.com/odac-run/odachost/abi/msgpack"
)

// field is a key of an HTTP request or a socket event, which share them.
type field uint8

const (
	fieldRoute field = iota
	fieldMethod
	fieldPath
	fieldQuery
	fieldParams
	fieldHeader
	fieldBody
	fieldHost
	fieldScheme
	fieldRemote
	fieldID
	fieldData
	fieldBinary
	fieldCode
	fieldReason
	numFields
)

// message is an event as it came, with the places of its fields: most handlers look at few of them, and the strings that they look
// at are views of it.
type message struct {
	msg []byte
	at  [numFields]uint32 // 0 is missing: a map's header stands there
}

// fieldOf is the field of a key.
func fieldOf(key []byte) (field, bool) {
	if len(key) == 1 {
		switch key[0] {
		case 'i':
			return fieldRoute, true
		case 'm':
			return fieldMethod, true
		case 'p':
			return fieldPath, true
		case 'q':
			return fieldQuery, true
		case 'v':
			return fieldParams, true
		case 'h':
			return fieldHeader, true
		case 'b':
			return fieldBody, true
		case 's':
			return fieldScheme, true
		case 'r':
			return fieldRemote, true
		case 'd':
			return fieldData, true
		case 'c':
			return fieldCode, true
		}
		return 0, false
	}
	switch string(key) {
	case "ho":
		return fieldHost, true
	case "id":
		return fieldID, true
	case "bin":
		return fieldBinary, true
	case "re":
		return fieldReason, true
	}
	return 0, false
}

// locate finds the fields of an event and checks that it is well-formed.
func (m *message) locate(msg []byte) error {
	m.msg = msg
	n, b, err := msgpack.ReadMapHeaderBytes(msg)
	for ; n > 0 && err == nil; n-- {
		var key []byte
		if key, b, err = msgpack.ReadMapKeyZC(b); err != nil {
			break
		}
		if f, ok := fieldOf(key); ok {
			m.at[f] = uint32(len(msg) - len(b))
		}
		b, err = msgpack.Skip(b)
	}
	return badMessage(err)
}

func (m *message) value(f field) []byte {
	if m.at[f] == 0 {
		return nil
	}
	return m.msg[m.at[f]:]
}

func (m *message) str(f field) string {
	v, _, _ := msgpack.ReadStringZC(m.value(f)) // empty when missing or of another type
	return viewString(v)
}

func (m *message) bytes(f field) []byte {
	v, _, _ := msgpack.ReadBytesZC(m.value(f)) // as above
	return v
}

func (m *message) number(f field) int {
	v, _, _ := msgpack.ReadIntBytes(m.value(f)) // as above
	return v
}

func (m *message) flag(f field) bool {
	v, _, _ := msgpack.ReadBoolBytes(m.value(f)) // as above
	return v
}

// list is the items of a list of strings.
func (m *message) list(f field) []string {
	var list []string
	_, _, _ = readStrings(&list, m.value(f)) // as above
	return list
}

// item is one item of a list of strings.
func (m *message) item(f field, index int) string {
	n, b, err := msgpack.ReadArrayHeaderBytes(m.value(f))
	if err != nil || index >= int(n) {
		return ""
	}
	for range index {
		if b, err = msgpack.Skip(b); err != nil {
			return ""
		}
	}
	v, _, _ := msgpack.ReadStringZC(b)
	return viewString(v)
}

// header is the first value of a name in a flat list of pairs.
func (m *message) header(name string) string {
	n, b, err := msgpack.ReadArrayHeaderBytes(m.value(fieldHeader))
	for ; n > 1 && err == nil; n -= 2 {
		var k, v []byte
		if k, b, err = msgpack.ReadStringZC(b); err != nil {
			break
		}
		if v, b, err = msgpack.ReadStringZC(b); err == nil && equalFold(viewString(k), name) {
			return viewString(v)
		}
	}
	return ""
}

// param is the value of a wildcard of the pattern. Values come in the order of the wildcards.
func (m *message) param(pattern, name string) string {
	for index := 0; ; {
		wild, rest, ok := nextWildcard(pattern)
		if !ok {
			return ""
		}
		if wild == name {
			return m.item(fieldParams, index)
		}
		if wild != "$" {
			index++
		}
		pattern = rest
	}
}
