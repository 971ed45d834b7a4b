package database

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/odac-run/odachost/abi"
)

// hostileQueries are attempts through the query language: names that are meant to leave their quotes, expressions where a name is due, tables
// that were not granted at every place where one can stand. It returns how many there are. Every one must be refused before it reads or writes.
func hostileQueries(t *testing.T, h *textHouse) int {
	t.Helper()
	tricks := []string{
		`secrets`, `odac_blue_default.secrets`, `"odac_blue_default"."secrets"`, "`odac_blue_default`.`secrets`", `posts; DROP TABLE posts`, `posts" UNION SELECT body FROM secrets --`, "posts` UNION SELECT body FROM secrets -- ",
		`posts -- `, `posts/**/`, `(SELECT body FROM secrets)`, `posts, secrets`, `pg_class`, `pg_catalog.pg_class`, `information_schema.tables`, `mysql.user`, `_odac_secret`, `odac_buffer_ledger`, `POSTS`, `posts\`, "posts\x00", "posts\xff", `Posts`,
	}
	var list []*abi.Query
	for _, trick := range tricks {
		list = append(list,
			&abi.Query{Table: trick},
			&abi.Query{Verb: abi.VerbDelete, Table: trick, Where: everyRow},
			&abi.Query{Table: "posts", Joins: []abi.Join{{Kind: "cross", Table: trick}}},
			&abi.Query{Table: "posts", Columns: []abi.Column{{Name: trick}}},
			&abi.Query{Table: "posts", Where: where(cond(abi.CondEq, trick, 1))},
			&abi.Query{Table: "posts", Order: []abi.Order{{Column: trick}}},
			&abi.Query{Table: "posts", Group: []string{trick}, Columns: []abi.Column{{Func: "count", As: "n"}}},
			insert("posts", "id", "x", trick, 1),
			update("posts", everyRow, trick, 1))
		if strings.ContainsAny(trick, "\"'` ;(),./\\\x00") || !utf8.ValidString(trick) {
			list = append(list,
				&abi.Query{Table: "posts", As: trick},
				&abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id", As: trick}}})
		}
	}
	for _, fn := range []string{"pg_sleep", "sleep", "load_file", "count(*), pg_sleep", "set_config", "(SELECT body FROM secrets) --", "COUNT", "md5"} {
		list = append(list, &abi.Query{Table: "posts", Columns: []abi.Column{{Name: "title", Func: fn, As: "x"}}})
	}
	list = append(list,
		&abi.Query{Table: "posts", Joins: []abi.Join{{Kind: "cross JOIN secrets --", Table: "users"}}},
		&abi.Query{Table: "posts", Order: []abi.Order{{Column: "id; DROP TABLE posts"}}},
		&abi.Query{Table: "posts", Columns: []abi.Column{{Name: "id"}, {Sub: 1, As: "x"}}, Subs: []abi.Select{{Table: "secrets", Columns: columns("body")}}},
		&abi.Query{Table: "posts", Where: where(abi.Cond{Op: abi.CondIn, Column: "title", Sub: 1}), Subs: []abi.Select{{Table: "secrets", Columns: columns("body")}}},
		&abi.Query{From: 1, As: "x", Subs: []abi.Select{{Table: "secrets"}}},
		&abi.Query{Table: "posts", Where: where(abi.Cond{Op: 200, Column: "id"})},
		&abi.Query{Table: "posts", Limit: -1},
		&abi.Query{Verb: 77, Table: "posts"},
		insert("users", "name", "x"), update("users", everyRow, "name", "x"), insert("secrets", "id", 2), update("secrets", everyRow, "body", "x"),
		&abi.Query{Table: "posts", SQL: "SELECT 1"},
		&abi.Query{Table: "secrets", Lock: abi.LockUpdate},
	)
	for i, q := range list {
		// The host's own check of the grants is left out: the roles and the catalog alone have to hold.
		out, err := h.plugin.Query(context.Background(), q, Budget{}, nil)
		if err == nil && (len(out) > 0 || q.Verb != abi.VerbSelect) {
			t.Errorf("query %d, %+.200v: is done", i, q)
		}
		h.check(t, fmt.Sprintf("query %d, %+.200v", i, q), out, err, []abi.Errno{abi.ErrnoInvalid, abi.ErrnoDenied, abi.ErrnoUnsupported})
	}
	return len(list)
}
