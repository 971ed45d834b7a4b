// Command guest is the plugin that the commands' tests deploy.
package main

import (
	"fmt"

	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	odac.Get("/{$}", func(c *odac.Ctx) error { return c.Text(200, odac.Config("greeting")) })
	odac.Get("/notes", list)
	odac.Post("/notes/{text}", func(c *odac.Ctx) error { return add(c.Param("text")) })
	odac.Get("/slow", slow)
	odac.Get("/fail", func(*odac.Ctx) error { return odac.Errorf(odac.Internal, "on purpose\x1b[2J") })
	odac.Socket("/live", odac.SocketHandler{
		Message: func(c *odac.Conn, m odac.Message) error { return c.SendText(odac.Config("greeting") + " " + m.Text()) },
	})
	odac.Func("echo", func(body []byte) ([]byte, error) { return body, nil })
	odac.Func("add", func(body []byte) ([]byte, error) { return nil, add(string(body)) })
	odac.Func("refuse", func([]byte) ([]byte, error) { return nil, odac.Fail(odac.Invalid, "not like this") })
}

func main() {}

func add(text string) error {
	_, err := odac.DB("notes").Insert(odac.Map{"text": text})
	return err
}

func list(c *odac.Ctx) error {
	notes, err := odac.DB("notes").Order("id").All()
	if err != nil {
		return err
	}
	text := ""
	for _, n := range notes {
		text += n.String("text") + "\n"
	}
	return c.Text(200, text)
}

// slow answers when somebody has added the note "go". It says in another note that it waits.
func slow(c *odac.Ctx) error {
	if err := add("waiting"); err != nil {
		return err
	}
	for {
		n, err := odac.DB("notes").Where("text", "go").Count()
		if err != nil || n > 0 {
			return c.Text(200, fmt.Sprintln("went", err))
		}
	}
}
