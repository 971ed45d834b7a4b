// Command row is the plugin of the main suite that reads one row by its key, straight and through the cache.
package main

import (
	"time"

	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	odac.Get("/{id}", func(c *odac.Ctx) error { return show(c, odac.DB("items").Where("id", c.Param("id"))) })
	odac.Get("/cached/{id}", func(c *odac.Ctx) error {
		return show(c, odac.DB("items").Where("id", c.Param("id")).Cache(time.Minute))
	})
}

func main() {}

func show(c *odac.Ctx, q odac.Query) error {
	row, err := q.First()
	if err != nil {
		return err
	}
	return c.Text(200, row.String("title")+": "+row.String("body")+"\n")
}
