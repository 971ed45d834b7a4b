package host

import (
	"context"
	"slices"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/database"
	"github.com/odac-run/odachost/plugins"
)

// tablesOf is what a revision's manifest asks for, in the words of the database, with the values of its policies' variables.
func tablesOf(r *revision) map[string]database.TableAccess {
	if r.manifest.Capabilities.DB == nil {
		return nil
	}
	tables := make(map[string]database.TableAccess)
	for name, t := range r.manifest.Capabilities.DB.Tables {
		access := database.TableAccess{Where: t.Where.Conditions(r.key.tenant, r.key.name, r.config)}
		for v, word := range abi.Verbs {
			verb := plugins.Verb(word)
			if slices.Contains(t.Verbs, verb) {
				access.Verbs = append(access.Verbs, abi.Verb(v))
			}
			if columns, some := t.Columns[verb]; some {
				if access.Columns == nil {
					access.Columns = make(map[abi.Verb][]string)
				}
				access.Columns[abi.Verb(v)] = columns
			}
		}
		tables[name] = access
	}
	return tables
}

// bothTables is what either of two revisions may do, while both serve. The host holds each to its own, but for a policy on columns that the plugin may not read, which
// is the server's alone: there the new one's goes for both.
func bothTables(rev, old map[string]database.TableAccess) map[string]database.TableAccess {
	tables := make(map[string]database.TableAccess)
	for name, t := range old {
		tables[name] = t
	}
	for name, t := range rev {
		if before, ok := tables[name]; ok {
			where, reads := t.Where, t.ReadsPolicy()
			if t = t.Or(before); !reads {
				t.Where = where
			}
		}
		tables[name] = t
	}
	return tables
}

// limitedAccess is for a plugin that was granted a part of some table, nil for one to whom [call.access] is all that is to be held against.
func (r *revision) limitedAccess() *database.Access {
	a := database.NewAccess(r.tables, func(table string, verb abi.Verb, column string) error {
		if err := r.grants.Column(table, plugins.Verb(verb.String()), column); err != nil {
			return abi.NewError(abi.ErrnoDenied, err.Error())
		}
		return abi.NewError(abi.ErrnoDenied, "the plugin may not "+verb.String()+" "+table)
	})
	if !a.Limited() {
		return nil
	}
	return a
}

// fits says whether the tables have the columns that the revision was granted, and can have its policies.
func (h *Host) fits(ctx context.Context, rev *revision) error {
	if rev.access == nil {
		return nil
	}
	for name := range h.config.Databases {
		conn, ok := rev.tenant.opened(name)
		if !ok {
			continue
		}
		if err := rev.access.Check(conn.db.Catalog()); err != nil {
			return err
		}
	}
	return ctx.Err()
}
