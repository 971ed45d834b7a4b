package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// inspect asks for the text of each table: information_schema prints what a temporary table has in no release before 11.2, and SHOW
// CREATE TABLE prints a live table and a shadow alike.
func (m mysql) inspect(ctx context.Context, q querier) (*Database, error) {
	db := &Database{Dialect: dialectMySQL, Tables: map[string]*TableInfo{}, Applied: map[string]Applied{}}
	err := m.reading(ctx, q, func() error { return m.inspectInto(ctx, q, db) })
	if err != nil {
		return nil, fmt.Errorf("migrate: inspect: %w", err)
	}
	return db, nil
}

func (m mysql) inspectInto(ctx context.Context, q querier, db *Database) error {
	var tables, others []string
	err := eachRow(ctx, q, "SHOW FULL TABLES", 2, func(v []string) {
		switch {
		case strings.HasPrefix(fold(v[0]), "_odac_"), v[1] == "BASE TABLE":
			tables = append(tables, v[0])
		case !strings.HasSuffix(v[1], "VIEW"):
			others = append(others, v[0])
		}
	})
	if err != nil {
		return err
	}
	for _, name := range others {
		db.Tables[fold(name)] = &TableInfo{Name: name, Opaque: "it is no base table", mysql: &mysqlTable{}}
	}
	for _, name := range tables {
		if strings.HasPrefix(fold(name), "_odac_") {
			db.keeps(name, name)
			continue
		}
		err := eachRow(ctx, q, "SHOW CREATE TABLE "+mysqlName(name), 2, func(v []string) { db.Tables[fold(name)] = m.parseMySQLTable(name, v[1]) })
		if err != nil && !mysqlError(err, 1146) { // it was dropped meanwhile
			return err
		}
	}
	err = eachRow(ctx, q, "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = database() ORDER BY 1", 2, func(v []string) {
		db.Views = append(db.Views, Object{Name: v[0], SQL: v[1]})
	})
	if err != nil {
		return err
	}
	err = eachRow(ctx, q, "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = database() ORDER BY 1", 3,
		func(v []string) { db.Triggers = append(db.Triggers, Object{Name: v[0], Table: v[1], SQL: v[2]}) })
	if err == nil && slices.Contains(tables, stateTable) {
		err = db.readState(ctx, q, m.syntax())
	}
	if err == nil && slices.Contains(tables, journalTable) {
		err = db.readUnderway(ctx, q, m.syntax())
	}
	return err
}

// eachRow calls row with the texts of the first columns of each row.
func eachRow(ctx context.Context, q querier, query string, columns int, row func(v []string)) error {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is checked
	all, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([][]byte, max(len(all), columns))
	into := make([]any, len(all))
	for i := range into {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		texts := make([]string, columns)
		for i := range texts {
			texts[i] = string(values[i])
		}
		row(texts)
	}
	return rows.Err()
}

// sorted lists the tables in an order that does not change, for what is part of a plan's hash.
func (db *Database) sorted() []*TableInfo {
	var out []*TableInfo
	for _, name := range slices.Sorted(maps.Keys(db.Tables)) {
		out = append(out, db.Tables[name])
	}
	return out
}
