package host_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
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

// BenchmarkCall is a function of a plugin that answers its input, a fresh sandbox each.
func BenchmarkCall(b *testing.B) {
	s := open(b, b.TempDir())
	s.deploy(bundle(b, "app"))
	for _, size := range []int{64, 4 << 10, 64 << 10} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			body := make([]byte, size)
			for b.Loop() {
				if out, err := s.Call(b.Context(), "", "app", "echo", body); err != nil || len(out) != size {
					b.Fatal(len(out), err)
				}
			}
		})
	}
}

// BenchmarkNeighbour is a request over the network while calls of another tenant's plugin never end.
func BenchmarkNeighbour(b *testing.B) {
	const spinning = 32
	s := open(b, b.TempDir())
	s.deployFor("noisy", "noisy", bundle(b, "app", "mount: /app", "mount: /noisy", "time: 5s", "time: 30s, instances: 32"))
	s.deployFor("quiet", "quiet", bundle(b, "app", "mount: /app", "mount: /quiet"))
	ctx, stop := context.WithCancel(b.Context())
	var all sync.WaitGroup
	for range spinning {
		all.Go(func() {
			for ctx.Err() == nil {
				r, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/noisy/spin", nil)
				if resp, err := client.Do(r); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	testkit.Eventually(b, "they spin", func() bool { return s.Plugins()[0].Pool.InUse == spinning })
	for b.Loop() {
		s.want("GET", "/quiet/", "", 200, "hello")
	}
	stop()
	all.Wait()
}
