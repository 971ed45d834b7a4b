// Command hello is the smallest plugin: one route.
package main

import odac "github.com/odac-run/odachost/sdk"

func init() {
	odac.Get("/{$}", func(c *odac.Ctx) error { return c.Text(200, "Hello, world\n") })
}

func main() {}
