package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// Nothing of a query is found in the next one that is decoded into its memory, whatever the next one leaves out.
func TestBlank(t *testing.T) {
	c := new(call)
	for _, n := range []int{1, 3, keepItems, keepItems + 1} {
		for range 2 {
			q := c.blank()
			*q = abi.Query{Table: "secrets", Columns: q.Columns, Where: q.Where, SQL: "secret", Limit: 7, Group: []string{"secret"}}
			for range n {
				q.Columns = append(q.Columns, abi.Column{Name: "secret", Func: "max", As: "secret", Sub: 1})
				q.Where = append(q.Where, abi.Cond{Column: "secret", Other: "secret", N: 3, Values: abi.Values{abi.Text("secret")}})
			}
		}
		// {"c": [{}, {}], "w": [{}, {}]}
		q := c.blank()
		if cap(q.Columns) > keepItems || cap(q.Where) > keepItems {
			t.Errorf("room for %d columns and %d conditions is kept", cap(q.Columns), cap(q.Where))
		}
		if err := decode([]byte{0x82, 0xa1, 'c', 0x92, 0x80, 0x80, 0xa1, 'w', 0x92, 0x80, 0x80}, q); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", *q); strings.Contains(got, "secret") || len(q.Columns) != 2 || q.Limit != 0 || q.Columns[0].Sub != 0 || q.Where[1].N != 0 {
			t.Errorf("after %d items the query is %s", n, got)
		}
	}
}
