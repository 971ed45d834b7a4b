// Package odactest calls a plugin's handlers in an ordinary go test, without WebAssembly and without a host.
//
//	func TestFront(t *testing.T) {
//		p := odactest.New(t)
//		p.OnQuery(func(q abi.Query) (abi.Result, error) { return odactest.Rows("id", "title").Add(7, "First").Result() })
//		w := httptest.NewRecorder()
//		p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
//		if !strings.Contains(w.Body.String(), "First") { ... }
//	}
//
// Events and host calls take the way that they take in a plugin, encoding included. What is behind the host functions is the
// test's: [Plugin.OnQuery], [Plugin.OnWrite], [Plugin.OnFetch] and [Plugin.Handle] say what they answer, and one that nothing was
// said about answers denied. Sockets and rooms are played by the package itself: [Plugin.Open]. There is no database here
// and no limit: what a query means and what a grant allows shows in a test against a real host.
//
// A plugin is one per process, so tests with [New] must not run in parallel; New fails a test that does.
package odactest
