package ws

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// originAllowed says whether a browser on the request's Origin may open a socket here (RFC 6455 section 10.2, RFC 6454).
func originAllowed(r *http.Request, allowed []string) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	for _, pattern := range allowed {
		if pattern == "*" {
			return true
		}
	}
	origin, ok := parseOrigin(origins[0])
	if !ok {
		return false
	}
	if allowed == nil {
		return origin.Host == withoutDefaultPort(origin.Scheme, strings.ToLower(r.Host))
	}
	for _, pattern := range allowed {
		if matchOrigin(origin, pattern) {
			return true
		}
	}
	return false
}

// parseOrigin takes scheme://host[:port] and nothing else; "null" is no origin.
func parseOrigin(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, false
	}
	u.Scheme = strings.ToLower(u.Scheme)
	u.Host = withoutDefaultPort(u.Scheme, strings.ToLower(u.Host))
	return u, true
}

func matchOrigin(origin *url.URL, pattern string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		host := origin.Hostname()
		return strings.HasSuffix(host, strings.ToLower(suffix)) && len(host) > len(suffix)
	}
	want, ok := parseOrigin(pattern)
	return ok && want.Scheme == origin.Scheme && want.Host == origin.Host
}

func checkOriginPattern(pattern string) error {
	if pattern == "*" || strings.HasPrefix(pattern, "*.") && len(pattern) > 2 && !strings.Contains(pattern[1:], "*") {
		return nil
	}
	if _, ok := parseOrigin(pattern); !ok || strings.Contains(pattern, "*") {
		return &ConfigError{"Options.Origins", `must be "*", "*.example.com" or "https://app.example.com", not ` + quote(pattern)}
	}
	return nil
}

func withoutDefaultPort(scheme, host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil || !(port == "80" && scheme == "http" || port == "443" && scheme == "https") {
		return host
	}
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}
