package odac

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/odac-run/odachost/abi"
)

func decodeJSON(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return &Error{Kind: Invalid, Text: "JSON", Err: err}
	}
	return nil
}

// MarshalJSON writes the row as an object in the order of its columns. Integers beyond 2^53 and decimals keep their digits; bytes
// are base64, instants RFC 3339.
func (r Row) MarshalJSON() ([]byte, error) { return r.appendJSON(nil) }

func (r Row) appendJSON(out []byte) (_ []byte, err error) {
	out = append(out, '{')
	for i, column := range r.Columns()[:min(int(r.n), len(r.Columns()))] {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendText(out, column); err != nil {
			return out, err
		}
		if out, err = appendValue(append(out, ':'), r.nth(i)); err != nil {
			return out, err
		}
	}
	return append(out, '}'), nil
}

func appendValue(out []byte, v Value) ([]byte, error) {
	switch v.Kind() {
	case abi.KindBool:
		return strconv.AppendBool(out, v.AsBool()), nil
	case abi.KindFloat:
		return appendAny(out, v.AsFloat())
	case abi.KindText:
		return appendText(out, v.AsText())
	case abi.KindBytes:
		return appendAny(out, []byte(v.AsText()))
	case abi.KindTime:
		return appendAny(out, v.AsTime())
	case abi.KindJSON:
		return appendAny(out, json.RawMessage(v.AsText()))
	case abi.KindDecimal, abi.KindInt:
		return append(out, v.String()...), nil
	}
	return append(out, "null"...), nil
}

// maxPlain is how deep maps and lists are written here: of deeper ones package json knows whether they contain themselves.
const maxPlain = 64

// appendJSON writes what [json.Marshal] does. What answers are mostly made of takes a fraction of the time.
func appendJSON(out []byte, v any) ([]byte, error) { return appendPlain(out, v, maxPlain) }

func appendPlain(out []byte, v any, deep int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	case int:
		return strconv.AppendInt(out, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(out, v, 10), nil
	case string:
		return appendText(out, v)
	case Row:
		return v.appendJSON(out)
	case Map:
		return appendMap(out, v, deep)
	case map[string]any:
		return appendMap(out, v, deep)
	case []Row:
		return appendList(out, v, deep, func(out []byte, r Row) ([]byte, error) { return r.appendJSON(out) })
	case []Map:
		return appendList(out, v, deep, func(out []byte, m Map) ([]byte, error) { return appendMap(out, m, deep-1) })
	case []any:
		return appendList(out, v, deep, func(out []byte, v any) ([]byte, error) { return appendPlain(out, v, deep-1) })
	case []string:
		return appendList(out, v, deep, appendText)
	}
	return appendAny(out, v)
}

func appendAny(out []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(out, b...), err
}

func appendList[T any](out []byte, list []T, deep int, item func(out []byte, v T) ([]byte, error)) (_ []byte, err error) {
	if list == nil || deep == 0 {
		return appendAny(out, list)
	}
	out = append(out, '[')
	for i, v := range list {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = item(out, v); err != nil {
			return out, err
		}
	}
	return append(out, ']'), nil
}

// appendMap writes the keys in order, as package json does.
func appendMap(out []byte, m map[string]any, deep int) (_ []byte, err error) {
	if m == nil || deep == 0 {
		return appendAny(out, m)
	}
	var few [16]string
	keys := few[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	out = append(out, '{')
	for i, key := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendText(out, key); err != nil {
			return out, err
		}
		if out, err = appendPlain(append(out, ':'), m[key], deep-1); err != nil {
			return out, err
		}
	}
	return append(out, '}'), nil
}

// appendText writes a text; one with anything to escape is package json's.
func appendText(out []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return appendAny(out, s)
		}
	}
	return append(append(append(out, '"'), s...), '"'), nil
}
