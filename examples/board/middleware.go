package main

import odac "github.com/odac-run/odachost/sdk"

// policy lets a page load its own files and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers of every page, and refuses forms that other sites send.
func secure(next odac.Handler) odac.Handler {
	return func(c *odac.Ctx) error {
		c.SetHeader("Content-Security-Policy", policy)
		c.SetHeader("Referrer-Policy", "same-origin")
		c.SetHeader("X-Content-Type-Options", "nosniff")
		c.SetHeader("Cache-Control", "no-cache")
		if site := c.Header("Sec-Fetch-Site"); c.Method() == "POST" && site != "" && site != "same-origin" && site != "none" {
			return odac.Fail(odac.Denied, "This form came from another site.")
		}
		return next(c)
	}
}

// friendly gives a page to who asks for what is not there.
func friendly(next odac.Handler) odac.Handler {
	return func(c *odac.Ctx) error {
		err := next(c)
		if odac.IsNotFound(err) {
			return send(c, 404, notFoundPage())
		}
		return err
	}
}
