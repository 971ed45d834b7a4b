package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("odachost", func(args []string) int { return Main(args, os.Stdin, os.Stdout, os.Stderr) }))
}

// TestScripts runs testdata/script against real processes. Besides testscript's own commands a script has:
//
//	odachost ARGS             run it to its end, as exec does; "status N" compares the exit status
//	start NAME ARGS           run it beside the script until it serves; $NAME is its address
//	await NAME REGEXP         wait for a line of its output; $match is the last submatch
//	output NAME               print what it wrote so far, for stdout
//	signal NAME SIGNAL        send it a signal
//	end NAME  SIGNAL STATUS   send it a signal (- for none), wait for its end and compare its exit status
//	curl [-X METHOD] URL [BODY]           print status and body
//	get URL REGEXP            ask until the answer matches
//	inflight NAME URL         ask beside the script; "answer NAME" waits for the answer and prints it
//	socket NAME URL           open a WebSocket; "say NAME TEXT" prints the answer, "closed NAME" the close code
//	pack FILE [OLD NEW]...    the guest of testdata as a bundle, with texts of its plugin.yaml replaced
//	wasm FILE KIND            a module that is broken in some way
//	replace FILE OLD NEW      edit a file as an editor does; \\n is a new line
//	exists FILE, gone FILE    wait for a file; wait for the end of the process whose id is in it
//	tidy stdout|stderr        write it to the file "got" without what differs from run to run
//
// go test -update rewrites the files that "cmp got" compares with.
func TestScripts(t *testing.T) {
	wasm := testkit.BuildGuest(t, filepath.Join("testdata", "guest"))
	code := filepath.Join(os.TempDir(), "odachost-test-cache")
	goEnv := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOCACHE", "GOROOT")
	out, err := goEnv.Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Split(strings.TrimSpace(string(out)), "\n")
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: flag.Lookup("update").Value.String() == "true",
		Setup: func(env *testscript.Env) error {
			env.Setenv("ODACHOST_TESTKIT_CHILD", "odachost")
			env.Setenv("ODAC_CODE_DIR", code)
			env.Setenv("ODAC_LISTEN", "127.0.0.1:0")
			env.Setenv("GOMODCACHE", folders[0])
			env.Setenv("GOCACHE", folders[1])
			env.Setenv("GOFLAGS", "")
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOTOOLCHAIN", "local")
			w := &world{wasm: wasm, processes: map[string]*process{}, answers: map[string]chan string{}, sockets: map[string]*websocket.Conn{}}
			env.Values[worldKey{}] = w
			env.Defer(w.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"odachost": cmdOdachost, "start": cmdStart, "await": cmdAwait, "output": cmdOutput, "signal": cmdSignal, "end": cmdEnd, "status": cmdStatus,
			"curl": cmdCurl, "get": cmdGet, "inflight": cmdInflight, "answer": cmdAnswer,
			"socket": cmdSocket, "say": cmdSay, "closed": cmdClosed,
			"pack": cmdPack, "wasm": cmdWasm, "tidy": cmdTidy,
			"replace": cmdReplace, "exists": cmdExists, "gone": cmdGone,
		},
	})
}

type worldKey struct{}

// world is what one script has going.
type world struct {
	wasm      []byte
	status    string // of the last odachost
	processes map[string]*process
	answers   map[string]chan string
	sockets   map[string]*websocket.Conn
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func (w *world) end() {
	for _, c := range w.sockets {
		_ = c.CloseNow()
	}
	for _, p := range w.processes {
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
	for _, a := range w.answers {
		<-a
	}
}

// patience bounds what must come; it is no measure.
const patience = 60 * time.Second

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func cmdOdachost(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(os.Args[0], args...)
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	worldOf(ts).status = strconv.Itoa(status)
	if (status != 0) != neg {
		ts.Fatalf("odachost %s: status %d", strings.Join(args, " "), status)
	}
}

func cmdStatus(ts *testscript.TestScript, _ bool, args []string) {
	if got := worldOf(ts).status; got != args[0] {
		ts.Fatalf("the status was %s", got)
	}
}

// process is a host beside the script.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it ended and its output was read

	mu    sync.Mutex // guards what follows
	text  bytes.Buffer
	read  int           // of text, by await
	wrote chan struct{} // closed at the next write
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.wrote)
	p.wrote = make(chan struct{})
	return p.text.Write(b)
}

// await waits until the output after the last match matches, and gives the submatches; nil if it ended first.
func (p *process) await(ctx context.Context, pattern *regexp.Regexp) []string {
	for {
		p.mu.Lock()
		rest, wrote := p.text.String()[p.read:], p.wrote
		at := pattern.FindStringSubmatchIndex(rest)
		if at != nil {
			p.read += at[1]
		}
		p.mu.Unlock()
		if at != nil {
			return pattern.FindStringSubmatch(rest)
		}
		select {
		case <-wrote:
		case <-p.gone:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARGS")
	}
	p := &process{cmd: exec.CommandContext(context.Background(), os.Args[0], args[1:]...), gone: make(chan struct{}), wrote: make(chan struct{})}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "ODACHOST_TESTKIT_CHILD", "ODAC_CODE_DIR", "ODAC_LISTEN", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOTOOLCHAIN", "ODAC_DATA"} {
		if v := ts.Getenv(name); v != "" {
			p.cmd.Env = append(p.cmd.Env, name+"="+v)
		}
	}
	p.cmd.Dir = ts.MkAbs(".")
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	ts.Check(p.cmd.Start())
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadString('\n')
			_, _ = io.WriteString(p, line)
			if err != nil {
				return
			}
		}
	})
	go func() {
		_ = p.cmd.Wait()
		_ = w.Close()
		reading.Wait()
		close(p.gone)
	}()
	worldOf(ts).processes[args[0]] = p
	ctx, cancel := within()
	defer cancel()
	at := p.await(ctx, regexp.MustCompile(`serving on (http\S+)`))
	if at == nil {
		ts.Fatalf("it does not serve:\n%s", p.all())
	}
	ts.Setenv(args[0], at[1])
	ts.Setenv(args[0]+"_ws", strings.Replace(at[1], "http", "ws", 1))
}

func (p *process) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func processOf(ts *testscript.TestScript, name string) *process {
	p := worldOf(ts).processes[name]
	if p == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return p
}

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	p := processOf(ts, args[0])
	ctx, cancel := within()
	defer cancel()
	at := p.await(ctx, regexp.MustCompile(`(?m)`+args[1]))
	if at == nil {
		ts.Fatalf("no line matches %s:\n%s", args[1], p.all())
	}
	ts.Setenv("match", at[len(at)-1])
}

func cmdOutput(ts *testscript.TestScript, _ bool, args []string) {
	fmt.Fprint(ts.Stdout(), processOf(ts, args[0]).all())
}

func cmdEnd(ts *testscript.TestScript, _ bool, args []string) {
	p := processOf(ts, args[0])
	if sig := signals[args[1]]; sig != nil {
		ts.Check(p.cmd.Process.Signal(sig))
	}
	select {
	case <-p.gone:
	case <-time.After(patience):
		ts.Fatalf("it does not end:\n%s", p.all())
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != args[2] {
		ts.Fatalf("status %s, want %s:\n%s", got, args[2], p.all())
	}
}

func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(processOf(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// client keeps no connection and follows no redirect.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func ask(method, url, body string) (string, error) {
	ctx, cancel := within()
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, text), errors.Join(err, resp.Body.Close())
}

func cmdCurl(ts *testscript.TestScript, neg bool, args []string) {
	method := http.MethodGet
	if len(args) > 2 && args[0] == "-X" {
		method, args = args[1], args[2:]
	}
	answer, err := ask(method, args[0], strings.Join(args[1:], " "))
	if neg != (err != nil) {
		ts.Fatalf("%s: %v %s", args[0], err, answer)
	}
	fmt.Fprint(ts.Stdout(), answer)
}

func cmdGet(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	ctx, cancel := within()
	defer cancel()
	err := retry(ctx, patience, func() (bool, error) {
		answer, err := ask(http.MethodGet, args[0], "")
		if pattern.MatchString(answer) {
			return true, nil
		}
		return false, fmt.Errorf("the last answer is %q, %v", answer, err)
	})
	ts.Check(err)
}

func cmdInflight(ts *testscript.TestScript, _ bool, args []string) {
	answer := make(chan string, 1)
	worldOf(ts).answers[args[0]] = answer
	go func() {
		defer close(answer)
		text, err := ask(http.MethodGet, args[1], "")
		answer <- fmt.Sprint(text, err)
	}()
}

func cmdAnswer(ts *testscript.TestScript, _ bool, args []string) {
	fmt.Fprint(ts.Stdout(), <-worldOf(ts).answers[args[0]])
}

func cmdSocket(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := within()
	defer cancel()
	c, resp, err := websocket.Dial(ctx, args[1], &websocket.DialOptions{HTTPClient: client})
	ts.Check(err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	worldOf(ts).sockets[args[0]] = c
}

func cmdSay(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := within()
	defer cancel()
	c := worldOf(ts).sockets[args[0]]
	ts.Check(c.Write(ctx, websocket.MessageText, []byte(args[1])))
	_, text, err := c.Read(ctx)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", text)
}

func cmdClosed(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := within()
	defer cancel()
	_, _, err := worldOf(ts).sockets[args[0]].Read(ctx)
	fmt.Fprintln(ts.Stdout(), int(websocket.CloseStatus(err)))
}

func cmdPack(ts *testscript.TestScript, _ bool, args []string) {
	from := os.DirFS(filepath.Join(sourceDir, "testdata", "guest"))
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "pack-")
	ts.Check(err)
	ts.Check(os.CopyFS(dir, from))
	file := filepath.Join(dir, plugins.ManifestName)
	text := ts.ReadFile(file)
	for i := 1; i+1 < len(args); i += 2 {
		if !strings.Contains(text, args[i]) {
			ts.Fatalf("the manifest has no %q", args[i])
		}
		text = strings.ReplaceAll(text, args[i], args[i+1])
	}
	ts.Check(os.WriteFile(file, []byte(text), 0o600))
	ts.Check(os.WriteFile(filepath.Join(dir, plugins.DefaultWasm), worldOf(ts).wasm, 0o600))
	b, err := plugins.Pack(dir)
	ts.Check(err)
	ts.Check(b.WriteFile(ts.MkAbs(args[0])))
}

var sourceDir = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

func cmdWasm(ts *testscript.TestScript, _ bool, args []string) {
	head := "\x00asm\x01\x00\x00\x00"
	text := map[string]string{
		"none":  "this is no module",
		"empty": head,
		"cut":   string(worldOf(ts).wasm[:len(worldOf(ts).wasm)/2]),
		// One type (four i32 to i64), and an import of odac:db/v2.query of that type.
		"newer": head + "\x01\x09\x01\x60\x04\x7f\x7f\x7f\x7f\x01\x7e" + "\x02\x14\x01" + "\x0aodac:db/v2" + "\x05query" + "\x00\x00",
		// The same of a module that the manifest of the script does not grant.
		"greedy": head + "\x01\x09\x01\x60\x04\x7f\x7f\x7f\x7f\x01\x7e" + "\x02\x16\x01" + "\x0codac:http/v1" + "\x05fetch" + "\x00\x00",
	}[args[1]]
	if text == "" {
		ts.Fatalf("there is no kind %s", args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// tidied are texts that differ from run to run.
var tidied = []struct{ pattern, with string }{
	{`127\.0\.0\.1:\d+`, "127.0.0.1:PORT"},
	{`\d+(\.\d+)?(µs|ms|s)\)`, "TIME)"},
	{`\(\d+m[\d.]+s\)`, "(TIME)"},
	{`sha256:[0-9a-f]{64}`, "sha256:DIGEST"},
	{`\b[0-9a-f]{12}\b`, "DIGEST"},
	{`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b`, "DATE AND TIME      "},
	{`\d+KiB`, "SIZE"},
	{`go\d+\.\d+(\.\d+)?\b`, "goVERSION"},
}

func cmdTidy(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), ts.Getenv("WORK"), "$WORK")
	for _, t := range tidied {
		text = regexp.MustCompile(t.pattern).ReplaceAllString(text, t.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs("got"), []byte(text), 0o600))
}

func cmdReplace(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.NewReplacer(`\n`, "\n")
	text, from, to := ts.ReadFile(args[0]), lines.Replace(args[1]), lines.Replace(args[2])
	if !strings.Contains(text, from) {
		ts.Fatalf("%s has no %q", args[0], from)
	}
	file := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(file+"~", []byte(strings.Replace(text, from, to, 1)), 0o600))
	ts.Check(os.Rename(file+"~", file))
}

func cmdExists(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, args[0]+" is there", func() bool {
		info, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil && info.Size() > 0
	})
}

func cmdGone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	eventually(ts, "the process is gone", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func eventually(ts *testscript.TestScript, what string, so func() bool) {
	ctx, cancel := within()
	defer cancel()
	if err := retry(ctx, patience, func() (bool, error) { return so(), errors.New("still not so: " + what) }); err != nil && !so() {
		ts.Fatalf("%v", err)
	}
}
