package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sqlitedriver "github.com/ncruces/go-sqlite3/driver"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

// withFiles packs the guest app with files added to its folder, or replaced there.
func withFiles(t *testing.T, version string, files map[string]string) *plugins.Bundle {
	t.Helper()
	from, dir := filepath.Join("testdata", "guests", "app"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "plugin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "plugin.yaml"), []byte(strings.Replace(string(manifest), "version: 1.0.0", "version: "+version, 1)))
	write(t, filepath.Join(dir, "plugin.wasm"), bundle(t, "app").Wasm())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), []byte(text))
	}
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A bundle's migration files run at its deployment, on its own tables and on nothing else; whatever fails leaves the old revision
// serving on the old schema.
func TestMigrationFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.deploy(bundle(t, "app"))
	s.has("POST", "/app/items/x", 201, "")

	// Somebody else's table, in the same file.
	neighbour := t.TempDir()
	write(t, filepath.Join(neighbour, "plugin.wasm"), bundle(t, "app").Wasm())
	write(t, filepath.Join(neighbour, "plugin.yaml"), []byte("name: other\nversion: 1.0.0\nmount: /other\ncapabilities:\n"+
		"  db: {tables: {items: [select, update]}}\n  cache: true\n  buffer: true\n  ws: true\n  http: {hosts: [localhost]}\n"))
	if err := os.Mkdir(filepath.Join(neighbour, "schema"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(neighbour, "schema", "secrets.yaml"), []byte("columns: {id: {type: increments}}\n"))
	other, err := plugins.Pack(neighbour)
	if err != nil {
		t.Fatal(err)
	}
	s.deploy(other)

	wider := map[string]string{"schema/extra.yaml": "columns: {id: {type: increments}}\n"}
	for _, hostile := range []string{
		"ATTACH '" + dir + "/stolen.db' AS x", "VACUUM INTO '" + dir + "/stolen.db'", "DELETE FROM secrets", "DELETE FROM _odac_schema", "PRAGMA writable_schema = 1", "DROP TABLE secrets",
	} {
		files := map[string]string{"migration/1_bad.up.sql": "UPDATE items SET id = id;\n" + hostile + ";\n", "schema/extra.yaml": wider["schema/extra.yaml"]}
		_, err := s.Deploy(t.Context(), withFiles(t, "1.0.1", files), host.DeployOptions{Approve: true})
		if err == nil || !strings.Contains(err.Error(), "migration/1_bad.up.sql:2: ") {
			t.Errorf("%s: %v", hostile, err)
		}
	}
	s.has("GET", "/app/items/x", 200, "")
	if list, err := filepath.Glob(filepath.Join(dir, "stolen*")); err != nil || len(list) > 0 {
		t.Errorf("files %q, %v", list, err)
	}
	plans, err := s.Migrate(t.Context(), "", "app", false, "")
	if err != nil || !plans[0].Plan.Empty() {
		t.Fatalf("after a failure: %v %v", plans, err)
	}

	good := map[string]string{
		"migration/1_drop.up.sql": "DELETE FROM items WHERE name = 'x';\n", "migration/1_drop.down.sql": "INSERT INTO items (id, name) VALUES ('1', 'x');\n",
	}
	s.deploy(withFiles(t, "1.0.2", good))
	s.has("GET", "/app/items/x", 404, "")
	s.has("POST", "/app/items/x", 201, "")

	// A restart does not run it again, nor does a rollback of the deployment complain about a file that the older revision lacks.
	s.stop()
	s = open(t, dir)
	s.has("GET", "/app/items/x", 200, "")
	if _, err := s.Rollback(t.Context(), "", "app", "", "", ""); err != nil {
		t.Error(err)
	}
	s.deploy(withFiles(t, "1.0.2", good))

	// Taking the batch back runs the down, or nothing; after a restart the file is not applied by itself.
	if _, err := s.RollbackMigrations(t.Context(), "", "app"); err == nil || !strings.Contains(err.Error(), "migration/1_drop.down.sql:1: ") {
		t.Errorf("x is there already: %v", err)
	}
	db, err := sqlitedriver.Open("file:" + filepath.ToSlash(filepath.Join(dir, "tenants", "default", "default.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("DELETE FROM items"); err != nil {
		t.Fatal(err)
	}
	names, err := s.RollbackMigrations(t.Context(), "", "app")
	if d := cmp.Diff(map[string][]string{"default": {"1_drop"}}, names); d != "" || err != nil {
		t.Error(d, err)
	}
	s.stop()
	s = open(t, dir)
	s.has("GET", "/app/items/x", 200, "")
	plans, err = s.Migrate(t.Context(), "", "app", true, "")
	if err != nil || !plans[0].Applied {
		t.Errorf("the file is pending again: %v %v", plans, err)
	}
	s.has("GET", "/app/items/x", 404, "")

	edited := map[string]string{"migration/1_drop.up.sql": "DELETE FROM items;\n"}
	_, err = s.Deploy(t.Context(), withFiles(t, "1.0.3", edited), host.DeployOptions{Approve: true})
	if !errors.Is(err, migrate.ErrFiles) || !strings.Contains(err.Error(), "migration/1_drop.up.sql was edited") {
		t.Errorf("an edited file: %v", err)
	}
}

// A schema's mistakes name its file as the bundle has it.
func TestSchemaErrors(t *testing.T) {
	s := open(t, t.TempDir())
	b := withFiles(t, "1.0.1", map[string]string{"schema/notes.yaml": "columns:\n  id: {type: increment}\n", "migration/1.sql": "x"})
	_, err := s.Deploy(t.Context(), b, host.DeployOptions{Approve: true})
	if err == nil || !strings.Contains(err.Error(), `schema/notes.yaml:2: column id: unknown type "increment": did you mean "increments"?`) {
		t.Error(err)
	}
	b = withFiles(t, "1.0.1", map[string]string{"migration/1.sql": "x"})
	_, err = s.Deploy(t.Context(), b, host.DeployOptions{Approve: true})
	if d := cmp.Diff("migrate: migration/1.sql: rename it to end in .up.sql, or .down.sql for the way back", err.Error()); d != "" {
		t.Error(d)
	}
}
