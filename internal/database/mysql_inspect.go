package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/odac-run/odachost/abi"
)

// What is in the database of the session.
const (
	mysqlTables = `SELECT TABLE_NAME, TABLE_TYPE LIKE '%VIEW' FROM information_schema.TABLES WHERE TABLE_SCHEMA = database()
		AND (TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') OR TABLE_TYPE LIKE '%VIEW')`
	mysqlColumns = `SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE,
			IS_NULLABLE = 'NO', COLUMN_DEFAULT IS NOT NULL OR EXTRA LIKE '%auto_increment%', EXTRA LIKE '%GENERATED' AND EXTRA NOT LIKE '%DEFAULT_GENERATED%'
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = database() ORDER BY TABLE_NAME, ORDINAL_POSITION`
	mysqlKeys = `SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART IS NOT NULL FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = database() AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`
	mysqlForeign  = `SELECT REFERENCED_TABLE_NAME, TABLE_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = database()`
	mysqlTriggers = `SELECT EVENT_OBJECT_TABLE, EVENT_MANIPULATION FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = database()`
	mysqlViews    = `SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = database()`
	mysqlRoutines = `SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = database() AND ROUTINE_TYPE = 'FUNCTION'`
	// MariaDB's JSON is text with a check; there the columns are named so, elsewhere the table is not there.
	mariadbJSON = `SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = database() AND CHECK_CLAUSE LIKE 'json_valid(%'`
)

// inspect reads the tables. MySQL has no snapshot of its catalog.
func (e *mysqlEngine) inspect(ctx context.Context) (*Catalog, error) {
	c, err := e.take(ctx)
	if err != nil {
		return nil, err
	}
	defer c.release()
	scope, free := merge(ctx)
	defer free()
	over := e.watch(scope, c.link)
	i := &mysqlInspection{cat: &Catalog{tables: map[string]*Table{}}, reach: reach{}}
	err = i.read(c.link, e.mariadb)
	over()
	if err != nil {
		c.link.broken = true
		return nil, e.fail(ctx, err, "the schema", false)
	}
	i.reach.apply(i.cat)
	e.catalog.Store(i.cat)
	return i.cat, nil
}

type mysqlInspection struct {
	cat       *Catalog
	reach     reach
	functions []string
}

func (i *mysqlInspection) read(l *mysqlLink, mariadb bool) error {
	var errs []error
	query := func(sql string, columns int, row func(v []driver.Value)) {
		errs = append(errs, l.rows(sql, columns, func(v []driver.Value) error {
			row(v)
			return nil
		}))
	}
	query(mysqlTables, 2, func(v []driver.Value) {
		if name := mysqlText(v[0]); !reserved(name) {
			i.cat.tables[name] = &Table{Name: name, View: truth(v[1]), byName: map[string]int{}, indexes: map[string][]string{}}
		}
	})
	query(mysqlColumns, 10, i.column)
	if mariadb {
		query(mariadbJSON, 2, func(v []driver.Value) {
			if t, ok := i.cat.Table(mysqlText(v[0])); ok {
				if c, ok := t.Column(between(mysqlText(v[1]), "`", "`")); ok && c.Type == TypeText {
					c.Type = TypeJSON
				}
			}
		})
	}
	query(mysqlKeys, 4, i.key)
	for _, t := range i.cat.tables {
		i.keys(t)
	}
	query(mysqlForeign, 4, i.foreign)
	query(mysqlTriggers, 2, func(v []driver.Value) {
		for verb, name := range map[abi.Verb]string{abi.VerbInsert: "INSERT", abi.VerbUpdate: "UPDATE", abi.VerbDelete: "DELETE"} {
			if mysqlText(v[1]) == name {
				i.reach.add(Touch{Table: mysqlText(v[0]), Verb: verb}, anything)
			}
		}
	})
	query(mysqlRoutines, 1, func(v []driver.Value) { i.functions = append(i.functions, mysqlText(v[0])) })
	query(mysqlViews, 2, i.view)
	return errors.Join(errs...)
}

func truth(v driver.Value) bool { return mysqlText(v) == "1" }

var mysqlTypes = map[string]Type{
	"tinyint": TypeInt, "smallint": TypeInt, "mediumint": TypeInt, "int": TypeInt, "bigint": TypeInt, "year": TypeInt, "float": TypeFloat, "double": TypeFloat,
	"decimal": TypeDecimal, "char": TypeText, "varchar": TypeText, "tinytext": TypeText, "text": TypeText, "mediumtext": TypeText, "longtext": TypeText, "enum": TypeText,
	"set": TypeText, "inet4": TypeText, "inet6": TypeText, "binary": TypeBytes, "varbinary": TypeBytes, "tinyblob": TypeBytes, "blob": TypeBytes, "mediumblob": TypeBytes,
	"longblob": TypeBytes, "date": TypeDate, "datetime": TypeTime, "timestamp": TypeTime, "time": TypeClock, "json": TypeJSON, "uuid": TypeUUID,
}

func (i *mysqlInspection) column(v []driver.Value) {
	t, ok := i.cat.Table(mysqlText(v[0]))
	if !ok || hiddenColumn(mysqlText(v[1])) {
		return
	}
	number := func(v driver.Value) int {
		n, _ := strconv.Atoi(mysqlText(v)) // null, and what is too long to matter, is 0
		return n
	}
	c := Column{Name: mysqlText(v[1]), Declared: mysqlText(v[2]), NotNull: truth(v[7]), Default: truth(v[8]), Generated: truth(v[9])}
	kind := mysqlText(v[3])
	c.Type = mysqlTypes[kind]
	switch {
	case strings.HasPrefix(c.Declared, "tinyint(1)"):
		c.Type = TypeBool
	case kind == "char" || kind == "varchar":
		c.Length = number(v[4])
	case c.Type == TypeDecimal:
		c.Precision, c.Scale = number(v[5]), number(v[6])
	}
	t.byName[c.Name] = len(t.Columns)
	t.Columns = append(t.Columns, c)
}

func (i *mysqlInspection) key(v []driver.Value) {
	if t, ok := i.cat.Table(mysqlText(v[0])); ok {
		column := mysqlText(v[2])
		if truth(v[3]) {
			column = "" // the head of a column only: no column is called so
		}
		name := mysqlText(v[1])
		t.indexes[name] = append(t.indexes[name], column)
	}
}

func (i *mysqlInspection) keys(t *Table) {
	for name, columns := range t.indexes {
		if slices.Contains(columns, "") {
			continue
		}
		t.keys = append(t.keys, columns)
		if name == "PRIMARY" {
			t.Key = columns
		}
	}
}

func (i *mysqlInspection) foreign(v []driver.Value) {
	from, to := mysqlText(v[0]), mysqlText(v[1])
	switch mysqlText(v[2]) {
	case "CASCADE":
		i.reach.add(Touch{Table: from, Verb: abi.VerbDelete}, Touch{Table: to, Verb: abi.VerbDelete})
	case "SET NULL", "SET DEFAULT":
		i.reach.add(Touch{Table: from, Verb: abi.VerbDelete}, Touch{Table: to, Verb: abi.VerbUpdate})
	}
	switch mysqlText(v[3]) {
	case "CASCADE", "SET NULL", "SET DEFAULT":
		i.reach.add(Touch{Table: from, Verb: abi.VerbUpdate}, Touch{Table: to, Verb: abi.VerbUpdate})
	}
}

// view reads what the text of a view names, which the server writes in full and quoted. What it does not show, or what calls a function, may
// read anything.
func (i *mysqlInspection) view(v []driver.Value) {
	name, text := mysqlText(v[0]), mysqlText(v[1])
	all := text == "" || slices.ContainsFunc(i.functions, func(f string) bool { return strings.Contains(text, "`"+f+"`(") })
	for _, t := range i.cat.tables {
		if t.Name != name && (all || strings.Contains(text, mysqlDialect{}.quote(t.Name))) {
			i.reach.add(Touch{Table: name}, Touch{Table: t.Name})
		}
	}
}
