package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/kernel"
	"github.com/odac-run/odachost/plugins"
)

// HTTP for Extism plugins: requests that they send, and those that their exports answer.

// httpRequest sends a request: a handle of JSON {url, method, headers}, one of the body or 0. Grants and budgets are those of
// odac:http/v1, at each redirect too.
func httpRequest(c *call, b kernel.Blocks, args []uint64) (uint64, error) {
	c.extism.status, c.extism.headers = 0, nil
	if c.starting {
		return 0, abi.NewError(abi.ErrnoUnavailable, "requests can be sent from the first call on, not at start-up")
	}
	p, ok := b.Block(args[0])
	if !ok {
		return 0, invalid("the request's handle %d is no block", args[0])
	}
	var meta struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(p, &meta); err != nil {
		return 0, invalid("the request is not the JSON that Extism has for it: %v", err)
	}
	or(&meta.Method, http.MethodGet)
	in := &abi.FetchRequest{Method: strings.ToUpper(meta.Method), URL: meta.URL}
	for name, value := range meta.Headers {
		in.Header = append(in.Header, name, value)
	}
	if args[1] != 0 {
		body, ok := b.Block(args[1])
		if !ok {
			return 0, invalid("the body's handle %d is no block", args[1])
		}
		in.Body = bytes.Clone(body) // a connection may still read it when the call is over
	}
	out, err := c.fetch(in)
	if err != nil {
		return 0, fmt.Errorf("HTTP request to %.255s: %w", meta.URL, err)
	}
	c.extism.status, c.extism.headers = out.Status, make(map[string]string, len(out.Header)/2)
	for i := 0; i+1 < len(out.Header); i += 2 {
		name, value := strings.ToLower(out.Header[i]), out.Header[i+1]
		if have, ok := c.extism.headers[name]; ok {
			value = have + "," + value
		}
		c.extism.headers[name] = value
	}
	return put(b, out.Body)
}

// httpHeaders answers the last response's headers as a JSON object.
func httpHeaders(c *call, b kernel.Blocks, _ []uint64) (uint64, error) {
	if c.extism.headers == nil {
		return 0, nil
	}
	p, err := json.Marshal(c.extism.headers)
	if err != nil {
		return 0, err
	}
	return put(b, p)
}

// exportRoute is an export that answers requests.
type exportRoute struct {
	plugins.ExtismRoute
	rev *revision
}

// routeCount is how many routes the revision has.
func (r *revision) routeCount() int {
	if r.manifest.Extism != nil {
		return len(r.manifest.Extism.Routes)
	}
	return len(r.registration.Routes)
}

// exportRoutes adds the routes of an Extism plugin to the mux.
func (r *revision) exportRoutes(prefix string) error {
	if r.manifest.Extism == nil {
		return nil
	}
	for _, rt := range r.manifest.Extism.Routes {
		if g := r.guest.Load(); g != nil { // one that sleeps was looked at when it was deployed
			if x, ok := g.program.Export(rt.Export); !ok || len(x.Params) > 0 {
				return fmt.Errorf("host: route %q: the module has no export %s without parameters", rt.Path, rt.Export)
			}
		}
		if _, err := wildcards(rt.Path); err != nil {
			return err
		}
		pattern := prefix + rt.Path
		if rt.Method != "" {
			pattern = rt.Method + " " + pattern
		}
		if err := handle(r.mux, pattern, &exportRoute{rt, r}); err != nil {
			return err
		}
	}
	return nil
}

// ServeHTTP gives the body to the export and answers with its output.
func (rt *exportRoute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, rev := rt.rev.host, rt.rev
	id := h.ids.next()
	body, release, err := []byte(nil), func() {}, error(nil)
	if r.Body != http.NoBody && r.ContentLength != 0 {
		body, release, err = h.readBody(w, r, rev.limits.BodyBytes)
	}
	var out abi.HTTPResponse
	if err == nil {
		err = rev.export(r.Context(), abi.EventHTTP, id, rt.Export, body, func(output []byte) error {
			out.Body = append([]byte(nil), output...)
			return nil
		})
	}
	release() // before the answer goes to a client that may be slow
	if err != nil {
		h.refuse(w, r, id, err)
		return
	}
	if rt.Type != "" {
		out.Header = []string{"Content-Type", rt.Type}
	}
	if err := write(w, &out, rev.limits.ResponseBytes); err != nil {
		rev.log.Error("bad response", "id", id, "error", err)
		h.refuse(w, r, id, err)
	}
}
