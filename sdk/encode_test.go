package odac

import (
	"bytes"
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
		"a write":  DB("posts").Where("id", nil).AllRows(),
		"a join":   DB("posts").Join("users", "posts.author", "users.id").Where("id", 1),
		"distinct": DB("posts").Distinct(),
	} {
		t.Run(name, func(t *testing.T) {
			if q.err != nil {
				t.Fatal(q.err)
			}
			q.q.Where, q.q.Having, q.q.Verb = q.where.list, q.have.list, abi.VerbDelete
			want, err := q.q.MarshalMsg([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := appendQuery([]byte("before"), &q.q)
			if err != nil || !bytes.HasPrefix(got, []byte("before")) {
				t.Fatalf("%v, %q", err, got)
			}
			same := []cmp.Option{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b Value) bool { return a == b })}
			if diff := cmp.Diff(decoded(t, want), decoded(t, got), same...); diff != "" {
				t.Error(diff)
			}
		})
	}
}
