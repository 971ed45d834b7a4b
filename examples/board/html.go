package main

import (
	"strconv"
	"strings"
	"time"

	odac "github.com/odac-run/odachost/sdk"
)

// html is a page in the making. What the program writes goes in by raw, what visitors wrote by text, which escapes it: safe
// between tags and in quoted attributes. (html/template would do, and make the plugin larger by more than a megabyte.)
type html struct{ b []byte }

func (h *html) raw(parts ...string) *html {
	for _, s := range parts {
		h.b = append(h.b, s...)
	}
	return h
}

func (h *html) text(s string) *html {
	for i := range len(s) {
		switch s[i] {
		case '&':
			h.raw("&amp;")
		case '<':
			h.raw("&lt;")
		case '>':
			h.raw("&gt;")
		case '"':
			h.raw("&#34;")
		case '\'':
			h.raw("&#39;")
		default:
			h.b = append(h.b, s[i])
		}
	}
	return h
}

// attr writes name="value", with a space before it.
func (h *html) attr(name, value string) *html {
	return h.raw(" ", name, `="`).text(value).raw(`"`)
}

func (h *html) number(n int64) *html {
	h.b = strconv.AppendInt(h.b, n, 10)
	return h
}

// time writes an instant; board.js turns it into "2 minutes ago".
func (h *html) time(t time.Time) *html {
	h.raw(`<time datetime="`)
	h.b = t.AppendFormat(h.b, "2006-01-02T15:04:05Z07:00")
	h.raw(`">`)
	h.b = t.AppendFormat(h.b, "2 January 2006, 15:04 MST")
	return h.raw(`</time>`)
}

// paragraphs writes plain text: empty lines part paragraphs, others break lines.
func (h *html) paragraphs(s string) *html {
	for part := range strings.SplitSeq(s, "\n\n") {
		if part = strings.Trim(part, "\n"); part == "" {
			continue
		}
		h.raw("<p>")
		for i, line := range strings.Split(part, "\n") {
			if i > 0 {
				h.raw("<br>")
			}
			h.text(line)
		}
		h.raw("</p>")
	}
	return h
}

func (h *html) String() string { return string(h.b) }

// send answers a page.
func send(c *odac.Ctx, status int, h *html) error {
	return c.Bytes(status, "text/html; charset=utf-8", h.b)
}
