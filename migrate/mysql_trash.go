package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// keepTable writes the statements that set a table aside, without its keys to others: their names are the database's, and rows that nobody
// sees would hold the rows of others. A key that an earlier step took is in p.cut.
func (p *mysqlPlanner) keepTable(live *TableInfo, t *Trashed) []string {
	t.keyless()
	var queries []string
	for _, fk := range live.ForeignKeys {
		if !p.cut[fk.name] {
			queries = append(queries, p.cutKey(live.Name, fk))
		}
	}
	return append(queries, fmt.Sprintf("ALTER TABLE %s RENAME TO %s", mysqlName(live.Name), mysqlName(t.Place())))
}

// cutKey drops the foreign key of a table that goes.
func (p *mysqlPlanner) cutKey(table string, fk ForeignKey) string {
	p.cut[fk.name] = true
	return fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s%s", mysqlName(table), mysqlName(fk.name), p.m.algorithm(mysqlInstant))
}

// keepColumn adds the clause that sets a column aside in its table, unseen by SELECT * and INSERT without names. It is nil where nothing
// can be kept: a row is not the same without its key.
func (p *mysqlPlanner) keepColumn(a *mysqlAlter, live *TableInfo, c *ColumnInfo) *Trashed {
	t := p.in.trash(DropColumn, live.Name, c.Name)
	my := live.mysql.columns[fold(c.Name)]
	if t == nil || c.Generated || c.AutoIncrement || slices.ContainsFunc(live.PrimaryKey, func(key string) bool { return strings.EqualFold(key, c.Name) }) {
		return nil
	}
	level := mysqlInstant
	if c.NotNull {
		level = mysqlInPlace
	}
	kind, check := my.kind, my.check
	if c.Type == "json" && p.m.mariadb { // it keeps its check: without, it would be another type
		kind, check = "JSON", ""
	}
	unseen := "/*!80023 INVISIBLE */"
	if p.m.mariadb {
		unseen = "INVISIBLE"
	}
	a.add(DropColumn, level, "", "CHANGE COLUMN %s %s %s NULL %s", mysqlName(c.Name), mysqlName(t.Place()), kind, unseen)
	words := []string{fmt.Sprintf("ALTER TABLE %s CHANGE COLUMN %s %s %s NULL", mysqlName(live.Name), mysqlName(t.Place()), mysqlName(c.Name), kind)}
	if my.comment != "" {
		words = append(words, "COMMENT "+my.comment)
	}
	if check != "" {
		words = append(words, check)
	}
	t.kept.Make = []string{strings.Join(words, " ")}
	return t
}

func (mysql) restore(live *Database, t *Trashed) ([]string, error) {
	at := live.kept[t.Place()]
	if t.Column == "" {
		return []string{fmt.Sprintf("ALTER TABLE %s RENAME TO %s", mysqlName(at), mysqlName(t.Table))}, nil
	}
	if !strings.EqualFold(at, t.Table) {
		return nil, fmt.Errorf("%w: %s is in table %s: restore that first", ErrTrash, t, at)
	}
	return t.kept.Make, nil
}

func (mysql) purge(t *Trashed, table string) []string {
	if t.Column == "" {
		return []string{"DROP TABLE " + mysqlName(table)}
	}
	return []string{fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", mysqlName(table), mysqlName(t.Place()))}
}
