package migrate

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const now = "now()"

// value reads a default or a backfill: a literal of the column's type, or {expression: ...}. Null is nil.
func (d *decoder) value(c *Column, n *yaml.Node, what string) *Value {
	if n == nil || n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "expression" {
		var expr string
		d.text(&expr, what)(n.Content[1])
		if strings.EqualFold(strings.TrimSpace(expr), now) {
			return &Value{Expr: now}
		}
		if err := checkExpression(expr); err != nil {
			d.fail(n, "%s: %s", what, err)
		}
		return &Value{Expr: expr}
	}
	if c.Type == Increments || c.Type == BigIncrements {
		d.fail(n, "%s has no meaning for type %s: remove it", what, c.Type)
		return nil
	}
	v, err := canonical(c, n)
	if err != nil {
		d.fail(n, "%s: %s", what, err)
		return nil
	}
	return literalOf(v)
}

// literalOf is the Value of what canonical returned; nil is nil.
func literalOf(v any) *Value {
	switch v := v.(type) {
	case int64:
		return &Value{Text: strconv.FormatInt(v, 10)}
	case float64:
		return &Value{Text: formatFloat(v)}
	case []byte:
		return &Value{Text: hex.EncodeToString(v)}
	case string:
		return &Value{Text: v}
	}
	return nil
}

// formatFloat prints so that a database reads a float and not an integer.
func formatFloat(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

var (
	decimalPattern = regexp.MustCompile(`^([+-]?)0*([0-9]+)(?:\.([0-9]*))?$`)
	uuidPattern    = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// canonical turns a scalar of a file into the one form in which the column stores it: nil, int64, float64, string or []byte.
func canonical(c *Column, n *yaml.Node) (any, error) {
	if c.Type == JSON || c.Type == JSONB {
		return canonicalJSON(n)
	}
	if n.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("write one value of type %s", c.Type)
	}
	if n.ShortTag() == "!!null" {
		return nil, nil
	}
	switch c.Type {
	case Increments, BigIncrements, Integer, BigInteger:
		return canonicalInt(c, n)
	case Float:
		var f float64
		if n.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, errors.New("write a number")
		}
		return f, nil
	case Decimal:
		return canonicalDecimal(n.Value, c.Precision, c.Scale)
	case Boolean:
		switch strings.ToLower(n.Value) {
		case "true", "1":
			return int64(1), nil
		case "false", "0":
			return int64(0), nil
		}
		return nil, errors.New("write true or false")
	case Date:
		return canonicalTime(n.Value, DateLayout, DateLayout)
	case Time:
		return canonicalTime(n.Value, TimeOfDayLayout, "15:04:05", "15:04")
	case Datetime, Timestamp:
		return canonicalTime(n.Value, TimeLayout, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", DateLayout)
	case Binary:
		if n.ShortTag() == "!!binary" {
			b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
			if err != nil {
				return nil, errors.New("write base64 after !!binary")
			}
			return b, nil
		}
		return []byte(n.Value), nil
	}
	return canonicalText(c, n.Value)
}

func canonicalText(c *Column, s string) (any, error) {
	if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		return nil, errors.New("a text has no zero byte and is UTF-8: use type binary")
	}
	switch c.Type {
	case UUID:
		s = strings.ToLower(s)
		if !uuidPattern.MatchString(s) {
			return nil, errors.New("write a UUID: 123e4567-e89b-12d3-a456-426614174000")
		}
	case Enum:
		if !slices.Contains(c.Values, s) {
			return nil, fmt.Errorf("%q is none of the enum's values%s", s, suggest(s, c.Values))
		}
	case String, NanoID:
		if n := utf8.RuneCountInString(s); n > c.Length {
			return nil, fmt.Errorf("has %d characters, the column holds %d", n, c.Length)
		}
	}
	return s, nil
}

func canonicalInt(c *Column, n *yaml.Node) (any, error) {
	var i int64
	if n.ShortTag() == "!!float" { // 0.00 is 0
		var f float64
		if n.Decode(&f) != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return nil, errors.New("write a whole number")
		}
		i = int64(f)
	} else if n.ShortTag() != "!!int" || n.Decode(&i) != nil {
		return nil, errors.New("write a whole number")
	}
	if c.Unsigned && i < 0 {
		return nil, errors.New("the column is unsigned: write a number from 0")
	}
	if c.Type == Integer && (i > math.MaxInt32 || i < math.MinInt32) && !(c.Unsigned && i <= math.MaxUint32) {
		return nil, errors.New("is too large for an integer: make the column a bigInteger")
	}
	return i, nil
}

// canonicalDecimal writes s with exactly scale digits after the point.
func canonicalDecimal(s string, precision, scale int) (any, error) {
	m := decimalPattern.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return nil, errors.New("write a decimal number: 12.50")
	}
	whole, fraction := m[2], m[3]
	if len(fraction) > scale {
		if strings.Trim(fraction[scale:], "0") != "" {
			return nil, fmt.Errorf("%s has over %d digits after the point", s, scale)
		}
		fraction = fraction[:scale]
	}
	if len(strings.TrimLeft(whole, "0")) > precision-scale {
		return nil, fmt.Errorf("%s has over %d digits before the point", s, precision-scale)
	}
	fraction += strings.Repeat("0", scale-len(fraction))
	out := whole
	if scale > 0 {
		out += "." + fraction
	}
	if m[1] == "-" && strings.Trim(out, "0.") != "" {
		out = "-" + out
	}
	return out, nil
}

func canonicalTime(s, layout string, accept ...string) (any, error) {
	for _, l := range append(accept, layout) {
		if t, err := time.Parse(l, s); err == nil {
			return t.UTC().Format(layout), nil
		}
	}
	return nil, fmt.Errorf("write a time like %s", layout)
}

// canonicalJSON prints a node as JSON with sorted keys. A mapping or list is written as such; a text is a JSON text.
func canonicalJSON(n *yaml.Node) (any, error) {
	if n.ShortTag() == "!!null" {
		return nil, nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, errors.New("is no JSON: keys must be texts and numbers finite")
	}
	return string(b), nil
}

// checkExpression accepts one SQL expression over the columns of its row: balanced, with no comment, semicolon or bind parameter,
// so that it stays inside the parentheses that it is put in, and with no query, so that it reads no table of another owner.
func checkExpression(s string) error {
	toks, err := lex(s)
	if err != nil {
		return err
	}
	depth := 0
	for i, t := range toks {
		switch {
		case strings.Contains(t.text, `\`):
			return errors.New("an expression cannot contain a backslash: databases do not agree on where such a text ends")
		case t.opens():
			depth++
		case t.closes():
			depth--
		case t.comment:
			return errors.New("an expression cannot contain a comment")
		case t.isAny("SELECT", "WITH", "VALUES"):
			return fmt.Errorf("an expression cannot contain a query (%s)", t.text)
		case t.is("IN") && (i+1 >= len(toks) || !toks[i+1].opens()):
			return errors.New("write the values after IN in parentheses")
		case t.quoted || t.literal:
		case strings.ContainsAny(t.text, ";?$#@"):
			return fmt.Errorf("an expression cannot contain %q", t.text)
		}
		if depth < 0 {
			return errors.New("closing parenthesis without an opening one")
		}
	}
	if depth != 0 {
		return errors.New("opening parenthesis without a closing one")
	}
	if len(toks) == 0 {
		return errors.New("write an SQL expression")
	}
	return nil
}
