package main

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
	odac "github.com/odac-run/odachost/sdk"
	"github.com/odac-run/odachost/sdk/odactest"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// tables is as much of a database as the handlers need.
type tables struct {
	posts   []post
	replies []abi.Values
	writes  []abi.BufferWrite
	deleted []abi.Cond
}

func (d *tables) query(q abi.Query) (abi.Result, error) {
	switch q.Table + " " + q.Verb.String() {
	case "posts select":
		if len(q.Columns) > 0 {
			return odactest.Rows("n").Add(len(d.posts)).Result()
		}
		rows := odactest.Rows("id", "name", "text", "views", "replies", "created_at")
		for _, p := range d.posts {
			if len(q.Where) == 0 || q.Where[0].Values[0].AsText() == p.ID {
				rows.Add(p.ID, p.Name, p.Text, p.Views, p.Replies, p.CreatedAt)
			}
		}
		return rows.Result()
	case "posts insert":
		values := map[string]abi.Value{}
		for i, f := range q.Fields {
			values[f] = q.Rows[0][i]
		}
		p := post{ID: "new" + strconv.Itoa(len(d.posts)), Name: values["name"].AsText(), Text: values["text"].AsText(), CreatedAt: values["created_at"].AsTime()}
		d.posts = append([]post{p}, d.posts...)
		return odactest.Rows("id").Add(p.ID).Result()
	case "posts update":
		d.posts[0].Replies += q.Increments[0].By.AsInt()
		return abi.Result{Affected: 1}, nil
	case "posts delete":
		d.deleted = q.Where
		return abi.Result{Affected: 2}, nil
	case "replies select":
		return odactest.Rows("id", "name", "text", "created_at").Result()
	case "replies insert":
		d.replies = append(d.replies, q.Rows[0])
		return odactest.Rows("id").Add("r1").Result()
	}
	return abi.Result{}, odac.Errorf(odac.Invalid, "the test has no answer for %s of %s", q.Verb, q.Table)
}

func start(t *testing.T) (*odactest.Plugin, *tables) {
	d := &tables{posts: []post{{ID: "p1", Name: "Ann", Text: "First <b>post</b>\n\nand more", Views: 1, CreatedAt: noon}}}
	p := odactest.New(t)
	p.OnQuery(d.query)
	p.OnWrite(func(w abi.BufferWrite) (abi.Result, error) {
		d.writes = append(d.writes, w)
		return abi.Result{}, nil
	})
	return p, d
}

func get(p *odactest.Plugin, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func submit(p *odactest.Plugin, path, name, text string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(url.Values{"name": {name}, "text": {text}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func wants(t *testing.T, w *httptest.ResponseRecorder, status int, parts ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("the page lacks %q:\n%s", part, w.Body)
		}
	}
}

func TestFront(t *testing.T) {
	p, _ := start(t)
	w := get(p, "/")
	wants(t, w, 200, "First &lt;b&gt;post&lt;/b&gt;", "<p>and more</p>", "<b>1</b> <span>view</span>", `<time datetime="2026-05-04T12:00:00Z">`)
	if strings.Contains(w.Body.String(), "<b>post") {
		t.Error("a post's markup got into the page")
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
}

func TestCreatePost(t *testing.T) {
	p, d := start(t)
	s, err := p.Open("/live/front")
	if err != nil {
		t.Fatal(err)
	}
	w := submit(p, "/posts", "  Bob \n the  Builder ", "Hello\r\n\"world\" ")
	if w.Code != 303 || w.Header().Get("Location") != "/" {
		t.Errorf("%d to %q, want 303 to /", w.Code, w.Header().Get("Location"))
	}
	if got := d.posts[0]; got.Name != "Bob the Builder" || got.Text != "Hello\n\"world\"" || got.CreatedAt.IsZero() {
		t.Errorf("stored %+v", got)
	}
	if got := s.Received(); len(got) != 2 || !strings.Contains(got[1], `"type":"post"`) || !strings.Contains(got[1], `\u0026#34;world`) {
		t.Errorf("the open page got %q, want the presence and the post", got)
	}
	cookie := w.Result().Cookies()[0]
	wants(t, get(p, "/", "Cookie", cookie.Name+"="+cookie.Value), 200, `value="Bob the Builder"`)
}

func TestValidation(t *testing.T) {
	p, d := start(t)
	for _, c := range []struct{ name, text, want string }{
		{"", "text", "Please tell us your name"},
		{"Ann", " \n ", "There is nothing here yet"},
		{strings.Repeat("ä", maxName+1), "text", "41 characters; 40 fit here"},
		{"Ann", strings.Repeat("x", maxText+1), "2001 characters; 2000 fit here"},
		{`"><script>`, "", `value="&#34;&gt;&lt;script&gt;"`},
	} {
		wants(t, submit(p, "/posts", c.name, c.text), 422, c.want, `role="alert"`, `aria-invalid="true"`)
	}
	if len(d.posts) != 1 {
		t.Errorf("%d posts, want the one from before", len(d.posts))
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	p, d := start(t)
	wants(t, submit(p, "/posts", "Eve", "spam", "Sec-Fetch-Site", "cross-site"), 403, "another site")
	if len(d.posts) != 1 {
		t.Error("the post was stored")
	}
}

func TestShowPost(t *testing.T) {
	p, d := start(t)
	wants(t, get(p, "/posts/p1"), 200, "<b>2</b> <span>views</span>", `action="/posts/p1/replies"`)
	if len(d.writes) != 1 || d.writes[0].Op != abi.BufferIncrement || d.writes[0].Key[0].AsText() != "p1" {
		t.Errorf("buffered %+v, want one increment of p1", d.writes)
	}
	get(p, "/posts/p1", "Sec-Purpose", "prefetch")
	get(p, "/posts/p1", "Sec-Fetch-Mode", "cors")
	if len(d.writes) != 1 {
		t.Error("a prefetch or a script counted as a view")
	}
	for _, path := range []string{"/posts/nope", "/nowhere"} {
		wants(t, get(p, path), 404, "Nothing here")
	}
}

func TestReply(t *testing.T) {
	p, d := start(t)
	s, err := p.Open("/live/p1")
	if err != nil {
		t.Fatal(err)
	}
	w := submit(p, "/posts/p1/replies", "Bob", "I agree")
	if want := "/posts/p1#reply-r1"; w.Code != 303 || w.Header().Get("Location") != want {
		t.Errorf("%d to %q, want 303 to %q", w.Code, w.Header().Get("Location"), want)
	}
	if len(d.replies) != 1 || d.posts[0].Replies != 1 {
		t.Errorf("%d replies, counted %d, want 1 and 1", len(d.replies), d.posts[0].Replies)
	}
	if got := s.Received(); len(got) != 3 || !strings.Contains(got[1], "I agree") || !strings.Contains(got[2], "replied") {
		t.Errorf("the open page got %q", got)
	}
}

func TestPresence(t *testing.T) {
	p, _ := start(t)
	one, err := p.Open("/live/front")
	if err != nil {
		t.Fatal(err)
	}
	two, err := p.Open("/live/p1")
	if err != nil {
		t.Fatal(err)
	}
	if err := two.Close(1001, ""); err != nil {
		t.Fatal(err)
	}
	want := []string{`{"type":"people","count":1}`, `{"type":"people","count":2}`, `{"type":"people","count":1}`}
	if got := one.Received(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := p.Open("/live/" + strings.Repeat("x", 41)); err == nil {
		t.Error("a socket for a page that cannot be was admitted")
	}
}

func TestPrune(t *testing.T) {
	p, d := start(t)
	p.Config["keep_days"] = "30"
	if err := p.Run("prune", noon); err != nil {
		t.Fatal(err)
	}
	if want := noon.AddDate(0, 0, -30); len(d.deleted) != 1 || !d.deleted[0].Values[0].AsTime().Equal(want) {
		t.Errorf("deleted where %+v, want before %v", d.deleted, want)
	}
	p.Config["keep_days"] = "soon"
	if err := p.Run("prune", noon); !odac.IsInvalid(err) {
		t.Errorf("keep_days soon: %v, want an error of kind invalid", err)
	}
}

func TestStats(t *testing.T) {
	p, _ := start(t)
	got, err := p.Call("stats", nil)
	if want := `{"online":0,"posts":1,"views":"1"}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
