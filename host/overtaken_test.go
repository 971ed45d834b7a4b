package host_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/migrate"
)

// Columns come and go under readers, cached and not, and none of them notices.
func TestReadsWhileColumnsGo(t *testing.T) { onServers(t, testReadsWhileColumnsGo) }

func testReadsWhileColumnsGo(t *testing.T, server *server) {
	items := string(read(t, "testdata/guests/app/schema/items.yaml"))
	wide := strings.Replace(items, "  times:", "  mood: {type: string, length: 20}\n  times:", 1)
	s := server.open(t)
	s.deployFor("red", "app", withFiles(t, "1.0.0", map[string]string{"schema/items.yaml": wide}))
	s.has("POST", "/app/items/x", 201, "")
	var over atomic.Bool
	var asked atomic.Int64
	var readers sync.WaitGroup
	for _, path := range []string{"/app/items/x", "/app/cached/x", "/app/star", "/app/stream"} {
		readers.Go(func() {
			for !over.Load() {
				asked.Add(1)
				if status, text := s.do("GET", path, ""); status != 200 {
					t.Errorf("%s: %d %s", path, status, text)
					return
				}
			}
		})
	}
	for i := range 6 {
		schema := items
		if i%2 == 1 {
			schema = wide
		}
		b := withFiles(t, fmt.Sprintf("1.0.%d", i+1), map[string]string{"schema/items.yaml": schema})
		_, err := s.Deploy(t.Context(), b, host.DeployOptions{Tenant: "red", Name: "app", Approve: true})
		var approval *migrate.ApprovalError
		if errors.As(err, &approval) {
			_, err = s.Deploy(t.Context(), b, host.DeployOptions{Tenant: "red", Name: "app", Approve: true, ApprovePlan: approval.Hash})
		}
		if err != nil {
			t.Error(err)
			break
		}
	}
	over.Store(true)
	readers.Wait()
	t.Logf("%d requests", asked.Load())
	if t.Failed() {
		t.Log(s.log.String())
	}
}
