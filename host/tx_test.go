package host_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestTransaction(t *testing.T) { onServers(t, testTransaction) }

func testTransaction(t *testing.T, server *server) {
	s := server.open(t)
	s.deployFor("red", "app", bundle(t, "app"))
	s.want("POST", "/app/tx/fail", "", 200, "rolled back")
	s.has("GET", "/app/items/in-tx", 404, "")
	s.has("POST", "/app/tx/outside", 400, "")
	s.has("GET", "/app/items/in-tx", 404, "")
	s.has("POST", "/app/tx/exit", 500, "the plugin failed")
	s.has("GET", "/app/items/in-tx", 404, "")
	s.deployFor("red", "app", bundle(t, "app", "time: 5s", "time: 500ms"))
	s.has("POST", "/app/tx/spin", 504, "took too long")
	s.has("GET", "/app/items/in-tx", 404, "")
	s.has("POST", "/app/items/after", 201, "") // the writer is free again
}

// Transactions that lose against each other are run again, and none is lost.
func TestTransactionsAgain(t *testing.T) { onServers(t, testTransactionsAgain) }

func testTransactionsAgain(t *testing.T, server *server) {
	s := server.open(t)
	s.deployFor("red", "app", bundle(t, "app", "time: 5s", "time: 30s"))
	s.has("POST", "/app/items/x", 201, "")
	const calls, each = 4, 5
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			for range each {
				s.want("POST", "/app/tx-hit/x?serializable=1", "", 200, "")
			}
		})
	}
	wg.Wait()
	s.want("GET", "/app/items/x", "", 200, strconv.Itoa(calls*each))
}

// A statement that waits on the server ends there when its call does.
func TestStatementEndsWithItsCall(t *testing.T) { onServers(t, testStatementEndsWithItsCall) }

func testStatementEndsWithItsCall(t *testing.T, server *server) {
	s := server.open(t, private)
	s.deployFor("red", "app", bundle(t, "app", "time: 5s", "time: 30s"))
	s.has("POST", "/app/items/x", 201, "")
	g := newGate(t)
	first := make(chan int)
	go func() {
		status, _ := s.do("POST", "/app/tx-hit/x?url="+g.URL, "")
		first <- status
	}()
	<-g.entered // the row is changed, and not committed
	waiting := func() bool { return s.Plugins()[0].Pool.InUse > 1 }
	if server.db != nil {
		look := map[string]string{
			"postgres": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE 'UPDATE%'",
			"mariadb":  "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE%items%'",
		}[server.name]
		waiting = func() bool {
			var n int
			if err := server.db.QueryRow(look).Scan(&n); err != nil {
				t.Error(err)
			}
			return n > 0
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	second := make(chan error)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/app/hit/x", http.NoBody)
		if err == nil {
			var answer *http.Response
			if answer, err = client.Do(r); err == nil {
				answer.Body.Close()
			}
		}
		second <- err
	}()
	testkit.Eventually(t, "the second waits", waiting)
	leave()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	testkit.Eventually(t, "the second waits no more", func() bool { return !waiting() })
	g.open()
	if status := <-first; status != 200 {
		t.Errorf("the first: %d", status)
	}
	s.want("GET", "/app/items/x", "", 200, "1")
}
