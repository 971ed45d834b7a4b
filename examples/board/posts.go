package main

import (
	"encoding/json"
	"strconv"
	"time"

	odac "github.com/odac-run/odachost/sdk"
)

const (
	perPage  = 20
	maxPages = 500
	// frontTTL is how long the front page's rows may come from the cache. Writes clear them at once; this bounds how
	// far behind the view counts, which are buffered, may be.
	frontTTL = 10 * time.Second
)

// post is a row of posts.
type post struct {
	ID, Name, Text string
	Views, Replies int64
	CreatedAt      time.Time
}

// reply is a row of replies.
type reply struct {
	ID, Name, Text string
	CreatedAt      time.Time
}

func postOf(r odac.Row) post {
	return post{
		ID: r.String("id"), Name: r.String("name"), Text: r.String("text"),
		Views: r.Int("views"), Replies: r.Int("replies"), CreatedAt: r.Time("created_at"),
	}
}

func replyOf(r odac.Row) reply {
	return reply{ID: r.String("id"), Name: r.String("name"), Text: r.String("text"), CreatedAt: r.Time("created_at")}
}

func front(c *odac.Ctx) error { return renderFront(c, 200, form{Name: rememberedName(c)}) }

// renderFront is the front page, with what is in the form.
func renderFront(c *odac.Ctx, status int, f form) error {
	number, err := strconv.Atoi(c.Query("page"))
	if err != nil || number < 1 || number > maxPages {
		number = 1
	}
	rows, err := odac.DB("posts").Order("created_at desc", "id desc").
		Limit(perPage + 1).Offset((number - 1) * perPage).Cache(frontTTL).All()
	if err != nil {
		return err
	}
	list := make([]post, 0, perPage)
	for _, r := range rows[:min(len(rows), perPage)] {
		list = append(list, postOf(r))
	}
	return send(c, status, frontPage(list, f, number, len(rows) > perPage))
}

func createPost(c *odac.Ctx) error {
	f := readForm(c)
	if !f.valid() {
		return renderFront(c, 422, f)
	}
	p := post{Name: f.Name, Text: f.Text, CreatedAt: time.Now().UTC()}
	r, err := odac.DB("posts").Returning("id").Insert(odac.Map{"name": p.Name, "text": p.Text, "created_at": p.CreatedAt})
	if err != nil {
		return err
	}
	p.ID = r.Rows[0].String("id")
	tell(frontRoom, update{Type: "post", ID: p.ID, HTML: postCard(p)})
	if err := rememberName(c, f.Name); err != nil {
		return err
	}
	return c.Redirect("/")
}

func showPost(c *odac.Ctx) error {
	p, replies, err := load(c.Param("id"))
	if err != nil {
		return err
	}
	if isView(c) {
		if err := odac.DB("posts").Where("id", p.ID).Buffer().Increment("views", 1); err != nil {
			odac.Log.Warn("count a view", "post", p.ID, "error", err) // the page is worth more than its counter
		} else {
			p.Views++
			tell(everybody, update{Type: "view", ID: p.ID})
		}
	}
	return send(c, 200, postPage(p, replies, form{Name: rememberedName(c)}))
}

// isView is true when somebody is about to see the page: not for HEAD, a prefetch, or a script that catches up.
func isView(c *odac.Ctx) bool {
	mode := c.Header("Sec-Fetch-Mode")
	return c.Method() == "GET" && c.Header("Sec-Purpose") == "" && (mode == "" || mode == "navigate")
}

func createReply(c *odac.Ctx) error {
	p, replies, err := load(c.Param("id"))
	if err != nil {
		return err
	}
	f := readForm(c)
	if !f.valid() {
		return send(c, 422, postPage(p, replies, f))
	}
	r := reply{Name: f.Name, Text: f.Text, CreatedAt: time.Now().UTC()}
	err = odac.Tx(func(tx *odac.Transaction) error {
		row := odac.Map{"post_id": p.ID, "name": r.Name, "text": r.Text, "created_at": r.CreatedAt}
		inserted, err := tx.DB("replies").Returning("id").Insert(row)
		if err != nil {
			return err
		}
		r.ID = inserted.Rows[0].String("id")
		_, err = tx.DB("posts").Where("id", p.ID).Increment("replies", 1)
		return err
	})
	if err != nil {
		return err
	}
	tell(pageRoom(p.ID), update{Type: "reply", ID: r.ID, HTML: replyCard(r)})
	tell(everybody, update{Type: "replied", ID: p.ID})
	if err := rememberName(c, f.Name); err != nil {
		return err
	}
	return c.Redirect("/posts/" + p.ID + "#reply-" + r.ID)
}

// load reads a post and its replies, oldest first.
func load(id string) (post, []reply, error) {
	row, err := odac.DB("posts").Where("id", id).First()
	if err != nil {
		return post{}, nil, err
	}
	rows, err := odac.DB("replies").Where("post_id", id).Order("created_at", "id").Limit(500).All()
	if err != nil {
		return post{}, nil, err
	}
	replies := make([]reply, len(rows))
	for i, r := range rows {
		replies[i] = replyOf(r)
	}
	return postOf(row), replies, nil
}

// prune removes what is older than the operator wants to keep. Replies go with their post.
func prune(t odac.Tick) error {
	days, err := strconv.Atoi(odac.ConfigOr("keep_days", "90"))
	if err != nil || days < 1 {
		return odac.Errorf(odac.Invalid, "config keep_days: want a number of days, got %q", odac.Config("keep_days"))
	}
	n, err := odac.DB("posts").Where("created_at", "<", t.Due.AddDate(0, 0, -days)).Delete()
	if err == nil && n > 0 {
		odac.Log.Info("pruned", "posts", n, "days", days)
	}
	return err
}

// stats answers "odachost call board stats".
func stats([]byte) ([]byte, error) {
	posts := odac.DB("posts")
	n, err := posts.Count()
	if err != nil {
		return nil, err
	}
	views, err := posts.Sum("views")
	if err != nil {
		return nil, err
	}
	online, err := everybody.Count()
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"posts": n, "views": views.String(), "online": online})
}
