package host_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// repacked packs the guest app with another manifest, and with its schema or without.
func repacked(t *testing.T, schema bool, manifest ...string) *plugins.Bundle {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join("testdata", "guests", "app")
	text, err := os.ReadFile(filepath.Join(from, "plugin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "plugin.yaml"), []byte(strings.NewReplacer(manifest...).Replace(string(text))))
	write(t, filepath.Join(dir, "plugin.wasm"), testkit.BuildGuest(t, from))
	if schema {
		if err := os.CopyFS(filepath.Join(dir, "schema"), os.DirFS(filepath.Join(from, "schema"))); err != nil {
			t.Fatal(err)
		}
	}
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Tenants on PostgreSQL: a schema and roles of their own, grants that follow the deployments, and nothing left at the end.
func TestTenantPlaces(t *testing.T) {
	url := testkit.Postgres(t)
	admin, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	may := func(role, table, verb string, want bool) {
		t.Helper()
		testkit.Eventually(t, role+" "+verb+" "+table, func() bool { // after the old revision is gone
			var got bool
			err := admin.QueryRowContext(t.Context(), "SELECT coalesce((SELECT has_table_privilege(oid, $2, $3) FROM pg_roles WHERE rolname = $1), false)", role, table, verb).Scan(&got)
			if err != nil {
				t.Fatal(err)
			}
			return got == want
		})
	}
	dir := t.TempDir()
	config := func(c *host.Config) { c.Databases = map[string]host.DatabaseConfig{"default": {URL: url}} }
	s := open(t, dir, config)
	for _, tenant := range []string{"red", "blue", "red"} {
		if places, err := s.AddTenant(t.Context(), tenant); err != nil || len(places) != 1 {
			t.Fatal(places, err)
		}
	}
	if _, err := s.AddTenant(t.Context(), "../red"); err == nil {
		t.Error("a tenant that is no name")
	}
	if info, err := os.Stat(filepath.Join(dir, "tenants.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	s.deployFor("red", "one", repacked(t, true, "mount: /app", "mount: /red"))
	s.deployFor("blue", "one", repacked(t, true, "mount: /app", "mount: /blue"))
	s.has("POST", "/red/items/x", 201, "")
	s.has("GET", "/blue/items/x", 404, "")
	s.has("POST", "/blue/items/x", 201, "")
	s.want("GET", "/red/cached/x", "", 200, "0")
	s.want("POST", "/red/hit/x", "", 200, "")
	s.want("GET", "/red/cached/x", "", 200, "1")
	s.want("POST", "/red/buffered-insert/y", "", 200, "")
	s.want("POST", "/red/flush", "", 200, "")
	s.has("GET", "/red/items/y", 200, "")
	may("odac_red_default_one", `"odac_red_default".items`, "DELETE", true)
	may("odac_red_default_one", `"odac_blue_default".items`, "SELECT", false)

	// A revision that asks for less has less when the one before is gone.
	s.deployFor("red", "one", repacked(t, true, "mount: /app", "mount: /red", "items: [select, insert, update, delete]", "items: [select]"))
	may("odac_red_default_one", `"odac_red_default".items`, "DELETE", false)
	may("odac_red_default_one", `"odac_red_default".items`, "SELECT", true)
	s.has("POST", "/red/items/z", 403, "")
	var export strings.Builder
	if err := s.ExportTenant(t.Context(), "red", &export); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(export.String()), "\n")
	var line struct {
		Database, Table string
		Row             map[string]any
	}
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || len(lines) != 2 || line.Table != "items" || line.Row["name"] == nil {
		t.Errorf("%v: %s", err, export.String())
	}
	s.stop()

	s = open(t, dir, config)
	s.has("GET", "/red/items/x", 200, "")
	s.has("GET", "/blue/items/x", 200, "")
	if err := s.RemoveTenant(t.Context(), "red"); !errors.Is(err, host.ErrTenantInUse) {
		t.Errorf("a tenant with plugins: %v", err)
	}
	for _, tenant := range []string{"red", "blue"} {
		if err := s.Remove(t.Context(), tenant, "one", "", ""); err != nil {
			t.Fatal(err)
		}
		may("odac_"+tenant+"_default_one", `"odac_`+tenant+`_default".items`, "SELECT", false)
		for range 2 {
			if err := s.RemoveTenant(t.Context(), tenant); err != nil {
				t.Fatal(err)
			}
		}
	}
	var left int
	if err := admin.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'odac\_%') + (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'odac\_%')`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d roles and schemas are left, %v", left, err)
	}
	if tenants, err := s.Tenants(t.Context()); err != nil || len(tenants) != 0 {
		t.Error(tenants, err)
	}
	if _, err := s.Deploy(t.Context(), repacked(t, false, "mount: /app", "mount: /red"), host.DeployOptions{Tenant: "red", Approve: true}); err != nil {
		t.Errorf("a plugin of a tenant without a place can be deployed: it has no schema: %v", err)
	}
	if status, text := s.do("GET", "/red/items/x", ""); status != 503 || strings.Contains(text, "postgres") {
		t.Errorf("a tenant without a place: %d %s", status, text)
	}
}
