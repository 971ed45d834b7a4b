package database

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

// rawLimits are SQLite's while text of a plugin's is prepared and run: those of Cloudflare's workerd (sqlite.c++), or tighter.
var rawLimits = []limit{
	{sqlite3.LIMIT_LENGTH, 4 << 20},
	{sqlite3.LIMIT_SQL_LENGTH, maxText},
	{sqlite3.LIMIT_COLUMN, 100},
	{sqlite3.LIMIT_EXPR_DEPTH, 100},
	{sqlite3.LIMIT_COMPOUND_SELECT, 5},
	{sqlite3.LIMIT_VDBE_OP, 25_000},
	{sqlite3.LIMIT_FUNCTION_ARG, 16},
	{sqlite3.LIMIT_ATTACHED, 0},
	{sqlite3.LIMIT_LIKE_PATTERN_LENGTH, 50},
	{sqlite3.LIMIT_VARIABLE_NUMBER, 100},
	{sqlite3.LIMIT_TRIGGER_DEPTH, 10},
	{sqlite3.LIMIT_WORKER_THREADS, 0},
}

// rawFunctions are the functions that text may call: workerd's without those that speak of the connection, load code or take time that grows
// with the square of their arguments. What is not here is denied.
var rawFunctions = wordSet(`abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likelihood likely lower ltrim nullif
	octet_length printf quote random randomblob replace round rtrim sign soundex substr substring trim typeof unhex unicode unlikely upper zeroblob
	date time datetime julianday unixepoch strftime timediff current_date current_time current_timestamp
	avg count group_concat max min string_agg sum total
	row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
	acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power radians sin sinh sqrt tan tanh trunc
	json jsonb json_array jsonb_array json_array_length json_extract jsonb_extract -> ->> json_insert jsonb_insert json_object jsonb_object
	json_remove jsonb_remove json_replace jsonb_replace json_set jsonb_set json_type json_valid json_quote json_group_array jsonb_group_array
	json_group_object jsonb_group_object`)

// rawTables are the table-valued functions that text may select from.
var rawTables = wordSet("json_each json_tree")

// volatile are the functions whose answer changes without a write: what calls one is not cached.
var volatile = wordSet("random randomblob date time datetime julianday unixepoch strftime timediff current_date current_time current_timestamp")

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// rawScope is what the authorizer knows of the text that a connection prepares or runs.
type rawScope struct {
	catalog *Catalog
	text    *rawText

	learn bool // the reach is being found out; else it is held to
	reach map[Touch]bool
	// While it learns: tables that the text itself reaches for, those that views and triggers reach for, and the views.
	direct, indirect []Touch
	within           []string
	volatile, denied bool
	refused          error // why, if it is about a table that was granted in part
}

// authorize answers for text.
func (s *rawScope) authorize(action sqlite3.AuthorizerActionCode, name, second, inner string) sqlite3.AuthorizerReturnCode {
	// With "with" in the text, what seems to be a view's doing may be the text's own: a common table expression may be called like one.
	indirect := inner != "" && !s.text.nests
	switch action {
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_RECURSIVE:
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_FUNCTION:
		if second = strings.ToLower(second); !indirect && !rawFunctions[second] {
			return s.deny()
		}
		s.volatile = s.volatile || volatile[second]
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_READ, sqlite3.AUTH_INSERT, sqlite3.AUTH_UPDATE, sqlite3.AUTH_DELETE:
	default:
		return s.deny()
	}
	if action == sqlite3.AUTH_READ && second == "" {
		name = s.unread(name)
		indirect = indirect || !s.text.mentions(name) // a view's, of which SQLite does not say it here
	}
	touch := Touch{Table: name, Verb: actionVerbs[action]}
	if _, ok := s.catalog.Table(name); !ok {
		switch {
		case name == "":
			return sqlite3.AUTH_OK
		case rawTables[name] && touch.Verb == abi.VerbSelect:
			return sqlite3.AUTH_OK
		case !strings.HasPrefix(name, "_odac_trash_"):
			return s.deny()
		case s.learn && touch.Verb == abi.VerbSelect && !indirect && len(s.reach) == 0:
			return s.deny() // first pass, without foreign keys: the text names it
		}
	}
	if !s.learn {
		if s.reach[touch] {
			return sqlite3.AUTH_OK
		}
		return s.deny()
	}
	if err := s.text.access.checkText(touch, second); err != nil {
		s.refused = err
		return s.deny()
	}
	if indirect || inner != "" && touch.Verb != abi.VerbSelect { // a common table expression does not write
		s.indirect = appendNew(s.indirect, touch)
		s.within = appendNew(s.within, inner)
	} else {
		s.direct = appendNew(s.direct, touch)
	}
	return sqlite3.AUTH_OK
}

// unread is the name in the catalog of a table of which no column is read: here SQLite gives it as the text writes it. "" is a common table
// expression's.
func (s *rawScope) unread(name string) string {
	if _, ok := s.catalog.Table(name); ok {
		return name
	}
	lower := strings.ToLower(name)
	for table := range s.catalog.tables {
		if strings.ToLower(table) == lower {
			return table
		}
	}
	if s.text.nests && !reserved(name) && !rawTables[lower] && lower != "generate_series" && !strings.HasPrefix(lower, "pragma_") {
		return ""
	}
	return name
}

func (s *rawScope) deny() sqlite3.AuthorizerReturnCode {
	s.denied = true
	return sqlite3.AUTH_DENY
}

func appendNew[T comparable](list []T, x T) []T {
	if slices.Contains(list, x) {
		return list
	}
	return append(list, x)
}

func (e *sqlite) syntax() rawSyntax { return rawSyntax{brackets: true} }

// describe prepares text on a connection that only reads, to learn what it reaches for, and makes a statement of it. With an error the
// statement has only the touches: those that are known, so that a table that was not granted answers like one that is not there.
func (e *sqlite) describe(ctx context.Context, cat *Catalog, raw *rawText) (st *statement, err error) {
	st = newText(cat, raw)
	c, err := e.take(ctx, false)
	if err != nil {
		return st, err
	}
	defer c.release()
	defer c.guard(&err)
	c.db.SetInterrupt(ctx)
	scope := &rawScope{catalog: cat, text: raw, learn: true}
	err = c.underRaw(scope, func() error { return c.describe(ctx, st, scope) })
	st.touches = append(st.touches, scope.touches()...)
	if err != nil {
		for table := range cat.tables {
			if raw.mentions(table) {
				st.touches = appendNew(st.touches, Touch{Table: table, Verb: abi.VerbSelect})
			}
		}
		return st, err
	}
	st.reach, st.volatile = scope.reach, scope.volatile
	return st, nil
}

// describe prepares the text twice: without foreign keys, which read and write tables that the text does not name, for what it asks for
// itself; then as it will run, for all that it will reach.
func (c *sqliteConn) describe(ctx context.Context, st *statement, scope *rawScope) error {
	if _, err := c.db.Config(sqlite3.DBCONFIG_ENABLE_FKEY, false); err != nil {
		return c.fail(ctx, err, "the file")
	}
	stmt, tail, err := c.db.Prepare(st.sql)
	if is, off := c.db.Config(sqlite3.DBCONFIG_ENABLE_FKEY, true); off != nil || !is {
		c.broken = true
	}
	if err == nil && (stmt == nil || strings.TrimSpace(tail) != "") {
		return invalidf("the SQL text is not one statement")
	}
	if err != nil {
		return c.failRaw(ctx, err, st, scope)
	}
	if !stmt.ReadOnly() {
		st.verb = abi.VerbUpdate
	}
	var names []string
	var columns []*Column
	for i := range stmt.ColumnCount() {
		column := declared("", stmt.ColumnDeclType(i))
		names, columns = append(names, strings.Clone(stmt.ColumnName(i))), append(columns, &column)
	}
	st.returns(names, columns)
	if n := stmt.BindCount(); n != len(st.raw.args) {
		err = invalidf("the SQL text has %s, %d were found", plural(n, "parameter"), len(st.raw.args))
	}
	_ = stmt.Close() // was never stepped
	if err == nil {
		err = unique(names)
	}
	if err != nil {
		return err
	}
	again := &rawScope{catalog: scope.catalog, text: &rawText{nests: true}, learn: true, reach: map[Touch]bool{{}: true}}
	c.raw = again
	stmt, _, err = c.db.Prepare(st.sql)
	c.raw = scope
	if err != nil {
		return c.failRaw(ctx, err, st, again)
	}
	_ = stmt.Close() // was never stepped
	scope.reach = map[Touch]bool{}
	for _, t := range slices.Concat(scope.direct, scope.indirect, again.direct, again.indirect) {
		scope.reach[t] = true
	}
	return nil
}

// touches is what grants are asked for, and after it what caches must know besides.
func (s *rawScope) touches() []Touch {
	direct := slices.Clone(s.direct)
	for _, name := range s.within { // a view of which no column is read is named nowhere else
		if t, ok := s.catalog.Table(name); ok && t.View {
			view := Touch{Table: name, Verb: abi.VerbSelect}
			if !slices.Contains(s.indirect, view) {
				direct = appendNew(direct, view)
			}
		}
	}
	if s.text.replaces {
		for _, t := range s.direct {
			if t.Verb == abi.VerbInsert || t.Verb == abi.VerbUpdate {
				direct = appendNew(direct, Touch{Table: t.Table, Verb: abi.VerbDelete})
			}
		}
	}
	out := s.catalog.close(direct)
	for _, t := range s.indirect {
		if !slices.Contains(out, t) {
			t.Indirect = true
			out = appendNew(out, t)
		}
	}
	return out
}

// failRaw is fail for text that cannot be prepared: its author may read why.
func (c *sqliteConn) failRaw(ctx context.Context, err error, st *statement, scope *rawScope) error {
	_, words, found := strings.Cut(err.Error(), "SQL logic error: ")
	name, missing := strings.CutPrefix(words, "no such table: ")
	name = strings.TrimPrefix(name, "main.")
	switch {
	case scope.refused != nil:
		return scope.refused
	case scope.denied, missing && reserved(name):
		return failf(abi.ErrnoDenied, "%s", sqliteTexts[sqlite3.AUTH])
	case !found || !errors.Is(err, sqlite3.ERROR):
		return c.fail(ctx, err, st.table.Name)
	case missing:
		st.touches = append(st.touches, Touch{Table: name, Verb: abi.VerbSelect})
	}
	return invalidf("the SQL text is wrong: %s", words)
}

// underRaw runs f with the authorizer and the limits for text.
func (c *sqliteConn) underRaw(scope *rawScope, f func() error) error {
	// The schema as it is now, before a wide table would be too wide for the limits.
	if err := c.freshen(); err != nil {
		return err
	}
	c.raw = scope
	c.limit(rawLimits)
	defer func() {
		c.raw = nil
		if c.db != nil {
			c.limit(limits)
		}
	}()
	return f()
}

// freshen makes the connection read a schema that has changed.
func (c *sqliteConn) freshen() error {
	c.trusted = true
	defer func() { c.trusted = false }()
	return c.rows("SELECT 1 FROM sqlite_schema LIMIT 1", func(*sqlite3.Stmt) error { return nil })
}

// restart lets generated keys of a table begin again.
func (c *sqliteConn) restart(ctx context.Context, table string) error {
	c.trusted = true
	defer func() { c.trusted = false }()
	counts, err := c.text("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'")
	if err == nil && counts != "" {
		err = c.execArgs("DELETE FROM sqlite_sequence WHERE name = ?", table)
	}
	return c.fail(ctx, err, table)
}
