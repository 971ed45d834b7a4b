package plugins

import (
	"fmt"
	"strings"
	"testing"
)

func TestPolicy(t *testing.T) {
	for text, want := range map[string]string{
		"owner = $tenant": "owner = $tenant",
		"Owner=$tenant":   "Owner = $tenant",
		"a = 'it''s' and (b != 2 or c in (1,-2 , 3)) and d is not null": "a = 'it''s' and (b <> 2 or c in (1, -2, 3)) and d is not null",
		"((a = 1) or ((b = 2)))": "a = 1 or b = 2",
		"a = 1 AND (b >= 2 and c < 3) or d IS NULL or (e = true or f = $plugin)": "a = 1 and b >= 2 and c < 3 or d is null or e = true or f = $plugin",
		"a not in ('x', 'or 1 = 1')":      "a not in ('x', 'or 1 = 1')",
		"region = $config.home-region.id": "region = $config.home-region.id",
	} {
		p, err := ParsePolicy(text)
		if err != nil || p.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, p, err, want)
			continue
		}
		again, err := ParsePolicy(p.String())
		if err != nil || again.String() != want {
			t.Errorf("%s again: %v, %v", want, again, err)
		}
	}
	p, err := ParsePolicy("a = $tenant and (b = $plugin or c in ($config.k, 'x', 1, true)) and d is null")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, c := range p.Conditions("red", "blog", map[string]string{"k": "v"}) {
		fmt.Fprintf(&got, "%d%s%v%d ", c.Op, c.Column, c.Values, c.N)
	}
	if got.String() != "3a[red]0 3b[blog]0 9c[v x 1 true]0 1[]2 12d[]0 0[]3 " {
		t.Errorf("conditions %s", got.String())
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("a = 'it''s' and (b != 2 or c in (1,-2 , 3)) and d is not null or e=$tenant")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		again, err := ParsePolicy(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q is %q, and that is %v, %v", text, p, again, err)
		}
		if !p.implies(again) || !again.implies(p) {
			t.Errorf("%q does not imply itself", text)
		}
	})
}
