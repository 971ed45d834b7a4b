package database

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// The reference: the lexers of the servers, from their manuals, by regular expressions and nothing of ours.
var (
	postgresLexer = []*regexp.Regexp{
		regexp.MustCompile(`(?s)^[eE]'(?:[^'\\]|''|\\.)*'`), regexp.MustCompile(`(?s)^'(?:[^']|'')*'`), regexp.MustCompile(`(?s)^"(?:[^"]|"")*"`),
		regexp.MustCompile(`^\?\?`), regexp.MustCompile(`^[A-Za-z_\x80-\x{10ffff}][\w$\x80-\x{10ffff}]*`), regexp.MustCompile(`^\d[\w$\x80-\x{10ffff}]*`), regexp.MustCompile(`^\$\d+`), regexp.MustCompile(`^::`),
		regexp.MustCompile(`^:[A-Za-z_\x80-\x{10ffff}][\w$\x80-\x{10ffff}]*`), regexp.MustCompile(`(?s)^.`),
	}
	mysqlLexer = []*regexp.Regexp{
		regexp.MustCompile(`(?s)^'(?:[^'\\]|''|\\.)*'`), regexp.MustCompile(`(?s)^"(?:[^"\\]|""|\\.)*"`), regexp.MustCompile("(?s)^`(?:[^`]|``)*`"),
		regexp.MustCompile(`^[\w$\x80-\x{10ffff}]+`), regexp.MustCompile(`^::`),
		regexp.MustCompile(`^:[A-Za-z_\x80-\x{10ffff}][\w$\x80-\x{10ffff}]*`), regexp.MustCompile(`(?s)^.`),
	}
	dollarTag = regexp.MustCompile(`^\$(?:[A-Za-z_\x80-\x{10ffff}][\w\x80-\x{10ffff}]*)?\$`)
	space     = regexp.MustCompile(`^[ \t\n\v\f\r]+`)
	line      = regexp.MustCompile(`^(?:--|#)[^\n]*`)
)

// lex cuts a text into its tokens, without spaces and comments.
func lex(text string, mysql bool) (out []string) {
	for text != "" {
		n := 0
		switch {
		case space.MatchString(text):
			text = text[len(space.FindString(text)):]
			continue
		case mysql && (text[0] == '#' || regexp.MustCompile(`^--(?:[\x00-\x20\x7f]|$)`).MatchString(text)), !mysql && strings.HasPrefix(text, "--"):
			text = text[len(line.FindString(text)):]
			continue
		case strings.HasPrefix(text, "/*"):
			text = afterComment(text, !mysql)
			continue
		case !mysql && dollarTag.MatchString(text):
			tag := dollarTag.FindString(text)
			n = strings.Index(text[len(tag):], tag) + 2*len(tag)
		default:
			for _, re := range map[bool][]*regexp.Regexp{true: mysqlLexer, false: postgresLexer}[mysql] {
				if n = len(re.FindString(text)); n > 0 {
					break
				}
			}
		}
		out, text = append(out, text[:n]), text[n:]
	}
	return out
}

func afterComment(text string, nested bool) string {
	depth, i := 1, 2
	for ; i < len(text) && depth > 0; i++ {
		switch {
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i++
		case nested && strings.HasPrefix(text[i:], "/*"):
			depth++
			i++
		}
	}
	return text[min(i, len(text)):]
}

// checkRewritten says what is wrong with a text that was taken: its tokens are those of the original, but for the parameters and the semicolon
// at the end.
func checkRewritten(text string, raw *rawText, mysql bool) error {
	before, after := lex(text, mysql), lex(raw.sql, mysql)
	var want []string
	n := 0
	for _, token := range before {
		switch {
		case token == "??":
			token = "?"
		case token == "?", len(token) > 1 && token[0] == ':' && token != "::":
			n++
			token = "?"
			if !mysql {
				token = fmt.Sprintf("$%d", n)
			}
		}
		want = append(want, token)
	}
	for len(want) > 0 && want[len(want)-1] == ";" {
		want = want[:len(want)-1]
	}
	switch {
	case slices.Contains(after, ";"):
		return fmt.Errorf("a second statement: %q", raw.sql)
	case n != len(raw.args):
		return fmt.Errorf("%d parameters, found %d", n, len(raw.args))
	case !slices.Equal(want, after):
		return fmt.Errorf("tokens\n%q became\n%q", want, after)
	case strings.Contains(strings.Join(after, " "), "/*!"): // in a string it may stand
		if !slices.ContainsFunc(after, func(s string) bool { return strings.ContainsAny(s[:1], "'\"`$eE") && strings.Contains(s, "/*!") }) {
			return fmt.Errorf("a comment that is run: %q", raw.sql)
		}
	}
	return nil
}

func fuzzRaw(f *testing.F, syntax rawSyntax, d dialect, list []attempt) {
	for _, a := range list {
		if len(a.sql) < 300 {
			f.Add(a.sql)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f.Add(generated(r, syntax.backslash))
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := scanRaw(text, syntax, d.param)
		if err != nil {
			return
		}
		if err := checkRewritten(text, raw, syntax.backslash); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzRawPostgres: what is taken is one statement, and the same tokens as before.
func FuzzRawPostgres(f *testing.F) {
	fuzzRaw(f, (&postgres{}).syntax(), postgresDialect{}, postgresAttempts())
}

// FuzzRawMySQL is FuzzRawPostgres for MySQL.
func FuzzRawMySQL(f *testing.F) {
	fuzzRaw(f, (&mysqlEngine{}).syntax(), mysqlDialect{}, mariadbAttempts())
}

// generated is a text of what a lexer can get wrong: items that are right, then half of the time a few characters anywhere.
func generated(r *rand.Rand, mysql bool) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	inside := func() string {
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(pick("a", "?", ";", "--", "/*", "*/", "''", ":x", " ", "\n", "$$", "$a$", "#", "é"))
		}
		return b.String()
	}
	item := func() string {
		list := []string{"'" + inside() + "'", "1", "1.5e3", "?", "/* " + strings.NewReplacer("*/", "", "/*", "").Replace(inside()) + " */ 2", "-- " + strings.ReplaceAll(inside(), "\n", "") + "\n 3", "(SELECT ?)", "upper('" + inside() + "')"}
		if mysql {
			list = append(list, `'\`+pick("'", "\\", "n", `"`)+inside()+"'", `"`+inside()+`\""`, `"`+inside()+`"`, "# "+strings.ReplaceAll(inside(), "\n", "")+"\n 4", "5--3", "'a' 'b'", "x'41'", "_utf8mb4'a'", "/*+ x */ 6")
		} else {
			list = append(list, `E'\`+pick("'", "\\", "n")+inside()+"'", "$$"+strings.ReplaceAll(inside(), "$", "")+"$$", "$a$"+strings.ReplaceAll(inside(), "$a$", "$$")+"$a$", "/* /* ; */ ? */ 4", "5- -3", "'{\"a\":1}'::jsonb ?? 'a'", "'1'::int", "?::text", "B'1'", "N'a'", "e'\\\\'")
		}
		return list[r.IntN(len(list))]
	}
	var items []string
	quote := map[bool]string{true: "`", false: `"`}[mysql]
	for i := range 1 + r.IntN(5) {
		items = append(items, item()+" AS "+quote+"c"+string(rune('a'+i))+strings.NewReplacer("?", "", quote, "").Replace(inside())+quote)
	}
	text := "SELECT " + strings.Join(items, ", ") + pick("", ";", " ; -- end", " FROM users", "; SELECT 2", " FROM users WHERE id=?", " LIMIT?")
	for range r.IntN(2) * r.IntN(3) {
		at := r.IntN(len(text) + 1)
		text = text[:at] + pick("'", `"`, "`", "$", "$$", ";", "/*", "*/", "--", "\\", "?", "\n", "#", "E", "e'", "/*!", ":", "@", "x") + text[at:]
	}
	return text
}

// Of texts that are taken the server sees one statement with as many parameters, and finds nothing open in them.
func TestServerTextDifferential(t *testing.T) { onServerEngines(t, testServerTextDifferential) }

func testServerTextDifferential(t *testing.T, f fixture) {
	h := newTextHouse(t, f)
	isMySQL := is(h.plugin, typeMySQL)
	syntax := h.plugin.engine.(rawEngine).syntax()
	r := rand.New(rand.NewPCG(3, 4))
	s, err := h.plugin.engine.acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.release()
	taken, prepared, wrong := 0, 0, 0
	for range 4000 {
		text := generated(r, isMySQL)
		raw, err := scanRaw(text, syntax, h.plugin.engine.dialect().param)
		if err != nil {
			continue
		}
		taken++
		if err := checkRewritten(text, raw, isMySQL); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		n, err := prepareOnly(t.Context(), s, raw.sql)
		var pg *pgconn.PgError
		var my *mysql.MySQLError
		switch {
		case err == nil && n != len(raw.args):
			t.Errorf("%q: %d parameters, the server finds %d", text, len(raw.args), n)
		case err == nil:
			prepared++
		case errors.As(err, &pg):
			wrong++
			if strings.Contains(pg.Message, "multiple commands") || strings.Contains(pg.Message, "unterminated") || strings.Contains(pg.Message, "trailing junk") || strings.Contains(pg.Message, "there is no parameter") {
				t.Errorf("%q as %q: the server says %s", text, raw.sql, pg.Message)
			}
		case errors.As(err, &my):
			wrong++
			if _, near, _ := strings.Cut(my.Message, "near '"); strings.HasPrefix(near, ";") {
				t.Errorf("%q as %q: the server says %s", text, raw.sql, my.Message)
			}
		default:
			t.Fatal(err)
		}
	}
	t.Logf("%d texts taken, %d of them prepared, %d refused by the server", taken, prepared, wrong)
	if prepared < 1000 || wrong == 0 {
		t.Error("the texts show nothing")
	}
}

// prepareOnly prepares a text on the server, and says how many parameters it has there.
func prepareOnly(ctx context.Context, s session, sql string) (int, error) {
	if c, ok := s.(*postgresConn); ok {
		p, err := c.conn.Prepare(ctx, "", sql, nil)
		if err != nil {
			return 0, err
		}
		return len(p.ParamOIDs), nil
	}
	p, err := s.(*mysqlConn).link.conn.Prepare(sql)
	if err != nil {
		return 0, err
	}
	return p.NumInput(), p.Close()
}
