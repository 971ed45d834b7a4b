package migrate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// statement is one statement of a migration file.
type statement struct {
	sql  string
	line int // of its first word, from 1
}

// script is how a dialect's text is cut into statements.
type script struct {
	brackets  bool // [name]
	backslash bool // escapes within strings, and strings in double quotes
	dollars   bool // $tag$text$tag$, and E'...' with backslashes
	hash      bool // comments; "--" is one only before a space
	nested    bool // comments within comments
	triggers  bool // the body of a trigger ends at "; END ;"
}

func scriptOf(dialect string) script {
	switch dialect {
	case dialectPostgres:
		return script{dollars: true, nested: true}
	case dialectMySQL:
		return script{backslash: true, hash: true}
	}
	return script{brackets: true, triggers: true}
}

// controls are the words that begin statements about transactions.
var controls = []string{"BEGIN", "START", "COMMIT", "ROLLBACK", "ABORT", "END", "SAVEPOINT", "RELEASE", "XA"}

// split cuts text into statements. Bodies of triggers and routines stay whole; comments stay with the statement that follows.
func (s script) split(text string) ([]statement, error) {
	c := &cutter{script: s, text: text, line: 1}
	for c.at < len(text) {
		if err := c.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", c.line, err)
		}
	}
	if c.depth > 0 && len(c.words) > 0 {
		return nil, fmt.Errorf("line %d: BEGIN without its END", c.first)
	}
	c.flush(len(text))
	for _, st := range c.out {
		if word := firstWord(st.sql); slices.Contains(controls, word) {
			return nil, fmt.Errorf("line %d: %s: a file is in a transaction of its own already: leave it out", st.line, word)
		} else if word == "DELIMITER" {
			return nil, fmt.Errorf("line %d: DELIMITER is a command of the mysql client: leave it out, bodies are recognised", st.line)
		}
	}
	return c.out, nil
}

// cutter is one pass over a text.
type cutter struct {
	script
	text  string
	at    int
	line  int // of at
	start int // of the statement
	first int // line of its first word; 0 before it
	body  int // position of its first word
	words []string
	depth int // of BEGIN and CASE within a routine
	paren int
	last  string // the token before, upper case
	prior string // and the one before that
	out   []statement
}

func (c *cutter) rest() string { return c.text[c.at:] }

func (c *cutter) advance(n int) {
	c.line += strings.Count(c.text[c.at:c.at+n], "\n")
	c.at += n
}

func (c *cutter) token(text string) {
	if c.first == 0 {
		c.first, c.body = c.line, c.at
	}
	c.prior, c.last = c.last, text
}

func (c *cutter) next() error {
	rest := c.rest()
	switch b := rest[0]; {
	case b == ' ' || b == '\t' || b == '\n' || b == '\r' || b == '\f' || b == '\v':
		c.advance(1)
	case strings.HasPrefix(rest, "--") && (!c.hash || len(rest) == 2 || rest[2] <= ' '), b == '#' && c.hash:
		n := strings.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest)
		}
		c.advance(n)
	case strings.HasPrefix(rest, "/*"):
		return c.comment()
	case b == '\'' || b == '"' || b == '`' || b == '[' && c.brackets:
		return c.quoted(b, c.backslash && b != '`')
	case (b == 'e' || b == 'E') && c.dollars && len(rest) > 1 && rest[1] == '\'':
		c.token("'")
		c.advance(1)
		return c.quoted('\'', true)
	case b == '$' && c.dollars:
		return c.dollar()
	case isWord(b):
		c.word()
	case b == ';':
		c.semicolon()
	default:
		c.token(string(b))
		switch b {
		case '(':
			c.paren++
		case ')':
			c.paren--
		}
		c.advance(1)
	}
	return nil
}

func (c *cutter) comment() error {
	depth, i := 0, 0
	rest := c.rest()
	for i < len(rest) {
		switch {
		case strings.HasPrefix(rest[i:], "/*") && (depth == 0 || c.nested):
			depth++
			i += 2
		case strings.HasPrefix(rest[i:], "*/"):
			depth--
			i += 2
		default:
			i++
		}
		if depth == 0 {
			if strings.HasPrefix(rest, "/*!") && c.hash {
				c.token("/*!") // what MySQL runs, and others do not
			}
			c.advance(i)
			return nil
		}
	}
	return errUnterminated
}

func (c *cutter) quoted(quote byte, escapes bool) error {
	rest := c.rest()
	end := quote
	if quote == '[' {
		end = ']'
	}
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '\\' && escapes:
			i++
		case rest[i] == end && quote != '[' && i+1 < len(rest) && rest[i+1] == end:
			i++
		case rest[i] == end:
			c.token(string(quote))
			c.advance(i + 1)
			return nil
		}
	}
	return errUnterminated
}

// dollar reads $tag$...$tag$ (postgresql.org, 4.1.2.4), or a parameter.
func (c *cutter) dollar() error {
	rest := c.rest()
	n := 1
	for n < len(rest) && isWord(rest[n]) && rest[n] != '$' {
		n++
	}
	c.token("$")
	if n == len(rest) || rest[n] != '$' || n > 1 && rest[1] >= '0' && rest[1] <= '9' {
		c.advance(1)
		return nil
	}
	tag := rest[:n+1]
	end := strings.Index(rest[n+1:], tag)
	if end < 0 {
		return errUnterminated
	}
	c.advance(n + 1 + end + len(tag))
	return nil
}

func (c *cutter) word() {
	n := 0
	for rest := c.rest(); n < len(rest) && isWord(rest[n]); {
		n++
	}
	word := strings.ToUpper(c.text[c.at : c.at+n])
	c.token(word)
	if len(c.words) < 12 {
		c.words = append(c.words, word)
	}
	if !c.triggers && c.routine() {
		switch {
		case word == "BEGIN", word == "CASE" && c.prior != "END" && c.depth > 0:
			c.depth++
		case word == "END" && c.depth > 0:
			c.depth--
		case c.prior == "END" && slices.Contains([]string{"IF", "LOOP", "WHILE", "REPEAT", "FOR"}, word):
			c.depth++ // it was the end of one that is not counted
		}
	}
	c.advance(n)
}

// routine tells whether the statement makes something with a body.
func (c *cutter) routine() bool {
	return len(c.words) > 0 && c.words[0] == "CREATE" && slices.ContainsFunc(c.words, func(w string) bool {
		return w == "FUNCTION" || w == "PROCEDURE" || w == "TRIGGER" || w == "EVENT" || w == "PACKAGE"
	})
}

func (c *cutter) semicolon() {
	inside := c.depth > 0 || c.paren > 0 && c.dollars // a rule's list of statements
	if c.triggers && c.routine() && slices.Contains(c.words, "TRIGGER") {
		inside = c.last != "END" || c.prior != ";" // as sqlite3_complete decides
	}
	if inside {
		c.token(";")
		c.advance(1)
		return
	}
	c.flush(c.at)
	c.advance(1)
	c.start = c.at
}

// flush ends the statement, if there is one, at a position.
func (c *cutter) flush(end int) {
	if c.first > 0 {
		c.out = append(c.out, statement{sql: strings.TrimSpace(c.text[c.body:end]), line: c.first})
	}
	c.first, c.words, c.depth, c.paren, c.last, c.prior = 0, nil, 0, 0, "", ""
}

func firstWord(sql string) string {
	n := 0
	for n < len(sql) && isWord(sql[n]) {
		n++
	}
	return strings.ToUpper(sql[:n])
}

var errEmptyFile = errors.New("holds no statement")
