package host_test

import (
	"strings"
	"testing"

	"github.com/odac-run/odachost/host"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name     string
		guest    tiny
		manifest string
		want     []string
	}{
		{"nothing", tiny{}, "", nil},
		{"not asked for", tiny{imports: [][2]string{{"odac:db/v1", "query"}}}, "", []string{"db: {tables:"}},
		{"in vain", tiny{}, "capabilities: {ws: true, http: {hosts: [example.com]}}", []string{"odac:ws/v1", "odac:http/v1"}},
		{"unknown", tiny{imports: [][2]string{{"odac:later/v9", "x"}}}, "", []string{"odac:later/v9"}},
		{"no export", tiny{lacks: "odac_event"}, "", []string{"odac_event"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := host.Check(c.guest.bundle(t, "tiny", c.manifest))
			if err != nil || len(got) != len(c.want) {
				t.Fatalf("got %q, %v; want %d", got, err, len(c.want))
			}
			for i, part := range c.want {
				if !strings.Contains(got[i], part) {
					t.Errorf("got %q, want %q in it", got[i], part)
				}
			}
		})
	}
}
