package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host"
)

// A guest that cannot be loaded gets an error that names what is wrong and what to do about it, and the revision before it
// serves on.
func TestBadGuests(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(page(t, "good").bundle(t, "tiny", ""))
	registration := func(r abi.Registration) tiny {
		r.ABI = abi.Version
		return tiny{registration: encoded(t, &r)}
	}
	routes := func(n int, pattern string) (all []abi.Route) {
		for i := range n {
			all = append(all, abi.Route{Method: "GET", Pattern: fmt.Sprintf(pattern, i)})
		}
		return all
	}
	for _, c := range []struct {
		name     string
		guest    tiny
		manifest string
		want     []string
	}{
		{"no odac_register", tiny{lacks: "odac_register"}, "", []string{"odac_register", "build the plugin with the SDK"}},
		{"no odac_event", tiny{lacks: "odac_event"}, "", []string{"odac_event", "build the plugin with the SDK"}},
		{"newer module", tiny{imports: [][2]string{{"odac:db/v2", "query"}}}, "", []string{"odac:db/v2", "update odachost"}},
		{"newer function", tiny{imports: [][2]string{{"odac:core/v1", "teleport"}}}, "", []string{"odac:core/v1.teleport", "update odachost"}},
		{"not granted", tiny{imports: [][2]string{{"odac:db/v1", "query"}}}, "", []string{"odac:db/v1.query", "db: {tables:"}},
		{"unknown module", tiny{imports: [][2]string{{"env", "abort"}}}, "", []string{"env.abort", "env"}},
		{"another signature", tiny{imports: [][2]string{{"extism:host/env", "alloc"}}}, "", []string{"extism:host/env.alloc", "signature"}},
		{"newer ABI", tiny{registration: encoded(t, &abi.Registration{ABI: 2, SDK: "0.9.0"})}, "", []string{"ABI 2", "0.9.0", "update odachost"}},
		{"older ABI", tiny{registration: encoded(t, &abi.Registration{ABI: 0})}, "", []string{"ABI 0", "newer SDK"}},
		{"garbage", tiny{registration: []byte{0xc1, 0xff}}, "", []string{"odac_register", "malformed"}},
		{"a list that lies", tiny{registration: []byte{0x81, 0xa2, 'r', 't', 0xdd, 0xff, 0xff, 0xff, 0xff}}, "", []string{"odac_register", "malformed"}},
		{"no registration", tiny{registration: []byte{}}, "", []string{"odac_register", "malformed"}},
		{"endless init", tiny{initialize: codeForever}, "limits: {start: 50ms}", []string{"limits.start"}},
		{"endless register", tiny{register: codeForever}, "limits: {start: 50ms}", []string{"limits.start"}},
		{"endless warm-up", tiny{event: codeForever}, "limits: {start: 50ms}", []string{"limits.start"}},
		{"trap in init", tiny{initialize: codeTrap}, "", []string{"_initialize", "unreachable"}},
		{"trap in register", tiny{register: codeTrap}, "", []string{"odac_register", "unreachable"}},
		{"trap in warm-up", tiny{event: codeTrap}, "", []string{"odac_event", "unreachable"}},
		{"memory without end", tiny{register: codeAllocate}, "limits: {memory: 16MiB}", []string{"limits.memory"}},
		{"conflict", registration(abi.Registration{Routes: []abi.Route{{Pattern: "/a/{x}"}, {Pattern: "/a/{y}"}}}), "", []string{"/a/{y}", "conflict"}},
		{"no slash", registration(abi.Registration{Routes: []abi.Route{{Pattern: "a"}}}), "", []string{`"a"`, "slash"}},
		{"bad wildcard", registration(abi.Registration{Routes: []abi.Route{{Pattern: "/{a b}"}}}), "", []string{"/{a b}"}},
		{"open wildcard", registration(abi.Registration{Routes: []abi.Route{{Pattern: "/{a"}}}), "", []string{"/{a"}},
		{"bad method", registration(abi.Registration{Routes: []abi.Route{{Method: "G(T", Pattern: "/"}}}), "", []string{"G(T"}},
		{"too many routes", registration(abi.Registration{Routes: routes(10_000, "/r%d")}), "", []string{"10000 routes", "4096"}},
		{"bad cron", registration(abi.Registration{Schedules: []abi.Schedule{{Name: "nightly", Cron: "0 25 * * *"}}}), "", []string{"nightly", "0 25 * * *"}},
		{"cron with a zone", registration(abi.Registration{Schedules: []abi.Schedule{{Name: "nightly", Cron: "TZ=UTC"}}}), "", []string{"nightly", "UTC"}},
		{"cron and interval", registration(abi.Registration{Schedules: []abi.Schedule{{Name: "both", Every: 1000, Cron: "* * * * *"}}}), "", []string{"both"}},
		{"too often", registration(abi.Registration{Schedules: []abi.Schedule{{Name: "often", Every: 1}}}), "", []string{"often", "one second"}},
		{"too seldom", registration(abi.Registration{Schedules: []abi.Schedule{{Name: "seldom", Every: 1 << 62}}}), "", []string{"seldom", "one year"}},
		{
			"origin not granted", registration(abi.Registration{Sockets: []abi.Socket{{Pattern: "/live", Origins: []string{"evil.example"}}}}),
			"capabilities: {ws: true}",
			[]string{"/live", "evil.example", "ws: {origins:"},
		},
		{"socket not granted", registration(abi.Registration{Sockets: []abi.Socket{{Pattern: "/live"}}}), "", []string{"/live", "ws: true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Deploy(t.Context(), c.guest.bundle(t, "tiny", c.manifest), host.DeployOptions{Approve: true})
			if err == nil {
				t.Fatal("it was deployed")
			}
			if !strings.HasPrefix(err.Error(), "host: plugin tiny: ") {
				t.Errorf("the error does not name the plugin: %v", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want %q in it", err, part)
				}
			}
			s.want("GET", "/tiny/", "", 200, "good")
		})
	}
	if all := s.Plugins(); len(all) != 1 || all[0].Err != nil || all[0].Pool.InUse != 0 {
		t.Errorf("afterwards: %+v", all)
	}
}

// As many routes as are allowed, of the kind that is dearest to check.
func TestManyRoutes(t *testing.T) {
	s := open(t, t.TempDir())
	r := abi.Registration{ABI: abi.Version}
	for i := range abi.MaxRoutes {
		r.Routes = append(r.Routes, abi.Route{Method: "GET", Pattern: fmt.Sprintf("/{a}/{b}/r%d", i)})
	}
	s.deploy(tiny{registration: encoded(t, &r), answer: encoded(t, &abi.HTTPResponse{Body: []byte("one of many")})}.bundle(t, "tiny", ""))
	s.want("GET", fmt.Sprintf("/tiny/x/y/r%d", abi.MaxRoutes-1), "", 200, "one of many")
}

// A module that changes a table at start has no image: its instances start anew, and what the first registered holds.
func TestGuestWithoutImage(t *testing.T) {
	s := open(t, t.TempDir())
	g := page(t, "no image")
	g.table, g.register = true, codeTableSet
	s.deploy(g.bundle(t, "tiny", ""))
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 10 {
				if status, text := s.do("GET", "/tiny/", ""); status != 200 || text != "no image" {
					t.Errorf("got %d %q", status, text)
				}
			}
		}()
	}
	for range 8 {
		<-done
	}
	if p := s.Plugins()[0]; p.Routes != 2 || p.Pool.Created < 80 {
		t.Errorf("afterwards: %+v", p)
	}
}

// What a guest prints while it starts is in the log: there stands why a start-up failed.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	b := page(t, "good").bundle(t, "tiny", "")
	for _, o := range []host.DeployOptions{{Tenant: "../../evil"}, {Tenant: "a/b"}, {Name: "../x"}, {Name: "A"}} {
		if _, err := s.Deploy(t.Context(), b, o); err == nil {
			t.Errorf("deployed as %s/%s", o.Tenant, o.Name)
		}
	}
	if all := s.Plugins(); len(all) != 0 {
		t.Errorf("afterwards: %+v", all)
	}
}
