package main

import (
	"strings"

	odac "github.com/odac-run/odachost/sdk"
)

// everybody is the room of all who look at a page of the board.
const everybody odac.Room = "everybody"

// frontRoom is that of the front page.
var frontRoom = pageRoom("front")

func pageRoom(page string) odac.Room { return odac.Room("page:" + page) }

// update is what browsers are told; board.js knows the types.
type update struct {
	Type  string `json:"type"`
	ID    string `json:"id,omitempty"`
	HTML  string `json:"html,omitempty"`
	Count int    `json:"count,omitempty"`
}

// tell sends an update. Nothing depends on it: who missed it sees it on the next load.
func tell(room odac.Room, u update) {
	if _, err := room.SendJSON(u); err != nil {
		odac.Log.Warn("tell "+string(room), "type", u.Type, "error", err)
	}
}

// knownPage admits sockets for pages that there can be: the front page and a nanoid.
func knownPage(c *odac.Ctx) error {
	page := c.Param("page")
	if len(page) > 40 || strings.Trim(page, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") != "" {
		return c.NotFound()
	}
	return nil
}

func joined(c *odac.Conn) error {
	if err := c.Join(string(everybody)); err != nil {
		return err
	}
	if err := c.Join(string(pageRoom(c.Param("page")))); err != nil {
		return err
	}
	return tellPresence()
}

func left(*odac.Conn, int, string) error { return tellPresence() }

// tellPresence tells everybody how many they are. Who turns a page leaves and joins in the same moment, in two instances: the one that
// tells last looks again, so that no older number stays.
func tellPresence() error {
	n, err := everybody.Count()
	for range 3 {
		if err != nil {
			return err
		}
		tell(everybody, update{Type: "people", Count: n})
		told := n
		if n, err = everybody.Count(); n == told {
			return err
		}
	}
	return err
}
