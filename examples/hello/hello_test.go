package main

import (
	"net/http/httptest"
	"testing"

	"github.com/odac-run/odachost/sdk/odactest"
)

func TestHello(t *testing.T) {
	p := odactest.New(t)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 200 || w.Body.String() != "Hello, world\n" {
		t.Errorf("GET / = %d %q, want 200 and the greeting", w.Code, w.Body)
	}
}
