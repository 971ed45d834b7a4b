package ws

import (
	"strconv"
	"strings"
)

// offer is one element of Sec-WebSocket-Extensions (RFC 6455 section 9.1).
type offer struct {
	name   string
	params []param
}

type param struct {
	name     string
	value    string
	hasValue bool
}

// parseExtensions parses the header's values, joined by commas, after their grammar.
func parseExtensions(header string) (offers []offer, ok bool) {
	p := headerParser{rest: header}
	for {
		p.space()
		if p.rest == "" {
			return offers, len(offers) > 0
		}
		if p.skip(',') { // RFC 9110 section 5.6.1: empty elements are to be ignored
			continue
		}
		o := offer{name: p.token()}
		if o.name == "" {
			return nil, false
		}
		for p.space(); p.skip(';'); p.space() {
			p.space()
			q := param{name: p.token()}
			if q.name == "" {
				return nil, false
			}
			p.space()
			if p.skip('=') {
				p.space()
				if q.value, ok = p.value(); !ok {
					return nil, false
				}
				q.hasValue = true
			}
			o.params = append(o.params, q)
		}
		offers = append(offers, o)
		if p.rest != "" && !p.skip(',') {
			return nil, false
		}
	}
}

// headerParser takes a header value apart.
type headerParser struct{ rest string }

func (p *headerParser) space() { p.rest = strings.TrimLeft(p.rest, " \t") }

func (p *headerParser) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *headerParser) token() string {
	n := 0
	for n < len(p.rest) && tokenChar(p.rest[n]) {
		n++
	}
	t := p.rest[:n]
	p.rest = p.rest[n:]
	return t
}

// value takes a token, or a quoted string whose content is a token.
func (p *headerParser) value() (string, bool) {
	if !p.skip('"') {
		t := p.token()
		return t, t != ""
	}
	var b strings.Builder
	for p.rest != "" {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == '"':
			return b.String(), isToken(b.String())
		case c == '\\' && p.rest != "":
			c = p.rest[0]
			p.rest = p.rest[1:]
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChar(s[i]) {
			return false
		}
	}
	return s != ""
}

// tokenChar is tchar of RFC 9110 section 5.6.2.
func tokenChar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// negotiateDeflate answers the first offer that can be met (RFC 7692 section 5): none with a window that flate cannot
// hold itself to, an unknown parameter, a repeated one, or a wrong value.
func negotiateDeflate(offers []offer) (answer string, ok bool) {
	for _, o := range offers {
		if answer, ok := acceptDeflate(o); ok {
			return answer, true
		}
	}
	return "", false
}

func acceptDeflate(o offer) (string, bool) {
	if !strings.EqualFold(o.name, "permessage-deflate") {
		return "", false
	}
	answer := "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	seen := map[string]bool{}
	for _, p := range o.params {
		name := strings.ToLower(p.name)
		if seen[name] {
			return "", false
		}
		seen[name] = true
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.hasValue {
				return "", false
			}
		case "client_max_window_bits": // any window can be read
			if _, ok := windowBits(p.value); p.hasValue && !ok {
				return "", false
			}
		case "server_max_window_bits":
			if bits, ok := windowBits(p.value); !ok || bits < 15 {
				return "", false
			}
			answer += "; server_max_window_bits=15"
		default:
			return "", false
		}
	}
	return answer, true
}

// windowBits parses 8 to 15 without leading zeros.
func windowBits(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 8 && n <= 15 && s[0] != '0' && s[0] != '+'
}
