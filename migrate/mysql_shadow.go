package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// shadow has the server print the columns, each different one once: how a column prints depends neither on its name nor on its
// table. Where it refuses them, table by table, for the error.
func (m mysql) shadow(ctx context.Context, conn *sql.Conn, tables []*Table) (*Database, error) {
	out := &Database{Dialect: dialectMySQL, Tables: map[string]*TableInfo{}}
	var errs []error
	for _, t := range tables {
		errs = append(errs, m.checkTable(t)...)
		errs = append(errs, m.checkKeys(t, tables)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	err := m.reading(ctx, conn, func() error {
		p := &mysqlPrinter{m: m, ctx: ctx, conn: conn, printed: map[string]*ColumnInfo{}, my: map[string]*mysqlColumn{}}
		if err := p.printAll(tables); err != nil {
			return err
		}
		for _, t := range tables {
			out.Tables[fold(t.Name)] = p.table(t)
		}
		return nil
	})
	return out, err
}

// mysqlPrinter prints columns by temporary tables. Foreign keys are not in them, which the server would refuse.
type mysqlPrinter struct {
	m       mysql
	ctx     context.Context // of the one call of shadow
	conn    *sql.Conn
	printed map[string]*ColumnInfo // by definition
	my      map[string]*mysqlColumn
	made    []string
}

const (
	mysqlShadowTable   = "_odac_shadow_"
	mysqlShadowColumns = 100   // InnoDB keeps 20 bytes and more of each column in a page
	mysqlRowBytes      = 60000 // a row has at most 65,535, see mysqlBytes
)

// anonymous is the column under the name that it has in the shadow, where a number is a number.
func (c *Column) anonymous(name string) *Column {
	out := *c
	out.Name, out.Comment = name, ""
	if isSerial(c) {
		out.Type, out.Nullable, out.Default = Integer, new(bool), nil
		if c.Type == BigIncrements {
			out.Type = BigInteger
		}
	}
	return &out
}

const mysqlNoName = "_odac_c"

func (p *mysqlPrinter) printAll(tables []*Table) (err error) {
	defer func() { err = errors.Join(err, p.drop()) }()
	var batch []*Column
	bytes := 0
	for _, t := range tables {
		for _, c := range t.Columns {
			key := p.m.column(c.anonymous(mysqlNoName), true)
			if _, ok := p.printed[key]; ok {
				continue
			}
			p.printed[key] = nil
			size := mysqlBytes(c)
			if len(batch) == mysqlShadowColumns || bytes+size > mysqlRowBytes {
				if err := p.print(batch); err != nil {
					return p.findRefused(tables, err)
				}
				batch, bytes = nil, 0
			}
			batch = append(batch, c)
			bytes += size
		}
	}
	if err := p.print(batch); err != nil {
		return p.findRefused(tables, err)
	}
	return nil
}

// print makes a temporary table of the columns and reads it.
func (p *mysqlPrinter) print(batch []*Column) error {
	if len(batch) == 0 {
		return nil
	}
	lines := make([]string, len(batch))
	for i, c := range batch {
		lines[i] = p.m.column(c.anonymous(fmt.Sprint(mysqlNoName, i)), true)
	}
	t, err := p.create(strings.Join(lines, ",\n  "))
	if err != nil {
		return err
	}
	for i, c := range batch {
		name := fmt.Sprint(mysqlNoName, i)
		key := p.m.column(c.anonymous(mysqlNoName), true)
		p.printed[key], p.my[key] = t.Column(name), t.mysql.columns[name]
	}
	return nil
}

func (p *mysqlPrinter) create(columns string) (t *TableInfo, err error) {
	name := fmt.Sprint(mysqlShadowTable, len(p.made))
	if err := execOne(p.ctx, p.conn, "CREATE TEMPORARY TABLE "+mysqlName(name)+" (\n  "+columns+"\n) "+mysqlTableOptions); err != nil {
		return nil, err
	}
	p.made = append(p.made, mysqlName(name))
	err = eachRow(p.ctx, p.conn, "SHOW CREATE TABLE "+mysqlName(name), 2, func(v []string) { t = p.m.parseMySQLTable(name, v[1]) })
	return t, err
}

func (p *mysqlPrinter) drop() error {
	if len(p.made) == 0 {
		return nil
	}
	_, err := p.conn.ExecContext(context.WithoutCancel(p.ctx), "DROP TEMPORARY TABLE IF EXISTS "+strings.Join(p.made, ", "))
	p.made = nil
	if err != nil {
		return fmt.Errorf("migrate: drop the shadow: %w", err)
	}
	return nil
}

// findRefused makes each table, to say which it is. A default that names another column is only refused without its table.
func (p *mysqlPrinter) findRefused(tables []*Table, cause error) error {
	for _, t := range tables {
		info, err := p.create(p.m.lines(t, true, nil))
		if err != nil {
			return fmt.Errorf("migrate: %s: %s refuses the table: %w", t.Pos, p.m, err)
		}
		for _, c := range t.Columns {
			key := p.m.column(c.anonymous(mysqlNoName), true)
			at, my := *info.Column(c.Name), *info.mysql.columns[fold(c.Name)]
			if len(at.Checks) > 0 {
				at.Checks = []string{strings.ReplaceAll(at.Checks[0], mysqlName(c.Name), mysqlName(mysqlNoName))}
			}
			p.printed[key], p.my[key] = &at, &my
		}
	}
	if p.ctx.Err() != nil {
		return cause
	}
	return nil
}

// table puts a table together of what was printed.
func (p *mysqlPrinter) table(t *Table) *TableInfo {
	out := &TableInfo{Name: t.Name, PrimaryKey: t.PrimaryKey, def: t, mysql: &mysqlTable{columns: map[string]*mysqlColumn{}}}
	for _, c := range t.Columns {
		key := p.m.column(c.anonymous(mysqlNoName), true)
		info := *p.printed[key]
		printed := info.Name
		info.Name, info.def, info.AutoIncrement = c.Name, c, isSerial(c)
		info.Checks = nil
		for _, check := range p.printed[key].Checks {
			info.Checks = append(info.Checks, strings.NewReplacer(mysqlName(printed), mysqlName(c.Name), mysqlName(mysqlNoName), mysqlName(c.Name)).Replace(check))
		}
		out.Columns = append(out.Columns, &info)
		out.mysql.columns[fold(c.Name)] = p.my[key]
	}
	for _, x := range t.Indexes {
		out.Indexes = append(out.Indexes, IndexInfo{Name: x.Name, Columns: x.Columns, Unique: x.Unique, Plain: true, named: x.Named})
	}
	for _, fk := range t.ForeignKeys {
		out.ForeignKeys = append(out.ForeignKeys, mysqlKey(fk))
	}
	return out
}

// mysqlKey is the key as InnoDB prints it: RESTRICT is NO ACTION there.
func mysqlKey(fk ForeignKey) ForeignKey {
	for _, action := range []*string{&fk.OnDelete, &fk.OnUpdate} {
		if *action == "RESTRICT" {
			*action = noAction
		}
	}
	return fk
}
