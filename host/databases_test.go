package host_test

import (
	"testing"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
)

// Databases says what is open, and which server does not answer.
func TestDatabases(t *testing.T) {
	server, url := testkit.PostgresServer(t)
	s := open(t, t.TempDir(), func(c *host.Config) {
		c.Databases = map[string]host.DatabaseConfig{"default": {}, "remote": {URL: url}}
	})
	if list := s.Databases(t.Context()); len(list) != 0 {
		t.Errorf("before anything needs one: %+v", list)
	}
	if _, err := s.AddTenant(t.Context(), "red"); err != nil {
		t.Fatal(err)
	}
	s.deployFor("red", "app", withFiles(t, "1.0.0", map[string]string{"schema/remote/more.yaml": "columns: {id: increments}\n"}))
	s.has("POST", "/app/items/x", 201, "")
	list := s.Databases(t.Context())
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for i, name := range []string{"default", "remote"} {
		d := list[i]
		if d.Tenant != "red" || d.Name != name || d.Err != nil || d.Latency <= 0 || d.Connections == 0 || d.InUse != 0 {
			t.Errorf("%+v", d)
		}
	}
	if list[0].Queries == 0 || list[0].Server[:6] != "sqlite" || list[1].Server[:8] != "postgres" {
		t.Errorf("%+v", list)
	}
	server.Kill(t)
	list = s.Databases(t.Context())
	if list[0].Err != nil || list[1].Err == nil {
		t.Errorf("without the server: %v, %v", list[0].Err, list[1].Err)
	}
	server.Start(t)
	testkit.Eventually(t, "the server answers", func() bool { return s.Databases(t.Context())[1].Err == nil })
}
