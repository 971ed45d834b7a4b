package odac

import (
	"io"
	"strings"

	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Template is what renders a page: a template of html/template, or anything of its shape.
type Template interface {
	Execute(w io.Writer, data any) error
}

// Status sets the answer's status. Without it an answer is 200.
func (c *Ctx) Status(status int) {
	c.status, c.written = status, true
}

// SetHeader sets a header of the answer.
func (c *Ctx) SetHeader(name, value string) { c.header.Set(name, value) }

// AddHeader adds a value to a header of the answer.
func (c *Ctx) AddHeader(name, value string) { c.header.Add(name, value) }

// Text answers plain text.
func (c *Ctx) Text(status int, text string) error {
	c.reply(status, "text/plain; charset=utf-8")
	c.body = append(c.body, text...)
	return nil
}

// HTML answers a page that is written out already. Nothing is escaped: for what visitors wrote use [Ctx.Render].
func (c *Ctx) HTML(status int, page string) error {
	c.reply(status, "text/html; charset=utf-8")
	c.body = append(c.body, page...)
	return nil
}

// Render answers a page made by a template. When the template fails nothing of it is sent.
func (c *Ctx) Render(status int, page Template, data any) error {
	w := &writer{b: c.body[:0]}
	err := page.Execute(w, data)
	c.body = w.b[:0]
	if err != nil {
		return &Error{Kind: Internal, Text: "render", Err: err}
	}
	c.reply(status, "text/html; charset=utf-8")
	c.body = w.b
	return nil
}

// JSON answers a value as JSON.
func (c *Ctx) JSON(status int, v any) error {
	body, err := appendJSON(c.body[:0], v)
	c.body = body[:0]
	if err != nil {
		return &Error{Kind: Internal, Text: "answer JSON", Err: err}
	}
	c.reply(status, "application/json")
	c.body = body
	return nil
}

// Bytes answers data of a content type.
func (c *Ctx) Bytes(status int, contentType string, data []byte) error {
	c.reply(status, contentType)
	c.body = append(c.body, data...)
	return nil
}

// NoContent answers 204.
func (c *Ctx) NoContent() error {
	c.Status(204)
	c.body = c.body[:0]
	return nil
}

// NotFound is the error that becomes a 404: return c.NotFound().
func (c *Ctx) NotFound() error { return &Error{Kind: NotFound} }

// Redirect answers 303 to a path of this plugin: the browser goes there with GET. The mount is put before it. A path that
// would lead to another host is an error, so a path that came from a visitor is safe here.
func (c *Ctx) Redirect(path string) error {
	if !isLocal(path) {
		return &Error{Kind: Invalid, Text: "redirect to " + quote(path) + ": want a path of this plugin that starts with one slash; RedirectTo takes any location"}
	}
	return c.RedirectTo(303, URL(path))
}

// RedirectTo answers a redirect to any location, as it is: never pass it what a visitor wrote.
func (c *Ctx) RedirectTo(status int, location string) error {
	if status < 300 || status > 399 {
		return newError(Internal, "redirect with a status that is not 3xx")
	}
	c.Status(status)
	c.body = c.body[:0]
	c.SetHeader("Location", location)
	return nil
}

// isLocal says whether browsers read path as a path on the same host.
func isLocal(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return false
	}
	for i := range len(path) {
		if path[i] < 0x20 || path[i] == '\\' || path[i] == 0x7f {
			return false
		}
	}
	return true
}

// reply starts an answer over.
func (c *Ctx) reply(status int, contentType string) {
	c.Status(status)
	c.body = c.body[:0]
	if c.header.Get("Content-Type") == "" {
		c.header.Add("Content-Type", contentType)
	}
}

// fail answers an error: its status, and a text that a visitor may read. What that text leaves out goes to the log.
func (c *Ctx) fail(err error) {
	kind, public := KindOf(err), ""
	if e, ok := err.(*Error); ok { //nolint:errorlint // only the outermost error speaks to visitors
		public = e.Public
	}
	status := kind.Status()
	if status < 400 {
		status = 500
	}
	if status >= 500 || public == "" && kind != NotFound {
		wire.Stderr("error: " + c.Method() + " " + c.Path() + ": " + err.Error())
	}
	if public == "" {
		public = StatusText(status)
		if id := c.RequestID(); id != "" && kind != NotFound {
			public += " (" + id + ")"
		}
	}
	c.header = c.header[:0]
	c.reply(status, "text/plain; charset=utf-8")
	c.body = append(append(c.body, public...), '\n')
	c.header.Add("Cache-Control", "no-store")
}
