package host_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkRequest is one request through everything but the network: route, event, guest, host functions, answer.
func BenchmarkRequest(b *testing.B) {
	s := open(b, b.TempDir())
	s.deploy(bundle(b, "app"))
	if status, _ := s.do("POST", "/app/items/one", ""); status != 201 {
		b.Fatal(status)
	}
	for _, c := range []struct{ name, path string }{
		{"hello", "/app/"}, {"row", "/app/items/one"}, {"cachedrow", "/app/cached/one"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			r := httptest.NewRequest("GET", c.path, http.NoBody)
			r.Header.Set("User-Agent", "bench")
			r.Header.Set("Accept", "*/*")
			for b.Loop() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
			b.StopTimer()
			p := s.Plugins()[0].Pool
			b.ReportMetric(float64(p.Discarded), "discarded")
		})
	}
}
