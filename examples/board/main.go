// Command board is a live message board: posts and replies in the database, pages rendered here, new posts, view counts and the
// number of people over a WebSocket.
package main

import (
	"time"

	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	odac.Use(secure, friendly)

	odac.Get("/{$}", front)
	odac.Post("/posts", createPost)
	odac.Get("/posts/{id}", showPost)
	odac.Post("/posts/{id}/replies", createReply)
	odac.Get("/", func(c *odac.Ctx) error { return c.NotFound() })

	odac.Socket("/live/{page}", odac.SocketHandler{Upgrade: knownPage, Open: joined, Close: left})
	odac.Every("prune", time.Hour, prune)
	odac.Func("stats", stats)
}

func main() {}
