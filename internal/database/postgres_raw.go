package database

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/odac-run/odachost/abi"
)

// postgresRules are what SQL text may say on PostgreSQL. The functions are those of the language and of values: what speaks of the server, of
// sessions or of files, runs SQL that is in a string, or keeps something for the session is not among them.
var postgresRules = &rawRules{
	functions: wordSet(`abs acos acosh asin asinh atan atan2 atanh cbrt ceil ceiling cos cosh cot degrees div exp factorial floor gcd lcm ln log log10 min_scale mod pi
		power radians random round scale sign sin sinh sqrt tan tanh trim_scale trunc width_bucket
		ascii bit_count bit_length btrim char_length character_length chr concat concat_ws convert_from convert_to decode encode format get_bit get_byte initcap left
		length lower lpad ltrim md5 normalize octet_length overlay position quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like regexp_match
		regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim set_bit set_byte sha224 sha256
		sha384 sha512 split_part starts_with string_to_array string_to_table strpos substr substring to_hex translate trim unistr upper
		age clock_timestamp date_bin date_part date_trunc extract isfinite justify_days justify_hours justify_interval make_date make_interval make_time make_timestamp
		make_timestamptz now statement_timestamp timezone to_char to_date to_number to_timestamp transaction_timestamp
		coalesce greatest least nullif num_nonnulls num_nulls gen_random_uuid generate_series generate_subscripts grouping
		array_agg array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions array_prepend array_remove array_replace
		array_to_string array_upper cardinality trim_array unnest
		daterange int4range int8range isempty lower_inc lower_inf numrange range_agg range_merge tsrange tstzrange upper_inc upper_inf
		avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every max min mode percentile_cont percentile_disc regr_avgx regr_avgy regr_count
		regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance
		cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
		array_to_json json_agg json_array json_array_elements json_array_elements_text json_array_length json_arrayagg json_build_array json_build_object json_each
		json_each_text json_exists json_extract_path json_extract_path_text json_object json_object_agg json_object_keys json_objectagg json_populate_record
		json_populate_recordset json_query json_scalar json_strip_nulls json_table json_to_record json_to_recordset json_typeof json_value jsonb_agg
		jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
		jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
		jsonb_path_query_array jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
		jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb
		array_to_tsvector numnode phraseto_tsquery plainto_tsquery setweight strip to_tsquery to_tsvector ts_headline ts_rank ts_rank_cd tsvector_to_array
		websearch_to_tsquery
		bit char character date decimal float interval numeric time timestamp timestamptz timetz varchar varying
		current_time current_timestamp localtime localtimestamp`),
	volatile: wordSet("age clock_timestamp gen_random_uuid now random statement_timestamp transaction_timestamp"),
	denied: wordSet(`information_schema aclitem regclass regcollation regconfig regdatabase regdictionary regnamespace regoper regoperator regproc regprocedure
		regrole regtype`),
	prefixes: []string{"pg_", "_reg", "_aclitem", "_odac_", "odac_buffer_"},
	words:    wordSet("current_catalog current_role current_schema current_user session_user system_user user"),
	nows:     true,
}

func (e *postgres) syntax() rawSyntax {
	return rawSyntax{dollars: true, nested: true, operators: true, rules: postgresRules}
}

// postgresLocks are the tables that a transaction has named so far: to read a statement, PostgreSQL locks every table that it names, and
// those below the views in it, as it will use them.
const postgresLocks = `SELECT c.relname, n.nspname = $1, l.mode FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND n.nspname <> 'pg_catalog' AND c.relkind <> 'i'`

// postgresElements are the element types of those types that are arrays.
const postgresElements = `SELECT oid, typelem FROM pg_catalog.pg_type WHERE oid = ANY ($1::oid[]) AND typcategory = 'A'`

// describe prepares text as the plugin's role, in a transaction of its own. Nothing of it runs, not even a function of constants. With an error
// the statement has the touches that are known, so that a table that was not granted answers like one that is not there.
func (e *postgres) describe(ctx context.Context, cat *Catalog, raw *rawText) (st *statement, err error) {
	st = newText(cat, raw)
	c, err := e.take(ctx)
	if err != nil {
		return st, err
	}
	defer c.release()
	scope, free := merge(ctx)
	defer free()
	if _, err = c.exec(scope, "BEGIN READ ONLY"); err == nil {
		err = c.describeText(scope, st)
		end, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		if _, undo := c.exec(end, "ROLLBACK"); undo != nil {
			c.drop()
		}
	}
	if err == nil {
		return st, nil
	}
	st.touches = raw.mentioned(cat, false)
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code == "42P01" {
		missing := between(answer.Message, `"`, `"`)
		st.touches = appendNew(st.touches, Touch{Table: missing[strings.LastIndexByte(missing, '.')+1:]})
	}
	return st, e.failText(ctx, err)
}

// failText is fail for text that cannot be prepared: its author may read why.
func (e *postgres) failText(ctx context.Context, err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Code != "42501" {
		switch answer.Code[:min(2, len(answer.Code))] {
		case "42", "0A", "22", "21", "3F":
			return failText(answer.Message, e.cfg.Schema)
		}
	}
	return e.fail(ctx, err, textName, false)
}

func (c *postgresConn) describeText(ctx context.Context, st *statement) error {
	p, err := c.prepare(ctx, st)
	if err != nil {
		return err
	}
	locks := c.conn.ExecParams(ctx, postgresLocks, [][]byte{[]byte(c.engine.cfg.Schema)}, nil, nil, nil).Read()
	if locks.Err != nil {
		return locks.Err
	}
	if err := st.reaches(locks.Rows); err != nil {
		return err
	}
	return c.columns(ctx, st, p)
}

// reaches sets what a text touches from its locks: name, whether it is in the schema, mode.
func (st *statement) reaches(locks [][][]byte) error {
	verbs := st.raw.verbs()
	var direct, indirect []Touch
	for _, lock := range locks {
		table, mode := string(lock[0]), string(lock[2])
		if string(lock[1]) != "t" {
			return failf(abi.ErrnoDenied, "SQL text may not reach for %s: it is not in the tenant's schema", clip(table))
		}
		touches := []Touch{{Table: table}}
		if _, known := st.catalog.Table(table); !known {
			st.volatile = true // a sequence, or a table that the catalog has not yet
		}
		sure := st.raw.names(table, false)
		switch mode {
		case "AccessShareLock":
		case "RowShareLock":
			st.lock = true
		default:
			touches = touches[:0]
			for _, v := range verbs {
				touches = append(touches, Touch{Table: table, Verb: v})
			}
			if _, known := st.catalog.Table(table); !known {
				touches = append(touches, anything) // of its triggers nothing is known
			}
			st.verb, sure = abi.VerbUpdate, sure && len(verbs) == 1
		}
		if sure {
			direct = append(direct, touches...)
		} else {
			indirect = append(indirect, touches...)
		}
	}
	st.touch(direct, indirect)
	return nil
}

// touch sets what a text touches: what it surely names, which the grants are asked for, and what else it may reach, which is for the cache, and
// for the server to allow. What a view of it reads is never sure.
func (st *statement) touch(direct, indirect []Touch) {
	below := func(t Touch) bool {
		return slices.ContainsFunc(direct, func(d Touch) bool {
			of, ok := st.catalog.Table(d.Table)
			return ok && of.View && slices.Contains(of.reaches[abi.VerbSelect], Touch{Table: t.Table})
		})
	}
	for _, t := range st.catalog.close(slices.Concat(direct, indirect)) {
		t.Indirect = t.Indirect || !slices.Contains(direct, t) || below(t)
		if !t.Indirect || !slices.Contains(st.touches, Touch{Table: t.Table, Verb: t.Verb}) {
			st.touches = appendNew(st.touches, t)
		}
	}
}

// columns sets the columns of the answer.
func (c *postgresConn) columns(ctx context.Context, st *statement, p *postgresStatement) error {
	var names []string
	var columns []*Column
	var others []string
	for _, f := range p.Fields {
		column := &Column{Name: f.Name, oid: f.DataTypeOID}
		column.setPostgresType(false, 0, f.TypeModifier)
		if _, known := postgresTypes[f.DataTypeOID]; !known {
			others = append(others, strconv.FormatUint(uint64(f.DataTypeOID), 10))
		}
		names, columns = append(names, f.Name), append(columns, column)
	}
	if len(others) > 0 {
		found := c.conn.ExecParams(ctx, postgresElements, [][]byte{[]byte("{" + strings.Join(others, ",") + "}")}, nil, nil, nil).Read()
		if found.Err != nil {
			return found.Err
		}
		for _, row := range found.Rows {
			for i, column := range columns {
				if strconv.FormatUint(uint64(column.oid), 10) != string(row[0]) {
					continue
				}
				elem, err := strconv.ParseUint(string(row[1]), 10, 32)
				if err != nil {
					return err
				}
				column.Type, column.Elem = TypeArray, postgresTypes[uint32(elem)]
				p.decoders[i] = decoder{kind: decodeArray, elem: column.Elem}
				p.results[i] = p.decoders[i].format()
			}
		}
	}
	st.returns(names, columns)
	return unique(names)
}
