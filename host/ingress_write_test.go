package host

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// goneWriter is a client that went away.
type goneWriter struct{ *httptest.ResponseRecorder }

func (goneWriter) Write([]byte) (int, error) { return 0, errors.New("http2: stream closed") }

// A body is used again only when nobody reads it any more: HTTP/2 may do so after a write that failed.
func TestBodyOfAWriteThatFailed(t *testing.T) {
	for _, gone := range []bool{false, true} {
		var w http.ResponseWriter = httptest.NewRecorder()
		if gone {
			w = goneWriter{httptest.NewRecorder()}
		}
		out := abi.HTTPResponse{Body: []byte("body")}
		if err := write(w, &out, 100); err != nil {
			t.Fatal(err)
		}
		if kept := out.Body != nil; kept == gone {
			t.Errorf("the client went away: %v; the body is kept: %v", gone, kept)
		}
	}
}
