// Command column knows one column of a table by the name that its configuration says, as the revisions before and after a rename do.
package main

import (
	"errors"
	"strings"

	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	column := odac.Config("column")
	odac.Post("/{value}", func(c *odac.Ctx) error {
		if _, err := odac.DB("lines").Insert(odac.Map{column: c.Param("value"), "n": 1}); err != nil {
			return err
		}
		return c.NoContent()
	})
	odac.Get("/all", func(c *odac.Ctx) error {
		rows, err := odac.DB("lines").Select(column).Order("id").All()
		if err != nil {
			return err
		}
		var list []string
		for _, row := range rows {
			list = append(list, row.String(column))
		}
		return c.Text(200, strings.Join(list, " "))
	})
	odac.Get("/fail", func(*odac.Ctx) error { return errors.New("as asked") })
	odac.Func("health", func([]byte) ([]byte, error) {
		if odac.Config("health") != "good" {
			return nil, errors.New("not well")
		}
		return nil, nil
	})
}

func main() {}
