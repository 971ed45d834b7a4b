package odac

import (
	"time"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Request is an outbound HTTP request. The host that it goes to has to be granted.
type Request struct {
	// Method is GET when empty.
	Method string
	// URL is absolute, http or https.
	URL string
	// Header and Body are sent as they are.
	Header Header
	Body   []byte
	// Timeout is within the event's own deadline; 0 is that deadline.
	Timeout time.Duration
	// MaxRedirects is how many are followed: 0 is 10, -1 is none. Each has to lead to a granted host.
	MaxRedirects int
}

// Response is the answer to a [Request], whatever its status.
type Response struct {
	// Status is the HTTP status.
	Status int
	// URL is where the answer came from, after redirects.
	URL string
	// Header and Body are as they came, the body without content encoding.
	Header Header
	Body   []byte
}

// JSON decodes the body, as encoding/json does.
func (r *Response) JSON(v any) error { return decodeJSON(r.Body, v) }

// Fetch sends an outbound HTTP request. A status of 400 or more is an answer, not an error.
func Fetch(r Request) (*Response, error) {
	answer, err := hostCall(wire.HTTPFetch, &abi.FetchRequest{
		Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body, Timeout: r.Timeout.Milliseconds(), Redirect: r.MaxRedirects,
	})
	if err != nil {
		return nil, err
	}
	var f abi.FetchResponse
	if err := decode(&f, answer); err != nil {
		return nil, err
	}
	return &Response{Status: f.Status, URL: f.URL, Header: f.Header, Body: f.Body}, nil
}
