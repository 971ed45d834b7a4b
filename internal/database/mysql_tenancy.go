package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// mysqlTenancy makes tenants as the configuration's user. MySQL's GRANT is no transaction: a plugin that runs meanwhile keeps what it had until
// the end, because what is new is granted before what is gone is revoked.
type mysqlTenancy struct{ cfg Config }

// longest: MariaDB has 80 for users, MySQL 32.
func (*mysqlTenancy) longest() (place, role int) { return 64, 32 }

// in runs f on one connection, alone among all hosts.
func (t *mysqlTenancy) in(ctx context.Context, f func(c *sql.Conn) error) error {
	return t.on(ctx, func(c *sql.Conn) error {
		var locked sql.NullInt64
		if err := c.QueryRowContext(ctx, "SELECT get_lock('odac_tenancy', 30)").Scan(&locked); err != nil {
			return err
		}
		if locked.Int64 != 1 {
			return errors.New("another host is making tenants: try again later")
		}
		return f(c) // the connection's end frees the lock
	})
}

func (t *mysqlTenancy) sizes(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	return sizes, t.on(ctx, func(c *sql.Conn) error {
		lines, err := t.strings(ctx, c, `SELECT concat(sum(coalesce(DATA_LENGTH, 0) + coalesce(INDEX_LENGTH, 0)), '|', TABLE_SCHEMA) FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE 'odac\_%' GROUP BY TABLE_SCHEMA`)
		for _, line := range lines {
			bytes, name, _ := strings.Cut(line, "|")
			if sizes[name], err = strconv.ParseInt(bytes, 10, 64); err != nil {
				return err
			}
		}
		return err
	})
}

// on runs f on one connection.
func (t *mysqlTenancy) on(ctx context.Context, f func(c *sql.Conn) error) (err error) {
	cfg, err := (&mysqlEngine{cfg: t.cfg}).connConfig()
	if err != nil {
		return err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return f(c)
}

func (t *mysqlTenancy) exec(ctx context.Context, c *sql.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := c.ExecContext(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (*mysqlTenancy) quote(name string) string { return mysqlDialect{}.quote(name) }

func user(name string) string { return literal(name) + "@'%'" }

func (t *mysqlTenancy) login(ctx context.Context, c *sql.Conn, name, password string) error {
	return t.exec(ctx, c,
		"CREATE USER IF NOT EXISTS "+user(name)+" IDENTIFIED BY "+literal(password),
		"ALTER USER "+user(name)+" IDENTIFIED BY "+literal(password))
}

func (t *mysqlTenancy) add(ctx context.Context, place, owner, password string) error {
	return t.in(ctx, func(c *sql.Conn) error {
		if err := t.login(ctx, c, owner, password); err != nil {
			return err
		}
		pattern := strings.NewReplacer("_", `\_`, "%", `\%`).Replace(place) // in a grant on all tables the name of the database is a pattern
		return t.exec(ctx, c,
			"CREATE DATABASE IF NOT EXISTS "+t.quote(place)+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
			"GRANT ALL ON "+t.quote(pattern)+".* TO "+user(owner))
	})
}

func (t *mysqlTenancy) remove(ctx context.Context, place, owner string) error {
	return t.in(ctx, func(c *sql.Conn) error {
		users, err := t.strings(ctx, c, "SELECT DISTINCT User FROM mysql.tables_priv WHERE Db = ?", place)
		if err != nil {
			return err
		}
		if err := t.exec(ctx, c, "DROP DATABASE IF EXISTS "+t.quote(place)); err != nil {
			return err
		}
		for _, name := range append(users, owner) {
			if err := t.drop(ctx, c, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *mysqlTenancy) strings(ctx context.Context, c *sql.Conn, query string, args ...any) (out []string, err error) {
	rows, err := c.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// drop drops a user and ends its sessions, which would keep its privileges.
func (t *mysqlTenancy) drop(ctx context.Context, c *sql.Conn, name string) error {
	if err := t.exec(ctx, c, "DROP USER IF EXISTS "+user(name)); err != nil {
		return err
	}
	ids, err := t.strings(ctx, c, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ?", name)
	if err != nil {
		return err
	}
	for _, id := range ids {
		var gone *mysql.MySQLError
		if err := t.exec(ctx, c, "KILL "+id); err != nil && (!errors.As(err, &gone) || gone.Number != 1094) { // gone meanwhile
			return err
		}
	}
	return nil
}

func (t *mysqlTenancy) revoke(ctx context.Context, _, role string) error {
	return t.in(ctx, func(c *sql.Conn) error { return t.drop(ctx, c, role) })
}

func (t *mysqlTenancy) grant(ctx context.Context, place, role, password string, tables []tableGrant) error {
	return t.in(ctx, func(c *sql.Conn) error {
		if err := t.login(ctx, c, role, password); err != nil {
			return err
		}
		there, err := t.strings(ctx, c, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?", place)
		if err != nil {
			return err
		}
		had, err := t.privileges(ctx, c, place, role)
		if err != nil {
			return err
		}
		wanted := map[mysqlPrivilege]bool{}
		for i := range tables {
			g := &tables[i]
			words := g.privileges(t.quote)
			if !slices.Contains(there, g.table.Name) || words == "" {
				continue
			}
			if err := t.exec(ctx, c, "GRANT "+words+" ON "+t.quote(place)+"."+t.quote(g.table.Name)+" TO "+user(role)); err != nil {
				return err
			}
			for verb, columns := range g.columns {
				if columns == nil {
					wanted[mysqlPrivilege{g.table.Name, "", verbWords[verb]}] = true
				}
				for _, column := range columns {
					wanted[mysqlPrivilege{g.table.Name, column, verbWords[verb]}] = true
				}
			}
		}
		for _, p := range had {
			if wanted[p] {
				continue
			}
			word := p.word
			if p.column != "" {
				word += " (" + t.quote(p.column) + ")"
			}
			if err := t.exec(ctx, c, "REVOKE "+word+" ON "+t.quote(place)+"."+t.quote(p.table)+" FROM "+user(role)); err != nil {
				return err
			}
		}
		return nil
	})
}

// mysqlPrivilege is one word that a user has on a table, or on a column of it.
type mysqlPrivilege struct{ table, column, word string }

// privileges are those that a user has on the tables of a database.
func (t *mysqlTenancy) privileges(ctx context.Context, c *sql.Conn, place, role string) ([]mysqlPrivilege, error) {
	lines, err := t.strings(ctx, c, `SELECT concat(Table_name, '|', '', '|', Table_priv) FROM mysql.tables_priv WHERE Db = ? AND User = ?
		UNION ALL SELECT concat(Table_name, '|', Column_name, '|', Column_priv) FROM mysql.columns_priv WHERE Db = ? AND User = ?`, place, role, place, role)
	if err != nil {
		return nil, err
	}
	var out []mysqlPrivilege
	for _, line := range lines {
		parts := strings.Split(line, "|")
		if len(parts) != 3 {
			return nil, fmt.Errorf("a name with | among the privileges of %s", role)
		}
		for word := range strings.SplitSeq(strings.ToUpper(parts[2]), ",") {
			if word != "" {
				out = append(out, mysqlPrivilege{parts[0], parts[1], word})
			}
		}
	}
	return out, nil
}
