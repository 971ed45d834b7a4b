package host_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// ear is bell under another name, that may hear and not say, and keeps it in bell's table.
func ear(t *testing.T, db string) (*plugins.Bundle, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.wasm"), bundle(t, "bell").Wasm())
	write(t, filepath.Join(dir, "plugin.yaml"), []byte("name: ear\nversion: 1.0.0\nmount: /ear\nlimits: {queue: 30s}\nconfig: {listen: 'yes'}\ncapabilities:\n  db: "+db+"\n"))
	return plugins.Pack(dir)
}

// lines are what was heard, without those that only tell that somebody listens.
func (s *site) lines(mount string) []string {
	s.t.Helper()
	_, text := s.do("GET", mount+"/heard", "")
	list := slices.DeleteFunc(strings.Fields(text), func(line string) bool { return strings.HasSuffix(line, ":ready") })
	slices.Sort(list)
	return list
}

// hears waits until what is said is heard.
func (s *site) hears(mount, line string) {
	s.t.Helper()
	_, text, _ := strings.Cut(line, ":")
	testkit.Eventually(s.t, line+" is heard", func() bool {
		s.do("POST", mount+"/say/"+text, "")
		_, heard := s.do("GET", mount+"/heard", "")
		return slices.Contains(strings.Fields(heard), line)
	})
}

// What a plugin says on a channel is heard by those of its tenant that listen, and by nobody else.
func TestNotify(t *testing.T) { onServers(t, testNotify) }

func testNotify(t *testing.T, server *server) {
	s := server.open(t)
	if server.db != nil {
		if _, err := s.AddTenant(t.Context(), "blue"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Remove(context.Background(), "blue", "bell", "", ""); err != nil {
				t.Error(err)
			}
			if err := s.RemoveTenant(context.Background(), "blue"); err != nil {
				t.Error(err)
			}
		})
	}
	s.deployFor("red", "bell", bundle(t, "bell"))
	s.deployFor("blue", "bell", bundle(t, "bell", "mount: /bell", "mount: /blue"))
	second, err := ear(t, "{tables: {heard: [insert]}, channels: {orders: [listen]}}")
	if err != nil {
		t.Fatal(err)
	}
	s.deployFor("red", "ear", second)
	s.hears("/bell", "bell:ready")
	s.hears("/bell", "ear:ready")
	s.hears("/blue", "bell:ready")

	s.has("POST", "/bell/say/one", 200, "")
	s.has("POST", "/bell/tx/ok", 200, "")
	s.has("POST", "/bell/tx/fail", 500, "")
	s.has("POST", "/bell/say/trap", 200, "") // which costs nobody else anything
	s.has("POST", "/bell/say/last", 200, "")
	want := strings.Fields("bell:inner-ok bell:last bell:one bell:outer-ok's ear:inner-ok ear:last ear:one ear:outer-ok's")
	testkit.Eventually(t, "all is heard", func() bool { return slices.Equal(s.lines("/bell"), want) })
	if got := s.lines("/blue"); len(got) > 0 {
		t.Errorf("another tenant hears %q", got)
	}
	s.has("POST", "/ear/say/x", 403, "")
	s.has("POST", "/bell/elsewhere", 200, "denied: ")
	s.has("POST", "/bell/long/7900", 200, "said")
	s.has("POST", "/bell/long/7901", 200, "too_large: ")
	s.has("POST", "/bell/bytes", 200, "invalid: ")
	s.has("POST", "/bell/zero", 200, "invalid: ")
	s.has("POST", "/bell/many/1000", 200, "enough")
	s.has("POST", "/bell/many/1001", 200, "limit: ")

	// The next revision does not listen, and the one that does without a grant is refused.
	s.deployFor("red", "bell", bundle(t, "bell", "version: 1.0.0", "version: 1.0.1", "listen: 'yes'", "listen: 'no'"))
	s.hears("/bell", "ear:after")
	if got := s.lines("/bell"); slices.Contains(got, "bell:after") {
		t.Errorf("who listens no more hears %q", got)
	}
	deaf, err := ear(t, "{tables: {heard: [insert]}}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Deploy(t.Context(), deaf, host.DeployOptions{Tenant: "red", Name: "deaf", Approve: true}); err == nil || !strings.Contains(err.Error(), "may not listen to channel orders") {
		t.Errorf("without a grant: %v", err)
	}
	if server.name != "postgres" {
		return
	}

	// A lost connection is made again, and the names of channels tell nobody anything.
	if _, err := server.db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"); err != nil {
		t.Fatal(err)
	}
	s.hears("/bell", "ear:again")
	if !strings.Contains(s.log.String(), "notifications are not heard") {
		t.Error("the log does not say that the connection was lost")
	}
	var visible int
	if err := server.db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE query ~ 'LISTEN .odac_(red|blue|orders)'").Scan(&visible); err != nil || visible > 0 {
		t.Errorf("%d sessions listen on a name that can be guessed, %v", visible, err)
	}
}

// A plugin that sleeps is woken by what it listens to, and after a restart it listens again.
func TestNotifySleeper(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, sleepy)
	s.deploy(bundle(t, "bell"))
	s.asleep()
	s.has("POST", "/bell/say/one", 200, "")
	testkit.Eventually(t, "one is heard", func() bool { return slices.Equal(s.lines("/bell"), []string{"bell:one"}) })
	s.stop()
	s = open(t, dir)
	s.has("POST", "/bell/say/two", 200, "")
	testkit.Eventually(t, "two is heard", func() bool { return slices.Equal(s.lines("/bell"), []string{"bell:one", "bell:two"}) })
}
