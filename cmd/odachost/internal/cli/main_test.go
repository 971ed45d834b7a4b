package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Child("odachost", func(args []string) int { return Main(args, os.Stdin, os.Stdout, os.Stderr) }))
}

// TestScripts runs testdata/script against this test binary as odachost. Besides testscript's own commands a script has:
//
//	odachost ARGS             run it to its end, as exec does; "status N" compares the exit status
//	start NAME ARGS           run it beside the script until it serves; $NAME is its URL, $NAME_address its address
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
//	capture NAME REGEXP       $NAME is the first submatch in what the last command printed
//	replace FILE OLD NEW      edit a file as an editor does; \\n is a new line
//	appears FILE, gone FILE   wait for a file; wait for the end of the process whose id is in it
//	tidy stdout|stderr        write it to the file "got" without what differs from run to run
//
// go test -update rewrites the files that "cmp got" compares with.
func TestScripts(t *testing.T) { runScripts(t, "script", os.Args[0]) }

// TestDev runs testdata/dev against the binary that make build makes: compiling plugins takes minutes with the race detector
// in the compiler.
func TestDev(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "odachost")
	checkout, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	link := "-X '" + modulePath + "/cmd/odachost/internal/build.checkout=" + checkout + "'"
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", link, "-o", binary, modulePath+"/cmd/odachost")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runScripts(t, "dev", binary)
}

const modulePath = "github.com/odac-run/odachost"

func runScripts(t *testing.T, dir, binary string) {
	t.Helper()
	wasm := testkit.BuildGuest(t, filepath.Join("testdata", "guest"))
	code := filepath.Join(os.TempDir(), "odachost-test-cache")
	compileOnce(t, binary, code, wasm)
	goEnv := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOCACHE", "GOROOT")
	out, err := goEnv.Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Split(strings.TrimSpace(string(out)), "\n")
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", dir),
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
			w := &world{binary: binary, wasm: wasm, processes: map[string]*process{}, answers: map[string]chan string{}, sockets: map[string]*socket{}}
			env.Values[worldKey{}] = w
			env.Defer(w.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"odachost": cmdOdachost, "start": cmdStart, "await": cmdAwait, "output": cmdOutput, "signal": cmdSignal, "end": cmdEnd, "status": cmdStatus,
			"curl": cmdCurl, "get": cmdGet, "inflight": cmdInflight, "answer": cmdAnswer,
			"socket": cmdSocket, "say": cmdSay, "closed": cmdClosed,
			"pack": cmdPack, "wasm": cmdWasm, "tidy": cmdTidy,
			"capture": cmdCapture, "replace": cmdReplace, "appears": cmdAppears, "gone": cmdGone,
		},
	})
}

// compileOnce deploys the guest into nowhere, so that its compiled code is there before the scripts, which run side by side, all want it.
func compileOnce(t *testing.T, binary, code string, wasm []byte) {
	t.Helper()
	dir := t.TempDir()
	bundle := filepath.Join(dir, "guest.odac")
	if err := pack(bundle, dir, wasm, nil); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "deploy", bundle, "--approve", "--data", filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "ODACHOST_TESTKIT_CHILD=odachost", "ODAC_CODE_DIR="+code)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

type worldKey struct{}

// world is what one script has going.
type world struct {
	binary    string // odachost
	wasm      []byte
	status    string // of the last odachost
	processes map[string]*process
	answers   map[string]chan string
	sockets   map[string]*socket
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func (w *world) end() {
	for _, s := range w.sockets {
		_ = s.conn.CloseNow()
		for range s.text { // until its reader is gone
		}
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
const patience = 2 * time.Minute

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func cmdOdachost(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(worldOf(ts).binary, args...)
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

func cmdPack(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(pack(ts.MkAbs(args[0]), ts.Getenv("WORK"), worldOf(ts).wasm, args[1:]))
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
		"cut":   head + "\x0a\x7f\x01", // a code section of 127 bytes
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

func cmdCapture(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], m[1])
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

func cmdAppears(ts *testscript.TestScript, _ bool, args []string) {
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
