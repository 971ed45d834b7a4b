// Command app uses everything that the host offers.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	odac "github.com/odac-run/odachost/sdk"
)

// state tells fresh instances from warm ones.
var state int

// early is what the host answered before odac_register: the configuration is there, the rest is not.
var (
	early       = odac.Config("greeting")
	_, earlyErr = odac.DB("items").All()
)

func init() {
	fmt.Println("printed at start")
	odac.Get("/early", func(c *odac.Ctx) error { return c.Text(200, fmt.Sprint(early, " ", earlyErr)) })
	odac.Get("/client", func(c *odac.Ctx) error { return c.Text(200, c.Remote()+" "+c.Scheme()) })
	odac.Get("/big", func(c *odac.Ctx) error {
		return c.Text(200, strings.Repeat(odac.Config("greeting")+"\n", 100<<10/(len(odac.Config("greeting"))+1)))
	})
	odac.Get("/{$}", func(c *odac.Ctx) error { return c.Text(200, odac.Config("greeting")) })
	odac.Post("/echo/{word}", func(c *odac.Ctx) error {
		c.SetHeader("X-Word", c.Param("word"))
		c.SetHeader("X-Query", c.Query("q"))
		return c.Bytes(201, c.Header("Content-Type"), c.Body())
	})
	odac.Get("/state", func(c *odac.Ctx) error {
		state++
		return c.Text(200, strconv.Itoa(state))
	})
	odac.Get("/log", func(c *odac.Ctx) error {
		odac.Log.Info("a line", "key", 7)
		fmt.Println("to stdout")
		return c.NoContent()
	})
	odac.Get("/panic", func(*odac.Ctx) error { panic("on purpose") })
	odac.Get("/spin", func(*odac.Ctx) error {
		for {
			state++
		}
	})
	odac.Get("/sleep", func(c *odac.Ctx) error {
		time.Sleep(time.Hour)
		return c.NoContent()
	})
	odac.Get("/alloc", func(c *odac.Ctx) error {
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
			all[len(all)-1][0] = 1
		}
	})
	odac.Get("/header", func(c *odac.Ctx) error {
		c.SetHeader("X-Bad", "a\r\nX-Injected: yes")
		return c.Text(200, "never")
	})
	odac.Get("/status/{n}", func(c *odac.Ctx) error {
		n, _ := strconv.Atoi(c.Param("n"))
		return c.Text(n, "")
	})
	odac.Get("/fetch", fetch)
	items()
	queries()
	sockets()
	odac.Func("echo", func(body []byte) ([]byte, error) { return body, nil })
	odac.Func("hold", hold)
	odac.Func("twice", func(body []byte) ([]byte, error) { return append(body, body...), nil })
	odac.Func("fail", func([]byte) ([]byte, error) { return nil, odac.Fail(odac.Conflict, "no") })
	odac.Every("tick", time.Second, func(odac.Tick) error {
		_, err := odac.DB("items").Where("name", "ticks").Increment("hits", 1)
		return err
	})
}

func main() {}

func items() {
	odac.Post("/items/{name}", func(c *odac.Ctx) error {
		r, err := odac.DB("items").Insert(odac.Map{"name": c.Param("name")})
		if err != nil {
			return err
		}
		return c.Text(201, r.LastID.String())
	})
	odac.Get("/items/{name}", func(c *odac.Ctx) error {
		row, err := odac.DB("items").Where("name", c.Param("name")).First()
		if err != nil {
			return err
		}
		return c.Text(200, strconv.FormatInt(row.Int("hits"), 10))
	})
	odac.Get("/cached/{name}", func(c *odac.Ctx) error {
		row, err := odac.DB("items").Where("name", c.Param("name")).Cache(time.Minute).First()
		if err != nil {
			return err
		}
		return c.Text(200, strconv.FormatInt(row.Int("hits"), 10))
	})
	odac.Post("/hit/{name}", func(c *odac.Ctx) error {
		_, err := odac.DB("items").Where("name", c.Param("name")).Increment("hits", 1)
		return err
	})
	odac.Post("/buffered/{id}", func(c *odac.Ctx) error {
		return odac.DB("items").Where("id", c.Param("id")).Buffer().Increment("hits", 1)
	})
	odac.Post("/buffered-insert/{id}", func(c *odac.Ctx) error {
		_, err := odac.DB("items").Buffer().Insert(odac.Map{"id": c.Param("id"), "name": c.Param("id")})
		return err
	})
	odac.Post("/clear/{table}", func(c *odac.Ctx) error { return odac.ClearCache(strings.TrimPrefix(c.Param("table"), "-")) }) // "-" is every table
	odac.Post("/rename/{name}/{to}", func(c *odac.Ctx) error {
		n, err := odac.DB("items").Where("name", c.Param("name")).Update(odac.Map{"name": c.Param("to")})
		if err != nil {
			return err
		}
		return c.Text(200, strconv.FormatInt(n, 10))
	})
	odac.Post("/fill/{name}", func(c *odac.Ctx) error {
		rows := make([]odac.Map, 100)
		for i := range rows {
			rows[i] = odac.Map{"name": c.Param("name") + strconv.FormatInt(odac.Rand().Int64(), 36)}
		}
		_, err := odac.DB("items").Insert(rows)
		return err
	})
	odac.Post("/delete-all", func(*odac.Ctx) error {
		_, err := odac.DB("items").AllRows().Delete()
		return err
	})
	odac.Get("/star", func(c *odac.Ctx) error {
		rows, err := odac.DB("items").Order("name").All()
		if err != nil {
			return err
		}
		return c.JSON(200, rows)
	})
	odac.Post("/flush", func(*odac.Ctx) error { return odac.FlushBuffer("") })
	odac.Post("/flush/{table}", func(c *odac.Ctx) error { return odac.FlushBuffer(c.Param("table")) })
	odac.Post("/tx/{how}", func(c *odac.Ctx) error {
		err := odac.Tx(func(tx *odac.Transaction) error {
			if _, err := tx.DB("items").Insert(odac.Map{"name": "in-tx"}); err != nil {
				return err
			}
			switch c.Param("how") {
			case "exit":
				os.Exit(3)
			case "spin":
				for {
					state++
				}
			case "outside":
				_, err := odac.DB("items").Insert(odac.Map{"name": "outside"})
				return err
			case "fail":
				return errors.New("changed my mind")
			}
			return nil
		})
		if err != nil && c.Param("how") == "fail" {
			return c.Text(200, "rolled back")
		}
		return err
	})
	// Adds one to a row in a transaction, and in the middle of it waits for an answer from a URL, if there is one.
	odac.Post("/tx-hit/{name}", func(c *odac.Ctx) error {
		var how []odac.TxOption
		if c.Query("serializable") != "" {
			how = append(how, odac.Isolated(odac.Serializable), odac.Attempts(50))
		}
		return odac.Tx(func(tx *odac.Transaction) error {
			row, err := tx.DB("items").Where("name", c.Param("name")).First()
			if err != nil {
				return err
			}
			_, err = tx.DB("items").Where("name", c.Param("name")).Update(odac.Map{"hits": row.Int("hits") + 1})
			if url := c.Query("url"); url != "" && err == nil {
				_, err = odac.Fetch(odac.Request{URL: url})
			}
			return err
		}, how...)
	})
	odac.Post("/note/{body}", func(c *odac.Ctx) error {
		_, err := odac.DB("notes").Buffer().Insert(odac.Map{"body": c.Param("body")})
		return err
	})
	odac.Get("/notes", func(c *odac.Ctx) error {
		bodies, err := odac.DB("notes").Order("id").Pluck("body")
		if err != nil {
			return err
		}
		lines := make([]string, len(bodies))
		for i, body := range bodies {
			lines[i] = body.String()
		}
		return c.Text(200, strings.Join(lines, "\n"))
	})
	odac.Get("/denied", func(*odac.Ctx) error {
		_, err := odac.DB("notes").Where("id", 1).Delete()
		return report(err)
	})
	odac.Get("/unknown", func(*odac.Ctx) error {
		_, err := odac.DB("secrets").All()
		return report(err)
	})
}

// report makes the kind and the text of an error visible to the test.
func report(err error) error {
	if err == nil {
		return nil
	}
	return odac.Fail(odac.Conflict, err.Error())
}

func fetch(c *odac.Ctx) error {
	r, err := odac.Fetch(odac.Request{URL: c.Query("url")})
	if err != nil {
		return report(err)
	}
	return c.Bytes(r.Status, "text/plain", r.Body)
}

func sockets() {
	odac.Socket("/live/{room}", odac.SocketHandler{
		Open: func(s *odac.Conn) error {
			if err := s.Join(s.Param("room")); err != nil {
				return err
			}
			return s.SetData([]byte("0"))
		},
		Message: func(s *odac.Conn, m odac.Message) error {
			n, _ := strconv.Atoi(string(s.Data()))
			n++
			if err := s.SetData([]byte(strconv.Itoa(n))); err != nil {
				return err
			}
			if string(m.Data) == "trap" {
				panic("on purpose")
			}
			if text, ok := strings.CutPrefix(string(m.Data), "all"); ok {
				_, err := odac.Broadcast(s.Param("room"), "to all"+text)
				return err
			}
			return s.SendText(fmt.Sprintf("%d:%s", n, m.Data))
		},
	})
}

// hold keeps as many MiB as its input has bytes, and makes as much garbage ten times over.
func hold(body []byte) ([]byte, error) {
	const piece = 64 << 10
	var kept [][]byte
	for range len(body) * (1 << 20 / piece) {
		kept = append(kept, make([]byte, piece))
	}
	for i := range 10 * len(kept) {
		garbage = make([]byte, piece)
		garbage[0] = kept[i%len(kept)][0]
	}
	return []byte(strconv.Itoa(len(kept) * piece)), nil
}

var garbage []byte
