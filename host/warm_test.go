package host_test

import (
	"bytes"
	"os"
	"strconv"
	"testing"
	"time"
)

// A warm instance of a standard-Go guest collects its garbage: the calls leave many times as much as it may have.
// HOST_WARM_CALLS=1000000 is the long way.
func TestWarmCollects(t *testing.T) {
	calls := 30_000
	if raceDetector {
		calls = 15_000
	}
	if n, err := strconv.Atoi(os.Getenv("HOST_WARM_CALLS")); err == nil {
		calls = n
	}
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app", "mount: /app", "mount: /app\nisolation: warm", "time: 5s", "time: 30s, memory: 24MiB, instances: 1"))
	body := bytes.Repeat([]byte("garbage "), 512)
	began := time.Now()
	for i := range calls {
		out, err := s.Call(t.Context(), "", "app", "twice", body)
		if err != nil || len(out) != 2*len(body) {
			t.Fatalf("call %d: %d bytes, %v", i, len(out), err)
		}
	}
	if p := s.Plugins()[0]; p.Failures != 0 || p.Pool.Discarded != 0 || p.Pool.Created != 1 {
		t.Errorf("afterwards: %+v", p)
	}
	t.Logf("%d calls in one instance of at most 24 MiB, %s each", calls, time.Since(began)/time.Duration(calls))
}
