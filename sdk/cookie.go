package odac

import (
	"strconv"
	"strings"
	"time"
)

// Cookie is a cookie to set. Its defaults are the safe ones: the whole host, SameSite=Lax, out of reach of scripts, and
// over HTTPS alone when the request came so.
type Cookie struct {
	// Name and Value are visible ASCII without quotes, commas, semicolons, backslashes and, in the name, without "=".
	Name, Value string
	// Path is "/" when empty.
	Path string
	// Domain opens the cookie to subdomains; empty is this host alone.
	Domain string
	// MaxAge is how long it lives: 0 is the browser's session, less removes the cookie.
	MaxAge time.Duration
	// SameSite is Lax when empty, else Strict or None.
	SameSite string
	// Scripts lets scripts read it.
	Scripts bool
	// Insecure sends it over plain HTTP too when it was set over HTTPS.
	Insecure bool
}

// Cookie is a cookie of the request by name, "" if there is none.
func (c *Ctx) Cookie(name string) string {
	for _, line := range c.Headers().Values("Cookie") {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if key, value, _ := strings.Cut(strings.TrimSpace(pair), "="); key == name {
				return strings.Trim(value, `"`)
			}
		}
	}
	return ""
}

// SetCookie sets a cookie. One that cannot be written as RFC 6265 wants it is an [Invalid] error.
func (c *Ctx) SetCookie(k Cookie) error {
	if k.Name == "" || !cookieText(k.Name, "=") || !cookieText(k.Value, "") || !cookieText(k.Path, "") || !cookieText(k.Domain, "") {
		return newError(Invalid, "cookie "+quote(k.Name)+": want visible ASCII without quotes, commas, semicolons and backslashes")
	}
	s := k.Name + "=" + k.Value + "; Path="
	if k.Path == "" {
		k.Path = "/"
	}
	s += k.Path
	if k.Domain != "" {
		s += "; Domain=" + k.Domain
	}
	if k.MaxAge < 0 {
		s += "; Max-Age=0"
	} else if k.MaxAge > 0 {
		s += "; Max-Age=" + strconv.FormatInt(int64((k.MaxAge+time.Second-1)/time.Second), 10)
	}
	if !k.Scripts {
		s += "; HttpOnly"
	}
	switch k.SameSite {
	case "", "Lax":
		s += "; SameSite=Lax"
	case "Strict", "None":
		s += "; SameSite=" + k.SameSite
	default:
		return newError(Invalid, "cookie "+k.Name+": SameSite is Lax, Strict or None")
	}
	if c.Scheme() == "https" && !k.Insecure {
		s += "; Secure"
	}
	c.AddHeader("Set-Cookie", s)
	return nil
}

func cookieText(s, but string) bool {
	for i := range len(s) {
		if b := s[i]; b <= 0x20 || b >= 0x7f || b == '"' || b == ',' || b == ';' || b == '\\' || strings.IndexByte(but, b) >= 0 {
			return false
		}
	}
	return true
}

func quote(s string) string { return strconv.Quote(s) }
