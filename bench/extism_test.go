package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/odac-run/odachost/host"
)

// TestExtismAgrees makes the same calls, one after the other, of one plugin in odachost and in Extism's Go SDK. What differs on
// purpose is left out: after a trap theirs goes on in the memory that the trap left, ours in that of the image.
func TestExtismAgrees(t *testing.T) {
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPair(t.Context(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.close(t.Context()); err != nil {
			t.Log(err) // theirs, after an exit
		}
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Answered", r.Header.Get("X-Asked"))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s", r.Method, body)
	}))
	t.Cleanup(s.Close)
	large := strings.Repeat("0123456789abcdef", 8<<10)
	for i, c := range []struct{ export, input string }{
		{"echo", ""},
		{"echo", "x"},
		{"echo", "12345678"},
		{"echo", "123456789"},
		{"echo", large},
		{"echo", "after"},
		{"fail", "zeal"},
		{"complain", ""},
		{"code", "0"},
		{"code", "42"},
		{"code", "-1"},
		{"config", "greeting"},
		{"config", "none"},
		{"config", "greetings"},
		{"count", ""},
		{"count", ""},
		{"forget", ""},
		{"count", ""},
		{"hoard", "500"},
		{"remember", ""},
		{"remember", ""},
		{"log", "line"},
		{"http", s.URL + "/x"},
		{"http", "http://denied.example/"},
		{"http", "::"},
		{"fill", "50"},
		{"missing", ""},
		{"params", ""},
		{"hoard", "5000"},
		{"trap", ""},
		{"exit", "5"},
	} {
		ours, ourErr := p.ours.Call(t.Context(), "", "pdk", c.export, []byte(c.input))
		code, theirs, theirErr := p.theirs.CallWithContext(t.Context(), c.export, []byte(c.input))
		if theirErr == nil && code != 0 {
			theirErr = fmt.Errorf("exit code %d", code) // theirs leaves it to the caller
		}
		if (ourErr == nil) != (theirErr == nil) {
			t.Errorf("%d: %s(%.40q): ours %v, theirs %v", i, c.export, c.input, ourErr, theirErr)
			continue
		}
		if theirErr == nil {
			if string(ours) != string(theirs) {
				t.Errorf("%d: %s(%.40q) = %.80q, theirs %.80q", i, c.export, c.input, ours, theirs)
			}
			continue
		}
		var failure *host.PluginError
		if !errors.As(ourErr, &failure) {
			t.Errorf("%d: %s: %v", i, c.export, ourErr)
			continue
		}
		t.Logf("%s(%.20q): %q, theirs %.100q", c.export, c.input, failure.Text, theirErr)
		switch c.export {
		case "fail", "complain": // the very text and code
			if failure.Text != theirErr.Error() || failure.Code != code {
				t.Errorf("%s: %q, code %d; theirs %q, code %d", c.export, failure.Text, failure.Code, theirErr, code)
			}
		case "code", "exit":
			if failure.Code != code {
				t.Errorf("%s: code %d, theirs %d", c.export, failure.Code, code)
			}
		}
	}
}
