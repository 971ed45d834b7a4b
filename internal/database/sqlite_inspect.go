package database

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/odac-run/odachost/abi"
)

// inspect reads the tables in one transaction.
func (e *sqlite) inspect(ctx context.Context) (cat *Catalog, err error) {
	c, err := e.take(ctx, false)
	if err != nil {
		return nil, err
	}
	defer c.release()
	defer c.guard(&err)
	if err := c.begin(ctx, TxOptions{ReadOnly: true}); err != nil {
		return nil, err
	}
	c.trusted = true
	defer func() { c.trusted, c.record = false, nil }()
	cat = &Catalog{tables: map[string]*Table{}}
	if err := c.readTables(cat); err != nil {
		return nil, c.fail(ctx, err, "the schema")
	}
	if err := c.readLinks(cat); err != nil {
		return nil, c.fail(ctx, err, "the schema")
	}
	for _, t := range cat.tables {
		if err := c.readTable(t); err != nil {
			return nil, c.fail(ctx, err, t.Name)
		}
		if !c.readReach(t) {
			delete(cat.tables, t.Name) // a view over what is not there: nobody can select from it
		}
	}
	return cat, nil
}

func (c *sqliteConn) readTables(cat *Catalog) error {
	return c.rows("SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view')", func(st *sqlite3.Stmt) error {
		if name := st.ColumnText(0); !reserved(name) {
			cat.tables[name] = &Table{Name: name, View: st.ColumnText(1) == "view", byName: map[string]int{}}
		}
		return nil
	})
}

// readLinks reads the columns of foreign keys, at both ends.
func (c *sqliteConn) readLinks(cat *Catalog) error {
	return c.rows(`SELECT l.name, f."from", f."table", coalesce(f."to", '') FROM pragma_table_list l, pragma_foreign_key_list(l.name) f
		WHERE l.schema = 'main' AND l.type = 'table'`, func(st *sqlite3.Stmt) error {
		for i := 0; i < 4; i += 2 {
			for name, t := range cat.tables {
				if strings.EqualFold(name, st.ColumnText(i)) {
					t.links = append(t.links, st.ColumnText(i+1)) // "" is the primary key
				}
			}
		}
		return nil
	})
}

func (c *sqliteConn) readTable(t *Table) error {
	keyAt := map[int]string{}
	err := c.rows(`SELECT name, type, "notnull", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?)`, func(st *sqlite3.Stmt) error {
		column := declared(st.ColumnText(0), st.ColumnText(1))
		column.NotNull, column.Default = st.ColumnBool(2), st.ColumnBool(3)
		column.Generated = st.ColumnInt(5) > 1
		if pk := st.ColumnInt(4); pk > 0 {
			keyAt[pk] = column.Name
		}
		if st.ColumnInt(5) != 1 && !hiddenColumn(column.Name) { // 1 is hidden in a virtual table
			t.byName[column.Name] = len(t.Columns)
			t.Columns = append(t.Columns, column)
		}
		return nil
	}, t.Name)
	if err != nil {
		return err
	}
	for i := 1; i <= len(keyAt); i++ {
		t.Key = append(t.Key, keyAt[i])
	}
	if len(t.Key) > 0 {
		t.keys = append(t.keys, t.Key)
	}
	var indexes []string
	err = c.rows(`SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial`, func(st *sqlite3.Stmt) error {
		indexes = append(indexes, st.ColumnText(0))
		return nil
	}, t.Name)
	for _, index := range indexes {
		var key []string
		err = errors.Join(err, c.rows("SELECT name FROM pragma_index_info(?)", func(st *sqlite3.Stmt) error {
			key = append(key, st.ColumnText(0)) // "" for an expression: no column is called so
			return nil
		}, index))
		t.keys = append(t.keys, key)
	}
	return err
}

// declared reads a declared type such as DECIMAL_TEXT(10,2).
func declared(name, text string) Column {
	c := Column{Name: name, Declared: text}
	base, rest, _ := strings.Cut(strings.ToUpper(text), "(")
	sizes, _, _ := strings.Cut(rest, ")")
	first, second, _ := strings.Cut(sizes, ",")
	n, _ := strconv.Atoi(strings.TrimSpace(first))  // 0 is no limit
	m, _ := strconv.Atoi(strings.TrimSpace(second)) // 0 is no fraction
	n, m = min(max(n, 0), maxDigits), min(max(m, 0), maxDigits)
	base = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(base), " UNSIGNED"))
	c.Type = declaredTypes[base]
	switch c.Type {
	case TypeText:
		c.Length = n
		if long, err := strconv.Atoi(strings.TrimSpace(first)); err == nil {
			c.Length = max(long, 0)
		}
	case TypeDecimal:
		c.Precision, c.Scale = n, m
	}
	return c
}

// declaredTypes are the names that package migrate declares, and common ones of the same meaning and affinity.
var declaredTypes = map[string]Type{
	"BOOLEAN": TypeBool, "BOOL": TypeBool,
	"INTEGER": TypeInt, "INT": TypeInt, "BIGINT": TypeInt, "SMALLINT": TypeInt, "TINYINT": TypeInt, "MEDIUMINT": TypeInt,
	"DOUBLE": TypeFloat, "DOUBLE PRECISION": TypeFloat, "REAL": TypeFloat, "FLOAT": TypeFloat,
	"DECIMAL_TEXT": TypeDecimal,
	"VARCHAR":      TypeText, "CHAR": TypeText, "TEXT": TypeText,
	"UUID_TEXT": TypeUUID,
	"BLOB":      TypeBytes,
	"DATETIME":  TypeTime, "TIMESTAMP": TypeTime,
	"DATE":      TypeDate,
	"TIME":      TypeClock,
	"JSON_TEXT": TypeJSON, "JSONB_TEXT": TypeJSON,
}

// readReach asks SQLite itself what a statement on t leads to: it prepares one of each verb and listens to the authorizer. It says whether t
// can be selected from.
func (c *sqliteConn) readReach(t *Table) bool {
	t.reaches = map[abi.Verb][]Touch{}
	quote := sqliteDialect{}.quote
	name := quote(t.Name)
	probes := map[abi.Verb]string{abi.VerbSelect: "SELECT * FROM " + name}
	if !t.View {
		var sets []string
		for _, column := range t.Columns {
			if !column.Generated {
				sets = append(sets, quote(column.Name)+" = "+quote(column.Name))
			}
		}
		probes[abi.VerbInsert] = "INSERT INTO " + name + " DEFAULT VALUES"
		probes[abi.VerbUpdate] = "UPDATE " + name + " SET " + strings.Join(sets, ", ")
		probes[abi.VerbDelete] = "DELETE FROM " + name
	}
	for verb, sql := range probes {
		var touches []Touch
		c.record = func(action sqlite3.AuthorizerActionCode, table string) {
			v, ok := actionVerbs[action]
			ok = ok && (v != abi.VerbSelect || verb == abi.VerbSelect) // what a write looks at, such as a foreign key's table, is nobody's concern
			if t := (Touch{Table: table, Verb: v}); ok && !reserved(table) && !slices.Contains(touches, t) {
				touches = append(touches, t)
			}
		}
		st, _, err := c.db.Prepare(sql)
		c.record = nil
		if err != nil && verb == abi.VerbSelect {
			return false
		}
		_ = st.Close() // was never stepped
		t.reaches[verb] = slices.DeleteFunc(touches, func(touch Touch) bool {
			return touch.Table == t.Name && (touch.Verb == verb || touch.Verb == abi.VerbSelect)
		})
	}
	return true
}

var actionVerbs = map[sqlite3.AuthorizerActionCode]abi.Verb{
	sqlite3.AUTH_READ:   abi.VerbSelect,
	sqlite3.AUTH_INSERT: abi.VerbInsert,
	sqlite3.AUTH_UPDATE: abi.VerbUpdate,
	sqlite3.AUTH_DELETE: abi.VerbDelete,
}
