package database

import (
	"slices"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// rawRules are what SQL text may say on a server, where no authorizer is asked: which functions it calls, and which words it may not have. What
// tables it reaches is the server's to say, by the grants of the plugin's role. The rules look at tokens, in which nothing is hidden by quotes,
// comments or the case of letters; so a name followed by a bracket is a function unless it is plain that it is not.
type rawRules struct {
	functions map[string]bool
	volatile  map[string]bool // functions, and words that are called without a bracket, whose answer changes without a write
	denied    map[string]bool // names, quoted or not, that nothing may have
	prefixes  []string        // of such names
	words     map[string]bool // bare words that stand for something that is not granted
	nows      bool            // strings such as 'now' are a time where one is wanted
}

// rawKeywords are the words of SQL that may stand before a bracket and call nothing.
var rawKeywords = wordSet(`all and any array as between by case cast collate conflict cross cube distinct do else escape except exists extract fetch filter
	for from full group grouping having ilike in inner intersect interval is isnull join lateral left like limit materialized natural not notnull of offset on
	only or order outer over overlaps partition returning right rollup row rows select set sets similar some then to union using values when where window with within`)

// rawClock are the words that are the time by themselves.
var rawClock = wordSet("current_date current_time current_timestamp localtime localtimestamp utc_date utc_time utc_timestamp")

// rawWrites are the verbs of words that write.
var rawWrites = map[string]abi.Verb{"insert": abi.VerbInsert, "update": abi.VerbUpdate, "delete": abi.VerbDelete, "replace": abi.VerbInsert}

func (r *rawRules) check(raw *rawText) error {
	raw.nows = r.nows
	t := raw.tokens
	for i := range t {
		if t[i].kind == rawString {
			raw.volatile = raw.volatile || r.nows && saysNow(t[i].text)
		}
		if t[i].kind != rawWord && t[i].kind != rawName {
			continue
		}
		name := strings.ToLower(t[i].text)
		switch {
		case name == "", len(name) > 63 && (name[0] < '0' || name[0] > '9'):
			return invalidf("a name in the SQL text is empty or longer than 63 bytes")
		case r.denied[name], slices.ContainsFunc(r.prefixes, func(p string) bool { return strings.HasPrefix(name, p) }):
			return failf(abi.ErrnoDenied, "SQL text may not reach for %s: what the database says about itself is not granted", clip(name))
		}
		if t[i].kind == rawWord {
			if err := r.word(t, i); err != nil {
				return err
			}
			raw.volatile = raw.volatile || rawClock[name]
		}
		if i+1 < len(t) && t[i+1].kind == '(' {
			if err := r.call(raw, i, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// word checks a bare word.
func (r *rawRules) word(t []rawToken, i int) error {
	word := t[i].text
	switch {
	case word[0] >= '0' && word[0] <= '9' && !numeral(word, i+1 < len(t) && (t[i+1].kind == '+' || t[i+1].kind == '-')):
		return invalidf("the SQL text has %s, neither number nor name: put a space between the two, or quotes around the name", clip(word))
	case word == "into" && !intoTable(t, i):
		return failf(abi.ErrnoDenied, "SQL text says into only after insert or replace: rows go to the plugin, neither to tables of their own nor to files or variables")
	case r.words[word]:
		return failf(abi.ErrnoDenied, "SQL text may not say %s", clip(word))
	}
	return nil
}

// numeral says whether a word that begins with a digit is a number and nothing else; signed says that a sign follows, as an exponent has it.
func numeral(word string, signed bool) bool {
	if rest, ok := strings.CutPrefix(word, "0x"); ok {
		return rest != "" && strings.Trim(rest, "0123456789abcdef") == ""
	}
	rest := strings.TrimLeft(word, "0123456789")
	exponent, ok := strings.CutPrefix(rest, "e")
	return rest == "" || ok && (exponent == "" && signed || exponent != "" && strings.Trim(exponent, "0123456789") == "")
}

// rawModifiers may stand between insert and into, or in the place of into.
var rawModifiers = wordSet("low_priority delayed high_priority ignore")

// intoTable says whether the "into" at i is an insert's.
func intoTable(t []rawToken, i int) bool {
	i = beforeModifiers(t, i)
	return i >= 0 && t[i].kind == rawWord && (t[i].text == "insert" || t[i].text == "replace")
}

func beforeModifiers(t []rawToken, i int) int {
	for i--; i >= 0 && t[i].kind == rawWord && rawModifiers[t[i].text]; i-- {
	}
	return i
}

// call checks the name at i, which a bracket follows.
func (r *rawRules) call(raw *rawText, i int, name string) error {
	t := raw.tokens
	first := i // of a qualified name
	for first >= 2 && t[first-1].kind == '.' && (t[first-2].kind == rawWord || t[first-2].kind == rawName) {
		first -= 2
	}
	qualified := first > 0 && t[first-1].kind == '.' || first != i
	before := rawToken{}
	if first > 0 {
		before = t[first-1]
	}
	switch {
	case before.kind == rawWord && (before.text == "into" || before.text == "as"): // columns of a table or an alias; a type
		return nil
	case intoTable(t, first) && t[i].text != "into": // MySQL's insert without "into"
		return nil
	case t[i].kind == rawWord && !qualified && rawKeywords[name]:
		return nil
	case !qualified && r.functions[name]:
		raw.volatile = raw.volatile || r.volatile[name]
		return nil
	case !qualified && namesQuery(t, i):
		return nil
	}
	return failf(abi.ErrnoDenied, "SQL text may not call %s: it is not in the list of functions (docs/queries.md); before the columns of an alias write \"as\"", clip(name))
}

// namesQuery says whether the name at i is that of a common table expression, with its columns in the bracket behind it.
func namesQuery(t []rawToken, i int) bool {
	if i == 0 || t[i-1].kind != ',' && (t[i-1].kind != rawWord || t[i-1].text != "with" && t[i-1].text != "recursive") {
		return false
	}
	for i += 2; i < len(t) && t[i].kind != ')'; i++ {
		if k := t[i].kind; k != rawWord && k != rawName && k != ',' {
			return false
		}
	}
	word := func(at int, list ...string) bool {
		return at < len(t) && t[at].kind == rawWord && slices.Contains(list, t[at].text)
	}
	return word(i+1, "as") && i+2 < len(t) && (t[i+2].kind == '(' || word(i+2, "not", "materialized"))
}

// saysNow says whether a string can be a time that passes.
func saysNow(s string) bool {
	s = strings.ToLower(s)
	return len(s) < 100 && slices.ContainsFunc([]string{"now", "today", "tomorrow", "yesterday", "allballs"}, func(word string) bool { return strings.Contains(s, word) })
}

// names says whether a table is named by a token of the text; fold says that case does not count.
func (raw *rawText) names(table string, fold bool) bool {
	return slices.ContainsFunc(raw.tokens, func(t rawToken) bool {
		return (t.kind == rawWord || t.kind == rawName) && (t.text == table || fold && strings.EqualFold(t.text, table))
	})
}

// verbs are those of the text's bare words that write.
func (raw *rawText) verbs() []abi.Verb {
	var out []abi.Verb
	for i, t := range raw.tokens {
		if v := rawWrites[t.text]; t.kind == rawWord && v != 0 && (i+1 == len(raw.tokens) || raw.tokens[i+1].kind != '(') {
			out = appendNew(out, v)
		}
	}
	return out
}

// main is the verb of the statement itself, behind its common table expressions.
func (raw *rawText) main() string {
	depth := 0
	for _, t := range raw.tokens {
		switch {
		case t.kind == '(':
			depth++
		case t.kind == ')':
			depth--
		case t.kind == rawWord && (depth == 0 || raw.tokens[0].kind == '(') && t.text != "with" && slices.Contains(rawVerbs, t.text):
			return t.text
		}
	}
	return ""
}

// says says whether the bare words follow each other somewhere in the text.
func (raw *rawText) says(words ...string) bool {
	for i := range raw.tokens {
		n := 0
		for n < len(words) && i+n < len(raw.tokens) && raw.tokens[i+n].kind == rawWord && raw.tokens[i+n].text == words[n] {
			n++
		}
		if n == len(words) {
			return true
		}
	}
	return false
}

// failText is the error that lets the author of a text know what the server says about it, without the name of the place that it is in.
func failText(words, place string) error {
	for _, quote := range []string{"", `"`, "`"} {
		words = strings.ReplaceAll(words, quote+place+quote+".", "")
	}
	return invalidf("the SQL text is wrong: %s", words)
}

// textName is what errors call the table of SQL text.
const textName = "the SQL text"

// newText is a statement of SQL text, of which nothing is known yet. Its parameters are of any type.
func newText(cat *Catalog, raw *rawText) *statement {
	st := &statement{verb: abi.VerbSelect, sql: raw.sql, raw: raw, catalog: cat, table: &Table{Name: textName}, volatile: raw.volatile}
	st.params = make([]param, len(raw.args))
	for i := range st.params {
		st.params[i].column = argument
	}
	return st
}

// mentioned are the tables of the catalog that have their name in the text.
func (raw *rawText) mentioned(cat *Catalog, fold bool) []Touch {
	var out []Touch
	for _, name := range cat.Tables() {
		if raw.names(name, fold) {
			out = append(out, Touch{Table: name})
		}
	}
	return out
}

// now says whether an argument can be a time that passes, where the database reads texts so.
func (raw *rawText) now(q *abi.Query) bool {
	return raw != nil && raw.nows && slices.ContainsFunc(q.Args, func(v abi.Value) bool { return v.Kind() == abi.KindText && saysNow(v.AsText()) })
}
