package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

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
	p := &process{cmd: exec.CommandContext(context.Background(), worldOf(ts).binary, args[1:]...), gone: make(chan struct{}), wrote: make(chan struct{})}
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
	ts.Setenv(args[0]+"_address", strings.TrimPrefix(at[1], "http://"))
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
