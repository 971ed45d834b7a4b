package odac

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/odac-run/odachost/abi"
)

func decoded(t *testing.T, msg []byte) (q abi.Query) {
	t.Helper()
	if rest, err := q.UnmarshalMsg(msg[len("before"):]); err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes are left of %q", err, len(rest), msg)
	}
	return q
}

// TestAppendQuery: the short way says the same as the generated one.
func TestAppendQuery(t *testing.T) {
	for name, q := range map[string]Query{
		"all rows": DB("posts"),
		"by key":   DB("posts as p").Where("id", 7).Limit(1),
		"every clause": On("other").DB("posts").Select("title", "body as b", Count("*"), CountDistinct("author").As("n")).
			Where("a", "x").OrWhere("b", ">", 1.5).WhereIn("c", 1, 2, 3).WhereIn("d").WhereNull("e").WhereColumn("f", "<", "g").
			Order("a desc", "b").Limit(100_000).Offset(300).Cache(90e9),
		"a delete":  DB("posts").Where("id", nil).AllRows().delete(),
		"an insert": DB("posts").insert([]any{[]Map{{"title": "x", "views": 1}, {"title": strings.Repeat("y", 300), "views": nil}}}),
		"no row":    {q: common{Table: "posts", Rows: []abi.Values{}}},
		"an update": DB("posts").Where("id", 7).update(Map{"title": "x", "views": Add(1), "score": Add(-0.5)}),
	} {
		t.Run(name, func(t *testing.T) {
			if q.err != nil {
				t.Fatal(q.err)
			}
			if q.rare != nil {
				t.Fatalf("%+v is rare", *q.rare)
			}
			msg := q.message()
			want, err := msg.MarshalMsg([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			got := appendQuery([]byte("before"), &q)
			if !bytes.HasPrefix(got, []byte("before")) {
				t.Fatalf("%q", got)
			}
			same := []cmp.Option{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b Value) bool { return a == b })}
			if diff := cmp.Diff(decoded(t, want), decoded(t, got), same...); diff != "" {
				t.Error(diff)
			}
		})
	}
}
