//go:build !wasip1

package browser_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// server is "odachost serve" with the board, in a process of its own.
type server struct {
	t       *testing.T
	program string
	folder  string // where it runs; its data is below
	listen  string
	url     string

	cmd    *exec.Cmd
	output sync.WaitGroup
	log    bytes.Buffer
}

// newServer builds the host as a user would, and starts it on an empty folder.
func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, folder: t.TempDir(), listen: "127.0.0.1:0"}
	s.program = filepath.Join(s.folder, "odachost")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.program, "../../../cmd/odachost")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build odachost: %v\n%s", err, out)
	}
	noteInputs(t)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("odachost said:\n%s", s.log.String())
		}
	})
	board, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	s.start("--deploy", board)
	s.listen = strings.TrimPrefix(s.url, "http://") // the same again after a restart
	return s
}

// noteInputs opens what the host and the board are made of, so that go test does not answer from its cache after a change.
func noteInputs(t *testing.T) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}\n{{end}}{{end}}", "../../../cmd/odachost")
	files, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(files)) {
		_, _ = os.Stat(strings.TrimSpace(name)) // only so that it is noted
	}
	testkit.BuildGuest(t, "..")
	for _, pattern := range []string{"../plugin.yaml", "../assets/*", "../schema/*"} {
		found, _ := filepath.Glob(pattern) // the patterns are good
		for _, name := range found {
			_, _ = os.Stat(name)
		}
	}
}

// start runs the host until it says that it serves.
func (s *server) start(args ...string) {
	s.t.Helper()
	s.cmd = exec.CommandContext(s.t.Context(), s.program, append([]string{"serve", "--listen", s.listen, "--data", "data"}, args...)...)
	// Compiled code is kept between runs: that is what takes time.
	s.cmd.Dir, s.cmd.Env = s.folder, append(os.Environ(), "ODAC_CODE_DIR="+filepath.Join(os.TempDir(), "odachost-test-cache"))
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	s.url = ""
	for s.url == "" && lines.Scan() {
		s.url, _ = strings.CutPrefix(lines.Text(), "serving on ")
		if s.url == lines.Text() {
			s.url = ""
		}
	}
	s.output.Go(func() { _, _ = io.Copy(io.Discard, stdout) }) // it must not wait for a reader
	if s.url == "" {
		s.t.Fatal("odachost serve ended before it served")
	}
}

// kill ends it as a power cut does.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // already gone: what was wanted
	s.output.Wait()
	_ = s.cmd.Wait() // it was killed: that is what it says
}

// stop asks it to end, as Ctrl-C does.
func (s *server) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	s.output.Wait()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("odachost serve did not end well: %v", err)
	}
}

var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// submit sends a form, as a browser on another machine would.
func (s *server) submit(path, name, text string) {
	s.t.Helper()
	body := url.Values{"name": {name}, "text": {text}}.Encode()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, page := s.do(r); status != http.StatusSeeOther {
		s.t.Fatalf("%s by %s: status %d, want 303\n%s", path, name, status, page)
	}
}

func (s *server) get(path string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	status, page := s.do(r)
	if status != http.StatusOK {
		s.t.Fatalf("GET %s: status %d\n%s", path, status, page)
	}
	return page
}

// shows waits until a page has a text.
func (s *server) shows(path, text string) {
	s.t.Helper()
	testkit.Eventually(s.t, path+" has "+text, func() bool { return strings.Contains(s.get(path), text) })
}

func (s *server) do(r *http.Request) (status int, page string) {
	s.t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

var postID = regexp.MustCompile(`data-post="([^"]+)"`)

// newest is the id of the post at the top.
func (s *server) newest() string {
	s.t.Helper()
	found := postID.FindStringSubmatch(s.get("/"))
	if found == nil {
		s.t.Fatal("the front page has no post")
	}
	return found[1]
}
