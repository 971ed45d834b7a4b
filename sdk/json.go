package odac

import (
	"encoding/json"

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
func (r Row) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, column := range r.Columns()[:min(int(r.n), len(r.Columns()))] {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(column)
		if err != nil {
			return nil, err
		}
		out = append(append(out, name...), ':')
		if out, err = appendJSON(out, r.at(i)); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func appendJSON(out []byte, v Value) ([]byte, error) {
	var x any
	switch v.Kind() {
	case abi.KindBool:
		x = v.AsBool()
	case abi.KindFloat:
		x = v.AsFloat()
	case abi.KindText:
		x = v.AsText()
	case abi.KindBytes:
		x = []byte(v.AsText())
	case abi.KindTime:
		x = v.AsTime()
	case abi.KindJSON:
		x = json.RawMessage(v.AsText())
	case abi.KindDecimal, abi.KindInt:
		return append(out, v.String()...), nil
	}
	b, err := json.Marshal(x)
	return append(out, b...), err
}
