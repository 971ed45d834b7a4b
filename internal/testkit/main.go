package testkit

import (
	"flag"
	"fmt"
	"os"

	"go.uber.org/goleak"
)

// Runner is a *testing.M.
type Runner interface {
	Run() int
}

// Option changes what [Main] does.
type Option func(*options)

type options struct {
	children map[string]func(args []string) int
	leaks    []goleak.Option
}

// Child names a function that [Spawn] runs in a process of its own. Its result is the exit code.
func Child(name string, run func(args []string) int) Option {
	return func(o *options) { o.children[name] = run }
}

// IgnoreLeak excuses goroutines from the leak check. Say beside it whose they are and why they may stay.
func IgnoreLeak(opts ...goleak.Option) Option {
	return func(o *options) { o.leaks = append(o.leaks, opts...) }
}

// Main runs a package's tests, then fails the run if a goroutine is left that the tests started. It is called from TestMain
// and does not return. In a process that [Spawn] started it runs the named [Child] instead.
//
// Under go test -fuzz there is no leak check: the fuzzing engine's own goroutines are still at work when the tests end.
func Main(m Runner, opts ...Option) {
	o := options{children: map[string]func([]string) int{}}
	for _, opt := range opts {
		opt(&o)
	}
	if name := os.Getenv(childEnv); name != "" {
		run, ok := o.children[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "testkit: no child %q: pass testkit.Child(%q, ...) to testkit.Main\n", name, name)
			os.Exit(2)
		}
		os.Exit(run(os.Args[1:]))
	}
	flag.Parse()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(withServers{m}.Run())
	}
	goleak.VerifyTestMain(withServers{m}, o.leaks...)
}

// withServers ends the servers that tests started, before anybody looks for leaks.
type withServers struct{ Runner }

func (r withServers) Run() int {
	defer stopServers()
	return r.Runner.Run()
}
