// Command bell says and hears things on a channel, and keeps what it heard.
package main

import (
	"errors"
	"strconv"
	"strings"

	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	if odac.Config("listen") == "yes" {
		odac.Listen("orders", func(n odac.Notification) error {
			if n.Payload == "trap" {
				panic("as asked")
			}
			_, err := odac.DB("heard").Insert(odac.Map{"line": odac.Info().Plugin + ":" + n.Payload})
			return err
		})
	}
	odac.Post("/say/{text}", func(c *odac.Ctx) error { return odac.Notify("orders", c.Param("text")) })
	odac.Post("/long/{n}", func(c *odac.Ctx) error {
		n, err := strconv.Atoi(c.Param("n"))
		if err != nil {
			return err
		}
		return answer(c, odac.Notify("orders", strings.Repeat("x", n)))
	})
	odac.Post("/bytes", func(c *odac.Ctx) error { return answer(c, odac.Notify("orders", "\xff")) })
	odac.Post("/zero", func(c *odac.Ctx) error { return answer(c, odac.Notify("orders", "a\x00b")) })
	odac.Post("/elsewhere", func(c *odac.Ctx) error { return answer(c, odac.Notify("secrets", "x")) })
	odac.Post("/tx/{how}", func(c *odac.Ctx) error {
		return odac.Tx(func(tx *odac.Transaction) error {
			how := c.Param("how")
			if err := tx.Notify("orders", "outer-"+how+"'s"); err != nil {
				return err
			}
			_ = tx.Tx(func(tx *odac.Transaction) error {
				return errors.Join(tx.Notify("orders", "undone-"+how), errors.New("back"))
			})
			err := tx.Tx(func(tx *odac.Transaction) error { return tx.Notify("orders", "inner-"+how) })
			if how == "fail" {
				return errors.New("as asked")
			}
			return err
		})
	})
	odac.Post("/many/{n}", func(c *odac.Ctx) error {
		n, err := strconv.Atoi(c.Param("n"))
		if err != nil {
			return err
		}
		return answer(c, odac.Tx(func(tx *odac.Transaction) error {
			for range n {
				if err := tx.Notify("orders", "many"); err != nil {
					return err
				}
			}
			return errors.New("enough")
		}))
	})
	odac.Get("/heard", func(c *odac.Ctx) error {
		rows, err := odac.DB("heard").Order("id").All()
		if err != nil {
			return err
		}
		lines := make([]string, len(rows))
		for i, row := range rows {
			lines[i] = row.String("line")
		}
		return c.Text(200, strings.Join(lines, " "))
	})
}

func answer(c *odac.Ctx, err error) error {
	if err != nil {
		return c.Text(200, odac.KindOf(err).Kind()+": "+err.Error())
	}
	return c.Text(200, "said")
}

func main() {}
