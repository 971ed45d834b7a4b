package odac

import "strings"

// maxFormFields is the most fields that a form or query may have.
const maxFormFields = 1000

// Values are the fields of a form or the parameters of a query: the values of each name, in order. It has the shape of url.Values,
// which would bring package net/url into every plugin.
type Values map[string][]string

// Get is the first value of a name, "" if there is none.
func (v Values) Get(name string) string {
	if list := v[name]; len(list) > 0 {
		return list[0]
	}
	return ""
}

// Has says whether there is a value of that name.
func (v Values) Has(name string) bool { return len(v[name]) > 0 }

// parseValues reads application/x-www-form-urlencoded. What is malformed is left out, and the first of it is the error.
func parseValues(s string) (Values, error) {
	if strings.Count(s, "&") >= maxFormFields {
		return nil, newError(TooLarge, "a form or query of more than 1000 fields")
	}
	v := Values{}
	var err error
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		k, ok1 := unescape(key)
		x, ok2 := unescape(value)
		if ok1 && ok2 {
			v[k] = append(v[k], x)
		} else if err == nil {
			err = newError(Invalid, "a form or query with a bad escape: "+quote(pair))
		}
	}
	return v, err
}

// queryValue finds one parameter without building a map.
func queryValue(query, name string) string {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if k, ok := unescape(key); ok && k == name {
			if v, ok := unescape(value); ok {
				return v
			}
		}
	}
	return ""
}

// unescape decodes %XX, and + as a space.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return "", false
			}
			b = append(b, hi<<4|lo)
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b), true
}

// unhex is a hexadecimal digit's value, over 15 for other bytes.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}
