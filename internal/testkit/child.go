package testkit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

const childEnv = "ODACHOST_TESTKIT_CHILD"

// Process is a child that [Spawn] started. Its methods may be called from one goroutine at a time.
type Process struct {
	// Stdin is the child's standard input.
	Stdin io.WriteCloser

	t     testing.TB
	cmd   *exec.Cmd
	lines *bufio.Scanner
	wait  func() error
}

// Command is the command line that runs the test binary as the [Child] of that name, for code that starts processes itself.
func Command(name string, args ...string) []string {
	return append([]string{"env", childEnv + "=" + name, os.Args[0]}, args...)
}

// Spawn runs the test binary again, in a process of its own, as the [Child] of that name. Its standard error goes to the
// test's. Whatever still runs when the test ends is killed.
//
// A child reports by lines on its standard output, which [Process.Line] reads: that is how a test knows how far it has come
// without sleeping.
func Spawn(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("testkit: pipe to child %s: %v", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("testkit: pipe from child %s: %v", name, err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("testkit: start child %s: %v", name, err)
	}
	p := &Process{Stdin: stdin, t: t, cmd: cmd, lines: bufio.NewScanner(stdout), wait: sync.OnceValue(cmd.Wait)}
	p.lines.Buffer(make([]byte, 64<<10), 16<<20)
	p.lines.Split(completeLines)
	t.Cleanup(p.Kill)
	return p
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Line waits for the child's next line of output. It is false at the end of the output. A last line without its newline is
// never returned: the child died while it wrote it.
func (p *Process) Line() (string, bool) {
	if !p.lines.Scan() {
		if err := p.lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
			p.t.Logf("testkit: read from child: %v", err)
		}
		return "", false
	}
	return p.lines.Text(), true
}

// Kill ends the child as kill -9 does, without a chance to tidy up, and waits until it is gone. Lines that it wrote before and
// that were not read are lost. Kill after the end does nothing.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // already gone: what was wanted
	_ = p.wait()
}

// Drain ends the child as [Process.Kill] does and returns the lines that it wrote before it died and that were not yet read.
func (p *Process) Drain() []string {
	_ = p.cmd.Process.Kill() // already gone: what was wanted
	var out []string
	for p.lines.Scan() {
		out = append(out, p.lines.Text())
	}
	_ = p.wait()
	return out
}

// Wait reads the rest of the child's output, waits for its end and returns its exit code, -1 if a signal ended it.
func (p *Process) Wait() int {
	for p.lines.Scan() { // the child must not block on a full pipe
	}
	_ = p.wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode()
}

// completeLines is bufio.ScanLines without the last, unfinished line.
func completeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if bytes.IndexByte(data, '\n') < 0 {
		if atEOF {
			return len(data), nil, nil
		}
		return 0, nil, nil
	}
	return bufio.ScanLines(data, atEOF)
}
