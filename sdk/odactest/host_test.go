package odactest

import (
	"slices"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/internal/testkit"
	odac "github.com/odac-run/odachost/sdk"
)

var heard []string

func TestMain(m *testing.M) {
	odac.Listen("orders", func(n odac.Notification) error {
		heard = append(heard, n.Payload)
		return odac.Notify("answers", n.Payload+"!")
	})
	testkit.Main(m)
}

// What is delivered is heard, and what is said is told.
func TestDeliver(t *testing.T) {
	p := New(t)
	if err := p.Deliver("orders", "1"); err != nil { // nobody asks
		t.Error(err)
	}
	var said []abi.Notify
	p.OnNotify(func(n abi.Notify) error {
		said = append(said, n)
		return nil
	})
	if err := p.Deliver("orders", "2"); err != nil {
		t.Error(err)
	}
	if err := p.Deliver("others", "3"); !odac.IsNotFound(err) {
		t.Errorf("a channel that nobody listens to: %v", err)
	}
	if !slices.Equal(heard, []string{"1", "2"}) || !slices.Equal(said, []abi.Notify{{Channel: "answers", Payload: "2!"}}) {
		t.Errorf("heard %q, said %+v", heard, said)
	}
}

// OnQuery answers every way of asking.
func TestOnQuery(t *testing.T) {
	p := New(t)
	var asked []string
	p.OnQuery(func(q abi.Query) (abi.Result, error) {
		asked = append(asked, q.Table+q.SQL)
		if q.Table == "missing" {
			return abi.Result{}, abi.NewError(abi.ErrnoInvalid, "no such table")
		}
		return Rows("id").Add(1).Add(2).Add(3).Result()
	})
	sum := int64(0)
	for row, err := range odac.DB("posts").Stream() {
		if err != nil {
			t.Fatal(err)
		}
		sum += row.Int("id")
	}
	if sum != 6 {
		t.Errorf("the stream's sum is %d, want 6", sum)
	}
	for row, err := range odac.SQL("select 1").Stream() {
		if err != nil || row.Int("id") != 1 {
			t.Fatalf("%v, %v", row, err)
		}
		break
	}
	for _, err := range odac.DB("missing").Stream() {
		if !odac.IsInvalid(err) {
			t.Errorf("%v, want what the test answers", err)
		}
	}
	var b odac.Batch
	b.Insert(odac.DB("posts"), odac.Map{"title": "x"})
	b.SQL(odac.SQL("select 2"))
	results, err := b.Run()
	if err != nil || len(results) != 2 || len(results[1].Rows) != 3 {
		t.Errorf("%v, %v", results, err)
	}
	b.Select(odac.DB("missing"))
	if _, err := b.Run(); !odac.IsInvalid(err) {
		t.Errorf("%v, want what the test answers", err)
	}
	page, err := odac.DB("posts").Order("id").Page(2, "")
	if err != nil || len(page.Rows) != 2 || page.Next == "" {
		t.Errorf("%v, %v", page, err)
	}
	want := []string{"posts", "select 1", "missing", "posts", "select 2", "posts", "select 2", "missing", "posts"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}
