package database

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/odac-run/odachost/abi"
)

// What is in the schema. Parameter 1 is its name. Everything is qualified: nothing on the search path takes the place of the catalog's.
const (
	postgresTables = `SELECT c.oid, c.relname, c.relkind IN ('v', 'm') FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`
	postgresColumns = `SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), b.oid, b.typtype = 'e', b.typelem,
			CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
			a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated <> '' OR a.attidentity = 'a'
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`
	postgresKeys = `SELECT i.indrelid, i.indisprimary, ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey[0:i.indnkeyatts-1]) WITH ORDINALITY k(n, at)
			JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n ORDER BY k.at)
		FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL`
	// What a write to the first table does to the second: d deletes from it, u updates it, on a delete or an update of the first.
	postgresForeign = `SELECT k.confrelid, k.conrelid, k.confdeltype = 'c', k.confdeltype IN ('n', 'd'), k.confupdtype IN ('c', 'n', 'd')
		FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.confrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND k.contype = 'f'`
	// Bits 2 to 4 of tgtype are insert, delete, update. A rule's event is 2 update, 3 insert, 4 delete.
	postgresTriggers = `SELECT t.tgrelid, (t.tgtype & 4) <> 0, (t.tgtype & 8) <> 0, (t.tgtype & 16) <> 0
		FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND NOT t.tgisinternal AND t.tgenabled <> 'D'
		UNION ALL SELECT r.ev_class, r.ev_type = '3', r.ev_type = '4', r.ev_type = '2'
		FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND r.ev_type <> '1'`
	// What a view reads: tables, and functions that are not PostgreSQL's own (0), which may read anything.
	postgresViews = `SELECT DISTINCT r.ev_class, CASE WHEN d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.refobjid ELSE 0 END
		FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind = 'v' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
		LEFT JOIN pg_catalog.pg_proc p ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.refobjid
		WHERE n.nspname = $1 AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class OR p.oid IS NOT NULL)`
	postgresInherits = `SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p', 'f')
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`
)

// inspect reads the tables in one snapshot.
func (e *postgres) inspect(ctx context.Context) (*Catalog, error) {
	c, err := e.take(ctx)
	if err != nil {
		return nil, err
	}
	defer c.release()
	scope, free := merge(ctx)
	defer free()
	i := &postgresInspection{ctx: scope, schema: e.cfg.Schema, tables: map[uint32]*Table{}, reach: reach{}}
	i.tx, err = c.pooled.BeginTx(scope, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, e.fail(ctx, err, "the schema", false)
	}
	cat, err := i.read()
	if end := i.tx.Rollback(scope); err == nil {
		err = end
	}
	return cat, e.fail(ctx, err, "the schema", false)
}

type postgresInspection struct {
	ctx    context.Context
	tx     pgx.Tx
	schema string
	tables map[uint32]*Table
	reach  reach
}

func (i *postgresInspection) read() (*Catalog, error) {
	for _, part := range []struct {
		sql  string
		scan func(row pgx.Rows) error
	}{
		{postgresTables, i.table},
		{postgresColumns, i.column},
		{postgresKeys, i.key},
		{postgresForeign, i.foreign},
		{postgresTriggers, i.trigger},
		{postgresViews, i.view},
		{postgresInherits, i.inherit},
	} {
		rows, err := i.tx.Query(i.ctx, part.sql, i.schema)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			if err := part.scan(rows); err != nil {
				rows.Close()
				return nil, err
			}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	cat := &Catalog{tables: map[string]*Table{}}
	for _, t := range i.tables {
		cat.tables[t.Name] = t
	}
	i.reach.apply(cat)
	return cat, nil
}

func (i *postgresInspection) table(row pgx.Rows) error {
	var oid uint32
	t := &Table{byName: map[string]int{}}
	if err := row.Scan(&oid, &t.Name, &t.View); err != nil {
		return err
	}
	if !reserved(t.Name) {
		i.tables[oid] = t
	}
	return nil
}

func (i *postgresInspection) column(row pgx.Rows) error {
	var table, elem uint32
	var enum bool
	var modifier int32
	c := Column{}
	if err := row.Scan(&table, &c.Name, &c.Declared, &c.oid, &enum, &elem, &modifier, &c.NotNull, &c.Default, &c.Generated); err != nil {
		return err
	}
	t, ok := i.tables[table]
	if !ok || hiddenColumn(c.Name) {
		return nil
	}
	c.setPostgresType(enum, elem, modifier)
	t.byName[c.Name] = len(t.Columns)
	t.Columns = append(t.Columns, c)
	return nil
}

// postgresTypes are the types of PostgreSQL by their OID. Arrays are those of which pg_type names an element and that are not here: name and
// a few others of fixed length have one too.
var postgresTypes = map[uint32]Type{
	oidBool: TypeBool, oidInt2: TypeInt, oidInt4: TypeInt, oidInt8: TypeInt, oidOID: TypeInt, oidFloat4: TypeFloat, oidFloat8: TypeFloat,
	oidNumeric: TypeDecimal, oidText: TypeText, 1042: TypeText, 1043: TypeText, 19: TypeText, oidBytea: TypeBytes, oidTimestamp: TypeTime,
	oidTimestamptz: TypeTime, oidDate: TypeDate, oidTime: TypeClock, oidUUID: TypeUUID, oidJSON: TypeJSON, oidJSONB: TypeJSON,
	600: TypeAny, 601: TypeAny, 603: TypeAny, 628: TypeAny, 22: TypeAny, 30: TypeAny, // point, lseg, box, line, int2vector, oidvector
}

func (c *Column) setPostgresType(enum bool, elem uint32, modifier int32) {
	typ, known := postgresTypes[c.oid]
	switch {
	case enum:
		typ = TypeText
	case !known && elem != 0:
		c.Type, c.Elem = TypeArray, postgresTypes[elem]
		return
	}
	c.Type = typ
	switch typ {
	case TypeText:
		if (c.oid == 1042 || c.oid == 1043) && modifier > 4 {
			c.Length = int(modifier - 4)
		}
	case TypeDecimal:
		c.Scale, c.Extended = -1, true
		if modifier >= 4 { // precision above, scale in the lower 11 bits, two's complement
			scale := int(modifier-4) & 0x7ff
			if scale ^= 1024; scale-1024 >= 0 {
				c.Precision, c.Scale = int(modifier-4)>>16&0xffff, scale-1024
			}
		}
	case TypeTime, TypeDate:
		c.Extended = true
	}
}

func (i *postgresInspection) key(row pgx.Rows) error {
	var table uint32
	var primary bool
	var columns []string
	if err := row.Scan(&table, &primary, &columns); err != nil {
		return err
	}
	if t, ok := i.tables[table]; ok {
		t.keys = append(t.keys, columns)
		if primary {
			t.Key = columns
		}
	}
	return nil
}

// name is a table's, "" for those that are none of ours: then nothing is known of what it leads to.
func (i *postgresInspection) name(oid uint32) string {
	if t, ok := i.tables[oid]; ok {
		return t.Name
	}
	return ""
}

func (i *postgresInspection) foreign(row pgx.Rows) error {
	var parent, child uint32
	var deletes, clears, updates bool
	if err := row.Scan(&parent, &child, &deletes, &clears, &updates); err != nil {
		return err
	}
	from, to := i.name(parent), i.name(child)
	if deletes {
		i.reach.add(Touch{Table: from, Verb: abi.VerbDelete}, Touch{Table: to, Verb: abi.VerbDelete})
	}
	if clears {
		i.reach.add(Touch{Table: from, Verb: abi.VerbDelete}, Touch{Table: to, Verb: abi.VerbUpdate})
	}
	if updates {
		i.reach.add(Touch{Table: from, Verb: abi.VerbUpdate}, Touch{Table: to, Verb: abi.VerbUpdate})
	}
	return nil
}

func (i *postgresInspection) trigger(row pgx.Rows) error {
	var table uint32
	var on [3]bool
	if err := row.Scan(&table, &on[0], &on[1], &on[2]); err != nil {
		return err
	}
	for k, verb := range []abi.Verb{abi.VerbInsert, abi.VerbDelete, abi.VerbUpdate} {
		if on[k] {
			i.reach.add(Touch{Table: i.name(table), Verb: verb}, anything)
		}
	}
	return nil
}

func (i *postgresInspection) view(row pgx.Rows) error {
	var view, table uint32
	if err := row.Scan(&view, &table); err != nil {
		return err
	}
	from := Touch{Table: i.name(view)}
	if to := i.name(table); to != "" {
		i.reach.add(from, Touch{Table: to})
		return nil
	}
	for _, t := range i.tables { // a function, or a table elsewhere: whatever there is
		if t.Name != from.Table {
			i.reach.add(from, Touch{Table: t.Name})
		}
	}
	return nil
}

func (i *postgresInspection) inherit(row pgx.Rows) error {
	var parent, child uint32
	if err := row.Scan(&parent, &child); err != nil {
		return err
	}
	a, b := i.name(parent), i.name(child)
	for _, verb := range []abi.Verb{abi.VerbInsert, abi.VerbUpdate, abi.VerbDelete} {
		i.reach.add(Touch{Table: a, Verb: verb}, Touch{Table: b, Verb: verb})
		i.reach.add(Touch{Table: b, Verb: verb}, Touch{Table: a, Verb: verb})
	}
	return nil
}

// anything is the write of a trigger: only the database knows where to. The empty table is all of the connection's.
var anything = Touch{Verb: abi.VerbUpdate}

// reach is what a statement of one verb on a table leads to in the next step.
type reach map[Touch][]Touch

func (r reach) add(from, to Touch) {
	if from.Table != "" && !slices.Contains(r[from], to) {
		r[from] = append(r[from], to)
	}
}

// apply follows all steps, and gives each table what it leads to.
func (r reach) apply(cat *Catalog) {
	for name, t := range cat.tables {
		t.reaches = map[abi.Verb][]Touch{}
		for verb := range abi.Verbs {
			from := Touch{Table: name, Verb: abi.Verb(verb)}
			all := []Touch{from}
			for i := 0; i < len(all); i++ {
				for _, to := range r[all[i]] {
					if !slices.Contains(all, to) {
						all = append(all, to)
					}
				}
			}
			t.reaches[from.Verb] = all[1:]
		}
	}
}
