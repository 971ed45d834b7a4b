package odac

import (
	"strings"

	"github.com/odac-run/odachost/sdk/internal/slab"
)

// Ctx is one HTTP request and the answer to it. It belongs to one event.
type Ctx struct {
	ev      message
	pattern string
	form    Values
	formErr error
	parsed  bool

	status  int
	header  Header
	pairs   [16]string // what header begins with
	body    []byte
	written bool
}

// contexts are for events. A handler may keep its context, which a later event then does not get.
var contexts slab.Slab[Ctx]

// Method is the request's method, in capitals.
func (c *Ctx) Method() string { return c.ev.str(fieldMethod) }

// Path is the path below the plugin's mount. It starts with a slash.
func (c *Ctx) Path() string { return c.ev.str(fieldPath) }

// Pattern is the pattern of the route.
func (c *Ctx) Pattern() string { return c.pattern }

// Param is the value of a wildcard of the pattern, "" if there is none of that name.
func (c *Ctx) Param(name string) string { return c.ev.param(c.pattern, name) }

// Query is a parameter of the URL's query, the first of that name.
func (c *Ctx) Query(name string) string { return queryValue(c.ev.str(fieldQuery), name) }

// QueryValues are all parameters of the URL's query. What is malformed is left out.
func (c *Ctx) QueryValues() Values {
	v, _ := parseValues(c.ev.str(fieldQuery))
	return v
}

// RawQuery is the URL's query as it came.
func (c *Ctx) RawQuery() string { return c.ev.str(fieldQuery) }

// Form is a field of an urlencoded form in the body, the first of that name; "" when there is none or the form is bad,
// which [Ctx.FormValues] tells apart.
func (c *Ctx) Form(name string) string {
	v, _ := c.FormValues()
	return v.Get(name)
}

// FormValues are the fields of an urlencoded form in the body, at most a thousand. Another content type is an [Unsupported]
// error.
func (c *Ctx) FormValues() (Values, error) {
	if c.parsed {
		return c.form, c.formErr
	}
	c.parsed = true
	kind, _, _ := strings.Cut(c.Header("Content-Type"), ";")
	if !equalFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		c.formErr = &Error{Kind: Unsupported, Public: "Please send the form as application/x-www-form-urlencoded."}
		return nil, c.formErr
	}
	c.form, c.formErr = parseValues(viewString(c.ev.bytes(fieldBody)))
	return c.form, c.formErr
}

// Bind decodes a JSON body into v, as encoding/json does. What does not fit is an [Invalid] error; fields that v does not
// have are ignored.
func (c *Ctx) Bind(v any) error { return decodeJSON(c.ev.bytes(fieldBody), v) }

// Body is the request's body.
func (c *Ctx) Body() []byte { return c.ev.bytes(fieldBody) }

// Header is a header of the request, the first of that name.
func (c *Ctx) Header(name string) string { return c.ev.header(name) }

// Headers are the headers of the request.
func (c *Ctx) Headers() Header { return Header(c.ev.list(fieldHeader)) }

// Host is the host that the client asked for, with the port if it said one.
func (c *Ctx) Host() string { return c.ev.str(fieldHost) }

// Scheme is http or https.
func (c *Ctx) Scheme() string { return c.ev.str(fieldScheme) }

// Remote is the client's address without port.
func (c *Ctx) Remote() string { return c.ev.str(fieldRemote) }

// RequestID names the request in the host's log.
func (c *Ctx) RequestID() string { return c.ev.str(fieldID) }

// URL is the path that browsers use for a path of this plugin: the mount, then path.
func (c *Ctx) URL(path string) string { return URL(path) }

// nextWildcard cuts the first wildcard's name out of a pattern.
func nextWildcard(pattern string) (name, rest string, ok bool) {
	_, rest, ok = strings.Cut(pattern, "{")
	name, rest, _ = strings.Cut(rest, "}")
	return strings.TrimSuffix(name, "..."), rest, ok
}
