package plugins

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/odac-run/odachost/abi"
)

// Limits of a policy's text.
const (
	maxPolicyBytes  = 4096
	maxPolicyTokens = 512
	maxPolicyDepth  = 8 // of parentheses
)

// ParsePolicy reads a policy:
//
//	policy     = all { "or" all }
//	all        = comparison { "and" comparison }
//	comparison = "(" policy ")"
//	           | column ( "=" | "<>" ) value
//	           | column ( "<" | "<=" | ">" | ">=" ) number
//	           | column [ "not" ] "in" "(" value { "," value } ")"
//	           | column "is" [ "not" ] "null"
//	value      = number | 'text' | true | false | $tenant | $plugin | $config.key
//
// Numbers are whole. In a text a quote is doubled. Text has no order here, because databases sort it in different ways. The error is the end of a
// sentence about the text.
func ParsePolicy(text string) (*Policy, error) {
	if len(text) > maxPolicyBytes || !utf8.ValidString(text) {
		return nil, fmt.Errorf("is not text of at most %d bytes: make it simpler", maxPolicyBytes)
	}
	tokens, err := policyTokens(text)
	if err != nil {
		return nil, err
	}
	p := policyParser{tokens: tokens}
	policy, err := p.either(0)
	if err == nil && p.at < len(p.tokens) {
		err = p.unexpected("and, or, or the end")
	}
	return policy, err
}

// policyToken is a word (a column or a keyword), a sign, or a value.
type policyToken struct {
	text  string // lower case for a word that may be one of the language
	raw   string
	kind  byte // 'w'ord, 's'ign, 'v'alue
	value PolicyValue
}

func policyTokens(text string) ([]policyToken, error) {
	var out []policyToken
	for i := 0; i < len(text); {
		c := text[i]
		if c == ' ' || c >= '\t' && c <= '\r' {
			i++
			continue
		}
		if len(out) >= maxPolicyTokens {
			return nil, fmt.Errorf("has more than %d words: make it simpler", maxPolicyTokens)
		}
		token, n, err := policyTokenAt(text[i:])
		if err != nil {
			return nil, err
		}
		out, i = append(out, token), i+n
	}
	return out, nil
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// policyTokenAt reads the token with which text begins, and its length.
func policyTokenAt(text string) (policyToken, int, error) {
	c, n := text[0], 1
	switch {
	case c == '\'':
		return policyText(text)
	case c == '$':
		for n < len(text) && (wordByte(text[n]) || text[n] == '.' || text[n] == '-') {
			n++
		}
		name := text[1:n]
		key, ofConfig := strings.CutPrefix(name, variableConfig)
		if name != variableTenant && name != variablePlugin && (!ofConfig || checkConfigKey(key) != nil) {
			return policyToken{}, 0, fmt.Errorf("has an unknown variable $%s: use $tenant, $plugin or $config.key", name)
		}
		return policyToken{raw: text[:n], kind: 'v', value: PolicyValue{Variable: name}}, n, nil
	case c >= '0' && c <= '9', c == '-':
		for n < len(text) && (wordByte(text[n]) || text[n] == '.') {
			n++
		}
		number, err := strconv.ParseInt(text[:n], 10, 64)
		if err != nil {
			return policyToken{}, 0, fmt.Errorf("has %.40q, which is no whole number of 64 bits", text[:n])
		}
		return policyToken{raw: text[:n], kind: 'v', value: PolicyValue{Value: abi.Int(number)}}, n, nil
	case wordByte(c):
		for n < len(text) && wordByte(text[n]) {
			n++
		}
		word := policyToken{text: strings.ToLower(text[:n]), raw: text[:n], kind: 'w'}
		if word.text == "true" || word.text == "false" {
			word.kind, word.value = 'v', PolicyValue{Value: abi.Bool(word.text == "true")}
		}
		return word, n, nil
	}
	for _, sign := range []string{"<=", ">=", "<>", "!=", "=", "<", ">", "(", ")", ","} {
		if strings.HasPrefix(text, sign) {
			token := policyToken{text: sign, raw: sign, kind: 's'}
			if sign == "!=" {
				token.text = "<>"
			}
			return token, len(sign), nil
		}
	}
	r, _ := utf8.DecodeRuneInString(text)
	return policyToken{}, 0, fmt.Errorf("has %q, which has no meaning here: write comparisons of columns with values, joined by and and or", r)
}

// policyText reads a text in quotes.
func policyText(text string) (policyToken, int, error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '\'':
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '\'':
			b.WriteByte('\'')
			i++
		case strings.ContainsRune(b.String(), 0):
			return policyToken{}, 0, errors.New("has a zero byte in a text: no column can hold it everywhere")
		default:
			return policyToken{raw: text[:i+1], kind: 'v', value: PolicyValue{Value: abi.Text(b.String())}}, i + 1, nil
		}
	}
	return policyToken{}, 0, errors.New("has a text that is not closed: end it with '")
}

type policyParser struct {
	tokens []policyToken
	at     int
}

// next is the token ahead; of kind 0 at the end.
func (p *policyParser) next() policyToken {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return policyToken{raw: "the end"}
}

// accept takes a keyword or sign if it is next.
func (p *policyParser) accept(text string) bool {
	t := p.next()
	ok := t.kind != 0 && t.kind != 'v' && t.text == text
	if ok {
		p.at++
	}
	return ok
}

func (p *policyParser) unexpected(wanted string) error {
	t := p.next()
	if t.kind == 0 {
		return fmt.Errorf("ends too early: write %s", wanted)
	}
	return fmt.Errorf("has %.40s where %s should be", t.raw, wanted)
}

func (p *policyParser) either(depth int) (*Policy, error) {
	return p.joined(abi.CondOr, "or", func() (*Policy, error) {
		return p.joined(abi.CondAnd, "and", func() (*Policy, error) { return p.comparison(depth) })
	})
}

// joined reads one part or several with a word between. Parts that are joined by the same word are taken for its parts.
func (p *policyParser) joined(op abi.CondOp, word string, read func() (*Policy, error)) (*Policy, error) {
	var parts []*Policy
	for {
		part, err := read()
		if err != nil {
			return nil, err
		}
		if part.Op == op {
			parts = append(parts, part.Parts...)
		} else {
			parts = append(parts, part)
		}
		if !p.accept(word) {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return &Policy{Op: op, Parts: parts}, nil
}

var policyKeywords = []string{"and", "or", "in", "is", "not", "null", "like", "between", "exists", "select"}

func (p *policyParser) comparison(depth int) (*Policy, error) {
	if p.accept("(") {
		if depth >= maxPolicyDepth {
			return nil, fmt.Errorf("has parentheses nested deeper than %d: make it simpler", maxPolicyDepth)
		}
		inner, err := p.either(depth + 1)
		if err == nil && !p.accept(")") {
			err = p.unexpected("and, or or )")
		}
		return inner, err
	}
	column := p.next()
	if column.kind != 'w' || slices.Contains(policyKeywords, column.text) {
		return nil, p.unexpected("the name of a column, such as owner = $tenant,")
	}
	if !isIdentifier(column.raw) {
		return nil, fmt.Errorf("has %.40q, which is not the name of a column", column.raw)
	}
	p.at++
	out := &Policy{Column: column.raw}
	for op, word := range policyWords {
		if op <= abi.CondGe && p.accept(word) {
			out.Op = op
			return out, p.compared(out)
		}
	}
	switch not := p.accept("not"); {
	case p.accept("in"):
		if out.Op = abi.CondIn; not {
			out.Op = abi.CondNotIn
		}
		return out, p.list(out)
	case !not && p.accept("is"):
		if out.Op = abi.CondNull; p.accept("not") {
			out.Op = abi.CondNotNull
		}
		if !p.accept("null") {
			return nil, p.unexpected("null")
		}
		return out, nil
	}
	return nil, p.unexpected("=, <>, <, <=, >, >=, in, not in, is null or is not null")
}

// compared reads the value of a comparison.
func (p *policyParser) compared(out *Policy) error {
	v := p.next()
	switch {
	case v.kind == 'w' && v.text == "null":
		return fmt.Errorf("compares %s with null, which is never true: write is null or is not null", out.Column)
	case v.kind == 'w':
		return fmt.Errorf("compares %s with %.40s: compare with a value, 'text' in single quotes, a number, true, false, $tenant, $plugin or $config.key", out.Column, v.raw)
	case v.kind != 'v':
		return p.unexpected("a value")
	case out.Op != abi.CondEq && out.Op != abi.CondNe && (v.value.Variable != "" || v.value.Value.Kind() != abi.KindInt):
		return fmt.Errorf("orders %s by %s: %s takes a number, because databases sort text in different ways", out.Column, v.raw, policyWords[out.Op])
	}
	p.at++
	out.Values = []PolicyValue{v.value}
	return nil
}

func (p *policyParser) list(out *Policy) error {
	if !p.accept("(") {
		return p.unexpected("( and values")
	}
	for {
		v := p.next()
		if v.kind != 'v' {
			return p.unexpected("a value")
		}
		p.at++
		out.Values = append(out.Values, v.value)
		if p.accept(")") {
			return nil
		}
		if !p.accept(",") {
			return p.unexpected(", or )")
		}
	}
}
