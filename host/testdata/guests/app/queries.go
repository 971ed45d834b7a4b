package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	odac "github.com/odac-run/odachost/sdk"
)

// queries has a route for each way of asking the database.
func queries() {
	odac.Get("/nested/{table}", func(c *odac.Ctx) error {
		rows, err := odac.DB("items as i").With("busy", odac.DB("items").Where("hits", ">", 0)).
			Select("i.name", odac.Sub(odac.DB(c.Param("table")+" as n").WhereColumn("n.item_id", "=", "i.id").Select(odac.Count("*"))).As("notes")).
			WhereIn("i.id", odac.DB("busy").Select("id")).WhereExists(odac.DB(c.Param("table")).WhereColumn("item_id", "=", "i.id")).
			Order("i.name").Cache(time.Minute).All()
		if err != nil {
			return err
		}
		var out []string
		for _, r := range rows {
			out = append(out, r.String("name")+"="+r.String("notes"))
		}
		return c.Text(200, strings.Join(out, " "))
	})
	odac.Post("/notes/{item}", func(c *odac.Ctx) error {
		_, err := odac.SQL("INSERT INTO notes (item_id, body) SELECT id, :body FROM items WHERE name = :item", odac.Map{"item": c.Param("item"), "body": "x"}).Exec()
		return err
	})
	odac.Post("/sql", func(c *odac.Ctx) error {
		s := odac.SQL(string(c.Body()))
		if c.Query("cache") != "" {
			s = s.Cache(time.Minute)
		}
		r, err := s.Exec()
		if err != nil {
			return c.Text(odac.KindOf(err).Status(), odac.KindOf(err).Kind()+": "+err.Error())
		}
		return c.Text(200, strconv.Itoa(len(r.Rows))+" "+strconv.FormatInt(r.Affected, 10)+" "+strconv.FormatBool(r.Cached))
	})
	odac.Post("/batch/{n}", func(c *odac.Ctx) error {
		var b odac.Batch
		b.Insert(odac.DB("items"), odac.Map{"name": "batch" + c.Param("n")})
		b.Update(odac.DB("items").Where("name", "batch1"), odac.Map{"hits": odac.Add(5)})
		b.Select(odac.DB("items").Where("name", "batch1"))
		results, err := b.Run()
		if err != nil {
			return err
		}
		return c.Text(200, results[0].LastID.String()+" "+results[2].Rows[0].String("hits"))
	})
	odac.Post("/savepoint", func(c *odac.Ctx) error {
		return odac.Tx(func(tx *odac.Transaction) error {
			if _, err := tx.DB("items").Insert(odac.Map{"name": "outer"}); err != nil {
				return err
			}
			err := tx.Tx(func(tx *odac.Transaction) error {
				_, _ = tx.DB("items").Insert(odac.Map{"name": "inner"})
				return errors.New("undone")
			})
			if err == nil || err.Error() != "undone" {
				return errors.New("the error was lost")
			}
			_, err = tx.DB("items").Where("name", "outer").ForUpdate().First()
			return err
		}, odac.Isolated(odac.Serializable))
	})
	odac.Post("/many/{n}", func(c *odac.Ctx) error {
		n, _ := strconv.Atoi(c.Param("n"))
		rows := make([]odac.Map, n)
		for i := range rows {
			rows[i] = odac.Map{"name": "many" + strconv.Itoa(i)}
		}
		_, err := odac.DB("items").Insert(rows)
		return err
	})
	odac.Get("/stream", func(c *odac.Ctx) error {
		seen := 0
		for row, err := range odac.DB("items").Order("id").Stream() {
			if err != nil {
				return err
			}
			if len(row.String("name")) > 0 {
				seen++
			}
		}
		for range odac.DB("items").Stream() {
			break
		}
		return c.Text(200, strconv.Itoa(seen))
	})
	odac.Get("/pages/{size}", func(c *odac.Ctx) error {
		size, _ := strconv.Atoi(c.Param("size"))
		seen, next := map[string]bool{}, c.Query("next")
		for pages := 1; ; pages++ {
			p, err := odac.DB("items").Order("hits desc", "name").Page(size, next)
			if err != nil {
				return err
			}
			for _, r := range p.Rows {
				seen[r.String("name")] = true
			}
			if next = p.Next; next == "" {
				return c.Text(200, strconv.Itoa(pages)+" "+strconv.Itoa(len(seen)))
			}
		}
	})
}
