// Command guest does a little of everything that an HTTP event does, and what must not harm an instance.
package main

import (
	"strconv"

	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	odac.Get("/hello/{name}", hello)
	odac.Get("/row/{id}", row)
	odac.Get("/panic", func(*odac.Ctx) error { panic("on purpose") })
	odac.Get("/garbage", garbage)
	odac.Get("/rand", func(c *odac.Ctx) error {
		return c.Text(200, strconv.FormatUint(odac.Rand().Uint64(), 10)+" "+odac.NanoID(0))
	})
	odac.Get("/big", big)
	odac.Func("echo", func(body []byte) ([]byte, error) { return body, nil })
}

func hello(c *odac.Ctx) error { return c.Text(200, "Hello, "+c.Param("name")+"!") }

func row(c *odac.Ctx) error {
	post, err := odac.DB("posts").Where("id", c.Param("id")).First()
	if err != nil {
		return err
	}
	return c.Text(200, post.String("title"))
}

// garbage allocates 1 MiB in small pieces, so that a collection is always under way.
func garbage(c *odac.Ctx) error {
	var list [][]byte
	for range 1024 {
		list = append(list, make([]byte, 1024))
	}
	return c.Text(200, strconv.Itoa(len(list)))
}

// big wants an answer that does not fit the first time.
func big(c *odac.Ctx) error {
	rows, err := odac.DB("big").All()
	if err != nil {
		return err
	}
	return c.Text(200, strconv.Itoa(len(rows[0].String("title"))))
}

func main() {}
