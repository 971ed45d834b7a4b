package migrate

import (
	"errors"
	"fmt"
	"strings"
)

// token is one lexeme of SQL. For a quoted identifier text is without its quotes; for a string literal with them.
type token struct {
	text       string
	start, end int
	word       bool // bare identifier, keyword or number
	quoted     bool // quoted identifier
	literal    bool // string or blob literal
	comment    bool
}

// is tells whether the token is this bare keyword.
func (t token) is(keyword string) bool { return t.word && strings.EqualFold(t.text, keyword) }

func (t token) isAny(keywords ...string) bool {
	for _, k := range keywords {
		if t.is(k) {
			return true
		}
	}
	return false
}

func (t token) opens() bool { return t.text == "(" && !t.quoted }

func (t token) closes() bool { return t.text == ")" && !t.quoted }

// name tells whether the token can be an identifier.
func (t token) name() bool { return t.word || t.quoted }

var errUnterminated = errors.New("a quote or comment is not closed")

// lex splits SQL as SQLite's tokenizer does (sqlite.org/lang.html, tokenize.c), comments included.
func lex(s string) ([]token, error) {
	var out []token
	for i := 0; i < len(s); {
		start := i
		t := token{start: start}
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			i++
			continue
		case strings.HasPrefix(s[i:], "--"):
			if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(s)
			}
			t.comment = true
		case strings.HasPrefix(s[i:], "/*"):
			n := strings.Index(s[i+2:], "*/")
			if n < 0 {
				return nil, errUnterminated
			}
			i += n + 4
			t.comment = true
		case c == '\'' || c == '"' || c == '`' || c == '[':
			text, n, err := lexQuoted(s[i:])
			if err != nil {
				return nil, err
			}
			i += n
			t.text, t.literal, t.quoted = text, c == '\'', c != '\''
		case (c == 'x' || c == 'X') && i+1 < len(s) && s[i+1] == '\'':
			_, n, err := lexQuoted(s[i+1:])
			if err != nil {
				return nil, err
			}
			i += n + 1
			t.literal = true
			t.text = s[start:i]
		case isWord(c):
			for i < len(s) && (isWord(s[i]) || s[i] == '.' && s[start] >= '0' && s[start] <= '9') {
				i++
			}
			t.word = true
		case c == 0:
			return nil, errors.New("SQL contains a zero byte")
		default:
			i += operator(s[i:])
		}
		t.end = i
		if t.text == "" && !t.quoted {
			t.text = s[start:i]
		}
		out = append(out, t)
	}
	return out, nil
}

// operators are those of more than one character, so that normal prints SQL that can be read again.
var operators = []string{"->>", "->", "||", "<>", "<=", ">=", "!=", "==", "<<", ">>"}

func operator(s string) int {
	for _, o := range operators {
		if strings.HasPrefix(s, o) {
			return len(o)
		}
	}
	return 1
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// lexQuoted reads a quoted token at the start of s: its text (with the quotes for a string) and its length.
func lexQuoted(s string) (string, int, error) {
	end := s[0]
	if end == '[' {
		n := strings.IndexByte(s, ']')
		if n < 0 {
			return "", 0, errUnterminated
		}
		return s[1:n], n + 1, nil
	}
	for i := 1; i < len(s); i++ {
		if s[i] != end {
			continue
		}
		if i+1 < len(s) && s[i+1] == end {
			i++
			continue
		}
		if end == '\'' {
			return s[:i+1], i + 1, nil
		}
		q := string(end)
		return strings.ReplaceAll(s[1:i], q+q, q), i + 1, nil
	}
	return "", 0, errUnterminated
}

// normal prints tokens in one form, so that the same SQL in another spelling compares equal: single spaces, names unquoted,
// lower case except in literals.
func normal(toks []token) string {
	var b strings.Builder
	for _, t := range toks {
		if t.comment {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if t.literal {
			b.WriteString(t.text)
		} else {
			b.WriteString(strings.ToLower(t.text))
		}
	}
	return b.String()
}

// quoteName quotes an identifier for SQLite and PostgreSQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteNames(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quoteName(n)
	}
	return strings.Join(quoted, ", ")
}

// quoteText quotes a string literal.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// parseError says which statement of sqlite_schema this package could not read.
type parseError struct {
	near string
	why  string
}

func (e *parseError) Error() string { return fmt.Sprintf("%s near %q", e.why, e.near) }
