package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// A module is compiled in a process of its own where [Config].Compiler says how: with every processor, because a fault that a hostile
// module finds in the compiler then ends that process alone, as does what the compiler cannot be kept from, to take memory and time without
// end. The code comes back by the cache directory, the compiler's memory goes with the process, which gives way to the host while it is there.

const (
	// smallBytes is what is compiled at once: it is over before a process has begun.
	smallBytes = 8 << 10
	// maxCompileTime is how long the process may take.
	maxCompileTime = 2 * time.Minute
	// maxSaidBytes is what is kept of what it says.
	maxSaidBytes = 4 << 10
)

// refused is the status of a process whose module the compiler refuses.
const refused = 3

// CompileMain is the process: it compiles the instrumented module of in, as the arguments say, and gives the exit status.
func CompileMain(args []string, in io.Reader, said io.Writer) (status int) {
	humble()
	return compileMain(args, in, said)
}

func compileMain(args []string, in io.Reader, said io.Writer) (status int) {
	err := compileInto(args, in)
	var bad *CompileError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		err, status = bad.Err, refused
	default:
		status = 1
	}
	_, _ = fmt.Fprintln(said, err) // the status says the most of it
	return status
}

func compileInto(args []string, in io.Reader) (err error) {
	if len(args) != 2 {
		return errors.New("engine: compile wants a cache directory and a number of pages: a host runs it")
	}
	pages, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		return fmt.Errorf("engine: pages: %w", err)
	}
	wasm, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("engine: read the module: %w", err)
	}
	e, err := New(Config{CacheDir: args[0]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	r := wazero.NewRuntimeWithConfig(context.Background(), e.runtimeConfig(uint32(pages)))
	defer func() { err = errors.Join(err, r.Close(context.Background())) }()
	if _, err := r.CompileModule(experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0)), wasm); err != nil {
		return compileError(err)
	}
	return nil
}

// compileApart has a process compile a module. Without an error the code is in the cache directory, or there is no such process and the module
// has to be compiled here.
func (e *Engine) compileApart(caller context.Context, wasm []byte, pages uint32) error {
	ctx, cancel := context.WithTimeout(caller, maxCompileTime)
	defer cancel()
	command := e.cfg.Compiler
	args := append(command[1:len(command):len(command)], e.cfg.CacheDir, strconv.FormatUint(uint64(pages), 10))
	cmd := exec.CommandContext(ctx, command[0], args...)
	said := &saying{}
	cmd.Stdin, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(wasm), said, time.Second
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case caller.Err() != nil:
		return fmt.Errorf("engine: compile: %w", caller.Err())
	case ctx.Err() != nil:
		return &CompileError{Offset: -1, Err: fmt.Errorf("the compiler took longer than %v", maxCompileTime)}
	case !errors.As(err, &ended):
		return nil // it did not begin
	case ended.ExitCode() == refused:
		return &CompileError{Offset: -1, Err: errors.New(said.line())}
	}
	return &CompileError{Offset: -1, Err: fmt.Errorf("the compiler failed: %w: %s", ended, said.line())}
}

// saying keeps the beginning of what a process says.
type saying struct{ text []byte }

// Write implements io.Writer.
func (s *saying) Write(p []byte) (int, error) {
	s.text = append(s.text, p[:min(len(p), maxSaidBytes-len(s.text))]...)
	return len(p), nil
}

// line is the first line.
func (s *saying) line() string {
	first, _, _ := strings.Cut(string(s.text), "\n")
	return first
}
