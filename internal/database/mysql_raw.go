package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/odac-run/odachost/abi"
)

// mysqlRules are what SQL text may say on MySQL and MariaDB: see postgresRules. The words at the end are keywords here.
var mysqlRules = &rawRules{
	functions: wordSet(`abs acos asin atan atan2 ceil ceiling conv cos cot crc32 degrees exp floor greatest least ln log log10 log2 mod pi pow power radians rand round
		sign sin sqrt tan truncate
		ascii bin bit_count bit_length char char_length character_length concat concat_ws elt export_set field find_in_set format from_base64 hex insert instr lcase
		left length locate lower lpad ltrim make_set mid oct octet_length ord position quote regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse
		right rpad rtrim soundex space strcmp substr substring substring_index to_base64 trim ucase unhex upper weight_string
		md5 random_bytes sha sha1 sha2 uuid inet6_aton inet6_ntoa inet_aton inet_ntoa
		adddate addtime convert_tz curdate current_date current_time current_timestamp curtime date date_add date_format date_sub datediff day dayname dayofmonth
		dayofweek dayofyear extract from_days from_unixtime get_format hour last_day localtime localtimestamp makedate maketime microsecond minute month monthname
		now period_add period_diff quarter sec_to_time second str_to_date subdate subtime sysdate time time_format time_to_sec timediff timestamp timestampadd
		timestampdiff to_days to_seconds unix_timestamp utc_date utc_time utc_timestamp week weekday weekofyear year yearweek
		cast coalesce convert default grouping if ifnull isnull nullif nvl nvl2 value
		json_array json_array_append json_array_insert json_arrayagg json_compact json_contains json_contains_path json_depth json_detailed json_exists json_extract
		json_insert json_keys json_length json_loose json_merge_patch json_merge_preserve json_normalize json_object json_objectagg json_overlaps json_pretty json_query
		json_quote json_remove json_replace json_search json_set json_table json_type json_unquote json_valid json_value
		any_value avg bit_and bit_or bit_xor count group_concat max median min percentile_cont percentile_disc std stddev stddev_pop stddev_samp sum var_pop var_samp
		variance cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
		binary bit datetime decimal double float int integer nchar numeric signed unsigned varbinary varchar
		against div index key match member regexp rlike separator xor`),
	volatile: wordSet(`curdate current_date current_time current_timestamp curtime localtime localtimestamp now rand random_bytes sysdate unix_timestamp utc_date
		utc_time utc_timestamp uuid`),
	denied:   wordSet("information_schema performance_schema"),
	prefixes: []string{"_odac_", "odac_buffer_"},
	words:    wordSet("current_role current_user dumpfile infile outfile procedure"),
}

func (e *mysqlEngine) syntax() rawSyntax {
	return rawSyntax{backslash: true, hash: true, rules: mysqlRules}
}

// describe prepares text as the plugin's role. MySQL does not say which tables it reaches, so it is every one of which the text has the name, and
// all that views, triggers and foreign keys lead to from there; the server refuses what is not granted. The columns of the answer are known
// when it runs.
func (e *mysqlEngine) describe(ctx context.Context, cat *Catalog, raw *rawText) (st *statement, err error) {
	st = newText(cat, raw)
	switch main := raw.main(); main {
	case "select", "values":
		st.lock = raw.says("for", "update") || raw.says("for", "share") || raw.says("lock", "in")
	default:
		st.verb = abi.VerbUpdate
	}
	c, err := e.take(ctx)
	if err != nil {
		return st, err
	}
	defer c.release()
	scope, free := merge(ctx)
	defer free()
	over := e.watch(scope, c.link)
	p, err := c.prepare(st)
	if err == nil {
		err = c.elsewhere(raw)
	}
	over()
	switch {
	case err != nil:
		st.touches = raw.mentioned(cat, true)
		return st, e.failText(ctx, err)
	case p.NumInput() != len(raw.args):
		return st, invalidf("the SQL text has %s, the database finds %d", plural(len(raw.args), "parameter"), p.NumInput())
	}
	var touches []Touch
	for _, t := range raw.mentioned(cat, true) {
		touches = append(touches, t)
		for _, verb := range raw.verbs() {
			if st.verb != abi.VerbSelect {
				touches = append(touches, Touch{Table: t.Table, Verb: verb})
			}
		}
		if st.verb != abi.VerbSelect && slices.Contains(raw.verbs(), abi.VerbInsert) {
			touches = append(touches, Touch{Table: t.Table, Verb: abi.VerbUpdate}, Touch{Table: t.Table, Verb: abi.VerbDelete}) // on duplicate key; replace
		}
	}
	st.touch(nil, touches)
	return st, nil
}

// elsewhere refuses what a text names of another database: the server has some that everybody may use, of which this program knows nothing.
func (c *mysqlConn) elsewhere(raw *rawText) error {
	var found error
	err := c.link.rows("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA", 1, func(v []driver.Value) error {
		name := mysqlText(v[0])
		for i, t := range raw.tokens {
			if name != c.engine.cfg.Database && (t.kind == rawWord || t.kind == rawName) && strings.EqualFold(t.text, name) && i+1 < len(raw.tokens) && raw.tokens[i+1].kind == '.' {
				found = failf(abi.ErrnoDenied, "SQL text may not reach for %s: it is not the tenant's database", clip(name))
			}
		}
		return nil
	})
	return errors.Join(found, err)
}

// failText is fail for text that cannot be prepared: its author may read why.
func (e *mysqlEngine) failText(ctx context.Context, err error) error {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		mapped, known := mysqlErrnos[answer.Number]
		switch class := string(answer.SQLState[:2]); {
		case mapped == abi.ErrnoDenied:
		case class == "42", class == "21", class == "0A", known && mapped == abi.ErrnoInvalid:
			return failText(answer.Message, e.cfg.Database)
		}
	}
	return e.fail(ctx, err, textName, false)
}

// text runs SQL text.
func (r *mysqlRun) text() error {
	var now time.Time
	if err := bindAll(r, r.st, r.q, &now); err != nil {
		return err
	}
	var err error
	if r.stmt, err = r.conn.prepare(r.st); err != nil {
		return err
	}
	r.sent = true
	l := r.conn.link
	switch {
	case r.st.verb == abi.VerbSelect:
		if err := r.query(r.stmt, l.values); err != nil {
			return err
		}
		r.Close()
		return nil
	case r.st.raw.says("returning"):
		if err := r.whole(func() error { return r.query(r.stmt, l.values) }); err != nil {
			return err
		}
		r.affected = r.Rows
	default:
		r.openWrite()
		result, err := r.stmt.Exec(l.values)
		if err != nil {
			return err
		}
		r.affected, _ = result.RowsAffected()                                                                  // never fails
		if id, _ := result.LastInsertId(); id != 0 && r.affected == 1 && r.st.raw.tokens[0].text == "insert" { // as above
			r.last = abi.Int(id)
		}
	}
	r.closeWrite(r.affected, r.last)
	return nil
}

// mysqlNames are the types of an answer's columns, as the driver calls them. There is no bool among them: TINYINT(1) is a number here.
var mysqlNames = map[string]Type{
	"TINYINT": TypeInt, "SMALLINT": TypeInt, "MEDIUMINT": TypeInt, "INT": TypeInt, "BIGINT": TypeInt, "YEAR": TypeInt, "UNSIGNED TINYINT": TypeInt,
	"UNSIGNED SMALLINT": TypeInt, "UNSIGNED MEDIUMINT": TypeInt, "UNSIGNED INT": TypeInt, "UNSIGNED BIGINT": TypeInt, "FLOAT": TypeFloat, "DOUBLE": TypeFloat,
	"DECIMAL": TypeDecimal, "DATE": TypeDate, "DATETIME": TypeTime, "TIMESTAMP": TypeTime, "TIME": TypeClock, "JSON": TypeJSON, "BIT": TypeBytes,
	"BINARY": TypeBytes, "VARBINARY": TypeBytes, "BLOB": TypeBytes, "TINYBLOB": TypeBytes, "MEDIUMBLOB": TypeBytes, "LONGBLOB": TypeBytes, "GEOMETRY": TypeBytes,
}

// columns finds out the columns of a text's answer, and begins it unless it goes page by page.
func (r *mysqlRun) columns(rows driver.Rows) error {
	types, _ := rows.(driver.RowsColumnTypeDatabaseTypeName)
	var columns []*Column
	names := rows.Columns()
	for i, name := range names {
		typ, ok := mysqlNames[types.ColumnTypeDatabaseTypeName(i)]
		if !ok {
			typ = TypeText
		}
		columns = append(columns, &Column{Name: name, Type: typ})
	}
	st := &statement{verb: r.st.verb, table: r.st.table, sql: r.st.sql, params: r.st.params, raw: r.st.raw}
	st.returns(names, columns)
	r.st = st
	return unique(names)
}
