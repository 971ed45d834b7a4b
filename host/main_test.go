package host_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("serve", childServe))
}

// logBuffer is a log that tests read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// take is what was written since the last take.
func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.b.String()
	l.b.Reset()
	return text
}

// site is a host that serves on loopback.
type site struct {
	*host.Host
	t    testing.TB
	url  string
	log  *logBuffer
	stop func()

	drain  context.CancelFunc // tells Serve to end
	served chan error
}

// open starts a host on a data folder and serves it until the test ends.
func open(t testing.TB, dir string, change ...func(*host.Config)) *site {
	t.Helper()
	s := &site{t: t, log: new(logBuffer)}
	cfg := host.Config{DataDir: dir, CacheDir: cacheDir(t), Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	cfg.HTTP.DrainTime = time.Minute // these machines can be slow
	for _, f := range change {
		f(&cfg)
	}
	h, err := host.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()
	s.Host, s.url, s.drain, s.served = h, "http://"+l.Addr().String(), cancel, served
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// cacheDir is shared by the tests of a process, so that a guest is compiled once.
var cacheDir = func() func(testing.TB) string {
	dir := filepath.Join(os.TempDir(), "odachost-test-cache")
	return func(testing.TB) string { return dir }
}()

// bundles are packed once: under the race detector that takes a second each.
var bundles sync.Map

// bundle packs a guest of testdata with its manifest, changed by pairs of old and new text.
func bundle(t testing.TB, guest string, pairs ...string) *plugins.Bundle {
	t.Helper()
	return pack(t, filepath.Join("testdata", "guests", guest), pairs...)
}

// pack packs the plugin of a folder with its manifest, changed by pairs of old and new text.
func pack(t testing.TB, from string, pairs ...string) *plugins.Bundle {
	t.Helper()
	key := strings.Join(append([]string{from}, pairs...), "\x00")
	if b, ok := bundles.Load(key); ok {
		return b.(*plugins.Bundle)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(from, "plugin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(manifest)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s: the manifest has no %q", from, pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	write(t, filepath.Join(dir, "plugin.yaml"), []byte(text))
	write(t, filepath.Join(dir, "plugin.wasm"), testkit.BuildGuest(t, from))
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	bundles.Store(key, b)
	return b
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// deploy deploys with everything approved.
func (s *site) deploy(b *plugins.Bundle) plugins.Deployment {
	s.t.Helper()
	d, err := s.Deploy(s.t.Context(), b, host.DeployOptions{Approve: true, By: "test"})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// do sends a request and gives the status and body.
func (s *site) do(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// client keeps no connection: what a server holds at its end is its own.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// want asks and compares.
func (s *site) want(method, path, body string, status int, text string) {
	s.t.Helper()
	gotStatus, gotText := s.do(method, path, body)
	if gotStatus != status || gotText != text {
		s.t.Errorf("%s %s: got %d %.200q, want %d %.200q", method, path, gotStatus, gotText, status, text)
	}
}

// has asks and looks for a text in the answer.
func (s *site) has(method, path string, status int, part string) {
	s.t.Helper()
	gotStatus, gotText := s.do(method, path, "")
	if gotStatus != status || !strings.Contains(gotText, part) {
		s.t.Errorf("%s %s: got %d %.200q, want %d with %q", method, path, gotStatus, gotText, status, part)
	}
}
