package host_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// Tenants on MariaDB: a database and users of their own, in which a deployment makes the tables of its schema, and changes them at the
// next one under the grants that follow.
func TestTenantSchemaMariaDB(t *testing.T) {
	dsn := testkit.MariaDB(t)
	admin, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	address, _, _ := strings.Cut(strings.TrimPrefix(dsn, "root@tcp("), ")")
	_, name, _ := strings.Cut(dsn, "/")
	dir := t.TempDir()
	config := func(c *host.Config) {
		c.Databases = map[string]host.DatabaseConfig{"default": {URL: "mysql://root@" + address + "/" + name}}
	}
	s := open(t, dir, config)
	for _, tenant := range []string{"red", "blue"} {
		if places, err := s.AddTenant(t.Context(), tenant); err != nil || len(places) != 1 {
			t.Fatal(places, err)
		}
		s.deployFor(tenant, "one", bundle(t, "app", "mount: /app", "mount: /"+tenant))
	}
	s.has("POST", "/red/items/x", 201, "")
	s.has("GET", "/blue/items/x", 404, "")
	s.has("POST", "/blue/items/x", 201, "")
	s.want("POST", "/red/hit/x", "", 200, "")
	s.want("GET", "/red/cached/x", "", 200, "1")
	s.want("POST", "/red/buffered-insert/y", "", 200, "")
	s.want("POST", "/red/flush", "", 200, "")
	s.has("GET", "/red/items/y", 200, "")
	tables := func(place string) string {
		t.Helper()
		var names string
		if err := admin.QueryRowContext(t.Context(), "SELECT group_concat(table_name ORDER BY binary table_name) FROM information_schema.tables WHERE table_schema = ? AND table_name NOT LIKE 'odac%'", place).Scan(&names); err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := tables("odac_red_default"); got != "_odac_migration,_odac_plan,_odac_schema,_odac_trash,items,notes" {
		t.Errorf("tables of red: %s", got)
	}

	// The next revision has one column more.
	from := filepath.Join("testdata", "guests", "app")
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "schema"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"plugin.yaml", "schema/items.yaml", "schema/notes.yaml"} {
		text := string(read(t, filepath.Join(from, file)))
		text = strings.NewReplacer("mount: /app", "mount: /red", "  body: {type: text}", "  body: {type: text}\n  likes: {type: integer, nullable: false, default: 3}").Replace(text)
		write(t, filepath.Join(folder, file), []byte(text))
	}
	write(t, filepath.Join(folder, "plugin.wasm"), testkit.BuildGuest(t, from))
	next, err := plugins.Pack(folder)
	if err != nil {
		t.Fatal(err)
	}
	s.deployFor("red", "one", next)
	s.has("GET", "/red/items/x", 200, "")
	var likes int
	if err := admin.QueryRowContext(t.Context(), "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'odac_red_default' AND column_name = 'likes' AND column_default = '3'").Scan(&likes); err != nil || likes != 1 {
		t.Errorf("the new column: %d, %v", likes, err)
	}
	s.stop()
	s = open(t, dir, config)
	s.has("GET", "/red/items/y", 200, "")
	s.has("GET", "/blue/items/x", 200, "")
	for _, tenant := range []string{"red", "blue"} {
		if err := s.Remove(t.Context(), tenant, "one", "", ""); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveTenant(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	if err := admin.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM mysql.user WHERE user LIKE 'odac\_%') + (SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE 'odac\_%')`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d users and databases are left, %v", left, err)
	}
}
