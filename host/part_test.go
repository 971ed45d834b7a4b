package host_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// server is a database of an engine: its configuration, and how to run statements on it as its operator.
type server struct {
	name   string
	config host.DatabaseConfig
	db     *sql.DB
}

func onServers(t *testing.T, run func(t *testing.T, s *server)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { run(t, &server{name: "sqlite"}) })
	t.Run("postgres", func(t *testing.T) {
		url := testkit.Postgres(t)
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		run(t, &server{"postgres", host.DatabaseConfig{URL: url}, db})
	})
	t.Run("mariadb", func(t *testing.T) {
		dsn := testkit.MariaDB(t)
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("mysql", dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		run(t, &server{"mariadb", host.DatabaseConfig{URL: "mysql://" + cfg.User + "@" + cfg.Addr + "/" + cfg.DBName}, db})
	})
}

func (s *server) open(t *testing.T, change ...func(*host.Config)) *site {
	t.Helper()
	out := open(t, t.TempDir(), append([]func(*host.Config){func(c *host.Config) {
		c.Databases = map[string]host.DatabaseConfig{"default": s.config}
		c.PluginConfig = map[string]map[string]string{"other": {"hidden": "hidden"}}
	}}, change...)...)
	out.AskSizesOften()
	if s.db == nil {
		return out
	}
	if _, err := out.AddTenant(t.Context(), "red"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the server, whose roles are for all of its databases, is other tests' too
		for _, p := range out.Plugins() {
			if err := out.Remove(context.Background(), p.Tenant, p.Name, "", ""); err != nil {
				t.Error(err)
			}
		}
		if err := out.RemoveTenant(context.Background(), "red"); err != nil {
			t.Error(err)
		}
	})
	return out
}

// neighbour is a plugin of the same tenant with a grant on the table, and no schema.
func neighbour(t *testing.T, version, items string) *plugins.Bundle {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.wasm"), bundle(t, "app").Wasm())
	write(t, filepath.Join(dir, "plugin.yaml"), []byte("name: other\nversion: "+version+"\nmount: /other\nconfig: {hidden: }\ncapabilities:\n"+
		"  db: {tables: {items: "+items+", notes: [insert]}, raw: true}\n  cache: true\n  buffer: true\n  ws: true\n  http: {hosts: [localhost]}\n"))
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A plugin owns a table, and another of its tenant was granted three columns of it and the rows that a policy leaves.
func TestNeighboursInPart(t *testing.T) { onServers(t, testNeighboursInPart) }

func testNeighboursInPart(t *testing.T, server *server) {
	s := server.open(t)
	s.deployFor("red", "app", bundle(t, "app"))
	for _, name := range []string{"x", "y", "hidden"} {
		s.has("POST", "/app/items/"+name, 201, "")
	}
	const part = "{select: [id, name, hits], update: [name, hits], where: name <> $config.hidden}"
	s.deployFor("red", "other", neighbour(t, "1.0.0", part))
	s.has("GET", "/other/items/x", 200, "0")
	s.has("GET", "/other/items/hidden", 404, "")
	s.has("GET", "/app/items/hidden", 200, "")
	if _, text := s.do("GET", "/other/star", ""); strings.Contains(text, "hidden") || strings.Contains(text, "created_at") || !strings.Contains(text, `"y"`) {
		t.Errorf("star: %s", text)
	}
	s.has("POST", "/other/items/z", 403, "")
	s.want("POST", "/other/rename/y/why", "", 200, "1")
	s.want("POST", "/other/rename/hidden/found", "", 200, "0")
	s.has("POST", "/other/rename/x/hidden", 403, "") // out of its reach, whether or not one is there
	s.want("POST", "/other/hit/hidden", "", 200, "")
	s.has("GET", "/app/items/hidden", 200, "0")
	s.has("POST", "/other/delete-all", 403, "")
	s.has("GET", "/other/stream", 200, "")
	s.has("GET", "/other/pages/1", 200, "")
	s.has("POST", "/other/buffered/none", 501, "") // which has no rows by a key that it can be sure of

	// Neither's cached answers are the other's, nor those of a revision that had less.
	s.want("GET", "/app/cached/hidden", "", 200, "0")
	s.has("GET", "/other/cached/hidden", 404, "")
	s.want("GET", "/other/cached/x", "", 200, "0")
	_, err := s.Deploy(t.Context(), neighbour(t, "1.1.0", "{select: [id, name, hits], where: name <> 'x'}"), host.DeployOptions{Tenant: "red"})
	if !errors.Is(err, plugins.ErrApproval) || !strings.Contains(err.Error(), "\n  + db items: select hits, id, name where name <> 'x'") {
		t.Errorf("another policy without approval: %v", err)
	}
	_, err = s.Deploy(t.Context(), neighbour(t, "1.2.0", "{select: true, update: [name, hits], where: name <> $config.hidden}"), host.DeployOptions{Tenant: "red"})
	if !errors.Is(err, plugins.ErrApproval) || !strings.Contains(err.Error(), "\n  + db items: select where name <> $config.hidden") {
		t.Errorf("more columns without approval: %v", err)
	}
	less := neighbour(t, "1.3.0", "{select: [id, name, hits], where: name <> $config.hidden and name <> 'x'}")
	if _, err := s.Deploy(t.Context(), less, host.DeployOptions{Tenant: "red"}); err != nil {
		t.Errorf("less needs approval: %v", err)
	}
	s.has("GET", "/other/cached/x", 404, "")
	s.has("GET", "/other/cached/why", 200, "0")
	s.has("POST", "/other/rename/why/y", 403, "")
	if server.name == "sqlite" {
		s.has("GET", "/other/cached/hidden", 404, "")
		if _, text := s.do("POST", "/other/sql", "SELECT count(*) FROM items"); !strings.HasPrefix(text, "denied") {
			t.Errorf("SQL text on a table with a policy: %s", text)
		}
	}
	_, err = s.Deploy(t.Context(), neighbour(t, "1.4.0", "{select: [id, nam], where: name <> 'x'}"), host.DeployOptions{Tenant: "red", Approve: true})
	if err == nil || !strings.Contains(err.Error(), `"nam"`) {
		t.Errorf("a column that is not there: %v", err)
	}
	_, err = s.Deploy(t.Context(), neighbour(t, "1.4.1", "{select: [id], where: nam <> 'x'}"), host.DeployOptions{Tenant: "red", Approve: true})
	if err == nil || !strings.Contains(err.Error(), `"nam"`) {
		t.Errorf("a policy on a column that is not there: %v", err)
	}
	s.has("GET", "/other/items/why", 200, "0")
	if err := s.Remove(t.Context(), "red", "other", "", ""); err != nil {
		t.Fatal(err)
	}
	s.has("GET", "/app/items/hidden", 200, "0")
}

// ClearCache of everything clears what the plugin may read, and nothing of its neighbours.
func TestClearCacheOfOthers(t *testing.T) {
	s := open(t, t.TempDir(), func(c *host.Config) { c.PluginConfig = map[string]map[string]string{"other": {"hidden": "-"}} })
	s.deploy(bundle(t, "app"))
	s.deploy(neighbour(t, "1.0.0", "[select]"))
	cached := func(path, sql, want string) {
		t.Helper()
		s.want("POST", path+"?cache=1", sql, 200, want)
	}
	const notes, items = "SELECT count(*) AS n FROM notes", "SELECT count(*) AS n FROM items"
	for _, sql := range []string{notes, items} {
		cached("/app/sql", sql, "1 0 false")
		cached("/app/sql", sql, "1 0 true")
	}
	s.want("POST", "/other/clear/-", "", 200, "")
	cached("/app/sql", notes, "1 0 true")
	cached("/app/sql", items, "1 0 false")
	s.has("POST", "/other/clear/notes", 403, "")
	s.want("POST", "/app/clear/-", "", 200, "")
	cached("/app/sql", notes, "1 0 false")
}

// A tenant that has as much as it may gets an error that names the limit, on its writes only, and goes on when it has deleted.
func TestDiskQuota(t *testing.T) { onServers(t, testDiskQuota) }

func testDiskQuota(t *testing.T, server *server) {
	server.config.MaxSizeBytes = 512 << 10
	s := server.open(t)
	s.deployFor("red", "app", bundle(t, "app"))
	refused := func() bool {
		status, text := s.do("POST", "/app/items/"+strings.Repeat("x", 60), "")
		if status == 201 {
			return false
		}
		return status == 429 && strings.Contains(s.log.String(), "maxSize") || status == 409 && !strings.Contains(text, "x")
	}
	if refused() {
		t.Fatal("the first row is refused")
	}
	full := 0
	for i := 0; i < 400 && full == 0; i++ {
		status, text := s.do("POST", "/app/fill/"+strings.Repeat("a", 20), "")
		switch status {
		case 200:
		case 429:
			full = i
		default:
			t.Fatalf("fill %d: %d %s", i, status, text)
		}
		if server.name == "mariadb" {
			if _, err := server.db.Exec("ANALYZE TABLE odac_red_default.items"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if full == 0 {
		t.Fatal("the tenant is never full")
	}
	if !strings.Contains(s.log.String(), "maxSize") {
		t.Error("nothing names the limit")
	}
	s.has("GET", "/app/cached/"+strings.Repeat("x", 60), 200, "") // reads go on
	list, err := s.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range list {
		if tenant.Name == "red" && (tenant.Bytes < 400<<10 || tenant.Bytes > 64<<20) {
			t.Errorf("the tenant has %d bytes", tenant.Bytes)
		}
	}
	t.Logf("full after %d: %+v", full, list)
	s.want("POST", "/app/delete-all", "", 200, "")
	if server.db != nil { // what gives back the room there
		sql := map[string]string{"postgres": "VACUUM FULL odac_red_default.items", "mariadb": "OPTIMIZE TABLE odac_red_default.items"}[server.name]
		if _, err := server.db.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "room again", func() bool { status, _ := s.do("POST", "/app/items/again", ""); return status == 201 })
}
