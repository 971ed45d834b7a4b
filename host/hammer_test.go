package host_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

// Everything at once, on few names, and a Close in the middle of it: nothing panics, hangs or races, no answer is anything
// but one of a version's or a refusal, and nothing is left behind.
func TestHammer(t *testing.T) {
	guest := func(text string) tiny {
		return tiny{
			registration: encoded(t, &abi.Registration{
				ABI: abi.Version, Routes: []abi.Route{{Pattern: "/{$}"}}, Sockets: []abi.Socket{{Pattern: "/live"}}, Calls: []string{"f"},
				Schedules: []abi.Schedule{{Name: "s", Every: 1000}},
			}),
			// What is read as a reply to a request is one, and so is what is read as one to a call: the body has one key.
			answer: encoded(t, &abi.HTTPResponse{Status: 200, Body: []byte(text)}),
		}
	}
	var versions []*plugins.Bundle
	for _, text := range []string{"one", "two", "three"} {
		versions = append(versions, guest(text).bundle(t, "tiny", "capabilities: {ws: true}"))
	}
	before := testkit.FDs()
	for round := range 3 {
		s := open(t, t.TempDir())
		s.deployFor("a", "tiny", versions[0])
		var wg sync.WaitGroup
		started := make(chan struct{})
		work := func(n int, f func(i int)) {
			wg.Go(func() {
				<-started
				for i := range n {
					f(i)
				}
			})
		}
		fine := func(what string, err error) {
			switch {
			case err == nil, errors.Is(err, host.ErrClosed), errors.Is(err, host.ErrNotDeployed), errors.Is(err, plugins.ErrNotFound),
				errors.Is(err, host.ErrBusy):
			default:
				t.Errorf("%s: %v", what, err)
			}
		}
		ctx := context.Background()
		const n = 60
		for g := range 2 {
			work(n, func(i int) {
				_, err := s.Deploy(ctx, versions[(i+g)%3], host.DeployOptions{Tenant: "a", Approve: true})
				fine("deploy", err)
			})
			work(n, func(int) {
				_, err := s.Rollback(ctx, "a", "tiny", "", "", "")
				fine("roll back", err)
			})
			work(n*10, func(int) {
				_, err := s.Call(ctx, "a", "tiny", "f", nil)
				fine("call", err)
			})
			work(n*10, func(int) {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, httptest.NewRequest("GET", "/tiny/", http.NoBody))
				switch text := w.Body.String(); {
				case w.Code == 200 && (text == "one" || text == "two" || text == "three"), w.Code == 404, w.Code == 503:
				default:
					t.Errorf("got %d %q", w.Code, text)
				}
			})
			work(n, func(int) {
				c, _, err := websocket.Dial(ctx, s.url+"/tiny/live", nil)
				if err != nil {
					return // nothing is deployed, or the host is closed
				}
				_ = c.Write(ctx, websocket.MessageText, []byte("hello"))
				_ = c.CloseNow()
			})
			work(n, func(int) { s.Plugins() })
		}
		work(n/10, func(int) { fine("remove", s.Remove(ctx, "a", "tiny", "", "")) })
		close(started)
		if round > 0 {
			wg.Go(func() { // the host goes while all that runs
				testkit.Eventually(t, "some of it is done", func() bool {
					for _, p := range s.Plugins() {
						if p.Events > 5 {
							return true
						}
					}
					return false
				})
				s.stop()
			})
		}
		wg.Wait()
		s.stop()
	}
	if before >= 0 {
		testkit.Eventually(t, fmt.Sprintf("there are %d file descriptors again", before), func() bool { return testkit.FDs() <= before })
	}
}
