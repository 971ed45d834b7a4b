package odac

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// recorder is a host that remembers calls and answers all with one result.
type recorder struct {
	calls  []string
	answer abi.Result
	errno  abi.Errno
}

func (r *recorder) Call(module, function string, req []byte) ([]byte, abi.Errno) {
	line := module + "." + function
	switch line {
	case "odac:db/v1.query", "odac:cache/v1.query":
		line += show(new(abi.Query), req)
	case "odac:buffer/v1.write":
		line += show(new(abi.BufferWrite), req)
	case "odac:db/v1.notify":
		line += show(new(abi.Notify), req)
	case "odac:db/v1.begin":
		r.calls = append(r.calls, line+show(new(abi.Begin), req))
		b, err := abi.Tx{ID: 9}.MarshalMsg(nil)
		if err != nil {
			return nil, abi.ErrnoInternal
		}
		return b, 0
	}
	r.calls = append(r.calls, line)
	if r.errno != 0 {
		return []byte("no"), r.errno
	}
	b, err := r.answer.MarshalMsg(nil)
	if err != nil {
		return nil, abi.ErrnoInternal
	}
	return b, 0
}

func (*recorder) Config(string) (string, bool) { return "", false }
func (*recorder) Log(wire.LogLevel, string)    {}

// show prints a message's fields that are not zero.
func show(m unmarshaler, req []byte) string {
	if rest, err := m.UnmarshalMsg(req); err != nil || len(rest) > 0 {
		return " BAD MESSAGE"
	}
	var fields map[string]any
	b, _ := json.Marshal(m)
	_ = json.Unmarshal(b, &fields)
	for k, v := range fields {
		switch v := v.(type) {
		case nil:
			delete(fields, k)
		case []any:
			if len(v) == 0 {
				delete(fields, k)
			}
		case string, bool, float64:
			if v == "" || v == false || v == 0.0 {
				delete(fields, k)
			}
		}
	}
	b, _ = json.Marshal(fields)
	return " " + string(b) + values(m)
}

// values prints the values of a message, which have no exported fields.
func values(m unmarshaler) string {
	var b strings.Builder
	list := func(vs abi.Values) {
		for _, v := range vs {
			b.WriteString(" " + v.Kind().String() + ":" + v.String())
		}
	}
	switch m := m.(type) {
	case *abi.Query:
		for _, c := range append(m.Where, m.Having...) {
			list(c.Values)
		}
		for _, s := range m.Subs {
			for _, c := range s.Where {
				list(c.Values)
			}
		}
		list(m.After)
		list(m.Args)
		for _, r := range m.Rows {
			list(r)
		}
		for _, d := range m.Increments {
			list(abi.Values{d.By})
		}
	case *abi.BufferWrite:
		list(m.Key)
		for _, r := range m.Rows {
			list(r)
		}
		for _, d := range m.Increments {
			list(abi.Values{d.By})
		}
	}
	return b.String()
}

func record(t *testing.T) *recorder {
	r := &recorder{}
	wire.Current = r
	t.Cleanup(func() { wire.Current = nil })
	return r
}

type author struct {
	ID      string `db:"id,omitempty"`
	Name    string
	Age     *int
	JoinedA time.Time `db:"joined_at"`
	Ignored string    `db:"-"`
}

// TestMessages compares what each method sends with testdata/messages.txt.
func TestMessages(t *testing.T) {
	r := record(t)
	posts := DB("posts")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	cases := []struct {
		name string
		run  func() error
	}{
		{"all", func() error { _, err := posts.All(); return err }},
		{"alias, select, join", func() error {
			_, err := On("analytics").DB("posts as p").Select("p.id", "a.name as author", Count("*").As("n")).
				Join("authors as a", "a.id", "p.author_id").LeftJoin("tags", "tags.post_id", "p.id").
				Group("p.id", "a.name").Having(Count("*"), ">", 5).Order("n desc", "p.id").Limit(10).Offset(20).Distinct().All()
			return err
		}},
		{"operators", func() error {
			_, err := posts.Where("a", 1).Where("b", ">", 2.5).Where("c", "not like", "x%").WhereIn("d", 1, 2).WhereNotIn("e", []string{"x", "y"}).
				WhereBetween("f", at, at.Add(time.Hour)).WhereNull("g").WhereNotNull("h").WhereColumn("i", "<=", "j").Where("k", nil).Where("l", "in", []int{}).All()
			return err
		}},
		{"or applies to everything so far", func() error {
			_, err := posts.Where("a", 1).Where("b", 2).OrWhere("c", 3).Where("d", 4).All()
			return err
		}},
		{"groups", func() error {
			_, err := posts.Where("a", 1).WhereGroup(func(w Query) Query { return w.Where("b", 2).OrWhere("c", 3) }).
				OrWhereGroup(func(w Query) Query { return w.Where("d", 4).Where("e", 5) }).WhereNot(func(w Query) Query { return w.Where("f", 6) }).All()
			return err
		}},
		{"cache", func() error { _, err := posts.Cache(1500 * time.Millisecond).Count(); return err }},
		{"aggregates", func() error { _, err := posts.Where("a", 1).Order("a").Limit(3).Sum("views"); return err }},
		{"insert maps", func() error {
			_, err := posts.Returning("id").Insert(Map{"b": 2, "a": "x"}, Map{"a": "y", "b": []byte{1}})
			return err
		}},
		{"insert structs", func() error {
			_, err := posts.OnConflict("name").Update("age").Insert([]author{{Name: "Ann", JoinedA: at}, {Name: "Bob", JoinedA: at}})
			return err
		}},
		{"update", func() error { _, err := posts.Where("id", 7).Update(Map{"title": "t"}); return err }},
		{"increment", func() error { _, err := posts.Where("id", 7).Increment("views", -2); return err }},
		{"notify", func() error { return Notify("orders", "42") }},
		{"notify elsewhere", func() error { return On("analytics").Notify("orders", "42") }},
		{"delete all", func() error { _, err := posts.AllRows().Delete(); return err }},
		{"buffered insert", func() error { _, err := posts.Buffer(Memory).Insert(Map{"a": 1}); return err }},
		{"buffered update", func() error { return posts.Where("id", "x").Where("lang", "en").Buffer().Update(Map{"a": 1}) }},
		{"buffered increment", func() error { return posts.Where("id", "x").Buffer(Applied).Increment("views", 1) }},
		{"buffered delete", func() error { return posts.Where("id", "x").Buffer().Delete() }},
		{"sub-queries", func() error {
			busy := DB("users").Select("id").Where("age", ">", 18)
			_, err := posts.Select("id", Sub(DB("comments as c").WhereColumn("c.post", "=", "posts.id").Select(Count("*"))).As("comments")).
				Where("a", 1).WhereExists(DB("likes").WhereColumn("likes.post", "=", "posts.id")).WhereIn("author", busy).
				WhereGroup(func(w Query) Query { return w.Where("b", 2).OrWhere("editor", "=", busy) }).All()
			return err
		}},
		{"count of a query that selects a sub-query", func() error {
			_, err := posts.Select(Sub(DB("comments").Select(Count("*"))).As("n")).WhereIn("id", DB("likes").Select("post")).Count()
			return err
		}},
		{"common table expressions, by name", func() error {
			recent := DB("posts").Where("views", ">", 10)
			_, err := DB("recent as r").With("recent", recent).With("top", DB("recent").Limit(3)).JoinQuery(DB("top").Select("id"), "t", "t.id", "r.id").All()
			return err
		}},
		{"recursion", func() error {
			_, err := DB("tree").WithRecursive("tree", DB("users").Select("id", "boss").WhereNull("boss"),
				DB("users as u").Join("tree as t", "t.id", "u.boss").Select("u.id", "u.boss")).All()
			return err
		}},
		{"unions, from a query, joins", func() error {
			_, err := From(DB("users").Select("name").Union(DB("authors").Select("name")).UnionAll(DB("guests").Select("name")), "n").
				RightJoin("posts as p", "p.name", "n.name").CrossJoin("log").
				LeftJoinOn("tags", func(on Query) Query { return on.WhereColumn("tags.post", "=", "p.id").Where("tags.live", true) }).All()
			return err
		}},
		{"upserts", func() error {
			if _, err := posts.OnConflict("id").Merge().Insert(Map{"id": 1, "a": 2, "b": 3}); err != nil {
				return err
			}
			_, err := posts.OnConflict("id").Add("n").Insert(Map{"id": 1, "n": 2})
			return err
		}},
		{"update with amounts", func() error {
			_, err := posts.Where("id", 7).Returning("views").UpdateRows(Map{"title": "t", "views": Add(1), "likes": Add(-1)})
			return err
		}},
		{"truncate", func() error { return posts.Truncate() }},
		{"keyset", func() error {
			_, err := posts.Order("created_at desc", "id").After(at, "x").Limit(3).All()
			return err
		}},
		{"SQL text", func() error {
			if _, err := SQL("select ?, ?", 1, "x").Cache(time.Second).All(); err != nil {
				return err
			}
			_, err := On("analytics").SQL("update t set a = :a where b = :b", Map{"b": 2, "a": nil}).Exec()
			return err
		}},
		{"transaction in a transaction, locks", func() error {
			return Tx(func(tx *Transaction) error {
				return tx.Tx(func(tx *Transaction) error {
					_, err := tx.DB("posts").ForUpdate().SkipLocked().All()
					return err
				})
			}, Isolated(Serializable), ReadOnly(), Attempts(2))
		}},
		{"transaction, in which cache changes nothing", func() error {
			return Tx(func(tx *Transaction) error { _, err := tx.DB("posts").Cache(time.Second).All(); return err })
		}},
		{"transaction rolled back", func() error {
			if err := Tx(func(*Transaction) error { return errors.New("no") }); err == nil || err.Error() != "no" {
				return errors.New("the error of fn was lost")
			}
			return nil
		}},
	}
	var out strings.Builder
	for _, c := range cases {
		r.calls = nil
		if err := c.run(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		out.WriteString("# " + c.name + "\n" + strings.Join(r.calls, "\n") + "\n\n")
	}
	testkit.Golden(t, "messages.txt", []byte(out.String()))
}

// TestMistakes: what is wrong with a query is an error before the host is asked.
func TestMistakes(t *testing.T) {
	r := record(t)
	posts := DB("posts")
	for want, run := range map[string]func() error{
		"wants AllRows":          func() error { _, err := posts.Delete(); return err },
		"wants AllRows, ":        func() error { _, err := posts.Update(Map{"a": 1}); return err },
		"operator":               func() error { _, err := posts.Where("a", "~", 1).All(); return err },
		"has no SQL type":        func() error { _, err := posts.Where("a", struct{}{}).All(); return err },
		"Where wants a column":   func() error { _, err := posts.Where("a").All(); return err },
		"group has no condition": func() error { _, err := posts.WhereGroup(func(w Query) Query { return w }).All(); return err },
		"does not go with Cache": func() error { _, err := posts.Cache(0).Insert(Map{"a": 1}); return err },
		"takes conditions alone": func() error { _, err := posts.Where("a", 1).Limit(1).Delete(); return err },
		"do not go with Group":   func() error { _, err := posts.Group("a").Count(); return err },
		"Order wants":            func() error { _, err := posts.Order("a down").All(); return err },
		"different columns":      func() error { _, err := posts.Insert(Map{"a": 1}, Map{"b": 1}); return err },
		"no rows":                func() error { _, err := posts.Insert(); return err },
		"odac.Map or a struct":   func() error { _, err := posts.Insert(7); return err },
		"by equality":            func() error { return posts.Where("id", ">", 7).Buffer().Delete() },
		"by equality on":         func() error { return posts.Where("id", 7).OrWhere("id", 8).Buffer().Delete() },
		"wants Where on":         func() error { return posts.Buffer().Increment("a", 1) },
		"does not go with Where": func() error { _, err := posts.Where("id", 7).Buffer().Insert(Map{"a": 1}); return err },
		"does not go with a trans": func() error {
			return Tx(func(tx *Transaction) error { return tx.DB("posts").Where("id", 7).Buffer().Delete() })
		},
	} {
		r.calls = nil
		err := run()
		if !IsInvalid(err) || !strings.Contains(err.Error(), strings.TrimSuffix(want, " ")) {
			t.Errorf("%v, want an invalid error with %q", err, want)
		}
		for _, c := range r.calls {
			if strings.Contains(c, "query") || strings.Contains(c, "write") {
				t.Errorf("%s: the host was asked: %s", want, c)
			}
		}
	}
}

// TestQueryIsAValue: conditions of one query never get into another that was made from the same base.
func TestQueryIsAValue(t *testing.T) {
	r := record(t)
	base := DB("posts").Where("x", 1).Where("y", 2).Where("z", 3).Order("x", "y", "z").Select("x", "y", "z") // room for a fourth in each list
	one := base.Where("a", 1).Order("a").Select("a")
	two := base.Where("b", 2).Order("b").Select("b")
	three := base.OrWhere("c", 3)
	for _, q := range []Query{one, two, three, base} {
		if _, err := q.All(); err != nil {
			t.Fatal(err)
		}
	}
	for i, words := range [][]string{{`"a"`}, {`"b"`}, {`"c"`}, {}} {
		for _, w := range []string{`"a"`, `"b"`, `"c"`} {
			if got, want := strings.Contains(r.calls[i], w), len(words) > 0 && words[0] == w; got != want {
				t.Errorf("query %d mentions %s: %v, want %v: %s", i, w, got, want, r.calls[i])
			}
		}
	}
}

func TestTxRunsAgain(t *testing.T) {
	record(t)
	runs := 0
	err := Tx(func(*Transaction) error {
		if runs++; runs < 3 {
			return newError(Retry, "lost")
		}
		return nil
	})
	if err != nil || runs != 3 {
		t.Errorf("%d runs, %v, want success in the third", runs, err)
	}
	runs = 0
	err = Tx(func(*Transaction) error { runs++; return newError(Retry, "lost") })
	if !IsRetry(err) || runs != txAttempts {
		t.Errorf("%d runs, %v, want a retry error after %d", runs, err, txAttempts)
	}
}

func TestTxRollsBackAPanic(t *testing.T) {
	r := record(t)
	func() {
		defer func() { _ = recover() }()
		_ = Tx(func(*Transaction) error { panic("on purpose") })
	}()
	if last := r.calls[len(r.calls)-1]; last != "odac:db/v1.rollback" {
		t.Errorf("the last call is %s, want the rollback", last)
	}
}
