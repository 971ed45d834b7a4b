// Command shuffle registers its routes in another order each time that it starts, and with chance: true others.
package main

import odac "github.com/odac-run/odachost/sdk"

func init() {
	routes := map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true, "f": true, "g": true, "h": true}
	for name := range routes {
		odac.Get("/"+name, func(c *odac.Ctx) error { return c.Text(200, name) })
	}
	if odac.Config("chance") == "true" {
		odac.Get("/"+odac.NanoID(0), func(c *odac.Ctx) error { return c.NoContent() })
	}
}

func main() {}
