package database

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/odac-run/odachost/abi"
)

// maxText is the longest SQL text, in bytes.
const maxText = 100_000

// rawText is SQL text of a plugin's, scanned. The scan finds where the parameters are and refuses what is plainly out of place; what the
// text means, and whether it is one statement, is for the database to say.
type rawText struct {
	sql      string     // with the dialect's parameters, up to its semicolon
	args     []string   // for each parameter its name, or "" for the next positional one
	lower    string     // the text as it was given, in lower case
	nests    bool       // has "with" somewhere
	replaces bool       // "insert or replace" and its kin: deletes rows too
	tokens   []rawToken // as a server reads them
	volatile bool       // calls for time or chance
	nows     bool       // an argument can be a time that passes: "now"
	access   *Access    // of who wrote it
}

// rawToken is one token: a bare word (rawWord), a quoted name (rawName), a string, a parameter, or else a character that stands for itself.
type rawToken struct {
	kind byte
	text string // a word in lower case, a name or string without its quotes
}

const (
	rawWord   = 'w'
	rawName   = 'n'
	rawString = 's'
	rawParam  = '?'
)

// rawSyntax is what differs between databases in how text is cut into words.
type rawSyntax struct {
	brackets  bool // [name]
	backslash bool // escapes within strings, "..." is a string, /*! */ is run, "--" needs a space behind it: MySQL
	dollars   bool // $tag$text$tag$, and E'...' with backslashes: PostgreSQL
	hash      bool // comments
	nested    bool // comments within comments
	operators bool // "?" is an operator too, written "??"
	// rules are what a text may say on a server, which does not ask us; nil is SQLite, which does.
	rules *rawRules
}

// rawVerbs are the words with which a statement may begin.
var rawVerbs = []string{"select", "with", "values", "insert", "replace", "update", "delete"}

func scanRaw(text string, syntax rawSyntax, param func(n int, c *Column, u use) string) (*rawText, error) {
	switch {
	case len(text) > maxText:
		return nil, failf(abi.ErrnoTooLarge, "the SQL text has %d bytes, at most %d: pass values as arguments", len(text), maxText)
	case !utf8.ValidString(text), strings.ContainsRune(text, 0), strings.ContainsRune(text, '\ufeff'):
		return nil, invalidf("the SQL text is not UTF-8, or has a zero byte or a byte order mark: pass such values as arguments")
	}
	s := rawScan{text: text, syntax: syntax, param: param, raw: &rawText{lower: strings.ToLower(text)}}
	s.raw.nests = strings.Contains(s.raw.lower, "with")
	if err := s.run(); err != nil {
		return nil, err
	}
	s.raw.sql = strings.TrimSpace(string(s.out))
	if !slices.Contains(rawVerbs, s.first) {
		return nil, invalidf("SQL text begins with select, with, values, insert, replace, update or delete, not %s: transactions and schemas have their own ways", clip(s.first))
	}
	named := 0
	for _, name := range s.raw.args {
		if name != "" {
			named++
		}
	}
	if named != 0 && named != len(s.raw.args) {
		return nil, invalidf(`the SQL text has "?" and named parameters: use one kind`)
	}
	if syntax.rules != nil {
		if err := syntax.rules.check(s.raw); err != nil {
			return nil, err
		}
	}
	return s.raw, nil
}

// mentions says whether the text can be about a table by its own words. It may say so too often.
func (raw *rawText) mentions(table string) bool {
	return strings.ContainsAny(table, "\"'`[]") || strings.Contains(raw.lower, strings.ToLower(table))
}

// rawScan is one scan.
type rawScan struct {
	text   string
	syntax rawSyntax
	param  func(n int, c *Column, u use) string
	raw    *rawText
	out    []byte
	at     int
	first  string // word, lower case
	ended  bool   // the semicolon was seen
	last   string // bare word before this token, lower case; "" after anything else
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// rest is the text from i on, "" beyond its end.
func (s *rawScan) rest(i int) string { return s.text[min(i, len(s.text)):] }

// peek is the byte at i, 0 beyond the end.
func (s *rawScan) peek(i int) byte {
	if i < len(s.text) {
		return s.text[i]
	}
	return 0
}

// keep copies up to end.
func (s *rawScan) keep(end int) {
	s.out = append(s.out, s.text[s.at:min(end, len(s.text))]...)
	s.at = min(end, len(s.text))
}

func (s *rawScan) run() error {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			s.keep(s.at + 1)
			continue
		case c == '#' && s.syntax.hash, s.dashes():
			s.line()
			continue
		case strings.HasPrefix(s.rest(s.at), "/*"):
			if err := s.comment(); err != nil {
				return err
			}
			continue
		}
		if s.ended {
			return invalidf("the SQL text has more than one statement: run them one at a time, or in a batch")
		}
		if err := s.token(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *rawScan) token(c byte) error {
	last := s.last
	s.last = ""
	if last == "replace" && c != '(' {
		s.raw.replaces = true
	}
	switch {
	case c == ';':
		s.ended = true
		s.at++
	case c == '\'':
		return s.str('\'', s.syntax.backslash)
	case c == '"' && s.syntax.backslash:
		return s.str('"', true)
	case c == '"', c == '`' && !s.syntax.dollars:
		return s.quoted(c, false, rawName)
	case c == '-' && s.syntax.backslash && (strings.HasPrefix(s.rest(s.at), "--#") || strings.HasPrefix(s.rest(s.at), "--/*")):
		return invalidf(`the SQL text has "--" before a comment: put a space between the two`) // which is what becomes of the comment
	case c == '\\' && s.syntax.rules != nil:
		return invalidf(`the SQL text has a "\\" outside of a string`)
	case c == '[' && s.syntax.brackets:
		end := strings.IndexByte(s.rest(s.at), ']')
		if end < 0 {
			return errUnclosed("[")
		}
		s.keep(s.at + end + 1)
	case c == '?':
		return s.question()
	case c == ':' && s.peek(s.at+1) == ':':
		s.note(':', "::")
		s.keep(s.at + 2)
	case c == ':' && isWord(s.peek(s.at+1)) && s.peek(s.at+1) != '$' && (s.peek(s.at+1) < '0' || s.peek(s.at+1) > '9'):
		end := s.wordEnd(s.at + 1)
		s.parameter(s.text[s.at+1 : end])
		s.at = end
	case c == '@' && (isWord(s.peek(s.at+1)) || s.syntax.backslash):
		return invalidf(`SQL text names its parameters ":name", not "@name"; there are no variables`)
	case c == '$':
		return s.dollar()
	case isWord(c):
		return s.bare()
	default:
		s.note(c, "")
		s.keep(s.at + 1)
	}
	return nil
}

// note keeps a token.
func (s *rawScan) note(kind byte, text string) {
	if s.syntax.rules != nil {
		s.raw.tokens = append(s.raw.tokens, rawToken{kind, text})
	}
}

// dashes says whether a comment to the end of the line begins here.
func (s *rawScan) dashes() bool {
	if !strings.HasPrefix(s.rest(s.at), "--") {
		return false
	}
	next := s.peek(s.at + 2)
	return !s.syntax.backslash || next <= ' ' || next == 0x7f // in MySQL 5--3 is 8
}

func errUnclosed(what string) error {
	return invalidf("the SQL text opens %s and does not close it", what)
}

func (s *rawScan) wordEnd(i int) int {
	for i < len(s.text) && isWord(s.text[i]) {
		i++
	}
	return i
}

func (s *rawScan) bare() error {
	end := s.wordEnd(s.at)
	word := s.text[s.at:end]
	if s.syntax.dollars && len(word) == 1 {
		switch next := s.peek(end); {
		case (word == "E" || word == "e") && next == '\'':
			s.keep(end)
			return s.str('\'', true)
		case (word == "U" || word == "u") && next == '&' && (s.peek(end+1) == '\'' || s.peek(end+1) == '"'):
			return invalidf("the SQL text escapes characters by U&: write them, the text is UTF-8")
		}
	}
	s.last = strings.ToLower(word)
	s.note(rawWord, s.last)
	if s.first == "" {
		s.first = s.last
	}
	if s.last == "replace" && s.rest(end) == "" {
		s.raw.replaces = true
	}
	s.keep(end)
	return nil
}

// str copies a string. PostgreSQL joins strings on two lines, and reads the second as it does the first: E” has its escapes there too.
func (s *rawScan) str(quote byte, backslash bool) error {
	if n := len(s.raw.tokens); s.syntax.dollars && n > 0 && s.raw.tokens[n-1].kind == rawString {
		return invalidf("the SQL text has two strings side by side: write one, or join them by ||")
	}
	return s.quoted(quote, backslash, rawString)
}

// quoted copies a string or a name. A quote within is doubled.
func (s *rawScan) quoted(quote byte, backslash bool, kind byte) error {
	for i := s.at + 1; i < len(s.text); i++ {
		switch {
		case backslash && s.text[i] == '\\':
			i++
		case s.text[i] == quote && s.peek(i+1) == quote:
			i++
		case s.text[i] == quote:
			s.note(kind, strings.ReplaceAll(s.text[s.at+1:i], string([]byte{quote, quote}), string(quote)))
			s.keep(i + 1)
			return nil
		}
	}
	return errUnclosed(string(quote))
}

// dollar copies a string between tags, where the database has them.
func (s *rawScan) dollar() error {
	end := s.at + 1
	for end < len(s.text) && s.text[end] != '$' && isWord(s.text[end]) {
		end++
	}
	if digit := s.peek(s.at + 1); !s.syntax.dollars || s.peek(end) != '$' || digit >= '0' && digit <= '9' {
		return invalidf(`SQL text names its parameters ":name", not "$name"`)
	}
	tag := s.text[s.at : end+1]
	closing := strings.Index(s.rest(end+1), tag)
	if closing < 0 {
		return errUnclosed(tag)
	}
	s.note(rawString, s.text[end+1:end+1+closing])
	s.keep(end + 1 + closing + len(tag))
	return nil
}

func (s *rawScan) line() {
	end := strings.IndexByte(s.rest(s.at), '\n')
	if end < 0 {
		end = len(s.text) - s.at
	}
	s.blank(s.at + end)
}

// comment leaves a comment out. MySQL would run what stands in /*! */, which is refused rather than left out.
func (s *rawScan) comment() error {
	if rest := s.rest(s.at); s.syntax.backslash && (strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!")) {
		return invalidf("the SQL text has a comment that the database runs, /*! */: write what is in it, or leave it out")
	}
	depth := 0
	for i := s.at; i < len(s.text); i++ {
		switch {
		case strings.HasPrefix(s.rest(i), "/*") && (depth == 0 || s.syntax.nested):
			depth++
			i++
		case strings.HasPrefix(s.rest(i), "*/"):
			i++
			if depth--; depth == 0 {
				s.blank(i + 1)
				return nil
			}
		}
	}
	return errUnclosed("/*")
}

// blank puts a space in the place of a comment.
func (s *rawScan) blank(end int) {
	s.out = append(s.out, ' ')
	s.at = end
}

func (s *rawScan) question() error {
	next := s.peek(s.at + 1)
	switch {
	case next == '?' && s.syntax.operators:
		s.note('+', "?")
		s.out = append(s.out, '?')
		s.at += 2
	case isWord(next):
		return invalidf(`SQL text numbers no parameters: write "?" for the next one, or ":name"`)
	default:
		s.parameter("")
		s.at++
	}
	return nil
}

func (s *rawScan) parameter(name string) {
	s.raw.args = append(s.raw.args, name)
	s.note(rawParam, "")
	if n := len(s.out); n > 0 && isWord(s.out[n-1]) {
		s.out = append(s.out, ' ') // "limit?" is not the name limit$1
	}
	s.out = append(s.out, s.param(len(s.raw.args), argument, useWrite)...)
}

// argument describes the values of SQL text, of which nothing is known.
var argument = &Column{Name: "the argument"}

// bind gives each parameter its argument.
func (raw *rawText) bind(q *abi.Query) ([]param, error) {
	params := make([]param, len(raw.args))
	if len(q.Names) > 0 && len(q.Names) != len(q.Args) {
		return nil, invalidf("%s for %s of arguments", plural(len(q.Args), "argument"), plural(len(q.Names), "name"))
	}
	used := make([]bool, len(q.Args))
	for i, name := range raw.args {
		at := i
		if name != "" {
			if at = slices.Index(q.Names, name); at < 0 {
				return nil, invalidf("the SQL text has a parameter :%s, for which there is no argument", name)
			}
		}
		if at >= len(q.Args) || name == "" && len(q.Names) > 0 {
			return nil, invalidf(`the SQL text has %s, the query %s`, plural(len(raw.args), "parameter"), plural(len(q.Args), "argument"))
		}
		used[at] = true
		params[i] = param{column: argument, use: useWrite, list: listArg, sub: -1, item: uint16(at)}
	}
	for i := range used {
		switch {
		case used[i]:
		case len(q.Names) > 0:
			return nil, invalidf("the SQL text has no parameter :%s", clip(q.Names[i]))
		default:
			return nil, invalidf("the SQL text has %s, the query %s", plural(len(raw.args), "parameter"), plural(len(q.Args), "argument"))
		}
	}
	return params, nil
}

// checkRaw refuses what stands beside SQL text.
func checkRaw(q *abi.Query) error {
	if q.Verb != 0 || q.Table != "" || q.From != 0 || q.As != "" || q.Distinct || q.Conflict != nil || q.Truncate || q.Lock != 0 || q.Wait != 0 ||
		q.Limit != 0 || q.Offset != 0 ||
		len(q.Columns)+len(q.Joins)+len(q.Group)+len(q.Having)+len(q.Order)+len(q.Where)+len(q.After)+len(q.Unions)+len(q.Subs) > 0 ||
		len(q.Fields)+len(q.Rows)+len(q.Increments)+len(q.Returning) > 0 {
		return invalidf("beside SQL text stand its arguments and nothing else of a query")
	}
	return nil
}
