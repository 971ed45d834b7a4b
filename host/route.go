package host

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/plugins"
)

// table maps host names and path prefixes to deployments. It is immutable: a deploy makes a new one.
type table map[string][]mount // by path prefix without the last slash: "" is the root

type mount struct {
	hosts []string // none is every host name
	dep   *deployment
}

// find gives the deployment with the longest mount that holds the path; among those of one path, one that names the
// host before one that takes all.
func (t table) find(host, path string) *deployment {
	for prefix := strings.TrimSuffix(path, "/"); ; {
		if mounts, ok := t[prefix]; ok {
			if d := pick(mounts, host); d != nil {
				return d
			}
		}
		cut := strings.LastIndexByte(prefix, '/')
		if cut < 0 {
			return nil
		}
		prefix = prefix[:cut]
	}
}

// pick gives the mount that names the host, before the longest wildcard that holds it, before one for every host.
func pick(mounts []mount, host string) *deployment {
	var best *deployment
	longest := -1
	for _, m := range mounts {
		if len(m.hosts) == 0 && longest < 0 {
			best, longest = m.dep, 0
		}
		for _, h := range m.hosts {
			switch {
			case !matchHost(h, host):
			case h[0] != '*':
				return m.dep
			case len(h) > longest:
				best, longest = m.dep, len(h)
			}
		}
	}
	return best
}

// matchHost says whether a host name is the pattern, or below it when it starts with "*.".
func matchHost(pattern, host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return host == pattern
}

// with adds a mount to a copy of the table. Two deployments on one path and host name are an error.
func (t table) with(m plugins.Mount, d *deployment) (table, error) {
	prefix := strings.TrimSuffix(m.Path, "/")
	out := t.without(d)
	for _, other := range out[prefix] {
		if clash, ok := clashOf(other.hosts, m.Hosts); ok {
			return nil, fmt.Errorf("host: %s is mounted at %s for %s already: give %s another mount in plugin.yaml, or remove the other",
				other.dep.key, m.Path, clash, d.key)
		}
	}
	out[prefix] = append(append([]mount(nil), out[prefix]...), mount{hosts: m.Hosts, dep: d})
	return out, nil
}

func clashOf(a, b []string) (string, bool) {
	if len(a) == 0 && len(b) == 0 {
		return "every host name", true
	}
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return x, true
			}
		}
	}
	return "", false
}

// without is a copy of the table without a deployment.
func (t table) without(d *deployment) table {
	out := make(table, len(t)+1)
	for prefix, mounts := range t {
		var kept []mount
		for _, m := range mounts {
			if m.dep != d {
				kept = append(kept, m)
			}
		}
		if kept != nil {
			out[prefix] = kept
		}
	}
	return out
}

// route is one pattern of a revision in its mux.
type route struct {
	rev    *revision
	index  uint32
	names  []string // the pattern's wildcards in order
	socket bool
}

// buildMux makes a revision's mux from what it registered. Patterns are the guest's: what net/http would panic about
// is an error here.
func (r *revision) buildMux() error {
	r.mux = http.NewServeMux()
	prefix := strings.TrimSuffix(r.manifest.Mount.Path, "/")
	if prefix != "" { // the mount without its slash is no path of the plugin's: relative links would break there
		if err := handle(r.mux, prefix, http.HandlerFunc(addSlash)); err != nil {
			return err
		}
	}
	if r.assets != nil {
		if err := handle(r.mux, "GET "+prefix+"/assets/", r.assets); err != nil {
			return err
		}
	}
	if err := r.exportRoutes(prefix); err != nil {
		return err
	}
	for i, rt := range r.registration.Routes {
		names, err := wildcards(rt.Pattern)
		if err != nil {
			return err
		}
		pattern := prefix + rt.Pattern
		if rt.Method != "" {
			pattern = rt.Method + " " + pattern
		}
		if err := handle(r.mux, pattern, &route{rev: r, index: uint32(i), names: names}); err != nil {
			return err
		}
	}
	r.sockets = make(map[string]uint32, len(r.registration.Sockets))
	for i, s := range r.registration.Sockets {
		names, err := wildcards(s.Pattern)
		if err != nil {
			return err
		}
		if err := handle(r.mux, "GET "+prefix+s.Pattern, &route{rev: r, index: uint32(i), names: names, socket: true}); err != nil {
			return err
		}
		r.sockets[s.Pattern] = uint32(i)
	}
	return nil
}

func addSlash(w http.ResponseWriter, r *http.Request) {
	target := url.URL{Path: r.URL.Path + "/", RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, target.String(), http.StatusPermanentRedirect)
}

// handle registers a pattern and turns net/http's panic about a bad or conflicting one into an error.
func handle(mux *http.ServeMux, pattern string, h http.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("host: route %q: %v", pattern, p)
		}
	}()
	mux.Handle(pattern, h)
	return nil
}

// wildcards lists a pattern's wildcard names in order.
func wildcards(pattern string) ([]string, error) {
	if !strings.HasPrefix(pattern, "/") || len(pattern) > abi.MaxMessageBytes>>10 {
		return nil, fmt.Errorf("host: route %q: a pattern starts with a slash, such as /posts/{id}", pattern)
	}
	var names []string
	for rest := pattern; ; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			return names, nil
		}
		end := strings.IndexByte(rest[open:], '}')
		if end < 0 {
			return nil, fmt.Errorf("host: route %q: a { without a }", pattern)
		}
		if name := strings.TrimSuffix(rest[open+1:open+end], "..."); name != "$" {
			names = append(names, name)
		}
		rest = rest[open+end+1:]
	}
}

// params gives the wildcards' values of a matched request, in order.
func (rt *route) params(r *http.Request, into []string) []string {
	for _, name := range rt.names {
		into = append(into, r.PathValue(name))
	}
	return into
}
