package database

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Arrays cross as JSON: numbers, booleans and documents as they are, every other element as text. PostgreSQL writes {1,2,NULL,"a \"b\""}.

// appendArrayJSON appends an array in PostgreSQL's text form as a JSON array.
func appendArrayJSON(b, v []byte, elem Type) []byte {
	if len(v) > 0 && v[0] == '[' { // bounds, where they do not begin at 1: [0:1]={...}
		if i := bytes.IndexByte(v, '='); i >= 0 {
			v = v[i+1:]
		}
	}
	for i := 0; i < len(v); {
		switch c := v[i]; c {
		case '{':
			b, i = append(b, '['), i+1
		case '}':
			b, i = append(b, ']'), i+1
		case ',', ';':
			b, i = append(b, ','), i+1
		case '"':
			b, i = appendQuoted(b, v, i+1, elem)
		default:
			end := i
			for end < len(v) && v[end] != ',' && v[end] != '}' {
				end++
			}
			b = appendBare(b, v[i:end], elem)
			i = end
		}
	}
	return b
}

// appendQuoted appends the element whose text begins at i, within quotes, and returns where it ends.
func appendQuoted(b, v []byte, i int, elem Type) ([]byte, int) {
	if elem != TypeJSON {
		b = append(b, '"')
	}
	for ; i < len(v) && v[i] != '"'; i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		if elem == TypeJSON {
			b = append(b, v[i])
		} else {
			b = appendJSONByte(b, v[i])
		}
	}
	if elem != TypeJSON {
		b = append(b, '"')
	}
	return b, i + 1
}

func appendBare(b, text []byte, elem Type) []byte {
	switch {
	case string(text) == "NULL":
		return append(b, "null"...)
	case elem == TypeBool && string(text) == "t":
		return append(b, "true"...)
	case elem == TypeBool:
		return append(b, "false"...)
	case elem == TypeJSON, (elem == TypeInt || elem == TypeFloat || elem == TypeDecimal) && finite(text):
		return append(b, text...)
	}
	b = append(b, '"')
	for _, c := range text {
		b = appendJSONByte(b, c)
	}
	return append(b, '"')
}

// finite tells numbers from NaN and Infinity, which JSON has not.
func finite(text []byte) bool {
	c := text[len(text)-1]
	return c >= '0' && c <= '9'
}

// appendJSONByte appends one byte of a JSON string. The bytes are UTF-8: the server's encoding was chosen.
func appendJSONByte(b []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c < 0x20:
		return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
	}
	return append(b, c)
}

var errArray = errors.New("not a JSON array")

// appendArray appends a JSON array in PostgreSQL's text form. documents says that its elements are JSON documents themselves.
func appendArray(b []byte, doc string, documents bool) ([]byte, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal([]byte(doc), &elements); err != nil || elements == nil {
		return b, errArray
	}
	b = append(b, '{')
	for i, e := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		switch {
		case string(e) == "null" && !documents:
			b = append(b, "NULL"...)
		case documents:
			b = appendElement(b, string(e))
		case e[0] == '[':
			b, err = appendArray(b, string(e), false)
		case e[0] == '"':
			var text string
			err = json.Unmarshal(e, &text)
			b = appendElement(b, text)
		case e[0] == '{':
			err = errArray
		default:
			b = append(b, e...)
		}
		if err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendElement(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		if text[i] == '"' || text[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, text[i])
	}
	return append(b, '"')
}

// isArray says whether text is a JSON array of UTF-8.
func isArray(text string) bool {
	return utf8.ValidString(text) && json.Valid([]byte(text)) && bytes.HasPrefix(bytes.TrimSpace([]byte(text)), []byte("["))
}
