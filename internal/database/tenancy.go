package database

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Tenancy gives tenants their places on a server: PostgreSQL a schema and a login role that owns it, MySQL a database and a user that has all
// of it. Each plugin of a tenant gets a role of its own there, with the tables and verbs that it was granted and nothing else, so that
// the server itself is the wall, also between two plugins of one tenant. Everything is idempotent.
//
// Update and delete imply select, unless columns are named: to find a row is to read it, for both servers. Columns that the host fills are granted with those that
// are named; on MySQL the columns of a policy may be read too, because there the host's statements compare them. On PostgreSQL a policy is row-level
// security: a restrictive policy of the plugin's role, beside one that lets all others on.
type Tenancy struct {
	cfg    Config
	server tenancyServer
}

// tenancyServer is what differs between servers. Names and passwords are of letters, digits, "_" and "-".
type tenancyServer interface {
	add(ctx context.Context, place, owner, password string) error
	remove(ctx context.Context, place, owner string) error
	// grant makes the role where it is missing and its privileges exactly these. Tables that are not there are left out.
	grant(ctx context.Context, place, role, password string, tables []tableGrant) error
	revoke(ctx context.Context, place, role string) error
	// sizes are the bytes of tables and indexes, by place.
	sizes(ctx context.Context) (map[string]int64, error)
	// longest is how long names of places and of roles may be.
	longest() (place, role int)
}

// NewTenancy is for the server of a configuration whose user may make roles: PostgreSQL's CREATEROLE with the right to make schemas in the
// database and to revoke on it, MySQL's CREATE, CREATE USER and GRANT OPTION. SQLite has no server: there a tenant is a file.
func NewTenancy(cfg Config) (*Tenancy, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	switch cfg.Type {
	case typePostgres:
		return &Tenancy{cfg, postgresTenancy{cfg}}, nil
	case typeMySQL:
		return &Tenancy{cfg, &mysqlTenancy{cfg}}, nil
	}
	return nil, errors.New("database: tenants of SQLite are files: there is no server to make them on")
}

// HasServer says whether the configuration is of a server, where tenants are made, rather than of a file.
func (c Config) HasServer() (bool, error) {
	cfg, err := c.withDefaults()
	return err == nil && cfg.Type != typeSQLite, err
}

// identifier joins names that are of lower-case letters, digits and "-" by "_". What is too long for the server ends in a digest of all of it.
func identifier(longest int, parts ...string) string {
	name := "odac_" + strings.Join(parts, "_")
	plain := strings.Trim(strings.Join(parts, ""), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	if plain && len(name) <= longest {
		return name
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	head := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, name)
	digest := hex.EncodeToString(sum[:8])
	return head[:min(len(head), longest-len(digest)-1)] + "_" + digest
}

func (t *Tenancy) names(tenant, conn string) (place, owner string) {
	longPlace, longRole := t.server.longest()
	return identifier(longPlace, tenant, conn), identifier(longRole, tenant, conn)
}

func (t *Tenancy) role(tenant, conn, plugin string) string {
	_, longest := t.server.longest()
	return identifier(longest, tenant, conn, plugin)
}

// Add makes the tenant's place for a connection, and its owner with that password.
func (t *Tenancy) Add(ctx context.Context, tenant, conn, password string) error {
	place, owner := t.names(tenant, conn)
	return t.fail("add", tenant, t.server.add(ctx, place, owner, password))
}

// Remove drops the place with everything in it, its owner and the roles of its plugins.
func (t *Tenancy) Remove(ctx context.Context, tenant, conn string) error {
	place, owner := t.names(tenant, conn)
	return t.fail("remove", tenant, t.server.remove(ctx, place, owner))
}

// Sizes asks the server how many bytes the tables and indexes of each tenant have there, and returns what tells it of one. MySQL's numbers are those of its
// statistics, which follow when about a tenth of a table has changed.
func (t *Tenancy) Sizes(ctx context.Context) (func(tenant, conn string) int64, error) {
	sizes, err := t.server.sizes(ctx)
	if err != nil {
		return nil, fmt.Errorf("database: sizes of tenants on %s: %w", t.cfg.Host, err)
	}
	return func(tenant, conn string) int64 {
		place, _ := t.names(tenant, conn)
		return sizes[place]
	}, nil
}

// Owner is the configuration with which a tenant's own connection is opened: migrations, the buffer, everything but plugins' statements.
func (t *Tenancy) Owner(tenant, conn, password string) Config {
	cfg := t.cfg
	place, owner := t.names(tenant, conn)
	cfg.User, cfg.Password = owner, password
	if cfg.Type == typePostgres {
		cfg.Schema = place
	} else {
		cfg.Database = place
	}
	return cfg
}

// Role is the user name of a plugin of the tenant, for [DB.As].
func (t *Tenancy) Role(tenant, conn, plugin string) string { return t.role(tenant, conn, plugin) }

// Grant makes the plugin's role, with that password, where it is missing, and its privileges exactly these, whatever they were. Tables that are
// not there, according to the catalog, are left out: grant again after a migration. So is a view over a table that is granted in part.
func (t *Tenancy) Grant(ctx context.Context, tenant, conn, plugin, password string, tables map[string]TableAccess, c *Catalog) error {
	place, _ := t.names(tenant, conn)
	access := NewAccess(tables, nil)
	var list []tableGrant
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		table, there := c.Table(name)
		if !there || reserved(name) || access.checkView(table) != nil {
			continue
		}
		g, err := access.grantOf(table, t.cfg.Type)
		if err != nil {
			return t.fail("grant to "+plugin+" of", tenant, err)
		}
		list = append(list, g)
	}
	return t.fail("grant to "+plugin+" of", tenant, t.server.grant(ctx, place, t.role(tenant, conn, plugin), password, list))
}

// Revoke drops the plugin's role and ends its sessions.
func (t *Tenancy) Revoke(ctx context.Context, tenant, conn, plugin string) error {
	place, _ := t.names(tenant, conn)
	return t.fail("revoke from "+plugin+" of", tenant, t.server.revoke(ctx, place, t.role(tenant, conn, plugin)))
}

// fail is for the operator: it may say what the server said.
func (t *Tenancy) fail(what, tenant string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("database: %s tenant %s on %s: %w", what, tenant, t.cfg.Host, err)
}

// literal quotes a string of letters, digits and the few signs of a password's verifier. Anything else is a defect.
func literal(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, ``), "'", "''") + "'"
}
