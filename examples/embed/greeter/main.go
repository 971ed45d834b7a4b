// Command greeter is the plugin of examples/embed: one function, for HTTP and for the program that has it.
package main

import odac "github.com/odac-run/odachost/sdk"

func init() {
	odac.Get("/{name}", func(c *odac.Ctx) error { return c.Text(200, greeting(c.Param("name"))+"\n") })
	odac.Func("greet", func(name []byte) ([]byte, error) { return []byte(greeting(string(name))), nil })
}

func main() {}

func greeting(name string) string { return odac.ConfigOr("word", "Hello") + ", " + name + "!" }
