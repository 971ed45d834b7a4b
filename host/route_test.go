package host

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/odac-run/odachost/plugins"
)

// mounted makes a table of deployments, each "name path host host".
func mounted(t *testing.T, lines ...string) (table, error) {
	t.Helper()
	var all table
	for _, line := range lines {
		f := strings.Fields(line)
		next, err := all.with(plugins.Mount{Path: f[1], Hosts: f[2:]}, &deployment{key: key{"t", f[0]}})
		if err != nil {
			return all, err
		}
		all = next
	}
	return all, nil
}

func TestFind(t *testing.T) {
	lines := []string{
		"root /", "blog /blog", "deep /blog/admin", "shop / shop.example.org", "any / *.example.org", "fr / *.fr.example.org",
		"shopblog /blog shop.example.org",
	}
	reversed := make([]string, 0, len(lines))
	for _, line := range lines {
		reversed = append([]string{line}, reversed...)
	}
	for _, order := range [][]string{lines, reversed} {
		all, err := mounted(t, order...)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ host, path, want string }{
			{"x", "/", "root"},
			{"x", "", "root"},
			{"x", "/bloggers", "root"},
			{"x", "/blog", "blog"},
			{"x", "/blog/", "blog"},
			{"x", "/blog//", "blog"},
			{"x", "/blog/a/b/c", "blog"},
			{"x", "/blog/admin", "deep"},
			{"x", "/blog/admin/", "deep"},
			{"x", "/blog/administrator", "blog"},
			{"shop.example.org", "/", "shop"},
			{"SHOP.Example.ORG.:8080", "/x", "shop"},
			{"shop.example.org", "/blog/x", "shopblog"},
			{"www.example.org", "/", "any"},
			{"a.b.example.org:1", "/", "any"},
			{"example.org", "/", "root"},
			{"badexample.org", "/", "root"},
			{"a.fr.example.org", "/", "fr"},
			{"fr.example.org", "/", "any"},
			{"[::1]:80", "/", "root"},
			{"", "/", "root"},
			{"a.example.org", "/blog/admin/x", "deep"},
		} {
			got := "nobody"
			if d := all.find(c.host, c.path); d != nil {
				got = d.key.name
			}
			if got != c.want {
				t.Errorf("%s%s: %s, want %s (order %q)", c.host, c.path, got, c.want, order[0])
			}
		}
	}
	none, _ := mounted(t, "blog /blog", "shop / shop.example.org")
	for _, path := range []string{"/", "", "*", "/blo", "x"} {
		if d := none.find("x", path); d != nil {
			t.Errorf("%q: %s, want nobody", path, d.key)
		}
	}
}

func TestClash(t *testing.T) {
	for _, c := range []struct {
		a, b string
		bad  string
	}{
		{"a /", "b /", "every host name"},
		{"a /x", "b /x", "every host name"},
		{"a /x", "b /x/y", ""},
		{"a / one.org", "b / two.org", ""},
		{"a / one.org two.org", "b / two.org", "two.org"},
		{"a / one.org", "b /", ""},
		{"a / *.one.org", "b / x.one.org", ""},
		{"a / *.one.org", "b / *.one.org", "*.one.org"},
	} {
		_, err := mounted(t, c.a, c.b)
		if c.bad == "" && err != nil || c.bad != "" && (err == nil || !strings.Contains(err.Error(), c.bad) || !strings.Contains(err.Error(), "t/a")) {
			t.Errorf("%s and %s: %v, want %q", c.a, c.b, err, c.bad)
		}
	}
}

// A table does not change: who reads the old one sees what was there.
func TestTableIsImmutable(t *testing.T) {
	d := &deployment{key: key{"t", "a"}}
	before, _ := mounted(t, "b /b", "c / one.org")
	after, err := before.with(plugins.Mount{Path: "/"}, d)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := after.with(plugins.Mount{Path: "/elsewhere"}, d)
	if err != nil {
		t.Fatal(err)
	}
	gone := moved.without(d)
	for i, c := range []struct {
		in   table
		path string
		want bool
	}{{before, "/", false}, {after, "/", true}, {moved, "/", false}, {moved, "/elsewhere", true}, {gone, "/elsewhere", false}} {
		if got := c.in.find("x", c.path) == d; got != c.want {
			t.Errorf("%d: %t, want %t", i, got, c.want)
		}
	}
	if gone.find("x", "/b") == nil || len(gone) != len(before) {
		t.Error("the others are not there any more")
	}
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"/", ""},
		{"/{$}", ""},
		{"/a/{id}", "id"},
		{"/{a}/x/{b}/{rest...}", "a b rest"},
		{"/{a}/{$}", "a"},
		{"", "error"},
		{"a", "error"},
		{"GET /", "error"},
		{"/{a", "error"},
		{"/" + strings.Repeat("a", 1<<20), "error"},
	} {
		names, err := wildcards(c.pattern)
		got := strings.Join(names, " ")
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%.40s: %q, want %q", c.pattern, got, c.want)
		}
	}
}

func TestPublic(t *testing.T) {
	for _, ip := range []string{
		"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
		"0.0.0.0", "0.1.2.3", "255.255.255.255", "240.0.0.1", "224.0.0.1", "239.255.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1",
		"198.19.255.255", "198.51.100.1", "203.0.113.9",
		"::", "::1", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
		"2002:7f00:1::1", "2001::1", "2001:db8::1", "100::1", "3fff::1", "5f00::1",
	} {
		if err := refusePrivate("tcp", netip.AddrPortFrom(netip.MustParseAddr(ip), 80).String(), nil); err == nil {
			t.Errorf("%s is taken for public", ip)
		}
	}
	for _, ip := range []string{
		"1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1", "192.0.1.1", "198.17.255.255",
		"198.20.0.1", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8",
	} {
		if err := refusePrivate("tcp", netip.AddrPortFrom(netip.MustParseAddr(ip), 443).String(), nil); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
	for _, address := range []string{"", "localhost:80", "1.1.1.1", "/run/socket"} {
		if refusePrivate("tcp", address, nil) == nil {
			t.Errorf("%q is taken for public", address)
		}
	}
}
