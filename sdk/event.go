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

// message is an event as it came: most handlers look at few of its fields, so a field is looked for when it is asked for, and the strings
// are views of the message.
type message struct {
	msg  []byte
	rest []byte // what was not looked at yet
	left uint32 // the pairs in rest
	at   [numFields]uint32
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

// open begins a message.
func (m *message) open(msg []byte) error {
	n, rest, err := msgpack.ReadMapHeaderBytes(msg)
	m.msg, m.rest, m.left = msg, rest, n
	return badMessage(err)
}

// value begins with the value of a field; nil when it is missing.
func (m *message) value(f field) []byte {
	for m.at[f] == 0 && m.left > 0 {
		m.locate()
	}
	if m.at[f] == 0 { // a map's header stands there
		return nil
	}
	return m.msg[m.at[f]:]
}

// locate finds the place of one more field. What follows something malformed is missing.
func (m *message) locate() {
	key, b, err := msgpack.ReadMapKeyZC(m.rest)
	if err != nil {
		m.left = 0
		return
	}
	if f, ok := fieldOf(key); ok {
		m.at[f] = uint32(len(m.msg) - len(b))
	}
	if m.left--; m.left > 0 {
		if m.rest, err = msgpack.Skip(b); err != nil {
			m.left = 0
		}
	}
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
	list, _, _ := readStrings(m.value(f)) // as above
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
