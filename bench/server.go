package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bare is the peer: the answer of examples/hello from net/http alone.
func bare(address string) {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "Hello, world\n")
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil))
	os.Exit(1)
}

// server is a process under test.
type server struct {
	cmd *exec.Cmd
	url string
	log *bytes.Buffer
}

// start runs a program and waits until the path answers 200.
func start(ctx context.Context, dir, address, path, program string, args ...string) (*server, error) {
	s := &server{cmd: exec.CommandContext(ctx, program, args...), url: "http://" + address, log: new(bytes.Buffer)}
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, s.log, s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 10 * time.Second
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, path, time.Minute, nil); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// wait polls until the path answers 200 with the wanted body (nil: any).
func (s *server) wait(ctx context.Context, path string, limit time.Duration, want []byte) error {
	deadline := time.Now().Add(limit)
	for {
		body, err := get(s.url + path)
		if err == nil && (want == nil || bytes.Contains(body, want)) {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s%s: no good answer in %s (%w): %s", s.url, path, limit, err, s.log)
		}
		time.Sleep(time.Millisecond)
	}
}

func get(url string) ([]byte, error) {
	r, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(r.Status)
	}
	return body, err
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// address reserves a free loopback port.
func address() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// binary builds odachost.
func (b *bench) binary(ctx context.Context) (string, error) {
	out := filepath.Join(b.dir, "odachost")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-X github.com/odac-run/odachost/cmd/odachost/internal/build.checkout="+b.root, "-o", out, "./cmd/odachost")
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build odachost: %w: %s", err, text)
	}
	return out, nil
}

// copyDir copies the regular files of a folder, one level of folders deep.
func copyDir(from, to string) error {
	return os.CopyFS(to, os.DirFS(from))
}

func replaceIn(file, old, with string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(content), old) {
		return fmt.Errorf("%s does not contain %q", file, old)
	}
	return os.WriteFile(file, []byte(strings.ReplaceAll(string(content), old, with)), 0o644)
}
